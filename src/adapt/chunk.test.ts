import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Tokenizer } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { sentenceBreaks } from "./breaks.ts";
import { chunkPassages } from "./chunk.ts";

/** One token per UTF-16 unit: enough to count. */
const tokenizer: Tokenizer = {
  vocabSize: 65536,
  eosTokenId: 0,
  stopTokens: [0],
  prefixIds: [],
  suffixIds: [],
  controlIds: new Set(),
  encode: (text) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index)),
  decode: (tokenIds) => String.fromCharCode(...Array.from(tokenIds)),
  tokenOf: (id) => String.fromCharCode(id),
  pieces: (tokenIds) => Array.from(tokenIds, (id) => ({ id, text: String.fromCharCode(id), numBytes: 1 })),
};
const passage = (context: string, answers: readonly string[] = []): SourcePassage => ({
  id: "p",
  file: "p",
  title: "t",
  context,
  questions: answers.map((answer) => ({ question: `${answer}?`, answer, use: "both" })),
});
const cut = (context: string, maxTokens: number): string[] =>
  chunkPassages([passage(context)], tokenizer, maxTokens).map((piece) => piece.context);

describe("long passages are cut", () => {
  test("at paragraphs before sentences before words, and no shorter than needed", () => {
    assert.deepEqual(cut("one two. three\n\nfour five. six", 20), ["one two. three", "four five. six"]);
    assert.deepEqual(cut("one two three. four five six.", 20), ["one two three.", "four five six."]);
    assert.deepEqual(cut("aaaa bbbb cccc dddd", 10), ["aaaa bbbb", "cccc dddd"]);
    assert.deepEqual(cut("short", 20), ["short"]);
  });
  test("anywhere when there is no boundary, but never inside a character", () => {
    const pieces = cut("🦭".repeat(31), 16);
    assert.equal(pieces.join(""), "🦭".repeat(31));
    assert.ok(pieces.every((piece) => piece.length <= 16 && piece.isWellFormed()));
  });
  test("and a question goes with the piece that answers it", () => {
    const pieces = chunkPassages([passage("red one two. blue three four.", ["blue", "red", "green"])], tokenizer, 18);
    assert.deepEqual(
      pieces.map(({ id, questions }) => [id, questions.map(({ answer }) => answer)]),
      [
        ["p:1", ["red", "green"]],
        ["p:2", ["blue"]],
      ],
    );
  });
  test("only as far as asked", () => {
    assert.equal(chunkPassages([passage("word ".repeat(100_000)), passage("more")], tokenizer, 20, 5).length, 5);
  });
});

const sentences = (text: string): string[] => {
  const places = [0, ...sentenceBreaks(text), text.length];
  return places
    .slice(1)
    .map((end, index) => text.slice(places[index], end).trim())
    .filter((sentence) => sentence !== ""); // blank lines
};

describe("sentences end where readers of their script see them end", () => {
  const scripts: readonly (readonly [script: string, ...sentences: readonly string[]])[] = [
    ["Chinese, no spaces", "港口很旧。", "谁建的？", "没人知道！", "他说：“是我。”", "（注：不对。）", "完。"],
    ["Japanese, a bracket opens the next", "海は静かです。", "「はい。」", "と言った｡", "次。"],
    ["Arabic and Urdu", "ما اسمك؟", "اسمي علي.", "یہ علی ہے۔", "نعم!"],
    ["Devanagari", "यह नाव है।", "वह कौन है?", "समाप्त॥"],
    ["Ethiopic", "ሰላም።", "እንዴት ነህ፧", "ደህና።"],
    ["Khmer", "នេះគឺទូក។", "នោះគឺសមុទ្រ៕", "ចប់។"],
    ["Burmese, Armenian", "ဒါလှေ။", "ပင်လယ်။", "Ծովը հանգիստ է։", "Այո։"],
    ["Tibetan", "མཚོ་འདི་ཆེ།", "གྲུ་འདི་ཆུང་།"],
    [
      "English with abbreviations",
      "Dr. Smith met Mr. J. R. Hale at 3.5 km.",
      "The U.S. Navy came, e.g. by sea.",
      "See Fig. 3 and No. 5.",
      "No.",
    ],
    [
      "English with speech",
      '"Stop!" he said.',
      '"Why?"',
      "She left (it was late.).",
      "He waited…",
      "Then he went...",
      "So?!",
    ],
    ["French and German", "« Oui. »", "Il part.", "M. Dupont reste.", "Das kostet z.B. 5 Euro.", "Gut."],
  ];
  for (const [script, ...expected] of scripts)
    test(script, () => {
      const separator = /^[\p{sc=Han}\p{sc=Hira}]/u.test(expected[0]!) ? "" : " ";
      assert.deepEqual(sentences(expected.join(separator)), expected);
    });
  test("and not at a line that only wraps; headings and items stand alone", () => {
    assert.deepEqual(sentences("One line\nand the next. Two\nthree.\n- four\n- five\n\n# Six\nSeven."), [
      "One line\nand the next.",
      "Two\nthree.",
      "- four",
      "- five",
      "# Six",
      "Seven.",
    ]);
  });
});

describe("pieces", () => {
  /** One token per UTF-8 byte, as the least kind of tokenizer has it. */
  const bytes: Tokenizer = { ...tokenizer, encode: (text) => [...Buffer.from(text)] };
  const piecesOf = (text: string, maxTokens: number) =>
    chunkPassages([passage(text)], bytes, maxTokens).map(({ context }) => context);

  test("end with a sentence wherever sentences fit", () => {
    const ends = /[.!?。！？؟।።]["”」)）]?$/u;
    const sentence = fc.constantFrom(
      "The mill was built in 1788.",
      "“它很旧。”",
      "谁建的？",
      "Dr. Hale came!",
      "ما اسمك؟",
      "यह नाव है।",
      "ሰላም።",
      "(Nobody knew.)",
    );
    fc.assert(
      fc.property(
        fc.array(sentence, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(" ", "\n"),
        (parts, separator) => {
          for (const piece of piecesOf(parts.join(separator), 60)) {
            assert.match(piece, ends);
            assert.ok(Buffer.byteLength(piece) <= 60, piece);
          }
        },
      ),
    );
  });

  test("give the text when joined, fit, and cut no character, whatever the text", () => {
    const bare = (text: string) => text.replace(/\s+/gu, "");
    const text = fc.string({
      unit: fc.oneof(
        { weight: 6, arbitrary: fc.string({ unit: "grapheme-ascii", maxLength: 9 }).map((word) => `${word} `) },
        fc.constantFrom("。", "นี่คือเรือ", "👩‍👩‍👧", "e\u0301", "🇫🇷", "다리", ". ", "\n\n", "，", "…", "\n- "),
      ),
      maxLength: 120,
    });
    fc.assert(
      fc.property(text, fc.integer({ min: 32, max: 80 }), (whole, maxTokens) => {
        fc.pre(whole.trim() !== "");
        const pieces = piecesOf(whole, maxTokens);
        assert.equal(bare(pieces.join("")), bare(whole));
        for (const piece of pieces) assert.ok(Buffer.byteLength(piece) <= maxTokens, JSON.stringify(piece));
        const characters = (part: string) => [...new Intl.Segmenter().segment(part)].length;
        const total = pieces.reduce((sum, piece) => sum + characters(bare(piece)), 0);
        assert.equal(total, characters(bare(whole)), "no character is cut");
      }),
      { numRuns: 300 },
    );
  });

  test("of a sentence that is too long end at a clause, else a word", () => {
    assert.deepEqual(piecesOf("the sea was calm, the wind was low and it was late", 30), [
      "the sea was calm,",
      "the wind was low",
      "and it was late",
    ]);
    for (const piece of piecesOf("นี่คือเรือ ที่อยู่ในทะเล ตั้งแต่เช้า จนถึงเย็น และกลับบ้าน", 80)) assert.match(piece, /^[^ั-ฺ็-๎].*\S$/u);
    assert.ok(
      piecesOf("我们昨天在海边的小镇上看见了三艘很大的帆船慢慢地驶进港口", 40).every((piece) => piece.isWellFormed()),
    );
  });
});
