/** @file Door of `registry`: runs on disk, the store of adapters and policies, signatures, the audit log. */
export { digestFile, digestOf, digestPath, removeFile, writeFileAtomic } from "./atomic-file.ts";
export { type AuditEntry, type AuditEvent, type AuditHead, readAuditLog } from "./audit.ts";
export type { FileContent, WriteHook } from "./disk.ts";
export { acquireLock, type Lock } from "./lock.ts";
export {
  defaultAliases,
  lineageFile,
  type NamedDigest,
  type RecordKind,
  type RecordLineage,
  type RecordState,
  recordId,
  type StoredRecord,
  type Verdict,
} from "./record.ts";
export {
  canonicalJson,
  createRun,
  type Json,
  Run,
  type RunManifest,
  type RunOptions,
  type RunRequest,
  type RunStatus,
  runDirectory,
} from "./runs.ts";
export {
  createSigningKey,
  keyFingerprint,
  listFiles,
  loadPublicKey,
  loadSigningKey,
  publicKeyPem,
  type SignedFile,
  signDirectory,
  verifyDirectory,
  writeNewKey,
} from "./signing.ts";
export { openStore, type PromoteRequest, type PutRequest, type Served, Store, type StoreOptions } from "./store.ts";
export type { AliasMove, Freeze, RecordedHead, Tables } from "./store-database.ts";
export { checkSeal, type StoreReport, type VerifyOptions, verifyStore } from "./store-verify.ts";
