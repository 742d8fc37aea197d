"""How far agreement hangs on which of several good partitions is taken.

Many partitions of a graph have nearly the largest Q, and they can differ a lot (Good, de Montjoye & Clauset
2010). Here every graph is searched many times, and agreement between two measures is found anew: between all
their near-best partitions, between those two that are most alike, and between their consensus.
"""

from collections.abc import Mapping
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modlib import data
from modlib.analysis.modules import Map
from modlib.clustering import find_modules
from modlib.comparison import agreement, agreement_pairs
from modlib.measures import VARIANTS, adjacency, family, similarity
from modlib.networks import MLPStack
from modlib.paper.simulations.rejections import FOLDER
from modlib.study import project

SEARCHES = 50  # of each graph, independent of each other
NEAR_BEST = 0.01  # of the largest Q that they find, within which a partition is near-best
CONSENSUS_RESTARTS = 5
WAYS = ("best", "ensembles", "closest", "consensus")

Partitions = Int[np.ndarray, "partition unit"]
Labels = Int[np.ndarray, " unit"]


def near_best(A: Float[Tensor, "unit unit"], *, searches: int = SEARCHES) -> tuple[Partitions, Labels]:
    """Search a graph many times by single Leiden runs, and give what comes near to the best.

    Returns
    -------
    tuple
        The distinct partitions whose Q is within `NEAR_BEST` of the largest, the best first; and their
        consensus, the modules of the graph whose edges say how often two units were in one module, counted
        over all near-best searches (Lancichinetti & Fortunato 2012, Scientific Reports 2:336, one round).
        Dead units are −1; of a graph without edges there is one partition.
    """
    found = [find_modules(A, restarts=1, seed=seed) for seed in range(searches)]
    q = np.array([part.q for part in found])
    order = [i for i in np.argsort(-q, kind="stable") if not q[i] < (1 - NEAR_BEST) * q.max()]
    labels = np.stack([found[i].labels for i in order])
    together = (labels[:, :, None] == labels[:, None]).mean(axis=0)
    alive = labels[0] >= 0
    together[~alive] = together[:, ~alive] = 0
    np.fill_diagonal(together, 0)
    consensus = find_modules(together, restarts=CONSENSUS_RESTARTS).labels
    _, first = np.unique(labels, axis=0, return_index=True)
    return labels[np.sort(first)], np.where(alive, consensus, -1)


def of_network(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    name: str,
    *,
    searches: int = SEARCHES,
    map_: Map = map,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find near-best partitions of every graph of a network, and compare those of different measures.

    Returns
    -------
    tuple
        First, by `network`, `layer`, `measure` and `normalized`: how many distinct near-best `partitions`
        there are, and their mean `ami` with each other, 1 where there is but one. Second, by `network`,
        `layer` and `family_pair`, means over pairs of graphs of different measures of AMI between the `best`
        partitions, between all of both `ensembles` (the mean), between the `closest` of them, and between
        those of `consensus`.
    """
    if len(stack) != 1:
        raise ValueError(f"stack must hold one network, got {len(stack)}")
    S = similarity(stack.to(dtype=torch.float64), x.to(torch.float64))
    graphs = [(layer, *variant) for layer in range(stack.n_hidden) for variant in VARIANTS]
    matrices = [adjacency(S[m][layer][0], normalized=normalized) for layer, m, normalized in graphs]
    found = dict(zip(graphs, map_(_near_best, matrices, [searches] * len(graphs)), strict=True))
    alone = [
        {"network": name, "layer": layer + 1, "measure": measure, "normalized": normalized}
        | {"partitions": len(near), "ami": _within(near)}
        for (layer, measure, normalized), (near, _) in found.items()
    ]
    pairs = [
        {"network": name, "layer": layer + 1, "family_pair": _family_pair(a[0], b[0])}
        | _between(found[layer, *a], found[layer, *b])
        for layer in range(stack.n_hidden)
        for a, b in combinations(VARIANTS, 2)
        if a[0] != b[0]
    ]
    by = ["network", "layer", "family_pair"]
    return pd.DataFrame(alone), pd.DataFrame(pairs).groupby(by, sort=False).mean().reset_index()


def _near_best(A: Float[Tensor, "unit unit"], searches: int) -> tuple[Partitions, Labels]:
    return near_best(A, searches=searches)


def _family_pair(a: str, b: str) -> str:
    return family(a) if family(a) == family(b) else "across"


def _within(near: Partitions) -> float:
    pairs = list(combinations(range(len(near)), 2))
    return float(agreement_pairs(near, pairs, metrics=["ami"])["ami"].mean()) if pairs else 1.0


def _between(a: tuple[Partitions, Labels], b: tuple[Partitions, Labels]) -> dict[str, float]:
    """AMI between the partitions of two graphs, by each of `WAYS`."""
    (near_a, consensus_a), (near_b, consensus_b) = a, b
    pairs = [(i, len(near_a) + j) for i, j in product(range(len(near_a)), range(len(near_b)))]
    every = agreement_pairs(np.concatenate([near_a, near_b]), pairs, metrics=["ami"])["ami"]
    consensus = agreement(consensus_a, consensus_b)["ami"]
    values = (every[0], every.mean(), every.max(), consensus)
    return {way: float(value) for way, value in zip(WAYS, values, strict=True)}


def write(target: str | Path, networks: Mapping[str, MLPStack], *, map_: Map = map) -> None:
    """Write `of_network` of networks, over all MNIST test images, to a folder: some minutes for a hundred."""
    x = data.load("mnist").x_test
    tables = [of_network(stack, x, name, map_=map_) for name, stack in networks.items()]
    for name, parts in zip(("near_best", "degeneracy"), zip(*tables, strict=True), strict=True):
        table = pd.concat(parts, ignore_index=True)
        table.to_csv(Path(target) / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")


def read(name: str) -> pd.DataFrame:
    """Read a stored table of `write`, ``near_best`` or ``degeneracy``, about the networks of `close-up`."""
    return pd.read_csv(project.of_checkout(FOLDER / f"{name}.csv"))
