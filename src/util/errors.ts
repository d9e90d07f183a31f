/**
 * @file The one error type of the project. Messages read `who: expected what, got what; do this`,
 * `code` is stable for programs, `cause` keeps the original.
 */

/** Codes that mean "the input or the command line is wrong" (exit code 2); every other code means the work failed (exit code 1). */
const inputErrorCodes = new Set([
  "bad-input",
  "bad-option",
  "unknown-name",
  "duplicate-name",
  "bad-file",
  "missing-file",
  "missing-tensor",
  "shape-mismatch",
  "unsupported-model",
  "adapter-mismatch",
  "no-documents",
  "no-supervised-tokens",
  "unsupported-node",
]);

/** Any failure that Selkie itself detects. */
export class SelkieError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SelkieError";
    this.code = code;
  }

  /** True when the caller's input is at fault, not the work. */
  get isInputError(): boolean {
    return inputErrorCodes.has(this.code);
  }
}

/** A tensor or file whose shape is not the one required. */
export class ShapeError extends SelkieError {
  readonly expected: string;
  readonly got: string;

  constructor(where: string, expected: string, got: string, hint = "") {
    super("shape-mismatch", `${where}: expected ${expected}, got ${got}${hint === "" ? "" : `; ${hint}`}`);
    this.name = "ShapeError";
    this.expected = expected;
    this.got = got;
  }
}
