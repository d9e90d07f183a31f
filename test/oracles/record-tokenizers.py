"""Records what the Rust library makes of awkward texts with many kinds of tokenizers.

Run from the repository root, with tokenizers 0.23.2:

    python test/oracles/record-tokenizers.py                       # writes fixtures/tokenizers.json, for the tests
    python test/oracles/record-tokenizers.py 3000 many.json   # 3000 random texts for each tokenizer
    node test/oracles/compare-tokenizers.ts many.json         # compares them, prints counts and differences

A file holds models (shared by several tokenizers), texts (shared too) and, for each tokenizer, its other parts and the ids and
decoded texts of the library, once with special tokens read as text (`split_special_tokens`) and once as tokens.
"""

import base64
import json
import pathlib
import random
import struct
import sys

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "tokenizers.json"
CORPUS = [
    "The selkie sheds its skin and walks ashore; the sea keeps what she was.",
    "She can't say it's theirs, they've said, and we'll see: 1234 ships, 56 harbours, 7 lights.",
    "Blå øyne ved fjorden. Über den Wellen, às vezes, naïve café, ÅNGSTRÖM ANGSTROM.",
    "the the the then there these those thorough through thought\n\n\tindented   text  with   spaces ",
    "日本の海 и северное море 🌊🌊 seals 🦭 寿司 한국어",
    "<s>[INST] hello [/INST]</s> <|im_start|>user",
] * 3
TEXTS = [
    "", " ", "a", "  two", "trail   ", "line\nbreak\r\nand\ttab\n\n\nend\n", "it's we'LL I'D don't 'sup ſ's",
    "naïve café Über", "日本の海辺で 寿司🍣", "северное море", "🦭👩‍👩‍👧‍👦👍🏽 🇳🇴", "mixed123abc45.6,7!?--12345678",
    "a\u00a0b\u2003c\u3000d\u200be\u200d", "e\u0301 vs \u00e9 ﬁ ①", "c\u0000\u0001\u007fx\x85y", "العربية ٣٤ और ४५",
    "x" * 40, "½ cup ²Ⅷ٣ 1½", "\u2028line\u2029", "\ufeffbom \ufffd", "don\u2019t \u201cquote\u201d", " \n  \n ",
    "<s>ab</s> cd <|im_start|>user<pad> <tool> [MASK]  x <s", "▁mark ▁▁ two", "ΣΑΣ ὈΔΥΣΣΕΎΣ İI", "12 345 6789 1234567",
    "###a##b _x_ a-b/c\\d $5 €6 `t`", "Hello   World  .  do not n't", "\x1c\x1d\u202f\u180e\u2060", "한국어 한국어",
]
PIECES = [
    "a", "the", "sea", "ing", "Th", "’", "'", "'s", "'LL", "'re", "I", "Å", "é", "e\u0301", "\u0301", "ß", "ſ", "K", "İ", "Σ", "ς", "ﬁ", "ﷺ", "½",
    "²", "Ⅷ", "①", "٣", "४", "１", "0", "12", "3456", "9" * 7, ".", ",", "!?", "--", "…", "—", "_", "#", "##", "$", "€", "+", "<", ">", "[", "]",
    "(", "\\", "/", "`", "|", " ", "  ", "     ", "\n", "\n\n", "\r\n", "\r", "\t", "\u00a0", "\u2003", "\u3000", "\u200b", "\u200d", "\u2028", "\x85",
    "\x1c", "\x0b", "\x0c", "\u180e", "\ufeff", "\ufffd", "\x00", "\x01", "\x7f", "\xad", "日", "本", "日本", "の", "海", "カタ", "한국", "\u1112\u1161\u11ab",
    "я", "море", "العربية", "שלום", "नमस्ते", "ไทย", "🌊", "🦭", "👍🏽", "👩‍👩‍👧", "🇳🇴", "𝔘", "𐍈", "𠀋", "\u0378", "\U0001fae0", "▁", "▁▁", "Ġ", "<0x41>",
    "<s>", "</s>", "<pad>", "<unk>", "<|im_start|>", "<|im_end|>", "<tool>", "[CLS]", "[MASK]", "word", "<s", "s>", "xy" * 9,
]


def random_text(rng):
    if rng.random() < 0.1:
        return "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xD7FF), rng.randrange(0xE000, 0x1FFFF)])) for _ in range(rng.randrange(12)))
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 16)))


def token(i, text, special=True, **flags):
    return {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": not special, "special": special, **flags}


def trained(model, trainer, pre, normalizer=None):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    return json.loads(tokenizer.to_str())["model"]


def shift(model, first):
    """Puts tokens before all others."""
    if model["type"] == "Unigram":
        vocab = [[t, 0.0 if t.startswith("<") and len(t) > 1 else -9.5] for t in first]
        return {**model, "vocab": vocab + [v for v in model["vocab"] if v[0] not in first], "unk_id": first.index("<unk>")}
    names = first + [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1]) if t not in first]
    return {**model, "vocab": {t: i for i, t in enumerate(names)}}


def build_models():
    byte = [f"<0x{b:02X}>" for b in range(256)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = dict(show_progress=False)
    specials = ["<unk>", "<s>", "</s>"]
    byte_bpe = trained(models.BPE(), trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, **bpe),
                       pre_tokenizers.ByteLevel(add_prefix_space=False))
    metaspace = pre_tokenizers.Metaspace()
    spm = trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=110, special_tokens=specials, limit_alphabet=45, **bpe), metaspace)
    unigram = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=105, special_tokens=specials, unk_token="<unk>", show_progress=False), metaspace)
    wordpiece = trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=130, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[MASK]"], **bpe),
                        pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer())
    wordlevel = trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=40, special_tokens=specials, show_progress=False),
                        pre_tokenizers.Whitespace())
    suffix = trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), trainers.BpeTrainer(
        vocab_size=120, special_tokens=["<unk>"], end_of_word_suffix="</w>", **bpe), pre_tokenizers.WhitespaceSplit())
    prefix = trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), trainers.BpeTrainer(
        vocab_size=120, special_tokens=["<unk>"], continuing_subword_prefix="##", **bpe), pre_tokenizers.WhitespaceSplit())
    return {
        "byte": byte_bpe,
        "byte-whole": {**byte_bpe, "ignore_merges": True, "merges": byte_bpe["merges"][::2] + [m for m in byte_bpe["merges"][1::2] if "Ġ" not in m[0]]},
        "spm": shift({**spm, "byte_fallback": True, "fuse_unk": True}, specials + byte),
        "spm-fused": {**spm, "fuse_unk": True},
        "spm-single": {**spm, "fuse_unk": False},
        "spm-some-bytes": shift({**spm, "byte_fallback": True, "fuse_unk": True}, specials + byte[:0xE0]),
        "spm-no-unk": {**spm, "unk_token": None},
        "unigram": unigram,
        "unigram-bytes": shift({**unigram, "byte_fallback": True}, specials + byte),
        "wordpiece": {**wordpiece, "max_input_chars_per_word": 12},
        "wordlevel": wordlevel,
        "suffix": suffix,
        "prefix": prefix,
    }


def charsmap(rules):
    """A precompiled_charsmap: a double array in the layout of darts-clone, built by trying every offset."""
    text, values = b"", {}
    for old, new in rules.items():
        values[old.encode()] = len(text)
        text += new.encode() + b"\0"
    units, used = {0: None}, {0}
    def place(position, prefix):
        children = sorted({key[len(prefix)] for key in values if key.startswith(prefix) and len(key) > len(prefix)})
        labels = ([0] if prefix in values else []) + children
        offset = next(o for o in range(1, 1 << 20) if o < (1 << 21) and not any((position ^ o ^ l) in used for l in labels) and len({position ^ o ^ l for l in labels}) == len(labels))
        for label in labels:
            used.add(position ^ offset ^ label)
        label = prefix[-1] if prefix else 0
        units[position] = (offset << 10) | ((1 << 8) if prefix in values else 0) | label
        if prefix in values:
            units[position ^ offset] = values[prefix] | (1 << 31)
        for child in children:
            place(position ^ offset ^ child, prefix + bytes([child]))
    place(0, b"")
    size = (max(units) | 255) + 1
    blob = b"".join(struct.pack("<I", units.get(i) or 0) for i in range(size))
    return base64.b64encode(struct.pack("<I", len(blob)) + blob + text).decode()


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
HAN = "[一-龥぀-ゟ゠-ヿ]+"
DEEPSEEK = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def metaspace(scheme="always", split=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def normalize(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


BACK = {"type": "Sequence", "decoders": [replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
PREPEND = normalize({"type": "Prepend", "prepend": "▁"}, replace(" ", "▁"))
TEXT = [token(0, "<s>"), token(1, "</s>")]
CHAT = TEXT + [token(900, "<|im_start|>"), token(901, "<|im_end|>"), token(902, "<tool>", special=False), token(903, "<pad>", lstrip=True),
               token(904, "[MASK]", rstrip=True, lstrip=True), token(905, "word", special=False, single_word=True), token(906, "s>", special=False, normalized=False)]
SPM = [token(0, "<unk>"), token(1, "<s>"), token(2, "</s>")]
SPM_CHAT = SPM + [token(900, "<|im_start|>"), token(901, "<tool>", special=False), token(902, "<pad>", special=False, normalized=True, rstrip=True),
                  token(903, "word", special=False, single_word=True)]
BERT = [token(0, "[UNK]"), token(1, "[CLS]"), token(2, "[SEP]"), token(3, "[MASK]", lstrip=True), token(900, "Word", special=False, normalized=True)]
MAP = charsmap({"ﬁ": "fi", "①": "1", "e\u0301": "é", "\u3000": " ", "\u00a0": " ", "½": "1⁄2", "\t": " ", "\n": " ", "\u0001": "", "K": "K", "ﷺ": "صلى الله", "👍🏽": "+1"})
META = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
BL = byte_level()
CONFIGS = {
    "gpt2": ("byte", None, BL, BL, TEXT),
    "gpt2-prefix-space": ("byte", None, byte_level(prefix=True), BL, CHAT),
    "llama3": ("byte-whole", None, sequence(split(LLAMA3), byte_level(regex=False)), BL, CHAT),
    "qwen2": ("byte", {"type": "NFC"}, sequence(split(QWEN2), byte_level(regex=False)), BL, CHAT),
    "gpt4o": ("byte", None, sequence(split(GPT4O), byte_level(regex=False)), BL, TEXT),
    "cl100k-removed-inverted": ("byte", None, sequence(split(CL100K, "Removed", True), byte_level(regex=False)), BL, TEXT),
    "deepseek": ("byte", normalize(), sequence(split(r"\p{N}{1,3}"), split(HAN), split(DEEPSEEK), byte_level(regex=False)), BL, CHAT),
    "digits-single": ("byte", None, sequence({"type": "Digits", "individual_digits": True}, BL), BL, TEXT),
    "digits-runs": ("byte", None, sequence({"type": "Digits", "individual_digits": False}, BL), BL, TEXT),
    "punctuation": ("byte", None, sequence({"type": "Punctuation", "behavior": "Contiguous"}, BL), BL, TEXT),
    "punctuation-previous": ("byte", None, sequence({"type": "Punctuation", "behavior": "MergedWithPrevious"}, BL), BL, TEXT),
    "split-next": ("byte", None, sequence(split(r"\s|\d", "MergedWithNext"), BL), BL, TEXT),
    "split-word-boundary": ("byte", None, sequence(split(r"\b\w", "MergedWithPrevious"), split("[[:alpha:]&&[^aeiou]]x*", "Contiguous"), byte_level(regex=False)), BL, TEXT),
    "split-case": ("byte", None, sequence(split(r"(?i)(?<=[a-z])S|\h{2}|^the|s$|(?>a|ab)c|\p{^Alpha}", "Isolated"), byte_level(regex=False)), BL, TEXT),
    "split-string": ("byte", None, sequence({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}, byte_level(regex=False)), BL, TEXT),
    "fixed-length": ("byte", None, sequence({"type": "FixedLength", "length": 3}, byte_level(regex=False)), BL, TEXT),
    "byte-normalizer": ("byte", {"type": "ByteLevel"}, None, BL, TEXT + [token(900, "word é", special=False, normalized=True)]),
    "llama2": ("spm", PREPEND, None, BACK, SPM_CHAT),
    "llama2-first": ("spm", None, metaspace("first", False), BACK, SPM_CHAT),
    "gemma": ("spm", replace(" ", "▁"), {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
              {"type": "Sequence", "decoders": [replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}]}, SPM_CHAT),
    "spm-some-bytes": ("spm-some-bytes", PREPEND, None, BACK, SPM),
    "spm-fused": ("spm-fused", None, metaspace(), META, SPM),
    "spm-single": ("spm-single", None, metaspace("never"), {**META, "prepend_scheme": "never"}, SPM_CHAT),
    "spm-no-unk": ("spm-no-unk", {"type": "NFKC"}, metaspace("first"), META, SPM),
    "unigram": ("unigram", normalize({"type": "Precompiled", "precompiled_charsmap": MAP}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}), metaspace(), META, SPM),
    "unigram-bytes": ("unigram-bytes", normalize({"type": "Nmt"}, {"type": "NFKC"}), metaspace("first", False), BACK, SPM_CHAT),
    "unigram-spaces": ("unigram-bytes", normalize({"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}),
                       sequence({"type": "WhitespaceSplit"}, metaspace()), META, SPM),
    "bert": ("wordpiece", {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
             {"type": "BertPreTokenizer"}, {"type": "WordPiece", "prefix": "##", "cleanup": True}, BERT),
    "bert-cased": ("wordpiece", {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False},
                   sequence({"type": "WhitespaceSplit"}, {"type": "Punctuation"}), {"type": "WordPiece", "prefix": "##", "cleanup": False}, BERT),
    "words": ("wordlevel", normalize({"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}),
              {"type": "Whitespace"}, None, SPM),
    "words-kd": ("wordlevel", {"type": "NFKD"}, {"type": "CharDelimiterSplit", "delimiter": " "}, None, SPM),
    "suffix": ("suffix", None, {"type": "WhitespaceSplit"}, {"type": "BPEDecoder", "suffix": "</w>"}, [token(0, "<unk>")]),
    "prefix": ("prefix", {"type": "Lowercase"}, {"type": "WhitespaceSplit"}, {"type": "WordPiece", "prefix": "##", "cleanup": False}, [token(0, "<unk>")]),
}


def record(texts):
    """All tokenizers with the ids of the texts, and the decoded texts where they differ from the texts."""
    shared = build_models()
    rows = []
    for name, (model, normalizer, pre_tokenizer, decoder, added) in CONFIGS.items():
        parts = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
                 "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": decoder}
        tokenizer = Tokenizer.from_str(json.dumps({**parts, "model": shared[model]}))
        row = {"name": name, "model": model, "parts": parts, "asText": [], "asTokens": [], "decoded": []}
        for text in texts:
            tokenizer.encode_special_tokens = True
            as_text = tokenizer.encode(text, add_special_tokens=False).ids
            tokenizer.encode_special_tokens = False
            as_tokens = tokenizer.encode(text, add_special_tokens=False).ids
            row["asText"].append(as_text)
            row["asTokens"].append(None if as_tokens == as_text else as_tokens)
            decoded = tokenizer.decode(as_text, skip_special_tokens=True)
            row["decoded"].append(None if decoded == text else decoded)
        rows.append(row)
    return {"recordedWith": f"tokenizers {tokenizers.__version__}", "models": shared, "texts": texts, "tokenizers": rows}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        rng = random.Random(20)
        texts = TEXTS + [random_text(rng) for _ in range(int(sys.argv[1]))]
        pathlib.Path(sys.argv[2]).write_text(json.dumps(record(texts)))
    else:
        FIXTURE.write_text(json.dumps(record(TEXTS[5:10] + TEXTS[17:18] + TEXTS[21:24]), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
