/**
 * @file The adapters that an engine knows, by name. Their weights lie in one bank, so that one pass serves them all; the
 * bank is made anew, with room for twice as many, when an adapter does not fit, and nobody who holds a place notices. A
 * large one is dropped once the last adapter has gone.
 */
import { type AdapterBatch, type AdapterPlaces, type LinearLayer, type LoraAdapter, LoraBank } from "../nn/index.ts";
import type { Backend } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { digestAdapter } from "./adapter-digest.ts";

/** Places to begin with. */
const firstPlaces = 4;

interface Entry {
  readonly place: number;
  /** Times it was added and not taken back. */
  holders: number;
  /** Requests that run with it. */
  users: number;
}

/** Places for adapters; see the file's comment. */
export class AdapterTable implements AdapterPlaces, Disposable {
  readonly #backend: Backend;
  readonly #layers: readonly LinearLayer[];
  readonly #entries = new Map<string, Entry>();
  readonly #free: number[] = [];
  #bank: LoraBank | null = null;

  /** `layers` are those of the model that adapters may touch. */
  constructor(backend: Backend, layers: readonly LinearLayer[]) {
    this.#backend = backend;
    this.#layers = layers;
  }

  get size(): number {
    return this.#entries.size;
  }

  get numPlaces(): number {
    return this.#bank?.numPlaces ?? 0;
  }

  batch(segments: Int32Array): AdapterBatch {
    if (this.#bank === null) throw new SelkieError("internal", "internal: no adapter was added");
    return this.#bank.batch(segments);
  }

  /**
   * Makes an adapter known under `id`.
   *
   * @throws SelkieError `"adapter-mismatch"` where it is of another model.
   */
  add(adapter: LoraAdapter, id: string = digestAdapter(adapter)): string {
    const known = this.#entries.get(id);
    if (known !== undefined) {
      known.holders++;
      return id;
    }
    if (this.#bank === null || this.#free.length === 0 || !this.#bank.holds(adapter)) this.#makeRoom(adapter);
    const place = this.#free.at(-1)!;
    this.#bank!.replace(place, adapter);
    this.#free.pop();
    this.#entries.set(id, { place, holders: 1, users: 0 });
    return id;
  }

  /** Takes one {@link add} back. */
  remove(id: string): void {
    const entry = this.#require(id);
    entry.holders--;
    this.#drop(id, entry);
  }

  /** The place of an adapter, kept for the caller until {@link release}. */
  acquire(id: string): number {
    const entry = this.#require(id);
    entry.users++;
    return entry.place;
  }

  release(id: string): void {
    const entry = this.#entries.get(id)!;
    entry.users--;
    this.#drop(id, entry);
  }

  #require(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry !== undefined && entry.holders > 0) return entry;
    throw new SelkieError(
      "unknown-name",
      `adapter: expected one that was added to this engine and not removed, got "${id.slice(0, 12)}"; add it first`,
    );
  }

  #drop(id: string, { place, holders, users }: Entry): void {
    if (holders > 0 || users > 0) return;
    this.#entries.delete(id);
    this.#free.push(place);
    if (this.#entries.size === 0 && this.numPlaces > firstPlaces) this.#dropBank(); // what trainings need more
  }

  /** Gives the memory of a bank back that nobody has a place in. */
  #dropBank(): void {
    this.#bank?.[Symbol.dispose]();
    this.#bank = null;
    this.#free.length = 0;
  }

  /** A bank with room for `adapter`, of twice the places where none was free; everyone keeps their place. */
  #makeRoom(adapter: LoraAdapter): void {
    const old = this.#bank;
    const kept = [...this.#entries.values()].map(({ place }) => ({ place, adapter: old!.extract(place) }));
    const all = [adapter, ...kept.map((entry) => entry.adapter)];
    const names = new Set(all.flatMap(({ modules }) => [...modules.keys()]));
    const maxRank = Math.max(...all.map(({ loraRank }) => loraRank));
    const numPlaces = this.#free.length > 0 ? old!.numPlaces : Math.max(firstPlaces, 2 * (old?.numPlaces ?? 0));
    const bank = new LoraBank(
      this.#backend,
      this.#layers.filter(({ name }) => names.has(name)),
      Array.from({ length: numPlaces }, () => ({ loraRank: maxRank, loraAlpha: maxRank, targets: "all" as const })),
    );
    for (const entry of kept) bank.replace(entry.place, entry.adapter);
    for (let place = old?.numPlaces ?? 0; place < numPlaces; place++) this.#free.push(place);
    this.#bank = bank;
    old?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#dropBank();
    this.#entries.clear();
  }
}
