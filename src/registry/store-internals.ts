/**
 * @file The rows behind a store, for the files of this folder alone: index.ts does not export them, so that nobody changes a
 * state, an alias or the log but by what `Store` offers.
 */

import type { Tables } from "./store-database.ts";
import type { StoreView } from "./store-view.ts";

const known = new WeakMap<StoreView, Tables>();

/** Makes the rows of a store known to this folder. */
export const setTables = (store: StoreView, tables: Tables): void => void known.set(store, tables);

/** The rows of an open store. */
export const tablesOf = (store: StoreView): Tables => known.get(store)!;
