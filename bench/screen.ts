/**
 * @file `npm run screen`: how often the screen of sources refuses harmless edits and lets poisoned ones pass, by voice and by
 * kind of poison, with Wilson intervals. `--part held-back` takes the part it was not tuned on, `--misses` lists every
 * edit judged wrongly, `--write` writes the cases anew from the material.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { measureSupport, screenSources } from "../src/adapt/gate/screen.ts";
import { casesOf, type ScreenCase } from "./screen/generate.ts";
import type { Material } from "./screen/material.ts";
import { aidMaterial } from "./screen/material-aid.ts";
import { checkMaterial } from "./screen/material-check.ts";
import { developmentMaterial } from "./screen/material-development.ts";
import { fourthMaterial } from "./screen/material-fourth.ts";
import { heldBackMaterial } from "./screen/material-held-back.ts";
import { lastMaterial } from "./screen/material-last.ts";
import { secondMaterial } from "./screen/material-second.ts";
import { thirdMaterial } from "./screen/material-third.ts";

const parts: Readonly<Record<string, readonly Material[]>> = {
  development: developmentMaterial,
  second: secondMaterial,
  third: thirdMaterial,
  fourth: fourthMaterial,
  "held-back": heldBackMaterial,
  aid: aidMaterial,
  check: checkMaterial,
  last: lastMaterial,
};

/** All parts. */
export const partNames: readonly string[] = Object.keys(parts);

const fileOf = (part: string): URL => new URL(`screen/${part}.jsonl`, import.meta.url);

/** Cases of one part, from the file that is committed. */
export function readCases(part: string): ScreenCase[] {
  return readFileSync(fileOf(part), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ScreenCase);
}

/** Cases of one part, as the generator makes them now. */
export const makeCases = (part: string): ScreenCase[] => parts[part]!.flatMap(casesOf);

/** Passages of one part by id. */
export const passagesOf = (part: string): Map<string, string> =>
  new Map(parts[part]!.map(({ id, text }) => [id, text]));

/** True when the screen would not let the edit be trained on as it is. */
export function isRefused(context: string, { id, documents }: ScreenCase): boolean {
  const [screening] = screenSources([{ id, context, documents }]);
  return screening!.injections.length > 0 || screening!.support.unsupported.length > 0;
}

/** Wilson's 95 % interval of a share, both ends. */
export function wilson(count: number, total: number): readonly [low: number, high: number] {
  const z = 1.959963984540054;
  const share = count / total;
  const centre = share + (z * z) / (2 * total);
  const margin = z * Math.sqrt((share * (1 - share) + (z * z) / (4 * total)) / total);
  const scale = 1 + (z * z) / total;
  return [Math.max(0, (centre - margin) / scale), Math.min(1, (centre + margin) / scale)];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function describeRow(name: string, wrong: number, total: number): string {
  const [low, high] = wilson(wrong, total);
  return `| ${name} | ${wrong} of ${total} | ${percent(wrong / total)} | ${percent(low)} to ${percent(high)} |`;
}

function describe(part: string, cases: readonly ScreenCase[], showsMisses: boolean): string {
  const contexts = passagesOf(part);
  const judged = cases.map((one) => ({ one, isWrong: isRefused(contexts.get(one.id)!, one) !== one.isPoisoned }));
  const lines = [`## ${part}`, ""];
  for (const isPoisoned of [false, true]) {
    const group = judged.filter(({ one }) => one.isPoisoned === isPoisoned);
    lines.push(
      `| ${isPoisoned ? "poisoned edits that pass" : "harmless edits refused"} | edits | share | 95 % |`,
      "| --- | --- | --- | --- |",
    );
    lines.push(describeRow("all", group.filter(({ isWrong }) => isWrong).length, group.length));
    for (const kind of new Set(group.map(({ one }) => one.kind))) {
      const ofKind = group.filter(({ one }) => one.kind === kind);
      lines.push(describeRow(kind, ofKind.filter(({ isWrong }) => isWrong).length, ofKind.length));
    }
    lines.push("");
  }
  if (showsMisses)
    for (const { one } of judged.filter(({ isWrong }) => isWrong)) {
      const { doubts = [] } = measureSupport({ context: contexts.get(one.id)!, documents: one.documents });
      const [screening] = screenSources([{ ...one, context: contexts.get(one.id)! }]);
      const why = one.isPoisoned
        ? one.documents
        : [...doubts.map(({ claim, kind, why }) => `${kind}: ${claim} (${why})`), ...screening!.injections];
      lines.push(`${one.isPoisoned ? "passes" : "refused"}, ${one.id}, ${one.kind}: ${why.join(" / ")}`);
    }
  return lines.join("\n");
}

function main(): void {
  const { values } = parseArgs({
    options: {
      part: { type: "string", default: "development" },
      misses: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const chosen = values.part === "all" ? Object.keys(parts) : [values.part];
  for (const part of chosen) {
    if (parts[part] === undefined)
      throw new Error(`screen: expected --part ${Object.keys(parts).join(", ")} or all, got ${part}`);
    if (values.write)
      writeFileSync(
        fileOf(part),
        makeCases(part)
          .map((one) => `${JSON.stringify(one)}\n`)
          .join(""),
      );
    else console.log(describe(part, readCases(part), values.misses));
  }
}

if (import.meta.main) main();
