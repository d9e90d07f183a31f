/** @file Settings of the outer loop from a JSON file: any part of them, laid over the defaults; misspelt names are refused. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { checkLearnSettings, type LearnSettings } from "./settings.ts";

const count = z.int().min(0);
const lora = z.strictObject({
  loraRank: z.int().min(1),
  loraAlpha: z.number().positive(),
  targets: z.union([z.literal("all"), z.array(z.string()).min(1)]),
});
const objective = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("rest-em"),
    keep: z.int().min(1).default(1),
    aboveBase: z.boolean().default(false),
  }),
  z.strictObject({
    kind: z.literal("preference"),
    loss: z.enum(["dpo", "ipo"]),
    beta: z.number().positive().default(0.1),
    minGap: z.number().min(0).default(0),
  }),
  z.strictObject({
    kind: z.literal("advantage"),
    temperature: z.number().positive().default(0.5),
    maxWeight: z.number().positive().default(20),
  }),
]);
const loop = {
  method: z.enum(["lora", "full"]),
  learningRate: z.number().min(0),
  epochs: count,
  documentsPerStep: z.int().min(1),
  replayShare: z.number().min(0).lt(1),
};
const schema = z
  .strictObject({
    numRounds: z.int().min(1),
    passagesPerRound: z.int().min(1).nullable(),
    numEdits: z.int().min(1),
    schedule: z.array(z.strictObject({ numEdits: z.int().min(1), repetitions: z.int().min(1) })),
    randomNumbers: z.enum(["common", "independent"]),
    reward: z.string(),
    innerLoop: z
      .strictObject({ ...loop, lora: lora.partial(), unionOf: z.int().min(1), maxSteps: z.int().min(1).nullable() })
      .partial(),
    update: z.strictObject({ ...loop, lora: lora.partial(), objective }).partial(),
    numTrialCanaries: count,
    numReplay: count,
    groupSize: z.int().min(1),
    heldOutEdits: z.int().min(1),
    maxPassageTokens: z.int().min(8),
  })
  .partial();

type Tree = { readonly [key: string]: unknown };
const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !("kind" in value);

/** `over` laid over `base`, branch by branch; lists and objectives are replaced whole. */
function merge(base: Tree, over: Tree): Tree {
  const entries = Object.entries(over).map(([key, value]) => {
    const below = base[key];
    return [key, isTree(value) && isTree(below) ? merge(below, value) : value] as const;
  });
  return { ...base, ...Object.fromEntries(entries) };
}

/** Parts of {@link LearnSettings}, as a file has them, laid over `base`. */
export function applyLearnSettings(base: LearnSettings, value: unknown, where: string): LearnSettings {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new SelkieError(
      "bad-file",
      `${where}: expected settings of the outer loop, got ${issue.path.join(".") || "the file"}: ${issue.message}; see LearnSettings`,
    );
  }
  const settings = merge(base as unknown as Tree, parsed.data as Tree) as unknown as LearnSettings;
  checkLearnSettings(settings);
  return settings;
}

/** Settings of a JSON file laid over `base`. */
export async function loadLearnSettings(base: LearnSettings, file: string): Promise<LearnSettings> {
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new SelkieError("missing-file", `${file}: expected settings, got ${cause.code}; check the path`, { cause });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SelkieError("bad-file", `${file}: expected JSON, got ${(cause as Error).message}; mend the file`, {
      cause,
    });
  }
  return applyLearnSettings(base, value, file);
}
