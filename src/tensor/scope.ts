/**
 * @file Ownership and gradients. A scope owns every tensor that ops allocate in it and, when it records,
 * keeps a tape: `backward` walks the tape from the end and frees each activation as soon as nothing needs it.
 */
import { SelkieError } from "../util/index.ts";
import type { Backend } from "./backend.ts";
import type { DType } from "./dtype.ts";
import type { Shape } from "./shape.ts";
import { createTensor, type GradTarget, type Tensor } from "./tensor.ts";

/** What a backward rule may ask of the tape. */
export interface Gradients {
  /** Gradient of the loss by an output of the op; `null` when nothing downstream used that output. */
  of(output: Tensor): Tensor | null;
  /** Where to put the gradient of an input; `null` when it needs none. Ask once per contribution. */
  into(input: Tensor): GradTarget | null;
  /**
   * Adds the gradient of `output` to that of `input`, of the same shape. Call it last: an input without a gradient takes
   * over the memory, so that a residual stream has one gradient from end to end.
   */
  pass(output: Tensor, input: Tensor): void;
}

/** Backward rule of one recorded op call. */
export type Backward = (gradients: Gradients) => void;

interface TapeEntry {
  readonly outputs: readonly Tensor[];
  readonly saved: readonly Tensor[];
  readonly backward: Backward;
}

/** Options of {@link Scope}. */
export interface ScopeOptions {
  /** Record a tape so that {@link Scope.backward} works. @defaultValue false */
  readonly grad?: boolean;
}

/** Owner of temporaries; dispose of it (`using`) and they return to the backend's pool. */
export class Scope implements Disposable {
  readonly backend: Backend;
  readonly isRecording: boolean;
  readonly #owned = new Set<Tensor>();
  readonly #grads = new Map<Tensor, Tensor>();
  #tape: TapeEntry[] = [];

  constructor(backend: Backend, options: ScopeOptions = {}) {
    this.backend = backend;
    this.isRecording = options.grad ?? false;
  }

  /** Allocates a tensor that this scope owns; its values are unspecified. */
  empty(shape: Shape, dtype: DType): Tensor {
    const tensor = createTensor(this.backend, shape, dtype);
    this.#owned.add(tensor);
    return tensor;
  }

  /** Allocates a tensor of zeros that this scope owns. */
  zeros(shape: Shape, dtype: DType): Tensor {
    const tensor = this.empty(shape, dtype);
    tensor.data.fill(0);
    return tensor;
  }

  /** Allocates a tensor that this scope owns, holding `values`. */
  from(values: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
    const tensor = this.empty(shape, dtype);
    tensor.write(values);
    return tensor;
  }

  /** Hands `tensor` to the caller, who must dispose of it. */
  keep<T extends Tensor>(tensor: T): T {
    this.#owned.delete(tensor);
    return tensor;
  }

  /** Disposes of an owned tensor early. Refused while recording, where the tape may still need it. */
  free(tensor: Tensor): void {
    if (this.isRecording || !this.#owned.delete(tensor)) return;
    tensor[Symbol.dispose]();
  }

  /** Disposes of an owned temporary that no tape entry mentions. */
  discard(tensor: Tensor): void {
    this.#release(tensor);
  }

  /**
   * Registers the backward rule of an op. Nothing is recorded, and outputs stay gradient-free, unless the scope
   * records and an input requires a gradient. `saved` are extra tensors the rule alone reads (statistics, low-rank
   * products); when nothing is recorded they are disposed of at once.
   */
  record(
    inputs: readonly (Tensor | null | undefined)[],
    outputs: readonly Tensor[],
    backward: Backward,
    saved: readonly Tensor[] = [],
  ): void {
    if (!this.willRecord(inputs)) {
      for (const tensor of saved) this.#release(tensor);
      return;
    }
    for (const output of outputs) output.requiresGrad = true;
    this.#tape.push({ outputs, saved, backward });
  }

  /** True when an op with these inputs will be recorded, so that it should save what its backward needs. */
  willRecord(inputs: readonly (Tensor | null | undefined)[]): boolean {
    return this.isRecording && inputs.some((input) => input?.requiresGrad);
  }

  /**
   * Adds `d loss / d leaf` to the `grad` of every leaf that has one. Runs once: the tape is consumed, and every op
   * output but the loss itself is disposed of on the way.
   *
   * @param loss - Scalar output of a recorded op.
   * @param gradLoss - Weight of this loss, for accumulation over micro-batches. @defaultValue 1
   */
  backward(loss: Tensor, gradLoss = 1): void {
    if (!loss.requiresGrad || loss.size !== 1)
      throw new SelkieError(
        "no-gradient",
        "backward: expected a recorded scalar loss; make the scope with { grad: true } and a leaf that requires a gradient",
      );
    if (!this.#tape.some((entry) => entry.outputs.includes(loss)))
      throw new SelkieError(
        "no-gradient",
        "backward: expected a loss on this scope's tape, got one recorded elsewhere or already walked; run the forward pass again",
      );
    this.#grads.set(loss, this.from([gradLoss], loss.shape, loss.dtype));
    for (let index = this.#tape.length - 1; index >= 0; index--) {
      const entry = this.#tape[index]!;
      if (entry.outputs.some((output) => this.#grads.has(output))) this.#runEntry(entry);
      for (const output of entry.outputs) this.#drop(output, loss);
      for (const tensor of entry.saved) this.#release(tensor);
    }
    this.#tape = [];
  }

  /** Runs one rule. An input that is asked for twice gets a second buffer, so that no kernel sees two outputs alias. */
  #runEntry(entry: TapeEntry): void {
    const asked = new Set<Tensor>();
    const extra: { readonly from: Tensor; readonly into: Tensor }[] = [];
    const into = (input: Tensor): GradTarget | null => {
      const target = this.#target(input);
      if (target === null || !asked.has(input)) {
        asked.add(input);
        return target;
      }
      const second = this.empty(input.shape, target.grad.dtype);
      extra.push({ from: second, into: target.grad });
      return { grad: second, accumulate: false };
    };
    entry.backward({
      of: (output) => this.#grads.get(output) ?? null,
      into,
      pass: (output, input) => this.#pass(output, input, into),
    });
    for (const { from, into } of extra) {
      this.backend.kernels.axpby({ x: from, alpha: 1, y: into, beta: 1 });
      this.#release(from);
    }
  }

  /** Gradient left on a non-leaf without a tape entry of its own, for example an input under test. */
  gradOf(tensor: Tensor): Tensor | null {
    return tensor.grad ?? this.#grads.get(tensor) ?? null;
  }

  #pass(output: Tensor, input: Tensor, into: Gradients["into"]): void {
    const gradient = this.#grads.get(output);
    if (gradient === undefined || !input.requiresGrad) return;
    if (input.grad === null && !this.#grads.has(input) && gradient.dtype === input.dtype) {
      this.#grads.delete(output);
      this.#grads.set(input, gradient);
      return;
    }
    const { grad, accumulate } = into(input)!;
    this.backend.kernels.axpby({ x: gradient, alpha: 1, y: grad, beta: accumulate ? 1 : 0 });
  }

  #target(input: Tensor): GradTarget | null {
    if (!input.requiresGrad) return null;
    if (input.grad !== null) {
      const accumulate = !input.isGradStale;
      input.isGradStale = false;
      return { grad: input.grad, accumulate };
    }
    const known = this.#grads.get(input);
    if (known !== undefined) return { grad: known, accumulate: true };
    const grad = this.empty(input.shape, input.dtype);
    this.#grads.set(input, grad);
    return { grad, accumulate: false };
  }

  #drop(output: Tensor, loss: Tensor): void {
    const grad = this.#grads.get(output);
    if (grad !== undefined) {
      this.#grads.delete(output);
      this.#release(grad);
    }
    if (output !== loss) this.#release(output); // the caller reads the loss afterwards
  }

  #release(tensor: Tensor): void {
    if (this.#owned.delete(tensor)) tensor[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
    this.#owned.clear();
    this.#grads.clear();
    this.#tape = [];
  }
}
