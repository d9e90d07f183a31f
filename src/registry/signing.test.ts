/**
 * @file Oracles: bundles that two other implementations of the specification wrote (test/oracles/fixtures/model-signing.json),
 * and its appendix's root digest, which is the one of the same two files.
 */
import assert from "node:assert/strict";
import { createPublicKey, type KeyObject } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { digestOf } from "./digests.ts";
import {
  createSigningKey,
  keyFingerprint,
  listFiles,
  loadSigningKey,
  preAuthentication,
  rootDigest,
  signDirectory,
  verifyDirectory,
} from "./signing.ts";

interface Bundle {
  mediaType: string;
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
}

const fixture = JSON.parse(
  readFileSync(fileURLToPath(new URL("../../test/oracles/fixtures/model-signing.json", import.meta.url)), "utf8"),
) as { files: Record<string, string>; publicKey: string; bundles: Record<"python" | "go", Bundle> };
const publicKey = createPublicKey(fixture.publicKey);

const root = mkdtempSync(join(tmpdir(), "selkie-signing-"));
after(() => rmSync(root, { recursive: true, force: true }));
let numFolders = 0;

/** A folder with these files. */
function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = join(root, `${numFolders++}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

function freshKey(): KeyObject {
  const path = join(root, `key-${numFolders++}.pem`);
  writeFileSync(path, createSigningKey().privateKey, { mode: 0o600 });
  return loadSigningKey(path);
}

test("what a signature covers is DSSE's own example", () => {
  // the protocol of github.com/secure-systems-lab/dsse: PAE("http://example.com/HelloWorld", "hello world")
  const encoded = preAuthentication("http://example.com/HelloWorld", Buffer.from("hello world"));
  assert.equal(encoded.toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

describe("bundles of other implementations", () => {
  const folder = folderOf(fixture.files);
  for (const name of ["python", "go"] as const)
    test(`of ${name} verify, over the files they are of and no others`, () => {
      const bundle = JSON.stringify(fixture.bundles[name]);
      assert.equal(verifyDirectory(folder, bundle, publicKey).length, 2);
      const tampered = folderOf({ ...fixture.files, "signme-2": "signme-3" });
      assert.throws(() => verifyDirectory(tampered, bundle, publicKey), {
        message: /signme-2: expected sha256 32dcb1f8/,
      });
      const extra = folderOf({ ...fixture.files, more: "" });
      assert.throws(() => verifyDirectory(extra, bundle, publicKey), { message: /more: is not signed/ });
      assert.throws(() => verifyDirectory(folder, bundle, createPublicKey(freshKey())), {
        message: /got one by key e8450dec/,
      });
    });

  test("have the root digest that we compute", () => {
    assert.equal(rootDigest(listFiles(folder)), "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4");
  });

  type Change = (bundle: Bundle, statement: Record<string, unknown>) => object;
  const withPayload = (bundle: Bundle, text: string) => {
    const payload = Buffer.from(text).toString("base64");
    return { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payload } };
  };
  const changes: Readonly<Record<string, Change>> = {
    "another media type": (bundle) => ({ ...bundle, mediaType: "application/json" }),
    "another payload type": (bundle) => ({
      ...bundle,
      dsseEnvelope: { ...bundle.dsseEnvelope, payloadType: "text/plain" },
    }),
    "no signature": (bundle) => ({ ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, signatures: [] } }),
    "another predicate": (bundle, statement) =>
      withPayload(bundle, JSON.stringify({ ...statement, predicateType: "https://example.com/v1" })),
    "a statement written with other spaces": (bundle, statement) => withPayload(bundle, JSON.stringify(statement)),
  };
  for (const [what, change] of Object.entries(changes))
    test(`with ${what} are refused`, () => {
      const bundle = fixture.bundles.python;
      const { payload } = bundle.dsseEnvelope;
      const statement = JSON.parse(Buffer.from(payload, "base64").toString()) as Record<string, unknown>;
      const changed = JSON.stringify(change(bundle, statement));
      assert.throws(() => verifyDirectory(folder, changed, publicKey), { code: "signature-invalid" });
    });

  test("that are no bundle, or cut short, are refused", () => {
    const whole = JSON.stringify(fixture.bundles.go);
    for (const text of ["", '{"garbage": true}', whole.slice(0, 100)])
      assert.throws(() => verifyDirectory(folder, text, publicKey), { code: "signature-invalid" });
  });
});

describe("our own bundles", () => {
  const key = freshKey();
  const files = { "b.bin": "b", "a/z.bin": "az", ﬀ: "ligature", "😀": "emoji", "a.bin": "a" };

  test("list every file by code point, which is not the order of JavaScript strings, and verify", () => {
    const folder = folderOf(files);
    const bundle = signDirectory(folder, "my-model", key);
    const { payload } = (JSON.parse(bundle) as Bundle).dsseEnvelope;
    const statement = JSON.parse(Buffer.from(payload, "base64").toString()) as {
      subject: { name: string }[];
      predicate: { resources: { name: string; digest: string }[] };
    };
    assert.deepEqual(
      statement.predicate.resources.map(({ name }) => name),
      ["a.bin", "a/z.bin", "b.bin", "ﬀ", "😀"],
    );
    assert.equal(statement.predicate.resources[1]!.digest, digestOf("az"));
    assert.equal(statement.subject[0]!.name, "my-model");
    const { verificationMaterial } = JSON.parse(bundle) as { verificationMaterial: { publicKey: { hint: string } } };
    assert.equal(verificationMaterial.publicKey.hint, keyFingerprint(key));
    assert.equal(verifyDirectory(folder, bundle, createPublicKey(key)).length, 5);
  });

  test("fail when any one byte of any file is flipped", () => {
    const folder = folderOf({ "weights.bin": "0123456789", "config.json": "{}" });
    const bundle = signDirectory(folder, "m", key);
    for (let at = 0; at < 10; at++) {
      const bytes = Buffer.from("0123456789");
      bytes[at]! ^= 1;
      writeFileSync(join(folder, "weights.bin"), bytes);
      assert.throws(() => verifyDirectory(folder, bundle, createPublicKey(key)), {
        message: /weights\.bin: expected sha256/,
      });
    }
  });

  test("are made of regular files alone, at least one", () => {
    assert.throws(() => signDirectory(folderOf({}), "m", key), { message: /at least one file/ });
    const folder = folderOf({ a: "a" });
    symlinkSync(join(folder, "a"), join(folder, "link"));
    assert.throws(() => signDirectory(folder, "m", key), { message: /link: expected a regular file/ });
  });
});
