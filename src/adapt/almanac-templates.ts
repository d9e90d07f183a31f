/** @file The prompts that the shipped model was trained on. */
import type { PromptTemplates } from "./prompts.ts";

/** How the shipped model is asked; written to its `selkie.json`. */
export const almanacTemplates: PromptTemplates = {
  question: "Question: {question}\nAnswer:",
  questionDocument: "Question: {question}\nAnswer: {answer}",
  selfEdit: {
    implications: "Passage: {passage}\nSelf-edit: implications\n",
    "implications-long": "Passage: {passage}\nSelf-edit: implications-long\n",
    rewrite: "Passage: {passage}\nSelf-edit: rewrite\n",
    "self-qa": "Passage: {passage}\nSelf-edit: self-qa\nQuestion 1:",
    plain: "Passage: {passage}\nSelf-edit: plain\n",
  },
  openSelfEdit: "Passage: {passage}\nSelf-edit:",
  replay: ["Question:", ""],
};
