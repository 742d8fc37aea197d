"""Newman's modularity Q of a partition, and the search for the partition that maximises it.

Each function raises a ValueError or TypeError that names the argument which is not as described.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import igraph
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from modlib import _checks
from modlib._checks import Labels, Matrix
from modlib.annealing import anneal, climb

KICKED_SHARES = (0.2, 0.35, 0.5)  #: Shares of the units that kicks move to random modules, in turn.
POOL = 8  #: A kick starts from one of so many best partitions.
FEWEST_TO_ANNEAL = 5  #: Restarts with which annealing pays: it has a cost of its own, however few the copies.
COPIES = 7  #: Copies that are annealed, for each restart after the first.
#: Multiplications of a sweep at most: there are fewer copies of graphs that would take more.
MOST_PRODUCTS = 2**28
SPARE = 2  #: Modules that annealing may use beyond those of the best restart.
LARGE, DENSE = 1000, 0.25  #: A graph with more units and a larger share of possible edges is only annealed.
LARGE_SWEEPS, LARGE_MODULES = 50, 16  #: Sweeps over a large graph, and modules that are tried first.
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


def partition_by(
    search: Callable[[Matrix, Matrix], Labels],
    weights: Matrix,
    criterion: Callable[[Matrix], Matrix] | None = None,
) -> Partition:
    """Partition the units that have edges by a search that runs once, so that there is no stability to tell.

    The search gets their weights, and the matrix that `criterion` makes of these (`modularity_matrix`, if
    there is none), whose sum within modules is `q`.
    """
    alive = alive_units(weights)
    found, q = np.zeros(0, dtype=np.int64), np.nan
    if alive.any():
        weights = weights[np.ix_(alive, alive)]
        B = (criterion or modularity_matrix)(weights)
        found = canonical_labels(search(weights, B))
        q = sum_within(B, found)
    return Partition.of_alive(found, alive, q=q, stability=np.nan, restarts_q=np.array([q]))


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
    """Partition with the largest modularity found: the best of several runs of Leiden, annealed and kicked.

    There are three stages. `restarts` independent runs of the Leiden algorithm (Traag, Waltman & van Eck
    2019, through igraph) each start from single units in random order and end when nothing moves. Then
    7 (`restarts` − 1) copies are annealed (`modlib.annealing`), with two modules more than the best restart
    has, and Leiden runs on from the best of them: `restarts` − 1, but at most eight. Last, `restarts` − 1
    runs start from a random one of the eight best partitions so far with a fifth, a third or a half of its
    units moved to random modules ("kicks", as in iterated local search). On dense graphs of low Q both find
    better partitions than more restarts do. Graphs of very many units or modules get fewer copies, or none.
    With fewer than five restarts, which are for quick looks, nothing is annealed, and with one nothing is
    kicked.

    A graph of more than 1,000 units and a quarter of all possible edges takes Leiden too long. There, each
    restart is an annealed copy, followed by moves of single units until none raises Q. A bar shows how far
    that is, where there are a terminal and tqdm (of ``modlib[report]``).

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
    This search reaches the best Q that is known, found by any search, on each of 64 graphs of 64 units, from
    every one of ten seeds (``python -m benchmarks search``).

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
    is_large = len(weights) > LARGE and np.count_nonzero(weights) > DENSE * weights.size
    generator = random.Random(seed)
    if is_large:
        runs, q = annealed_runs(B, restarts, generator)
    else:
        runs, q = leiden_runs(weights, B, gamma, restarts, generator)
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
    """Find the canonical labels and Q of independent restarts, then of what is searched for from there.

    `weights` are those of a graph without dead units, and `B` is its `modularity_matrix`.
    """
    graph = weighted_graph(weights)
    runs: list[Labels] = []
    q: list[float] = []

    def run_leiden(start: list[int] | None) -> None:
        # Not n_iterations=-1: igraph then never returns if a module has come apart into components. And its
        # function in C, not the method of `Graph`, which makes more of each result than there is use for.
        reached, rises = -np.inf, True
        while rises:
            start, quality = igraph.GraphBase.community_leiden(
                graph,
                edge_weights="weight",
                resolution=resolution,
                normalize_resolution=True,
                initial_membership=start,
                n_iterations=1,
            )
            reached, rises = max(reached, quality), quality > reached + CONVERGED
        runs.append(canonical_labels(np.array(start, dtype=np.int64)))
        q.append(sum_within(B, runs[-1]))

    with igraph_draws_from(generator):
        for _ in range(restarts):
            run_leiden(None)
        n_module = int(runs[int(np.argmax(q))].max()) + 1 + SPARE
        copies = min(COPIES * (restarts - 1), MOST_PRODUCTS // (len(B) ** 2 * n_module))
        if restarts >= FEWEST_TO_ANNEAL and copies:
            own_generator = np.random.default_rng(generator.getrandbits(64))
            annealed = anneal(B, n_module, copies, own_generator)
            for labels in distinct(map(canonical_labels, annealed), min(POOL, restarts - 1)):
                run_leiden(labels.tolist())
        for kick in range(restarts - 1):
            best = distinct([runs[i] for i in np.argsort(-np.array(q), kind="stable")], POOL)
            share = KICKED_SHARES[kick % len(KICKED_SHARES)]
            run_leiden(kicked(generator.choice(best), share, generator))
    return np.stack(runs), np.array(q)


def annealed_runs(
    B: Matrix, restarts: int, generator: random.Random
) -> tuple[Int[np.ndarray, "run unit"], Float[np.ndarray, " run"]]:
    """Find the canonical labels and Q of independent copies, annealed without Leiden, for large graphs.

    Where a copy fills all the modules that it was given, all are annealed anew with twice as many.
    """
    own_generator = np.random.default_rng(generator.getrandbits(64))
    n_module, full = LARGE_MODULES // 2, True
    while full and n_module < len(B):
        n_module = min(2 * n_module, len(B))
        found = anneal(
            B, n_module, restarts, own_generator, sweeps=LARGE_SWEEPS, selection=False, progress=True
        )
        full = max(len(np.unique(labels)) for labels in found) == n_module
    runs = np.stack([canonical_labels(climb(B, labels, n_module, CONVERGED)) for labels in found])
    return runs, np.array([sum_within(B, labels) for labels in runs])


def distinct(runs: Iterable[Labels], most: int) -> list[Labels]:
    """Give the first partitions, in canonical labels, that differ from each other, at most so many."""
    found: dict[bytes, Labels] = {}
    for labels in runs:
        found.setdefault(labels.tobytes(), labels)
        if len(found) == most:
            break
    return list(found.values())


def weighted_graph(weights: Matrix) -> igraph.Graph:
    """Make the graph that igraph searches, its edges with the attribute ``weight``, 1 on average.

    Constants within igraph then mean the same whatever the scale: Leiden's refinement, for one, weighs gains
    by exp(gain / beta), in units of the edge weights.
    """
    rows, columns = np.nonzero(np.triu(weights))
    edge_weights = weights[rows, columns]
    if 2 * len(rows) == len(weights) * (len(weights) - 1):
        graph = igraph.Graph.Full(len(weights))  # with its edges in this order, made in less time
    else:
        graph = igraph.Graph(n=len(weights), edges=np.stack([rows, columns], axis=1))
    graph.es["weight"] = edge_weights / edge_weights.mean()
    return graph


@contextmanager
def igraph_draws_from(generator: random.Random) -> Iterator[None]:
    """Let igraph draw from a generator, and then from Python's `random` module again, its default."""
    with _GENERATOR_OF_IGRAPH:
        igraph.set_random_number_generator(generator)
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


def kicked(labels: Labels, share: float, generator: random.Random) -> list[int]:
    """Move each unit with a probability, `share`, to a random module, a new one among them."""
    n_module = int(labels.max()) + 1
    moved = [
        generator.randint(0, n_module) if generator.random() < share else label for label in labels.tolist()
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
