/**
 * @file Who writes the edits: the policy itself, another checkpoint, or a server that speaks OpenAI's completion protocol.
 * What a teacher writes is put as the policy would have written it, so that the policy can learn from the best of it.
 */
import type { Rng } from "../../util/index.ts";
import { SelkieError } from "../../util/index.ts";
import { defaultTemplates, type PromptTemplates, type SelfEditKind } from "../prompts.ts";
import {
  editPrompt,
  kindOfEdit,
  readEdit,
  type SampledEdit,
  type Source,
  sampleSelfEdits,
  type Writer,
} from "../propose.ts";
import type { SelfEdit } from "../self-edit.ts";

/** Writes `count` edits of each source, as completions of the policy's own prompt. */
export type EditWriter = (
  policy: Writer,
  sources: readonly Source[],
  count: number,
  rng: Rng,
) => Promise<SampledEdit[][]>;

/** The policy writes. */
export const policyWriter: EditWriter = (policy, sources, count, rng) => sampleSelfEdits(policy, sources, count, rng);

/** The policy writes, asked for edits of one kind by that kind's prompt, whatever kinds it would choose. */
export const kindWriter =
  (kind: SelfEditKind): EditWriter =>
  (policy, sources, count, rng) =>
    sampleSelfEdits(policy, sources, count, rng, kind);

/** How the policy would have written `edit`. */
export function asPolicyEdit(
  templates: PromptTemplates,
  source: Source,
  edit: SelfEdit,
  isFinished: boolean,
): SampledEdit {
  const { kind, text } = edit;
  if (templates.openSelfEdit !== null)
    return { kind, text, prompt: editPrompt(templates, source, null), completion: ` ${kind}\n${text}`, isFinished };
  const completion = kind === "self-qa" ? text.replace(/^\s*Question 1:/, "") : text;
  return { kind, text, prompt: editPrompt(templates, source, kind), completion, isFinished };
}

/** Another checkpoint writes, asked by its own templates. */
export const checkpointTeacher =
  (teacher: Writer): EditWriter =>
  async (policy, sources, count, rng) => {
    const signal = policy.signal;
    const edits = await sampleSelfEdits({ ...teacher, signal }, sources, count, rng);
    return edits.map((list, index) =>
      list.map((edit) => asPolicyEdit(policy.templates, sources[index]!, edit, edit.isFinished)),
    );
  };

/** Where an OpenAI-compatible server is, and how it is asked. */
export interface EndpointOptions {
  /** Its base (`http://host:8000/v1`) or the full path of a completions or chat-completions resource. */
  readonly url: string;
  readonly model: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string | undefined;
  /** @defaultValue those for models that were not taught a format */
  readonly templates?: PromptTemplates;
  /** @defaultValue 1024 */
  readonly maxTokens?: number;
  /** Requests under way at once. @defaultValue 8 */
  readonly maxConcurrent?: number;
  /** Seconds after which a request is given up. @defaultValue 120 */
  readonly timeoutSeconds?: number;
  /** Tries of one request; refusals that cannot change (4xx but 429) are not repeated. @defaultValue 3 */
  readonly maxTries?: number;
}

/** A server writes; completions where it has them, else chat. The server's sampling is its own: only what is recorded repeats. */
export function endpointTeacher(options: EndpointOptions): EditWriter {
  const { templates = defaultTemplates, maxConcurrent = 8 } = options;
  const url = resourceOf(options.url);
  return async (policy, sources, count, rng) => {
    const jobs = sources.flatMap((source) =>
      Array.from({ length: count }, (_, index) => ({
        source,
        kind: kindOfEdit(templates, index),
        seed: rng.fork("teacher", source.id, index).nextUint32() >>> 1, // some servers take 31 bits
      })),
    );
    const edits = await inParallel(jobs, maxConcurrent, async ({ source, kind, seed }) => {
      const answer = await complete(url, options, editPrompt(templates, source, kind), seed, policy.signal);
      return asPolicyEdit(policy.templates, source, readEdit(trim(answer.text, kind), kind), answer.isFinished);
    });
    return sources.map((_, index) => edits.slice(index * count, (index + 1) * count));
  };
}

/** Chat models repeat the beginning that they were to go on from. */
const trim = (text: string, kind: SelfEditKind | null): string =>
  kind === "self-qa" ? text.replace(/^\s*Question 1:/, "") : text.trimStart();

function resourceOf(address: string): URL {
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw new SelkieError(
      "bad-option",
      `--teacher: expected a checkpoint directory or an http(s) address, got "${address}"`,
      { cause },
    );
  }
  if (!url.pathname.endsWith("/completions")) url.pathname = `${url.pathname.replace(/\/+$/, "")}/completions`;
  return url;
}

interface Completion {
  readonly text: string;
  readonly isFinished: boolean;
}

async function complete(
  url: URL,
  options: EndpointOptions,
  prompt: string,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Completion> {
  const { model, apiKey, maxTokens = 1024, timeoutSeconds = 120, maxTries = 3 } = options;
  const question = url.pathname.endsWith("/chat/completions")
    ? { messages: [{ role: "user", content: prompt }] }
    : { prompt };
  const body = JSON.stringify({ model, ...question, max_tokens: maxTokens, temperature: 1, top_p: 0.95, seed });
  const headers = { "content-type": "application/json", ...(apiKey && { authorization: `Bearer ${apiKey}` }) };
  for (let attempt = 1; ; attempt++) {
    const limit = AbortSignal.timeout(1000 * timeoutSeconds);
    const reply = await fetch(url, {
      method: "POST",
      headers,
      body,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
      .then(async (response) => ({ status: response.status, text: await response.text() }))
      .catch((cause: unknown) => ({ status: 0, text: cause instanceof Error ? describe(cause) : String(cause) }));
    signal?.throwIfAborted();
    const completion = reply.status === 200 ? readCompletion(reply.text) : null;
    if (completion !== null) return completion;
    const isFinal = reply.status === 200 || (reply.status >= 400 && reply.status < 500 && reply.status !== 429);
    if (isFinal || attempt >= maxTries)
      throw new SelkieError(
        "teacher-failed",
        `${url.href}: expected a completion, got ${reply.status === 0 ? "no answer" : `HTTP ${reply.status}`}: ${reply.text.slice(0, 200)}; check the address and --teacher-model, then run the same command again`,
      );
  }
}

const describe = (error: Error): string =>
  error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;

/** Text of an answer in either form; `null` when it is neither. */
function readCompletion(text: string): Completion | null {
  try {
    const { choices } = JSON.parse(text) as {
      choices: { text?: string; message?: { content?: string }; finish_reason?: string }[];
    };
    const content = choices[0]?.text ?? choices[0]?.message?.content;
    return typeof content === "string" ? { text: content, isFinished: choices[0]?.finish_reason !== "length" } : null;
  } catch {
    return null; // not JSON of that form; the caller says what came
  }
}

/** Results of `work` in the order of `items`, a few under way at a time; the first failure ends it. */
async function inParallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      try {
        results[index] = await work(items[index]!);
      } catch (error) {
        next = items.length; // the other lanes end with what they have under way
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}
