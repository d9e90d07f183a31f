/** @file Door of `registry`: runs on disk, files that are whole or absent, locks. */
export { digestFile, digestOf, digestPath, removeFile, writeFileAtomic } from "./atomic-file.ts";
export { acquireLock, type Lock } from "./lock.ts";
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
