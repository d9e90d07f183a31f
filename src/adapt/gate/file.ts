/** @file `gate.json`: the gate as people edit it, in part; and the whole one that a program passes. */
import type { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { type GatePolicy, gateSchema, wholeGateSchema } from "./thresholds.ts";

const describeIssues = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join(".") || "as a whole"}: ${message}`).join("; ");

/**
 * A gate that a program passes, which must be whole: nothing is filled in for whoever decides by it.
 *
 * @throws {@link SelkieError} `"bad-option"` that names what is missing, unknown or out of bounds.
 */
export function checkGate(value: unknown, who: string): GatePolicy {
  const checked = wholeGateSchema.safeParse(value);
  if (checked.success) return checked.data;
  throw new SelkieError(
    "bad-option",
    `${who}: expected a whole gate, got ${describeIssues(checked.error)}; pass defaultGate, or what parseGate makes of a part`,
  );
}

const cure = "correct it by what selkie registry gate prints without it, or remove it for the default";

/** Reads a gate from JSON; what is left out has its default, what is unknown is refused. */
export function parseGate(text: string, path: string): GatePolicy {
  if (text.trim() === "")
    throw new SelkieError(
      "bad-file",
      `${path}: expected a gate, got an empty file; remove it for the default, or write what selkie registry gate prints to another file and move it there`,
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SelkieError(
      "bad-file",
      `${path}: expected JSON, got ${cause instanceof Error ? cause.message : cause}; ${cure}`,
      { cause },
    );
  }
  const parsed = gateSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SelkieError("bad-file", `${path}: expected a gate, got ${describeIssues(parsed.error)}; ${cure}`);
}
