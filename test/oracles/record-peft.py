"""Records LoRA adapters written by peft on fixtures of each architecture, with the logits they give;
for peft-plain the gradients of the adapter's weights too.

Run from the repository root, after record-models.py: python test/oracles/record-peft.py
Writes test/oracles/fixtures/peft-plain/, peft-rslora/ and peft-patterns/ (rank_pattern and alpha_pattern) on llama-tied,
peft-qwen3/ on qwen3-tied and peft-mistral/ on mistral-untied.
"""

import json
import pathlib
import shutil

import peft
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
VARIANTS = {
    "peft-plain": dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]),
    "peft-rslora": dict(r=4, lora_alpha=3, use_rslora=True, target_modules=["k_proj", "o_proj", "gate_proj"]),
    "peft-patterns": dict(
        r=3, lora_alpha=5, target_modules="all-linear",
        rank_pattern={"layers.0.self_attn.q_proj": 5, "up_proj": 1}, alpha_pattern={r"layers\.1\.mlp\..*": 9, "o_proj": 2},
    ),
    "peft-qwen3": dict(r=3, lora_alpha=5, target_modules="all-linear"),
    "peft-mistral": dict(r=2, lora_alpha=3, target_modules="all-linear"),
}
BASES = {"peft-qwen3": "qwen3-tied", "peft-mistral": "mistral-untied"}


def record(name, settings, seed):
    base = BASES.get(name, "llama-tied")
    directory = FIXTURES / name
    shutil.rmtree(directory, ignore_errors=True)
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / base, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["target_modules"].sort()  # peft keeps a set: its order would change with every recording
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    documents = json.loads((FIXTURES / base / "expected.json").read_text())["documents"]
    model = model.double()
    rows = [model(input_ids=torch.tensor([ids])).logits[0] for ids in documents]
    losses = [
        torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="sum")
        for logits, ids in zip(rows, documents)
    ]
    (sum(losses) / sum(len(ids) - 1 for ids in documents)).backward()
    tensors = {"logits": torch.cat(rows).detach()}
    for parameter_name, parameter in model.named_parameters():
        if parameter.grad is not None and name == "peft-plain":
            tensors["grad." + parameter_name.replace(".default.weight", "")] = parameter.grad
    tensors = {key.replace("base_model.model.", ""): value.float().contiguous() for key, value in tensors.items()}
    save_file(tensors, directory / "expected.safetensors", metadata={"format": "pt"})
    (directory / "expected.json").write_text(json.dumps({"recordedWith": f"peft {peft.__version__}"}) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for seed, (name, settings) in enumerate(VARIANTS.items()):
        record(name, settings, seed)
