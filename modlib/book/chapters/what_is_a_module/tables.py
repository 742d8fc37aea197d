"""Known pitfalls of Q, each as the table of an experiment small enough to watch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement
from modlib.planted import random_graph, ring_of_cliques


def q_of_random_graphs(
    units: Sequence[int],
    *,
    density: float | None = None,
    degree: float | None = None,
    repeats: int = 5,
    restarts: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Maximise Q over the partitions of graphs that have no modules at all.

    Guimerà, Sales-Pardo & Amaral (2004): the best partition of a random graph has a Q well above 0,
    and how far above depends on the size and the density of the graph.

    Parameters
    ----------
    units
        Sizes of graph.
    density, degree
        Exactly one of the two: the probability of an edge, or the mean number of edges a unit, from which
        the probability follows as ``degree / (units - 1)``.
    repeats
        Graphs per size.
    restarts
        Of the optimiser, per graph.
    seed
        Of graphs and optimiser.

    Returns
    -------
    DataFrame
        ``units``, ``density``, ``repeat``, ``q``, ``n_modules``; one row a graph.

    Raises
    ------
    ValueError
        If both or neither of ``density`` and ``degree`` are given.
    """
    if (density is None) == (degree is None):
        raise ValueError(f"give one of density and degree, got density={density} and degree={degree}")
    rows = []
    for n in units:
        p = density if density is not None else min(1.0, float(degree or 0) / (n - 1))
        for repeat in range(repeats):
            graph_seed = int(np.random.SeedSequence([seed, n, repeat]).generate_state(1)[0])
            part = find_modules(random_graph(n, density=p, seed=graph_seed), restarts=restarts, seed=seed)
            rows.append(
                {"units": n, "density": p, "repeat": repeat, "q": part.q, "n_modules": part.n_modules}
            )
    return pd.DataFrame(rows)


def q_of_rings(cliques: Sequence[int], *, size: int = 5, restarts: int = 20, seed: int = 0) -> pd.DataFrame:
    """Maximise Q over the partitions of rings of cliques: the resolution limit.

    Parameters
    ----------
    cliques
        Cliques in each ring.
    size
        Units in each clique.
    restarts, seed
        Of the optimiser.

    Returns
    -------
    DataFrame
        ``cliques``, ``q_cliques`` (Q of the partition into cliques), ``q`` and ``n_modules`` (of the best
        partition found); one row a ring.
    """
    rows = []
    for c in cliques:
        A, labels = ring_of_cliques(c, size)
        part = find_modules(A, restarts=restarts, seed=seed)
        rows.append(
            {"cliques": c, "q_cliques": modularity(A, labels), "q": part.q, "n_modules": part.n_modules}
        )
    return pd.DataFrame(rows)


def q_of_restarts(A: Float[np.ndarray, "unit unit"], *, restarts: int = 50, seed: int = 0) -> pd.DataFrame:
    """Run the optimiser many times from different starts and compare each partition with the best.

    Good, de Montjoye & Clauset (2010): many partitions that differ a lot can come near the same maximum.

    Parameters
    ----------
    A
        Adjacency matrix.
    restarts
        Runs, one start each.
    seed
        Of the first run; the others follow.

    Returns
    -------
    DataFrame
        ``restart``, ``q``, ``n_modules``, ``ami`` (adjusted mutual information with the best partition:
        1 is identical, 0 as alike as chance); one row a run, best first.
    """
    parts = [find_modules(A, restarts=1, seed=seed + k) for k in range(restarts)]
    best = max(parts, key=lambda part: part.q)
    rows = [
        {
            "restart": k,
            "q": part.q,
            "n_modules": part.n_modules,
            "ami": agreement(best.labels, part.labels)["ami"],
        }
        for k, part in enumerate(parts)
    ]
    return pd.DataFrame(rows).sort_values("q", ascending=False, kind="stable", ignore_index=True)
