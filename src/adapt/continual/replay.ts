/**
 * @file Old text beside an edit. Two sources, both written by the model itself: samples of the base from before the stream
 * (self-generated replay, arXiv 2605.26097), and the documents of the stream's earlier edits. Samples of the base can be
 * learned as the base's own expectations instead of as text, which holds down KL(base ‖ present) there (an anchor).
 */
import type { Engine } from "../../engine/index.ts";
import type { TrainDocument } from "../../train/index.ts";
import type { Rng } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";

/** How much old text of which kind. */
export interface ReplayMix {
  /** Documents of old text as a share of all documents seen, in [0, 1). */
  readonly share: number;
  /** Of the old text, the share that is documents of earlier edits, in [0, 1]; before there are any, all is of the base. */
  readonly earlierShare: number;
  /** Learn samples of the base as what the base expects there, by its likeliest tokens; `null` learns them as text. */
  readonly anchor: { readonly topK: number } | null;
}

/** Documents of one edit with what is mixed in. */
export interface Documents {
  readonly documents: readonly TrainDocument[];
  readonly epochs: number;
  /** Grown with the old text, so that the edit takes as many updates as without. */
  readonly documentsPerStep: number;
}

/** Samples of the base as they are learned; call it while the model still is the base. */
export async function prepareReplay(
  engine: Engine,
  texts: readonly string[],
  mix: ReplayMix,
): Promise<TrainDocument[]> {
  const documents = toTrainDocuments(engine, texts);
  if (mix.anchor === null) return documents;
  const taught = documents.map(({ tokenIds }) => ({ tokenIds, prefix: [] }));
  const targets = await engine.softTargets(taught, { topK: mix.anchor.topK });
  return documents.map((document, index) => ({ ...document, softTargets: targets[index]! }));
}

/** `count` of `items`, all of them before any comes again. */
function draw<T>(items: readonly T[], count: number, rng: Rng): T[] {
  const drawn: T[] = [];
  for (let round = 0; drawn.length < count; round++)
    drawn.push(
      ...rng
        .fork(round)
        .shuffle(items)
        .slice(0, count - drawn.length),
    );
  return drawn;
}

/** What one edit is trained on: its documents of all epochs, written out, and old text of both kinds. */
export function mixDocuments(
  own: readonly TrainDocument[],
  old: { readonly base: readonly TrainDocument[]; readonly earlier: readonly TrainDocument[] },
  { share, earlierShare }: ReplayMix,
  { epochs, documentsPerStep }: { readonly epochs: number; readonly documentsPerStep: number },
  rng: Rng,
): Documents {
  const isEmpty = old.base.length + old.earlier.length === 0;
  if (share === 0 || isEmpty) return { documents: own, epochs, documentsPerStep };
  const numOld = Math.round((own.length * epochs * share) / (1 - share));
  const numEarlier = old.earlier.length === 0 ? 0 : old.base.length === 0 ? numOld : Math.round(numOld * earlierShare);
  return {
    documents: [
      ...Array.from({ length: epochs }, () => own).flat(),
      ...draw(old.earlier, numEarlier, rng.fork("earlier")),
      ...(numOld > numEarlier ? draw(old.base, numOld - numEarlier, rng.fork("base")) : []),
    ],
    epochs: 1,
    documentsPerStep: Math.max(1, Math.round(documentsPerStep / (1 - share))),
  };
}
