/** @file Places inside the package, the same from `src/` and from `dist/`, and the default ones outside. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Absolute path of `relative` below the package root. */
export function packagePath(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}

/** The model that ships with Selkie. */
export const shippedModelDirectory: string = packagePath("models/nano");

/** Version in package.json. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packagePath("package.json"), "utf8")) as { version: string };
  return version;
}

/** Where the store of adapters and policies is when nothing else is said, from the working folder. */
export const defaultStore = "runs/registry";

/** How a person calls the command line from here: through the launcher of a clone, or by the name that an install gave it. */
export const commandName = (): string => (existsSync(packagePath("src")) ? "./selkie" : "npx selkie");
