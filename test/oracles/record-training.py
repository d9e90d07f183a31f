"""Records training runs of a tiny Llama with PyTorch, transformers and PEFT for src/train/parity.test.ts.

    python test/oracles/record-training.py > test/oracles/fixtures/training.json

Weights come from a formula that the test repeats, so that the fixture holds only the documents and the losses.
"""

import json
import math

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, get_scheduler

STEPS = 5
DOCUMENTS = [[1, 5, 9, 2, 17, 3], [4, 4, 8, 15, 16, 23, 30, 11, 2], [7, 29, 6]]
MASKS = [[0, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 0, 1, 1], [0, 1, 1]]
SIZES = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)


def fill(tensor, seed, scale, offset=0.0):
    """`offset + scale · sin(0.7 i + 1.3 seed + i² / 50)`, row-major."""
    i = torch.arange(tensor.numel(), dtype=torch.float64)
    values = offset + scale * torch.sin(0.7 * i + 1.3 * seed + i * i / 50)
    with torch.no_grad():
        tensor.copy_(values.reshape(tensor.shape).to(tensor.dtype))


def tiny_llama():
    config = LlamaConfig(**SIZES, max_position_embeddings=64, rope_theta=10000.0, rms_norm_eps=1e-5, tie_word_embeddings=True)
    model = LlamaForCausalLM(config)
    for seed, (name, parameter) in enumerate(sorted(model.named_parameters())):
        if parameter.dim() == 1:
            fill(parameter, seed, 0.1, 1.0)
        else:
            fill(parameter, seed, 0.3)
    return model


def batch(indices):
    """Right-padded ids and labels; padding and unsupervised tokens are -100."""
    width = max(len(DOCUMENTS[d]) for d in indices)
    ids = torch.zeros(len(indices), width, dtype=torch.long)
    attention = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, d in enumerate(indices):
        length = len(DOCUMENTS[d])
        ids[row, :length] = torch.tensor(DOCUMENTS[d])
        attention[row, :length] = 1
        labels[row, :length] = torch.where(torch.tensor(MASKS[d]) == 1, torch.tensor(DOCUMENTS[d]), -100)
    return dict(input_ids=ids, attention_mask=attention, labels=labels)


def train(model, optimizer, schedule, warmup, clip, indices):
    scheduler = get_scheduler(schedule, optimizer, num_warmup_steps=warmup, num_training_steps=STEPS)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batch(indices)).loss
        loss.backward()
        trainable = [p for p in model.parameters() if p.requires_grad]
        norms.append(float(torch.nn.utils.clip_grad_norm_(trainable, clip)))
        optimizer.step()
        scheduler.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        final = float(model(**batch(indices)).loss)
    return dict(losses=losses, gradNorms=norms, finalLoss=final)


def full():
    model = tiny_llama()
    groups = [
        dict(params=[p for p in model.parameters() if p.dim() > 1], weight_decay=0.1),
        dict(params=[p for p in model.parameters() if p.dim() == 1], weight_decay=0.0),
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.98))
    return train(model, optimizer, "cosine", 2, 1.0, [0, 1, 2])


def lora(indices, rank, alpha, targets, rate, decay, clip):
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets, bias="none", task_type="CAUSAL_LM")
    model = get_peft_model(tiny_llama(), config)
    adapted = sorted((n, p) for n, p in model.named_parameters() if p.requires_grad)
    for seed, (name, parameter) in enumerate(adapted):
        if "lora_A" in name:
            fill(parameter, seed, 0.25)
        else:
            fill(parameter, seed, 0.05)
    optimizer = torch.optim.AdamW([p for _, p in adapted], lr=rate, weight_decay=decay)
    run = train(model, optimizer, "linear", 0, clip, indices)
    settings = dict(documents=indices, loraRank=rank, loraAlpha=alpha, targets=targets, learningRate=rate, weightDecay=decay, clipNorm=clip)
    return dict(settings, **run)


assert math.isfinite(full()["finalLoss"])
everything = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
print(
    json.dumps(
        dict(
            steps=STEPS,
            documents=DOCUMENTS,
            masks=MASKS,
            full=full(),
            adapters=[
                lora([0, 1, 2], 4, 8, everything, 0.02, 0.0, 1.0),
                lora([1], 2, 4, ["q_proj", "v_proj"], 0.05, 0.1, 0.5),
                lora([0, 2], 3, 3, ["gate_proj", "down_proj", "o_proj"], 0.01, 0.0, 1e9),
            ],
            versions=dict(torch=torch.__version__),
        ),
        indent=1,
    )
)
