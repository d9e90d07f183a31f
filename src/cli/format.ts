/** @file Text for people: shares, counts, durations, sizes. Tables are in `table.ts`. */
import { outputColumns, wrapText } from "./columns.ts";

export { outputColumns, shorten, wrapText } from "./columns.ts";
export { formatTable } from "./table.ts";

/** Sentences of a result, broken between words at the width of the output; lines keep their indentation. */
export const wrapProse = (text: string): string => wrapText(text, outputColumns()).join("\n");

/** `0.1234` as `12 %`; `null` as `–`. */
export const formatShare = (share: number | null): string => (share === null ? "–" : `${Math.round(100 * share)} %`);

/** Seconds as people say them. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Time left as people say it: coarser the longer it is. */
export function formatLeft(seconds: number): string {
  const rounded =
    seconds < 60 ? Math.ceil(seconds) : seconds < 600 ? 5 * Math.ceil(seconds / 5) : 60 * Math.ceil(seconds / 60);
  if (rounded < 60) return `${rounded} s`;
  const [hours, minutes, rest] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60, rounded % 60];
  if (hours > 0) return minutes === 0 ? `${hours} h` : `${hours} h ${minutes} min`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}

/** Bytes as people say them. */
export function formatBytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1000 ? `${Math.max(1, Math.round(mebibytes))} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

/** A bar of `width` characters, filled to `share`. */
export function formatBar(share: number, width = 24): string {
  const filled = Math.round(Math.max(0, Math.min(1, share)) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}
