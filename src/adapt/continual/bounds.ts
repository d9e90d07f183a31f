/**
 * @file What no stream can be expected to beat: one training on all passages at once, and the passage itself before every
 * question. Both are examined once, at the end.
 */
import type { Json } from "../../registry/index.ts";
import { createRng } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { type ExamAnswer, type ExamItem, examine } from "../exam.ts";
import { questionPrompt } from "../prompts.ts";
import { PassageRetriever } from "../retrieve/index.ts";
import { readingPrompt } from "./checks.ts";
import { presentModel, trainEdit } from "./merged.ts";
import type { ContinualMethod, StepReport, StreamContext, StreamItem } from "./method.ts";
import { mixDocuments, prepareReplay } from "./replay.ts";
import { ofLastBlocks, rebuilding } from "./sleep.ts";

const nothing: StepReport = { numTokens: 0, numSteps: 0 };

/** One adapter over the base, trained on the documents of all passages together with old text. */
export const jointMethod: ContinualMethod = {
  name: "joint",
  summary: "one training on all passages at once, from the base, with replay (upper bound)",
  settings: { ...rebuilding } as unknown as Json,
  rows: "last",
  async begin(context) {
    const { loop, replay, blockShare = 1 } = rebuilding;
    const base = await prepareReplay(context.engine, context.replay, replay);
    const texts: string[] = [];
    return {
      async learn(item, step) {
        texts.push(...item.documents);
        if (step < context.numPassages - 1) return nothing;
        const { engine } = context;
        const own = toTrainDocuments(engine, texts);
        const mixed = mixDocuments(own, { base, earlier: [] }, replay, loop, createRng(context.seed).fork("joint"));
        const lora = ofLastBlocks(loop.lora, engine.model.linearLayers, blockShare);
        const { learningRate } = loop;
        const { adapter, numTokens, numSteps } = await trainEdit(context, {
          id: "joint",
          ...mixed,
          lora,
          learningRate,
        });
        await engine.mergeAdapter(adapter);
        return { numTokens, numSteps };
      },
      ...presentModel(context),
      [Symbol.dispose]() {},
    };
  },
};

/** What stands before a question, or `null` for nothing. */
export type FindPassage = (question: string) => string | null;

/** The untrained model with a passage before each question; `remember` is told of every passage and returns how to find it. */
export const inContextMethod = (
  name: string,
  summary: string,
  open: () => { readonly remember: (item: StreamItem) => void; readonly find: FindPassage },
): ContinualMethod => ({
  name,
  summary,
  settings: {},
  rows: "last",
  async begin(context) {
    const { remember, find } = open();
    return {
      ...presentModel(context),
      async learn(item) {
        remember(item);
        return nothing;
      },
      answer: (items) => answerOpenBook(context, items, find),
      [Symbol.dispose]() {},
    };
  },
});

/** The right passage for every question about it, and none for others. */
export const oraclePassageMethod: ContinualMethod = inContextMethod(
  "in-context-oracle",
  "nothing is learned; the right passage stands before each question (upper bound)",
  () => {
    const passages = new Map<string, string>();
    return {
      remember: ({ source, exam }) => {
        for (const { question } of [...exam.selection, ...exam.report]) passages.set(question, source.context);
      },
      find: (question) => passages.get(question) ?? null,
    };
  },
);

/** The passage that the retriever finds for a question, if any. */
export const retrievalMethod: ContinualMethod = inContextMethod(
  "in-context",
  "nothing is learned; the passage that BM25 finds stands before the question (upper bound)",
  () => {
    const retriever = new PassageRetriever();
    const passages: string[] = [];
    return {
      remember: ({ source, documents }) => {
        retriever.add({ text: `${source.title}\n${source.context}`, documents });
        passages.push(source.context);
      },
      find: (question) => {
        const found = retriever.find(question);
        return found === null ? null : passages[found.index]!;
      },
    };
  },
);

/** Answers with what `find` gives before each question. */
async function answerOpenBook(
  context: StreamContext,
  items: readonly ExamItem[],
  find: FindPassage,
): Promise<ExamAnswer[]> {
  const promptOf = ({ question, title }: ExamItem): string => {
    const passage = find(question);
    return passage === null
      ? questionPrompt(context.templates, question, title)
      : readingPrompt(context.templates, passage, question);
  };
  const templates = { ...context.templates, question: "{question}" }; // the prompts are whole already
  const asked = items.map((item) => ({ ...item, question: promptOf(item) }));
  const [answers] = await examine({ ...context, templates }, [{ adapter: null, items: asked }]);
  return answers!;
}
