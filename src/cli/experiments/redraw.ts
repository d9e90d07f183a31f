/** @file `selkie experiment redraw`: draws the pictures of results again from their JSON files, without running anything. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type CommonOptions, runVerb, withCommonOptions } from "../verb.ts";
import type { Experiment } from "./experiment.ts";
import { isResultName, readResult } from "./result-file.ts";

type Drawing = Pick<Experiment, "name" | "draw">;

/** Adds the command to `parent`; results name the experiment they are of. */
export function registerRedraw(parent: Command, experiments: readonly Drawing[]): void {
  const command = parent
    .command("redraw")
    .description("draw the pictures of results again from their JSON files, without running anything")
    .argument("<paths...>", "results (.json, .json.gz), or folders of them");
  withCommonOptions(command).action((paths: string[], options: CommonOptions) =>
    runVerb(options, async ({ output }) => {
      const pictures = await redrawResults(paths, experiments);
      output.result({ pictures }, pictures.join("\n"));
    }),
  );
}

/**
 * Writes every picture of the results in `paths` and returns where they are. In folders, files that are no results of an
 * experiment are passed over; named alone they are refused.
 */
export async function redrawResults(paths: readonly string[], experiments: readonly Drawing[]): Promise<string[]> {
  const { drawFirstTable, writePictures } = await import("./write.ts");
  const { SelkieError } = await import("../../util/index.ts");
  const pictures: string[] = [];
  for (const path of paths) {
    const found = filesOf(path).flatMap((file) => {
      const name = experimentOf(file);
      const experiment = experiments.find((each) => each.name === name);
      return experiment === undefined ? [] : [{ file, draw: experiment.draw ?? drawFirstTable }];
    });
    if (found.length === 0)
      throw new SelkieError("bad-file", `redraw: expected results of an experiment (.json), found none in ${path}`);
    for (const { file, draw } of found) pictures.push(...writePictures(file, draw));
  }
  return pictures;
}

function filesOf(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true) return [path];
  const names = readdirSync(path).filter(isResultName);
  return names.toSorted().map((name) => join(path, name));
}

/** Name of the experiment that wrote `file`; `null` for files that none wrote. */
function experimentOf(file: string): string | null {
  try {
    const { command, tables } = JSON.parse(readResult(file)) as { command?: unknown; tables?: unknown };
    return typeof command === "string" && Array.isArray(tables) ? (command.split(" ")[2] ?? null) : null;
  } catch {
    return null; // missing or no JSON: no results either way
  }
}
