import { readFile } from "node:fs/promises";
import { Tokenizer } from "@huggingface/tokenizers";
const dir = "test/oracles/fixtures/tokenizer";
const tokenizer = new Tokenizer(JSON.parse(await readFile(`${dir}/tokenizer.json`, "utf8")), JSON.parse(await readFile(`${dir}/tokenizer_config.json`, "utf8")));
const expected = JSON.parse(await readFile(`${dir}/expected.json`, "utf8"));
for (const { text, ids, decoded } of expected.cases) {
  const got = tokenizer.encode(text, { add_special_tokens: false }).ids;
  if (JSON.stringify(got) !== JSON.stringify(ids)) console.log("IDS", JSON.stringify(text), got, ids);
  let back = ""; try { back = tokenizer.decode(got, { skip_special_tokens: true, clean_up_tokenization_spaces: false }); } catch (e) { back = String(e); }
  if (back !== decoded) console.log("DECODE", JSON.stringify(text), JSON.stringify(back), JSON.stringify(decoded));
}
for (const [name, text] of [["words", "the quick selkie sheds its skin ".repeat(32000)], ["x", "x".repeat(1e5)], ["x2", "ab".repeat(1e5)], ["spaces", " ".repeat(1e5)], ["lines", "a line of text\n".repeat(70000)]] as const) {
  const t0 = performance.now(); const { ids } = tokenizer.encode(text, { add_special_tokens: false }); const t1 = performance.now();
  let ok: unknown; try { ok = tokenizer.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false }) === text; } catch (e) { ok = e; }
  console.log(name, text.length, ids.length, t1 - t0, performance.now() - t1, ok);
}
