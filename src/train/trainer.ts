/**
 * @file The one trainer: any parameters, any objective, any chain of gradient transforms. An update is two calls,
 * `differentiate` (data → objective → gradient) and `update` (gradient → chain → parameters). Parameters are one group,
 * or many that are trained side by side, each with a loss, a norm and settings of its own.
 * `train.ts` drives one group from a source, `adapter-bank.ts` many that begin and end at different times.
 */
import type { CausalLm } from "../models/index.ts";
import {
  type GradientTransform,
  groupNorms,
  LoraBank,
  type LoraConfig,
  Optimizer,
  type ParameterStore,
  type StoreRun,
  type UpdateGroup,
} from "../nn/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import { cutByRows, type PreparedDocument } from "./data.ts";
import type { Objective, ObjectiveTokens, ObjectiveValue } from "./objective.ts";
import { type AdaptersOf, differentiate, entriesOf, measure, sequenceNats } from "./step.ts";

/** The parameters in training, and what a forward pass needs for them. */
export interface Trainee extends Disposable {
  readonly lm: CausalLm;
  /** With gradients enabled. */
  readonly store: ParameterStore;
  /** Adapters over the frozen model; `null` when the model itself is trained. */
  readonly bank: LoraBank | null;
  /** Parts of the store that are trained as one: all of it, or each adapter. */
  readonly groups: readonly (readonly StoreRun[])[];
}

const wholeOf = (store: ParameterStore): Trainee["groups"] => [[{ offset: 0, length: store.flat.size }]];

/** Every parameter of a model. Refuses weights that cannot be trained. */
export function wholeModel(lm: CausalLm, who = "training"): Trainee {
  if (lm.precision.params === "bf16")
    throw new SelkieError(
      "bad-option",
      `${who}: expected f32 weights, got bf16, which loses small updates; load the model with bf16TrainPrecision`,
    );
  if (lm.parameters.isQuantised)
    throw new SelkieError(
      "bad-option",
      `${who}: expected weights in f32, got ${lm.precision.weights}, which only adapters can be trained on; load the model without quantised weights`,
    );
  lm.parameters.enableGrad();
  const store = lm.parameters;
  return { lm, store, bank: null, groups: wholeOf(store), [Symbol.dispose]: () => store.disableGrad() };
}

/** What has a bank. */
export type AdapterTrainee = Trainee & { readonly bank: LoraBank };

/** Adapters over a frozen model, all zero, a group each. */
export function adaptersOver(lm: CausalLm, configs: readonly LoraConfig[]): AdapterTrainee {
  lm.parameters.disableGrad(); // no gradients, no activations kept for them
  lm.parameters.freeze();
  const bank = new LoraBank(lm.backend, lm.linearLayers, configs);
  bank.parameters.enableGrad();
  const groups = configs.map((_, place) => bank.runsOf(place));
  return { lm, store: bank.parameters, bank, groups, [Symbol.dispose]: () => bank[Symbol.dispose]() };
}

/** One fresh adapter over a frozen model. */
export function oneAdapter(lm: CausalLm, lora: LoraConfig, rng: Rng): AdapterTrainee {
  const trainee = adaptersOver(lm, [lora]);
  trainee.bank.initialize(0, rng);
  return { ...trainee, groups: wholeOf(trainee.store) };
}

/** What one group is to learn in an update. */
export interface GroupWork {
  readonly group: number;
  /** At least one, each with something to learn; those of one datum in order. */
  readonly sequences: readonly PreparedDocument[];
  /** Data of the update; `documentIndex` of a sequence says which it is from. */
  readonly numData: number;
  readonly objective: Objective;
}

/** What an update found for one group, before it. */
export interface GroupLoss {
  readonly loss: number;
  /** `-Σ weights · logprobs` per supervised token, without tokens that the objective gives no gradient where it is linear. */
  readonly natsPerToken: number;
  /** Rows of one pass. */
  readonly numRows: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** One group's work, taken apart into entries. */
class GroupUpdate {
  readonly work: GroupWork;
  readonly tokens: ObjectiveTokens;
  readonly #logprobs: Float64Array;
  /** Known before the forward pass where the objective is linear. */
  #value: ObjectiveValue | null = null;

  constructor(work: GroupWork) {
    const { sequences, numData, objective } = work;
    const entries = sequences.map(entriesOf);
    const offsets = new Int32Array(numData + 1);
    const numTokens = new Array<number>(numData).fill(0);
    sequences.forEach(({ documentIndex, numSupervised }, index) => {
      offsets[documentIndex + 1]! += entries[index]!.rows.length;
      numTokens[documentIndex]! += numSupervised;
    });
    for (let datum = 0; datum < numData; datum++) offsets[datum + 1]! += offsets[datum]!;
    const weights = Float32Array.from(entries.flatMap((own) => Array.from(own.weights)));
    this.work = work;
    this.#logprobs = new Float64Array(weights.length);
    this.tokens = { offsets, weights, numTokens, extras: extrasOf(sequences, objective), logprobs: this.#logprobs };
  }

  get isMeasured(): boolean {
    return !this.work.objective.isLinear;
  }

  get value(): ObjectiveValue {
    this.#value ??= this.work.objective.evaluate(this.tokens);
    return this.#value;
  }

  /** Keeps what was measured before the gradient was known: a second pass leaves out entries without one. */
  record(logprobs: Float64Array, first: number): void {
    if (this.#value === null || this.work.objective.isLinear) this.#logprobs.set(logprobs, first);
  }

  /** Once log-probabilities are on record. */
  toLoss(): GroupLoss {
    const { sequences, objective } = this.work;
    const { loss, metrics = {} } = objective.isLinear ? objective.evaluate(this.tokens) : this.value;
    const nats = sequenceNats(sequences, this.#logprobs).reduce((total, value) => total + value, 0);
    const numSupervised = this.tokens.numTokens.reduce((total, count) => total + count, 0);
    const numRows = sequences.reduce((total, sequence) => total + sequence.numUsefulRows, 0);
    return { loss, natsPerToken: nats / numSupervised, numRows, metrics };
  }
}

/** Extras that an objective needs, by entry. */
function extrasOf(sequences: readonly PreparedDocument[], { needs = [], name }: Objective): ObjectiveTokens["extras"] {
  const values = needs.map((extra): [string, Float64Array] => {
    const all = sequences.flatMap((sequence) => {
      const own = sequence.extras[extra];
      if (own === undefined || sequence.softTargets !== null)
        throw new SelkieError(
          "bad-input",
          `${name}: expected ${extra} for each token of datum ${sequence.documentIndex}, and no soft targets; put them in its extras`,
        );
      return Array.from(entriesOf(sequence).rows, (row) => own[row]!);
    });
    return [extra, Float64Array.from(all)];
  });
  return Object.fromEntries(values);
}

/** A sequence of an update, whose entries are `first .. end` there. */
interface UpdatePart {
  readonly update: GroupUpdate;
  readonly sequence: PreparedDocument;
  readonly first: number;
  readonly end: number;
}

function partsOf(update: GroupUpdate): UpdatePart[] {
  let end = 0;
  return update.work.sequences.map((sequence) => {
    const first = end;
    end += sequence.numSupervised * (sequence.softTargets?.topK ?? 1);
    return { update, sequence, first, end };
  });
}

/** Hands each update its own share of the log-probabilities of some parts. */
function record(parts: readonly UpdatePart[], logprobs: Float64Array): void {
  let at = 0;
  for (const { update, first, end } of parts) {
    update.record(logprobs.subarray(at, at + end - first), first);
    at += end - first;
  }
}

/** Row ranges per place for parts in ascending order of group, `[G + 1]`. */
function segmentsOf(parts: readonly UpdatePart[], offsets: Int32Array, numPlaces: number): Int32Array {
  const segments = new Int32Array(numPlaces + 1);
  parts.forEach(({ update }, index) => {
    segments[update.work.group + 1]! += offsets[index + 1]! - offsets[index]!;
  });
  for (let place = 0; place < numPlaces; place++) segments[place + 1]! += segments[place]!;
  return segments;
}

/** Parameters, their optimizer, and the size of a forward pass. */
export class Trainer implements Disposable {
  readonly trainee: Trainee;
  readonly optimizer: Optimizer;
  readonly #maxRows: number;

  /** `maxRows`: rows of one forward pass; more take several, whose gradients are summed. The caller disposes the trainee. */
  constructor(trainee: Trainee, transform: GradientTransform, maxRows: number) {
    this.trainee = trainee;
    this.optimizer = new Optimizer(trainee.store, transform);
    this.#maxRows = maxRows;
  }

  /** A group that has had `step` updates. */
  groupOf(group: number, step: number): UpdateGroup {
    return { group, runs: this.trainee.groups[group]!, step };
  }

  /** Puts the gradients of some groups, in ascending order, in the store, and zeros for the others. */
  differentiate(work: readonly GroupWork[]): GroupLoss[] {
    const { lm, store } = this.trainee;
    const updates = work.map((own) => new GroupUpdate(own));
    const parts = updates.flatMap(partsOf);
    const batches = this.#cut(parts);
    const isMeasured = parts.some(({ update }) => update.isMeasured);
    if (isMeasured && batches.length > 1)
      for (const batch of this.#cut(parts.filter(({ update }) => update.isMeasured)))
        record(batch, measure(lm, sequencesOf(batch), this.#adaptersOf(batch)));
    store.zeroGrad();
    for (const batch of batches) {
      const coefficients = () =>
        batch.flatMap(({ update, first, end }) =>
          Array.from(update.value.gradient.subarray(first, end), (slope) => 0 - slope),
        );
      const whenMeasured = (logprobs: Float64Array) => {
        record(batch, logprobs);
        return coefficients();
      };
      const isWhole = isMeasured && batches.length === 1; // then one pass does
      const wanted = isWhole ? whenMeasured : coefficients();
      record(batch, differentiate(lm, sequencesOf(batch), wanted, this.#adaptersOf(batch)));
    }
    return updates.map((update) => update.toLoss());
  }

  /** Norms of the gradients of some groups. */
  norms(groups: readonly UpdateGroup[]): number[] {
    return groupNorms(this.trainee.store, groups);
  }

  #cut(parts: readonly UpdatePart[]): UpdatePart[][] {
    return cutByRows(parts, ({ sequence }) => sequence.numUsefulRows, this.#maxRows);
  }

  #adaptersOf(parts: readonly UpdatePart[]): AdaptersOf {
    const { bank } = this.trainee;
    return bank && ((offsets) => bank.batch(segmentsOf(parts, offsets, bank.configs.length)));
  }

  [Symbol.dispose](): void {
    this.optimizer[Symbol.dispose]();
  }
}

const sequencesOf = (parts: readonly UpdatePart[]): PreparedDocument[] => parts.map(({ sequence }) => sequence);
