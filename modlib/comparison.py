"""How alike two partitions of the same units are, and how alike two similarity matrices.

Each function raises a ValueError or TypeError that names the argument which is not as described.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from modlib import _checks
from modlib._contingency import METRICS, contingency_tables
from modlib._ranks import mean_ranks
from modlib.clustering import alive_units, checked_integers, checked_weights

CELLS_AT_ONCE = 1 << 20  #: Cells of contingency tables held at once (8 MiB an array).


def agreement(labels_a: ArrayLike, labels_b: ArrayLike) -> dict[str, float]:
    """Compare two partitions of the same units by six metrics, which `agreement_pairs` defines.

    The labels are integers, one a unit; a unit labelled −1 (dead) on either side is left out of both. The
    metrics are `ecs`, `ami`, `ari`, `rmi`, `vi` and `matching`.

    Examples
    --------
    The names of modules do not count. Cutting one of two modules in half costs half a bit, and leaves three
    quarters of the units matched.

    >>> agreement([0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0, 0])["ecs"]
    1.0
    >>> cut = agreement([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 2, 2])
    >>> cut["ecs"], round(cut["vi"], 12), cut["matching"]
    (0.75, 0.5, 0.75)
    """
    a, b = _checks.as_numpy(labels_a, "labels_a"), _checks.as_numpy(labels_b, "labels_b")
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"labels_a and labels_b must be one label a unit for the same units, got {a.shape}, {b.shape}"
        )
    labels = np.stack([checked_integers(a, "labels_a"), checked_integers(b, "labels_b")])
    return {name: float(value[0]) for name, value in agreement_pairs(labels, [[0, 1]]).items()}


def agreement_pairs(
    labels: ArrayLike, pairs: ArrayLike, *, metrics: Iterable[str] | None = None
) -> dict[str, Float[np.ndarray, " pair"]]:
    """Compare many pairs of partitions by several metrics, all from their contingency tables at once.

    With n the units alive in both partitions, n_ij those in module i of one and j of the other, and a_i and
    b_j the row and column sums:

    - `ecs`: element-centric similarity (Gates et al. 2019), in (0, 1]. Each unit's personalised PageRank
      reaches its module mates evenly, so for modules that do not overlap the L1 distance has a closed form,
      in which the return probability (.9 by convention) cancels: a unit scores n_ij / max(a_i, b_j), and
      ECS = (1/n) Σ_ij n_ij² / max(a_i, b_j).
    - `ami`: adjusted mutual information, (I − E[I]) / ((H_a + H_b) / 2 − E[I]) with E over random labels of
      the same module sizes (Vinh, Epps & Bailey 2010, JMLR 11:2837), the arithmetic mean as in
      scikit-learn; 1 for equal partitions, 0 expected by chance, and possibly negative.
    - `ari`: adjusted Rand index (Hubert & Arabie 1985, 10.1007/BF01908075), on the scale of `ami`.
    - `rmi`: reduced mutual information (Newman, Cantwell & Young 2020), in bits a unit, not normalised:
      (1/n) log₂[n! Π n_ij! / (Π a_i! Π b_j!)] − (1/n) log₂ Ω, with Ω the number of contingency tables with
      these sums in the closed approximation of Diaconis & Efron 1985 (Ann. Statist. 13:845), as in
      clusim's default; for equal partitions it depends on the module sizes, and it is 0 or less where one
      partition says nothing of the other.
    - `vi`: variation of information 2 H_ab − H_a − H_b (Meilă 2007, 10.1016/j.jmva.2006.11.013), in bits; a
      distance: 0 for equal partitions, at most log₂ n.
    - `matching`: share of units in the best one-to-one matching of modules, in (0, 1] (the linear assignment
      problem, solved exactly; the paper matches greedily).

    Parameters
    ----------
    labels
        (partition, unit) integer labels, −1 for dead.
    pairs
        (pair, 2) row numbers of `labels`.
    metrics
        Names of the metrics to compute; by default all.

    Returns
    -------
    dict
        One (pair,) array a metric; nan where fewer than two units are alive in both partitions. As in
        scikit-learn, where both partitions are one module (or both all singletons), `ari` is 1; `ami` is 1
        if both are one module and 0 if just one of them is.

    Notes
    -----
    The paper's code puts all dead units into one module of their own, which measures of one family share and
    which so raises their agreement. Here dead units are left out.
    """
    module = _checks.as_numpy(labels, "labels")
    if module.ndim != 2:
        raise ValueError(f"labels must have shape (partition, unit), got {module.shape}")
    module = _compact(checked_integers(module, "labels"))
    pair = _checks.as_numpy(pairs, "pairs")
    if pair.size == 0:
        pair = np.zeros((0, 2), dtype=np.int64)
    if pair.ndim != 2 or pair.shape[1] != 2 or not np.issubdtype(pair.dtype, np.integer):
        raise ValueError(f"pairs must be integers of shape (pair, 2), got {pair.dtype} of {pair.shape}")
    if pair.size and not (pair.min() >= 0 and pair.max() < len(module)):
        raise ValueError(
            f"pairs must be row numbers of labels, 0 to {len(module) - 1}, got {pair.min()} to {pair.max()}"
        )

    n_module = int(module.max(initial=0)) + 1
    step = max(1, CELLS_AT_ONCE // n_module**2)
    wanted = METRICS if metrics is None else _checks.listed(metrics, "metrics")
    result = {_checks.one_of(name, "metrics", METRICS): np.full(len(pair), np.nan) for name in wanted}
    for start in range(0, len(pair), step):
        block = slice(start, start + step)
        table = contingency_tables(module[pair[block, 0]], module[pair[block, 1]], n_module)
        compared = table.sum(axis=(1, 2)) >= 2
        for name, values in result.items():
            values[block][compared] = METRICS[name](table[compared])
    return result


def transfers(A: ArrayLike, labels: ArrayLike) -> Float[np.ndarray, "matrix partition"]:
    """Modularity of each of several graphs under each of several partitions, found for other measures.

    Compare it with the modularity of the graph's own partition, of which it is the part that the other
    measure's modules account for. One large module gives 0; shuffled labels give −Σ_i d_i² n (1 − Σ_c p_c²) /
    (n − 1) on average, d_i the degrees and p_c the module sizes as shares of their sums.

    Entry (m, p) is the modularity of A[m], (unit, unit) edge weights as for `modularity`, under labels[p],
    integers of which −1 marks a dead unit. Dead units of either side are left out, and it is nan if no edge
    is left.
    """
    stack, module = _checks.as_numpy(A, "A"), _checks.as_numpy(labels, "labels")
    if stack.ndim != 3 or module.ndim != 2 or stack.shape[1:] != (module.shape[1],) * 2:
        raise ValueError(
            "A must have shape (matrix, unit, unit) and labels (partition, unit) for the same units, "
            f"got {stack.shape} and {module.shape}"
        )
    weights = np.stack([checked_weights(a, f"A[{m}]") for m, a in enumerate(stack)])
    module = _compact(checked_integers(module, "labels"))
    q = np.empty((len(weights), len(module)))
    for p, label in enumerate(module):
        member = (label[:, None] == np.arange(label.max(initial=0) + 1)).astype(np.float64)  # unit, module
        between = member.T @ weights @ member  # matrix, module, module
        total = between.sum(axis=(1, 2))
        with np.errstate(invalid="ignore"):  # nan where no edge is left
            share = between / total[:, None, None]
        q[:, p] = np.trace(share, axis1=1, axis2=2) - (share.sum(axis=2) ** 2).sum(axis=1)
    return q


def rank_correlation(S_a: ArrayLike, S_b: ArrayLike) -> float:
    """Spearman correlation of two similarity matrices, over pairs of units alive in both.

    It is the Pearson correlation of the ranks (ties: mean rank) of the entries above the diagonal: in
    [−1, 1], or nan with fewer than three common units, or if either side is constant on them. A unit is alive
    if any of its entries off the diagonal is nonzero. The matrices are (unit, unit), finite and symmetric to
    1e-6 of the largest entry, and taken as they are: pass `modlib.adjacency` for the paper's absolute values.
    """
    a, b = _checks.symmetric(S_a, "S_a"), _checks.symmetric(S_b, "S_b")
    if a.shape != b.shape:
        raise ValueError(f"S_a and S_b must have the same shape, got {a.shape} and {b.shape}")
    return float(rank_correlations([a, b])[0, 1])


def rank_correlations(S: ArrayLike) -> Float[np.ndarray, "matrix matrix"]:
    """Spearman correlations of every two of (matrix, unit, unit) similarities, as `rank_correlation`.

    Each pair is compared on the units alive in both, so matrices are ranked once for each distinct set of
    common units: once in all if every matrix has the same dead units. The result is (matrix, matrix), with 1
    on the diagonal, or nan for a matrix that cannot be compared with itself.
    """
    stack = _checks.floats(S, "S")
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2]:
        raise ValueError(f"S must have shape (matrix, unit, unit), got {stack.shape}")
    for m, matrix in enumerate(stack):
        _checks.symmetric(matrix, f"S[{m}]")
    n_matrix, n_unit = stack.shape[:2]
    alive = alive_units(stack)
    first, second = np.triu_indices(n_matrix)
    common, group = np.unique(alive[first] & alive[second], axis=0, return_inverse=True)
    rows, columns = np.triu_indices(n_unit, k=1)
    triangles = stack[:, rows, columns]

    correlation = np.full((n_matrix, n_matrix), np.nan)
    for number, units in enumerate(common):
        if units.sum() < 3:
            continue
        a, b = first[group == number], second[group == number]
        used, place = np.unique(np.concatenate([a, b]), return_inverse=True)
        standard = _standard_ranks(triangles[used][:, units[rows] & units[columns]])
        both = standard @ standard.T
        correlation[a, b] = correlation[b, a] = both[place[: len(a)], place[len(a) :]].clip(-1, 1)
    return correlation


def _standard_ranks(values: Float[np.ndarray, "matrix pair"]) -> Float[np.ndarray, "matrix pair"]:
    """Rank within each row, and scale the ranks to mean 0 and length 1; nan for a constant row."""
    centred = mean_ranks(values) - (values.shape[1] + 1) / 2
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(centred / length)


def _compact(labels: Int[np.ndarray, "partition unit"]) -> Int[np.ndarray, "partition unit"]:
    """Renumber labels within each partition if any is so large that tables would be mostly empty."""
    if labels.max(initial=-1) < labels.shape[1]:
        return labels
    compact = np.full_like(labels, -1)
    for row, label in zip(compact, labels, strict=True):
        row[label >= 0] = np.unique(label[label >= 0], return_inverse=True)[1]
    return compact
