/** @file What is checked of a store before the work that is to be stored: everything, and nothing is made for it. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { putRecord } from "../../test/support/store-steps.ts";
import { createSigningKey } from "../registry/index.ts";
import { checkTarget, openVerbStore } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-target-"));
after(() => rmSync(folder, { recursive: true, force: true }));
process.env["XDG_CONFIG_HOME"] = join(folder, "config"); // no pin of a test's store in anybody's own folder
delete process.env["SELKIE_PUBLIC_KEY"];

let numPlaces = 0;
const freshPlace = (): string => join(folder, `place-${numPlaces++}`, "runs", "registry");
function makeKey(name: string): { readonly signingKey: string; readonly publicKey: string } {
  const [signingKey, publicKey] = [join(folder, `${name}.pem`), join(folder, `${name}.pub.pem`)];
  const pair = createSigningKey();
  writeFileSync(signingKey, pair.privateKey, { mode: 0o600 });
  writeFileSync(publicKey, pair.publicKey);
  return { signingKey, publicKey };
}
const own = makeKey("own");
const other = makeKey("other");

describe("where there is no store yet", () => {
  test("the place is checked and left as it is, with and without keys", () => {
    for (const keys of [{}, { signingKey: own.signingKey }, own]) {
      const store = freshPlace();
      checkTarget({ store, ...keys });
      assert.equal(existsSync(join(store, "..", "..")), false);
      using made = openVerbStore({ store, ...keys }, { create: true });
      putRecord(made, "x");
      checkTarget({ store, ...keys });
    }
  });

  test("what could not be made is refused, and nothing is made", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const gone = freshPlace();
    mkdirSync(join(gone, "objects"), { recursive: true });
    const refused: readonly (readonly [target: Parameters<typeof checkTarget>[0], code: string, message: RegExp])[] = [
      [{ store: file }, "write-failed", /file: could not be written \(ENOTDIR\)/],
      [{ store: join(file, "registry") }, "write-failed", /registry: could not be written \(ENOTDIR\)/],
      [{ store: gone }, "store-changed", /expected a database at .*objects is there/],
      [{ store: freshPlace(), publicKey: own.publicKey }, "store-changed", /a new one would have a key of its own/],
      [
        { store: freshPlace(), publicKey: own.publicKey, signingKey: other.signingKey },
        "store-changed",
        /expected one with key [0-9a-f]{64} .* a new one would have key [0-9a-f]{64}; .*--signing-key/,
      ],
      [{ store: freshPlace(), signingKey: join(folder, "none.pem") }, "missing-file", /signing key: expected a PEM/],
      [{ store: freshPlace(), gate: join(folder, "none.json") }, "missing-file", /--gate: expected a readable file/],
    ];
    for (const [target, code, message] of refused) {
      assert.throws(() => checkTarget(target), { code, message });
      assert.equal(existsSync(join(target.store, "store.sqlite")), false);
      if (target.store !== gone && !target.store.startsWith(file)) assert.equal(existsSync(target.store), false);
    }
  });
});

test("a key named by option or by environment must be the store's, for whoever opens it", () => {
  const store = freshPlace();
  openVerbStore({ store, signingKey: own.signingKey }, { create: true })[Symbol.dispose]();
  openVerbStore({ store, publicKey: own.publicKey })[Symbol.dispose]();
  const said = { code: "store-changed", message: /store: expected key/ };
  assert.throws(() => openVerbStore({ store, publicKey: other.publicKey }), said);
  process.env["SELKIE_PUBLIC_KEY"] = other.publicKey;
  assert.throws(() => openVerbStore({ store }), said);
  openVerbStore({ store, publicKey: own.publicKey })[Symbol.dispose](); // the option counts before the environment
  delete process.env["SELKIE_PUBLIC_KEY"];
});
