/**
 * @file What a model is asked, as text. A checkpoint directory may hold `selkie.json` with its own templates (the shipped
 * model does); any other model gets continuation prompts of the kinds that SEAL uses (Zweiger et al. 2025,
 * arXiv 2506.10943, appendix), in our words.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { SelkieError } from "../util/index.ts";

/** Forms a self-edit can take; `plain` trains on the passage as it is. */
export const selfEditKinds = ["implications", "implications-long", "rewrite", "self-qa", "plain"] as const;
/** One of {@link selfEditKinds}. */
export type SelfEditKind = (typeof selfEditKinds)[number];

/** Templates; `{title}`, `{passage}`, `{question}` and `{answer}` are filled in. */
export interface PromptTemplates {
  /** Closed-book question; the model continues with the answer. */
  readonly question: string;
  /** A question with its answer as a training document. */
  readonly questionDocument: string;
  /** Asks for an edit of a given kind. */
  readonly selfEdit: Readonly<Record<SelfEditKind, string>>;
  /** Asks for an edit whose kind the model names itself on the rest of the line; `null` when it was not taught to. */
  readonly openSelfEdit: string | null;
  /** Beginnings whose continuations are a sample of what the model knows, taken in turn; the empty one starts from nothing. */
  readonly replay: readonly string[];
}

const heading = "Passage:\n{title}\n{passage}\n\n";

/** Templates for models that were not taught a format. */
export const defaultTemplates: PromptTemplates = {
  question: "Answer the question directly and briefly.\nTopic: {title}\nQuestion: {question}\nAnswer:",
  questionDocument: "Question: {question}\nAnswer: {answer}",
  selfEdit: {
    implications: `Below is a passage, followed by a list of implications that follow from it directly or indirectly.\n\n${heading}Implications:\n`,
    "implications-long": `Below is a passage, followed by a long list of implications that follow from it directly or indirectly.\n\n${heading}Implications:\n`,
    rewrite: `Below is a passage, followed by several rewritten versions of it, one per line.\n\n${heading}Rewritten passages:\n`,
    "self-qa": `Below is a passage, followed by questions about it and their answers.\n\n${heading}Question 1:`,
    plain: `${heading}`,
  },
  openSelfEdit: null,
  replay: [""],
};

const templatesSchema = z.object({
  prompts: z.object({
    question: z.string().includes("{question}"),
    questionDocument: z.string().includes("{question}").includes("{answer}"),
    selfEdit: z.record(z.enum(selfEditKinds), z.string()),
    openSelfEdit: z.string().includes("{passage}").nullable(),
    replay: z.array(z.string()).min(1),
  }),
});

/** Templates of the checkpoint in `directory`: those of its `selkie.json`, else {@link defaultTemplates}. */
export async function loadPrompts(directory: string): Promise<PromptTemplates> {
  const file = join(directory, "selkie.json");
  return existsSync(file) ? loadPromptsFile(file) : defaultTemplates;
}

/** Templates of a file of the same form as `selkie.json`: `{"prompts": {…}}`. */
export async function loadPromptsFile(file: string): Promise<PromptTemplates> {
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new SelkieError("missing-file", `${file}: expected prompt templates, got ${cause.code}; check the path`, {
      cause,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SelkieError("bad-file", `${file}: expected JSON, got ${(cause as Error).message}; mend the file`, {
      cause,
    });
  }
  const parsed = templatesSchema.safeParse(value);
  if (!parsed.success)
    throw new SelkieError(
      "bad-file",
      `${file}: expected prompt templates, got ${parsed.error.issues[0]?.path.join(".")}: ${parsed.error.issues[0]?.message}; mend the file`,
    );
  return parsed.data.prompts;
}

/** Fills `{name}` slots; a line that consists of an empty slot alone disappears. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template
    .split("\n")
    .filter((line) => !/^(?:Topic: )?\{title\}$/.test(line) || values["title"] !== "")
    .join("\n")
    .replace(/\{(title|passage|question|answer)\}/g, (slot, name: string) => values[name] ?? slot);
}

/** The prompt for one closed-book question. */
export function questionPrompt(templates: PromptTemplates, question: string, title = ""): string {
  return fillTemplate(templates.question, { title, question });
}
