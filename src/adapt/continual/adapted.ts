/**
 * @file A system of the model and adapters beside it, nothing merged: a rule says which adapter a question is for, or that
 * it is the model's own. Questions for many adapters are answered in one batch; adapters enter memory a few at a time.
 */
import type { Checkpoint } from "../../models/index.ts";
import { bankOf, type LoraAdapter } from "../../nn/index.ts";
import { type ExamAnswer, type ExamItem, examine } from "../exam.ts";
import { type PromptTemplates, questionPrompt } from "../prompts.ts";
import type { Learner, StreamContext } from "./method.ts";
import { completeTexts, predictLogprobs, type WithAdapter } from "./predict.ts";

/** The adapter for a question, or `null` for the model as it is. */
export type Route = (question: string) => LoraAdapter | null;

/** Adapters in one bank. */
const maxAdapters = 32;

/** What such a system answers, predicts and writes; `route` is asked anew every time. */
export function adaptedSystem(
  context: StreamContext,
  route: Route,
): Required<Pick<Learner, "answer" | "logprobs" | "complete">> {
  const { checkpoint, templates, signal } = context;
  const routeText = (text: string) => route(questionIn(templates, text));
  return {
    answer: (items) => answerRouted(context, items, route),
    logprobs: (probes) =>
      inGroups(
        probes,
        (probe) => routeText(checkpoint.tokenizer.decode(probe)),
        async (group, adapter) =>
          withAdapter(checkpoint, adapter, async (adapted) => predictLogprobs(checkpoint.lm, group, adapted)),
      ),
    complete: (requests) =>
      inGroups(
        requests,
        ({ prompt }) => routeText(prompt),
        (group, adapter) =>
          withAdapter(checkpoint, adapter, (adapted) => completeTexts(checkpoint, group, adapted, signal)),
      ),
  };
}

/** The question that a closed-book prompt asks, answered or not; any other text as it is. */
export function questionIn(templates: PromptTemplates, text: string): string {
  const slot = "\u0000";
  const [before = "", after = ""] = questionPrompt(templates, slot).split(slot);
  if (!text.startsWith(before)) return text;
  const end = text.indexOf(after, before.length);
  return end < 0 ? text : text.slice(before.length, end);
}

/** Runs `work` with the adapter in a bank of its own. */
async function withAdapter<T>(
  { lm }: Checkpoint,
  adapter: LoraAdapter | null,
  work: (adapted: WithAdapter | null) => Promise<T>,
): Promise<T> {
  if (adapter === null) return work(null);
  using bank = bankOf(lm.backend, lm.linearLayers, [adapter]);
  return await work({ bank, adapterIndex: 0 });
}

/** Results in the order of `items`, each from the group of those that share its key. */
async function inGroups<T, Key, Result>(
  items: readonly T[],
  keyOf: (item: T) => Key,
  work: (group: readonly T[], key: Key) => Promise<readonly Result[]>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [key, places] of Map.groupBy(items.keys(), (place) => keyOf(items[place]!))) {
    const group = await work(
      places.map((place) => items[place]!),
      key,
    );
    places.forEach((place, index) => {
      results[place] = group[index]!;
    });
  }
  return results;
}

async function answerRouted(context: StreamContext, items: readonly ExamItem[], route: Route): Promise<ExamAnswer[]> {
  const { lm } = context.checkpoint;
  const adapters = items.map(({ question }) => route(question));
  const inUse = [...new Set(adapters)].filter((adapter) => adapter !== null);
  const bankFor = (place: number): number =>
    adapters[place] === null ? 0 : Math.floor(inUse.indexOf(adapters[place]!) / maxAdapters);
  return inGroups([...items.keys()], bankFor, async (places, bankIndex) => {
    const held = inUse.slice(bankIndex * maxAdapters, (bankIndex + 1) * maxAdapters);
    using bank = held.length === 0 ? null : bankOf(lm.backend, lm.linearLayers, held);
    const takers = places.map((place) => ({
      adapterIndex: adapters[place] === null ? null : held.indexOf(adapters[place]!),
      items: [items[place]!],
    }));
    return (await examine({ ...context, bank }, takers)).flat();
  });
}
