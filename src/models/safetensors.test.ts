import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fromBf16, toBf16 } from "../tensor/index.ts";
import { halfToSingle } from "./half.ts";
import { SafetensorsReader, writeSafetensors } from "./safetensors.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "selkie-safetensors-"));
});
after(async () => {
  await rm(directory, { recursive: true });
});

/** A file of exactly this header and these bytes of data. */
async function craft(header: unknown, data: Uint8Array, name = "crafted.safetensors"): Promise<string> {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const path = join(directory, name);
  await writeFile(path, Buffer.concat([prefix, text, data]));
  return path;
}

const f32Entry = (begin: number, end: number, shape = [(end - begin) / 4]): object => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

test("values written as f32 come back bit for bit, and the file ends where its header says", async () => {
  const path = join(directory, "a.safetensors");
  const values = Float32Array.of(1, -0, 1e-42, Math.fround(0.1), Number.POSITIVE_INFINITY, -7);
  await writeSafetensors(
    path,
    [
      { name: "x", shape: [2, 3], values },
      { name: "empty", shape: [0, 4], values: new Float32Array(0) },
    ],
    "f32",
  );
  await using reader = await SafetensorsReader.open(path);
  assert.deepEqual(reader.metadata, { format: "pt" });
  assert.deepEqual(reader.entry("x").shape, [2, 3]);
  assert.deepEqual(await reader.read("x"), values);
  assert.deepEqual(await reader.read("empty"), new Float32Array(0));
  assert.equal((await readFile(path)).readBigUInt64LE() % 8n, 0n); // the data begins aligned
});

test("values larger than one piece of the stream survive, from f64 and bf16 sources alike", async () => {
  const path = join(directory, "large.safetensors");
  const length = 2 ** 20 + 2 ** 19 + 3;
  const values = Float64Array.from({ length }, (_, i) => i / 64);
  await writeSafetensors(
    path,
    [
      { name: "x", shape: [length], values },
      { name: "y", shape: [3], values: Uint16Array.of(toBf16(1), toBf16(2), toBf16(-3)) },
    ],
    "f32",
  );
  await using reader = await SafetensorsReader.open(path);
  assert.deepEqual(await reader.read("x"), Float32Array.from(values)); // exact: below 2^24 / 64
  assert.deepEqual([...(await reader.read("y"))], [1, 2, -3]);
});

test("bf16 files round to nearest even and load into f32, bf16 and f64 alike", async () => {
  const path = join(directory, "b.safetensors");
  await writeSafetensors(
    path,
    [{ name: "x", shape: [3], values: Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -2.5) }],
    "bf16",
  );
  await using reader = await SafetensorsReader.open(path);
  const expected = [1, 1 + 2 ** -6, -2.5]; // ties go to even
  assert.deepEqual([...(await reader.read("x"))], expected);
  const [asBits, asDoubles] = [new Uint16Array(3), new Float64Array(3)];
  await reader.readInto("x", [3], asBits);
  await reader.readInto("x", [3], asDoubles);
  assert.deepEqual(Array.from(asBits, fromBf16), expected);
  assert.deepEqual([...asDoubles], expected);
});

test("half precision widens exactly, for all 65536 patterns", () => {
  for (let half = 0; half < 65536; half++) {
    const [sign, exponent, mantissa] = [half >> 15 === 0 ? 1 : -1, (half >> 10) & 31, half & 1023];
    const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
    const expected = exponent < 31 ? sign * magnitude : mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN; // IEEE 754 by definition
    assert.ok(Object.is(halfToSingle(half), expected), `${half.toString(16)}: ${halfToSingle(half)}`);
  }
});

test("half precision and double precision files load", async () => {
  const data = Buffer.alloc(20);
  data.writeUInt16LE(0x3c00, 0); // 1
  data.writeUInt16LE(0xc100, 2); // -2.5
  data.writeDoubleLE(0.1, 4);
  data.writeDoubleLE(-3, 12);
  const header = {
    h: { dtype: "F16", shape: [2], data_offsets: [0, 4] },
    d: { dtype: "F64", shape: [2], data_offsets: [4, 20] },
  };
  await using reader = await SafetensorsReader.open(await craft(header, data));
  assert.deepEqual([...(await reader.read("h"))], [1, -2.5]);
  assert.deepEqual([...(await reader.read("d"))], [Math.fround(0.1), -3]);
});

test("a file of transformers is read in place of names, shapes and metadata", async () => {
  const path = fileURLToPath(new URL("../../test/oracles/fixtures/llama-biases/model.safetensors", import.meta.url));
  await using reader = await SafetensorsReader.open(path);
  assert.deepEqual(reader.metadata, { format: "pt" });
  assert.deepEqual(reader.entry("model.layers.1.self_attn.k_proj.bias").shape, [16]);
  assert.throws(() => reader.entry("model.layers.2.x"), {
    code: "missing-tensor",
    message: /model\.safetensors: expected a tensor "model.layers.2.x"/,
  });
});

const broken: readonly {
  readonly title: string;
  readonly header: unknown;
  readonly dataBytes: number;
  readonly message: RegExp;
}[] = [
  { title: "a truncated file", header: { x: f32Entry(0, 16) }, dataBytes: 12, message: /truncated/ },
  {
    title: "a file longer than its tensors",
    header: { x: f32Entry(0, 16) },
    dataBytes: 20,
    message: /longer than its tensors/,
  },
  {
    title: "overlapping tensors",
    header: { x: f32Entry(0, 8), y: f32Entry(4, 12) },
    dataBytes: 12,
    message: /tensor "y": .*overlap/,
  },
  {
    title: "a gap between tensors",
    header: { x: f32Entry(0, 8), y: f32Entry(12, 20) },
    dataBytes: 20,
    message: /tensor "y": .*gap/,
  },
  {
    title: "offsets that contradict the shape",
    header: { x: f32Entry(0, 16, [5]) },
    dataBytes: 16,
    message: /tensor "x": expected 20 bytes for F32 \[5\]/,
  },
  {
    title: "reversed offsets",
    header: { x: f32Entry(16, 0, [4]) },
    dataBytes: 16,
    message: /tensor "x": expected 16 bytes/,
  },
  {
    title: "a negative size",
    header: { x: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } },
    dataBytes: 4,
    message: /tensor "x": shape/,
  },
  {
    title: "an unknown dtype",
    header: { x: { dtype: "F99", shape: [4], data_offsets: [0, 16] } },
    dataBytes: 16,
    message: /tensor "x": .*got "F99"/,
  },
  { title: "a header that is not JSON", header: "{ nonsense", dataBytes: 0, message: /expected a JSON header/ },
  { title: "a header that is a list", header: "[1, 2]", dataBytes: 0, message: /crafted.safetensors/ },
];
for (const { title, header, dataBytes, message } of broken)
  test(`${title} is refused by name`, async () => {
    const path = await craft(header, new Uint8Array(dataBytes));
    await assert.rejects(SafetensorsReader.open(path), { code: "bad-file", message });
  });

test("impossible header lengths are refused before memory is taken", async () => {
  const path = join(directory, "huge.safetensors");
  await writeFile(path, Buffer.from([255, 255, 255, 255, 255, 255, 255, 127]));
  await assert.rejects(SafetensorsReader.open(path), {
    code: "bad-file",
    message: /expected a header of at most 100000000 bytes/,
  });
  await writeFile(path, Buffer.from([99, 0, 0, 0, 0, 0, 0, 0, 123]));
  await assert.rejects(SafetensorsReader.open(path), {
    code: "bad-file",
    message: /expected a header of 99 bytes, got a file of 9 bytes/,
  });
  await writeFile(path, "abc");
  await assert.rejects(SafetensorsReader.open(path), { code: "bad-file", message: /at least 8 bytes, got 3/ });
  await assert.rejects(SafetensorsReader.open(join(directory, "absent")), { code: "missing-file" });
});

test("a tensor of another shape or of integers is refused by name, expected and found", async () => {
  const header = { x: f32Entry(0, 24, [2, 3]), ids: { dtype: "I64", shape: [1], data_offsets: [24, 32] } };
  await using reader = await SafetensorsReader.open(await craft(header, new Uint8Array(32)));
  await assert.rejects(reader.readInto("x", [3, 2], new Float32Array(6)), {
    code: "shape-mismatch",
    message: /tensor "x": expected \[3, 2\], got \[2, 3\]/,
  });
  await assert.rejects(reader.read("ids"), {
    code: "bad-file",
    message: /tensor "ids": expected dtype F32, F16, BF16, F64, got I64/,
  });
});

test("a failed write leaves the old file and nothing beside it", async () => {
  const folder = await mkdtemp(join(directory, "atomic-"));
  const path = join(folder, "model.safetensors");
  await writeSafetensors(path, [{ name: "x", shape: [1], values: Float32Array.of(5) }], "f32");
  const failing = {
    name: "y",
    shape: [1],
    get values(): Float32Array<ArrayBuffer> {
      this.reads++;
      if (this.reads > 1) throw new Error("the source went away");
      return Float32Array.of(6);
    },
    reads: 0,
  };
  await assert.rejects(writeSafetensors(path, [failing], "f32"), /the source went away/);
  assert.deepEqual(await readdir(folder), ["model.safetensors"]);
  await using reader = await SafetensorsReader.open(path);
  assert.deepEqual([...(await reader.read("x"))], [5]);
});
