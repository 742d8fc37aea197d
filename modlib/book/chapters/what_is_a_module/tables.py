"""Known pitfalls of Q, each as the table of an experiment small enough to watch."""

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
    and how far above depends on the size and the density of the graph. Graphs have either the same `density`,
    the probability of an edge, or the same mean `degree`, from which it follows as ``degree / (units - 1)``.
    """
    if (density is None) == (degree is None):
        raise ValueError(f"give one of density and degree, got density={density} and degree={degree}")
    rows = []
    for n in units:
        p = density if density is not None else min(1.0, float(degree or 0) / (n - 1))
        for repeat in range(repeats):
            graph_seed = int(np.random.SeedSequence([seed, n, repeat]).generate_state(1)[0])
            part = find_modules(random_graph(n, density=p, seed=graph_seed), restarts=restarts, seed=seed)
            rows.append([n, p, repeat, part.q, part.n_modules])
    return pd.DataFrame(rows, columns=["units", "density", "repeat", "q", "n_modules"])


def q_of_rings(cliques: Sequence[int], *, size: int = 5, restarts: int = 20, seed: int = 0) -> pd.DataFrame:
    """Maximise Q over the partitions of rings of cliques, beside the Q of the cliques themselves."""
    rows = []
    for c in cliques:
        A, labels = ring_of_cliques(c, size)
        part = find_modules(A, restarts=restarts, seed=seed)
        rows.append([c, modularity(A, labels), part.q, part.n_modules])
    return pd.DataFrame(rows, columns=["cliques", "q_cliques", "q", "n_modules"])


def q_of_restarts(A: Float[np.ndarray, "unit unit"], *, restarts: int = 50, seed: int = 0) -> pd.DataFrame:
    """Run the optimiser many times from different starts and compare each partition with the best.

    Good, de Montjoye & Clauset (2010): many partitions that differ a lot can come near the same maximum.
    `ami` is the adjusted mutual information with the best partition; the best run comes first.
    """
    parts = [find_modules(A, restarts=1, seed=seed + k) for k in range(restarts)]
    best = max(parts, key=lambda part: part.q)
    ami = [agreement(best.labels, part.labels)["ami"] for part in parts]
    rows = [(k, part.q, part.n_modules, ami[k]) for k, part in enumerate(parts)]
    table = pd.DataFrame(rows, columns=["restart", "q", "n_modules", "ami"])
    return table.sort_values("q", ascending=False, kind="stable", ignore_index=True)
