"""Records chains of gradient transforms with Optax, for src/nn/optim/optim.test.ts.

    pip install optax && JAX_ENABLE_X64=1 python test/oracles/record-optimizers.py > test/oracles/fixtures/optimizers.json

Six updates of one 2 x 3 matrix in float64, with gradients from a formula; the schedule is a warm-up of two updates and a
cosine to zero, whose factor at update s of n is the usual one of both libraries: (s - 2) / (n - 2) of the decay is done.
"""

import json
import math

import jax.numpy as jnp
import optax

STEPS = 6
PEAK = 0.05
WEIGHTS = [[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]]
GRADIENTS = [[3 * math.sin(1.7 * step + 2.3 * i) for i in range(6)] for step in range(STEPS)]

rate = optax.join_schedules(
    [optax.linear_schedule(0.0, PEAK, 2), optax.cosine_decay_schedule(PEAK, STEPS - 2)], [2]
)
CHAINS = {
    "adamw": optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(rate, b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1)
    ),
    "lion": optax.chain(optax.clip_by_global_norm(1.0), optax.lion(rate, b1=0.9, b2=0.99, weight_decay=0.1)),
    "sgd": optax.chain(optax.sgd(rate), optax.clip_by_global_norm(0.02)),
}


def run(transform):
    weights = jnp.array(WEIGHTS, dtype=jnp.float64)
    state = transform.init(weights)
    for gradient in GRADIENTS:
        updates, state = transform.update(jnp.array(gradient, dtype=jnp.float64).reshape(2, 3), state, weights)
        weights = optax.apply_updates(weights, updates)
    return weights.reshape(-1).tolist()


print(json.dumps({"gradients": GRADIENTS, "chains": {name: run(chain) for name, chain in CHAINS.items()}}, indent=1))
