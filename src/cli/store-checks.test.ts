/** @file What the verbs say of a store that was tampered with, put back, emptied, or judged under a loose gate; no model is needed. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { lineageOf, openTestStore, promoteTold, putRecord, told } from "../../test/support/store-steps.ts";
import { defaultGate, parseGate } from "../adapt/index.ts";
import { digestCheckpoint, digestParts } from "../models/index.ts";
import { createSigningKey, type Json, type Store, type Verdict } from "../registry/index.ts";
import { checkBases } from "./store-checks.ts";

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "selkie-checks-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let numStores = 0;
const freshPlace = (): string => join(folder, `store-${numStores++}`);
/** Opens a store as the verbs would leave it, and pins nothing. */
const open = (directory: string): Store => openTestStore(directory, { clock: () => 1000, create: true });

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
const env = { ...process.env, XDG_CONFIG_HOME: join(folder, "config") };
function selkie(args: readonly string[], more: NodeJS.ProcessEnv = {}): Ended {
  const flags = ["--disable-warning=ExperimentalWarning", mainFile];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, ...args], {
    cwd: folder,
    env: { ...env, ...more },
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}
const registry = (verb: string, store: string, ...args: readonly string[]): Ended =>
  selkie(["registry", verb, ...args, "--store", store]);

const under = (gate: unknown, reason: string): Verdict => ({
  outcome: "promote",
  reasons: [reason],
  details: { policy: gate } as Json,
});

/** A store that serves one record and holds a rejected one. */
async function build(
  directory: string,
  verdict: Verdict = under(defaultGate, "it learned"),
): Promise<[string, string]> {
  using store = open(directory);
  const [served, rejected] = [putRecord(store, "served"), putRecord(store, "rejected")];
  await promoteTold(store, served, "current", verdict);
  await store.examine(
    rejected,
    told({ outcome: "reject", reasons: ["it forgot"], details: { policy: defaultGate as unknown as Json } }),
  );
  return [served, rejected];
}

function sql(directory: string, statement: string): void {
  const database = new DatabaseSync(join(directory, "store.sqlite"));
  database.exec(statement);
  database.close();
}

describe("list, show, log and verify", () => {
  test("say of a verdict changed by SQL that the row is tampered with, and never Sound", async () => {
    const directory = freshPlace();
    const [, rejected] = await build(directory);
    assert.match(registry("verify", directory).stdout, /^Sound: 2 records/);
    sql(
      directory,
      `UPDATE records SET state = 'candidate', reasons = '["fine"]', verdict = replace(verdict, 'reject', 'promote') WHERE id = '${rejected}'`,
    );
    const listed = registry("list", directory);
    assert.equal(listed.code, 1);
    assert.match(listed.stdout, /NOT SOUND/);
    assert.match(listed.stdout, new RegExp(`${rejected.slice(0, 12)} .*TAMPERED`));
    assert.doesNotMatch(listed.stdout, /fine$/m);
    const shown = registry("show", directory, rejected.slice(0, 12));
    assert.equal(shown.code, 1);
    assert.match(shown.stdout, /candidate: TAMPERED/);
    assert.match(shown.stdout, /the verdict does not verify: this row is not what the log says/);
    assert.doesNotMatch(shown.stdout, /not judged yet|under gate|looser/i);
    const verified = registry("verify", directory);
    assert.equal(verified.code, 1);
    assert.doesNotMatch(verified.stdout, /Sound/);
    assert.match(verified.stdout, /verdict of record/);
  });

  test("say of a deleted log, a deleted database and an emptied store what is missing, and exit with 1", async () => {
    const gone: readonly (readonly [what: string, remove: (place: string) => void, said: RegExp])[] = [
      ["the log", (place) => rmSync(join(place, "audit.ndjson")), /the log is gone or empty/],
      ["its lines", (place) => truncateSync(join(place, "audit.ndjson"), 0), /the log is gone or empty/],
      [
        "the database",
        (place) => rmSync(join(place, "store.sqlite")),
        /one with 5 log entries.* was used here.*audit\.ndjson/s,
      ],
      ["its rows", (place) => writeFileSync(join(place, "store.sqlite"), ""), /the database knows none|was seen here/],
      [
        "everything in it",
        (place) => {
          rmSync(place, { recursive: true });
          mkdirSync(place);
        },
        /one with 5 log entries.*all of it is gone/,
      ],
      ["the folder", (place) => rmSync(place, { recursive: true }), /one with 5 log entries.*all of it is gone/],
    ];
    for (const [what, remove, said] of gone) {
      const directory = freshPlace();
      await build(directory);
      assert.equal(registry("verify", directory).code, 0); // its first use, which pins it
      for (const name of ["store.sqlite-wal", "store.sqlite-shm"]) rmSync(join(directory, name), { force: true });
      remove(directory);
      const verbs = what === "the log" || what === "the database" ? ["list", "log", "verify"] : ["list"];
      for (const verb of verbs) {
        const { code, stdout, stderr } = registry(verb, directory);
        assert.equal(code, 1, `${verb} without ${what}`);
        assert.match(stdout + stderr, said, `${verb} without ${what}`);
        assert.doesNotMatch(stdout + stderr, /Sound:|Nothing has happened|The store is empty/);
      }
    }
  });

  test("say so of a replaced public key, with each way of naming the right one", async () => {
    const directory = freshPlace();
    await build(directory);
    const kept = join(folder, "kept.pem");
    writeFileSync(kept, readFileSync(join(directory, "keys", "public.pem")));
    assert.equal(registry("list", directory).code, 0);
    rmSync(directory, { recursive: true });
    await build(directory); // written anew and signed anew by somebody else
    for (const verb of ["list", "log", "verify"]) {
      const { code, stdout } = registry(verb, directory);
      assert.deepEqual([code, /somebody replaced the key/.test(stdout)], [1, true], verb);
    }
    const fresh = { XDG_CONFIG_HOME: join(folder, "another-config") }; // who never used the store, but has the key
    const ways: readonly (readonly [args: readonly string[], more: NodeJS.ProcessEnv])[] = [
      [["--public-key", kept], fresh],
      [[], { ...fresh, SELKIE_PUBLIC_KEY: kept }],
    ];
    for (const [args, more] of ways) {
      const { code, stdout } = selkie(["registry", "verify", "--store", directory, ...args], more);
      assert.equal(code, 1);
      assert.match(stdout, /signed anew by somebody else/);
    }
  });

  test("say which records passed a looser gate, and that the store's own gate is looser", async () => {
    const directory = freshPlace();
    const loose = parseGate('{"thresholds": {"maxKlNats": 9}}', "g");
    const [served] = await build(directory, under(loose, "it learned"));
    writeFileSync(join(directory, "gate.json"), '{"evidence": {"minKnown": 0}}');
    for (const verb of ["list", "verify"]) {
      const { code, stdout } = registry(verb, directory);
      assert.equal(code, 0);
      assert.match(
        stdout,
        new RegExp(`${served.slice(0, 12)} passed a gate looser than the default: thresholds\\.maxKlNats 9`),
      );
      assert.match(stdout, /gate\.json is looser than the default: evidence\.minKnown 0/);
    }
    assert.match(
      registry("show", directory, served).stdout,
      /LOOSER than the default: thresholds\.maxKlNats 9 \(default 0\.5\)/,
    );
  });
});

/** Arguments with which each verb that trusts a store opens it. */
const trusting: readonly (readonly string[])[] = [
  ["ask", "Who?", "--adapter", "@current"],
  ["ask", "Who?", "--model", "@policy"],
  ["adapt", "notes.txt", "--model", "@policy"],
  ["learn", "knowledge", "--passages", "notes.txt", "--model", "@policy"],
  ["registry", "promote", "abcdef"],
  ["registry", "rollback"],
  ["registry", "release", "abcdef", "--reason", "x"],
  ["registry", "gc"],
];

test("every verb that trusts a store refuses one with another key, or put back, before it does anything", async () => {
  const directory = freshPlace();
  await build(directory);
  writeFileSync(join(folder, "notes.txt"), "Ann Fox was born in Whitby.");
  const other = join(folder, "other.pem");
  writeFileSync(other, createSigningKey().publicKey);
  cpSync(directory, `${directory}-earlier`, { recursive: true });
  {
    using store = open(directory);
    putRecord(store, "later");
  }
  assert.equal(registry("list", directory).code, 0);
  for (const args of trusting) {
    const keyed = selkie([...args, "--store", directory, "--public-key", other]);
    assert.equal(keyed.code, 1, args.join(" "));
    assert.match(
      keyed.stderr,
      /signed anew by somebody else, or the public key given is of another store/,
      args.join(" "),
    );
  }
  rmSync(directory, { recursive: true });
  cpSync(`${directory}-earlier`, directory, { recursive: true });
  for (const args of trusting) {
    const { code, stderr } = selkie([...args, "--store", directory]);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, /put back to an earlier state, or written anew.*registry forget/, args.join(" "));
  }
  const forgotten = registry("forget", directory);
  assert.match(forgotten.stdout, /is forgotten/);
  assert.equal(registry("list", directory).code, 0);
});

test("undo on the command line: what serves is not promoted again, and --to base ends at the base", async () => {
  const directory = freshPlace();
  const [served] = await build(directory);
  const again = registry("promote", directory, served);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /@current serves .* already; nothing was changed/);
  assert.match(registry("rollback", directory, "--to", "base").stdout, /serves the base model again/);
  assert.match(
    registry("rollback", directory, "--to", served.slice(0, 12)).stdout,
    new RegExp(`serves ${served.slice(0, 12)} again`),
  );
  assert.equal(registry("rollback", directory).code, 0);
  const stuck = registry("rollback", directory);
  assert.equal(stuck.code, 2);
  assert.match(stuck.stderr, /there is nothing to roll back/);
});

test("release lets a rejected record be examined again, with a reason that the log keeps", async () => {
  const directory = freshPlace();
  const [, rejected] = await build(directory);
  const refused = registry("promote", directory, rejected);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is rejected: it forgot.*registry release/);
  assert.equal(registry("release", directory, rejected).code, 2, "a reason is required");
  const released = registry("release", directory, rejected, "--reason", "the canaries were wrong");
  assert.equal(released.code, 0, released.stderr);
  assert.match(registry("log", directory).stdout, /record-release .*the canaries were wrong/);
});

describe("a base model that changed", () => {
  /** What the digest reads; nothing loads it. */
  function buildModel(): string {
    const model = join(folder, `model-${numStores++}`);
    mkdirSync(model);
    const files = {
      "config.json": "{}",
      "model.safetensors": "w",
      "tokenizer.json": '{"a":1,"b":2}',
      "generation_config.json": "{}",
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(model, name), content);
    writeFileSync(join(model, "selkie.json"), '{"prompts":{"question":"Question: {question}"}}');
    return model;
  }

  const changes: readonly (readonly [name: string, content: string])[] = [
    ["tokenizer.json", '{"a":2,"b":1}'],
    ["selkie.json", '{"prompts":{"question":"Answer wrongly: {question}"}}'],
    ["generation_config.json", '{"eos_token_id":7}'],
    ["chat_template.jinja", "{{ messages }}"],
    ["model.safetensors", "v"],
  ];
  for (const [name, content] of changes)
    test(`in ${name} is named by verify`, async () => {
      const [model, directory] = [buildModel(), freshPlace()];
      using store = open(directory);
      const origin = { model, baseParts: (await digestParts(model)) as unknown as Json };
      const lineage = { ...lineageOf("x"), base: await digestCheckpoint(model), origin };
      store.put({ lineage, files: new Map([["weights", "w"]]) });
      assert.deepEqual(await checkBases(store), { problems: [], notes: [] });
      writeFileSync(join(model, name), content);
      const { problems } = await checkBases(store);
      assert.match(problems.join(), new RegExp(`base model .*${name.replaceAll(".", "\\.")}(#prompts)? was changed`));
      if (name === "tokenizer.json") {
        const { code, stdout } = registry("verify", directory);
        assert.equal(code, 1);
        assert.match(stdout, /tokenizer\.json was changed/);
        assert.doesNotMatch(stdout, /Sound/);
      }
      rmSync(model, { recursive: true });
      const moved = await checkBases(store);
      assert.match(moved.notes.join(), /is not at .* any more, so that it could not be read again/);
    });
});

test("a gate.json that is a link is refused: whoever set it did not write into the store", async () => {
  const directory = freshPlace();
  await build(directory);
  writeFileSync(join(folder, "elsewhere.json"), "{}");
  symlinkSync(join(folder, "elsewhere.json"), join(directory, "gate.json"));
  const { code, stderr } = registry("gate", directory);
  assert.equal(code, 2);
  assert.match(stderr, /gate\.json: expected a file of the store's own, got a link/);
  assert.equal(existsSync(join(folder, "config", "selkie", "stores")), true);
});

describe("many reasons, and a narrow terminal", () => {
  const reasons = Array.from({ length: 9 }, (_, index) => `passage ${index}: names a harbour that it lacks`);
  const narrow = { COLUMNS: "50" };
  /** Lines wider than the terminal, but for single words such as paths and hashes, which are there to be copied. */
  const tooWide = (text: string): string[] =>
    text.split("\n").filter((line) => line.length > 50 && line.trim().includes(" "));

  async function buildQuarantined(): Promise<[directory: string, id: string]> {
    const directory = freshPlace();
    using store = open(directory);
    const id = putRecord(store, "odd");
    await promoteTold(store, id, "current", {
      outcome: "quarantine",
      reasons,
      details: { policy: defaultGate } as never,
    });
    return [directory, id];
  }

  test("promote of a quarantined record names the first reasons and where the others are", async () => {
    const [directory, id] = await buildQuarantined();
    const { code, stderr } = selkie(["registry", "promote", id, "--store", directory], narrow);
    assert.equal(code, 1);
    assert.match(stderr.replaceAll("\n", " "), /passage 3: .*; and 5 more, see \S*selkie registry show [0-9a-f]{12}/);
    assert.doesNotMatch(stderr, /passage 4/);
    assert.deepEqual(tooWide(stderr), []);
    assert.match(registry("show", directory, id).stdout, /passage 8: names a harbour/);
  });

  test("verify, list and show break their sentences between words", async () => {
    const [directory, id] = await buildQuarantined();
    const sound = selkie(["registry", "verify", "--store", directory], narrow);
    assert.match(sound.stdout, /^Sound: 1 record,/);
    assert.deepEqual(tooWide(sound.stdout), []);
    sql(directory, `UPDATE records SET reasons = '["fine"]'`);
    for (const args of [["verify"], ["list"], ["show", id], ["log"]]) {
      const { code, stdout } = selkie(["registry", ...args, "--store", directory], narrow);
      assert.equal(code, 1, args[0]);
      assert.deepEqual(tooWide(stdout), [], args[0]);
    }
  });
});

test("a verdict that somebody emptied, or wrote as no verdict at all, is said not to verify", async () => {
  for (const written of ["NULL", `'{"outcome":"promote","details":null}'`, "'[4'", `'{"reasons":5}'`]) {
    const directory = freshPlace();
    const [served] = await build(directory);
    sql(directory, `UPDATE records SET verdict = ${written}, reasons = 'gone' WHERE id = '${served}'`);
    for (const args of [["show", served], ["list"], ["verify"]]) {
      const { code, stdout, stderr } = selkie(["registry", ...args, "--store", directory]);
      assert.deepEqual([code, stderr], [1, ""], `${args[0]} after ${written}`);
      assert.match(stdout, new RegExp(`(verdict|record) .*${served.slice(0, 12)}`), `${args[0]} after ${written}`);
      if (args[0] === "show") assert.match(stdout, /the verdict does not verify/, written);
    }
  }
});

test("log calls the base model by its name, and nothing null", async () => {
  const directory = freshPlace();
  await build(directory);
  registry("rollback", directory, "--reason", "it drifted");
  registry("freeze", directory, "--key", join(folder, "freezer.pem"), "--reason", "an audit");
  const { code, stdout } = registry("log", directory);
  assert.equal(code, 0);
  assert.match(stdout, /promote .*from the base model/);
  assert.match(stdout, /rollback .*from [0-9a-f]{12}, reason it drifted, record the base model/);
  assert.match(stdout, /freeze .*holder's key [0-9a-f]{12}, reason an audit/);
  assert.doesNotMatch(stdout, /null|PUBLIC KEY/);
});

test("list and verify name a gate.json that cannot be read and do their work; promote refuses it", async () => {
  const directory = freshPlace();
  const [, rejected] = await build(directory);
  registry("release", directory, rejected, "--reason", "looked at it");
  for (const content of ["{", "", '{"thresholds": {"maxKL": 2}}', null]) {
    const path = join(directory, "gate.json");
    rmSync(path, { recursive: true, force: true });
    if (content === null) mkdirSync(path);
    else writeFileSync(path, content);
    for (const verb of ["list", "verify"]) {
      const { code, stdout, stderr } = registry(verb, directory);
      assert.deepEqual([code, stderr], [1, ""], `${verb} with ${content}`);
      assert.match(stdout, /gate\.json.*until then nothing is promoted/, `${verb} with ${content}`);
      assert.doesNotMatch(stdout, /Sound:/);
      if (verb === "list") assert.match(stdout, new RegExp(`${rejected.slice(0, 12)} .*candidate`));
    }
    const promoted = registry("promote", directory, rejected);
    assert.equal(promoted.code, 2, promoted.stderr);
    assert.match(promoted.stderr, /gate\.json/);
  }
});
