/** @file What names a store and how to judge what goes into it. */

/** Where the store is and what opens it. */
export interface StoreVerbOptions {
  readonly store: string;
  readonly signingKey?: string;
}

/** Where an adapter or a policy is stored, and how it is judged. */
export interface RegisterTarget extends StoreVerbOptions {
  /** File with the gate; `undefined` takes the store's. */
  readonly gate?: string | undefined;
}
