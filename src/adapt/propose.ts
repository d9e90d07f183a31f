/**
 * @file The model writes: self-edits of a passage, exam questions about it, and replay of what it already knew.
 * All are samples of the model itself; each has its own random stream, so one more edit never changes the others.
 */
import { type GenerateRequest, generate } from "../generate/index.ts";
import { type Checkpoint, encodePrompt } from "../models/index.ts";
import type { Rng } from "../util/index.ts";
import { fillTemplate, type PromptTemplates, type SelfEditKind } from "./prompts.ts";
import { parseOpenSelfEdit, parseQuestions, type SelfEdit, type WrittenQuestion } from "./self-edit.ts";

/** Who writes. */
export interface Writer {
  readonly checkpoint: Checkpoint;
  readonly templates: PromptTemplates;
  readonly signal?: AbortSignal | undefined;
}

/** A text to write about. */
export interface Source {
  readonly id: string;
  readonly title: string;
  readonly context: string;
}

/** SEAL samples at temperature 1 with top-p 0.95. */
const sampler = { temperature: 1, topP: 0.95 };
const maxEditTokens = 512;
/** Kinds in turn, for models that do not choose a kind themselves. */
const rotation: readonly SelfEditKind[] = ["implications", "self-qa", "rewrite", "implications-long"];

const request = (writer: Writer, prompt: string, rng: Rng, maxNewTokens: number): GenerateRequest => {
  const { lm, tokenizer } = writer.checkpoint;
  const promptIds = encodePrompt(tokenizer, prompt);
  const room = Math.max(1, Math.min(maxNewTokens, lm.maxSeqLen - promptIds.length));
  return { promptIds, maxNewTokens: room, stopTokens: [tokenizer.eosTokenId], sampler, rng };
};

async function write(writer: Writer, requests: readonly GenerateRequest[]): Promise<string[]> {
  const results = await generate(writer.checkpoint.lm, requests, writer.signal ? { signal: writer.signal } : {});
  return results.map(({ tokenIds }) => writer.checkpoint.tokenizer.decode(tokenIds));
}

/**
 * `count` self-edits of each source. A model taught to name the kind does so; a completion that names none counts as
 * `plain` (its text is not used). Other models are asked for each kind in turn.
 */
export async function proposeSelfEdits(
  writer: Writer,
  sources: readonly Source[],
  count: number,
  rng: Rng,
): Promise<SelfEdit[][]> {
  const { templates } = writer;
  const kindOf = (index: number) => (templates.openSelfEdit === null ? rotation[index % rotation.length]! : null);
  const jobs = sources.flatMap((source) =>
    Array.from({ length: count }, (_, index) => ({ source, index, kind: kindOf(index) })),
  );
  const prompts = jobs.map(({ source, kind }) =>
    fillTemplate(kind === null ? templates.openSelfEdit! : templates.selfEdit[kind], {
      title: source.title,
      passage: source.context,
    }),
  );
  const texts = await write(
    writer,
    jobs.map(({ source, index }, job) =>
      request(writer, prompts[job]!, rng.fork("self-edit", source.id, index), maxEditTokens),
    ),
  );
  const edits = jobs.map(({ kind }, job) => {
    if (kind === null) return parseOpenSelfEdit(texts[job]!.trimStart()) ?? { kind: "plain" as const, text: "" };
    return { kind, text: kind === "self-qa" ? `Question 1:${texts[job]!}` : texts[job]! };
  });
  return sources.map((_, index) => edits.slice(index * count, (index + 1) * count));
}

/** Questions that the model itself asks about each source, without repeats, at most `count` each. */
export async function writeExam(
  writer: Writer,
  sources: readonly Source[],
  count: number,
  rng: Rng,
): Promise<WrittenQuestion[][]> {
  const template = writer.templates.selfEdit["self-qa"];
  const texts = await write(
    writer,
    sources.map((source) =>
      request(
        writer,
        fillTemplate(template, { title: source.title, passage: source.context }),
        rng.fork("exam", source.id),
        maxEditTokens,
      ),
    ),
  );
  return texts.map((text) => {
    const unique = new Map(
      parseQuestions(`Question 1:${text.replace(/^\s*Question(?:\s+\d+)?\s*:/, "")}`).map((pair) => [
        pair.question,
        pair,
      ]),
    );
    return [...unique.values()].slice(0, count);
  });
}

/**
 * At most `count` documents that the model writes of itself: a sample of what it knows, to be trained on beside new text.
 * Those that begin as a prompt for an edit does are left out: they are about nobody in particular.
 */
export async function sampleReplay(writer: Writer, count: number, rng: Rng, maxTokens = 96): Promise<string[]> {
  const { templates, checkpoint } = writer;
  const { tokenizer } = checkpoint;
  const beginnings = Array.from({ length: count }, (_, index) => templates.replay[index % templates.replay.length]!);
  const requests = beginnings.map((beginning, index) => {
    const promptIds = encodePrompt(tokenizer, beginning);
    return {
      promptIds: promptIds.length > 0 ? promptIds : [tokenizer.eosTokenId], // the end of one text is the start of the next
      maxNewTokens: maxTokens,
      stopTokens: [tokenizer.eosTokenId],
      sampler: { temperature: 1 },
      rng: rng.fork("replay", index),
    };
  });
  const texts = await write(writer, requests);
  const opening = templates.openSelfEdit?.split("{")[0] ?? "";
  const isKnowledge = (text: string) => text !== "" && (opening === "" || !text.startsWith(opening));
  return texts.map((text, index) => `${beginnings[index]!}${text}`.trim()).filter(isKnowledge);
}
