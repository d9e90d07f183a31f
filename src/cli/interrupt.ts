/** @file Ctrl-C: the first one asks the work to stop, the second ends the process. */

/** Exit code of an interrupted run, 128 + SIGINT. */
export const interruptedExitCode = 130;

/** Reason of the abort signal after Ctrl-C. */
export class InterruptedError extends Error {
  constructor(message = "interrupted") {
    super(message);
    this.name = "InterruptedError";
  }
}

/** A signal that aborts on Ctrl-C or SIGTERM; dispose of it to stop listening. */
export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

/** Starts listening; `announce` is told once that the work is being stopped. */
export function listenForInterrupt(announce: () => void): Interrupt {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    announce();
    controller.abort(new InterruptedError());
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
