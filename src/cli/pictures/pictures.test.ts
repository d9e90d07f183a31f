/** @file Pictures: text stays inside and apart, whatever it says; colours mean what the table of roles says and can be told apart. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { drawBars } from "./bars.ts";
import { drawLines, drawPanels } from "./lines.ts";
import { methodShades, type Role, roleOf, roleStyles } from "./roles.ts";
import { spreadLabels } from "./spread.ts";
import { createPicture, type TextStyle, textBox } from "./svg.ts";
import { breakText, measureText } from "./text.ts";

const results = new URL("../../../docs/results/", import.meta.url);

const unescapeXml = (text: string): string =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");

/** Every text of a picture with the room it takes, read back from the SVG; rotated text is left out. */
function textsOf(svg: string): { text: string; x: number; y: number; right: number; bottom: number }[] {
  const inherited = Number(/^<svg[^>]*font-size="([\d.]+)"/.exec(svg)?.[1] ?? 16);
  return [...svg.matchAll(/<text([^>]*)>([^<]*)<\/text>/g)].flatMap(([, attributes, content]) => {
    const attribute = (name: string) => new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes!)?.[1];
    if (attribute("transform") !== undefined) return [];
    const size = Number(attribute("font-size") ?? inherited);
    const style = { size, anchor: (attribute("text-anchor") ?? "start") as NonNullable<TextStyle["anchor"]> };
    const text = unescapeXml(content!);
    const { x, y, width, height } = textBox(Number(attribute("x")), Number(attribute("y")), text, style);
    return [{ text, x, y, right: x + width, bottom: y + height }];
  });
}

function checkTexts(svg: string, name: string): void {
  const [, width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg)!.map(Number);
  const texts = textsOf(svg);
  assert.ok(texts.length > 0, name);
  for (const { text, x, y, right, bottom } of texts)
    assert.ok(x >= 0 && y >= 0 && right <= width! && bottom <= height!, `${name}: "${text}" leaves the picture`);
  for (const [index, a] of texts.entries())
    for (const b of texts.slice(index + 1)) {
      const isApart = a.right <= b.x || b.right <= a.x || a.bottom <= b.y || b.bottom <= a.y;
      assert.ok(isApart, `${name}: "${a.text}" and "${b.text}" overlap`);
    }
}

const names = fc.oneof(
  fc.constantFrom(
    "retention: accuracy less what was forgotten",
    "self-edits of the trained policy: full finetuning, replay",
  ),
  fc.string({ maxLength: 90, unit: "grapheme" }).filter((text) => text.trim() !== ""),
  fc.constant("W".repeat(120)),
  fc.constant("漢字".repeat(40)),
);
const roles = fc.constantFrom<Role>("method", "control", "oracle", "baseline");
const shares = fc.double({ min: 0, max: 1, noNaN: true });

describe("text of a picture", () => {
  test("stays inside and apart in every committed picture", () => {
    const files = readdirSync(results).filter((name) => name.endsWith(".svg"));
    assert.ok(files.length > 10);
    for (const file of files) checkTexts(readFileSync(new URL(file, results), "utf8"), file);
  });

  test("stays inside and apart in bars, lines and panels of any names", () => {
    const bar = fc.record({ name: names, share: shares, role: roles });
    fc.assert(
      fc.property(fc.array(bar, { minLength: 1, maxLength: 14 }), names, (given, title) => {
        const bars = given.map(({ name, share, role }) => ({
          ...{ name, role, note: `${(100 * share).toFixed(1)} %` },
          value: { mean: share, low: share - 0.1, high: share + 0.1 },
        }));
        checkTexts(drawBars(title, title, bars), "bars");
        const curves = given.map(({ name, role, share }) => ({
          name,
          role,
          points: [
            { x: 0, share },
            { x: 7, share },
          ],
        }));
        const picture = { title, caption: title, xName: "edits made since", lastX: 7 };
        const levels = given.slice(0, 3);
        checkTexts(drawLines({ ...picture, curves, levels }), "lines");
        checkTexts(drawPanels({ ...picture, curves, levels }, curves[0]!), "panels");
      }),
      { numRuns: 60 },
    );
  });

  test("a picture refuses text that would leave it", () => {
    const picture = createPicture(100);
    picture.text(60, 20, "too wide for this");
    assert.throws(() => picture.finish(40), /text inside 100 × 40.*too wide/);
  });

  test("is measured at least as wide as in DejaVu Sans, and broken into lines that fit", () => {
    // advance widths of DejaVu Sans 2.37 in units of 1/2048 em, from its hmtx table: A 1401, m 1995, i 569, % 1946, space 651
    assert.ok(measureText("Ami% ", 2048) >= 1401 + 1995 + 569 + 1946 + 651);
    assert.ok(measureText("Ami% ", 2048) < 1.1 * (1401 + 1995 + 569 + 1946 + 651));
    fc.assert(
      fc.property(names, fc.integer({ min: 40, max: 400 }), (text, width) => {
        const lines = breakText(text, 13, width);
        assert.equal(lines.join("").replace(/\s/g, ""), text.replace(/\s/g, ""));
        for (const line of lines) assert.ok(measureText(line, 13) <= width, line);
      }),
    );
  });

  test("labels stay in order, apart, inside, and where they wish when nothing is in the way", () => {
    assert.deepEqual(spreadLabels([{ at: 90, height: 10 }, { at: 20, height: 10 }], 0, 100), [90, 20]); // biome-ignore format: one line
    assert.deepEqual(spreadLabels([{ at: 50, height: 10 }, { at: 50, height: 10 }], 0, 100), [45, 55]); // biome-ignore format: one line
    const wish = fc.record({
      at: fc.double({ min: 0, max: 300, noNaN: true }),
      height: fc.integer({ min: 8, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 7 }), (wishes) => {
        const middles = spreadLabels(wishes, 0, 300);
        const order = wishes.map((_, index) => index).toSorted((a, b) => middles[a]! - middles[b]!);
        let end = -1e-9;
        for (const index of order) {
          const start = middles[index]! - wishes[index]!.height / 2;
          assert.ok(start >= end - 1e-6);
          end = start + wishes[index]!.height;
        }
        assert.ok(end <= 300 + 1e-6);
        for (let at = 1; at < order.length; at++) assert.ok(wishes[order[at - 1]!]!.at <= wishes[order[at]!]!.at);
      }),
    );
  });
});

type Rgb = readonly [number, number, number];
const linear = (hex: string): Rgb => {
  const part = (from: number) => {
    const value = Number.parseInt(hex.slice(from, from + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [part(1), part(3), part(5)];
};
const luminance = ([r, g, b]: Rgb): number => 0.2126 * r + 0.7152 * g + 0.0722 * b;
/** Severity 1 of Machado, Oliveira & Fernandes 2009, on linear RGB. */
const deficiencies: readonly (readonly [name: string, matrix: readonly Rgb[]])[] = [
  ["none", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]], // biome-ignore format: matrices
  ["protanopia", [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]], // biome-ignore format: matrices
  ["deuteranopia", [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]], // biome-ignore format: matrices
  ["tritanopia", [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]], // biome-ignore format: matrices
];
/** CIE L*a*b* of linear sRGB, white D65. */
function toLab([r, g, b]: Rgb): Rgb {
  const f = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
  const y = f(luminance([r, g, b]));
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

describe("colours of roles", () => {
  const colours = Object.values(roleStyles).map(({ colour }) => colour);

  test("stand out from the paper, 3 to 1 and more", () => {
    for (const colour of [...colours, ...methodShades])
      assert.ok(1.05 / (luminance(linear(colour)) + 0.05) >= 3, colour);
    assert.equal(methodShades[0], roleStyles.method.colour);
  });

  test("can be told apart with any kind of colour vision", () => {
    for (const [name, matrix] of deficiencies)
      for (const [index, a] of colours.entries())
        for (const b of colours.slice(index + 1)) {
          const seen = [a, b].map((colour) => {
            const own = linear(colour);
            return toLab(matrix.map((row) => Math.min(1, Math.max(0, row.reduce((sum, weight, at) => sum + weight * own[at]!, 0)))) as unknown as Rgb); // biome-ignore format: one step
          });
          assert.ok(Math.hypot(...seen[0]!.map((value, at) => value - seen[1]![at]!)) > 15, `${name}: ${a} ${b}`);
        }
  });

  test("rows of the published tables have the role they play", () => {
    const expected: Readonly<Record<Role, readonly string[]>> = {
      baseline: ["base", "nothing", "untrained", "base, nothing learned", "merge", "reference", "no padding"],
      control: ["raw passage", "raw passage, repeated", "raw, updates of round 2's edit", "raw passages: LoRA", "control: a random edit", "rule, equal updates"],
      oracle: ["all-facts oracle edit (rewrite)", "all facts, self-qa", "stronger writer: all facts, mixed kinds", "joint", "in-context-oracle", "in-context"],
      method: ["SEAL, round 2", "merge-now", "best of 5", "no padding, q and v alone", "edit of round 2", "rehearse", "self-edits of the untrained policy: LoRA"],
    }; // biome-ignore format: a table
    for (const [role, rows] of Object.entries(expected)) for (const row of rows) assert.equal(roleOf(row), role, row);
  });
});
