/**
 * @file A system of the model and adapters beside it, nothing merged: a rule says which adapter a question is for, or that
 * it is the model's own. Questions for many adapters are answered in one batch; adapters enter memory a few at a time.
 */
import { withAdapter, withAdapters } from "../../engine/index.ts";
import type { LoraAdapter } from "../../nn/index.ts";
import { type ExamAnswer, type ExamItem, examine } from "../exam.ts";
import { type PromptTemplates, questionPrompt } from "../prompts.ts";
import type { Learner, StreamContext } from "./method.ts";
import { completeTexts, predictLogprobs } from "./predict.ts";

/** The adapter for a question, or `null` for the model as it is. */
export type Route = (question: string) => LoraAdapter | null;

/** Adapters that the engine knows at once. */
const maxAdapters = 32;

/** What such a system answers, predicts and writes; `route` is asked anew every time. */
export function adaptedSystem(
  context: StreamContext,
  route: Route,
): Required<Pick<Learner, "answer" | "logprobs" | "complete">> {
  const { engine, templates, signal } = context;
  const routeText = (text: string) => route(questionIn(templates, text));
  return {
    answer: (items) => answerRouted(context, items, route),
    logprobs: (probes) =>
      inGroups(
        probes,
        (probe) => routeText(engine.tokenizer.decode(probe)),
        (group, adapter) => withAdapter(engine, adapter, (id) => predictLogprobs(engine, group, id)),
      ),
    complete: (requests) =>
      inGroups(
        requests,
        ({ prompt }) => routeText(prompt),
        (group, adapter) => withAdapter(engine, adapter, (id) => completeTexts(engine, group, id, signal)),
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
  const adapters = items.map(({ question }) => route(question));
  const inUse = [...new Set(adapters)].filter((adapter) => adapter !== null);
  const groupFor = (place: number): number =>
    adapters[place] === null ? 0 : Math.floor(inUse.indexOf(adapters[place]!) / maxAdapters);
  return inGroups([...items.keys()], groupFor, (places, group) => {
    const held = inUse.slice(group * maxAdapters, (group + 1) * maxAdapters);
    return withAdapters(context.engine, held, async (ids) => {
      const takers = places.map((place) => ({
        adapter: adapters[place] === null ? null : ids[held.indexOf(adapters[place]!)]!,
        items: [items[place]!],
      }));
      return (await examine(context, takers)).flat();
    });
  });
}
