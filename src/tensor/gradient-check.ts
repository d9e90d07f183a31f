/**
 * @file Checks a backward rule against central finite differences, in f64 on the reference backend.
 * A new op needs one row: its inputs and how to call it.
 */
import { strict as assert } from "node:assert";
import { createRng, type Rng } from "../util/index.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import { weightedSum } from "./ops/index.ts";
import { Scope } from "./scope.ts";
import { numElements, type Shape } from "./shape.ts";
import { type Tensor, tensorOf, zeros } from "./tensor.ts";

/** An input: normal numbers of a shape, or values of one's own; `frozen` inputs get no gradient. */
export interface GradientInput {
  readonly shape: Shape;
  readonly values?: (rng: Rng) => ArrayLike<number>;
  readonly frozen?: boolean;
}

/** One op, or a chain of them, on named f64 inputs. */
export interface GradientCase<Name extends string = string> {
  readonly title: string;
  readonly inputs: { readonly [N in Name]: Shape | GradientInput };
  /** Any output; unless it is a scalar, a sum with random weights makes it one. */
  run(scope: Scope, inputs: { readonly [N in Name]: Tensor }): Tensor;
}

/** Types the names of a case's inputs from its table row. */
export function gradientCase<Name extends string>(row: GradientCase<Name>): GradientCase {
  return row as GradientCase;
}

const stepSize = 1e-5; // truncation error h² and rounding error 1e-16 / h are both near 1e-10
const tolerance = 1e-6;

type Tensors = { readonly [name: string]: Tensor };

/** Runs the case in a fresh scope and hands the scalar loss to `use`. */
function withLoss<Result>(
  row: GradientCase,
  inputs: Tensors,
  grad: boolean,
  use: (scope: Scope, loss: Tensor) => Result,
): Result {
  const backend = Object.values(inputs)[0]!.backend;
  using scope = new Scope(backend, { grad });
  const output = row.run(scope, inputs);
  if (output.size === 1) return use(scope, output);
  const rng = createRng(`weights of ${row.title}`);
  const weights = scope.from(
    Float64Array.from({ length: output.size }, () => rng.normal()),
    output.shape,
    "f64",
  );
  return use(scope, weightedSum(scope, output, weights));
}

/** Slope of the loss along every element of `input`. */
function finiteDifferences(row: GradientCase, inputs: Tensors, input: Tensor): Float64Array {
  const lossAt = (index: number, value: number): number => {
    input.data[index] = value;
    return withLoss(row, inputs, false, (_, loss) => loss.readSync()[0]!);
  };
  const slopes = new Float64Array(input.size);
  for (let i = 0; i < slopes.length; i++) {
    const center = input.data[i]!;
    slopes[i] = (lossAt(i, center + stepSize) - lossAt(i, center - stepSize)) / (2 * stepSize);
    input.data[i] = center;
  }
  return slopes;
}

function compareGradients(label: string, got: ArrayLike<number>, expected: Float64Array): void {
  const size = Math.sqrt(expected.reduce((total, value) => total + value * value, 0) / Math.max(1, expected.length));
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(got[i]! - expected[i]!);
    const allowed = tolerance * (Math.abs(expected[i]!) + size) + 1e-9; // rounding of the differences when all slopes vanish
    assert.ok(error <= allowed, `${label}[${i}]: backward says ${got[i]}, differences say ${expected[i]}`);
  }
}

function makeInputs(row: GradientCase): Tensors {
  const backend = createReferenceBackend();
  const entries = Object.entries(row.inputs).map(([name, given]) => {
    const input: GradientInput = "shape" in given ? given : { shape: given };
    const rng = createRng(`${row.title}: ${name}`);
    const values = input.values?.(rng) ?? Float64Array.from({ length: numElements(input.shape) }, () => rng.normal());
    const tensor = tensorOf(backend, values, input.shape, "f64");
    tensor.requiresGrad = input.frozen !== true;
    return [name, tensor] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * Throws unless backward and finite differences agree for every input that wants a gradient: first with gradients that
 * the scope makes, then added twice to gradients that the inputs carry, as micro-batches do. Nothing may leak.
 */
export function checkGradients(row: GradientCase): void {
  const inputs = makeInputs(row);
  const wanting = Object.entries(inputs).filter(([, tensor]) => tensor.requiresGrad);
  const { memory } = wanting[0]![1].backend;
  const expected = wanting.map(([, tensor]) => finiteDifferences(row, inputs, tensor));
  const before = memory().liveTensors;
  withLoss(row, inputs, true, (scope, loss) => {
    scope.backward(loss);
    wanting.forEach(([name, tensor], index) => {
      const got = scope.gradOf(tensor)?.readSync() ?? new Float64Array(tensor.size);
      compareGradients(`gradient of ${name}`, got, expected[index]!);
    });
  });
  assert.equal(memory().liveTensors, before, "the scope left tensors behind");
  for (const [, tensor] of wanting) tensor.grad = zeros(tensor.backend, tensor.shape, "f64");
  for (const gradLoss of [0.75, 0.25]) withLoss(row, inputs, true, (scope, loss) => scope.backward(loss, gradLoss));
  wanting.forEach(([name, tensor], index) => {
    compareGradients(`accumulated gradient of ${name}`, tensor.grad!.readSync(), expected[index]!);
  });
}
