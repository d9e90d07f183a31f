"""Records policy objectives and their gradients with PyTorch's autograd for src/train/objectives.test.ts.

    python test/oracles/record-objectives.py > test/oracles/fixtures/objectives.json

Each loss is written as its paper has it, on log-probabilities of whole sequences, in float64; only the formulas are given,
the derivatives are PyTorch's.
"""

import json

import torch
from torch.nn.functional import logsigmoid

torch.manual_seed(7)
NUM_SEQUENCES = 6
PAIRS = [(0, 1), (0, 2), (3, 2), (4, 5)]


def draw(low, high):
    return low + (high - low) * torch.rand(NUM_SEQUENCES, dtype=torch.float64)


def gaps(logprobs, reference):
    chosen = torch.tensor([pair[0] for pair in PAIRS])
    rejected = torch.tensor([pair[1] for pair in PAIRS])
    policy_ratio = logprobs[chosen] - logprobs[rejected]
    reference_ratio = reference[chosen] - reference[rejected]
    return policy_ratio - reference_ratio


def record(objective, logprobs, loss_of):
    leaf = logprobs.clone().requires_grad_()
    loss = loss_of(leaf)
    loss.backward()
    return {**objective, "loss": loss.item(), "gradient": leaf.grad.tolist()}


def main():
    logprobs, reference, advantages = draw(-60, -10), draw(-60, -10), draw(-2, 2)
    near = reference + 0.1 * draw(-1, 1)  # early in training the policy is still close to the reference
    kept = torch.tensor([1, 0, 0, 1, 1, 0], dtype=torch.float64)
    num_tokens = torch.tensor([12, 7, 9, 30, 5, 8], dtype=torch.float64)
    cases = []
    for beta in (0.05, 0.1, 1.0):
        for name, values in (("far", logprobs), ("near", near)):
            setting = {"beta": beta, "at": name}
            cases.append(record({"kind": "dpo", **setting}, values, lambda x: -logsigmoid(beta * gaps(x, reference)).mean()))
            cases.append(record({"kind": "ipo", **setting}, values, lambda x: ((gaps(x, reference) - 1 / (2 * beta)) ** 2).mean()))
    for temperature, most in ((0.5, 20.0), (1.0, 2.0)):
        weights = torch.clamp(torch.exp(advantages / temperature), max=most)
        setting = {"kind": "advantage", "temperature": temperature, "maxWeight": most, "at": "far"}
        cases.append(record(setting, logprobs, lambda x: -(weights * x).mean()))
    cases.append(record({"kind": "likelihood", "perToken": False, "at": "far"}, logprobs, lambda x: -x[kept > 0].mean()))
    per_token = lambda x: -(kept * x).sum() / (kept * num_tokens).sum()
    cases.append(record({"kind": "likelihood", "perToken": True, "at": "far"}, logprobs, per_token))
    fixture = {
        "torch": torch.__version__,
        "pairs": PAIRS,
        "logprobs": {"far": logprobs.tolist(), "near": near.tolist()},
        "reference": reference.tolist(),
        "advantages": advantages.tolist(),
        "kept": kept.tolist(),
        "numTokens": num_tokens.tolist(),
        "cases": cases,
    }
    print(json.dumps(fixture, indent=1))


if __name__ == "__main__":
    main()
