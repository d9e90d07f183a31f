/** @file The benchmark of attention alone: one training step of one long sequence, at four lengths. */
import { type AttentionLayout, packedLayout, Scope } from "../../tensor/index.ts";
import { createRng } from "../../util/index.ts";
import { type BenchFigures, type BenchRun, timeCalls } from "./setup.ts";
import { visibilityOf } from "./visibility.ts";

const numHeads = 8;
const headDim = 64;
/** `--seq` tokens, and two, four and eight times as many. */
const doublings = [0, 1, 2, 3];

/** Query-key pairs of one sequence; half of all under a causal mask, as its peers count them. */
function countPairs({ visible }: AttentionLayout, length: number): number {
  return visible ? visible.end.reduce((pairs, end, row) => pairs + end - visible.begin[row]!, 0) : length ** 2 / 2;
}

/**
 * Forward and backward of attention: milliseconds of a step, GFLOP/s counted without what is masked (two products forward,
 * five backward), and the most bytes of tensors above the operands, which must grow with the length alone.
 */
export async function benchAttention(run: BenchRun): Promise<BenchFigures> {
  const figures: Record<string, number> = {};
  const rule = await visibilityOf(run.options.visibility);
  for (const doubling of doublings) {
    run.signal.throwIfAborted();
    const length = run.options.seq << doubling;
    const layout = rule(packedLayout(Int32Array.of(0, length)));
    const { seconds, bytes } = await measureLength(run, layout, length);
    const operations = 14 * countPairs(layout, length) * numHeads * headDim;
    figures[`ms_${length}`] = Number((1000 * seconds).toFixed(2));
    figures[`gflops_${length}`] = Math.round(operations / seconds / 1e9);
    figures[`bytes_${length}`] = bytes;
  }
  return figures;
}

async function measureLength(
  { backend, options }: BenchRun,
  layout: AttentionLayout,
  length: number,
): Promise<{ seconds: number; bytes: number }> {
  const shape = [length, numHeads * headDim];
  using operands = new Scope(backend);
  const [q, k, v, gradO] = ["q", "k", "v", "gradO"].map((name) => {
    const rng = createRng("bench attention").fork(name);
    const values = Float32Array.from({ length: length * numHeads * headDim }, () => rng.normal());
    return operands.from(values, shape, options.dtype);
  });
  const common = { q: q!, k: k!, v: v!, layout, numHeads, numKvHeads: numHeads, scale: headDim ** -0.5 };
  const before = backend.memory().liveBytes;
  backend.resetPeak();
  const step = () => {
    using scope = new Scope(backend);
    const [o, gradQ, gradK, gradV] = Array.from({ length: 4 }, () => scope.empty(shape, options.dtype));
    const logSumExp = scope.empty([length, numHeads], "f32");
    const target = (grad: typeof o) => ({ grad: grad!, accumulate: false });
    backend.kernels.attention({ ...common, o: o!, logSumExp });
    backend.kernels.attentionBackward({
      ...common,
      o: o!,
      logSumExp,
      gradO: gradO!,
      gradQ: target(gradQ),
      gradK: target(gradK),
      gradV: target(gradV),
    });
  };
  const seconds = await timeCalls(step, options.seconds / doublings.length);
  return { seconds, bytes: backend.memory().peakBytes - before };
}
