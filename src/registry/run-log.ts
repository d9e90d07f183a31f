/**
 * @file The log of one run. Each line carries the SHA-256 of the line before it and, where there is a key outside the run's
 * folder, an HMAC over itself and the run's id. Whoever can write the folder can cut the log's end and put back what was
 * there then, which costs time and changes no result; he can write no line of his own.
 */
import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import { guardWrite, SelkieError } from "../util/index.ts";
import { digestOf } from "./digests.ts";
import type { Json } from "./json.ts";
import { sealOfText } from "./user-files.ts";

/** One thing that happened in a run. Types are noun-verb: `artifact-write`. */
export interface RunEvent {
  readonly type: string;
  readonly [field: string]: Json;
}

const firstPrevious = "0".repeat(64);
const sealedPattern = /^(.*),"mac":"([0-9a-f]{64})"\}$/s;

/** The checked log of a run; one process appends to it. */
export class RunLog {
  readonly events: RunEvent[] = [];
  readonly #path: string;
  readonly #runId: string;
  readonly #key: Buffer | null;
  #previous: string = firstPrevious;

  /** Reads and checks what is there; a last line that a kill left half written is cut off. */
  constructor(path: string, runId: string, key: Buffer | null) {
    this.#path = path;
    this.#runId = runId;
    this.#key = key;
    if (!existsSync(path)) return;
    const bytes = readFileSync(path);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length) guardWrite(path, () => truncateSync(path, end));
    const lines = bytes.subarray(0, end).toString("utf8").split("\n").slice(0, -1);
    for (const [index, line] of lines.entries()) this.#accept(line, index + 1);
  }

  #accept(line: string, number: number): void {
    const sealed = sealedPattern.exec(line);
    const body = sealed === null ? line : `${sealed[1]}}`;
    if (this.#key !== null && sealed?.[2] !== this.#sealOf(body))
      throw this.#broken(number, "was not written by a run under this key");
    let entry: RunEvent & { readonly previous?: string };
    try {
      entry = JSON.parse(body);
    } catch (cause) {
      throw this.#broken(number, "is no event", cause);
    }
    const { previous, ...event } = entry;
    if (previous !== this.#previous) throw this.#broken(number, "does not follow from the line before it");
    this.events.push(event);
    this.#previous = digestOf(line);
  }

  #broken(number: number, what: string, cause?: unknown): SelkieError {
    return new SelkieError(
      "run-changed",
      `${this.#path}: line ${number} ${what}; the log of the run was changed, or an older Selkie or another person made it. Run the same command with --fresh to begin anew`,
      { cause },
    );
  }

  #sealOf(body: string): string | null {
    return this.#key === null ? null : sealOfText(`${this.#runId}\n${body}`, this.#key);
  }

  append(event: RunEvent): void {
    const body = JSON.stringify({ ...event, previous: this.#previous });
    const seal = this.#sealOf(body);
    const line = seal === null ? body : `${body.slice(0, -1)},"mac":"${seal}"}`;
    guardWrite(this.#path, () => appendFileSync(this.#path, `${line}\n`));
    this.events.push(event);
    this.#previous = digestOf(line);
  }

  /** Digests that the log holds for an artifact, oldest first. */
  digestsOf(name: string): string[] {
    return this.events
      .filter((event) => event.type === "artifact-write" && event["name"] === name)
      .map((event) => String(event["sha256"]));
  }
}
