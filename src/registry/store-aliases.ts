/** @file What an alias may point to, and what it pointed to before. */
import { SelkieError } from "../util/index.ts";
import { defaultAliases, kindOfAlias, type StoredRecord } from "./record.ts";
import type { Tables } from "./store-database.ts";

/** A record as messages name it. */
export const shortId = (id: string | null): string => (id === null ? "the base model" : id.slice(0, 12));

/** Refuses a record where the alias serves another kind, or records of another base: whoever uses it expects these. */
export function checkAliasOf(tables: Tables, alias: string, { id, kind, base }: StoredRecord): void {
  const served = tables
    .moves(alias)
    .map(({ record }) => (record === null ? null : tables.record(record)))
    .find((earlier) => earlier !== null);
  const aliasKind = served?.kind ?? kindOfAlias(alias) ?? kind;
  if (aliasKind !== kind)
    throw new SelkieError(
      "bad-option",
      `promote: "${alias}" is for a record of kind ${aliasKind}, got the ${kind} ${shortId(id)}; promote it under another name, such as --alias ${defaultAliases[kind]}`,
    );
  const current = tables.alias(alias) ?? null;
  const currentBase = current === null ? base : tables.record(current)!.base;
  if (currentBase !== base)
    throw new SelkieError(
      "adapter-mismatch",
      `promote: "${alias}" serves the ${kind} ${shortId(current)} of base ${shortId(currentBase)}, got ${shortId(id)} of base ${shortId(base)}; use another alias, or roll "${alias}" back to the base model first`,
    );
}

/** What `alias` served before `current` was promoted, records rolled back since left out. */
export function servedBefore(tables: Tables, alias: string, current: string): string | null {
  const promotions = tables.moves(alias).filter(({ cause }) => cause === "promote");
  const seen = new Set<string>();
  let id: string | null = current;
  while (id !== null && !seen.has(id)) {
    seen.add(id);
    id = promotions.findLast(({ record }) => record === id)?.previous ?? null;
    if (id === null || tables.record(id)!.state === "promoted") return id;
  }
  return null;
}

/** The id, of a record that `alias` has served. */
export function checkServedOnce(tables: Tables, alias: string, id: string): string {
  if (tables.moves(alias).some(({ record }) => record === id)) return id;
  throw new SelkieError(
    "bad-option",
    `rollback: expected a record that "${alias}" has served, got ${shortId(id)}; promote it instead`,
  );
}
