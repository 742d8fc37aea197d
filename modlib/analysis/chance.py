"""How far two partitions agree beyond chance: beside shuffles of one of them, which keep its sizes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from modlib.comparison import agreement_pairs


class Agreement(NamedTuple):
    """How far two partitions agree, and the 2.5 % point, mean and 97.5 % point of the same by chance."""

    found: float
    low: float
    mean: float
    high: float


def crossing(
    a: Int[np.ndarray, " unit"], b: Int[np.ndarray, " unit"], *, shuffles: int = 500, seed: int = 0
) -> dict[str, Agreement]:
    """Compare two partitions by ECS and AMI, and the first with shuffles of the second, which keep its sizes.

    Units that are dead (−1) in either partition are left out of both, also of the shuffling.
    """
    alive = (a >= 0) & (b >= 0)
    a, b = a[alive], b[alive]
    shuffled = np.random.default_rng(seed).permuted(np.tile(b, (shuffles, 1)), axis=1)
    pairs = [[0, i] for i in range(1, shuffles + 2)]
    found = agreement_pairs(np.concatenate([[a, b], shuffled]), pairs, metrics=["ecs", "ami"])

    def beside_chance(values: Float[np.ndarray, " pair"]) -> Agreement:
        low, high = np.quantile(values[1:], [0.025, 0.975])
        return Agreement(float(values[0]), float(low), float(values[1:].mean()), float(high))

    return {metric: beside_chance(found[metric]) for metric in ("ecs", "ami")}
