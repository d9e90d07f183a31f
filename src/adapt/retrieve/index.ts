/** @file Exports of retrieval, through `adapt`. */
export { Bm25, type Bm25Options } from "./bm25.ts";
export { type Found, PassageRetriever, type StoredPassage } from "./retriever.ts";
