"""Other searches for the partition of largest modularity, to see what hangs on the optimiser.

Each function raises a ValueError or TypeError that names the argument which is not as described.
"""

import random
from collections.abc import Callable
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike

from modlib import _checks
from modlib._checks import Labels, Matrix
from modlib.clustering import (
    CONVERGED,
    Partition,
    checked_weights,
    igraph_draws_from,
    leiden_runs,
    partition_by,
    weighted_graph,
)

MOVES = 5000  #: Moves of the Monte Carlo chain (Lange et al. 2022).
TARGET_ENTROPY = 0.15  #: Entropy, in nats, of each move's choice of a module (Lange et al. 2022).
ENTROPY_TOLERANCE = 1e-6  #: How close to the target the entropy of a choice is brought.
#: β times the gap at which two choices have the target entropy: at this x, ln(1 + e⁻ˣ) + x / (1 + eˣ) = 0.15.
TWO_CHOICES = 3.332158753443939


def find_modules_by(A: ArrayLike, optimiser: str, *, seed: int = 0) -> Partition:
    """Search for the partition of largest modularity by one run of a named optimiser, at resolution 1.

    ``leiden-once``
        One Leiden run (Traag, Waltman & van Eck 2019): `find_modules` with one restart.
    ``louvain``
        One Louvain run (Blondel et al. 2008, arXiv 0803.0476), through igraph.
    ``spectral``
        Modules are split in two for as long as that raises Q (Newman 2006, 10.1073/pnas.0601602103): module g
        by the signs of the eigenvector with the most positive eigenvalue of
        B_ij − δ_ij Σ_{l∈g} B_il (his eq. 6), i and j in g, B_ij = A_ij / 2m − k_i k_j / (2m)². The second
        term corrects for the edges between g and the rest; without it a split can lower Q.
    ``monte-carlo``
        The spectral partition, then one chain of 5,000 moves (in the manner of Lange et al. 2022). A move
        draws a unit, then its module among all there are and a new one, with probability proportional to
        exp(β ΔQ), ΔQ the change of Q if the unit is put there; β is such that this choice has an entropy of
        0.15 nats. The result is the best of all partitions that were weighed, chosen or not.

    The partition is like one of `find_modules`, but its `stability` is nan, since there is nothing to compare
    it with.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modlib.modularity`; the asymmetry that it allows is averaged out.
    optimiser, seed
        One of the above (`OPTIMISERS`), and the seed of its draws, 0 or more; ``spectral`` draws nothing.

    Notes
    -----
    "Target entropy" is read as that of each single choice, so that β is found anew at every move: a unit then
    goes to the module where it is best off about 97 times in 100, however small the differences in Q are.
    Where several modules are equally best, no β brings the entropy as low, and one of them is drawn with
    equal chances.

    Deviations from the code of Lange et al. 2022: their spectral start takes the eigenvalue that is largest
    in absolute value, which may be negative, and leaves out the correction for the rest of the graph; ours is
    Newman's (without his fine-tuning of each split, as there). ΔQ is kept up to date from move to move
    instead of computed anew, which changes Q by rounding only.

    Examples
    --------
    Eight units in a line. Splitting in two ends at the halves; the best partition has three modules.

    >>> import numpy as np
    >>> A = np.diag(np.ones(7), 1) + np.diag(np.ones(7), -1)
    >>> sorted(find_modules_by(A, "spectral").labels.tolist())
    [0, 0, 0, 0, 1, 1, 1, 1]
    >>> find_modules_by(A, "monte-carlo").labels.tolist()
    [0, 0, 0, 2, 2, 1, 1, 1]
    """
    optimiser = _checks.one_of(optimiser, "optimiser", OPTIMISERS)
    seed = _checks.seed(seed)
    search, generator = _SEARCHES[optimiser], random.Random(seed)
    return partition_by(lambda weights, B: search(weights, B, generator), checked_weights(A))


def _leiden_once(weights: Matrix, B: Matrix, generator: random.Random) -> Labels:
    runs, _ = leiden_runs(weights, B, 1.0, 1, generator)
    return np.asarray(runs[0])


def _louvain(weights: Matrix, B: Matrix, generator: random.Random) -> Labels:
    graph = weighted_graph(weights)
    with igraph_draws_from(generator):
        found = graph.community_multilevel(weights="weight")
    return np.array(found.membership, dtype=np.int64)


def _spectral(weights: Matrix, B: Matrix, generator: random.Random) -> Labels:
    labels = np.zeros(len(B), dtype=np.int64)
    n_module = 1
    to_split = [np.arange(len(B))]
    while to_split:
        module = to_split.pop()
        within = B[np.ix_(module, module)]
        corrected = within - np.diag(within.sum(axis=1))
        # The vector of ones has eigenvalue 0: a leading one above it belongs to a vector of both signs.
        side = np.where(np.linalg.eigh(corrected).eigenvectors[:, -1] > 0, 1.0, -1.0)
        gain = side @ corrected @ side / 2  # of Q, Newman 2006, eq. 5
        if gain > CONVERGED:
            second = module[side < 0]
            labels[second] = n_module
            n_module += 1
            to_split += [module[side > 0], second]
    return labels


def _monte_carlo(weights: Matrix, B: Matrix, generator: random.Random) -> Labels:
    """Run the chain on plain floats and lists, which are faster than arrays of a handful of modules."""
    n_unit = len(B)
    start = _spectral(weights, B, generator)
    labels = start.tolist()
    n_module = max(labels) + 1
    size = np.bincount(start, minlength=n_unit + 1).tolist()
    # Sum of B between each module and each unit; modules without gaps, and the row after the last is 0.
    ties = np.zeros((n_unit + 1, n_unit))
    ties[:n_module] = (np.arange(n_module)[:, None] == start) @ B
    own = np.diagonal(B).tolist()
    best, q, best_q = list(labels), 0.0, 0.0  # Q less that of the start

    for _ in range(MOVES):
        unit = generator.randrange(n_unit)
        old = labels[unit]
        n_choice = n_module + (size[old] > 1)  # alone already, a unit gains nothing from a new module
        q_there = ties[:n_choice, unit].tolist()  # half of ΔQ, from where the unit has no module
        q_there[old] -= own[unit]
        highest = max(q_there)
        if (weighed := q + 2 * (highest - q_there[old])) > best_q + CONVERGED:
            best, best_q = list(labels), weighed
            best[unit] = q_there.index(highest)
        new = drawn_choice([highest - value for value in q_there], generator.random())
        if new == old:
            continue
        q += 2 * (q_there[new] - q_there[old])
        ties[old] -= B[unit]
        ties[new] += B[unit]
        labels[unit] = new
        size[old] -= 1
        size[new] += 1
        n_module = max(n_module, new + 1)
        if not size[old]:  # the last module takes its place
            n_module -= 1
            labels = [old if label == n_module else label for label in labels]
            size[old], size[n_module] = size[n_module], 0
            ties[old] = ties[n_module]
            ties[n_module] = 0
    return np.array(best, dtype=np.int64)


def drawn_choice(gaps: list[float], uniform: float) -> int:
    """Choose by a softmax of −`gaps`, the least of which is 0, at the target entropy; `uniform` decides."""
    others = sorted(gaps)[1:]
    if not others:
        return 0
    if others[0] <= CONVERGED:
        odds = [float(gap <= CONVERGED) for gap in gaps]
    else:
        beta = inverse_temperature(gaps, others[0])
        odds = [exp(-beta * gap) for gap in gaps]
    left = uniform * sum(odds)
    for choice, chance in enumerate(odds):
        left -= chance
        if left < 0:
            return choice
    return odds.index(max(odds))  # only if rounding leaves a remainder


def inverse_temperature(gaps: list[float], least: float) -> float:
    """Find β at which a softmax of −β gap has the target entropy; `least` is the smallest gap above 0.

    Newton's method on ln H, which is nearly linear in β from the starting point on: that is the solution for
    two choices, and every further choice only adds entropy.
    """
    beta = TWO_CHOICES / least
    while True:
        total = mean = square = 0.0
        for gap in gaps:
            chance = exp(-beta * gap)
            total += chance
            mean += chance * gap
            square += chance * gap * gap
        mean /= total
        entropy = log(total) + beta * mean
        if abs(entropy - TARGET_ENTROPY) <= ENTROPY_TOLERANCE:
            return beta
        beta += log(entropy / TARGET_ENTROPY) * entropy / (beta * (square / total - mean * mean))


_SEARCHES: dict[str, Callable[[Matrix, Matrix, random.Random], Labels]] = {
    "leiden-once": _leiden_once,
    "louvain": _louvain,
    "spectral": _spectral,
    "monte-carlo": _monte_carlo,
}

OPTIMISERS = tuple(_SEARCHES)  #: Names that `find_modules_by` knows.
