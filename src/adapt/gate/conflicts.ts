/**
 * @file Where a new text says otherwise than an earlier one about the same subject: word against word, as the screen compares an
 * edit with its passage, and as blind to what only understanding shows.
 */
import { type Clause, clausesOf } from "./claims.ts";
import { oppositesOf } from "./meanings.ts";
import { contentOf, type ScreenWord } from "./words.ts";

/** One disagreement between two texts. */
export interface TextConflict {
  /** Name or noun both are about. */
  readonly subject: string;
  /** Words of the new text. */
  readonly says: string;
  /** Words of the earlier one. */
  readonly held: string;
}

const textOf = ({ words }: Clause): string => words.map(({ plain }) => plain).join(" ");

/** Everything of a text that two clauses can be compared by. */
interface ReadText {
  readonly clauses: readonly Clause[];
  readonly stems: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
  /** Names that stand alone, never as first or last name. */
  readonly solo: ReadonlySet<string>;
}

function readText(text: string): ReadText {
  const clauses = clausesOf(text);
  const words = clauses.flatMap((clause) => clause.words);
  const isName = (word: ScreenWord | undefined) => word !== undefined && (word.isName || word.mayBeName);
  const joined = new Set(
    clauses.flatMap((clause) =>
      clause.words.flatMap((word, index) =>
        isName(word) && (isName(clause.words[index - 1]) || isName(clause.words[index + 1])) ? [word.stem] : [],
      ),
    ),
  );
  const names = new Set(words.filter(isName).map(({ stem }) => stem));
  return {
    clauses,
    solo: new Set([...names].filter((name) => !joined.has(name))),
    stems: new Set(words.map(({ stem }) => stem)),
    names,
  };
}

const sortOf = ({ isNumber, isName }: ScreenWord): string => (isNumber ? "number" : isName ? "name" : "word");

/** Values of a clause that the other text lacks, by sort; its subject is none. */
const ownValues = (clause: Clause, subjects: ReadonlySet<string>, other: ReadonlySet<string>): ScreenWord[] =>
  contentOf(clause.words).filter((word) => !word.isRelation && !subjects.has(word.stem) && !other.has(word.stem));

/** Disagreements of `later` with `earlier`, each pair of clauses at most once. */
export function textConflicts(earlier: string, later: string): TextConflict[] {
  const [old, young] = [readText(earlier), readText(later)];
  const found: TextConflict[] = [];
  for (const clause of young.clauses)
    for (const known of old.clauses) {
      const shared = [...clause.subjects].filter((stem) => known.subjects.has(stem));
      const names = shared.filter((stem) => young.names.has(stem) && old.names.has(stem));
      const isOne = names.some((stem) => young.solo.has(stem) && old.solo.has(stem)); // else it takes first and last name
      if (shared.length < 2 && !isOne) continue;
      const subjects = new Set([...clause.subjects, ...known.subjects]);
      if (disagree(clause, known, subjects, old.stems, young.stems))
        found.push({ subject: shared.join(" "), says: textOf(clause), held: textOf(known) });
    }
  return found;
}

function disagree(
  clause: Clause,
  known: Clause,
  subjects: ReadonlySet<string>,
  old: ReadonlySet<string>,
  young: ReadonlySet<string>,
): boolean {
  const cues = contentOf(clause.words).filter(({ stem }) => known.stems.has(stem) && !subjects.has(stem));
  const said = new Set(clause.words.map(({ stem }) => stem));
  const isOpposed = clause.words.some(({ stem }) =>
    [...oppositesOf(stem)].some((other) => known.words.some((word) => word.stem === other && !said.has(other))),
  );
  if (cues.length === 0) return false;
  const size = Math.min(contentOf(clause.words).length, contentOf(known.words).length);
  const isSame = cues.length + 1 >= 0.6 * size;
  if (isSame && (clause.isDenied !== known.isDenied || isOpposed)) return true;
  const mine = ownValues(clause, subjects, old);
  const theirs = ownValues(known, subjects, young);
  return mine.some((word) => theirs.some((other) => sortOf(word) === sortOf(other)));
}
