/**
 * @file Whose turn it is. Calls that read the weights run side by side; a call that changes them runs alone. Turns are
 * given in the order of asking, so that a change waits for what began before it, and what comes later waits for the change.
 */

/** `shared` runs beside others of its kind, `exclusive` alone. */
export type TurnKind = "shared" | "exclusive";

/** Gives turns; see the file's comment. */
export class Turns {
  readonly #waiting: { readonly kind: TurnKind; readonly start: (leave: () => void) => void }[] = [];
  #numSharing = 0;
  #isHeld = false;

  /** Calls `start` when its turn has come: at once where nothing stands in the way. The turn lasts until `leave` is called. */
  enter(kind: TurnKind, start: (leave: () => void) => void): void {
    this.#waiting.push({ kind, start });
    this.#admit();
  }

  /** Runs `work` as one turn. */
  async take<T>(kind: TurnKind, work: () => Promise<T>): Promise<T> {
    const leave = await new Promise<() => void>((resolve) => this.enter(kind, resolve));
    try {
      return await work();
    } finally {
      leave();
    }
  }

  #admit(): void {
    while (this.#waiting.length > 0 && !this.#isHeld) {
      const { kind, start } = this.#waiting[0]!;
      if (kind === "exclusive" && this.#numSharing > 0) return;
      this.#waiting.shift();
      if (kind === "exclusive") this.#isHeld = true;
      else this.#numSharing++;
      let isOver = false;
      start(() => {
        if (isOver) return;
        isOver = true;
        if (kind === "exclusive") this.#isHeld = false;
        else this.#numSharing--;
        this.#admit();
      });
    }
  }
}
