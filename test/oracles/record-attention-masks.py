"""Records attention under the masks of transformers, computed by PyTorch in float64, for layouts with visible ranges.

Run:  python test/oracles/record-attention-masks.py   (torch 2.15, transformers 5.24)
Writes test/oracles/fixtures/attention-masks.json, read by src/tensor/recorded.test.ts. Numbers are rounded to 9 decimals.

The masks come from the mask functions of transformers.masking_utils: `sliding_window_causal_mask_function`, and for blocks
`causal_mask_function` or `blockwise_overlay`, as `create_causal_mask(block_sequence_ids=...)` joins them. A prefix is one such
block followed by tokens of none. Full visibility is its `bidirectional_mask_function`.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import __version__ as transformers_version
from transformers import masking_utils

torch.manual_seed(20261201)
torch.set_default_dtype(torch.float64)
HEAD_DIM = 3
NUM_HEADS, NUM_KV_HEADS = 4, 2

PACKED = {"qOffsets": [0, 9, 10, 16], "kStarts": [0, 9, 10], "kLengths": [9, 1, 6]}
CACHED = {"qOffsets": [0, 3, 4], "kStarts": [1, 12], "kLengths": [11, 7]}


def random(*shape):
    """Inputs on a grid of 1/64, exact in float32 and float64."""
    return (torch.randn(*shape) * 64).round() / 64


def pack(tensors):
    return {
        name: {"shape": list(tensor.shape), "values": [round(value, 9) for value in tensor.detach().flatten().tolist()]}
        for name, tensor in tensors.items()
    }


def mask_function(rule, size, num_keys):
    if rule == "full":
        return masking_utils.bidirectional_mask_function
    if rule == "slidingWindow":
        return masking_utils.sliding_window_causal_mask_function(size)
    positions = torch.arange(num_keys)
    blocks = positions // size if rule == "blockCausal" else torch.where(positions < size, 0, -1)
    overlay = masking_utils.blockwise_overlay(blocks[None])
    return masking_utils.or_masks(overlay, masking_utils.causal_mask_function)


def mask_of(rule, size, num_queries, num_keys):
    """[queries, keys], true where visible; the queries are the last tokens."""
    queries = torch.arange(num_keys - num_queries, num_keys)[:, None].expand(-1, num_keys)
    keys = torch.arange(num_keys)[None, :].expand(num_queries, -1)
    zero = torch.tensor(0)
    visible = mask_function(rule, size, num_keys)(zero, zero, queries, keys)
    return torch.as_tensor(visible).expand(num_queries, num_keys)


def record(rule, size, layout):
    offsets, starts, lengths = layout["qOffsets"], layout["kStarts"], layout["kLengths"]
    num_rows = starts[-1] + lengths[-1] + 1
    inputs = {
        "q": random(offsets[-1], NUM_HEADS * HEAD_DIM).requires_grad_(),
        "k": random(num_rows, NUM_KV_HEADS * HEAD_DIM).requires_grad_(),
        "v": random(num_rows, NUM_KV_HEADS * HEAD_DIM).requires_grad_(),
    }

    def heads(tensor, first, end):
        return tensor[first:end].view(end - first, -1, HEAD_DIM).transpose(0, 1)

    parts, masks = [], []
    for b, (start, length) in enumerate(zip(starts, lengths)):
        first, end = offsets[b], offsets[b + 1]
        mask = mask_of(rule, size, end - first, length)
        masks += ["".join(str(int(bit)) for bit in row) for row in mask]
        k, v = heads(inputs["k"], start, start + length), heads(inputs["v"], start, start + length)
        q = heads(inputs["q"], first, end)
        o = F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask, enable_gqa=True)[0]
        parts.append(o.transpose(0, 1).reshape(end - first, -1))
    y = torch.cat(parts)
    grad_y = random(*y.shape)
    grads = torch.autograd.grad(y, list(inputs.values()), grad_y)
    outputs = {f"grad_{name}": grad for name, grad in zip(inputs, grads)}
    sizes = {"rule": rule, "size": size, "numHeads": NUM_HEADS, "numKvHeads": NUM_KV_HEADS, "masks": masks}
    return {"inputs": pack(inputs | {"grad_y": grad_y}), "outputs": pack({"y": y} | outputs)} | sizes | layout


RULES = [("full", 0), ("prefix", 4), ("slidingWindow", 3), ("blockCausal", 4)]
fixture = {
    "torch": torch.__version__.split("+")[0],
    "transformers": transformers_version,
    "cases": [record(rule, size, layout) for layout in (PACKED, CACHED) for rule, size in RULES],
}
path = Path(__file__).parent / "fixtures" / "attention-masks.json"
path.write_text(json.dumps(fixture) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
