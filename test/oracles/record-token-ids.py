"""Records which ids transformers 5.18 gives to texts by differing files of a checkpoint, in fixtures/token-ids.json.

Run from the repository root: python test/oracles/record-token-ids.py
Each case is a set of files, all of one small byte-level tokenizer, and what AutoTokenizer makes of a text: the ids with special
tokens read as text (split_special_tokens) and as tokens, the id that ends a text, and the ids that are special.
"""

import json
import pathlib
import tempfile

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, GenerationConfig

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "token-ids.json"
TEXT = "the sea <end> <|user|> sea<x>"


def base():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(["the sea the sea"], trainers.BpeTrainer(
        vocab_size=270, special_tokens=["<begin>", "<end>", "<|user|>"], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return json.loads(tokenizer.to_str())


def token(i, text, **flags):
    return {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def template(before, behind=()):
    item = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    ids = {"<begin>": 0, "<end>": 1, "<|user|>": 2}
    one = [*map(item, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(item, behind)]
    return {"type": "TemplateProcessing", "single": one, "pair": one + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in {*before, *behind}}}


def flags(text, **more):
    return {"content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **more}


NAMES = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<begin>", "eos_token": "<end>"}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
# name: (changes of tokenizer.json, other files)
CASES = {
    "nothing before a text": ({}, {"tokenizer_config": NAMES}),
    "add_bos_token without a template": ({}, {"tokenizer_config": {**NAMES, "add_bos_token": True}}),
    "add_eos_token without a template": ({}, {"tokenizer_config": {**NAMES, "add_eos_token": True}}),
    "add_bos_token false beside a template": ({"post_processor": template(["<begin>"])}, {"tokenizer_config": {**NAMES, "add_bos_token": False}}),
    "a template": ({"post_processor": template(["<begin>"])}, {"tokenizer_config": NAMES}),
    "a template with another token than bos_token": ({"post_processor": template(["<|user|>"])}, {"tokenizer_config": NAMES}),
    "a template of two tokens, and one behind": ({"post_processor": template(["<begin>", "<|user|>"], ["<end>"])}, {"tokenizer_config": NAMES}),
    "a sequence of processors": ({"post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, template(["<begin>"])]}}, {"tokenizer_config": NAMES}),
    "Roberta's processor": ({"post_processor": {"type": "RobertaProcessing", "sep": ["<end>", 1], "cls": ["<begin>", 0], "trim_offsets": True, "add_prefix_space": False}}, {"tokenizer_config": NAMES}),
    "a template and no bos_token": ({"post_processor": template(["<begin>"])}, {"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>"}}),
    "names in special_tokens_map.json": ({}, {"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<begin>"}, "special_tokens_map": {"eos_token": "<end>"}}),
    "special_tokens_map.json beside added_tokens_decoder": ({}, {"tokenizer_config": {**NAMES, "added_tokens_decoder": {"1": flags("<end>")}}, "special_tokens_map": {"eos_token": "<|user|>"}}),
    "eos_token with flags": ({}, {"tokenizer_config": {**NAMES, "eos_token": {"__type": "AddedToken", **flags("<end>")}}}),
    "an added token that only tokenizer_config.json calls special": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>"), token(2, "<|user|>", special=False)]},
        {"tokenizer_config": {**NAMES, "added_tokens_decoder": {"0": flags("<begin>"), "1": flags("<end>"), "2": flags("<|user|>")}}}),
    "an added token that is not special": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>"), token(2, "<|user|>", special=False)]}, {"tokenizer_config": NAMES}),
    "a named token that is in the vocabulary alone": ({"added_tokens": []}, {"tokenizer_config": NAMES}),
    "extra_special_tokens": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>")]}, {"tokenizer_config": {**NAMES, "extra_special_tokens": ["<|user|>"]}}),
    "additional_special_tokens": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>")]}, {"tokenizer_config": {**NAMES, "additional_special_tokens": ["<|user|>"]}}),
    "a token of the model's own kind": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>")]}, {"tokenizer_config": {**NAMES, "image_token": "<|user|>"}}),
    "added_tokens.json": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>")]}, {"tokenizer_config": NAMES, "added_tokens": {"<x>": 270}}),
    "an added token with an id of its own": ({"added_tokens": [token(0, "<begin>"), token(1, "<end>"), token(500, "<x>")]}, {"tokenizer_config": NAMES}),
    "ends in generation_config.json": ({}, {"tokenizer_config": NAMES, "generation_config": {"eos_token_id": [2, 1]}, "config": {"model_type": "llama", "eos_token_id": 1}}),
    "ends in config.json": ({}, {"tokenizer_config": NAMES, "config": {"model_type": "llama", "eos_token_id": [2, 1]}}),
    "config.json beside generation_config.json": ({}, {"tokenizer_config": NAMES, "generation_config": {"eos_token_id": 1}, "config": {"model_type": "llama", "eos_token_id": [2, 1]}}),
}


def record(changes, others):
    with tempfile.TemporaryDirectory() as folder:
        for name, value in [("tokenizer", {**base(), **changes}), *others.items()]:
            pathlib.Path(folder, f"{name}.json").write_text(json.dumps(value))
        if "config" not in others:
            pathlib.Path(folder, "config.json").write_text(json.dumps({"model_type": "llama"}))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ends = None
        if "generation_config" in others or "config" in others:
            source = {} if "generation_config" in others else {"config_file_name": "config.json"}
            ends = GenerationConfig.from_pretrained(folder, **source).eos_token_id
        split = AutoTokenizer.from_pretrained(folder, split_special_tokens=True)
        return {"asText": split(TEXT)["input_ids"], "asTokens": tokenizer(TEXT)["input_ids"], "eos": tokenizer.eos_token_id,
                "special": sorted(i for i in tokenizer.all_special_ids), "ends": ends}


if __name__ == "__main__":
    cases = [{"name": name, "changes": changes, "files": others, **record(changes, others)} for name, (changes, others) in CASES.items()]
    FIXTURE.write_text(json.dumps({"recordedWith": f"transformers {transformers.__version__}", "text": TEXT, "tokenizer": base(), "cases": cases},
                                  ensure_ascii=False, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")
