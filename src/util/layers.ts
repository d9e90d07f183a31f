/** @file The layers, lowest first. `test/layers.test.ts` reads this list and refuses upward imports. */

/** A layer imports only layers below it, and only through their `index.ts`. */
export const layers = [
  "util",
  "tensor",
  "nn",
  "models",
  "generate",
  "registry",
  "train",
  "engine",
  "tasks",
  "adapt",
  "lab",
  "app",
  "jobs",
  "server",
  "cli",
] as const;
