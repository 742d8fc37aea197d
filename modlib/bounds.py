"""How large modularity could be: a certified upper bound from linear programming."""

import time

import highspy
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from modlib import _checks
from modlib.clustering import alive_units, checked_weights, modularity_matrix

VIOLATION = 1e-6  #: A triangle inequality is added when the solution breaks it by more than this.
CUTS_PER_ROUND = 8000  #: So many triangle inequalities, the most violated, are added at a time.

Pairs = Float[np.ndarray, " pair"]
Cuts = Int[np.ndarray, "cut 3"]


def modularity_bound(A: ArrayLike, *, time_limit: float = 60.0) -> float:
    """Upper bound on the modularity of every partition of a graph.

    A partition is a set of 0/1 variables x_ij, "i and j share a module", that obey
    x_ij + x_jk − x_ik ≤ 1 for all triples, and Q = Σ_i B_ii + 2 Σ_{i<j} B_ij x_ij with
    B_ij = A_ij / 2m − k_i k_j / (2m)² (Grötschel & Wakabayashi 1989, Math. Program. 45:59; for modularity
    Brandes et al. 2008). With 0 ≤ x_ij ≤ 1 instead of 0/1 this is a linear program, whose optimum no
    partition exceeds. Triangle inequalities are added only as the solution breaks them (Agarwal & Kempe
    2008, 10.1140/epjb/e2008-00425-1, bound Q by the same program).

    The bound does not rest on the solver's tolerances: for multipliers y ≥ 0 of the triangle inequalities,
    Σ_i B_ii + Σ y + Σ_{i<j} max(0, 2 B_ij − (yᵀ triangles)_ij) is an upper bound by weak duality, whatever y
    is. It is evaluated at the solver's multipliers, and the smallest value of all rounds is returned, so a
    search cut short gives a valid, looser bound.

    The (unit, unit) edge weights are as for `modularity`; dead units take no part. After `time_limit` seconds
    (above 0) the best bound so far is returned. It is at least the largest Q of any partition and at most 1,
    or nan if the graph has no edges.

    Notes
    -----
    On dense graphs of 64 units the bound is the optimum itself where modules are clear (Q above about .2) and
    says little where Q is below .1, since most triples then pull in both directions.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    >>> round(modularity_bound(A), 9)
    0.5
    """
    weights = checked_weights(A)
    time_limit = _checks.real(time_limit, "time_limit", above=0.0, finite=False)
    alive = alive_units(weights)
    if not alive.any():
        return np.nan

    deadline = time.monotonic() + time_limit
    B = modularity_matrix(weights[np.ix_(alive, alive)])
    n_unit = len(B)
    rows, columns = np.triu_indices(n_unit, k=1)
    gain = 2 * B[rows, columns]
    constant = float(np.trace(B))
    pair = np.zeros((n_unit, n_unit), dtype=np.int64)  # number of the variable x_ij
    pair[rows, columns] = pair[columns, rows] = np.arange(len(gain))

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
    # Rounding of a few thousand float64 additions; keeps "no partition exceeds it" literally true.
    return min(bound + 1e-12, 1.0)


def _solver(gain: Pairs) -> highspy.Highs:
    """Make the HiGHS model that maximises gain·x over 0 ≤ x ≤ 1, without any triangle inequality yet."""
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
    """Find the variables (ij, jk, ik) of the triples where x_ij + x_jk − x_ik exceeds 1 most."""
    X = x[pair]
    np.fill_diagonal(X, 0)  # a triple with a repeated unit then never counts as broken
    excess = X[:, :, None] + X[None, :, :] - X[:, None, :] - 1  # i, j, k
    i, j, k = np.nonzero(excess > VIOLATION)
    ordered = i < k  # (i, j, k) and (k, j, i) are one inequality
    i, j, k = i[ordered], j[ordered], k[ordered]
    if len(i) > CUTS_PER_ROUND:
        worst = np.argpartition(-excess[i, j, k], CUTS_PER_ROUND)[:CUTS_PER_ROUND]
        i, j, k = i[worst], j[worst], k[worst]
    return np.stack([pair[i, j], pair[j, k], pair[i, k]], axis=1)


def _add_cuts(solver: highspy.Highs, cuts: Cuts) -> None:
    """Add x_ij + x_jk − x_ik ≤ 1 for each row of `cuts`; the solver keeps its basis."""
    count = len(cuts)
    solver.addRows(
        count,
        np.full(count, -highspy.kHighsInf),
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
