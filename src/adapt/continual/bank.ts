/**
 * @file An adapter bank that is never merged: every edit keeps the adapter it was trained as, over the model as it came. A
 * retriever finds the passage that a question is about and with it the adapter; all other questions are the model's own.
 * Nothing can be forgotten, only be looked for in the wrong place, so each step tells how often that happens.
 */
import type { LoraAdapter } from "../../nn/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { PassageRetriever } from "../retrieve/index.ts";
import { adaptedSystem } from "./adapted.ts";
import { trainEdit } from "./merged.ts";
import type { ContinualMethod, Learner, StepReport, StreamContext, StreamItem } from "./method.ts";

/** How routing did on questions whose passage is known. */
export interface RoutingAccuracy {
  /** Questions about learned passages that find theirs, and how many there are. */
  readonly own: readonly [right: number, asked: number];
  /** Questions about nothing learned that find nothing, and how many there are. */
  readonly others: readonly [right: number, asked: number];
}

/** Passages by retrieval, each with what was learned of it. */
export class RoutedEdits {
  readonly #retriever = new PassageRetriever();
  readonly #items: StreamItem[] = [];
  readonly #adapters: (LoraAdapter | null)[] = [];

  /** @param adapter - `null` where the passage is known to be learned, but not by an adapter of its own. */
  add(item: StreamItem, adapter: LoraAdapter | null): void {
    const { title, context } = item.source;
    this.#retriever.add({ text: `${title}\n${context}`, documents: item.documents });
    this.#items.push(item);
    this.#adapters.push(adapter);
  }

  get size(): number {
    return this.#items.length;
  }

  /** Position of the passage that `question` is about, or `null`. */
  find(question: string): number | null {
    return this.#retriever.find(question)?.index ?? null;
  }

  adapterAt(index: number): LoraAdapter | null {
    return this.#adapters[index]!;
  }

  /** Routing of the passages' selection questions and of `others`; report questions are not looked at. */
  measure(others: readonly { readonly question: string }[]): RoutingAccuracy {
    const own = this.#items.flatMap(({ exam }, index) =>
      exam.selection.map(({ question }) => this.find(question) === index),
    );
    const strays = others.map(({ question }) => this.find(question) === null);
    const share = (results: readonly boolean[]) => [results.filter(Boolean).length, results.length] as const;
    return { own: share(own), others: share(strays) };
  }
}

/** As a step's note: rounded down, so that 100 % means all. */
export function describeRouting({ own, others }: RoutingAccuracy): string {
  const right = own[0] + others[0];
  const asked = own[1] + others[1];
  return asked === 0 ? "routing: nothing asked" : `routing ${Math.floor((100 * right) / asked)} % right`;
}

/** The bank as a method. */
export const bankMethod: ContinualMethod = {
  name: "bank",
  summary: "each edit keeps an adapter of its own, nothing merged; questions find theirs by BM25",
  settings: {},
  begin: async (context) => new BankLearner(context),
};

/** Trains the adapter of one edit over the model as it came; `null` when it diverged. */
export async function trainAlone(
  context: StreamContext,
  { documents }: StreamItem,
  step: number,
): Promise<{ readonly adapter: LoraAdapter | null; readonly numTokens: number; readonly numSteps: number }> {
  const { lora, learningRate, epochs, documentsPerStep } = context.innerLoop;
  const own = toTrainDocuments(context.engine, documents);
  const job = { id: `edit-${step}`, documents: own, lora, learningRate, epochs, documentsPerStep };
  const { adapter, status, numTokens, numSteps } = await trainEdit(context, job);
  return { adapter: status === "diverged" ? null : adapter, numTokens, numSteps };
}

class BankLearner implements Learner {
  readonly #context: StreamContext;
  readonly #edits = new RoutedEdits();
  readonly answer: Learner["answer"];
  readonly logprobs: Learner["logprobs"];
  readonly complete: NonNullable<Learner["complete"]>;

  constructor(context: StreamContext) {
    this.#context = context;
    ({
      answer: this.answer,
      logprobs: this.logprobs,
      complete: this.complete,
    } = adaptedSystem(context, (question) => {
      const index = this.#edits.find(question);
      return index === null ? null : this.#edits.adapterAt(index);
    }));
  }

  async learn(item: StreamItem, step: number): Promise<StepReport> {
    const { adapter, numTokens, numSteps } = await trainAlone(this.#context, item, step);
    this.#edits.add(item, adapter);
    return { numTokens, numSteps, note: describeRouting(this.#edits.measure(this.#context.canaries)) };
  }

  [Symbol.dispose](): void {}
}
