/** @file What long work is given besides its inputs, the same from the command line and from a program. */

/** Where work tells how far it is. */
export interface WorkOutput {
  /** How far the work has come; lines in between may be dropped, but not the first of a stage. */
  progress(text: string, options?: { readonly isStage: boolean }): void;
  /** A line that must be seen. */
  note(text: string): void;
}

/** What long work tells and heeds. */
export interface WorkContext {
  readonly output: WorkOutput;
  readonly signal: AbortSignal;
}

/** The message of a program that does not ask for any. */
export const silentOutput: WorkOutput = { progress: () => {}, note: () => {} };
