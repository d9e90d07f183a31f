/**
 * @file What a model says of texts: its log-probabilities over the whole vocabulary, how far they moved from the base's, and
 * completions. With or without an adapter.
 */
import type { AdapterId, Engine, EngineRequest } from "../../engine/index.ts";
import { answerStops, decodeContinuation, encodePrompt } from "../../models/index.ts";
import { createRng, ShapeError } from "../../util/index.ts";
import type { CompletionRequest } from "./method.ts";

/** Log-probabilities of every next token of each probe, nats: `[T, V]` flattened, one array per probe. */
export async function predictLogprobs(
  engine: Engine,
  probes: readonly (readonly number[])[],
  adapter: AdapterId | null = null,
): Promise<Float32Array[]> {
  const { vocabSize } = engine.model;
  const predictions = await engine.predict(probes.map((tokenIds) => ({ tokenIds, adapter })));
  for (const logits of predictions)
    for (let row = 0; row < logits.length; row += vocabSize) normalise(logits.subarray(row, row + vocabSize));
  return predictions;
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

/** Goes on with texts, all of them by the model alone, or by an adapter that the engine knows. */
export async function completeTexts(
  engine: Engine,
  requests: readonly CompletionRequest[],
  adapter: AdapterId | null = null,
  signal?: AbortSignal,
): Promise<string[]> {
  const { model, tokenizer } = engine;
  const prompts = requests.map(({ prompt }) => encodePrompt(tokenizer, prompt));
  const stopsOfLine = answerStops(tokenizer);
  const results = await engine.generate(
    requests.map(({ maxNewTokens, seed, isLine }, index): EngineRequest => {
      const promptIds = prompts[index]!;
      return {
        promptIds,
        maxNewTokens: Math.max(1, Math.min(maxNewTokens, model.maxSeqLen - promptIds.length)),
        stopTokens: isLine ? stopsOfLine : tokenizer.stopTokens,
        ...(seed !== null && { sampler: editSampler, rng: createRng(seed) }),
        adapter,
      };
    }),
    { signal },
  );
  return results.map(({ tokenIds }, index) => decodeContinuation(tokenizer, prompts[index]!, tokenIds));
}
