/**
 * @file Who writes the edits: the policy itself, another checkpoint, or a server that speaks OpenAI's completion protocol.
 * What a teacher writes is put as the policy would have written it, so that the policy can learn from the best of it.
 */
import PQueue from "p-queue";
import type { Rng } from "../../util/index.ts";
import { complete, type Endpoint, resourceOf } from "../endpoint.ts";
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
export interface EndpointOptions extends Endpoint {
  /** @defaultValue those for models that were not taught a format */
  readonly templates?: PromptTemplates;
  /** @defaultValue 1024 */
  readonly maxTokens?: number;
  /** Requests under way at once. @defaultValue 8 */
  readonly maxConcurrent?: number;
}

/** A server writes; completions where it has them, else chat. The server's sampling is its own: only what is recorded repeats. */
export function endpointTeacher(options: EndpointOptions): EditWriter {
  const { templates = defaultTemplates, maxTokens = 1024, maxConcurrent = 8 } = options;
  resourceOf(options.url); // refused before anything is asked
  return async (policy, sources, count, rng) => {
    const queue = new PQueue({ concurrency: maxConcurrent });
    const write = async (source: Source, index: number): Promise<SampledEdit> => {
      const kind = kindOfEdit(templates, index);
      const prompt = editPrompt(templates, source, kind);
      const seed = rng.fork("teacher", source.id, index).nextUint32() >>> 1; // some servers take 31 bits
      const answer = await complete(options, { prompt, maxTokens, seed, signal: policy.signal });
      return asPolicyEdit(policy.templates, source, readEdit(trim(answer.text, kind), kind), answer.isFinished);
    };
    const editsOf = (source: Source): Promise<SampledEdit[]> =>
      Promise.all(Array.from({ length: count }, (_, index) => queue.add(() => write(source, index))));
    try {
      return await Promise.all(sources.map(editsOf));
    } finally {
      queue.clear(); // after a failure, what has not begun
    }
  };
}

/** Chat models repeat the beginning that they were to go on from. */
const trim = (text: string, kind: SelfEditKind | null): string =>
  kind === "self-qa" ? text.replace(/^\s*Question 1:/, "") : text.trimStart();
