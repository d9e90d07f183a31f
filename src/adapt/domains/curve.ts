/**
 * @file A domain whose edits are hyper-parameters and nothing else: after SEAL's few-shot setting (arXiv 2506.10943, section
 * 3.2), where the policy writes a training configuration as JSON, at a size that a CPU trains in seconds.
 *
 * A task is a line over the places a to z, measured at ten of them with an error that is stated: `f(x) = level + slope · x`,
 * rounded to a digit. The job trains an adapter on the ten measurements; the exam asks for the true value at the others.
 * Exact measurements are to be fitted closely; of those with an error of 3 only the level should be learned, because
 * whoever trains long learns the errors. No one setting is right for both.
 */
import { z } from "zod";
import { decodeContinuation, encodePrompt } from "../../models/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import type { Domain, DomainEdit, DomainTask, ExamUse } from "../domain.ts";
import { examine, meanGoldLogprob } from "../exam.ts";

/** A place and the value there. */
export type CurvePoint = readonly [x: string, y: number];

/** A function to learn from measurements. */
export interface CurveTask extends DomainTask {
  /** Standard deviation of a measurement, as the source states it. */
  readonly error: number;
  readonly measured: readonly CurvePoint[];
  /** True values at places that were not measured. */
  readonly exam: Readonly<Record<ExamUse, readonly CurvePoint[]>>;
}

const places = [..."abcdefghijklmnopqrstuvwxyz"];
const errors = [0, 3];
const numMeasured = 10;
const numExamined = 8;

/** What an edit may choose. */
export const curveChoices: Readonly<Record<"rank" | "learningRate" | "epochs", readonly number[]>> = {
  rank: [2, 4, 8],
  learningRate: [0.001, 0.003, 0.01, 0.03],
  epochs: [1, 3, 10],
};

/** An edit, read. */
export interface CurveSettings {
  readonly rank: number;
  readonly learningRate: number;
  readonly epochs: number;
  /** Further points that the policy believes in, trained on beside the measured ones. */
  readonly points?: readonly CurvePoint[] | undefined;
}

const settingsSchema: z.ZodType<CurveSettings> = z.strictObject({
  rank: z.literal(curveChoices.rank),
  learningRate: z.literal(curveChoices.learningRate),
  epochs: z.literal(curveChoices.epochs),
  points: z
    .array(z.tuple([z.enum(places), z.int().min(0).max(9)]))
    .max(places.length)
    .optional(),
});

/** What the policy wrote; `settings` are `null` where that is no valid edit. */
export interface CurveEdit extends DomainEdit {
  readonly settings: CurveSettings | null;
}

const toDigit = (value: number): number => Math.min(9, Math.max(0, Math.round(value)));

/** A line of text: a place and its value. */
export const curveLine = ([x, y]: CurvePoint): string => `${x} = ${y}`;

/** A task drawn from the family. */
export function drawCurve(id: string, rng: Rng): CurveTask {
  const error = rng.choice(errors);
  const level = 2.5 + 4 * rng.uniform();
  const slope = 0.72 * rng.uniform() - 0.36;
  const points = rng.shuffle(
    places.map((x, index) => {
      const value = level + slope * (index - (places.length - 1) / 2);
      return { x, truth: toDigit(value), measured: toDigit(value + error * rng.normal()) };
    }),
  );
  const measured = points.slice(0, numMeasured).map(({ x, measured: y }): CurvePoint => [x, y]);
  const asked = points.slice(numMeasured).map(({ x, truth }): CurvePoint => [x, truth]);
  const context = [`error ${error}`, ...measured.map(curveLine)].join("\n");
  return {
    source: { id, title: "", context },
    ...{ error, measured },
    exam: { selection: asked.slice(0, numExamined), report: asked.slice(numExamined) },
  };
}

/** What the policy is given. */
export const curvePrompt = ({ source }: DomainTask): string => `${source.context}\nsettings:`;

/** An edit as the policy writes it. */
export const curveCompletion = ({ rank, learningRate, epochs }: CurveSettings): string =>
  ` {"rank": ${rank}, "learningRate": ${learningRate}, "epochs": ${epochs}}`;

/** Reads a completion of {@link curvePrompt}; `null` where it is not JSON of the schema. */
export function readCurveSettings(completion: string): CurveSettings | null {
  try {
    return settingsSchema.parse(JSON.parse(completion));
  } catch {
    return null; // what is no edit changes nothing, and its reward says so
  }
}

/** A completion of {@link curvePrompt} as an edit. */
export function curveEdit(task: DomainTask, completion: string, isFinished = true): CurveEdit {
  const settings = readCurveSettings(completion);
  const kind = settings === null ? "invalid" : `${settings.learningRate} × ${settings.epochs}`;
  return { kind, text: completion.trim(), prompt: curvePrompt(task), completion, isFinished, settings };
}

const maxEditTokens = 64;
/** Samples until an edit is valid, at most: what is invalid trains nothing, which is better than a harmful edit. */
const maxAttempts = 4;

/** Inputs of {@link curveDomain}. */
export interface CurveOptions {
  readonly numTasks: number;
  readonly numHeldOut: number;
  /** Draws the tasks. */
  readonly seed: number | string;
}

/** Lines to learn from measurements, by hyper-parameters that the policy writes. */
export function curveDomain({ numTasks, numHeldOut, seed }: CurveOptions): Domain<CurveTask, CurveEdit> {
  const rng = createRng(seed);
  const draw = (name: string, count: number) =>
    Array.from({ length: count }, (_, index) => drawCurve(`${name}-${index}`, rng.fork("curve", name, index)));
  return {
    name: "curve",
    prepare: async () => ({ tasks: draw("task", numTasks), heldOut: draw("held-out", numHeldOut) }),

    async propose({ engine, signal }, tasks, count, stream) {
      const { tokenizer } = engine;
      const edits = tasks.map((): CurveEdit[] => []);
      let due = tasks.flatMap((_, task) => Array.from({ length: count }, (_, edit) => ({ task, edit })));
      for (let attempt = 0; attempt < maxAttempts && due.length > 0; attempt++) {
        const requests = due.map(({ task, edit }) => ({
          promptIds: encodePrompt(tokenizer, curvePrompt(tasks[task]!)),
          maxNewTokens: maxEditTokens,
          stopTokens: tokenizer.stopTokens,
          sampler: { temperature: 1 },
          rng: stream.fork("edit", tasks[task]!.source.id, edit, attempt),
        }));
        const results = await engine.generate(requests, { signal });
        due = due.filter(({ task, edit }, index) => {
          const { tokenIds, stopReason } = results[index]!;
          const completion = decodeContinuation(tokenizer, requests[index]!.promptIds, tokenIds);
          edits[task]![edit] = curveEdit(tasks[task]!, completion, stopReason === "stop");
          return edits[task]![edit].settings === null;
        });
      }
      return edits;
    },

    compile({ measured }, edits) {
      const settings = edits.findLast((edit) => edit.settings !== null)?.settings ?? null;
      if (settings === null) return { documents: [] };
      const { rank, learningRate, epochs, points = [] } = settings;
      const lora = { loraRank: rank, loraAlpha: 2 * rank, targets: "all" } as const;
      return {
        documents: [...measured, ...points].map(curveLine),
        answerAfter: " =",
        settings: { learningRate, epochs, documentsPerStep: 2, lora },
      };
    },

    guard: () => (documents, task) => {
      const asked = task === null ? [] : [...task.exam.selection, ...task.exam.report];
      return documents.filter(
        (text) => !asked.some(([x]) => text.split("\n").some((line) => line.startsWith(`${x} =`))),
      );
    },

    async examine(model, exams) {
      const templates = { ...model.templates, question: "{question} =" };
      const takers = exams.map(({ task, use, adapter }) => ({
        adapter,
        items: task.exam[use].map(([x, y]) => ({ question: x, answer: `${y}`, title: "" })),
      }));
      const sheets = await examine({ ...model, templates }, takers);
      return sheets.map((answers, index) => {
        const isNear = ({ prediction }: { prediction: string }, at: number) =>
          Math.abs(Number.parseInt(prediction, 10) - Number(takers[index]!.items[at]!.answer)) <= 1;
        const accuracy = answers.filter(isNear).length / answers.length;
        return { accuracy, goldLogprob: meanGoldLogprob(answers)! };
      });
    },
  };
}
