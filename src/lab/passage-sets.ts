/**
 * @file Sets of passages that the arms of an experiment are compared on: the same measurement in several voices. A set is
 * data; where its passages come from (a world's grammar, a file written by hand) is nobody's business here.
 */
import { loadPlainEnglish, type PlainEnglishPassage, type SourcePassage } from "../tasks/index.ts";
import type { Trap, Traps } from "./arms.ts";
import { prefixed } from "./arms.ts";
import type { PolicyStudy } from "./policies.ts";

/** Where a set may be used: validation for tuning; test and hand-written ones are looked at once. */
export type PassageSplit = "validation" | "test" | "hand-written";

/** Passages with questions, in one voice. */
export interface PassageSet {
  /** Names stages and rows: lower-case words with hyphens. */
  readonly name: string;
  /** One sentence on what is particular about it. */
  readonly summary: string;
  readonly split: PassageSplit;
  readonly passages: readonly SourcePassage[];
  /** Questions about relations that the passages do not tell. @defaultValue none */
  readonly traps?: Traps;
  /** A label for each passage, where the set falls into parts that are reported as well. @defaultValue one part */
  readonly parts?: readonly string[];
}

/** A study whose passages are those of a set. */
export const onSet = (study: Omit<PolicyStudy, "passages" | "traps">, set: PassageSet): PolicyStudy => ({
  ...study,
  passages: set.passages,
  ...(set.traps && { traps: set.traps }),
  store: prefixed(study.store, set.name),
});

/** Questions about a person of whom a passage tells something of the same type; `{n}` is the name. */
export const otherRelations: Readonly<Record<PlainEnglishPassage["questions"][number]["relation"], string>> = {
  birthplace: "In what town did {n} die?",
  birthYear: "In what year did {n} die?",
  occupation: "What was the occupation of {n}'s father?",
  employer: "What company did {n} sue?",
  ship: "Which ship did {n} build?",
  instrument: "What instrument did {n} repair?",
};

/** One trap for each fact told: the question about the other relation, whose answer no passage gives. */
export const trapsOf = (name: string, facts: Readonly<Record<keyof typeof otherRelations, string>>): Trap[] =>
  (Object.keys(otherRelations) as (keyof typeof otherRelations)[]).map((relation) => ({
    question: otherRelations[relation].replace("{n}", name),
    wrong: facts[relation],
  }));

const plainNames = {
  note: ["plain-notes", "short lives and obituaries in plain English, written by hand"],
  letter: ["plain-letters", "letters, interviews, notices and diaries in plain English, written by hand"],
} as const;

/** The passages written by hand, one set for each voice. */
export function plainEnglishSets(): PassageSet[] {
  const all = loadPlainEnglish();
  return (["note", "letter"] as const).map((voice): PassageSet => {
    const own = all.filter((passage) => passage.voice === voice);
    const [name, summary] = plainNames[voice];
    return {
      ...{ name, summary, split: "hand-written" },
      passages: own.map(({ id, context, questions }) => ({
        ...{ id, file: name, title: "", context },
        questions: questions.map(({ question, answer }) => ({ question, answer, use: "report" })),
      })),
      parts: own.map(({ values }) => (values === "world" ? "the world's values" : "unseen values")),
      traps: new Map(
        own.map(({ id, questions }) => {
          const facts = Object.fromEntries(questions.map(({ relation, answer }) => [relation, answer]));
          return [id, trapsOf(id, facts as Record<keyof typeof otherRelations, string>)];
        }),
      ),
    };
  });
}
