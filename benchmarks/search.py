"""How often a search misses the best known Q, beside other searches that are given as much time.

The graphs are 64 of trained and untrained networks, whose best known Q comes from long runs of many searches
and is proven to be the optimum for 38 of them (`tests/reference`). Every search runs with ten seeds on each.
A search that is done sooner than `modlib.find_modules` starts again with other draws until as much time of
the processor has gone by, and its best partition counts.
"""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import torch

from benchmarks.best_known import BestKnown
from modlib.clustering import (
    CONVERGED,
    find_modules,
    igraph_draws_from,
    kicked,
    modularity,
    weighted_graph,
)
from modlib.nulls import random_graphs

SEEDS = range(10)
TOLERANCE = 1e-9  # of Q: a search that is this close to the best known Q has reached it
OURS, EARLIER = "modlib", "modlib before"

Search = Callable[[np.ndarray, random.Random], list[int]]


def measure(
    known: Sequence[BestKnown], *, seeds: range = SEEDS, searches: Collection[str] | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Search each graph with every search that is installed.

    Parameters
    ----------
    known
        The graphs.
    seeds
        Of the searches, one search a seed.
    searches
        Names of those to run beside modlib's, by default all.

    Returns
    -------
    table
        One row a graph and search: `graph`, `search`, `seeds`, on how many of them Q was `below` the best
        known and `above` it, the `lowest` difference, and the mean `seconds` of the processor and `runs`.
    about
        How it was measured.
    """
    rows: list[dict[str, object]] = []
    for graph in known:
        alive = graph.A.any(axis=1)
        A = graph.A[np.ix_(alive, alive)]
        gaps: dict[str, list[float]] = {}
        spent: dict[str, list[float]] = {}
        runs: dict[str, list[int]] = {}
        for seed in seeds:
            start = time.process_time()
            q = find_modules(A, seed=seed).q
            budget = time.process_time() - start
            found = {OURS: (q, budget, 1)}
            for name, search in SEARCHES.items():
                if searches is not None and name not in searches:
                    continue
                once = name in (EARLIER, "networkx greedy")
                found[name] = _repeated(search, A, seed, 0.0 if once else budget)
            for name, (q, seconds, n_run) in found.items():
                gaps.setdefault(name, []).append(q - graph.best_known_q)
                spent.setdefault(name, []).append(seconds)
                runs.setdefault(name, []).append(n_run)
        rows += [
            {
                "graph": graph.name,
                "search": name,
                "seeds": len(gap),
                "below": int(np.sum(np.array(gap) < -TOLERANCE)),
                "above": int(np.sum(np.array(gap) > TOLERANCE)),
                "lowest": min(gap),
                "seconds": round(float(np.mean(spent[name])), 5),
                "runs": float(np.mean(runs[name])),
            }
            for name, gap in gaps.items()
        ]
    about = {"unit": "seconds of the processor a graph", "threads": 1, "tolerance": TOLERANCE}
    return pd.DataFrame(rows), about


def on_nulls(
    S: dict[str, list[torch.Tensor]], *, restarts: Sequence[int] = (2, 5, 20), long: int = 200, draws: int = 6
) -> pd.DataFrame:
    """Search draws of the similarity null, in which there are no modules, with few restarts and with many.

    Returns
    -------
    DataFrame
        One row a `layer`, `measure`, `normalized`, `draw` and number of `restarts`, `long` among them: `q`.
    """
    rows: list[dict[str, object]] = []
    generator = np.random.default_rng(0)
    for measure, layers in S.items():
        for layer, matrices in enumerate(layers, start=1):
            for draw in range(draws):
                found = random_graphs(matrices[0].double().numpy(), generator)
                for normalized, A in enumerate(found):
                    rows += [
                        {"layer": layer, "measure": measure, "normalized": bool(normalized), "draw": draw,
                         "restarts": number, "q": find_modules(A, restarts=number, seed=draw).q}
                        for number in (*restarts, long)
                    ]  # fmt: skip
    return pd.DataFrame(rows)


def _repeated(search: Search, A: np.ndarray, seed: int, budget: float) -> tuple[float, float, int]:
    """Search once, and again until the budget is spent: the best Q, the seconds, and the number of runs."""
    generator = random.Random(seed)
    start, best, runs = time.process_time(), -np.inf, 0
    while not runs or time.process_time() - start < budget:
        best, runs = max(best, modularity(A, search(A, generator))), runs + 1
    return best, time.process_time() - start, runs


def _earlier(A: np.ndarray, generator: random.Random) -> list[int]:
    """Take the best of twenty runs of Leiden and nineteen of the best so far, half of it moved at random."""
    graph, found = weighted_graph(A), list[tuple[float, list[int]]]()
    with igraph_draws_from(generator):
        for run in range(39):
            start = None if run < 20 else kicked(np.array(max(found)[1]), 0.5, generator)
            reached, rises = -np.inf, True
            while rises:
                part = graph.community_leiden(
                    "modularity", weights="weight", initial_membership=start, n_iterations=1
                )
                start, rises = part.membership, part.quality > reached + CONVERGED
                reached = part.quality
            found.append((reached, start or []))
    return max(found)[1]


def _leiden(A: np.ndarray, generator: random.Random) -> list[int]:
    with igraph_draws_from(generator):
        found = weighted_graph(A).community_leiden("modularity", weights="weight", n_iterations=10)
    return list(found.membership)


def _louvain(A: np.ndarray, generator: random.Random) -> list[int]:
    with igraph_draws_from(generator):
        found = weighted_graph(A).community_multilevel(weights="weight")
    return list(found.membership)


def _leidenalg(A: np.ndarray, generator: random.Random) -> list[int]:
    import leidenalg

    found = leidenalg.find_partition(
        igraph.Graph.Weighted_Adjacency(A, mode="undirected", loops=False),
        leidenalg.ModularityVertexPartition,
        weights="weight",
        n_iterations=-1,
        seed=generator.getrandbits(30),
    )
    return list(found.membership)


def _networkx_louvain(A: np.ndarray, generator: random.Random) -> list[int]:
    return _labels(
        nx.community.louvain_communities(nx.from_numpy_array(A), seed=generator.getrandbits(30)), A
    )


def _networkx_greedy(A: np.ndarray, generator: random.Random) -> list[int]:
    return _labels(nx.community.greedy_modularity_communities(nx.from_numpy_array(A), weight="weight"), A)


def _labels(modules: Any, A: np.ndarray) -> list[int]:
    labels = [0] * len(A)
    for number, units in enumerate(modules):
        for unit in units:
            labels[unit] = number
    return labels


#: Other searches, by name; those whose package is not installed are left out.
SEARCHES: dict[str, Search] = {
    EARLIER: _earlier,
    "igraph Leiden": _leiden,
    "igraph Louvain": _louvain,
    **({"leidenalg": _leidenalg} if importlib.util.find_spec("leidenalg") else {}),
    "networkx Louvain": _networkx_louvain,
    "networkx greedy": _networkx_greedy,
}
