/**
 * @file The audit log: one JSON object per line, each with the SHA-256 of the line before it, so that an edit, a
 * deletion or another order breaks the chain. A cut tail leaves a whole chain; it shows because the store keeps the
 * length and the hash of the last line, signed. What cannot be seen from inside: a store put back as it was, log, database
 * and all; keep the hash of the head elsewhere for that.
 */
import type { KeyObject } from "node:crypto";
import { SelkieError } from "../util/index.ts";
import { digestOf } from "./digests.ts";
import { canonicalJson, type Json } from "./json.ts";
import { isTextSignedBy, signText } from "./signing.ts";

/** What is logged; `sequence`, `time` and `previous` belong to the log. */
export interface AuditEvent {
  readonly type: string;
  readonly [field: string]: Json;
}

/** One line of the log. */
export interface AuditEntry extends AuditEvent {
  /** From 1. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** SHA-256 of the previous line, hex. */
  readonly previous: string;
}

/** End of the log: how many lines, and the hash of the last. */
export interface AuditHead {
  readonly length: number;
  readonly hash: string;
}

/** Head of a log without lines. */
export const emptyHead: AuditHead = { length: 0, hash: "0".repeat(64) };

const headType = "application/vnd.selkie.audit-head+json";

/** The line that follows `head`, without its line break. */
export function nextLine(head: AuditHead, time: number, event: AuditEvent): string {
  return canonicalJson({ ...event, sequence: head.length + 1, time, previous: head.hash });
}

/** Head of a log that ends with `line`. */
export const headAfter = (head: AuditHead, line: string): AuditHead => ({
  length: head.length + 1,
  hash: digestOf(line),
});

/** What each alias serves; `null` is the base model alone. */
export type ServedAliases = { readonly [alias: string]: string | null };

/** The aliases are signed with the end of the log, so that serving need not read the log to know that none was moved. */
const headText = ({ length, hash }: AuditHead, aliases: ServedAliases): string =>
  canonicalJson({ length, hash, aliases });

/** Signature of a head and of what the aliases serve then, base64. */
export const signHead = (head: AuditHead, aliases: ServedAliases, key: KeyObject): string =>
  signText(headType, headText(head, aliases), key);

/** True when head and aliases were signed with this key. */
export const isHeadSignedBy = (head: AuditHead, aliases: ServedAliases, signature: string, key: KeyObject): boolean =>
  isTextSignedBy(headType, headText(head, aliases), signature, key);

const broken = (message: string): SelkieError => new SelkieError("audit-broken", `audit log: ${message}`);

/**
 * Entries of the log's text, each checked against the one before it.
 *
 * @throws {@link SelkieError} `"audit-broken"` with the number of the first line at fault.
 */
export function readAuditLog(text: string): AuditEntry[] {
  if (text !== "" && !text.endsWith("\n")) throw broken("the last line is torn");
  const lines = text.split("\n").slice(0, -1);
  let head = emptyHead;
  return lines.map((line, index) => {
    const entry = parseLine(line, index + 1);
    if (entry.sequence !== head.length + 1)
      throw broken(
        `line ${index + 1}: expected entry ${head.length + 1}, got entry ${entry.sequence}; lines were removed or moved`,
      );
    if (entry.previous !== head.hash)
      throw broken(`line ${index + 1}: does not follow from the line before it; one of the two was changed`);
    head = headAfter(head, line);
    return entry;
  });
}

function parseLine(line: string, number: number): AuditEntry {
  try {
    return JSON.parse(line) as AuditEntry;
  } catch {
    throw broken(`line ${number}: expected a JSON object, got something else; it was changed`);
  }
}

/** Checks that the log ends where the store says it does. */
export function checkHead(text: string, recorded: AuditHead): void {
  const lines = text.split("\n").slice(0, -1);
  if (lines.length > 0 && recorded.length === 0)
    throw broken(`has ${lines.length} lines, of which the database knows none; it was emptied or replaced`);
  if (lines.length < recorded.length)
    throw broken(
      `expected ${recorded.length} lines, got ${lines.length}; ${lines.length === 0 ? "the log is gone or empty" : "its end was cut off"}`,
    );
  if (lines.length > recorded.length)
    throw broken(`expected ${recorded.length} lines, got ${lines.length}; lines were added from outside`);
  const last = lines.at(-1);
  if (last !== undefined && digestOf(last) !== recorded.hash)
    throw broken(`line ${lines.length}: is not the line that was written last; it was changed`);
}
