/** @file Tokens of one completion on their way to whoever reads them, and the completions of many. */
import type { EngineCall, EngineGeneration, EngineProgress, EngineStream, TokenEvent } from "./engine.ts";

/** What an engine writes to and its caller reads from. */
export class TokenStream implements EngineStream {
  readonly result: Promise<EngineGeneration>;
  readonly #waiting: TokenEvent[] = [];
  #settle!: { readonly resolve: (value: EngineGeneration) => void; readonly reject: (error: unknown) => void };
  #failure: { readonly error: unknown } | null = null;
  #isOver = false;
  #wake: (() => void) | null = null;
  #cancel: () => void = () => {};
  #listener: ((event: TokenEvent) => void) | null = null;

  constructor() {
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.result.catch(() => {}); // who only iterates learns of the failure there
  }

  /** What {@link cancel} does. */
  onCancel(cancel: () => void): void {
    this.#cancel = cancel;
  }

  /** Calls `listener` with every token instead of keeping it for an iteration. */
  listen(listener: (event: TokenEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#waiting.splice(0)) listener(event);
  }

  push(event: TokenEvent): void {
    if (this.#listener !== null) this.#listener(event);
    else this.#waiting.push(event);
    this.#wake?.();
  }

  finish(generation: EngineGeneration): void {
    this.#isOver = true;
    this.#settle.resolve(generation);
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#isOver = true;
    this.#failure = { error };
    this.#settle.reject(error);
    this.#wake?.();
  }

  cancel(): void {
    if (!this.#isOver) this.#cancel();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<TokenEvent> {
    try {
      while (true) {
        yield* this.#waiting.splice(0);
        if (this.#waiting.length > 0) continue;
        if (this.#failure !== null) throw this.#failure.error;
        if (this.#isOver) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    } finally {
      this.cancel(); // a reader who leaves early wants no more tokens
    }
  }
}

/** Results of many completions in their order; the first failure, or the signal, cancels the rest. */
export async function collect(
  streams: readonly TokenStream[],
  { signal, onProgress }: EngineCall<EngineProgress>,
): Promise<EngineGeneration[]> {
  const cancelAll = (): void => {
    for (const stream of streams) stream.cancel();
  };
  let finished = 0;
  let numTokens = 0;
  const report = (): void => onProgress?.({ finished, total: streams.length, numTokens });
  const watch = async (stream: TokenStream): Promise<EngineGeneration> => {
    stream.listen(() => {
      numTokens++;
      report();
    });
    const generation = await stream.result;
    finished++;
    report();
    return generation;
  };
  signal?.addEventListener("abort", cancelAll);
  try {
    return await Promise.all(streams.map(watch));
  } catch (error) {
    cancelAll();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", cancelAll);
  }
}
