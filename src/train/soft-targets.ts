/**
 * @file Distillation: what a teacher expects at each token of a document, recorded as its likeliest tokens. The teacher may
 * read something before the document that the student will not see (context distillation), or be the student's own
 * former self (an anchor: cross-entropy to it differs from the KL divergence by a constant).
 * Twenty tokens do as well as the whole vocabulary in published comparisons; the rest of the mass is left out and the kept
 * probabilities are scaled to sum to 1.
 */
import type { CausalLm } from "../models/index.ts";
import { gatherRows, linear, packedLayout, Scope } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { cutByRows, type SoftTargets } from "./data.ts";

/** A document, and what the teacher reads before it. */
export interface TaughtDocument {
  readonly tokenIds: ArrayLike<number>;
  /** What stands before the document for the teacher; empty when it sees what the student sees. */
  readonly prefix: ArrayLike<number>;
  /** Leading tokens that the prefix replaces, such as a beginning-of-text token. @defaultValue 0 */
  readonly numReplaced?: number;
}

/** Options of {@link softTargetsOf}. */
export interface SoftTargetsOptions {
  /** Tokens recorded at each place. @defaultValue 20 */
  readonly topK?: number;
  /** Rows of one forward pass. @defaultValue 2048 */
  readonly maxTokensPerBatch?: number;
}

/** The `count` largest of a row of logits as probabilities that sum to 1. */
function largest(logits: ArrayLike<number>, count: number): { tokenIds: number[]; probs: number[] } {
  const tokenIds: number[] = [];
  for (let token = 0; token < logits.length; token++) {
    if (tokenIds.length === count && !(logits[token]! > logits[tokenIds.at(-1)!]!)) continue;
    let place = tokenIds.length;
    while (place > 0 && logits[token]! > logits[tokenIds[place - 1]!]!) place--;
    tokenIds.splice(place, 0, token);
    if (tokenIds.length > count) tokenIds.pop();
  }
  const weights = tokenIds.map((token) => Math.exp(logits[token]! - logits[tokenIds[0]!]!));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { tokenIds, probs: weights.map((weight) => weight / total) };
}

/**
 * What the teacher `lm` expects at each token of each document.
 *
 * @throws {@link SelkieError} `"bad-input"` for a document that is too long with its prefix, `"bad-option"` for a `topK` below 1.
 */
export function softTargetsOf(
  lm: CausalLm,
  documents: readonly TaughtDocument[],
  options: SoftTargetsOptions = {},
): SoftTargets[] {
  const { maxTokensPerBatch = 2048, topK: wanted = 20 } = options;
  if (!Number.isInteger(wanted) || wanted < 1)
    throw new SelkieError("bad-option", `distillation: expected at least 1 token at each place, got topK ${wanted}`);
  const topK = Math.min(wanted, lm.vocabSize);
  const taught = documents.map((document, index) => {
    const tokenIds = [
      ...Array.from(document.prefix),
      ...Array.from(document.tokenIds).slice(document.numReplaced ?? 0),
    ];
    if (tokenIds.length > lm.maxSeqLen)
      throw new SelkieError(
        "bad-input",
        `distillation: document ${index}: expected at most ${lm.maxSeqLen} tokens with what stands before it, got ${tokenIds.length}; cut the passage shorter`,
      );
    const size = document.tokenIds.length * topK;
    const targets: SoftTargets = { topK, tokenIds: new Int32Array(size), probs: new Float32Array(size) };
    return { document, tokenIds, targets };
  });
  lm.parameters.freeze();
  for (const group of cutByRows(taught, ({ tokenIds }) => tokenIds.length, maxTokensPerBatch)) teach(lm, group, topK);
  return taught.map(({ targets }) => targets);
}

function teach(
  lm: CausalLm,
  group: readonly { document: TaughtDocument; tokenIds: readonly number[]; targets: SoftTargets }[],
  topK: number,
): void {
  const offsets = new Int32Array(group.length + 1);
  group.forEach(({ tokenIds }, index) => {
    offsets[index + 1] = offsets[index]! + tokenIds.length;
  });
  const tokenIds = Int32Array.from(group.flatMap((item) => item.tokenIds));
  const positionIds = Int32Array.from(group.flatMap((item) => [...item.tokenIds.keys()]));
  // token t of a document stands `shift` places later before the teacher; the row before it predicts it
  const places = group.flatMap(({ document }, index) => {
    const shift = document.prefix.length - (document.numReplaced ?? 0);
    const places: { index: number; token: number; row: number }[] = [];
    for (let token = 1; token < document.tokenIds.length; token++)
      if (token + shift > 0) places.push({ index, token, row: offsets[index]! + token + shift - 1 });
    return places;
  });
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, { tokenIds, positionIds, layout: packedLayout(offsets) });
  const rows = gatherRows(
    scope,
    hidden,
    Int32Array.from(places, ({ row }) => row),
  );
  const dtype = hidden.dtype === "f64" ? "f64" : "f32";
  const logits = linear(scope, rows, lm.outputWeight, { compute: lm.precision.compute, dtype }).readSync();
  places.forEach(({ index, token }, place) => {
    const found = largest(logits.subarray(place * lm.vocabSize, (place + 1) * lm.vocabSize), topK);
    const { targets } = group[index]!;
    targets.tokenIds.set(found.tokenIds, token * topK);
    targets.probs.set(found.probs, token * topK);
  });
}
