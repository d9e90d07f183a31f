/** @file The files of a store: records' folders, their signatures, sealed canaries, and what is on its way in. */
import type { KeyObject } from "node:crypto";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SelkieError } from "../util/index.ts";
import { digestFile, digestOf } from "./digests.ts";
import type { Disk, FileContent } from "./disk.ts";
import { recordId } from "./record.ts";
import { listFiles, type SignedFile, signDirectory, unsignedNames, verifyDirectory } from "./signing.ts";

/** SHA-256 of what a file is to hold. */
export const digestContent = (content: FileContent): string =>
  typeof content === "string" || content instanceof Uint8Array ? digestOf(content) : digestFile(content.path);

/** Files by record id; knows nothing of states and aliases. */
export class ObjectFolder {
  readonly #directory: string;
  readonly #disk: Disk;

  constructor(directory: string, disk: Disk) {
    this.#directory = directory;
    this.#disk = disk;
  }

  objectPath(id: string): string {
    return join(this.#directory, "objects", id);
  }

  signaturePath(id: string): string {
    return join(this.#directory, "signatures", `${id}.sig`);
  }

  canariesPath(digest: string): string {
    return join(this.#directory, "canaries", `${digest}.jsonl`);
  }

  /** Copies the files of a record to a folder of their own, where nothing looks for them. */
  receive(id: string, files: ReadonlyMap<string, FileContent>): string {
    const incoming = join(this.#directory, "incoming", `${process.pid}-${id}`);
    for (const [name, content] of files) this.#disk.writeNew(join(incoming, name), content);
    if (recordId(listFiles(incoming)) === id) return incoming;
    throw new SelkieError("bad-file", "store: a file of the record changed while it was copied; store it again");
  }

  /** Moves finished files to their place; files left there by an attempt that was cut short give way. */
  place(incoming: string, id: string): void {
    const target = this.objectPath(id);
    const isThere = existsSync(target) && recordId(listFiles(target)) === id;
    if (isThere) this.#disk.remove(incoming);
    else if (existsSync(target)) this.#disk.remove(target);
    if (!isThere) this.#disk.rename(incoming, target);
  }

  sign(id: string, name: string, key: KeyObject): void {
    this.#disk.writeAtomic(this.signaturePath(id), signDirectory(this.objectPath(id), name, key));
  }

  /** Throws `"signature-invalid"` unless the files are the record's and signed with the key. */
  verify(id: string, publicKey: KeyObject): SignedFile[] {
    const path = this.signaturePath(id);
    if (!existsSync(path) || !existsSync(this.objectPath(id)))
      throw new SelkieError(
        "signature-invalid",
        `record ${id}: its ${existsSync(path) ? "files are" : "signature is"} gone; restore the store from a copy`,
      );
    this.#refuseUnsigned(id);
    if (!lstatSync(path).isFile())
      throw new SelkieError("signature-invalid", `${path}: expected the signature of a record, got a link; remove it`);
    const files = verifyDirectory(this.objectPath(id), readFileSync(path, "utf8"), publicKey);
    if (recordId(files) === id) return files;
    throw new SelkieError(
      "signature-invalid",
      `record ${id}: its files are signed but belong to another record; restore the store from a copy`,
    );
  }

  /** What a signature by the specification does not cover has no place in a record; nor has a link in place of its folder. */
  #refuseUnsigned(id: string): void {
    const directory = this.objectPath(id);
    const [extra] = readdirSync(directory).filter((name) => unsignedNames.includes(name));
    if (extra !== undefined)
      throw new SelkieError("signature-invalid", `${join(directory, extra)}: is not signed; remove it`);
    if (!lstatSync(directory).isDirectory())
      throw new SelkieError(
        "signature-invalid",
        `${directory}: expected the folder of a record, got a link; remove it`,
      );
  }

  /** Paths that belong to none of these records and seals, and to no process that is still writing. */
  unreferenced(ids: ReadonlySet<string>, seals: ReadonlySet<string>): string[] {
    const inFolder = (folder: string, isKept: (name: string) => boolean): string[] => {
      const path = join(this.#directory, folder);
      if (!existsSync(path)) return [];
      const names = readdirSync(path).filter((name) => !isKept(name) && !isOfLivingProcess(name));
      return names.map((name) => join(path, name));
    };
    return [
      ...inFolder("objects", (name) => ids.has(name)),
      ...inFolder("signatures", (name) => ids.has(name.replace(/\.sig$/, ""))),
      ...inFolder("canaries", (name) => seals.has(name.replace(/\.jsonl$/, ""))),
      ...inFolder("incoming", () => false),
      ...inFolder("keys", (name) => !name.endsWith(".partial")), // of a key that was cut short; others may keep theirs here
    ];
  }
}

/** Files being written carry the process that writes them: `<pid>-…` or `….<pid>.partial`. */
function isOfLivingProcess(name: string): boolean {
  const pid = Number(/^(\d+)-/.exec(name)?.[1] ?? /\.(\d+)\.partial$/.exec(name)?.[1] ?? Number.NaN);
  if (!Number.isInteger(pid) || pid === process.pid) return false;
  try {
    process.kill(pid, 0); // signal 0 only asks whether the process exists
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
