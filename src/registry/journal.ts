/**
 * @file Changes to the store: one transaction and one line of the audit log each. The line is part of the transaction
 * as `pending`; after the commit it is appended to the file and the mark taken off. A kill in between leaves the mark,
 * and whoever opens the store next appends the line, so the database decides what happened and the file follows.
 */
import type { KeyObject } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { SelkieError } from "../util/index.ts";
import { type AuditEvent, headAfter, nextLine, signHead } from "./audit.ts";
import type { Disk } from "./disk.ts";
import type { Tables } from "./store-database.ts";

/** Parts that {@link Journal} works on. */
export interface JournalParts {
  readonly tables: Tables;
  readonly disk: Disk;
  /** Of the log. */
  readonly path: string;
  readonly clock: () => number;
  /** Signs the head; asked for only when something changes. */
  readonly signingKey: () => KeyObject;
  /** Told of the head after a change has reached the log. */
  readonly onChange: () => void;
}

/** Fact that holds the time of the last change. */
export const latestTime = "latest-time";

/** The only way to change a store. */
export class Journal {
  readonly #parts: JournalParts;

  constructor(parts: JournalParts) {
    this.#parts = parts;
  }

  /** Runs `work` in a transaction; the event it returns is logged with it, at the time it was given. `null` logs nothing. */
  change<T>(work: (time: number) => { readonly event: AuditEvent | null; readonly value: T }): T {
    const { disk, tables } = this.#parts;
    const value = disk.transact(tables.database, () => {
      this.#settle();
      const time = this.now();
      const result = work(time);
      if (result.event !== null) this.#log(result.event, time);
      return result.value;
    });
    this.settle();
    this.#parts.onChange();
    return value;
  }

  /** The clock's time, or that of the last change where the clock was put back: budgets of a day must not begin anew. */
  now(): number {
    const { tables, clock } = this.#parts;
    return Math.max(clock(), Number(tables.fact(latestTime) ?? 0));
  }

  /** Appends the pending line, if there is one, and takes its mark off. */
  settle(): void {
    const { disk, tables } = this.#parts;
    if (tables.head().pending !== null) disk.transact(tables.database, () => this.#settle());
  }

  /** Runs `work` while nobody else changes the store. */
  quietly<T>(work: () => T): T {
    const { disk, tables } = this.#parts;
    return disk.transact(tables.database, () => {
      this.#settle();
      return work();
    });
  }

  #log(event: AuditEvent, time: number): void {
    const { tables, signingKey } = this.#parts;
    const head = tables.head();
    const line = nextLine(head, time, event);
    tables.setFact(latestTime, `${time}`);
    const after = headAfter(head, line);
    const signature = signHead(after, tables.served(), signingKey());
    tables.setHead({ ...head, ...after, signature, pending: line });
  }

  #settle(): void {
    const { disk, tables, path } = this.#parts;
    const head = tables.head();
    if (head.pending === null) return;
    const text = `${head.pending}\n`;
    const size = existsSync(path) ? statSync(path).size : 0;
    const tail = size > head.bytes ? readFileSync(path).subarray(head.bytes).toString("utf8") : "";
    if (size < head.bytes || !text.startsWith(tail))
      throw new SelkieError(
        "audit-broken",
        `${path}: was changed from outside while a line was to be added; compare it with a copy`,
      );
    if (tail !== text) {
      if (tail !== "") disk.truncate(path, head.bytes); // a kill tore the line
      disk.append(path, text);
    }
    tables.setHead({ ...head, start: head.bytes, bytes: head.bytes + Buffer.byteLength(text), pending: null });
  }
}
