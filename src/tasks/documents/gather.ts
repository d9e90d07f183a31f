/** @file Entries become passages: one for each text, with all questions about it, wherever they stood. */
import { basename } from "node:path";
import type { Entry } from "./records.ts";
import type { ExamQuestion, SourcePassage } from "./types.ts";

interface Group {
  readonly file: string;
  readonly text: string;
  title: string;
  readonly questions: ExamQuestion[];
  /** Other files with the same text. */
  readonly others: Set<string>;
  /** Its number among the texts of each file it stands in. */
  readonly places: Map<string, number>;
}

/** Texts gathered so far; equal texts are one, white space at line ends and around them aside. */
export class Gathering {
  readonly #groups = new Map<string, Group>();
  readonly #textsOf = new Map<string, number>();
  /** Entries that repeated a text they added no question to. */
  numRepeated = 0;
  /** Entries whose text was there and whose questions were added to it. */
  numJoined = 0;
  /** Questions that were asked before with another answer; the first answer counts. */
  numContradicted = 0;

  get size(): number {
    return this.#groups.size;
  }

  /** Adds an entry with a text, read from `file`. */
  add(file: string, { text, title, questions }: Entry): void {
    const content = text!.trim();
    const key = content.replace(/[ \t]+\n/g, "\n");
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { file, text: content, title, questions: [], others: new Set(), places: new Map() };
      this.#groups.set(key, group);
    } else {
      group.title ||= title;
      if (questions.length === 0) this.numRepeated++;
      else this.numJoined++;
    }
    if (!group.places.has(file)) {
      const place = (this.#textsOf.get(file) ?? 0) + 1;
      this.#textsOf.set(file, place);
      group.places.set(file, place);
    }
    if (file !== group.file) group.others.add(file);
    this.#addQuestions(group, questions);
  }

  #addQuestions(group: Group, questions: readonly ExamQuestion[]): void {
    for (const question of questions) {
      const known = group.questions.find((one) => one.question === question.question && one.use === question.use);
      if (known === undefined) group.questions.push(question);
      else if (known.answer !== question.answer) this.numContradicted++;
    }
  }

  /** The texts of other files that are learned under another name: `b.txt as a.txt`. */
  describeRepeats(): string[] {
    return [...this.#groups.values()].flatMap(({ file, others }) => [...others].map((other) => `${other} as ${file}`));
  }

  /** One passage for each text, in the order in which they came. */
  passages(): SourcePassage[] {
    const seen = new Set<string>();
    const idIn = (group: Group, file: string): string => {
      const short = this.#textsOf.get(file) === 1 ? basename(file) : `${basename(file)}#${group.places.get(file)}`;
      const id = seen.has(short) ? `${file}:${short}` : short; // two files of one name keep apart by their whole path
      seen.add(id);
      return id;
    };
    const groups = [...this.#groups.values()];
    const ids = groups.map((group) => idIn(group, group.file)); // before the others, which only answer to theirs
    return groups.map((group, index) => {
      const { title, text, questions, file, others } = group;
      const otherIds = [...others].map((other) => idIn(group, other));
      return {
        ...{ id: ids[index]!, file, title, context: text, questions },
        ...(otherIds.length > 0 && { otherIds }),
      };
    });
  }
}
