/** @file The thread that an engine's model lives in: loads it, then serves calls until told to close. */
import { parentPort, workerData } from "node:worker_threads";
import type { Engine } from "./engine.ts";
import { loadEngine } from "./load.ts";
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
  removeAdapter: (engine, id) => engine.removeAdapter(id) as Promise<undefined>,
  trainAdapters: (engine, training, { signal, emit }) =>
    engine.trainAdapters(training, { signal, onProgress: seldom(emit) }),
  divergence: (engine, readings, { signal }) => engine.divergence(readings, { signal }),
  predict: (engine, readings, { signal }) => engine.predict(readings, { signal }),
  softTargets: (engine, { documents, topK }) => engine.softTargets(documents, { topK }),
  fisher: (engine, { adapter, documents }) => engine.fisher(adapter, documents),
  meanLoss: (engine, documents) => engine.meanLoss(documents),
  trainModel: (engine, plan, { signal, emit }) => engine.trainModel(plan, { signal, onProgress: seldom(emit) }),
  mergeAdapter: (engine, { adapter, scale }) => engine.mergeAdapter(adapter, scale) as Promise<undefined>,
  keepWeights: (engine) => engine.keepWeights(),
  restoreWeights: (engine, id) => engine.restoreWeights(id) as Promise<undefined>,
  forgetWeights: (engine, id) => engine.forgetWeights(id) as Promise<undefined>,
  digestWeights: (engine) => engine.digestWeights(),
  save: (engine, directory) => engine.save(directory),
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

try {
  const { directory, ...options } = workerData as WorkerData;
  const engine = await loadEngine(directory, { ...options, warn: (message) => post({ type: "warning", message }) });
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
