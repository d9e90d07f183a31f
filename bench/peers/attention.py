#!/usr/bin/env python3
"""The peer of `selkie bench attention`: torch.nn.functional.scaled_dot_product_attention, forward and backward.

    python3 bench/peers/attention.py attention --seq 2048 --dtype bf16

Causal, or as --visibility says: a boolean mask, which PyTorch does not skip by. One sequence of 8 heads of 64, at --seq tokens and at two, four and eight times as many; the operands are leaves, so a
step computes all three gradients. Prints one JSON line in the fields of `selkie bench attention`; a processor's allocator
keeps no record of its peak, so the bytes are what the peak of the process rose by.
Set-up: python3 -m venv v && v/bin/pip install torch
"""
import argparse
import json
import resource
import time

import torch
from torch.nn.functional import scaled_dot_product_attention

NUM_HEADS, HEAD_DIM, NUM_LENGTHS = 8, 64, 4


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds_per_call(call, seconds):
    call()
    start, calls = time.perf_counter(), 0
    while calls < 2 or time.perf_counter() - start < seconds:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls


def attention_of(visibility, length):
    """A function of q, k and v, and how many pairs of query and key are visible."""
    kind, _, size = visibility.partition(":")
    if kind in ("causal", "full"):
        pairs = length**2 / (2 if kind == "causal" else 1)
        return lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=kind == "causal"), pairs
    queries, keys, size = torch.arange(length)[:, None], torch.arange(length)[None, :], int(size)
    if kind == "sliding":
        mask = (keys <= queries) & (keys > queries - size)
    elif kind == "block":
        mask = keys // size <= queries // size
    else:
        mask = (keys <= queries) | (keys < size)
    return lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=mask), int(mask.sum())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["attention"])
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--dtype", default="bf16", choices=["f32", "bf16"])
    parser.add_argument("--visibility", default="causal", help="causal, full, sliding:512, block:32 or prefix:1024")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    line = {"peer": "torch " + torch.__version__, "what": "attention", "dtype": options.dtype, "threads": options.threads}
    for length in (options.seq << doubling for doubling in range(NUM_LENGTHS)):
        shape = (1, NUM_HEADS, length, HEAD_DIM)
        q, k, v = (torch.randn(shape).to(dtype).requires_grad_() for _ in range(3))
        grad = torch.randn(shape).to(dtype)

        attention, pairs = attention_of(options.visibility, length)

        def step():
            q.grad = k.grad = v.grad = None
            attention(q, k, v).backward(grad)

        before = peak_bytes()
        seconds = seconds_per_call(step, options.seconds / NUM_LENGTHS)
        flops = 14 * pairs * NUM_HEADS * HEAD_DIM
        line[f"ms_{length}"] = round(1000 * seconds, 2)
        line[f"gflops_{length}"] = round(flops / seconds / 1e9)
        line[f"bytes_{length}"] = peak_bytes() - before
    line["peak_mib"] = round(peak_bytes() / 2**20)
    print(json.dumps(line))


main()
