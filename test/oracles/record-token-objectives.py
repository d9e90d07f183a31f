"""Records objectives per token and their gradients with JAX's autograd, for src/train/token-objectives.test.ts.

    pip install jax && JAX_ENABLE_X64=1 python test/oracles/record-token-objectives.py > test/oracles/fixtures/token-objectives.json

Four sequences of 3, 1, 4 and 2 tokens, weights that are fractions and negative among them. Each loss is written as its
paper has it, in float64; the derivatives are JAX's.
"""

import json

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid

LENGTHS = [3, 1, 4, 2]
TOTAL = sum(LENGTHS)
SEQUENCE = jnp.array([index for index, length in enumerate(LENGTHS) for _ in range(length)])


def draw(seed, low, high):
    return jax.random.uniform(jax.random.key(seed), (TOTAL,), jnp.float64, low, high)


LOGPROBS = draw(1, -3.0, -0.1)
SAMPLER = LOGPROBS + draw(2, -0.6, 0.6)
REFERENCE = LOGPROBS + draw(3, -0.8, 0.8)
ADVANTAGES = draw(4, -2.0, 2.0)
WEIGHTS = jnp.array([1, 1, 0.5, 1, -0.25, 1, 2, 1, 1, 0.75], dtype=jnp.float64)


def sums(values):
    return jax.ops.segment_sum(WEIGHTS * values, SEQUENCE, len(LENGTHS))


def likelihood(logprobs):
    return -jnp.sum(WEIGHTS * logprobs) / TOTAL


def advantage_weighted(logprobs):
    return -jnp.sum(WEIGHTS * jnp.minimum(jnp.exp(ADVANTAGES / 0.6), 5.0) * logprobs) / len(LENGTHS)


def clipped(low, high, per, kl_coef):
    def loss(logprobs):
        ratio = jnp.exp(logprobs - SAMPLER)
        surrogate = jnp.minimum(ratio * ADVANTAGES, jnp.clip(ratio, 1 - low, 1 + high) * ADVANTAGES)
        distance = REFERENCE - logprobs
        token = WEIGHTS * (-surrogate + kl_coef * (jnp.exp(distance) - distance - 1))
        if per == "token":
            return jnp.sum(token) / TOTAL
        return jnp.mean(jax.ops.segment_sum(token, SEQUENCE, len(LENGTHS)) / jnp.array(LENGTHS))

    return loss


def preference(kind, beta):
    def loss(logprobs):
        gain = sums(logprobs) - sums(REFERENCE)
        gaps = gain[0::2] - gain[1::2]
        if kind == "dpo":
            return -jnp.mean(log_sigmoid(beta * gaps))
        return jnp.mean((gaps - 1 / (2 * beta)) ** 2)

    return loss


CASES = {
    "likelihood": likelihood,
    "advantage": advantage_weighted,
    "ppo": clipped(0.2, 0.2, "token", 0.0),
    "dapo": clipped(0.2, 0.28, "token", 0.0),
    "grpo": clipped(0.2, 0.2, "sequence", 0.04),
    "dpo": preference("dpo", 0.3),
    "ipo": preference("ipo", 0.3),
}


def record(loss):
    value, gradient = jax.value_and_grad(loss)(LOGPROBS)
    return {"loss": value.item(), "gradient": gradient.tolist()}


print(
    json.dumps(
        {
            "lengths": LENGTHS,
            "logprobs": LOGPROBS.tolist(),
            "weights": WEIGHTS.tolist(),
            "extras": {
                "samplerLogprobs": SAMPLER.tolist(),
                "referenceLogprobs": REFERENCE.tolist(),
                "advantages": ADVANTAGES.tolist(),
            },
            "cases": {name: record(loss) for name, loss in CASES.items()},
        },
        indent=1,
    )
)
