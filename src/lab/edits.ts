/**
 * @file What the arms of an experiment are trained on: edits by whoever writes them, turned into documents that ask nothing
 * of the exam. Edit `e` of a passage has a random stream of its own, shared by all writers and the same however many are asked for.
 */
import {
  proposeSelfEdits,
  redactExamQuestions,
  type SelfEdit,
  selfEditDocuments,
  stage,
  type Writer,
  withoutExamQuestions,
} from "../adapt/index.ts";
import { createWorld, oracleEdit } from "../tasks/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import type { createArmContext } from "./arms.ts";

/** What the arms of one model share, with the questions that no document may contain. */
export type EditContext = Awaited<ReturnType<typeof createArmContext>>;

/** Edits of every task, `[tasks][edits]`. */
export type Edits = readonly (readonly SelfEdit[])[];

/** Training documents of every task. */
export type Documents = readonly (readonly string[])[];

/** `count` edits of every task by a model; `name` names the stage. */
export const writeEdits = (context: EditContext, writer: Writer, name: string, count: number): Promise<Edits> =>
  stage(context.store, `edits-${name}-${context.seed}-${count}`, () => {
    const sources = context.tasks.map(({ source }) => source);
    return proposeSelfEdits(writer, sources, count, createRng(context.seed).fork("edits"));
  });

/** True when every task is about a person of the Almanac, whose facts an all-knowing editor can tell. */
export function hasOracle({ tasks }: EditContext): boolean {
  const people = peopleByName();
  return tasks.every(({ source }) => people.has(source.id));
}

const peopleByName = () => {
  const { validation, test } = createWorld();
  return new Map([...validation, ...test].map((person) => [person.name, person]));
};

/**
 * `count` edits of every task that tell all of its person's facts, in the words of one kind.
 *
 * @throws {@link SelkieError} `"bad-input"` for a passage that is not about a person of the Almanac.
 */
export function writeOracleEdits(context: EditContext, kind: SelfEdit["kind"], count: number): Edits {
  const people = peopleByName();
  const rng = createRng(context.seed).fork("oracle", kind);
  return context.tasks.map(({ source }) => {
    const person = people.get(source.id);
    if (person === undefined)
      throw new SelkieError("bad-input", `oracle: expected a person of the Almanac, got "${source.id}"`);
    return Array.from({ length: count }, (_, edit) => ({
      kind,
      text: oracleEdit(person, source.context, kind, rng.fork(source.id, edit)),
    }));
  });
}

/** How an edit becomes documents: one for each line or question (SEAL, one passage), or one for all of it (SEAL, many passages). */
export type Splitting = "lines" | "whole";

/** Documents of each task: those of all its edits without repeats, the passage once, nothing that the exam asks. */
export function documentsOf(context: EditContext, edits: Edits, splitting: Splitting = "lines"): Documents {
  const { tasks, templates, forbidden } = context;
  return tasks.map(({ source }, passage) => {
    const texts = edits[passage]!.flatMap((edit) => {
      if (splitting === "lines") return selfEditDocuments(edit, source, templates);
      const whole = redactExamQuestions(edit.text.trim(), forbidden);
      return [whole, source.context].filter((text) => text !== "").map((text) => titled(source.title, text));
    });
    return withoutExamQuestions([...new Set(texts)], forbidden);
  });
}

/** The bare passages. */
export const rawDocuments = ({ tasks }: EditContext): Documents =>
  tasks.map(({ source }) => [titled(source.title, source.context)]);

const titled = (title: string, text: string): string => (title === "" ? text : `${title}\n${text}`);
