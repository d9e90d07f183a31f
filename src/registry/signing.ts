/**
 * @file Signed directories: OpenSSF Model Signing 1.0 (github.com/ossf/model-signing-spec), method `key`. An in-toto
 * Statement v1 lists every file with its SHA-256; a DSSE envelope signs it; a Sigstore bundle carries it. Signs with
 * the curve of the key given, P-256 where we make one; verifies P-256, P-384 and P-521. Left out: certificates,
 * keyless signing, sharded digests, symbolic links; a bundle that needs one of them is refused.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { SelkieError, writeFailure } from "../util/index.ts";
import { digestFile, digestOf } from "./digests.ts";

const statementType = "https://in-toto.io/Statement/v1";
const predicateType = "https://model_signing/signature/v1.0";
const payloadType = "application/vnd.in-toto+json";
const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** Never signed, at the top of the directory, by section 6.2 of the specification. */
export const unsignedNames: readonly string[] = [".git", ".gitattributes", ".github", ".gitignore"];
/** Hash of the signature by curve, as Sigstore's algorithm registry pairs them. */
const hashOfCurve: Readonly<Record<string, string>> = {
  prime256v1: "sha256",
  secp384r1: "sha384",
  secp521r1: "sha512",
};

/** A file of a signed directory. */
export interface SignedFile {
  /** Relative, with `/`. */
  readonly name: string;
  /** SHA-256, hex. */
  readonly digest: string;
}

/** A fresh P-256 key pair as PEM. */
export function createSigningKey(): { readonly privateKey: string; readonly publicKey: string } {
  return generateKeyPairSync("ec", {
    namedCurve: "prime256v1",
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
}

/** Writes a private key where there is nothing yet, for its owner alone. */
export function writeNewKey(path: string, pem: string): void {
  try {
    writeFileSync(path, pem, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    throw writeFailure(path, cause);
  }
}

/** Reads a private key that its owner alone may read. */
export function loadSigningKey(path: string): KeyObject {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new SelkieError(
      "missing-file",
      `signing key: expected a PEM file, found nothing at ${path}; changes need it`,
    );
  if (process.platform !== "win32" && (stats.mode & 0o077) !== 0)
    throw new SelkieError(
      "bad-file",
      `${path}: expected a key that only its owner can read, got mode ${(stats.mode & 0o777).toString(8)}; run chmod 600 on it`,
    );
  return parseKey(path, () => createPrivateKey(readFileSync(path)));
}

/** Reads a public key, or takes the public half of a private one. */
export function loadPublicKey(path: string): KeyObject {
  return parseKey(path, () => createPublicKey(readFileSync(path)));
}

function parseKey(path: string, read: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new SelkieError("missing-file", `key: expected a PEM file, found nothing at ${path}`, { cause });
    throw new SelkieError("bad-file", `${path}: expected a key in PEM, got ${message}`, { cause });
  }
  curveOf(key);
  return key;
}

function curveOf(key: KeyObject): string {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? "none";
  if (curve in hashOfCurve) return curve;
  throw new SelkieError("bad-file", `key: expected P-256, P-384 or P-521, got ${curve}`);
}

/** The public half as PEM, as bundles' fingerprints are taken of it. */
export function publicKeyPem(key: KeyObject): string {
  const isPublic = key.type === "public";
  return (isPublic ? key : createPublicKey(key)).export({ type: "spki", format: "pem" }) as string;
}

/** SHA-256 of the public key's PEM, hex: `publicKey.hint` of a bundle. */
export function keyFingerprint(key: KeyObject): string {
  return digestOf(publicKeyPem(key));
}

/** What a DSSE signature covers (pre-authentication encoding, DSSE 1.0). */
export function preAuthentication(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

/** Signs `text` under `type`, base64. */
export function signText(type: string, text: string, privateKey: KeyObject): string {
  const message = preAuthentication(type, Buffer.from(text));
  return sign(hashOfCurve[curveOf(privateKey)]!, message, privateKey).toString("base64");
}

/** True when `signature` is of exactly this text under this type. */
export function isTextSignedBy(type: string, text: string, signature: string, publicKey: KeyObject): boolean {
  const message = preAuthentication(type, Buffer.from(text));
  return verify(hashOfCurve[curveOf(publicKey)]!, message, publicKey, Buffer.from(signature, "base64"));
}

/** By Unicode code point, which is the order of UTF-8 bytes and not always of JavaScript strings. */
const compareNames = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Every regular file below `directory` with its digest, sorted by name. */
export function listFiles(directory: string, ignored: readonly string[] = []): SignedFile[] {
  const visit = (folder: string): string[] =>
    readdirSync(join(directory, folder)).flatMap((entry) => {
      const name = folder === "" ? entry : `${folder}/${entry}`;
      if (ignored.includes(name)) return [];
      const stats = lstatSync(join(directory, name));
      if (stats.isDirectory()) return visit(name);
      if (stats.isFile()) return [name];
      throw invalid(`${join(directory, name)}: expected a regular file, got a link or a device; remove it`);
    });
  return visit("")
    .toSorted(compareNames)
    .map((name) => ({ name, digest: digestFile(join(directory, name)) }));
}

/** SHA-256 over the files' raw digests one after another: the subject of a statement. */
export function rootDigest(files: readonly SignedFile[]): string {
  const hash = createHash("sha256");
  for (const { digest } of files) hash.update(Buffer.from(digest, "hex"));
  return hash.digest("hex");
}

const invalid = (message: string): SelkieError => new SelkieError("signature-invalid", message);

/** Signs all files of `directory`; the result is the text of a Sigstore bundle, to be kept outside of it. */
export function signDirectory(directory: string, name: string, privateKey: KeyObject): string {
  const files = listFiles(directory, unsignedNames);
  if (files.length === 0)
    throw new SelkieError("bad-input", `${directory}: expected at least one file to sign, got none`);
  const statement = {
    _type: statementType,
    subject: [{ name, digest: { sha256: rootDigest(files) } }],
    predicateType,
    predicate: {
      resources: files.map((file) => ({ ...file, algorithm: "sha256" })),
      serialization: { method: "files", hash_type: "sha256", allow_symlinks: false, ignore_paths: unsignedNames },
    },
  };
  const payload = JSON.stringify(statement);
  const bundle = {
    mediaType: bundleType,
    verificationMaterial: { publicKey: { hint: keyFingerprint(privateKey) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString("base64"),
      payloadType,
      signatures: [{ sig: signText(payloadType, payload, privateKey), keyid: "" }],
    },
  };
  return `${JSON.stringify(bundle)}\n`;
}

const bundleSchema = z.looseObject({
  mediaType: z.string().regex(/^application\/vnd\.dev\.sigstore\.bundle(\.v0\.3\+json|\+json;version=0\.[123])$/),
  verificationMaterial: z.looseObject({
    publicKey: z.looseObject({ hint: z.string().optional(), rawBytes: z.string().optional() }),
  }),
  dsseEnvelope: z.looseObject({
    payload: z.base64(),
    payloadType: z.literal(payloadType),
    signatures: z.array(z.looseObject({ sig: z.base64() })).min(1),
  }),
});

const digestPattern = /^[0-9a-f]{64}$/;
const statementSchema = z.looseObject({
  _type: z.literal(statementType),
  subject: z
    .array(
      z.looseObject({ name: z.string().min(1), digest: z.looseObject({ sha256: z.string().regex(digestPattern) }) }),
    )
    .length(1),
  predicateType: z.literal(predicateType),
  predicate: z.looseObject({
    resources: z
      .array(
        z.looseObject({
          name: z.string().min(1),
          digest: z.string().regex(digestPattern),
          algorithm: z.literal("sha256"),
        }),
      )
      .min(1),
    serialization: z.looseObject({
      method: z.literal("files", 'only method "files" is supported'),
      hash_type: z.literal("sha256", "only sha256 is supported"),
      allow_symlinks: z.literal(false, "symbolic links are not supported"),
      ignore_paths: z.array(z.string()).optional(),
    }),
  }),
});

function parsePart<S extends z.ZodType>(schema: S, text: string, what: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`${what}: expected JSON, got ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(
    `${what}: ${parsed.error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`).join("; ")}`,
  );
}

/**
 * Checks that `bundle` was signed with the key and that `directory` holds exactly the files it lists, unchanged.
 *
 * @returns The files, sorted by name.
 * @throws {@link SelkieError} `"signature-invalid"` that names the first file or field at fault.
 */
export function verifyDirectory(directory: string, bundle: string, publicKey: KeyObject): SignedFile[] {
  const { dsseEnvelope, verificationMaterial } = parsePart(bundleSchema, bundle, `signature of ${directory}`);
  const { hint } = verificationMaterial.publicKey;
  const fingerprint = keyFingerprint(publicKey);
  if (hint !== undefined && hint !== fingerprint)
    throw invalid(
      `${directory}: expected a signature by key ${fingerprint}, got one by key ${hint}; use the public key it was signed with`,
    );
  const payload = Buffer.from(dsseEnvelope.payload, "base64").toString("utf8");
  if (!dsseEnvelope.signatures.every(({ sig }) => isTextSignedBy(payloadType, payload, sig, publicKey)))
    throw invalid(
      `${directory}: the signature does not fit the statement and key ${fingerprint}; one of them was changed`,
    );
  const { subject, predicate } = parsePart(statementSchema, payload, `statement of ${directory}`);
  const resources = predicate.resources.map(({ name, digest }) => ({ name, digest }));
  if (rootDigest(resources) !== subject[0]!.digest.sha256)
    throw invalid(`${directory}: the statement's subject does not fit its files`);
  const found = listFiles(directory, [...unsignedNames, ...(predicate.serialization.ignore_paths ?? [])]);
  compareFiles(directory, resources, found);
  return found;
}

function compareFiles(directory: string, signed: readonly SignedFile[], found: readonly SignedFile[]): void {
  const present = new Map(found.map(({ name, digest }) => [name, digest]));
  for (const { name, digest } of signed) {
    const actual = present.get(name);
    if (actual === undefined) throw invalid(`${join(directory, name)}: was signed and is gone; restore it`);
    if (actual !== digest)
      throw invalid(
        `${join(directory, name)}: expected sha256 ${digest}, got ${actual}; it was changed after it was signed`,
      );
    present.delete(name);
  }
  const [extra] = present.keys();
  if (extra !== undefined) throw invalid(`${join(directory, extra)}: is not signed; remove it`);
}
