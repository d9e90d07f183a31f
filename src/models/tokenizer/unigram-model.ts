/**
 * @file Unigram: the likeliest way to write a piece with the tokens of the vocabulary (Kudo 2018, arXiv 1804.10959), found
 * by dynamic programming. Characters without a token become their bytes where the vocabulary has them and asks for that.
 */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { parseForeign } from "../files.ts";
import { byteToken } from "./bytes.ts";
import type { Vocabulary } from "./vocabulary.ts";

const isScored = (item: unknown): boolean =>
  Array.isArray(item) && item.length === 2 && typeof item[0] === "string" && typeof item[1] === "number";
const unigramSchema = z.looseObject({
  vocab: z.custom<readonly (readonly [token: string, score: number])[]>(
    (value) => Array.isArray(value) && value.every(isScored),
    "expected a list of [token, score]",
  ),
  unk_id: z.int().min(0).nullish(),
  byte_fallback: z.boolean().default(false),
});

const unkPenalty = 10; // nats below the least likely token, as in SentencePiece

/** A node of the prefix tree of tokens. */
interface TrieNode {
  id: number;
  readonly children: Map<string, TrieNode>;
}

/** The model that `json` describes. `isControl` names tokens that text never becomes. */
export function createUnigram(json: unknown, where: string, isControl: (token: string) => boolean): Vocabulary {
  const file = parseForeign(unigramSchema, json, where);
  const unkId = file.unk_id ?? null;
  if (unkId !== null && unkId >= file.vocab.length)
    throw new SelkieError("bad-file", `${where}: expected unk_id below ${file.vocab.length}, got ${unkId}`);
  const vocab = new Map(file.vocab.map(([token], id) => [token, id]));
  const scores = file.vocab.map(([, score]) => score);
  const root: TrieNode = { id: -1, children: new Map() };
  // A text that spells the unknown token becomes bytes where there are any, and its letters else.
  const isText = (token: string, id: number): boolean => !isControl(token) || (id === unkId && file.byte_fallback);
  for (const [token, id] of vocab) if (token !== "" && isText(token, id)) insert(root, token, id);
  const unkScore = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - unkPenalty;
  const missing = (): never => {
    throw new SelkieError(
      "bad-input",
      `${where}: expected unk_id, since the text has a character without a token, got none`,
    );
  };
  const encodeUnknown = (text: string): number[] => {
    const id = isControl(text) ? undefined : vocab.get(text);
    if (id !== undefined) return [id];
    const bytes = file.byte_fallback
      ? Array.from(Buffer.from(text), (byte) => vocab.get(byteToken(byte)))
      : [undefined];
    return bytes.every((byte) => byte !== undefined) ? bytes : [unkId ?? missing()];
  };
  return {
    vocab,
    encode(piece) {
      const ids: number[] = [];
      let unknown = "";
      const flush = (): void => {
        if (unknown !== "") ids.push(...encodeUnknown(unknown));
        unknown = "";
      };
      for (const { text, id } of findBest(piece, root, scores, unkScore, unkId ?? missing)) {
        if (id === unkId) unknown += text;
        else {
          flush();
          ids.push(id);
        }
      }
      flush();
      return ids;
    },
  };
}

function insert(root: TrieNode, token: string, id: number): void {
  let node = root;
  for (const char of token) {
    let child = node.children.get(char);
    if (child === undefined) {
      child = { id: -1, children: new Map() };
      node.children.set(char, child);
    }
    node = child;
  }
  node.id = id;
}

/** The likeliest cut of `text`; of equally likely ones the one found first. */
function findBest(
  text: string,
  root: TrieNode,
  scores: readonly number[],
  unkScore: number,
  unk: number | (() => never),
): { readonly text: string; readonly id: number }[] {
  const chars = [...text];
  const best = new Float64Array(chars.length + 1);
  const startOf = new Int32Array(chars.length + 1).fill(-1);
  const idOf = new Int32Array(chars.length + 1);
  const offer = (start: number, end: number, id: number, score: number): void => {
    if (startOf[end] !== -1 && score <= best[end]!) return;
    best[end] = score;
    startOf[end] = start;
    idOf[end] = id;
  };
  for (let start = 0; start < chars.length; start++) {
    let hasSingle = false;
    let node = root.children.get(chars[start]!);
    for (let end = start + 1; node !== undefined; node = root === node ? undefined : node.children.get(chars[end++]!)) {
      if (node.id >= 0) {
        offer(start, end, node.id, best[start]! + scores[node.id]!);
        if (end === start + 1) hasSingle = true;
      }
      if (end >= chars.length) break;
    }
    if (!hasSingle) offer(start, start + 1, typeof unk === "number" ? unk : unk(), best[start]! + unkScore);
  }
  const cut: { text: string; id: number }[] = [];
  for (let end = chars.length; end > 0; end = startOf[end]!)
    cut.push({ text: chars.slice(startOf[end]!, end).join(""), id: idOf[end]! });
  return cut.reverse();
}
