"""Analysis of one network: modlib against the method as published (`benchmarks.published`).

Eight similarities of two layers over 10,000 test images, the modules of 16 graphs, and how all pairs of a
layer agree. The networks are those that `base` keeps with their weights. Seconds of one network, on one
thread of a processor, as a sweep runs it, or on a GPU.

Both sides are timed part by part: similarity, modules, agreement. The published method's agreement is its
metrics and the shuffles that tell what is to be expected by chance, which modlib has in closed form.
``modlib: whole`` is `modlib.study.rows.analyse`, with its tables; ``published: whole`` is the sum of its
parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmarks import published
from benchmarks.timing import race
from modlib import data
from modlib.analysis.modules import PAIRS
from modlib.book.benchmark_records import Device
from modlib.book.chapters.speed.estimates import quartiles, ratios
from modlib.clustering import find_modules
from modlib.comparison import agreement_pairs, rank_correlations, transfers
from modlib.measures import VARIANTS, graphs, similarity
from modlib.networks import MLPStack
from modlib.study import catalogue, store
from modlib.study.rows import analyse
from modlib.study.workers import torch_threads
from modlib.training import denormals_flushed

PARTS = ("whole", "similarity", "modules", "agreement")
#: Ratios that are asked about: seconds of the first over those of the second.
RATIOS = tuple((f"published: {part}", f"modlib: {part}") for part in PARTS)
#: Relative difference up to which two matrices of similarities are the same: one is in single precision.
AGREE = 1e-4
#: Difference up to which Q is the same.
ROUNDING = 1e-9


def measure(
    device: Device,
    *,
    rounds: int = 3,
    images: int = 10_000,
    shuffles: int = published.SHUFFLES,
    networks: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Race both methods on each network that is kept.

    Parameters
    ----------
    device
        ``"cpu"`` or ``"cuda"``; modules and agreement are found on the processor in any case.
    rounds
        Calls of each part, a network.
    images
        Test images, the first so many.
    shuffles
        Of a pair of partitions; the time of fewer than 5,000 is scaled up to so many.
    networks
        How many of the networks kept, by default all.

    Returns
    -------
    table
        `network`, `contestant`, `round`, `seconds`.
    modules
        One row a graph of modlib's: `network`, `layer`, `measure`, `normalized`, the Q that either side's
        search finds in it, `q_modlib` and `q_published`, and `gain`, the difference.
    about
        How it was measured, and the largest relative difference between the similarities.

    Raises
    ------
    RuntimeError
        If the two methods do not find the same similarities.
    """
    restarts = catalogue.get("base", "paper").restarts
    kept = store.read_results(catalogue.get("base", "paper")).kept
    loaded = data.load("mnist")
    x, y = loaded.x_test[:images].to(device), loaded.y_test[:images].to(device)
    tables, modules, apart = [], [], 0.0
    with torch_threads(1 if device == "cpu" else None), threadpool_limits(1), denormals_flushed():
        for name in list(kept)[:networks]:
            stack = kept[name].to(device)
            theirs = published.similarities(stack.module(0), x, y)
            ours = similarity(stack.to(dtype=torch.float64), x, y)
            apart = max(apart, difference(ours, theirs))
            if not apart <= AGREE:
                raise RuntimeError(f"{name}: similarities of the two methods differ by {apart:.1e}")
            table = _race(stack, x, y, name, theirs, rounds=rounds, shuffles=shuffles, restarts=restarts)
            tables.append(table.assign(network=name))
            modules.append(qualities(ours, restarts).assign(network=name))
    found = pd.concat(tables, ignore_index=True)[["network", "contestant", "round", "seconds"]]
    about = {
        "unit": "seconds a network",
        "images": images,
        "threads": 1,
        "restarts": restarts,
        "shuffles": {"run": shuffles, "scaled_to": published.SHUFFLES},
        "similarities_apart": apart,
        "ratios": {
            f"{slow} / {fast}": quartiles(ratios(found, slow, fast))._asdict() for slow, fast in RATIOS
        },
    }
    columns = ["network", "layer", "measure", "normalized", "q_modlib", "q_published", "gain"]
    return found, pd.concat(modules, ignore_index=True)[columns], about


def difference(ours: dict[str, list[Tensor]], theirs: dict[str, list[Tensor]]) -> float:
    """Largest distance of two matrices (Frobenius), relative to ours."""
    return max(
        float((a - b).norm() / a.norm())
        for measure, layers in ours.items()
        for a, b in zip(layers, theirs[measure], strict=True)
    )


def _race(
    stack: MLPStack,
    x: Tensor,
    y: Tensor,
    name: str,
    S: dict[str, list[Tensor]],
    *,
    rounds: int,
    shuffles: int,
    restarts: int,
) -> pd.DataFrame:
    net, double = stack.module(0), stack.to(dtype=torch.float64)
    A = _graphs(S)
    labels = [np.stack([part.labels for part in published.partitions(a)]) for a in A]
    contestants: dict[str, Callable[[], object]] = {
        "modlib: whole": lambda: analyse(stack, x, y, [name], restarts=restarts),
        "modlib: similarity": lambda: similarity(double, x, y),
        "modlib: modules": lambda: [[find_modules(a, restarts=restarts) for a in layer] for layer in A],
        "modlib: agreement": lambda: [
            (agreement_pairs(found, PAIRS), transfers(layer, found), rank_correlations(layer))
            for layer, found in zip(A, labels, strict=True)
        ],
        "published: similarity": lambda: published.similarities(net, x, y),
        "published: modules": lambda: [published.partitions(layer) for layer in A],
        "published: metrics": lambda: [
            published.agreement(layer, found, PAIRS) for layer, found in zip(A, labels, strict=True)
        ],
        "published: shuffles": lambda: [
            published.chance(found, PAIRS, shuffles=shuffles) for found in labels
        ],
    }
    table = race(
        contestants,
        rounds=rounds,
        work={"published: shuffles": shuffles / published.SHUFFLES},
        device=x.device.type,
    )
    of_published = ("similarity", "modules", "metrics", "shuffles")
    return pd.concat(
        [
            table,
            _sum(table, "published: agreement", [f"published: {part}" for part in of_published[2:]]),
            _sum(table, "published: whole", [f"published: {part}" for part in of_published]),
        ],
        ignore_index=True,
    )


def _sum(table: pd.DataFrame, name: str, parts: Sequence[str]) -> pd.DataFrame:
    """Rows of a contestant whose seconds are those of its parts, round by round."""
    seconds = table[table.contestant.isin(parts)].groupby("round", as_index=False).seconds.sum()
    return seconds.assign(contestant=name)


def _graphs(S: dict[str, list[Tensor]]) -> list[np.ndarray]:
    """Read similarities as the eight graphs of each layer, (variant, unit, unit)."""
    return [graphs(S, layer)[0] for layer in range(len(S["input_cov"]))]


def qualities(S: dict[str, list[Tensor]], restarts: int) -> pd.DataFrame:
    """Q of both methods' partitions of the same graphs.

    Similarities in single precision may lose a unit that hardly associates with others. Partitions of such a
    graph would lack the unit, and their Q would be that of an easier graph.
    """
    rows: list[dict[str, object]] = []
    for layer, A in enumerate(_graphs(S), start=1):
        for (measure, normalized), a, part in zip(VARIANTS, A, published.partitions(A), strict=True):
            q = find_modules(a, restarts=restarts).q, part.q
            rows.append(
                {"layer": layer, "measure": measure, "normalized": normalized,
                 "q_modlib": q[0], "q_published": q[1], "gain": q[0] - q[1]}
            )  # fmt: skip
    return pd.DataFrame(rows)
