/** @file Attacks on a store by who can use the library, write SQL, write its files, put it back, or replace its key. */
import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { base, openTestStore, promoteTold, putRecord, told } from "../../test/support/store-steps.ts";
import * as door from "./index.ts";
import type { Verdict } from "./record.ts";
import { createSigningKey, loadPublicKey, publicKeyPem } from "./signing.ts";
import type { Store } from "./store.ts";
import { tablesOf } from "./store-internals.ts";
import { PinFile, type StoreTrust } from "./store-pins.ts";
import { verifyStore } from "./store-verify.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-attacks-"));
after(() => rmSync(root, { recursive: true, force: true }));
const pinFolder = join(root, "pins");
let numStores = 0;
const freshPlace = (): string => join(root, `store-${numStores++}`);
const open = (directory: string, trust: StoreTrust = { pinFolder }, isReporting = false): Store =>
  openTestStore(directory, { clock: () => 1000, create: true, trust, isReporting });
const verdict = (outcome: Verdict["outcome"], reason: string): Verdict => ({
  outcome,
  reasons: [reason],
  details: { outcome },
});
const problemsOf = (directory: string): string => {
  using store = open(directory, { pinFolder }, true);
  return verifyStore(store).problems.join("\n");
};

describe("who uses the library", () => {
  test("finds no way to serve a record but promote and rollback, and gives no verdict of his own", () => {
    using store = open(freshPlace());
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(store)).toSorted();
    assert.deepEqual(methods, [
      ...[
        "alias",
        "aliases",
        "canariesPath",
        "constructor",
        "examine",
        "freeze",
        "frozen",
        "gc",
        "get",
        "head",
        "history",
      ],
      ...[
        "lineage",
        "list",
        "logPath",
        "now",
        "objectPath",
        "promote",
        "put",
        "quietly",
        "release",
        "rollback",
        "sealCanaries",
      ],
      ...["sealOf", "seals", "serve", "signaturePath", "unfreeze", "verifyRecord"],
    ]);
    assert.deepEqual(Object.keys(store).toSorted(), ["directory", "publicKey", "trustProblems"]);
    const names = Object.keys(door);
    for (const hidden of [
      "Store",
      "Tables",
      "Journal",
      "openStoreWith",
      "tablesOf",
      "setTables",
      "openDatabase",
      "signHead",
      "stateAfter",
    ])
      assert.ok(!names.includes(hidden), hidden);
    assert.equal(door.openStore.length, 2, "a grader cannot be given");
  });

  test("a record that was quarantined or rejected is refused, whatever a grader would say now", async () => {
    using store = open(freshPlace());
    store.sealCanaries(base, "{}\n");
    for (const outcome of ["quarantine", "reject"] as const) {
      const id = putRecord(store, outcome);
      const { state } = (await store.examine(id, told(verdict(outcome, "odd")))).record;
      await assert.rejects(promoteTold(store, id), { code: "gate-closed", message: /a person who has looked at it/ });
      const again = await store.examine(id, told(verdict("promote", "fine now"))); // under another gate
      assert.equal(again.record.state, state, "an examination lets nothing out");
      await assert.rejects(promoteTold(store, id), { code: "gate-closed" });
    }
    assert.equal(store.alias("current"), undefined);
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("a person's release is logged with its reason and accepts the reasons of then, no others", async () => {
    using store = open(freshPlace());
    store.sealCanaries(base, "{}\n");
    const id = putRecord(store, "released");
    await store.examine(id, told(verdict("quarantine", "it says orders")));
    assert.throws(() => store.release(id, " "), { code: "bad-option" });
    const { state, accepted, reasons } = store.release(id, "a quotation, harmless");
    assert.deepEqual([state, accepted], ["candidate", ["it says orders"]]);
    assert.match(reasons.join(), /released by a person: a quotation, harmless/);
    assert.throws(() => store.release(id, "again"), { message: /which is candidate/ });
    assert.match(readFileSync(store.logPath, "utf8"), /"record-release"/);
    assert.equal((await promoteTold(store, id)).isServed, true);
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("a record without canaries for its base is not examined", async () => {
    using store = open(freshPlace());
    const id = putRecord(store, "a");
    await assert.rejects(store.promote(id, told(verdict("promote", "x"))), { message: /expected canaries sealed/ });
  });
});

describe("who writes SQL", () => {
  const changes: readonly (readonly [what: string, sql: string, problem: RegExp])[] = [
    [
      "a verdict",
      `UPDATE records SET verdict = '{"outcome":"promote","reasons":["good"],"details":null}'`,
      /verdict of record/,
    ],
    [
      "a threshold in a verdict",
      "UPDATE records SET verdict = replace(verdict, 'reject', 'promote')",
      /verdict of record/,
    ],
    ["reasons", `UPDATE records SET reasons = '["harmless"]'`, /reasons of record/],
    ["accepted reasons", `UPDATE records SET accepted = '["it is odd"]'`, /accepted reasons of record/],
    ["the time of a move", "UPDATE moves SET time = 1", /their history/],
    ["the holder of a freeze", "UPDATE freezes SET holder = 'mine'", /freeze set by entry/],
  ];
  for (const [what, sql, problem] of changes)
    test(`changes ${what} and verify names the record or the place`, async () => {
      using store = open(freshPlace());
      store.sealCanaries(base, "{}\n");
      const [id, other] = [putRecord(store, "a"), putRecord(store, "b")];
      await store.examine(id, told(verdict("reject", "it forgot")));
      await promoteTold(store, other);
      store.freeze(loadPublicKey(join(store.directory, "keys", "public.pem")), "an incident");
      tablesOf(store).database.exec(sql);
      const { isSound, problems, changedRecords } = verifyStore(store);
      assert.equal(isSound, false);
      assert.match(problems.join("\n"), problem);
      if (/record/.test(String(problem))) assert.ok(changedRecords.includes(id));
    });

  test("moves an alias, with its history or without, and nothing is served from it", async () => {
    for (const more of [
      "",
      "INSERT INTO moves (alias, record, previous, cause, time) VALUES ('current', '$', NULL, 'promote', 1000);",
    ]) {
      using store = open(freshPlace());
      const [a, never] = [putRecord(store, "a"), putRecord(store, "never promoted")];
      await promoteTold(store, a);
      assert.equal(store.serve("current").record?.id, a);
      tablesOf(store).database.exec(`UPDATE aliases SET record = '${never}'; ${more.replace("$", never)}`);
      assert.throws(() => store.serve("current"), { code: "store-unsound", message: /not what was signed/ });
      tablesOf(store).database.exec(
        `UPDATE aliases SET record = '${a}'; INSERT INTO aliases VALUES ('mine', '${never}')`,
      );
      assert.throws(() => store.serve("mine"), { code: "store-unsound" });
    }
  });

  test("puts the signed end of an earlier moment back, and nothing is served from it", async () => {
    using store = open(freshPlace());
    const [a, b] = [putRecord(store, "a"), putRecord(store, "b")];
    await promoteTold(store, a);
    const { length, hash, signature, start, bytes } = store.head;
    await promoteTold(store, b);
    tablesOf(store).database.exec(
      `UPDATE aliases SET record = '${a}'; UPDATE head SET length = ${length}, hash = '${hash}', signature = '${signature}', start = ${start}, bytes = ${bytes}`,
    );
    // the log has a line more than that end; and a log cut as well does not hold what was pinned
    assert.match(verifyStore(store).problems.join(), /lines were added from outside|their history/);
    truncateSync(store.logPath, bytes);
    assert.throws(() => open(store.directory), { code: "store-changed", message: /was seen here and is not in it/ });
  });
});

describe("who writes the store's files", () => {
  test("deletes or empties the log: it is said, nothing is served, and nothing new is taken for a beginning", async () => {
    for (const remove of [(path: string) => rmSync(path), (path: string) => truncateSync(path, 0)]) {
      const directory = freshPlace();
      {
        using store = open(directory, {});
        await promoteTold(store, putRecord(store, "a"));
      }
      remove(join(directory, "audit.ndjson"));
      using store = open(directory, {});
      assert.match(verifyStore(store).problems.join(), /expected 3 lines, got 0; the log is gone or empty/);
      assert.throws(() => store.serve("current"), { code: "store-unsound", message: /log does not end as was signed/ });
      assert.throws(() => putRecord(store, "b"), { code: "audit-broken" });
    }
  });

  test("deletes or empties the database: the store is not made anew over what remains", async () => {
    const directory = freshPlace();
    {
      using store = open(directory, {});
      await promoteTold(store, putRecord(store, "a"));
    }
    for (const name of ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"])
      rmSync(join(directory, name), { force: true });
    assert.throws(() => open(directory, {}), {
      code: "store-changed",
      message: /found none, but audit\.ndjson, objects, .* are there/,
    });
    writeFileSync(join(directory, "store.sqlite"), "");
    assert.match(problemsOf(directory), /the database knows none; it was emptied or replaced/);
  });

  test("puts links in place of the store's folders and files, and it does not open", async () => {
    for (const name of [
      "objects",
      "signatures",
      "keys",
      "canaries",
      "audit.ndjson",
      "store.sqlite",
      "keys/public.pem",
    ]) {
      const directory = freshPlace();
      {
        using store = open(directory, {});
        await promoteTold(store, putRecord(store, "a"));
      }
      renameSync(join(directory, name), `${directory}-aside`);
      symlinkSync(`${directory}-aside`, join(directory, name));
      assert.throws(() => open(directory, {}), { code: "store-changed", message: /of the store's own, got a link/ });
    }
  });

  test("puts a link in place of a signature or of sealed canaries, and they are refused", async () => {
    using store = open(freshPlace());
    const id = putRecord(store, "a");
    await promoteTold(store, id);
    for (const path of [store.signaturePath(id), store.canariesPath(store.sealOf(base)!)]) {
      renameSync(path, `${path}-aside`);
      symlinkSync(`${path}-aside`, path);
      assert.match(verifyStore(store).problems.join(), /got a link|canaries of base .* were changed/);
      rmSync(path);
      renameSync(`${path}-aside`, path);
    }
    assert.deepEqual(verifyStore(store).problems, []);
  });
});

/** Everything signed anew under another key by somebody who can write all of the store. */
async function forge(directory: string): Promise<void> {
  rmSync(directory, { recursive: true });
  using store = open(directory, {});
  await promoteTold(store, putRecord(store, "of somebody else"));
}

describe("who replaces the key, or puts the store back", () => {
  test("the first use pins the key; another one is refused by name, and told what to do", async () => {
    const directory = freshPlace();
    {
      using store = open(directory);
      putRecord(store, "a");
    }
    await forge(directory);
    assert.throws(() => open(directory), {
      code: "store-changed",
      message: /expected key [0-9a-f]{64}, which it had when it was last used here, got .* --public-key/,
    });
    assert.match(problemsOf(directory), /somebody replaced the key/);
    const publicKey = loadPublicKey(join(directory, "keys", "public.pem"));
    open(directory, { pinFolder, publicKey })[Symbol.dispose](); // named by a person who knows it
    open(directory)[Symbol.dispose]();
  });

  test("who owns the signing key and writes all of it anew is noticed by what was seen", async () => {
    const directory = freshPlace();
    const signingKey = join(root, "owned.pem");
    writeFileSync(signingKey, createSigningKey().privateKey, { mode: 0o600 });
    const options = { clock: () => 1000, create: true, signingKey };
    {
      using store = openTestStore(directory, { ...options, trust: { pinFolder } });
      await promoteTold(store, putRecord(store, "a"));
    }
    rmSync(directory, { recursive: true });
    {
      using store = openTestStore(directory, options);
      for (const seed of ["b", "c", "d", "e"]) await promoteTold(store, putRecord(store, seed));
    }
    assert.throws(() => open(directory), {
      code: "store-changed",
      message: /put back to an earlier state, or written anew/,
    });
  });

  test("a public key given must be the store's", () => {
    const directory = freshPlace();
    open(directory)[Symbol.dispose]();
    const path = join(root, "other-public.pem");
    writeFileSync(path, createSigningKey().publicKey);
    assert.throws(() => open(directory, { publicKey: loadPublicKey(path) }), {
      code: "store-changed",
      message: /expected key/,
    });
    open(directory, { publicKey: loadPublicKey(join(directory, "keys", "public.pem")) })[Symbol.dispose]();
  });

  test("keys/public.pem replaced alone, or the key in the database alone, is found", () => {
    const directory = freshPlace();
    {
      using store = open(directory);
      putRecord(store, "a");
    }
    const path = join(directory, "keys", "public.pem");
    const own = readFileSync(path);
    const { publicKey } = createSigningKey();
    chmodSync(path, 0o644);
    writeFileSync(path, publicKey);
    assert.match(problemsOf(directory), /public\.pem: expected the store's public key, got another one/);
    writeFileSync(path, own);
    {
      using store = open(directory, {});
      tablesOf(store).setFact("public-key", publicKey);
    }
    assert.match(problemsOf(directory), /somebody replaced the key/);
    rmSync(path);
    assert.match(problemsOf(directory), /public\.pem: expected the store's public key, got nothing/);
  });

  test("a store put back as a whole to an earlier state, or removed, is noticed where it was used before", async () => {
    const directory = freshPlace();
    {
      using store = open(directory);
      putRecord(store, "a");
    }
    cpSync(directory, `${directory}-earlier`, { recursive: true });
    {
      using store = open(directory);
      await promoteTold(store, putRecord(store, "b"));
    }
    rmSync(directory, { recursive: true });
    assert.throws(() => open(directory), {
      code: "store-changed",
      message: /one with 4 log entries.*all of it is gone.*registry forget/,
    });
    assert.equal(existsSync(directory), false, "no new one was begun");
    cpSync(`${directory}-earlier`, directory, { recursive: true });
    assert.throws(() => open(directory), {
      code: "store-changed",
      message: /entry 4, .* is not in it.*put back to an earlier state/,
    });
    assert.match(problemsOf(directory), /put back to an earlier state/);
    new PinFile(pinFolder, directory).remove(); // what `registry forget` does
    open(directory)[Symbol.dispose]();
  });

  test("what is remembered never goes back, and a damaged note is not taken for none", async () => {
    const directory = freshPlace();
    using store = open(directory);
    putRecord(store, "a");
    const pins = new PinFile(pinFolder, directory);
    const early = store.head;
    putRecord(store, "b");
    pins.write(store.publicKey, early);
    assert.deepEqual([pins.read()!.length, pins.read()!.publicKey], [2, publicKeyPem(store.publicKey)]);
    writeFileSync(pins.path, "{}");
    assert.throws(() => open(directory), { code: "store-changed", message: /expected what is remembered/ });
  });

  test("a home that cannot be written stops nobody from reading", () => {
    writeFileSync(join(root, "a-file"), "");
    open(freshPlace(), { pinFolder: join(root, "a-file", "stores") })[Symbol.dispose]();
  });
});
