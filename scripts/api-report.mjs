/** @file Writes the public surface of each door of the package to `api/<layer>.md`; `test/api.test.ts` fails when a report is stale. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPublicSurface, renderReport } from "../test/support/api-surface.ts";
import { repositoryRoot } from "../test/support/source.ts";

const folder = join(repositoryRoot, "api");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const [layer, names] of readPublicSurface("report")) {
  writeFileSync(join(folder, `${layer}.md`), renderReport(layer, names));
  console.log(`api/${layer}.md: ${names.length} names`);
}
