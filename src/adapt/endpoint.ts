/**
 * @file Completions from a server that speaks OpenAI's protocol, at `completions` or `chat/completions`. A server that is busy
 * is asked again, when it says so itself by `Retry-After` (RFC 9110, 10.2.3: seconds, or a date), else after a wait that doubles.
 */
import { setTimeout as wait } from "node:timers/promises";
import pRetry from "p-retry";
import { SelkieError } from "../util/index.ts";

/** Where a server is, and how often it is asked. */
export interface Endpoint {
  /** Its base (`http://host:8000/v1`) or the full path of a completions or chat-completions resource. */
  readonly url: string;
  readonly model: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string | undefined;
  /** Seconds after which a request is given up. @defaultValue 120 */
  readonly timeoutSeconds?: number;
  /** Tries of one request; refusals that cannot change (4xx but 408 and 429) are not repeated. @defaultValue 3 */
  readonly maxTries?: number;
  /** Milliseconds before the second try; twice as many before each further one. @defaultValue 500 */
  readonly firstWaitMs?: number;
  /** Seconds that a server may ask to be left alone; one that asks for more has failed. @defaultValue 300 */
  readonly maxWaitSeconds?: number;
}

/** What is asked. */
export interface CompletionRequest {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
}

/** What a server wrote. */
export interface Completion {
  readonly text: string;
  /** False where the answer was cut at `maxTokens`. */
  readonly isFinished: boolean;
}

/** The resource that an address means. */
export function resourceOf(address: string): URL {
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw new SelkieError(
      "bad-option",
      `--teacher: expected a checkpoint directory or an http(s) address, got "${address}"`,
      { cause },
    );
  }
  if (!url.pathname.endsWith("/completions")) url.pathname = `${url.pathname.replace(/\/+$/, "")}/completions`;
  return url;
}

/** An answer that is no completion; `status` 0 is none at all. */
class Refusal extends Error {
  readonly status: number;
  readonly retryAfterMs: number;

  constructor(status: number, text: string, retryAfterMs = 0) {
    super(text);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  get mayPass(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/**
 * Asks until an answer comes, at a temperature of 1.
 *
 * @throws {@link SelkieError} `"teacher-failed"` when the last try failed, with what the server said.
 */
export async function complete(endpoint: Endpoint, request: CompletionRequest): Promise<Completion> {
  const { maxTries = 3, firstWaitMs = 500, maxWaitSeconds = 300 } = endpoint;
  const { signal } = request;
  const url = resourceOf(endpoint.url);
  const mayPass = (error: Error): error is Refusal =>
    error instanceof Refusal && error.mayPass && error.retryAfterMs <= 1000 * maxWaitSeconds;
  try {
    return await pRetry(() => ask(url, endpoint, request), {
      retries: maxTries - 1,
      minTimeout: firstWaitMs,
      ...(signal && { signal }),
      shouldRetry: ({ error }) => mayPass(error),
      onFailedAttempt: async ({ error, retriesLeft }) => {
        if (retriesLeft > 0 && mayPass(error) && error.retryAfterMs > 0)
          await wait(error.retryAfterMs, undefined, { ...(signal && { signal }) });
      },
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof Refusal)) throw error;
    const { status, message, retryAfterMs } = error;
    const isLong = retryAfterMs > 1000 * maxWaitSeconds;
    throw new SelkieError(
      "teacher-failed",
      `${url.href}: expected a completion, got ${status === 0 ? "no answer" : `HTTP ${status}`}: ${message.slice(0, 200)}; ${isLong ? `it asks to wait ${Math.round(retryAfterMs / 1000)} s` : "check the address and --teacher-model"}, then run the same command again`,
      { cause: error },
    );
  }
}

async function ask(
  url: URL,
  { model, apiKey, timeoutSeconds = 120 }: Endpoint,
  { prompt, maxTokens, seed, signal }: CompletionRequest,
): Promise<Completion> {
  const isChat = url.pathname.endsWith("/chat/completions");
  const question = isChat ? { messages: [{ role: "user", content: prompt }] } : { prompt };
  const limit = AbortSignal.timeout(1000 * timeoutSeconds);
  const { status, text, retryAfter } = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(apiKey && { authorization: `Bearer ${apiKey}` }) },
    body: JSON.stringify({ model, ...question, max_tokens: maxTokens, temperature: 1, top_p: 0.95, seed }),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  })
    .then(async (reply) => ({
      ...{ status: reply.status, text: await reply.text(), retryAfter: reply.headers.get("retry-after") },
    }))
    .catch((cause: unknown) => ({ status: 0, text: describe(cause), retryAfter: null }));
  signal?.throwIfAborted();
  const completion = status === 200 ? readCompletion(text) : null;
  if (completion === null) throw new Refusal(status, text, millisecondsOf(retryAfter));
  return completion;
}

/** Milliseconds that `Retry-After` asks to wait from now; 0 without one that can be read. */
function millisecondsOf(retryAfter: string | null): number {
  if (retryAfter === null) return 0;
  const ms = /^\s*\d+\s*$/.test(retryAfter) ? 1000 * Number(retryAfter) : Date.parse(retryAfter) - Date.now();
  return Math.max(0, ms) || 0;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/** Text of an answer in either form; `null` when it is neither. */
function readCompletion(text: string): Completion | null {
  try {
    const { choices } = JSON.parse(text) as {
      choices: { text?: string; message?: { content?: string }; finish_reason?: string }[];
    };
    const content = choices[0]?.text ?? choices[0]?.message?.content;
    return typeof content === "string" ? { text: content, isFinished: choices[0]?.finish_reason !== "length" } : null;
  } catch {
    return null; // not JSON of that form; the caller says what came
  }
}
