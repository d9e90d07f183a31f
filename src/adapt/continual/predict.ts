/**
 * @file What a model says of texts: its log-probabilities over the whole vocabulary, how far they moved from the base's, and
 * completions. With or without an adapter of a bank.
 */
import { type GenerateRequest, generate } from "../../generate/index.ts";
import { answerStops, type CausalLm, type Checkpoint, decodeContinuation, encodePrompt } from "../../models/index.ts";
import type { LoraBank } from "../../nn/index.ts";
import { linear, packedLayout, Scope } from "../../tensor/index.ts";
import { createRng, ShapeError } from "../../util/index.ts";
import type { CompletionRequest } from "./method.ts";

/** An adapter of a bank, for calls that answer with the model alone where they get `null`. */
export interface WithAdapter {
  readonly bank: LoraBank;
  readonly adapterIndex: number;
}

/** Logits held at once. */
const maxLogits = 1 << 22;

/** Log-probabilities of every next token of each probe, nats: `[T, V]` flattened, one array per probe. */
export function predictLogprobs(
  lm: CausalLm,
  probes: readonly (readonly number[])[],
  withAdapter: WithAdapter | null = null,
): Float32Array[] {
  lm.parameters.freeze();
  const rowsAtOnce = Math.max(1, Math.floor(maxLogits / lm.vocabSize));
  const results: Float32Array[] = [];
  for (let from = 0; from < probes.length; ) {
    let to = from;
    for (let rows = 0; to < probes.length; to++) {
      rows += probes[to]!.length;
      if (to > from && rows > rowsAtOnce) break;
    }
    results.push(...predictGroup(lm, probes.slice(from, to), withAdapter));
    from = to;
  }
  return results;
}

function predictGroup(
  lm: CausalLm,
  probes: readonly (readonly number[])[],
  withAdapter: WithAdapter | null,
): Float32Array[] {
  const offsets = Int32Array.from({ length: probes.length + 1 }, (_, end) =>
    probes.slice(0, end).reduce((total, probe) => total + probe.length, 0),
  );
  const batch = {
    tokenIds: Int32Array.from(probes.flat()),
    positionIds: Int32Array.from(probes.flatMap((probe) => [...probe.keys()])),
    layout: packedLayout(offsets),
  };
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, batch, { adapters: adaptersOf(withAdapter, batch.tokenIds.length) }); // [N, D]
  const logits = linear(scope, hidden, lm.outputWeight, { compute: lm.precision.compute, dtype: "f32" }).readSync();
  return probes.map((_, index) => {
    const own = Float32Array.from(logits.subarray(offsets[index]! * lm.vocabSize, offsets[index + 1]! * lm.vocabSize));
    for (let row = 0; row < own.length; row += lm.vocabSize) normalise(own.subarray(row, row + lm.vocabSize));
    return own;
  });
}

function adaptersOf(withAdapter: WithAdapter | null, numRows: number): ReturnType<LoraBank["batch"]> | null {
  if (withAdapter === null) return null;
  const { bank, adapterIndex } = withAdapter;
  return bank.batch(Int32Array.from({ length: bank.configs.length + 1 }, (_, g) => (g > adapterIndex ? numRows : 0)));
}

/** Logits to log-probabilities, in place. */
function normalise(row: Float32Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of row) if (logit > largest) largest = logit;
  let total = 0;
  for (const logit of row) total += Math.exp(logit - largest);
  const shift = largest + Math.log(total);
  for (let token = 0; token < row.length; token++) row[token]! -= shift;
}

/**
 * Mean over positions of KL(base ‖ present), nats per token: what an observer who expects the base is surprised by.
 *
 * @throws {@link ShapeError} when the two are not of the same probes.
 */
export function meanKl(base: readonly Float32Array[], present: readonly Float32Array[], vocabSize: number): number {
  const sizes = (arrays: readonly Float32Array[]) => arrays.map(({ length }) => length).join(" ");
  if (sizes(base) !== sizes(present)) throw new ShapeError("meanKl", sizes(base), sizes(present));
  let total = 0;
  let count = 0;
  base.forEach((p, index) => {
    const q = present[index]!;
    for (let at = 0; at < p.length; at++) {
      const logP = p[at]!;
      if (logP > -30) total += Math.exp(logP) * (logP - q[at]!); // below, less than 1e-11 nats even at q = e^-100
    }
    count += p.length / vocabSize;
  });
  return count === 0 ? 0 : Math.max(0, total / count);
}

/** SEAL samples edits at temperature 1 with top-p 0.95. */
const editSampler = { temperature: 1, topP: 0.95 };

/** Goes on with texts, all of them by the model, or by the adapter. */
export async function completeTexts(
  { lm, tokenizer }: Checkpoint,
  requests: readonly CompletionRequest[],
  withAdapter: WithAdapter | null = null,
  signal?: AbortSignal,
): Promise<string[]> {
  const prompts = requests.map(({ prompt }) => encodePrompt(tokenizer, prompt));
  const stopsOfLine = answerStops(tokenizer);
  const results = await generate(
    lm,
    requests.map(({ maxNewTokens, seed, isLine }, index): GenerateRequest => {
      const promptIds = prompts[index]!;
      return {
        promptIds,
        maxNewTokens: Math.max(1, Math.min(maxNewTokens, lm.maxSeqLen - promptIds.length)),
        stopTokens: isLine ? stopsOfLine : tokenizer.stopTokens,
        ...(seed !== null && { sampler: editSampler, rng: createRng(seed) }),
        ...(withAdapter && { adapterIndex: withAdapter.adapterIndex }),
      };
    }),
    { logprobs: false, ...(withAdapter && { bank: withAdapter.bank }), signal },
  );
  return results.map(({ tokenIds }, index) => decodeContinuation(tokenizer, prompts[index]!, tokenIds));
}
