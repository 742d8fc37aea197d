"""How large modularity could be: a certified upper bound from semidefinite and from linear programming."""

import time
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from modlib import _checks, extras
from modlib._checks import Matrix
from modlib.clustering import alive_units, checked_weights, modularity_matrix
from modlib.cuts import pairs_of
from modlib.relaxation import Effort, Region

VIOLATION = 1e-6  #: A triangle inequality is added when the solution breaks it by more than this.
CUTS_PER_ROUND = 8000  #: So many triangle inequalities, the most violated, are added at a time.

MOST_UNITS = 2048  #: Of more, one round of the semidefinite programme takes too long.
MOST_UNITS_OF_LP = 256  #: Of more, the linear programme says nothing within any patience.
CLOSED = 1e-9  #: A bound this close to the Q of a partition that has been met is good enough.
EFFORT = Effort(rounds=300, progress=0.02)  #: How long the semidefinite programme goes on.

Pairs = Float[np.ndarray, " pair"]
Cuts = Int[np.ndarray, "cut 3"]


def modularity_bound(A: ArrayLike, *, time_limit: float = 60.0, resolution: float = 1.0) -> float:
    """Upper bound on the modularity of every partition of a graph.

    A partition is a 0/1 matrix X, X_ij = 1 where i and j share a module, and Q = Σ_ij B_ij X_ij with
    B_ij = A_ij / 2m − γ k_i k_j / (2m)². Two relaxations bound Q; the lower of the two bounds is returned.

    - The semidefinite one: X ⪰ 0, X_ii = 1, X_ij ≥ 0 and bᵀXb ≥ Σ b for vectors b of integers, among them all
      triangle inequalities x_ij + x_jk − x_ik ≤ 1 (`modlib.cuts`). It is worked on as long as it makes
      progress, for half of the time at most.
    - Where that leaves a gap, the linear one: 0 ≤ x_ij ≤ 1 and the triangle inequalities (Grötschel &
      Wakabayashi 1989, 10.1007/BF01589097; for modularity Brandes et al. 2008; Agarwal & Kempe 2008,
      10.1140/epjb/e2008-00425-1, bound Q by it). It is left out above 256 units.

    Inequalities are added only as the solution breaks them. Neither bound rests on the tolerances of a
    solver: each is evaluated at multipliers by weak duality, which holds whatever they are, and what
    rounding may have done is added (`Region.prove`, `dual_value`). So a search cut short gives a valid,
    looser bound.

    Parameters
    ----------
    A
        (unit, unit) edge weights as for `modularity`; dead units take no part.
    time_limit
        Seconds, above 0, after which the best bound so far is returned. A round of the semidefinite programme
        that has begun still ends (about a second at 1,024 units). Above 2,048 units there is none, and the
        bound is the sum of B over all pairs where it is positive.
    resolution
        γ > 0 of `modularity`.

    Returns
    -------
    float
        At least the largest Q of any partition and at most 1, or nan if the graph has no edges.

    Notes
    -----
    Memory grows with the square of the units. The solver of linear programmes is HiGHS, which the extra
    ``modlib[bound]`` brings.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    >>> round(modularity_bound(A), 6)
    0.5
    """
    weights = checked_weights(A)
    time_limit = _checks.real(time_limit, "time_limit", above=0.0, finite=False)
    gamma = _checks.real(resolution, "resolution", above=0.0)
    extras.require("modlib.modularity_bound", "bound")
    alive = alive_units(weights)
    if not alive.any():
        return np.nan
    deadline = time.monotonic() + time_limit
    B = modularity_matrix(weights[np.ix_(alive, alive)], gamma)
    whole = Region.whole(B, gamma)
    bound = whole.bound
    if len(B) <= MOST_UNITS:
        half = time.monotonic() + time_limit / 2
        whole.tighten(-np.inf, EFFORT, half, np.random.default_rng(0), adapt=True)
        bound = whole.bound
    if bound > whole.floor + CLOSED and len(B) <= MOST_UNITS_OF_LP and time.monotonic() < deadline:
        bound = min(bound, _linear_bound(B, deadline))
    return min(bound, 1.0)


def _linear_bound(B: Matrix, deadline: float) -> float:
    """Bound Q by the linear relaxation, until it is solved or the time is up."""
    import highspy

    n_unit = len(B)
    rows, columns, pair = pairs_of(n_unit)
    gain = 2 * B[rows, columns]
    constant = float(np.trace(B))
    solver = _solver(gain)
    cuts = np.zeros((0, 3), dtype=np.int64)
    x = (gain > 0).astype(np.float64)
    bound = constant + float(gain[gain > 0].sum())
    while time.monotonic() < deadline:
        new = _broken_triangles(x, pair)
        if not len(new):
            break
        _add_cuts(solver, new)
        cuts = np.concatenate([cuts, new])
        solver.setOptionValue("time_limit", solver.getRunTime() + max(deadline - time.monotonic(), 0.01))
        solver.run()
        solution = solver.getSolution()
        multipliers = np.array(solution.row_dual)
        if len(multipliers) == len(cuts):
            bound = min(bound, constant + dual_value(gain, cuts, multipliers))
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            break
        x = np.array(solution.col_value)
    # Rounding of some thousand additions a pair; keeps "no partition exceeds it" literally true.
    return bound + 1e-12


def _solver(gain: Pairs) -> Any:
    """Make the HiGHS model that maximises gain·x over 0 ≤ x ≤ 1, without any triangle inequality yet."""
    import highspy

    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("presolve", "off")  # presolving would throw the warm basis away
    count = len(gain)
    solver.addVars(count, np.zeros(count), np.ones(count))
    # HiGHS' tolerances are absolute: bring the largest gain to 1.
    solver.changeColsCost(count, np.arange(count, dtype=np.int32), gain / np.abs(gain).max())
    solver.changeObjectiveSense(highspy.ObjSense.kMaximize)
    return solver


def _broken_triangles(x: Pairs, pair: Int[np.ndarray, "unit unit"]) -> Cuts:
    """Find the variables (ij, jk, ik) of the triples where x_ij + x_jk − x_ik exceeds 1 most.

    Triples are looked at around one unit j after another, so memory grows with the square of the units.
    """
    X = x[pair]
    np.fill_diagonal(X, 0)  # a triple with a repeated unit then never counts as broken
    cuts, excess = np.zeros((0, 3), dtype=np.int64), np.zeros(0)
    for j in range(len(X)):
        excess_of = X[j][:, None] + X[j] - X - 1
        i, k = np.nonzero(np.triu(excess_of > VIOLATION, 1))  # (i, j, k) and (k, j, i) are one inequality
        cuts = np.concatenate([cuts, np.stack([pair[i, j], pair[j, k], pair[i, k]], axis=1)])
        excess = np.concatenate([excess, excess_of[i, k]])
        if len(cuts) > CUTS_PER_ROUND:
            worst = np.argpartition(-excess, CUTS_PER_ROUND)[:CUTS_PER_ROUND]
            cuts, excess = cuts[worst], excess[worst]
    return cuts


def _add_cuts(solver: Any, cuts: Cuts) -> None:
    """Add x_ij + x_jk − x_ik ≤ 1 for each row of `cuts`; the solver keeps its basis."""
    count = len(cuts)
    solver.addRows(
        count,
        np.full(count, -np.inf),
        np.ones(count),
        3 * count,
        np.arange(0, 3 * count, 3, dtype=np.int32),
        cuts.ravel().astype(np.int32),
        np.tile([1.0, 1.0, -1.0], count),
    )


def dual_value(gain: Pairs, cuts: Cuts, multipliers: Float[np.ndarray, " cut"]) -> float:
    """Upper bound on gain·x that the multipliers of the triangle inequalities prove."""
    y = np.maximum(multipliers, 0) * np.abs(gain).max()
    reduced = gain.copy()
    for column, sign in enumerate((1, 1, -1)):
        np.subtract.at(reduced, cuts[:, column], sign * y)
    return float(y.sum() + np.maximum(reduced, 0).sum())
