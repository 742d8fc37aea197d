"""Newman's modularity Q of a partition, and the search for the partition that maximises it.

Each function raises a ValueError or TypeError that names the argument which is not as described.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import igraph
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from modlib import _checks
from modlib._checks import Labels, Matrix

KICKED_SHARE = 0.5  #: Share of the units that a kick moves to random modules before Leiden runs again.
NEAR_BEST = 0.01  #: A restart is near-best if its Q is within this share of the best restart's Q.
LEAST_NEAR = 5  #: So many restarts count as near-best in any case: one that stands alone is not stable.
CONVERGED = 1e-12  #: A Leiden run ends with the first iteration that raises Q by no more than this.

_GENERATOR_OF_IGRAPH = threading.Lock()  # igraph has one random number generator for the whole process


@dataclass(frozen=True, eq=False)
class Partition:
    """The modules that `find_modules` found in one graph.

    Attributes
    ----------
    labels
        Module of each unit: 0 is the largest module, and of equally large ones the one with the earliest unit
        comes first; −1 marks a dead unit (no edges).
    q
        Modularity of `labels` at the resolution asked for; nan where the graph has no edges.
    n_modules
        The number of modules.
    effective_modules
        exp(−Σ_c p_c ln p_c), p_c the share of the alive units in module c: the number of equal modules with
        the same entropy (the paper's "number of clusters"). Between 1 and `n_modules`; nan without edges.
    stability
        How alike the near-best partitions are, in (0, 1]: the mean element-centric similarity between
        `labels` and each restart whose Q is at least that of the best restart less 1 %, but on no fewer than
        the best five. At 1, every good restart found `labels` itself. Kicked runs are left out, since they
        start from the best partition and so resemble it. It says nothing at `restarts=1`; nan without edges.
    restarts_q
        Modularity that each independent restart reached, in order. `q` may be above all of them.
    """

    labels: Labels
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
        """Make the partition of all units from the canonical labels of those that are alive."""
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

    At resolution 1 it lies in [−1/2, 1). It is 0 if all units are in one module, and nan if no edge is left.

    Parameters
    ----------
    A
        (unit, unit) edge weights on any scale: symmetric (to 1e-6 of the largest), finite, not negative, with
        a zero diagonal.
    labels
        (unit,) integers, the same within a module. Units labelled −1 are removed with their edges.
    resolution
        γ > 0; 1 is Newman's Q.

    Examples
    --------
    Two pairs without an edge between them: half of the weight is in each module, so Q = 2 (1/2 − 1/4).

    >>> import numpy as np
    >>> A = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    >>> modularity(A, [0, 0, 1, 1]), modularity(A, [0, 0, 0, 0]), modularity(A, [0, 1, 0, 1])
    (0.5, 0.0, -0.5)
    """
    weights, module = checked_weights(A), _checks.as_numpy(labels, "labels")
    if module.shape != (len(weights),):
        raise ValueError(f"labels must have one entry a unit, shape ({len(weights)},), got {module.shape}")
    module = checked_integers(module, "labels")
    gamma = _checks.real(resolution, "resolution", above=0.0)
    kept = module >= 0
    return sum_within(modularity_matrix(weights[np.ix_(kept, kept)], gamma), module[kept])


def find_modules(A: ArrayLike, *, restarts: int = 20, seed: int = 0, resolution: float = 1.0) -> Partition:
    """Partition with the largest modularity found: the best of several Leiden runs.

    There are `restarts` independent runs of the Leiden algorithm (Traag, Waltman & van Eck 2019, through
    igraph), each from single units in random order until nothing moves. `restarts − 1` further runs start
    from the best partition so far with half of its units moved to random modules ("kicks", as in iterated
    local search), because on dense graphs of low Q a kick finds better partitions than one more restart does.

    The result depends on the arguments only: igraph's generator is replaced while Leiden runs and set back to
    Python's `random` module (igraph's default) afterwards, and the state of `random` is untouched. Without
    edges, q is nan, n_modules 0 and all labels are −1.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modularity`; the asymmetry that it allows is averaged out.
    restarts, seed
        Number of independent runs, at least 1, and the seed of all draws, 0 or more.
    resolution
        γ > 0 of `modularity`; larger values give more and smaller modules.

    Notes
    -----
    The paper starts from a spectral split and then runs one Monte Carlo chain of 5,000 single-unit moves.
    Leiden reaches the same or a higher Q on all but a few graphs (the chapter on choices that could have
    mattered counts them), in about a thousandth of the time.

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
        none, no_q = np.zeros(0, dtype=np.int64), np.full(restarts, np.nan)
        return Partition.of_alive(none, alive, q=np.nan, stability=np.nan, restarts_q=no_q)
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
    weights: Matrix, B: Matrix, resolution: float, restarts: int, generator: random.Random
) -> tuple[Int[np.ndarray, "run unit"], Float[np.ndarray, " run"]]:
    """Find the canonical labels and Q of independent restarts, then of the kicked runs.

    `weights` are those of a graph without dead units, and `B` is its `modularity_matrix`.
    """
    graph, edge_weights = weighted_graph(weights)
    runs: list[Labels] = []
    q: list[float] = []

    def run_leiden(start: list[int] | None) -> None:
        # Not n_iterations=-1: igraph then never returns if a module has come apart into components.
        reached, rises = -np.inf, True
        while rises:
            found = graph.community_leiden(
                objective_function="modularity",
                weights=edge_weights,
                resolution=resolution,
                initial_membership=start,
                n_iterations=1,
            )
            rises = found.quality > reached + CONVERGED
            start, reached = found.membership, found.quality
        runs.append(canonical_labels(np.array(start, dtype=np.int64)))
        q.append(sum_within(B, runs[-1]))

    with igraph_draws_from(generator):
        for _ in range(restarts):
            run_leiden(None)
        for _ in range(restarts - 1):
            run_leiden(kicked(runs[q.index(max(q))], generator))
    return np.stack(runs), np.array(q)


def weighted_graph(weights: Matrix) -> tuple[igraph.Graph, list[float]]:
    """Make the graph that igraph searches, and the weight of each edge, 1 on average.

    Constants within igraph then mean the same whatever the scale: Leiden's refinement, for one, weighs gains
    by exp(gain / beta), in units of the edge weights.
    """
    rows, columns = np.nonzero(np.triu(weights))
    edge_weights = weights[rows, columns]
    graph = igraph.Graph(n=len(weights), edges=np.stack([rows, columns], axis=1))
    return graph, (edge_weights / edge_weights.mean()).tolist()


@contextmanager
def igraph_draws_from(generator: random.Random) -> Iterator[None]:
    """Let igraph draw from a generator, and then from Python's `random` module again, its default."""
    with _GENERATOR_OF_IGRAPH:
        igraph.set_random_number_generator(generator)
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


def kicked(labels: Labels, generator: random.Random) -> list[int]:
    """Move a random half of the units to random modules, a new one among them."""
    n_module = int(labels.max()) + 1
    moved = [
        generator.randint(0, n_module) if generator.random() < KICKED_SHARE else label
        for label in labels.tolist()
    ]
    number = {label: i for i, label in enumerate(dict.fromkeys(moved))}  # igraph wants 0..k−1 without gaps
    return [number[label] for label in moved]


def modularity_matrix(weights: Matrix, resolution: float = 1.0) -> Matrix:
    """A_ij / 2m − γ k_i k_j / (2m)² (Newman 2006, eq. 3), nan without edges; Q is its sum within modules."""
    total = weights.sum()
    if not 0 < total < np.inf:
        return np.full_like(weights, np.nan)
    share = weights / total
    degree = share.sum(axis=1)
    return np.asarray(share - resolution * np.outer(degree, degree))


def sum_within(B: Matrix, labels: Labels) -> float:
    """Sum of B within modules: Q, or nan where there is nothing to sum."""
    return float(B[labels[:, None] == labels].sum()) if len(labels) else np.nan


def canonical_labels(labels: Labels) -> Labels:
    """Renumber modules by decreasing size, ties by first member."""
    _, first, inverse, size = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(size), dtype=np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return rank[inverse]


def element_centric(a: Labels, b: Labels) -> float:
    """Element-centric similarity of two partitions (see `modlib.agreement`), in few operations."""
    in_a, in_b = a[:, None] == a, b[:, None] == b
    return float(np.mean((in_a & in_b).sum(axis=1) / np.maximum(in_a.sum(axis=1), in_b.sum(axis=1))))


def checked_weights(A: ArrayLike, name: str = "A") -> Matrix:
    """Return a copy of the matrix of edge weights, float64 and exactly symmetric, if it is one."""
    weights = _checks.symmetric(A, name)
    if weights.size and (lowest := weights.min()) < 0:
        raise ValueError(f"{name} must not be negative, got {lowest:g}; take absolute similarities")
    if (diagonal := np.diagonal(weights)).any():
        raise ValueError(f"{name} must have a zero diagonal, got {diagonal.max():g} on it")
    return weights


def checked_integers(labels: Shaped[np.ndarray, "..."], name: str) -> Int[np.ndarray, "..."]:
    """Return labels of any shape as int64, if they are integers of at least −1."""
    if labels.size and not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be integers, got {labels.dtype}")
    if labels.size and (lowest := labels.min()) < -1:
        raise ValueError(f"{name} must be at least −1 (dead), got {lowest}")
    return labels.astype(np.int64)


def alive_units(weights: Float[np.ndarray, "*batch unit unit"]) -> Bool[np.ndarray, "*batch unit"]:
    """Which units have an edge: a nonzero entry off the diagonal."""
    off_diagonal = ~np.eye(weights.shape[-1], dtype=bool)
    return np.asarray(((weights != 0) & off_diagonal).any(axis=-1))
