/**
 * @file Writes models/nano/words.txt anew from the text its recipe is pretrained on; `selkie pretrain` does so too. For a
 * model that was trained before the file was known, or when words are counted otherwise.
 */
import { nanoRecipe, writeKnownWords } from "../src/adapt/index.ts";
import { createWorld, pretrainingDocuments } from "../src/tasks/index.ts";
import { createRng } from "../src/util/index.ts";

const recipe = nanoRecipe();
const documents = pretrainingDocuments(createWorld(), createRng(recipe.seed).fork("words"));
writeKnownWords("models/nano", documents.take(recipe.tokenizerDocuments));
