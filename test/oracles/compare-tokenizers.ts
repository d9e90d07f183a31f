/**
 * @file Compares our tokenizers with what `record-tokenizers.py` recorded, and prints counts and the first differences:
 *
 *     node --disable-warning=ExperimentalWarning test/oracles/compare-tokenizers.ts <file>
 */
import { readFileSync } from "node:fs";
import { compareTokenizers, type RecordedTokenizers } from "../support/recorded-tokenizers.ts";

const [path = ""] = process.argv.slice(2);
const recorded = JSON.parse(readFileSync(path, "utf8")) as RecordedTokenizers;
const write = (line: string): boolean => process.stdout.write(`${line}\n`);
let numDifferences = 0;
for (const { name, numCompared, differences } of compareTokenizers(recorded)) {
  numDifferences += differences.length;
  write(`${name.padEnd(26)} ${numCompared} compared, ${differences.length} different`);
  for (const { what, text, expected, got } of differences.slice(0, 5))
    write(
      `  ${what} of ${JSON.stringify(text)}\n    Rust ${JSON.stringify(expected)}\n    ours ${JSON.stringify(got)}`,
    );
}
write(`${recorded.texts.length} texts, ${recorded.tokenizers.length} tokenizers, ${numDifferences} differences`);
process.exitCode = numDifferences === 0 ? 0 : 1;
