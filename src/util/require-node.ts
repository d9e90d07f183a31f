/**
 * @file Refuses a Node that is too old, in one line, as soon as anything of the package is imported. `index.ts` imports it
 * first, and every layer imports that. The same check, for the command: `bin/selkie.cjs`.
 */
import { SelkieError } from "./errors.ts";

const required = 24;

// elsewhere than in Node there is no such version, and nothing to refuse
const version = (globalThis.process as NodeJS.Process | undefined)?.versions?.node;
if (version !== undefined && Number.parseInt(version, 10) < required)
  throw new SelkieError(
    "unsupported-node",
    `selkie: expected Node ${required} or newer, got v${version}; install it from nodejs.org, or run your program with: npx -p node@${required} node …`,
  );
