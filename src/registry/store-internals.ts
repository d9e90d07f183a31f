/**
 * @file The rows behind a store, for the files of this folder alone: index.ts does not export them, so that nobody changes a
 * state, an alias or the log but by what {@link Store} offers.
 */
import type { Store } from "./store.ts";
import type { Tables } from "./store-database.ts";

const known = new WeakMap<Store, Tables>();

/** Makes the rows of a store known to this folder. */
export const setTables = (store: Store, tables: Tables): void => void known.set(store, tables);

/** The rows of an open store. */
export const tablesOf = (store: Store): Tables => known.get(store)!;
