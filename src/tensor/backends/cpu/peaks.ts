/** @file The peaks of this processor, by `native/kernels/probe.h`: the best of several short runs. */
import type { Peaks } from "../../backend.ts";
import type { NativeContext } from "./native.ts";

const runs = 5;
/** Tasks per thread and run, so that no thread waits long for another. */
const tasksPerThread = 8;
/** Far above the caches of a core, and about a small model's weights. */
const memoryBytes = 256 * 2 ** 20;

/** Measures {@link Peaks} with all threads of the context. */
export function measurePeaks(context: NativeContext, numThreads: number): Peaks {
  const numTasks = numThreads * tasksPerThread;
  const sink = new Float32Array(16 * numTasks);
  const work = new Float64Array(1);
  const rate = (kind: number, memory: Float32Array | null): number => {
    let best = 0;
    for (let run = 0; run <= runs; run++) {
      const start = performance.now();
      context.run("probe", [kind, numTasks], work, sink, memory);
      if (run > 0) best = Math.max(best, work[0]! / ((performance.now() - start) / 1000)); // the first run wakes the threads
    }
    return best;
  };
  const memory = new Float32Array(context.allocateBytes(memoryBytes)).fill(1);
  return { f32FlopsPerSecond: rate(0, null), bf16FlopsPerSecond: rate(1, null), bytesPerSecond: rate(2, memory) };
}
