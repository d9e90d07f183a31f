/** @file Post-processors of tokenizer.json: the ids that a whole text is put between. */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { parseForeign } from "../files.ts";
import { idSchema, refuseType, stepsSchema, typeOf } from "./schema.ts";

/** Ids before and behind every text. */
export interface Frame {
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
}

const nothing: Frame = { prefixIds: [], suffixIds: [] };

const templateItem = z.union([
  z.object({ SpecialToken: z.looseObject({ id: z.string() }) }),
  z.object({ Sequence: z.looseObject({ id: z.enum(["A", "B"]) }) }),
]);
const templateSchema = z.looseObject({
  single: z.array(templateItem),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(idSchema) })).default({}),
});
const pairSchema = z.tuple([z.string(), idSchema]);
const bertSchema = z.looseObject({ sep: pairSchema, cls: pairSchema });

const known: Readonly<Record<string, (json: unknown, where: string) => Frame>> = {
  TemplateProcessing: readTemplate,
  BertProcessing: readBert,
  RobertaProcessing: readBert,
  ByteLevel: () => nothing, // moves offsets, which we do not have
  Sequence: (json, where) => {
    const { processors } = parseForeign(z.looseObject({ processors: stepsSchema }), json, where);
    return processors
      .map((step, index) => readFrame(step, `${where}.processors.${index}`))
      .reduce(
        (inner, outer) => ({
          prefixIds: [...outer.prefixIds, ...inner.prefixIds],
          suffixIds: [...inner.suffixIds, ...outer.suffixIds],
        }),
        nothing,
      );
  },
};

/** What the post-processor that `json` describes puts around a text. */
export function readFrame(json: unknown, where: string): Frame {
  if (json === null || json === undefined) return nothing;
  const type = typeOf(json, where);
  const read = Object.hasOwn(known, type) ? known[type] : undefined;
  return read === undefined ? refuseType(where, type, Object.keys(known)) : read(json, where);
}

function readTemplate(json: unknown, where: string): Frame {
  const { single, special_tokens: tokens } = parseForeign(templateSchema, json, where);
  const place = single.findIndex((item) => "Sequence" in item && item.Sequence.id === "A");
  if (place < 0 || single.filter((item) => "Sequence" in item).length !== 1)
    throw new SelkieError("bad-file", `${where}.single: expected the text, "Sequence" A, exactly once and no other`);
  const idsOf = (items: typeof single): number[] =>
    items.flatMap((item) => {
      const name = "SpecialToken" in item ? item.SpecialToken.id : "";
      const ids = Object.hasOwn(tokens, name) ? tokens[name]?.ids : undefined;
      if (ids === undefined)
        throw new SelkieError("bad-file", `${where}.special_tokens: expected the ids of "${name}", got none`);
      return ids;
    });
  return { prefixIds: idsOf(single.slice(0, place)), suffixIds: idsOf(single.slice(place + 1)) };
}

function readBert(json: unknown, where: string): Frame {
  const { sep, cls } = parseForeign(bertSchema, json, where);
  return { prefixIds: [cls[1]], suffixIds: [sep[1]] };
}
