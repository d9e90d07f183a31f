/** @file The public surface is a committed file, and everything in it is documented. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readPublicSurface, renderReport } from "./support/api-surface.ts";
import { listFiles, repositoryRoot } from "./support/source.ts";

const surface = readPublicSurface("api-test");

describe("the public surface", () => {
  for (const [layer, names] of surface) {
    test(`of ${layer} is the one in api/${layer}.md`, () => {
      const path = join(repositoryRoot, "api", `${layer}.md`);
      const committed = existsSync(path) ? readFileSync(path, "utf8") : "";
      assert.ok(committed === renderReport(layer, names), `api/${layer}.md is stale; run: npm run api`);
    });

    test(`of ${layer} has a doc comment on every name`, () => {
      const bare = names.filter(({ isDocumented }) => !isDocumented).map(({ name }) => name);
      assert.deepEqual(bare, [], "say what each is for, in a /** comment */ before its declaration");
    });
  }

  test("has no report of a layer that is gone", () => {
    const reports = listFiles("api", (path) => path.endsWith(".md")).map((path) =>
      path.slice("api/".length, -".md".length),
    );
    assert.deepEqual(
      reports.filter((layer) => !surface.has(layer)),
      [],
    );
  });
});
