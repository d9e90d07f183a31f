/** @file Which thresholds of a gate let more through than the default gate: whoever promotes is told, and so is the log. */

import type { GatePolicy } from "./thresholds.ts";
import { defaultGate } from "./thresholds.ts";

type Value = number | boolean;

/** How sure the base must be for its answer to count against a passage: asking for more lets more through. */
const reversed = new Set(["minHeldProbability"]);

/** What is looser follows from the name, so that a new threshold cannot be forgotten here. */
function isLooser(name: string, value: Value, usual: Value): boolean {
  if (reversed.has(name)) return value > usual;
  if (/^(max|allow)/.test(name)) return value > usual;
  return /^(min|require)/.test(name) && value < usual;
}

/** Each looser threshold with both values; what a gate of an older Selkie lacks is looser too. */
export function loosenedThresholds(gate: GatePolicy): string[] {
  const groups = ["thresholds", "policies", "evidence", "budgets"] as const;
  return groups.flatMap((group) => {
    const [given, usual] = [gate[group], defaultGate[group]] as unknown as Readonly<Record<string, Value>>[];
    return Object.entries(usual!)
      .filter(([name, value]) => given?.[name] === undefined || isLooser(name, given[name], value))
      .map(([name, value]) => `${group}.${name} ${given?.[name] ?? "none"} (default ${value})`);
  });
}
