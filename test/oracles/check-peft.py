"""Loads an adapter directory that Selkie wrote with peft and compares logits with those that Selkie computed.

python test/oracles/check-peft.py BASE_DIRECTORY ADAPTER_DIRECTORY LOGITS.json [RESULT.json]

node test/oracles/write-peft-adapter.ts ADAPTER_DIRECTORY LOGITS.json writes the second and the third.
LOGITS.json holds {"documents": [[ids]], "logits": [...]}, row-major over the documents one after another.
RESULT.json receives what was checked (digest of the weights, settings) and the largest difference, for `peft.test.ts`.
"""

import hashlib
import json
import pathlib
import sys

import peft
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import LlamaForCausalLM


def main(base, adapter, logits_path, result_path=None):
    given = json.loads(pathlib.Path(logits_path).read_text())
    model = LlamaForCausalLM.from_pretrained(base, attn_implementation="eager")
    plain = torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in given["documents"]])
    model = PeftModel.from_pretrained(model, adapter)
    stored = load_file(pathlib.Path(adapter) / "adapter_model.safetensors")
    loaded = {name.replace(".default", ""): value for name, value in model.named_parameters() if "lora_" in name}
    assert stored.keys() == loaded.keys(), sorted(stored.keys() ^ loaded.keys())
    assert all(torch.equal(stored[name], loaded[name]) for name in stored), "peft changed a weight"
    with torch.no_grad():
        logits = torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in given["documents"]])
    ours = torch.tensor(given["logits"]).reshape(logits.shape)
    result = {
        "checkedWith": f"peft {peft.__version__}, torch {torch.__version__}",
        "weightsDigest": hashlib.sha256((pathlib.Path(adapter) / "adapter_model.safetensors").read_bytes()).hexdigest(),
        "config": json.loads((pathlib.Path(adapter) / "adapter_config.json").read_text()),
        "numTensors": len(stored),
        "largestDifference": (logits - ours).abs().max().item(),
        "effectOfAdapter": (logits - plain).abs().max().item(),
    }
    print(json.dumps(result, indent=1))
    assert result["largestDifference"] < 1e-4 * logits.abs().max().item(), "logits differ"
    if result_path:
        pathlib.Path(result_path).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
