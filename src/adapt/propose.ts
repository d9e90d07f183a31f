/**
 * @file The model writes: self-edits of a passage, exam questions about it, and replay of what it already knew.
 * All are samples of the model itself; each has its own random stream, so one more edit never changes the others.
 */
import type { Engine, EngineRequest } from "../engine/index.ts";
import { decodeContinuation, encodePrompt } from "../models/index.ts";
import type { Rng } from "../util/index.ts";
import { fitsContext } from "./context-window.ts";
import { fillTemplate, type PromptTemplates, type SelfEditKind } from "./prompts.ts";
import { parseOpenSelfEdit, parseQuestions, type SelfEdit, type WrittenQuestion } from "./self-edit.ts";

/** Who writes. */
export interface Writer {
  readonly engine: Engine;
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

const request = (writer: Writer, prompt: string, rng: Rng, maxNewTokens: number): EngineRequest => {
  const { model, tokenizer } = writer.engine;
  const promptIds = encodePrompt(tokenizer, prompt);
  const room = Math.max(1, Math.min(maxNewTokens, model.maxSeqLen - promptIds.length));
  return { promptIds, maxNewTokens: room, stopTokens: tokenizer.stopTokens, sampler, rng };
};

async function write(writer: Writer, requests: readonly EngineRequest[]): Promise<string[]> {
  const results = await writer.engine.generate(requests, { signal: writer.signal });
  return results.map(({ tokenIds }, index) =>
    decodeContinuation(writer.engine.tokenizer, requests[index]!.promptIds, tokenIds),
  );
}

/** A self-edit as it was sampled: what the policy was given and what it went on with. */
export interface SampledEdit extends SelfEdit {
  readonly prompt: string;
  readonly completion: string;
  /** False when the length limit cut it. */
  readonly isFinished: boolean;
}

/** The kind that edit `index` of a passage is asked for; `null` when the writer names it itself. */
export const kindOfEdit = (templates: PromptTemplates, index: number): SelfEditKind | null =>
  templates.openSelfEdit === null ? rotation[index % rotation.length]! : null;

/** What the policy is given for an edit of `kind`, or of a kind it names itself. */
export const editPrompt = (templates: PromptTemplates, source: Source, kind: SelfEditKind | null): string =>
  fillTemplate(kind === null ? templates.openSelfEdit! : templates.selfEdit[kind], {
    title: source.title,
    passage: source.context,
  });

/** A completion of {@link editPrompt} read as an edit; one that names no kind counts as `plain`, and its text is not used. */
export function readEdit(completion: string, kind: SelfEditKind | null): SelfEdit {
  if (kind === null) return parseOpenSelfEdit(completion.trimStart()) ?? { kind: "plain", text: "" };
  return { kind, text: kind === "self-qa" ? `Question 1:${completion}` : completion };
}

/**
 * `count` self-edits of each source with prompt and completion. A model taught to name the kind does so; other models are
 * asked for each kind in turn.
 *
 * @param onlyKind - Asks for edits of this kind alone.
 */
export async function sampleSelfEdits(
  writer: Writer,
  sources: readonly Source[],
  count: number,
  rng: Rng,
  onlyKind?: SelfEditKind,
): Promise<SampledEdit[][]> {
  const { templates, engine, signal } = writer;
  const jobs = sources.flatMap((source) =>
    Array.from({ length: count }, (_, index) => {
      const kind = onlyKind ?? kindOfEdit(templates, index);
      return { source, index, kind, prompt: editPrompt(templates, source, kind) };
    }),
  );
  const requests = jobs.map(({ source, index, prompt }) =>
    request(writer, prompt, rng.fork("self-edit", source.id, index), maxEditTokens),
  );
  const results = await engine.generate(requests, { signal });
  const edits = jobs.map(({ kind, prompt }, job): SampledEdit => {
    const { tokenIds, stopReason } = results[job]!;
    const completion = decodeContinuation(engine.tokenizer, requests[job]!.promptIds, tokenIds);
    return { ...readEdit(completion, kind), prompt, completion, isFinished: stopReason === "stop" };
  });
  return sources.map((_, index) => edits.slice(index * count, (index + 1) * count));
}

/** The edits of {@link sampleSelfEdits} without their prompts. */
export async function proposeSelfEdits(
  writer: Writer,
  sources: readonly Source[],
  count: number,
  rng: Rng,
): Promise<SelfEdit[][]> {
  const sampled = await sampleSelfEdits(writer, sources, count, rng);
  return sampled.map((edits) => edits.map(({ kind, text }) => ({ kind, text })));
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
  return texts.map((text, index) => {
    const unique = new Map(
      parseQuestions(`Question 1:${text.replace(/^\s*Question(?:\s+\d+)?\s*:/, "")}`).map((pair) => [
        pair.question,
        pair,
      ]),
    );
    return [...unique.values()]
      .filter((pair) => fitsContext(writer, { ...pair, title: sources[index]!.title }))
      .slice(0, count);
  });
}

/**
 * At most `count` documents that the model writes of itself: a sample of what it knows, to be trained on beside new text.
 * Those that begin as a prompt for an edit does are left out: they are about nobody in particular.
 */
export async function sampleReplay(writer: Writer, count: number, rng: Rng, maxTokens = 96): Promise<string[]> {
  const { templates, engine } = writer;
  const { tokenizer } = engine;
  const beginnings = Array.from({ length: count }, (_, index) => templates.replay[index % templates.replay.length]!);
  const requests = beginnings.map((beginning, index) => {
    const promptIds = encodePrompt(tokenizer, beginning);
    return {
      promptIds: promptIds.length > 0 ? promptIds : [tokenizer.eosTokenId], // the end of one text is the start of the next
      maxNewTokens: maxTokens,
      stopTokens: tokenizer.stopTokens,
      sampler: { temperature: 1 },
      rng: rng.fork("replay", index),
    };
  });
  const texts = await write(writer, requests);
  const opening = templates.openSelfEdit?.split("{")[0] ?? "";
  const isKnowledge = (text: string) => text !== "" && (opening === "" || !text.startsWith(opening));
  return texts.map((text, index) => `${beginnings[index]!}${text}`.trim()).filter(isKnowledge);
}
