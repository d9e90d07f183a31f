/**
 * @file The picture of a profile: the roofline (Williams, Waterman & Patterson 2009). Each disc is a kernel at one shape,
 * its area the share of time; above it is what the processor allows at its number of operations per byte.
 */
import { type KernelProfile, type Peaks, shareOfPeak } from "../../tensor/index.ts";

const [width, height] = [900, 560];
const [left, right, top, bottom] = [70, 690, 50, 490];
/** Operations per byte, and GFLOP/s, at the edges. */
const [leastIntensity, mostIntensity] = [0.25, 4096];
const leastRate = 1;
const colours: Readonly<Record<string, string>> = {
  gemm: "#3b7ea1",
  attention: "#d08c3c",
  attentionBackward: "#b5562f",
  linearCrossEntropy: "#7a9a4b",
  lora: "#8a63a8",
  loraBackward: "#b07cc6",
};
const otherColour = "#4c9f8e";

const share = (value: number, least: number, most: number): number =>
  Math.min(1, Math.max(0, Math.log(value / least) / Math.log(most / least)));

/** An SVG that reads on light and dark pages. Kernels without products have no place in it and are left out. */
export function drawRoofline(title: string, entries: readonly KernelProfile[], peaks: Peaks, seconds: number): string {
  const mostRate = 1.6 * (peaks.bf16FlopsPerSecond / 1e9);
  const x = (intensity: number) => left + share(intensity, leastIntensity, mostIntensity) * (right - left);
  const y = (rate: number) => bottom - share(rate, leastRate, mostRate) * (bottom - top);
  const products = entries.filter(({ flops, seconds: own }) => flops > 0 && own / seconds > 0.003);
  const parts = [
    ...drawAxes(x, y, mostRate),
    drawRoof("f32", peaks.f32FlopsPerSecond, peaks, x, y, "6 4"),
    drawRoof("bf16", peaks.bf16FlopsPerSecond, peaks, x, y, ""),
    ...products.map((entry) => drawDisc(entry, peaks, seconds, x, y)),
    ...drawLegend([...new Set(products.map(({ kernel }) => kernel))]),
  ];
  const rest = 1 - products.reduce((total, entry) => total + entry.seconds, 0) / seconds;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#777">
<text x="12" y="24" font-size="16">${title}</text>
${parts.join("\n")}
<text x="12" y="${height - 12}" font-size="11">area of a disc: share of the time; hollow: f32; ${Math.round(100 * rest)} % of the time is outside matrix products. Memory is counted as if no cache held anything.</text>
</svg>
`;
}

type Scale = (value: number) => number;

function drawAxes(x: Scale, y: Scale, mostRate: number): string[] {
  const intensities = [1, 4, 16, 64, 256, 1024];
  const rates = [1, 10, 100, 1000, 10_000].filter((rate) => rate < mostRate);
  return [
    ...intensities.map(
      (value) =>
        `<path d="M${x(value).toFixed(1)} ${top}V${bottom}" stroke="#888" stroke-opacity="0.25"/><text x="${x(value).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${value}</text>`,
    ),
    ...rates.map(
      (value) =>
        `<path d="M${left} ${y(value).toFixed(1)}H${right}" stroke="#888" stroke-opacity="0.25"/><text x="${left - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value.toLocaleString("en")}</text>`,
    ),
    `<text x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle">operations per byte</text>`,
    `<text x="16" y="${(top + bottom) / 2}" transform="rotate(-90 16 ${(top + bottom) / 2})" text-anchor="middle">GFLOP/s</text>`,
  ];
}

/** Memory's slope up to the ridge, then the flat part. */
function drawRoof(name: string, flopsPerSecond: number, peaks: Peaks, x: Scale, y: Scale, dashes: string): string {
  const ridge = flopsPerSecond / peaks.bytesPerSecond;
  const start = Math.max(leastIntensity, (leastRate * 1e9) / peaks.bytesPerSecond);
  const rate = flopsPerSecond / 1e9;
  const points = [
    [start, (start * peaks.bytesPerSecond) / 1e9],
    [ridge, rate],
    [mostIntensity, rate],
  ].map(([intensity, value]) => `${x(intensity!).toFixed(1)},${y(value!).toFixed(1)}`);
  return `<polyline points="${points.join(" ")}" fill="none" stroke="#999" stroke-width="2" stroke-dasharray="${dashes}"/><text x="${right + 6}" y="${(y(rate) + 4).toFixed(1)}">${name} ${rate.toFixed(0)} GFLOP/s</text>`;
}

function drawDisc(entry: KernelProfile, peaks: Peaks, seconds: number, x: Scale, y: Scale): string {
  const { kernel, shape, compute, flops, bytes } = entry;
  const colour = colours[kernel] ?? otherColour;
  const radius = Math.max(2.5, 60 * Math.sqrt(entry.seconds / seconds / Math.PI));
  const rate = flops / entry.seconds / 1e9;
  const fill = compute === "f32" ? "none" : colour;
  const label = `${kernel} ${shape} ${compute}: ${rate.toFixed(0)} GFLOP/s, ${(100 * shareOfPeak(entry, peaks).share).toFixed(0)} % of peak, ${((100 * entry.seconds) / seconds).toFixed(1)} % of the time`;
  return `<circle cx="${x(flops / bytes).toFixed(1)}" cy="${y(rate).toFixed(1)}" r="${radius.toFixed(1)}" fill="${fill}" fill-opacity="0.55" stroke="${colour}" stroke-width="1.5"><title>${label}</title></circle>`;
}

const drawLegend = (kernels: readonly string[]): string[] =>
  kernels.map(
    (kernel, index) =>
      `<circle cx="${right + 24}" cy="${bottom - 12 - 20 * index}" r="6" fill="${colours[kernel] ?? otherColour}" fill-opacity="0.55"/><text x="${right + 38}" y="${bottom - 8 - 20 * index}">${kernel}</text>`,
  );
