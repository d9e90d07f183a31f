/**
 * @file What a stream of passages is learned with: a method begins once per stream and its learner takes the passages one
 * after another. `stream.ts` examines the learner between them and puts the model's weights back at the end.
 */
import type { Engine } from "../../engine/index.ts";
import type { Json } from "../../registry/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import type { PassageExam } from "../build-exam.ts";
import type { ExamAnswer, ExamItem } from "../exam.ts";
import type { PromptTemplates } from "../prompts.ts";
import type { InnerLoop } from "../settings.ts";

/** A passage of a stream, with the documents of its self-edit (exam questions removed). */
export interface StreamItem {
  readonly source: SourcePassage;
  readonly exam: PassageExam;
  readonly documents: readonly string[];
}

/** What a learner works with. */
export interface StreamContext {
  /** The learner may change its weights; they are put back after the stream. */
  readonly engine: Engine;
  readonly templates: PromptTemplates;
  /** How one edit is trained. */
  readonly innerLoop: InnerLoop;
  /** Texts the model wrote of itself before the stream. */
  readonly replay: readonly string[];
  /** A set the learner may look at (gates); the reported ones are others. */
  readonly canaries: readonly ExamItem[];
  /** Passages that will come, at least 1. */
  readonly numPassages: number;
  /** Names this stream's random numbers. */
  readonly seed: string;
  readonly signal?: AbortSignal | undefined;
}

/** What learning one passage took. */
export interface StepReport {
  /** Rows computed in training, replay included. */
  readonly numTokens: number;
  /** Updates done. */
  readonly numSteps: number;
  readonly note?: string;
}

/** One stream's state. */
export interface Learner extends Disposable {
  /** Learns the passage of step `step`, from 0. */
  learn(item: StreamItem, step: number): Promise<StepReport>;
  /** Closed-book answers as the whole system gives them now. */
  answer(items: readonly ExamItem[]): Promise<ExamAnswer[]>;
  /**
   * Log-probabilities of every next token of each probe, as the system gives them: `[position][vocabulary]`, flattened, one
   * array per probe. For the divergence from the base.
   */
  logprobs(probes: readonly (readonly number[])[]): Promise<readonly Float32Array[]>;
  /**
   * Continues texts as the whole system does now, for skills other than closed-book answers. Left out by a learner whose
   * system is the model with its present weights.
   */
  readonly complete?: (requests: readonly CompletionRequest[]) => Promise<string[]>;
}

/** A text to go on with: greedily, or as a sample of the stream that `seed` names. */
export interface CompletionRequest {
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly seed: string | null;
  /** Ends at the end of a line, as an answer does. */
  readonly isLine: boolean;
}

/** A way to learn a stream. */
export interface ContinualMethod {
  readonly name: string;
  readonly summary: string;
  /** All that determines what it does, besides its code: recorded, and part of the name under which results are kept. */
  readonly settings: Json;
  /** `last`: a bound that is examined once, after all passages. @defaultValue "all" */
  readonly rows?: "all" | "last";
  /** Called with the model as it was before the stream. */
  begin(context: StreamContext): Promise<Learner>;
}
