"""Records what PyTorch computes for small inputs, in float64, so that the kernels have an oracle that is not ours.

Run:  python test/oracles/record-kernels.py   (torch 2.13)
Writes test/oracles/fixtures/kernels.json, read by src/tensor/recorded.test.ts. Numbers are rounded to 9 decimals.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(20240607)
torch.set_default_dtype(torch.float64)


def random(*shape):
    """Inputs on a grid of 1/64, exact in float32 and float64."""
    return (torch.randn(*shape) * 64).round() / 64


def pack(tensors):
    return {
        name: {"shape": list(tensor.shape), "values": [round(value, 9) for value in tensor.detach().flatten().tolist()]}
        for name, tensor in tensors.items()
    }


def record(inputs, run):
    """Outputs of run(inputs), and the gradients of sum(grad * y) by every floating input."""
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    y = run(leaves)
    grad_y = random(*y.shape)
    grads = torch.autograd.grad(y, list(leaves.values()), grad_y)
    outputs = {f"grad_{name}": grad for name, grad in zip(leaves, grads)}
    return {"inputs": pack(leaves | {"grad_y": grad_y}), "outputs": pack({"y": y} | outputs)}


def attention(offsets, num_heads, num_kv_heads, head_dim):
    num_rows = offsets[-1]

    def run(inputs):
        def heads(name, count):
            return inputs[name].view(num_rows, count, head_dim).transpose(0, 1)

        q, k, v = heads("q", num_heads), heads("k", num_kv_heads), heads("v", num_kv_heads)
        parts = [
            F.scaled_dot_product_attention(q[:, a:b], k[:, a:b], v[:, a:b], is_causal=True, enable_gqa=True)
            for a, b in zip(offsets, offsets[1:])
        ]
        return torch.cat(parts, dim=1).transpose(0, 1).reshape(num_rows, num_heads * head_dim)

    inputs = {
        "q": random(num_rows, num_heads * head_dim),
        "k": random(num_rows, num_kv_heads * head_dim),
        "v": random(num_rows, num_kv_heads * head_dim),
    }
    sizes = {"offsets": offsets, "numHeads": num_heads, "numKvHeads": num_kv_heads}
    return record(inputs, run) | sizes


def cross_entropy():
    targets = torch.tensor([3, 0, -100, 10, 3, -100])

    def run(inputs):
        return -F.cross_entropy(inputs["hidden"] @ inputs["weight"].T, targets, ignore_index=-100, reduction="none")

    return record({"hidden": random(6, 5), "weight": random(11, 5)}, run) | {"targets": targets.tolist()}


def adamw():
    w = random(8).requires_grad_()
    optimizer = torch.optim.AdamW([w], lr=0.05, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
    initial, grads, after = w.detach().clone(), random(4, 8), []
    for grad in grads:
        w.grad = grad.clone()
        optimizer.step()
        after.append(w.detach().clone())
    return {"inputs": pack({"w": initial, "grads": grads}), "outputs": pack({"w": torch.stack(after)})}


gate_up = {"gate": random(4, 6) * 3, "up": random(4, 6)}
norm = {"x": random(5, 7), "weight": random(7)}
fixture = {
    "torch": torch.__version__.split("+")[0],
    "attention": [attention([0, 1, 5, 8], 4, 2, 4), attention([0, 9], 3, 1, 2), attention([0, 2, 7], 2, 2, 6)],
    "rmsNorm": record(norm, lambda i: F.rms_norm(i["x"], (7,), i["weight"], eps=1e-3)),
    "layerNorm": record(
        {"x": random(5, 7), "weight": random(7), "bias": random(7)},
        lambda i: F.layer_norm(i["x"], (7,), i["weight"], i["bias"], eps=1e-3),
    ),
    "swiglu": record(gate_up, lambda i: F.silu(i["gate"]) * i["up"]),
    "gelu": record({"x": random(40) * 2}, lambda i: F.gelu(i["x"])),
    "geluTanh": record({"x": random(40) * 2}, lambda i: F.gelu(i["x"], approximate="tanh")),
    "crossEntropy": cross_entropy(),
    "adamW": adamw(),
}
path = Path(__file__).parent / "fixtures" / "kernels.json"
path.write_text(json.dumps(fixture) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
