/** @file The thread that an engine's model lives in: loads it, then serves calls until told to close. */
import { parentPort, workerData } from "node:worker_threads";
import { choosePrecision, loadCheckpoint } from "../models/index.ts";
import { openBackend } from "../tensor/index.ts";
import type { Engine } from "./engine.ts";
import { createEngine } from "./local.ts";
import {
  type CallName,
  type Calls,
  type ClientMessage,
  receiveRequest,
  sendError,
  type WorkerData,
  type WorkerMessage,
} from "./messages.ts";

/** Reports of progress are at least so far apart, in milliseconds. */
const reportEveryMs = 50;

const port = parentPort!;
const post = (message: WorkerMessage): void => port.postMessage(message);

/** What a call may use beside its arguments. */
interface CallContext<Event> {
  readonly signal: AbortSignal;
  readonly emit: (event: Event) => void;
}

type Handlers = {
  [Name in CallName]: (
    engine: Engine,
    args: Calls[Name]["args"],
    context: CallContext<Calls[Name]["event"]>,
  ) => Promise<Calls[Name]["result"]>;
};

/** Passes on the first report and then one in {@link reportEveryMs}. */
function seldom<Event>(emit: (event: Event) => void): (event: Event) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (event) => {
    const now = performance.now();
    if (now - last < reportEveryMs) return;
    last = now;
    emit(event);
  };
}

const handlers: Handlers = {
  async submit(engine, request, { signal, emit }) {
    const stream = engine.submit(receiveRequest(request));
    signal.addEventListener("abort", () => stream.cancel());
    for await (const token of stream) emit(token);
    return stream.result;
  },
  generate: (engine, requests, { signal, emit }) =>
    engine.generate(requests.map(receiveRequest), { signal, onProgress: seldom(emit) }),
  score: (engine, readings, { signal }) => engine.score(readings, { signal }),
  embed: (engine, readings, { signal }) => engine.embed(readings, { signal }),
  addAdapter: (engine, { adapter, id }) => engine.addAdapter(adapter, id),
  async removeAdapter(engine, id) {
    await engine.removeAdapter(id);
    return undefined;
  },
  trainAdapters: (engine, training, { signal, emit }) =>
    engine.trainAdapters(training, { signal, onProgress: seldom(emit) }),
  stats: (engine) => engine.stats(),
};

const running = new Map<number, AbortController>();

async function serve<Name extends CallName>(engine: Engine, id: number, name: Name, args: Calls[Name]["args"]) {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const emit = (event: Calls[Name]["event"]): void => post({ type: "event", id, event });
    const result = await handlers[name](engine, args, { signal: controller.signal, emit });
    post({ type: "result", id, result });
  } catch (error) {
    post({ type: "error", id, error: sendError(error) });
  } finally {
    running.delete(id);
  }
}

async function load(): Promise<Engine> {
  const { directory, threads, instructionSet, precision, weights, ...limits } = workerData as WorkerData;
  const warn = (message: string): void => post({ type: "warning", message });
  const options = {
    ...(threads !== undefined && { threads }),
    ...(instructionSet !== undefined && { instructionSet }),
  };
  const backend = openBackend({ ...options, warn });
  const chosen = { ...choosePrecision(backend, precision), ...(weights !== undefined && { weights }) };
  return createEngine(await loadCheckpoint(backend, directory, { precision: chosen, warn }), limits);
}

try {
  const engine = await load();
  port.on("message", async (message: ClientMessage) => {
    if (message.type === "call") await serve(engine, message.id, message.name, message.args);
    else if (message.type === "cancel") running.get(message.id)?.abort();
    else {
      for (const controller of running.values()) controller.abort();
      await engine[Symbol.asyncDispose]();
      post({ type: "closed" });
      port.close();
    }
  });
  post({ type: "ready", model: engine.model });
} catch (error) {
  post({ type: "failed", error: sendError(error) });
}
