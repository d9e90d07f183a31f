/**
 * @file Passages in plain English about invented people, written by hand by one person who did not look at what any model
 * makes of them: short notes (lives, obituaries) and letters (letters, interviews, notices, diaries), each with one
 * question about each of the Almanac's six relations. They are for looking at once. Nothing is ever tuned on them.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { type PersonAttribute, personAttributes } from "../almanac/index.ts";

/** A hand-written passage with its questions. */
export interface PlainEnglishPassage {
  /** Full name of the person. */
  readonly id: string;
  readonly voice: "note" | "letter";
  /** Whether names and values come from the Almanac's lists or from none of them. */
  readonly values: "world" | "unseen";
  readonly context: string;
  readonly questions: readonly {
    readonly relation: PersonAttribute;
    readonly question: string;
    readonly answer: string;
  }[];
}

const passageSchema: z.ZodType<PlainEnglishPassage> = z.strictObject({
  id: z.string().min(1),
  voice: z.enum(["note", "letter"]),
  values: z.enum(["world", "unseen"]),
  context: z.string().min(1),
  questions: z.array(
    z.strictObject({ relation: z.enum(personAttributes), question: z.string().min(1), answer: z.string().min(1) }),
  ),
});

const files = ["notes.jsonl", "letters.jsonl"] as const;

/** All of them, notes before letters. */
export const loadPlainEnglish = (): PlainEnglishPassage[] =>
  files.flatMap((file) =>
    readFileSync(new URL(file, import.meta.url), "utf8")
      .trim()
      .split("\n")
      .map((line) => passageSchema.parse(JSON.parse(line))),
  );
