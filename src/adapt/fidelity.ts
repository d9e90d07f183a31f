/**
 * @file What a number format costs: how far a model's predictions of text move from those of the same model in f32. Exams
 * notice little of it; log-probabilities of text show it long before an answer changes.
 */
import type { Engine } from "../engine/index.ts";
import { createWorld, pretrainingDocuments } from "../tasks/index.ts";
import type { Rng } from "../util/index.ts";

/** A model's predictions of the tokens of some texts, one entry for each token but the first of each text. */
export interface Predictions {
  /** Of the tokens that came, nats. */
  readonly logprobs: Float64Array;
  /** The most probable tokens. */
  readonly likeliest: Int32Array;
}

/** Distance of one model's predictions from another's. */
export interface Fidelity {
  readonly numTokens: number;
  /** Mean over tokens of (log-probability - reference), nats; negative is worse. */
  readonly meanDifferenceNats: number;
  readonly meanAbsoluteDifferenceNats: number;
  /** Share of positions whose likeliest token is the reference's. */
  readonly top1Agreement: number;
}

/** `count` texts of the kinds that the shipped model was trained on, drawn anew. */
export function heldOutTexts(rng: Rng, count: number): string[] {
  return pretrainingDocuments(createWorld(), rng).take(count).toArray();
}

/** Predicts every token of `texts`. */
export async function predictTexts(engine: Engine, texts: readonly string[]): Promise<Predictions> {
  const { model, tokenizer } = engine;
  const { eosTokenId } = tokenizer;
  const sequences = texts.map((text) => ({ tokenIds: [eosTokenId, ...tokenizer.encode(text), eosTokenId] }));
  const logprobs = (await engine.score(sequences)).flatMap((scores) => [...scores]);
  const likeliest: number[] = [];
  for (const sequence of sequences) {
    const [logits] = await engine.predict([sequence]); // [T · V]
    for (let row = 0; row + 1 < sequence.tokenIds.length; row++)
      likeliest.push(indexOfLargest(logits!, row * model.vocabSize, (row + 1) * model.vocabSize));
  }
  return { logprobs: Float64Array.from(logprobs), likeliest: Int32Array.from(likeliest) };
}

/** Position of the first largest of `values[begin .. end)`, from `begin`. */
function indexOfLargest(values: ArrayLike<number>, begin: number, end: number): number {
  let best = begin;
  for (let index = begin + 1; index < end; index++) if (values[index]! > values[best]!) best = index;
  return best - begin;
}

/** Compares predictions of the same texts. */
export function compareFidelity(reference: Predictions, other: Predictions): Fidelity {
  const differences = other.logprobs.map((logprob, index) => logprob - reference.logprobs[index]!);
  const same = other.likeliest.filter((tokenId, index) => tokenId === reference.likeliest[index]).length;
  const numTokens = differences.length;
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  return {
    numTokens,
    meanDifferenceNats: sum(differences) / numTokens,
    meanAbsoluteDifferenceNats: sum(differences.map(Math.abs)) / numTokens,
    top1Agreement: same / numTokens,
  };
}
