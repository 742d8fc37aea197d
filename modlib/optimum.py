"""The partition of largest modularity, and the proof that no other is better: branch and bound."""

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from modlib import _checks
from modlib.clustering import (
    Partition,
    alive_units,
    canonical_labels,
    checked_weights,
    find_modules,
    modularity_matrix,
    sum_within,
)
from modlib.relaxation import TOLERANCE, Effort, Region

#: How long the relaxation of all partitions goes on.
ROOT = Effort(rounds=300, progress=0.05)
#: How long that of a part of them does, which starts from where its whole ended.
BRANCH = Effort(rounds=60, progress=0.25)
MOST_UNITS = 256  #: Of more, a single search starts, not many, and few parts could be looked at anyway.
RESTARTS = 20  #: Searches for a first partition.


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best partition that `modularity_optimum` found, and how much better another one could be.

    Attributes
    ----------
    partition
        The partition, as `find_modules` describes it (its `stability` and `restarts_q` are of that search).
    q
        Its modularity; nan without edges, as are bound and gap.
    bound
        No partition has a larger modularity.
    gap
        bound − q.
    proven
        Whether the gap is at most 1e-7 (`TOLERANCE`): no partition is better by more than that.
    regions
        How many sets of partitions were bounded.
    """

    partition: Partition
    q: float
    bound: float
    gap: float
    proven: bool
    regions: int


def modularity_optimum(
    A: ArrayLike,
    *,
    time_limit: float = 120.0,
    seed: int = 0,
    resolution: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
) -> Optimum:
    """Partition of largest modularity with a proof, or the best found and how much better another could be.

    Branch and bound: the set of all partitions is split in two, those with a certain pair of units in one
    module and those without, and so is each part, the one with the highest bound first, until no bound is
    above the Q of the best partition so far, which is at first that of `find_modules`. The bound is the
    semidefinite one of `modularity_bound`; a part starts from the solution, the inequalities and the
    multipliers of its whole. The pair is the one with the largest min(x_ij, 1 − x_ij) w_i w_j,
    w the weights that the relaxation gives to the units. Pairs that the multipliers show
    to be apart in all better partitions of a part are kept apart from then on (fixing by reduced cost).

    All bounds hold whatever rounding does: `Region.prove` says how.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modularity`, on any scale; dead units are −1 in the partition.
    time_limit
        Seconds, above 0. The first search and a round of the relaxation that has begun still end.
    seed
        Seed of the search for a first partition and of the search for inequalities, 0 or more.
    resolution
        γ > 0 of `modularity`.
    clock
        What tells the time, in seconds; `time.process_time` counts the seconds of the processor.

    Examples
    --------
    Two triangles joined by one edge.

    >>> import numpy as np
    >>> A = np.zeros((6, 6))
    >>> for i, j in [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]:
    ...     A[i, j] = A[j, i] = 1
    >>> found = modularity_optimum(A)
    >>> found.partition.labels.tolist(), round(found.q, 4), found.proven
    ([0, 0, 0, 1, 1, 1], 0.3571, True)
    """
    weights = checked_weights(A)
    time_limit = _checks.real(time_limit, "time_limit", above=0.0, finite=False)
    gamma = _checks.real(resolution, "resolution", above=0.0)
    seed = _checks.seed(seed)
    deadline = clock() + time_limit
    alive = alive_units(weights)
    restarts = RESTARTS if len(weights) <= MOST_UNITS else 1
    part = find_modules(weights, restarts=restarts, seed=seed, resolution=gamma)
    if not alive.any():
        return Optimum(part, np.nan, np.nan, np.nan, False, 0)

    B = modularity_matrix(weights[np.ix_(alive, alive)], gamma)
    generator = np.random.default_rng(seed)
    q, labels = part.q, part.labels[alive]
    new, regions = [Region.whole(B, gamma)], 0
    waiting: list[tuple[float, int, Region]] = []
    number = itertools.count()  # of regions with equal bounds, the older first
    while new:
        for region in new:
            effort = BRANCH if regions else ROOT
            region.tighten(q, effort, deadline, generator, adapt=not regions, clock=clock)
            regions += 1
            if region.labels is not None and (met := sum_within(B, region.labels)) > q:
                q, labels = met, region.labels
            heapq.heappush(waiting, (-region.bound, next(number), region))
        highest = waiting[0][2]
        done = clock() > deadline or highest.bound <= q + TOLERANCE or not highest.undecided().any()
        new = [] if done else list(heapq.heappop(waiting)[2].halves())
    bound = max(-waiting[0][0], q)
    if q > part.q:
        modules = canonical_labels(labels)
        part = Partition.of_alive(modules, alive, q=q, stability=part.stability, restarts_q=part.restarts_q)
    return Optimum(part, q, bound, bound - q, bound <= q + TOLERANCE, regions)
