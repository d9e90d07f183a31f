/** @file What an alias may point to, and what it pointed to before: a stack of what served, the base model at its bottom. */
import { SelkieError } from "../util/index.ts";
import { closedStates, defaultAliases, describeReasons, kindOfAlias, type StoredRecord } from "./record.ts";
import type { AliasMove, Tables } from "./store-database.ts";

/** A record as messages name it. */
export const shortId = (id: string | null): string => (id === null ? "the base model" : id.slice(0, 12));

/** How a person names the base model where a record is expected. */
export const baseName = "base";

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

/**
 * What served under an alias, the base model (`null`) first and what serves now last. A promotion adds; a rollback takes off
 * down to what it serves, or adds a record that an earlier rollback had taken off.
 */
export function stackOf(moves: readonly Pick<AliasMove, "cause" | "record">[]): (string | null)[] {
  const stack: (string | null)[] = [null];
  for (const { cause, record } of moves) {
    if (cause === "rollback" && stack.length > 1) stack.pop();
    const at = cause === "rollback" ? stack.lastIndexOf(record) : -1;
    if (at >= 0) stack.length = at + 1;
    else stack.push(record);
  }
  return stack;
}

/** What a rollback serves: what served before, past records that were put aside since. */
export function servedBefore(tables: Tables, alias: string): string | null {
  const stack = stackOf(tables.moves(alias));
  const current = stack.pop();
  const isUsable = (id: string | null) =>
    id === null || (id !== current && !closedStates.includes(tables.record(id)!.state));
  return stack.findLast(isUsable) ?? null;
}

/** What `--to` names: the base model, or a record that the alias has served and that was not put aside since. */
export function chosenBefore(tables: Tables, alias: string, record: StoredRecord | null): string | null {
  const id = record?.id ?? null;
  const refuse = (what: string) => new SelkieError("bad-option", `rollback: ${what}`);
  if (id === (tables.alias(alias) ?? null)) throw refuse(`"${alias}" serves ${shortId(id)} already`);
  if (record === null) return null;
  if (!tables.moves(alias).some((move) => move.record === id))
    throw refuse(`expected a record that "${alias}" has served, got ${shortId(id)}; promote it instead`);
  if (closedStates.includes(record.state))
    throw refuse(`${shortId(id)} is ${record.state}: ${describeReasons(record.reasons, id!)}; it is not served again`);
  return id;
}
