/**
 * @file Screens what a model wrote before anything is trained on it. A document that says what its passage does not is left
 * out; an edit that speaks to the model, or most of which is left out, is refused as a whole; a passage none of whose edits
 * passes is not learned.
 */
import { findInjections, type SourceEdit } from "./gate/screen.ts";
import { doubtsOf, readPassage } from "./gate/support.ts";

/** A document that was not trained on. */
export interface RefusedDocument {
  readonly document: string;
  readonly why: string;
}

/** What is left of an edit. */
export interface ScreenedEdit {
  /** Empty when the edit was refused. */
  readonly documents: readonly string[];
  readonly refused: readonly RefusedDocument[];
}

/** Of an edit's documents, more than this share left out refuses the rest: it is about something else. */
const maxRefusedShare = 0.5;

/**
 * Screens the documents of one edit; `whole` is the passage as it is trained on, which is kept with an edit that passes.
 */
export function screenEdit(
  { context, documents }: Pick<SourceEdit, "context" | "documents">,
  whole: readonly string[],
): ScreenedEdit {
  const orders = [context, ...documents].flatMap(findInjections);
  if (orders.length > 0) {
    const why = `speaks to the model: "${orders[0]}"`;
    return { documents: [], refused: [...documents, ...whole].map((document) => ({ document, why })) };
  }
  const passage = readPassage(context);
  const refused: RefusedDocument[] = [];
  const kept: string[] = [];
  for (const document of documents) {
    const [doubt] = doubtsOf(passage, document);
    if (doubt === undefined) kept.push(document);
    else refused.push({ document, why: `${doubt.kind}: ${doubt.why}` });
  }
  if (refused.length <= maxRefusedShare * documents.length) return { documents: [...kept, ...whole], refused };
  const why = `${refused.length} of ${documents.length} documents of this edit are not in the passage, such as "${refused[0]!.document}" (${refused[0]!.why})`;
  return { documents: [], refused: [...refused, ...[...kept, ...whole].map((document) => ({ document, why }))] };
}
