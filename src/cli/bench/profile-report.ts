/** @file What `bench --profile` shows: the kernels by time, their rates, and how near each comes to the processor's peaks. */
import { type KernelProfile, type Peaks, shareOfPeak } from "../../tensor/index.ts";
import { formatShare, formatTable } from "../format.ts";

/** Rows of the table; the rest are short and go into one line. */
const maxRows = 24;

/** A table for people and the same figures for programs. `peaks` is `null` where nothing native runs. */
export function reportProfile(
  entries: readonly KernelProfile[],
  peaks: Peaks | null,
  seconds: number,
): { table: string; json: object } {
  const inKernels = entries.reduce((total, entry) => total + entry.seconds, 0);
  const rows = entries.map((entry) => {
    const { share, bound } = peaks === null ? { share: null, bound: null } : shareOfPeak(entry, peaks);
    return {
      ...entry,
      gflops: entry.flops / entry.seconds / 1e9,
      gbytesPerSecond: entry.bytes / entry.seconds / 1e9,
      shareOfPeak: share,
      bound,
    };
  });
  const head = ["kernel", "shape", "calls", "ms/call", "time", "GFLOP/s", "GB/s", "of peak", "bound by"];
  const cells = rows
    .slice(0, maxRows)
    .map((row) => [
      row.kernel,
      row.flops === 0 ? row.shape : `${row.shape} ${row.compute}`,
      String(row.calls),
      ((1000 * row.seconds) / row.calls).toFixed(3),
      formatShare(row.seconds / seconds),
      row.flops === 0 ? "–" : row.gflops.toFixed(0),
      row.gbytesPerSecond.toFixed(1),
      formatShare(row.shareOfPeak),
      row.bound ?? "–",
    ]);
  const sumOf = (some: readonly KernelProfile[]) => some.reduce((total, entry) => total + entry.seconds, 0);
  const line = (name: string, time: number) => [name, "", "", "", formatShare(time / seconds)];
  const rest = rows.slice(maxRows);
  const footer = [
    ...(rest.length > 0 ? [line(`${rest.length} more rows`, sumOf(rest))] : []),
    line("outside kernels", seconds - inKernels),
  ];
  const table = formatTable([head, ...cells, ...footer], [2, 3, 4, 5, 6, 7]);
  return {
    table: peaks === null ? table : `${table}\n\n${describePeaks(peaks)}`,
    json: { seconds, secondsInKernels: inKernels, peaks, kernels: rows },
  };
}

const describePeaks = ({ f32FlopsPerSecond, bf16FlopsPerSecond, bytesPerSecond }: Peaks): string =>
  `peaks of this processor, measured: f32 ${(f32FlopsPerSecond / 1e9).toFixed(0)} GFLOP/s, bf16 ${(bf16FlopsPerSecond / 1e9).toFixed(0)} GFLOP/s, reading memory ${(bytesPerSecond / 1e9).toFixed(1)} GB/s; set-up and warm-up are included in the times`;
