"""Results of made-up worlds in which every claim is true, every claim is false, or nothing can be told."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from modlib.measures import VARIANTS, family
from modlib.nulls import NULLS
from modlib.paper import claims, reported
from modlib.study.store import Results

LEVELS = [("l2", 1e-5), ("l2", 1e-2), ("l1", 1e-3), ("dropout", 0.2), ("dropout", 0.6)]
PLAIN, STRONGEST = ("l2", 1e-5), ("dropout", 0.6)
STRONGEST_L2 = ("l2", 1e-2)
PENALTIES = {
    "true": {("l1", 1e-3): 0.05, STRONGEST_L2: 0.02},
    "false": {("l1", 1e-3): -0.05, STRONGEST_L2: -0.02},
}
#: Q at a level less that at the weakest L2, upstream and downstream. Where all is true, dropout leads
#: downstream by next to nothing; where all is false, it is behind, and farther upstream.
GAINS = {
    "true": (
        PENALTIES["true"] | {("dropout", 0.2): 0.1, STRONGEST: 0.3},
        PENALTIES["true"] | {("dropout", 0.2): 0.0, STRONGEST: 0.065},
    ),
    "false": (
        PENALTIES["false"] | {("dropout", 0.2): -0.1, STRONGEST: -0.2},
        PENALTIES["false"] | {("dropout", 0.2): -0.07, STRONGEST: -0.2},
    ),
    "noise": ({}, {}),
}
EXCESS = {"true": 0.1, "false": -0.1, "noise": 0.0}  # of Q over its nulls, and over shuffled labels
UNTRAINED_EXCESS = {"true": 0.05, "false": 0.05, "noise": 0.0}  # over the similarity null
# trained: upstream, downstream, across; then untrained
ECS = {
    "true": [(0.7, 0.6, 0.3), (0.5, 0.6, 0.3)],
    "false": [(0.3, 0.3, 0.5), (0.5, 0.1, 0.3)],
    "noise": [(reported.high_agreement(),) * 3] * 2,
}
#: AMI, ARI and RMI of trained networks, of those at the strongest levels, and of untrained ones.
CORRECTED = {
    "true": [(0.5, 0.5, 0.1), (0.6, 0.6, 0.2), (0.3, 0.5, 0.0)],
    "false": [(-0.3, -0.3, -0.1), (-0.5, -0.5, -0.2), (0.0, -0.5, 0.0)],
    "noise": [(0.0, 0.0, 0.0)] * 3,
}
MODULES = {"true": (5.0, 3.0), "false": (8.0, 7.0), "noise": (5.0, 5.0)}  # strongest dropout; penalties
LOSS = {"true": 0.01, "false": 0.1, "noise": claims.ACCURACY_MARGIN}
PAIRS = ("upstream", "downstream", "across")


def world(truth):
    """Experiments by name, each with the tables that the real one has."""
    whole = results(truth)
    with_nulls = replace(whole, choices=whole.choices[:0], choices_agreement=whole.choices_agreement[:0])
    base = replace(with_nulls, nulls=whole.nulls[:0])
    shuffled = results(truth, rng=1)
    shuffled.modules["q"] -= EXCESS[truth]
    shuffled.networks["test_accuracy"] = 0.1  # there is nothing to learn for a test to show
    labels = {"labels-kept": base, "labels-shuffled": replace(shuffled, nulls=base.nulls)}
    beside = {name: untrained(truth) for name in ("untrained", "untrained-fashion")}
    return {"base": base, "fashion": with_nulls, "close-up": whole} | labels | beside


def untrained(truth, *, seeds=4, rng=2):
    """Untrained networks held against nulls; those of seeds that trained ones have stand apart."""
    found = results(truth, seeds=seeds, rng=rng)
    draw = np.random.default_rng(rng)
    scale = {"noise": 0.3}.get(truth, 0.002)
    modules = found.modules[found.modules.network.str.startswith("none")].copy()
    shared = modules.network.str.endswith(tuple(f"seed={seed}" for seed in range(4)))
    modules["q"] = np.where(shared, 5.0, 0.3 - EXCESS[truth] / 2 + scale * draw.normal(size=len(modules)))
    nulls = []
    for name in NULLS:
        excess = UNTRAINED_EXCESS[truth] if name == "similarity" else 0.0
        mean = modules.q - np.where(shared, 9.0, excess + scale * draw.normal(size=len(modules)))
        rows = modules[["network", "layer", "measure", "normalized", "q"]]
        nulls.append(rows.assign(null=name, draws=10, mean=mean, sd=0.01, z=0.0, p=0.5))
    networks = found.networks[~found.networks.trained]
    empty = {name: getattr(found, name)[:0] for name in ("agreement", "choices", "choices_agreement")}
    return replace(found, networks=networks, modules=modules, nulls=pd.concat(nulls), **empty)


def results(truth, *, seeds=4, layers=(1, 2), noise=None, rng=0):
    """Tables of one experiment; `noise` is the standard deviation of every value, scaled to its kind."""
    draw = np.random.default_rng(rng)
    scale = noise if noise is not None else {"true": 0.002, "false": 0.002, "noise": 0.3}[truth]
    tables = {name: [] for name in ("networks", "modules", "agreement", "nulls", "choices", "in_short")}
    rows = [(*level, seed, True) for seed in range(seeds) for level in LEVELS]
    rows += [("none", 0.0, seed, False) for seed in range(2 * seeds + 2)]
    for regularizer, strength, seed, trained in rows:
        level, name = (regularizer, strength), f"{regularizer}={strength},seed={seed}"
        loss = {STRONGEST: LOSS[truth], ("dropout", 0.2): 0.005}.get(level, 0.0)
        accuracy = 0.97 - loss + 0.05 * scale * draw.normal()
        tables["networks"].append(
            {
                "network": name,
                "regularizer": regularizer,
                "strength": strength,
                "seed": seed,
                "trained": trained,
                "epochs": 10 * trained,
                "test_accuracy": accuracy if trained else 0.1,
                "train_accuracy": accuracy if trained else 0.1,
            }
        )
        for layer in layers:
            key = {"network": name, "layer": layer}
            tables["modules"] += [key | row for row in _modules(truth, level, seed, trained, scale, draw)]
            pairs = [key | row for row in _agreement(truth, level, trained, scale, draw)]
            tables["agreement"] += pairs
            if not trained:
                continue
            for choice in ("images=100", "optimiser=spectral"):
                for row in _modules(truth, level, seed, trained, scale, draw):
                    tables["choices"].append(key | row | {"choice": choice})
                for distinct in (False, True):
                    for pair in PAIRS:
                        two = [p for p in pairs if p["measure_a"] != p["measure_b"]]
                        chosen = [p["ami"] for p in two if p["family_pair"] == pair]
                        short = {"choice": choice, "family_pair": pair, "distinct": distinct}
                        # where pairs of a measure with itself are in, agreement is made to look reversed
                        value = float(np.mean(chosen)) * (1.0 if distinct else -1.0)
                        tables["in_short"].append(key | short | {"ecs": value, "ami": value})
            if level in (PLAIN, STRONGEST):
                for (measure, normalized), null in product(VARIANTS, NULLS):
                    q = 0.3 + scale * draw.normal()
                    row = {"measure": measure, "normalized": normalized, "null": null, "draws": 10}
                    row |= {"q": q, "mean": q - EXCESS[truth] - scale * draw.normal()}
                    tables["nulls"].append(key | row | {"sd": 0.01, "z": 0.0, "p": 0.5})
    frames = {name: pd.DataFrame(table) for name, table in tables.items()}
    manifest = {"seconds": {"training": 60.0}}
    short = frames.pop("in_short")
    return Results(**frames, choices_agreement=short, manifest=manifest, kept={})


def _modules(truth, level, seed, trained, scale, draw):
    """In the noisy world half of the seeds have four modules more at the strongest levels, half four less."""
    dropout, penalties = MODULES[truth]
    swing = 4.0 * (-1) ** seed if truth == "noise" else 0.0
    for measure, normalized in VARIANTS:
        number = 5.0
        if level == STRONGEST:
            number = dropout + swing
        elif level in (("l1", 1e-3), ("l2", 1e-2)):
            number = penalties + swing
        yield {
            "measure": measure,
            "normalized": normalized,
            "q": (0.3 + gain(truth, measure, level) if trained else 0.2) + scale * draw.normal(),
            "n_modules": 6,
            "effective_modules": number + draw.normal() / 50,
        }


def gain(truth, measure, level):
    """Q at a level less that at the weakest L2."""
    upstream, downstream = GAINS[truth]
    return (upstream if family(measure) == "upstream" else downstream).get(level, 0.0)


def _agreement(truth, level, trained, scale, draw):
    """Pairs of a measure with itself agree perfectly, which nobody may count."""
    state = (1 if level in (STRONGEST, STRONGEST_L2) else 0) if trained else 2
    for i, (a, normalized_a) in enumerate(VARIANTS):
        for b, normalized_b in VARIANTS[i + 1 :]:
            pair = family(a) if family(a) == family(b) else "across"
            which = PAIRS.index(pair)
            values = {
                m: CORRECTED[truth][state][which] + scale * draw.normal() for m in ("ami", "ari", "rmi")
            }
            ecs = ECS[truth][0 if trained else 1][which] + scale * draw.normal()
            if a == b:
                ecs, values = 9.0, dict.fromkeys(values, 9.0)
            yield {
                "measure_a": a,
                "normalized_a": normalized_a,
                "measure_b": b,
                "normalized_b": normalized_b,
                "family_pair": pair,
                "ecs": ecs,
                **values,
                "vi": 1 - ecs,
                "matching": ecs,
                "rank_correlation": ecs,
            }
