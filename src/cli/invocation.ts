/** @file How the program was started, so that commands in help and messages are those that work for this user. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** What is known of the start. */
export interface Start {
  /** Path of the script, `process.argv[1]`. */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  readonly directory: string;
  readonly exists: (path: string) => boolean;
}

/**
 * The words before the verb: `./selkie` in a checkout, with the path to it from elsewhere, `npx selkie` where npm runs the
 * installed package, else `selkie`.
 */
export function invocationOf({ script, env, directory, exists }: Start): string {
  if (/\.[cm]?ts$/.test(script)) {
    const root = resolve(dirname(script), "..", "..");
    const launcher = relative(directory, join(root, "selkie"));
    if (!exists(join(root, "selkie"))) return "npm run -s selkie --";
    return quoteWord(launcher.includes("/") ? launcher : `./${launcher}`);
  }
  const isNpx = env["npm_command"] === "exec" || /[\\/]node_modules[\\/]/.test(script);
  return isNpx && !/[\\/]lib[\\/]node_modules[\\/]/.test(script) ? "npx selkie" : "selkie";
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** How this very process was started. */
export function currentInvocation(): string {
  const script = resolved(process.argv[1] ?? "selkie");
  return invocationOf({ script, env: process.env, directory: process.cwd(), exists: existsSync });
}

const commands =
  /(?<![\w./-])selkie (?=(?:demo|adapt|ask|score|learn|pretrain|experiment|registry|bench|--help|<)\b|--help)/g;

/** `text` with every command in it, written `selkie <verb>`, as this user has to type it. */
export const asStarted = (text: string, invocation: string = currentInvocation()): string =>
  text.replace(commands, () => `${invocation} `);

/** A word as a POSIX shell takes it. */
export const quoteWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The command line to run again; `--fresh` is left out, since it would forget what is kept. */
export const commandAgain = (args: readonly string[], invocation: string = currentInvocation()): string =>
  [invocation, ...args.filter((arg) => arg !== "--fresh").map(quoteWord)].join(" ");
