/**
 * @file The folder that `--out` names belongs to one run. It is written beside its place and put there as a whole, so that
 * nobody finds one run's adapter beside another's report; a mark in it, `selkie-run.json`, names what the run wrote.
 * A folder that holds anything else is refused: what is not ours is never deleted. A lock beside it keeps a second run out.
 */
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { z } from "zod";
import { acquireLock } from "../registry/index.ts";
import { countOf, guardWrite, makeDirectory, SelkieError } from "../util/index.ts";

/** Name of the mark. */
export const markFile = "selkie-run.json";

/** What the mark of an output folder says about the run that wrote it. */
export interface OutputMark {
  readonly format: 1;
  /** Id of the run; `null` where it was kept nowhere. */
  readonly run: string | null;
  readonly decision: string;
  readonly reasons: readonly string[];
  /** What the run wrote, without the mark. */
  readonly names: readonly string[];
}

const markSchema: z.ZodType<OutputMark> = z.object({
  format: z.literal(1),
  run: z.string().nullable(),
  decision: z.string(),
  reasons: z.array(z.string()),
  names: z.array(z.string()),
});

/** The mark of `directory`; `null` where there is none that can be read. */
export function readMark(directory: string): OutputMark | null {
  try {
    return markSchema.parse(JSON.parse(readFileSync(join(directory, markFile), "utf8")));
  } catch {
    return null;
  }
}

/** Every file below `directory`, and every empty folder with a slash at its end; relative, with `/` between folders. */
function contentOf(directory: string, prefix = ""): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const name = `${prefix}${entry.name}`;
      if (!entry.isDirectory()) return [name];
      const below = contentOf(join(directory, entry.name), `${name}/`);
      return below.length === 0 ? [`${name}/`] : below;
    })
    .sort();
}

/** Refuses a folder that cannot become the output of a run. */
function checkFolder(directory: string, option: string): void {
  if (!existsSync(directory)) return;
  const refuse = (got: string) =>
    new SelkieError(
      "bad-option",
      `${option} ${directory}: expected a new or empty folder, or one that an earlier run wrote, got ${got}; name another, or move that away`,
    );
  if (`${realpathSync(process.cwd())}${sep}`.startsWith(`${realpathSync(directory)}${sep}`))
    throw refuse("the folder you are in");
  let files: string[];
  try {
    files = contentOf(directory);
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === "ENOTDIR" ? refuse("a file") : cause;
  }
  const own = new Set([markFile, ...(readMark(directory)?.names ?? [])]);
  const foreign = files.filter((file) => !own.has(file));
  if (foreign.length > 0)
    throw refuse(
      `${countOf(foreign.length, "file")} of somebody else (${foreign.slice(0, 3).join(", ")}${foreign.length > 3 ? ", …" : ""})`,
    );
}

/** An output folder that this process alone will write; dispose of it to let others in. */
export interface OutputFolder extends Disposable {
  readonly directory: string;
  /**
   * Puts copies of files or folders there, by their names in it, in place of whatever an earlier run left.
   *
   * @throws {@link SelkieError} `"write-failed"`; what was there is then untouched.
   */
  replace(mark: Omit<OutputMark, "format" | "names">, content: ReadonlyMap<string, string>): void;
}

/** Names beside the folder that the holder of its lock uses. */
const besides = (directory: string) => {
  const beside = (end: string) => join(dirname(directory), `.${basename(directory)}.${end}`);
  return { lock: beside("lock"), fresh: beside("partial"), old: beside("old") };
};

/** Brings a folder back into order whose exchange a kill cut short, and drops what was half written. */
function recover(directory: string): void {
  const { fresh, old } = besides(directory);
  if (existsSync(old) && !existsSync(directory)) renameSync(old, directory);
  for (const left of [fresh, old]) rmSync(left, { recursive: true, force: true });
}

/** Puts what was written beside `directory` in its place; whatever fails, the old folder or the new one stands there whole. */
function exchange(directory: string): void {
  const { fresh, old } = besides(directory);
  if (existsSync(directory)) renameSync(directory, old);
  try {
    renameSync(fresh, directory);
  } finally {
    recover(directory);
  }
}

/** Copies a file, or a folder with all that is in it. */
function copyTree(from: string, to: string): void {
  if (statSync(from).isDirectory()) {
    mkdirSync(to);
    for (const name of readdirSync(from)) copyTree(join(from, name), join(to, name));
  } else copyFileSync(from, to, constants.COPYFILE_FICLONE);
}

/**
 * Claims `place` for one run, before its work.
 *
 * @param option - Named in messages, for example `--out`.
 * @throws {@link SelkieError} `"bad-option"` for a folder with files of others, `"run-locked"` while another run has
 * claimed it, `"write-failed"` where nothing can be written.
 */
export function claimOutput(place: string, option: string): OutputFolder {
  const directory = existsSync(place) ? realpathSync(place) : resolve(place);
  checkFolder(directory, option);
  const beside = besides(directory);
  makeDirectory(dirname(directory));
  const lock = acquireLock(beside.lock, `${option} ${place}`);
  return {
    directory,
    replace(mark, content) {
      checkFolder(directory, option); // somebody may have put something there since
      guardWrite(`${option} ${place}`, () => {
        recover(directory);
        try {
          mkdirSync(beside.fresh);
          for (const [name, from] of content) copyTree(from, join(beside.fresh, name));
          const whole: OutputMark = { format: 1, ...mark, names: contentOf(beside.fresh) };
          writeFileSync(join(beside.fresh, markFile), `${JSON.stringify(whole, null, 1)}\n`);
          exchange(directory);
        } finally {
          rmSync(beside.fresh, { recursive: true, force: true });
        }
      });
    },
    [Symbol.dispose]() {
      rmSync(`${beside.lock}.held`, { force: true }); // while it is held: what others lie beside is not ours to fill
      lock[Symbol.dispose]();
    },
  };
}
