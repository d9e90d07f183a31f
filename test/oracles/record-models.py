"""Records the oracles of src/models with transformers, torch and tokenizers.

Run from the repository root: python test/oracles/record-models.py
Writes test/oracles/fixtures/{llama,qwen3,mistral,custom}-*/ (tiny random checkpoints with logits, loss, gradients and a
greedy continuation), rope-frequencies.json, config-keys.json (the same configurations under the keys of
transformers 4 and 5), and tokenizer/ (a byte-level BPE with the ids of awkward texts).
The model runs in float64, so what is recorded is exact to the digits of float32.
"""

import json
import pathlib
import shutil

import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
COMMON = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
)
VARIANTS = {
    "llama-tied": dict(tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    "llama-biases": dict(
        tie_word_embeddings=False, attention_bias=True, mlp_bias=True, eos_token_id=[2, 3],
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    ),
    "llama-llama3-rope": dict(
        tie_word_embeddings=True, head_dim=12, num_key_value_heads=1,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
        },
    ),
}
# The others are small enough for the gradients of all parameters; no head_dim is hidden_size / num_attention_heads by chance.
SMALL = {**COMMON, "hidden_size": 24, "intermediate_size": 40}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
OTHERS = {
    "qwen3-tied": (Qwen3Config, Qwen3ForCausalLM, dict(
        tie_word_embeddings=True, head_dim=8, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    )),
    "qwen3-biases": (Qwen3Config, Qwen3ForCausalLM, dict(
        tie_word_embeddings=False, attention_bias=True, head_dim=10, num_key_value_heads=1, eos_token_id=[2, 3],
        rope_parameters=PLAIN_ROPE,
    )),
    "qwen3-sliding": (Qwen3Config, Qwen3ForCausalLM, dict(  # layer 0 sees everything, layer 1 four positions
        tie_word_embeddings=True, head_dim=8, use_sliding_window=True, sliding_window=4, max_window_layers=1,
        rope_parameters=PLAIN_ROPE,
    )),
    "mistral-tied": (MistralConfig, MistralForCausalLM, dict(
        tie_word_embeddings=True, head_dim=8, sliding_window=None, rope_parameters=PLAIN_ROPE,
    )),
    "mistral-untied": (MistralConfig, MistralForCausalLM, dict(
        tie_word_embeddings=False, num_key_value_heads=4, sliding_window=64,
        rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16},
    )),
    "mistral-sliding": (MistralConfig, MistralForCausalLM, dict(
        tie_word_embeddings=True, head_dim=8, sliding_window=4, rope_parameters=PLAIN_ROPE,
    )),
    "custom-qwen2": (Qwen2Config, Qwen2ForCausalLM, dict(  # for an architecture that a user brings
        tie_word_embeddings=True, use_sliding_window=False, rope_parameters=PLAIN_ROPE,
    )),
}
PROMPTS = [[1, 17, 5], [1, 90, 44, 7, 12]]
DOCUMENTS = [[1, 17, 5, 80, 33, 5, 61, 2], [1, 90, 44, 44, 7, 12, 95, 3, 28, 66, 51, 9, 0, 2], [1, 40, 2]]


def randomize(model, seed):
    """Weights large enough that every part of the model shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.3 * noise if "norm" in name else 0.25 * noise)


def record_model(name, model, seed, wanted=None):
    """Gradients of `wanted` parameters, by default of all."""
    directory = FIXTURES / name
    shutil.rmtree(directory, ignore_errors=True)
    randomize(model, seed)
    model.save_pretrained(directory)
    model = model.double().eval()
    logits = [model(input_ids=torch.tensor([ids])).logits[0] for ids in DOCUMENTS]
    losses = [
        torch.nn.functional.cross_entropy(rows[:-1], torch.tensor(ids[1:]), reduction="sum")
        for rows, ids in zip(logits, DOCUMENTS)
    ]
    loss = sum(losses) / sum(len(ids) - 1 for ids in DOCUMENTS)
    loss.backward()
    tensors = {"logits": torch.cat(logits).detach()}
    for parameter_name, parameter in model.named_parameters():
        if wanted is None or parameter_name in wanted:
            tensors[f"grad.{parameter_name}"] = parameter.grad
    tensors = {key: value.to(torch.float32).contiguous() for key, value in tensors.items()}
    save_file(tensors, directory / "expected.safetensors", metadata={"format": "pt"})
    expected = {
        "recordedWith": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "documents": DOCUMENTS, "loss": loss.item(), "allGradients": wanted is None,
        "greedy": [continue_greedily(model, ids) for ids in PROMPTS],
    }
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def continue_greedily(model, prompt):
    """Twelve tokens, each the likeliest after one full pass, without a cache; also the smallest lead over the second."""
    ids, leads = list(prompt), []
    for _ in range(12):
        with torch.no_grad():
            best = model(input_ids=torch.tensor([ids])).logits[0, -1].topk(2)
        ids.append(best.indices[0].item())
        leads.append((best.values[0] - best.values[1]).item())
    return {"promptIds": prompt, "tokenIds": ids[len(prompt):], "smallestLead": min(leads)}


LLAMA_GRADIENTS = {
    "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
    "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight",
    "model.layers.1.self_attn.v_proj.weight", "model.layers.1.self_attn.o_proj.weight",
    "model.layers.0.mlp.gate_proj.weight", "model.layers.1.mlp.down_proj.weight",
    "model.layers.0.self_attn.q_proj.bias", "model.layers.1.mlp.up_proj.bias",
}


def record_config_keys():
    """config.json under the keys of transformers 4 and 5, of one meaning: read by `AutoConfig`, what it understood."""
    sizes = {**SMALL, "head_dim": 8}
    stretch = {"factor": 4.0, "original_max_position_embeddings": 16}
    rest = {"qwen3": {"attention_bias": True, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
            "mistral": {"sliding_window": 32}, "llama": {"attention_bias": True, "mlp_bias": True}}
    cases = []
    for model_type, own in rest.items():
        common = {"model_type": model_type, **sizes, **own, "tie_word_embeddings": True}
        old = {**common, "torch_dtype": "bfloat16", "rope_theta": 5e5, "rope_scaling": {"type": "yarn", **stretch}}
        new = {**common, "dtype": "bfloat16", "rope_parameters": {"rope_type": "yarn", "rope_theta": 5e5, **stretch}}
        if model_type == "qwen3":
            new["layer_types"] = ["full_attention", "sliding_attention"]
        understood = []
        for keys in (old, new):
            plain = {key: value for key, value in keys.items() if key != "model_type"}
            config = transformers.AutoConfig.for_model(model_type, **json.loads(json.dumps(plain)))
            understood.append({
                "ropeTheta": config.rope_parameters["rope_theta"], "ropeType": config.rope_parameters["rope_type"],
                "window": getattr(config, "sliding_window", None), "layerTypes": getattr(config, "layer_types", None),
                "headDim": config.head_dim, "attentionBias": getattr(config, "attention_bias", None),
            })
        cases.append({"v4": old, "v5": new, "understood": understood})
    (FIXTURES / "config-keys.json").write_text(json.dumps(cases, indent=1) + "\n")


def record_rope():
    cases = []
    for rope, head_dim, max_positions in [
        ({"rope_type": "default", "rope_theta": 10000.0}, 64, 2048),
        ({"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}, 32, 2048),
        ({"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, 64, 131072),
        ({"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768}, 128, 131072),
        ({"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0, "original_max_position_embeddings": 4096,
          "mscale": 1.0, "mscale_all_dim": 0.7, "beta_fast": 32, "beta_slow": 1}, 64, 163840),
        ({"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 1024,
          "truncate": False, "attention_factor": 1.25}, 48, 8192),
    ]:
        config = LlamaConfig(hidden_size=head_dim * 2, num_attention_heads=2, head_dim=head_dim,
                             max_position_embeddings=max_positions, rope_parameters=dict(rope))
        kind = rope["rope_type"]
        if kind == "default":
            frequencies, factor = 1.0 / (rope["rope_theta"] ** (torch.arange(0, head_dim, 2).float() / head_dim)), 1.0
        else:
            frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"))
        cases.append({"rope_parameters": rope, "head_dim": head_dim, "max_position_embeddings": max_positions,
                      "frequencies": [float(f"{x:.8g}") for x in frequencies.tolist()], "attentionFactor": factor})
    (FIXTURES / "rope-frequencies.json").write_text(json.dumps(cases, indent=1) + "\n")


CORPUS = [
    "The selkie sheds its skin and walks ashore; the sea keeps what she was.",
    "She can't say it's theirs, they've said, and we'll see: 1234 ships, 56 harbours, 7 lights.",
    "Blå øyne ved fjorden. Über den Wellen, às vezes, naïve café.",
    "the the the then there these those thorough through thought\n\n\tindented   text  with   spaces ",
    "日本の海 и северное море 🌊🌊 seals 🦭",
] * 3
TEXTS = [
    "", " ", "a", "The selkie's skin", "  two leading spaces", "trailing spaces   ", "line\nbreak\r\nand\ttab\n\n\nend\n",
    "it's we'll they've I'D don't 'sup", "naïve café Über", "日本の海辺で", "северное море", "🦭🌊👩‍👩‍👧‍👦 emoji 👍🏽", "mixed123abc45.6,7!?--",
    "a\u00a0b\u2003c\u3000d", "e\u0301 vs \u00e9", "control \u0000\u0001\u007f end", "العربية and עברית", "x" * 70, "<eos> is special <eos>", "½ ² Ⅷ ٣",
    "\u2028line separator\u2029", "\ufeffbyte order mark", "\ud7ff\ue000\U0010ffff", "don\u2019t \u201cquote\u201d", " \n  \n ", "\x1c\x1d\x1e\x1f\x85x",
]


def record_tokenizer():
    directory = FIXTURES / "tokenizer"
    directory.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=["<eos>", "<pad>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "clean_up_tokenization_spaces": False}
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
    expected = {"recordedWith": f"tokenizers {tokenizers.__version__}", "corpus": CORPUS, "cases": cases}
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for seed, (name, settings) in enumerate(VARIANTS.items()):
        config = LlamaConfig(**{**COMMON, **settings}, attn_implementation="eager")
        record_model(name, LlamaForCausalLM(config).float(), seed, LLAMA_GRADIENTS)
    for seed, (name, (config_class, model_class, settings)) in enumerate(OTHERS.items(), start=100):
        config = config_class(**{**SMALL, **settings}, attn_implementation="eager")
        record_model(name, model_class(config).float(), seed)
    record_config_keys()
    record_rope()
    record_tokenizer()
