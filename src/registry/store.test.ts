/** @file What the store promises while nothing goes wrong; `test/store-faults.test.ts` breaks it off everywhere. */
import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTestStore, promoteTold } from "../../test/support/store-steps.ts";
import { digestOf } from "./digests.ts";
import type { RecordLineage } from "./record.ts";
import { createSigningKey, loadPublicKey, loadSigningKey } from "./signing.ts";
import type { Store } from "./store.ts";
import { tablesOf } from "./store-internals.ts";
import { openStore } from "./store-open.ts";
import { verifyStore } from "./store-verify.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-store-"));
after(() => rmSync(root, { recursive: true, force: true }));
let numStores = 0;
const freshStore = (): Store => openTestStore(join(root, `store-${numStores++}`), { clock: () => 1000, create: true });

const base = "b".repeat(64);
const lineage: RecordLineage = {
  kind: "adapter",
  base,
  parents: [],
  data: [{ name: "notes.md", sha256: digestOf("text") }],
  selfEdits: [{ name: "notes.md", sha256: digestOf("edit") }],
  config: { learningRate: 1e-3 },
  seed: 7,
  metrics: { "exam/accuracy": 0.75 },
  origin: { run: "adapt-1" },
};
const put = (store: Store, weights: string) =>
  store.put({ lineage, files: new Map([["adapter_model.safetensors", weights]]) }).id;
const promote = promoteTold;

/** Overwrites a file that the store made read-only. */
function overwrite(path: string, content: string | Uint8Array): void {
  chmodSync(path, 0o644);
  writeFileSync(path, content);
}

describe("records", () => {
  test("are named by the digest of their file names and contents, lineage included", async () => {
    using store = freshStore();
    const id = put(store, "weights");
    const record = readFileSync(join(store.objectPath(id), "record.json"));
    const listing = `[["adapter_model.safetensors","${digestOf("weights")}"],["record.json","${digestOf(record)}"]]`;
    assert.equal(id, digestOf(listing));
    assert.deepEqual(store.lineage(id), lineage);
    assert.equal(put(store, "weights"), id, "the same content is the same record");
    const other = { ...lineage, seed: 8 };
    assert.notEqual(store.put({ lineage: other, files: new Map([["adapter_model.safetensors", "weights"]]) }).id, id);
    assert.equal(store.list().length, 2);
    assert.equal(store.get(id.slice(0, 8)).id, id);
    assert.throws(() => store.get("zz"), { code: "unknown-name" });
    assert.throws(() => store.put({ lineage, files: new Map([["../x", ""]]) }), { code: "bad-option" });
  });

  test("a tampered byte, a missing file and an extra file fail verification with the file named", async () => {
    using store = freshStore();
    const id = put(store, "weights");
    await promote(store, id);
    assert.equal(store.serve("current").directory, store.objectPath(id));
    const weights = join(store.objectPath(id), "adapter_model.safetensors");
    overwrite(weights, "weighty");
    const tampered = {
      code: "signature-invalid",
      message: /adapter_model\.safetensors: expected sha256 .* it was changed/,
    };
    assert.throws(() => store.serve("current"), tampered);
    assert.match(verifyStore(store).problems.join(), /adapter_model\.safetensors: expected sha256/);
    rmSync(weights);
    assert.throws(() => store.serve("current"), { message: /was signed and is gone/ });
    writeFileSync(weights, "weights");
    assert.deepEqual(verifyStore(store).problems, []);
    writeFileSync(join(store.objectPath(id), "extra.bin"), "");
    assert.throws(() => store.serve("current"), { message: /extra\.bin: is not signed/ });
  });

  test("files at a record's place that are not its own give way when it is stored", async () => {
    using elsewhere = freshStore();
    using store = freshStore();
    const id = put(elsewhere, "weights");
    mkdirSync(join(store.objectPath(id), "deep"), { recursive: true });
    writeFileSync(join(store.objectPath(id), "deep", "junk"), "");
    assert.equal(put(store, "weights"), id);
    assert.equal(store.verifyRecord(id).length, 2);
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("nothing unsigned has a place in a record: no hidden folder, no link, no link instead of the folder", async () => {
    using store = freshStore();
    const id = put(store, "weights");
    await promote(store, id);
    const folder = store.objectPath(id);
    mkdirSync(join(folder, ".git")); // which the specification leaves out of signatures
    writeFileSync(join(folder, ".git", "config"), "");
    assert.throws(() => store.serve("current"), { code: "signature-invalid", message: /\.git: is not signed/ });
    rmSync(join(folder, ".git"), { recursive: true });
    symlinkSync("adapter_model.safetensors", join(folder, "again"));
    assert.throws(() => store.serve("current"), { message: /expected a regular file, got a link/ });
    rmSync(join(folder, "again"));
    renameSync(folder, `${folder}-aside`);
    symlinkSync(`${folder}-aside`, folder);
    assert.throws(() => store.serve("current"), { message: /expected the folder of a record, got a link/ });
    rmSync(folder);
    renameSync(`${folder}-aside`, folder);
    assert.equal(store.serve("current").record!.id, id);
    const files = new Map([
      ["w", ""],
      [".gitattributes", ""],
    ]);
    assert.throws(() => store.put({ lineage, files }), { code: "bad-option", message: /could not be signed/ });
  });

  test("files of another record under a valid signature are refused", async () => {
    using store = freshStore();
    const [one, two] = [put(store, "one"), put(store, "two")];
    overwrite(join(store.objectPath(one), "adapter_model.safetensors"), "two");
    overwrite(store.signaturePath(one), readFileSync(store.signaturePath(two)));
    assert.throws(() => store.verifyRecord(one), { code: "signature-invalid", message: /belong to another record/ });
  });
});

describe("kinds of records", () => {
  const policyLineage: RecordLineage = { ...lineage, kind: "policy" };
  const putPolicy = (store: Store, weights: string, ofBase = base) =>
    store.put({ lineage: { ...policyLineage, base: ofBase }, files: new Map([["model.safetensors", weights]]) }).id;

  test("have aliases of their own: none serves an adapter where a policy is expected", async () => {
    using store = freshStore();
    const [adapter, policy] = [put(store, "a"), putPolicy(store, "p")];
    const move = (id: string, alias: string) => promote(store, id, alias);
    await assert.rejects(move(policy, "current"), { code: "bad-option", message: /for a record of kind adapter/ });
    await assert.rejects(move(adapter, "policy"), { message: /for a record of kind policy, got the adapter/ });
    await move(policy, "policy");
    await move(adapter, "mine");
    await assert.rejects(move(policy, "mine"), { message: /kind adapter, got the policy/ });
    store.rollback("mine", "x");
    await assert.rejects(move(policy, "mine"), { message: /kind adapter/ }, "its history counts too");
    assert.equal(store.serve("policy", "policy").record!.id, policy);
    assert.throws(() => store.serve("policy", "adapter"), { message: /use it with --model/ });
    assert.throws(() => store.serve("mine", "policy"), { message: /use it with --adapter/ });
    store.rollback("policy", "odd edits");
    assert.equal(store.serve("policy", "policy").record, null);
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("of another base do not take the place of what is served", async () => {
    using store = freshStore();
    const other = { ...lineage, base: "d".repeat(64) };
    const [a, b] = [put(store, "a"), store.put({ lineage: other, files: new Map([["w", "b"]]) }).id];
    await promote(store, a);
    await assert.rejects(promote(store, b), {
      code: "adapter-mismatch",
      message: /serves the adapter .* of base bbbbbbbbbbbb, got .* of base dddddddddddd/,
    });
    assert.equal(store.serve("current").record!.id, a);
    store.rollback("current", "another base");
    await promote(store, b);
    assert.equal(store.serve("current").record!.id, b);
  });
});

describe("time in the store", () => {
  test("does not go back with the clock, so that a budget of a day does not begin anew", async () => {
    const day = 24 * 60 * 60 * 1000;
    let now = 10 * day;
    const directory = join(root, "clock");
    const open = () => openTestStore(directory, { clock: () => now, create: true });
    {
      using store = open();
      put(store, "a");
    }
    now = 0; // put back, in another process
    using store = open();
    put(store, "b");
    await promote(store, put(store, "c"));
    assert.deepEqual(
      store.list().map(({ time }) => time),
      [10 * day, 10 * day, 10 * day],
    );
    assert.equal(store.now(), 10 * day);
    now = 11 * day;
    assert.equal(store.now(), 11 * day);
    assert.deepEqual(verifyStore(store).problems, []);
  });
});

describe("the freeze", () => {
  test("stops promotions until the private key that belongs to it lifts it; rollback stays possible", async () => {
    using store = freshStore();
    const write = (name: string) => {
      const { privateKey, publicKey } = createSigningKey();
      writeFileSync(join(root, `${name}.pem`), privateKey, { mode: 0o600 });
      writeFileSync(join(root, `${name}-public.pem`), publicKey);
      return loadSigningKey(join(root, `${name}.pem`));
    };
    const [holder, other] = [write("holder"), write("other")];
    const [a, b] = [put(store, "a"), put(store, "b")] as [string, string];
    await promote(store, a);
    store.freeze(loadPublicKey(join(root, "holder-public.pem")), "an incident");
    await assert.rejects(promote(store, b), { code: "frozen", message: /an incident/ });
    assert.throws(() => store.unfreeze(other), { message: /only its holder/ });
    assert.throws(() => store.unfreeze(loadPublicKey(join(root, "holder-public.pem"))), {
      message: /expected the private key/,
    });
    store.rollback("current", "precaution");
    store.unfreeze(holder);
    await promote(store, b);
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("cleared behind the store's back shows in verify", async () => {
    using store = freshStore();
    store.freeze(loadSigningKey(join(store.directory, "keys", "signing.pem")), "an incident");
    tablesOf(store).setFreeze(null);
    assert.match(verifyStore(store).problems.join(), /freeze .*the log leads to 1, key .*, the database says nothing/);
  });
});

describe("verify", () => {
  const changes: readonly (readonly [what: string, sql: string, problem: RegExp])[] = [
    [
      "a state set by hand",
      "UPDATE records SET state = 'promoted'",
      /record .*leads to candidate, the database says promoted/,
    ],
    ["a record taken out", "DELETE FROM records", /record .*leads to candidate, the database says nothing/],
    ["an alias pointed elsewhere", "UPDATE aliases SET record = 'x'", /alias current: .*the database says x/],
    ["a history made up", "UPDATE moves SET previous = 'x'", /aliases: their history/],
    ["a head set back", "UPDATE head SET length = 1", /its end does not fit/],
    [
      "a record given another base",
      "UPDATE records SET base = 'x'",
      /leads to adapter of b+, the database says adapter of x/,
    ],
    ["a record made another kind", "UPDATE records SET kind = 'policy'", /kind and base of record .*policy of b/],
    ["a record made older", "UPDATE records SET time = 0", /time of record .*leads to 1000, the database says 0/],
    [
      "the last change made older",
      "UPDATE facts SET value = '0' WHERE name = 'latest-time'",
      /time of the last change: the log leads to 1000, the database says 0/,
    ],
  ];
  for (const [what, sql, problem] of changes)
    test(`finds ${what}`, async () => {
      using store = freshStore();
      put(store, "a");
      await promote(store, put(store, "b"));
      assert.deepEqual(verifyStore(store).problems, []);
      tablesOf(store).database.exec(sql);
      assert.match(verifyStore(store).problems.join("\n"), problem);
    });

  test("finds canaries that were changed after they were sealed; a reseal is an entry of its own", async () => {
    using store = freshStore();
    const digest = store.sealCanaries(base, "{}\n");
    assert.equal(digest, digestOf("{}\n"));
    assert.equal(store.sealCanaries(base, "other\n"), digest, "the first seal stays");
    overwrite(store.canariesPath(digest), "easy\n");
    assert.match(verifyStore(store).problems.join(), /canaries of base .* were changed/);
    overwrite(store.canariesPath(digest), "{}\n");
    assert.equal(store.sealCanaries(base, "other\n", true), digestOf("other\n"));
    assert.deepEqual(verifyStore(store).problems, []);
  });

  test("finds a log whose entries go back in time", async () => {
    using store = freshStore();
    put(store, "a");
    put(store, "b");
    const { length } = tablesOf(store).head();
    // what a process that holds the key, but sets the store's time back, would leave
    tablesOf(store).setFact("latest-time", "0");
    using careless = openTestStore(store.directory, { clock: () => 500 });
    put(careless, "c");
    assert.equal(tablesOf(store).head().length, length + 1);
    assert.match(verifyStore(store).problems.join(), /entry 3 is older than the one before it; the clock was put back/);
  });

  test("finds a store put back to an earlier state as a whole, log, database and all, by a head noted elsewhere", async () => {
    const directory = join(root, "whole");
    const open = () => openTestStore(directory, { clock: () => 1000, create: true });
    {
      using store = open();
      put(store, "a");
    }
    cpSync(directory, `${directory}-earlier`, { recursive: true });
    let noted = "";
    {
      using store = open();
      await promote(store, put(store, "b"));
      noted = verifyStore(store).head;
    }
    rmSync(directory, { recursive: true });
    cpSync(`${directory}-earlier`, directory, { recursive: true });
    using store = open();
    assert.deepEqual(verifyStore(store).problems, [], "from inside nothing shows");
    assert.match(verifyStore(store, { expectedHead: noted }).problems.join(), /put back to an earlier state/);
  });

  test("compares with a key and a head noted elsewhere", async () => {
    using store = freshStore();
    put(store, "a");
    const { head } = verifyStore(store);
    put(store, "b");
    assert.equal(verifyStore(store, { expectedHead: head, publicKey: store.publicKey }).isSound, true);
    assert.match(verifyStore(store, { expectedHead: "0".repeat(64) }).problems.join(), /put back to an earlier state/);
    writeFileSync(join(root, "foreign.pem"), createSigningKey().publicKey);
    const publicKey = loadPublicKey(join(root, "foreign.pem"));
    assert.match(verifyStore(store, { publicKey }).problems.join(), /signed anew by somebody else/);
  });
});

describe("keys", () => {
  test("are made with the store, the private one for its owner alone", {
    skip: process.platform === "win32",
  }, async () => {
    using store = freshStore();
    const path = join(store.directory, "keys", "signing.pem");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    chmodSync(path, 0o644);
    assert.throws(() => put(store, "a"), { message: /chmod 600/ });
  });

  test("can be kept elsewhere; reading needs none, and no other key can write", async () => {
    const directory = join(root, "given");
    const signingKey = join(root, "given.pem");
    writeFileSync(signingKey, createSigningKey().privateKey, { mode: 0o600 });
    openTestStore(directory, { clock: () => 1, create: true, signingKey })[Symbol.dispose]();
    assert.equal(existsSync(join(directory, "keys", "signing.pem")), false);
    using reader = openTestStore(directory, { clock: () => 1 });
    assert.equal(verifyStore(reader).isSound, true);
    assert.throws(() => put(reader, "a"), { code: "missing-file" });
    const foreign = join(root, "not-given.pem");
    writeFileSync(foreign, createSigningKey().privateKey, { mode: 0o600 });
    using impostor = openTestStore(directory, { clock: () => 1, signingKey: foreign });
    assert.throws(() => put(impostor, "a"), { message: /the key the store was made with/ });
    assert.throws(() => openTestStore(join(root, "none"), { clock: () => 1 }), { code: "missing-file" });
  });
});

test("a store without a clock is refused in words, and none is made", () => {
  const directory = join(root, "clockless");
  for (const options of [{}, { clock: 5 }, undefined])
    assert.throws(() => openStore(directory, options as never), {
      code: "bad-option",
      message: /store: expected a clock, .* got (undefined|number); pass \{ clock: Date\.now \}/,
    });
  assert.equal(existsSync(directory), false);
});
