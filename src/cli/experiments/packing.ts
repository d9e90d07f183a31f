/** @file `selkie experiment unpack` and `pack`: long results as plain JSON for people and other programs, and back. */
import type { Command } from "commander";
import { type CommonOptions, runVerb, withCommonOptions } from "../verb.ts";

/** Adds both commands to `parent`. */
export function registerPacking(parent: Command): void {
  add(parent, "unpack", "write packed results (.json.gz) as plain .json beside them; every command here reads both");
  add(parent, "pack", "replace plain results (.json) that are long by packed ones, as experiments write them");
}

function add(parent: Command, name: "unpack" | "pack", description: string): void {
  const command = parent.command(name).description(description).argument("<files...>", "results");
  withCommonOptions(command).action((files: string[], options: CommonOptions) =>
    runVerb(options, async ({ output }) => {
      const { packResult, unpackResult } = await import("./result-file.ts");
      const written = files.map(name === "pack" ? packResult : unpackResult);
      output.result({ written }, written.join("\n"));
    }),
  );
}
