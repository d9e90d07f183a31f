/**
 * @file Who replaces the keys of a store, with and without a key known from outside: the table "Replaces a key" of
 * `docs/leash.md`, line by line.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTestStore, promoteTold, putRecord } from "../../test/support/store-steps.ts";
import { createSigningKey, loadPublicKey } from "./signing.ts";
import type { Store } from "./store.ts";
import { tablesOf } from "./store-internals.ts";
import { PinFile, type StoreTrust } from "./store-pins.ts";
import { verifyStore } from "./store-verify.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-keys-"));
after(() => rmSync(root, { recursive: true, force: true }));
let numStores = 0;
const open = (directory: string, trust: StoreTrust = {}, isReporting = false): Store =>
  openTestStore(directory, { clock: () => 1000, create: true, trust, isReporting });
const serve = (directory: string, trust?: StoreTrust): string | undefined => {
  using store = open(directory, trust);
  return store.serve("current").record?.id;
};
const problemsOf = (directory: string): string => {
  using store = open(directory, {}, true);
  return verifyStore(store).problems.join("\n");
};
const publicPath = (directory: string): string => join(directory, "keys", "public.pem");

async function fill(directory: string): Promise<string> {
  using store = open(directory);
  const id = putRecord(store, "served");
  await promoteTold(store, id);
  return id;
}

/** A store that serves one record, and each way of knowing its key from outside; `none` knows nothing. */
async function build() {
  const directory = join(root, `store-${numStores++}`);
  const id = await fill(directory);
  const kept = join(root, `kept-${numStores}.pem`);
  writeFileSync(kept, readFileSync(publicPath(directory)));
  const noted: StoreTrust = { pinFolder: join(root, `pins-${numStores}`) };
  serve(directory, noted); // the first use, which notes the key
  const pinned: Readonly<Record<string, StoreTrust>> = {
    named: { publicKey: loadPublicKey(kept) },
    noted,
    both: { ...noted, publicKey: loadPublicKey(kept) },
  };
  return { directory, id, pinned, ways: { none: {}, ...pinned } as Readonly<Record<string, StoreTrust>> };
}

function replaceFile(directory: string, pem: string): void {
  chmodSync(publicPath(directory), 0o644);
  writeFileSync(publicPath(directory), pem);
}
function replaceInDatabase(directory: string, pem: string): void {
  using store = open(directory);
  tablesOf(store).setFact("public-key", pem);
}

describe("who replaces a key", () => {
  test("in keys/public.pem alone changes nothing that is served, and is named by verify", async () => {
    const { directory, id, ways } = await build();
    replaceFile(directory, createSigningKey().publicKey);
    for (const [way, trust] of Object.entries(ways)) assert.equal(serve(directory, trust), id, way);
    assert.match(problemsOf(directory), /public\.pem: expected the store's public key, got another one/);
  });

  test("and has it taken from there for the one to trust, ends in a store that does not open", async () => {
    const { directory } = await build();
    replaceFile(directory, createSigningKey().publicKey);
    const taken = loadPublicKey(publicPath(directory));
    assert.throws(() => serve(directory, { publicKey: taken }), { code: "store-changed", message: /expected key/ });
  });

  test("in the database, with the file or without, and signs nothing anew, is served nothing from", async () => {
    for (const isThorough of [false, true]) {
      const { directory, ways } = await build();
      const { publicKey } = createSigningKey();
      replaceInDatabase(directory, publicKey);
      if (isThorough) replaceFile(directory, publicKey);
      for (const [way, trust] of Object.entries(ways))
        assert.throws(() => serve(directory, trust), { code: /^store-(unsound|changed)$/ }, way);
      assert.match(problemsOf(directory), /signature of its end does not fit/);
    }
  });

  test("everywhere and signs everything anew is refused where the key is named, or was noted at an earlier use", async () => {
    const { directory, pinned } = await build();
    rmSync(directory, { recursive: true });
    await fill(directory); // with a key of its own
    for (const [way, trust] of Object.entries(pinned))
      assert.throws(() => serve(directory, trust), { code: "store-changed", message: /expected key/ }, way);
    assert.equal(problemsOf(directory), "", "from inside it cannot be seen");
  });

  test("and the note of an earlier use too, is refused where the key is named", async () => {
    const { directory, pinned } = await build();
    rmSync(directory, { recursive: true });
    await fill(directory);
    const { pinFolder } = pinned["both"]!;
    new PinFile(pinFolder!, directory).remove();
    serve(directory, { pinFolder }); // notes the new key, as whoever rewrote the note would have it
    assert.throws(() => serve(directory, pinned["both"]), { code: "store-changed", message: /expected key/ });
  });
});
