/** @file How parts of tokenizer.json are read: every field that the Rust library reads, by its rules. */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { parseForeign } from "../files.ts";
import { type PatternJson, type SplitBehavior, splitBehaviors } from "./pattern.ts";

/** `{"String": …}` or `{"Regex": …}`. */
export const patternSchema: z.ZodType<PatternJson> = z.union([
  z.object({ String: z.string() }),
  z.object({ Regex: z.string() }),
]);
/** The way to split; older files write it in lower case. */
export const behaviorSchema: z.ZodEnum<{ [B in SplitBehavior]: B }> = z.enum(splitBehaviors);
/** Exactly one character. */
export const charSchema: z.ZodType<string> = z
  .string()
  .refine((text) => [...text].length === 1, "expected one character");
/** A token id. */
export const idSchema: z.ZodType<number> = z
  .int()
  .min(0)
  .max(2 ** 26 - 1);
const isId = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 26;
/** Tokens with their ids; checked by hand, since there may be hundreds of thousands. */
export const vocabSchema: z.ZodType<{ readonly [token: string]: number }> = z.custom<{
  readonly [token: string]: number;
}>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isId),
  "expected tokens with ids from 0 to 2^26 - 1",
);
/** A list that is run through in order; its items are read one by one. */
export const stepsSchema: z.ZodType<readonly unknown[]> = z.array(z.unknown());

const typedSchema = z.looseObject({ type: z.string() });

/** The `type` of a part; a part without one is refused. */
export function typeOf(json: unknown, where: string): string {
  return parseForeign(typedSchema, json, where).type;
}

/** Refuses a part of a kind that is not implemented. */
export function refuseType(where: string, type: string, known: readonly string[]): never {
  throw new SelkieError(
    "bad-file",
    `${where}: expected one of ${known.join(", ")}, got "${type}"; this kind is not supported`,
  );
}

/** Parsed contents of a tokenizer.json; what we do not read is kept as it is. */
export interface TokenizerJson {
  readonly model: { readonly [key: string]: unknown };
  readonly added_tokens?: readonly { readonly id: number; readonly content: string; readonly [key: string]: unknown }[];
  readonly [key: string]: unknown;
}
