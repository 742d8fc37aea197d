"""Newman's modularity Q of a partition, and the search for the partition that maximises it."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import igraph
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from modlib import _checks

SYMMETRY_TOLERANCE = 1e-6
"""Largest ``|A_ij - A_ji|`` that counts as rounding, relative to the largest weight."""

KICKED_SHARE = 0.5
"""Share of units that a kick moves to a random module before Leiden runs again."""

NEAR_BEST = 0.01
"""Restarts whose Q is within this share of the best restart's Q count as near-best."""

LEAST_NEAR = 5
"""So many of the best restarts count as near-best in any case: one that stands alone is not stable."""

CONVERGED = 1e-12
"""A Leiden run ends with the first iteration that raises Q by no more than this."""

_GENERATOR_OF_IGRAPH = threading.Lock()  # igraph has one random number generator for the whole process


@dataclass(frozen=True, eq=False)
class Partition:
    """The modules that `find_modules` found in one graph.

    Attributes
    ----------
    labels
        Module of each unit: 0 is the largest module, ties in size go to the one with the earliest unit;
        −1 marks a dead unit (no edges).
    q
        Modularity of `labels` at the resolution asked for; nan where the graph has no edges.
    n_modules
        How many modules there are.
    effective_modules
        exp(−Σ_c p_c ln p_c), p_c the share of the alive units in module c: the number of equal modules with
        the same entropy (the paper's "number of clusters"). Between 1 and `n_modules`; nan without edges.
    stability
        How alike the near-best partitions are, in (0, 1]: the mean element-centric similarity between
        `labels` and each restart whose Q is at least that of the best restart less 1 %; on no fewer than the
        best five restarts. 1 says that every good restart found `labels` itself. Kicked runs are left out,
        since they start from the best partition and so resemble it. Nothing can be read from it at
        `restarts=1`; nan without edges.
    restarts_q
        Modularity that each independent restart reached, in the order they ran. `q` may be above all of them.
    """

    labels: Int[np.ndarray, " unit"]
    q: float
    n_modules: int
    effective_modules: float
    stability: float
    restarts_q: Float[np.ndarray, " restart"]

    @classmethod
    def of_alive(
        cls,
        modules: Int[np.ndarray, " alive"],
        alive: Bool[np.ndarray, " unit"],
        *,
        q: float,
        stability: float,
        restarts_q: Float[np.ndarray, " restart"],
    ) -> "Partition":
        """Make the partition of all units from the `canonical_labels` of those that are alive."""
        labels = np.full(len(alive), -1, dtype=np.int64)
        labels[alive] = modules
        share = np.bincount(modules) / len(modules)
        effective = float(np.exp(-np.sum(share * np.log(share)))) if len(share) else np.nan
        return cls(labels, q, len(share), effective, stability, restarts_q)


def modularity(A: ArrayLike, labels: ArrayLike, *, resolution: float = 1.0) -> float:
    """Modularity of a weighted graph cut into modules.

    Q = Σ_c (e_cc − γ a_c²), e_cd the share of the edge weight that joins modules c and d (each edge counted
    from both ends), a_c = Σ_d e_cd (Newman & Girvan 2004, eq. 5, with the weights of Newman 2004,
    10.1103/PhysRevE.70.056131; γ, the resolution, of Reichardt & Bornholdt 2006, 10.1103/PhysRevE.74.016110).

    Parameters
    ----------
    A
        (unit, unit) edge weights: symmetric (to 1e-6 of the largest), finite, not negative, zero diagonal. Q
        does not depend on their scale.
    labels
        (unit,) integers; units with the same label form a module. Units labelled −1 take no part: Q is that
        of the graph left when they are removed with their edges.
    resolution
        γ > 0; 1 is Newman's Q.

    Returns
    -------
    float
        At resolution 1 in [−1/2, 1); 0 if all units are in one module; nan if no edge is left.

    Raises
    ------
    ValueError, TypeError
        If `A`, `labels` or `resolution` is not as above.

    Examples
    --------
    Two pairs without an edge between them: half of the weight is in each module, so Q = 2 (1/2 − 1/4).

    >>> import numpy as np
    >>> A = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    >>> modularity(A, [0, 0, 1, 1]), modularity(A, [0, 0, 0, 0]), modularity(A, [0, 1, 0, 1])
    (0.5, 0.0, -0.5)
    """
    weights = checked_weights(A)
    module = checked_labels(labels, len(weights))
    gamma = _checks.real(resolution, "resolution", above=0.0)
    kept = module >= 0
    return sum_within(modularity_matrix(weights[np.ix_(kept, kept)], gamma), module[kept])


def find_modules(A: ArrayLike, *, restarts: int = 20, seed: int = 0, resolution: float = 1.0) -> Partition:
    """Partition with the largest modularity found: the best of several Leiden runs.

    `restarts` independent runs of the Leiden algorithm (Traag, Waltman & van Eck 2019, through igraph), each
    from single units in random order until nothing moves; then `restarts − 1` further runs that start from
    the best partition so far with half of its units moved to random modules ("kicks", as in iterated local
    search), because on dense graphs of low Q a kick finds better partitions than one more restart does. A
    dead unit (no edges) is labelled −1.

    The result depends on the arguments only: igraph's generator is replaced while Leiden runs and set back to
    Python's `random` module (igraph's default) afterwards, and the state of `random` is untouched.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modularity`; the asymmetry that it allows is averaged out.
    restarts
        Number of independent runs, at least 1.
    seed
        Seed of the runs, 0 or more.
    resolution
        γ > 0 of `modularity`; larger values give more and smaller modules.

    Returns
    -------
    Partition
        With q nan, n_modules 0 and all labels −1 if there are no edges.

    Raises
    ------
    ValueError, TypeError
        If `A`, `restarts`, `seed` or `resolution` is not as above.

    Notes
    -----
    Deviation from the paper, which starts from a spectral split and then runs one Monte Carlo chain of 5,000
    single-unit moves: Leiden reaches the same or a higher Q on all but a few graphs, in about a thousandth of
    the time (the chapter on choices that could have mattered counts the exceptions).

    Examples
    --------
    Two triangles joined by one edge, and one dead unit.

    >>> import numpy as np
    >>> A = np.zeros((7, 7))
    >>> for i, j in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]:
    ...     A[i, j] = A[j, i] = 1
    >>> part = find_modules(A)
    >>> part.labels.tolist(), round(part.q, 4), part.n_modules
    ([0, 0, 0, 1, 1, 1, -1], 0.3571, 2)
    """
    weights = checked_weights(A)
    gamma = _checks.real(resolution, "resolution", above=0.0)
    restarts = _checks.whole(restarts, "restarts", least=1)
    seed = _checks.seed(seed)

    alive = alive_units(weights)
    if not alive.any():
        nothing, without_q = np.zeros(0, dtype=np.int64), np.full(restarts, np.nan)
        return Partition.of_alive(nothing, alive, q=np.nan, stability=np.nan, restarts_q=without_q)
    weights = weights[np.ix_(alive, alive)]
    B = modularity_matrix(weights, gamma)
    runs, q = leiden_runs(weights, B, gamma, restarts, random.Random(seed))
    best = runs[int(q.argmax())]
    restarts_q = q[:restarts]
    top = restarts_q.max()
    n_near = max(LEAST_NEAR, np.count_nonzero(restarts_q >= top - NEAR_BEST * abs(top)))
    near = runs[np.argsort(-restarts_q, kind="stable")[:n_near]]
    stability = float(np.mean([element_centric(best, run) for run in near]))
    return Partition.of_alive(best, alive, q=float(q.max()), stability=stability, restarts_q=restarts_q)


def leiden_runs(
    weights: Float[np.ndarray, "unit unit"],
    B: Float[np.ndarray, "unit unit"],
    resolution: float,
    restarts: int,
    generator: random.Random,
) -> tuple[Int[np.ndarray, "run unit"], Float[np.ndarray, " run"]]:
    """Find the canonical labels and Q of independent restarts, then of the kicked runs.

    `weights` are those of a graph without dead units, and `B` is its `modularity_matrix`.
    """
    n_unit = len(weights)
    rows, columns = _upper_triangle(n_unit)
    edge_weights = weights[rows, columns]
    edges = np.stack([rows, columns], axis=1)
    linked = edge_weights > 0
    if not linked.all():
        edges, edge_weights = edges[linked], edge_weights[linked]
    graph = igraph.Graph(n=n_unit, edges=edges)
    # Leiden's refinement weighs gains by exp(gain / beta), in units of the edge weights: fix those units.
    listed = (edge_weights / edge_weights.mean()).tolist()

    runs: list[Int[np.ndarray, " unit"]] = []
    q: list[float] = []

    def run_leiden(start: list[int] | None) -> None:
        # Not n_iterations=-1: igraph then never returns if a module has come apart into components.
        reached, before = -np.inf, -np.inf
        found = None
        while found is None or reached > before + CONVERGED:
            found = graph.community_leiden(
                objective_function="modularity",
                weights=listed,
                resolution=resolution,
                initial_membership=start,
                n_iterations=1,
            )
            start, before, reached = found.membership, reached, found.quality
        runs.append(canonical_labels(np.array(start, dtype=np.int64)))
        q.append(sum_within(B, runs[-1]))

    with igraph_draws_from(generator):
        for _ in range(restarts):
            run_leiden(None)
        for _ in range(restarts - 1):
            run_leiden(kicked(runs[q.index(max(q))], generator))
    return np.stack(runs), np.array(q)


@contextmanager
def igraph_draws_from(generator: random.Random) -> Iterator[None]:
    """Let igraph draw from a generator, and then from Python's `random` module again, its default."""
    with _GENERATOR_OF_IGRAPH:
        igraph.set_random_number_generator(generator)
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


def kicked(labels: Int[np.ndarray, " unit"], generator: random.Random) -> list[int]:
    """Move a random half of the units to random modules, a new one among them."""
    n_module = int(labels.max()) + 1
    moved = [
        generator.randint(0, n_module) if generator.random() < KICKED_SHARE else label
        for label in labels.tolist()
    ]
    number = {label: i for i, label in enumerate(dict.fromkeys(moved))}  # igraph wants 0..k−1 without gaps
    return [number[label] for label in moved]


def modularity_matrix(
    weights: Float[np.ndarray, "unit unit"], resolution: float = 1.0
) -> Float[np.ndarray, "unit unit"]:
    """A_ij / 2m − γ k_i k_j / (2m)² (Newman 2006, eq. 3), nan without edges; Q is its sum within modules."""
    total = weights.sum()
    if not 0 < total < np.inf:
        return np.full_like(weights, np.nan)
    share = weights / total
    degree = share.sum(axis=1)
    return np.asarray(share - resolution * np.outer(degree, degree))


def sum_within(B: Float[np.ndarray, "unit unit"], labels: Int[np.ndarray, " unit"]) -> float:
    """Sum of B within modules: Q, or nan where there is nothing to sum."""
    return float(B[labels[:, None] == labels].sum()) if len(labels) else np.nan


def canonical_labels(labels: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    """Renumber modules by decreasing size, ties by first member."""
    _, first, inverse, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(size), dtype=np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return rank[inverse]


def element_centric(a: Int[np.ndarray, " unit"], b: Int[np.ndarray, " unit"]) -> float:
    """Element-centric similarity of two partitions, as `modlib.agreement` derives it, from few operations."""
    in_a, in_b = a[:, None] == a, b[:, None] == b
    return float(np.mean((in_a & in_b).sum(axis=1) / np.maximum(in_a.sum(axis=1), in_b.sum(axis=1))))


@lru_cache(maxsize=32)
def _upper_triangle(n_unit: int) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Row and column of each pair of units; kept, because a run has thousands of graphs of few sizes."""
    rows, columns = np.triu_indices(n_unit, k=1)
    return rows, columns


def checked_weights(A: ArrayLike, name: str = "A") -> Float[np.ndarray, "unit unit"]:
    """Return a copy of the matrix of edge weights, float64 and exactly symmetric, if it is one."""
    weights = _checks.floats(A, name)
    _checks.square(weights, name)
    _checks.finite(weights, name)
    if weights.size and (lowest := weights.min()) < 0:
        raise ValueError(f"{name} must not be negative, got {lowest:g}; take absolute similarities")
    if (diagonal := np.diagonal(weights)).any():
        raise ValueError(f"{name} must have a zero diagonal, got {diagonal.max():g} on it")
    return symmetric(weights, name)


def symmetric(matrix: Float[np.ndarray, "unit unit"], name: str) -> Float[np.ndarray, "unit unit"]:
    """Return the mean of a matrix and its transpose, if they differ by rounding only."""
    if not np.array_equal(matrix, matrix.T):
        largest = np.abs(matrix).max()
        gap = np.abs(matrix / largest - matrix.T / largest).max()
        if gap > SYMMETRY_TOLERANCE:
            raise ValueError(
                f"{name} must be symmetric: |A_ij − A_ji| reaches {gap:.2g} of the largest entry, "
                f"allowed is {SYMMETRY_TOLERANCE:g}"
            )
        matrix = (matrix + matrix.T) / 2
    return matrix


def checked_labels(labels: ArrayLike, n_unit: int, name: str = "labels") -> Int[np.ndarray, " unit"]:
    """Return labels as int64, if they are integers of at least −1, one a unit."""
    module = _checks.as_numpy(labels, name)
    if module.shape != (n_unit,):
        raise ValueError(f"{name} must have one entry a unit, shape ({n_unit},), got {module.shape}")
    return checked_integers(module, name)


def checked_integers(labels: Shaped[np.ndarray, "..."], name: str) -> Int[np.ndarray, "..."]:
    """Return labels of any shape as int64, if they are integers of at least −1."""
    if labels.size and not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be integers, got {labels.dtype}")
    if labels.size and (lowest := labels.min()) < -1:
        raise ValueError(f"{name} must be at least −1 (dead), got {lowest}")
    return labels.astype(np.int64)


def alive_units(weights: Float[np.ndarray, "*batch unit unit"]) -> Bool[np.ndarray, "*batch unit"]:
    """Which units have an edge: a nonzero entry off the diagonal."""
    n_unit = weights.shape[-1]
    return np.asarray(((weights != 0) & ~np.eye(n_unit, dtype=bool)).any(axis=-1))
