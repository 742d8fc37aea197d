"""Results made up so that every statistic of the findings is known beforehand."""

import numpy as np
import pandas as pd

from modlib._contingency import METRICS  # noqa: PLC2701
from modlib.measures import VARIANTS, family
from modlib.study.store import Results

LEVELS = [("l2", 1e-5), ("l2", 1e-2), ("l1", 1e-3), ("dropout", 0.2), ("dropout", 0.6)]
GAIN = {
    ("l2", 1e-5): 0.0,
    ("l2", 1e-2): 0.01,
    ("l1", 1e-3): 0.04,
    ("dropout", 0.2): 0.1,
    ("dropout", 0.6): 0.3,
}
OFFSET = {seed: 0.01 * (seed - 1) for seed in range(3)}  # mean 0
ECS = {"upstream": 0.7, "downstream": 0.5, "across": 0.3}


def results(*, accuracy=None):
    """Q = 0.1 + layer / 100 + gain of the level + offset of the seed for all graphs; ECS by pair of families.

    `accuracy` maps (regularizer, strength, seed) to a test accuracy other than 0.95.
    """
    accuracy = accuracy or {}
    networks, modules, agreement = [], [], []
    rows = [(*level, seed, True) for seed in range(3) for level in LEVELS]
    rows += [("none", 0.0, seed, False) for seed in range(4)]
    for regularizer, strength, seed, trained in rows:
        name = f"{regularizer}={strength},seed={seed}"
        networks.append(
            {
                "network": name,
                "regularizer": regularizer,
                "strength": strength,
                "seed": seed,
                "trained": trained,
                "epochs": 10 * trained,
                "test_accuracy": accuracy.get((regularizer, strength, seed), 0.95) if trained else 0.1,
            }
        )
        for layer in (1, 2):
            for measure, normalized in VARIANTS:
                q = 0.1 + layer / 100 + (GAIN[regularizer, strength] + OFFSET[seed] if trained else -0.05)
                modules.append(
                    {
                        "network": name,
                        "layer": layer,
                        "measure": measure,
                        "normalized": normalized,
                        "q": q,
                        "effective_modules": 4.0,
                    }
                )
            for i, (a, normalized_a) in enumerate(VARIANTS):
                for b, normalized_b in VARIANTS[i + 1 :]:
                    pair = family(a) if family(a) == family(b) else "across"
                    value = ECS[pair] + (OFFSET[seed] if trained else -0.1)
                    agreement.append(
                        {
                            "network": name,
                            "layer": layer,
                            "measure_a": a,
                            "normalized_a": normalized_a,
                            "measure_b": b,
                            "normalized_b": normalized_b,
                            "family_pair": pair,
                            **dict.fromkeys([*METRICS, "rank_correlation"], value),
                            "vi": 1 - value,
                        }
                    )
    tables = [pd.DataFrame(t) for t in (networks, modules, agreement)]
    return Results(*tables, manifest={"seconds": {"training": 60.0}}, kept={})


def shuffled(found, seed=0):
    """Put the rows of all tables in another order, which no statistic may depend on."""
    rng = np.random.default_rng(seed)
    tables = [t.iloc[rng.permutation(len(t))] for t in (found.networks, found.modules, found.agreement)]
    return Results(*tables, manifest=found.manifest, kept={})
