/** @file Exports of `registry`: runs on disk, the store of adapters and policies, signatures, the audit log. */
export { removeFile, writeFileAtomic } from "../util/index.ts";
export { type AuditEntry, type AuditEvent, type AuditHead, readAuditLog } from "./audit.ts";
export { digestFile, digestOf, digestPath } from "./digests.ts";
export type { FileContent, WriteHook } from "./disk.ts";
export { findPolicy, type PolicyOrigin, policyOrigin } from "./examination.ts";
export {
  type Examination,
  type GradedFiles,
  type GraderReply,
  type GraderRequest,
  graderFlags,
} from "./grader-process.ts";
export { canonicalJson, type Json } from "./json.ts";
export { acquireLock, type Lock } from "./lock.ts";
export {
  closedStates,
  defaultAliases,
  describeReasons,
  lineageFile,
  type NamedDigest,
  type RecordKind,
  type RecordLineage,
  type RecordState,
  recordId,
  type StoredRecord,
  type Verdict,
} from "./record.ts";
export type { RunEvent } from "./run-log.ts";
export {
  createRun,
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
export type { Store } from "./store.ts";
export { stackOf } from "./store-aliases.ts";
export type { AliasMove, Freeze, RecordedHead } from "./store-database.ts";
export { checkNewStore, hasStore, openStore } from "./store-open.ts";
export { isLink, type Pin, PinFile, type StoreTrust } from "./store-pins.ts";
export type {
  Examined,
  ExamineOptions,
  Promoted,
  PromoteOptions,
  PutRequest,
  Served,
  StoreOptions,
} from "./store-types.ts";
export { checkSeal, type StoreReport, type VerifyOptions, verifyStore } from "./store-verify.ts";
export type { StoreView } from "./store-view.ts";
export { runKey, sealOfText, userFolder } from "./user-files.ts";
