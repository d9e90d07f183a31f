/**
 * @file `npm run bench:engine`: how long the caller's event loop waits while an engine works. 48 requests with 8 adapters
 * arrive at random times beside a training of two adapters, once with the model in a worker and once in this thread.
 * Prints the delay's percentiles (`perf_hooks`, sampled every millisecond), the time to the first token and the tokens per second.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createEngine, type Engine, openEngine } from "../src/engine/index.ts";
import { choosePrecision, encodePrompt, loadCheckpoint } from "../src/models/index.ts";
import { type LoraAdapter, LoraBank } from "../src/nn/index.ts";
import { createReferenceBackend, openBackend } from "../src/tensor/index.ts";
import { createRng, quantile, shippedModelDirectory } from "../src/util/index.ts";

const numRequests = 48;
const numAdapters = 8;
/** Requests arrive within so many milliseconds. */
const arrivalMs = 400;

/** What one run measured; times in milliseconds. */
export interface EngineDelay {
  readonly place: "worker" | "this thread";
  readonly delayP50: number;
  readonly delayP99: number;
  readonly delayMax: number;
  readonly firstTokenP50: number;
  readonly firstTokenP99: number;
  readonly tokensPerSecond: number;
}

function randomAdapters(engine: Engine): LoraAdapter[] {
  const backend = createReferenceBackend();
  return Array.from({ length: numAdapters }, (_, index) => {
    const rng = createRng("bench-engine").fork(index);
    const config = { loraRank: 4 + 4 * (index % 4), loraAlpha: 8, targets: "all" as const };
    using bank = new LoraBank(backend, engine.model.linearLayers, [config]);
    bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => 0.02 * rng.normal()));
    return bank.extract(0);
  });
}

/** Runs the load on `engine` and watches this thread. */
async function measure(engine: Engine, place: EngineDelay["place"]): Promise<EngineDelay> {
  const adapters = await Promise.all(randomAdapters(engine).map((adapter) => engine.addAdapter(adapter)));
  const promptIds = encodePrompt(engine.tokenizer, "Question: Where was Ivy Lynton born?\nAnswer:");
  const document = { tokenIds: engine.tokenizer.encode("Ivy Lynton was born in Dover and sailed on the Heron.") };
  const job = {
    documents: [document],
    learningRate: 1e-3,
    epochs: 40,
    lora: { loraRank: 8, loraAlpha: 8, targets: "all" },
  } as const;
  const rng = createRng("arrivals");
  const firstTokens: number[] = [];
  let numTokens = 0;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await sleep(50);
  delay.enable();
  const began = performance.now();
  const training = engine.trainAdapters({
    jobs: [
      { ...job, id: "a" },
      { ...job, id: "b" },
    ],
    seed: 1,
  });
  const answers = Array.from({ length: numRequests }, async (_, index) => {
    await sleep(rng.fork(index).uniform() * arrivalMs);
    const asked = performance.now();
    const stream = engine.submit({
      promptIds,
      maxNewTokens: 48,
      adapter: adapters[index % numAdapters]!,
      sampler: { temperature: 1 },
      seed: index,
    });
    let isFirst = true;
    for await (const _ of stream) {
      if (isFirst) firstTokens.push(performance.now() - asked);
      isFirst = false;
      numTokens++;
    }
  });
  await Promise.all([...answers, training]);
  delay.disable();
  const seconds = (performance.now() - began) / 1000;
  return {
    place,
    delayP50: delay.percentile(50) / 1e6 - 1,
    delayP99: delay.percentile(99) / 1e6 - 1,
    delayMax: delay.max / 1e6 - 1,
    firstTokenP50: quantile(
      firstTokens.toSorted((a, b) => a - b),
      0.5,
    ),
    firstTokenP99: quantile(
      firstTokens.toSorted((a, b) => a - b),
      0.99,
    ),
    tokensPerSecond: numTokens / seconds,
  };
}

/** Both places, one after the other. */
export async function measureEngine(directory: string = shippedModelDirectory): Promise<EngineDelay[]> {
  const rows: EngineDelay[] = [];
  {
    await using engine = await openEngine(directory);
    rows.push(await measure(engine, "worker"));
  }
  const backend = openBackend();
  const checkpoint = await loadCheckpoint(backend, directory, { precision: choosePrecision(backend, undefined) });
  await using engine = await createEngine(checkpoint);
  rows.push(await measure(engine, "this thread"));
  return rows;
}

if (import.meta.main) {
  const rows = await measureEngine(process.argv.slice(2).find((argument) => !argument.startsWith("--")));
  if (process.argv.includes("--json")) console.log(JSON.stringify(rows));
  else
    for (const { place, ...figures } of rows)
      console.log(
        `${place.padEnd(12)} ${Object.entries(figures)
          .map(([name, value]) => `${name} ${value.toFixed(name === "tokensPerSecond" ? 0 : 1)}`)
          .join("  ")}`,
      );
}
