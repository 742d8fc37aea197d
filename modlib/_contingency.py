"""Metrics of how alike two partitions are, for many contingency tables at once.

Definitions and sources are in `modlib.comparison.agreement_pairs`. Throughout, c holds tables of counts
(pair, module, module), each with at least two units; rows and columns may be empty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln, xlogy

Table = Int[np.ndarray, "pair module_a module_b"]
Counts = Int[np.ndarray, "pair cell"]
Value = Float[np.ndarray, " pair"]

TERMS_AT_ONCE = 1 << 20  #: Terms of the expected mutual information held at once (8 MiB an array).


def contingency_tables(
    a: Int[np.ndarray, "pair unit"], b: Int[np.ndarray, "pair unit"], n_module: int
) -> Int[np.ndarray, "pair module module"]:
    """Count the units in module i of one and j of the other partition; a unit −1 in either is left out.

    Raises a ValueError if `a` and `b` differ in shape, or a label is not from −1 to `n_module` − 1.
    """
    for labels, name in ((a, "a"), (b, "b")):
        if labels.ndim != 2 or labels.shape != a.shape:
            raise ValueError(f"{name} must be (pair, unit), of one shape with a, got {labels.shape}")
        if labels.size and not -1 <= labels.min() <= labels.max() < n_module:
            raise ValueError(f"{name} must be from −1 to n_module − 1, got {labels.min()} to {labels.max()}")
    number = np.arange(len(a))[:, None]
    cell = (number * n_module + a) * n_module + b
    counts = np.bincount(cell[(a >= 0) & (b >= 0)], minlength=len(a) * n_module**2)
    return counts.reshape(len(a), n_module, n_module)


def _ecs(c: Table) -> Value:
    larger = np.maximum(c.sum(axis=2)[:, :, None], c.sum(axis=1)[:, None, :])
    return np.asarray((c**2 / np.maximum(larger, 1)).sum(axis=(1, 2)) / c.sum(axis=(1, 2)))


def _entropies(c: Table) -> tuple[Value, Value, Value]:
    """H_a, H_b and H_ab in nats, from the shares that counts make of their sum."""
    n = c.sum(axis=(1, 2))

    def entropy(counts: Counts) -> Value:
        return np.asarray(np.log(n) - xlogy(counts, counts).sum(axis=1) / n)

    return entropy(c.sum(axis=2)), entropy(c.sum(axis=1)), entropy(c.reshape(len(c), c.shape[1] * c.shape[2]))


def _vi(c: Table) -> Value:
    h_a, h_b, h_ab = _entropies(c)
    return np.asarray(np.maximum(2 * h_ab - h_a - h_b, 0) / np.log(2))


def _ari(c: Table) -> Value:
    n = c.sum(axis=(1, 2))
    both, in_a, in_b = (
        (counts * (counts - 1)).sum(axis=tuple(range(1, counts.ndim))) / 2
        for counts in (c, c.sum(axis=2), c.sum(axis=1))
    )
    chance = in_a * in_b / (n * (n - 1) / 2)
    span = (in_a + in_b) / 2 - chance
    equal = (both == in_a) & (both == in_b)  # also where the span is 0: one module, or all singletons, twice
    return np.asarray(np.divide(both - chance, span, out=np.ones(len(c)), where=~equal))


def _ami(c: Table) -> Value:
    h_a, h_b, h_ab = _entropies(c)
    chance = expected_information(c)
    n_a, n_b = ((counts > 0).sum(axis=1) for counts in (c.sum(axis=2), c.sum(axis=1)))
    n_ab = (c > 0).sum(axis=(1, 2))
    equal = (n_ab == n_a) & (n_ab == n_b)
    # The ratio is 0/0 for equal partitions without freedom (one module, all singletons): 1, as scikit-learn;
    # and one module carries no information about a finer partition: 0, as scikit-learn.
    defined = ~equal & (n_a > 1) & (n_b > 1)
    ratio: Value = equal.astype(np.float64)
    np.divide(h_a + h_b - h_ab - chance, (h_a + h_b) / 2 - chance, out=ratio, where=defined)
    return ratio


def expected_information(c: Table) -> Value:
    """Mean mutual information in nats of random labels with the same module sizes (Vinh et al. 2010).

    It is a sum over pairs of modules of f(a_i, b_j, n) = Σ_k P(k) (k/n) ln(n k / a_i b_j), k hypergeometric.
    f is evaluated once for each distinct triple, of which thousands of tables share a few hundred.
    """
    a, b, n = np.broadcast_arrays(
        c.sum(axis=2)[:, :, None], c.sum(axis=1)[:, None, :], c.sum(axis=(1, 2))[:, None, None]
    )
    base = int(n.max(initial=0)) + 1
    triple, place = np.unique(
        ((n * base + np.minimum(a, b)) * base + np.maximum(a, b)).ravel(), return_inverse=True
    )
    n_, small, large = triple // base**2, triple // base % base, triple % base
    value = np.zeros(len(triple))
    log_factorial = gammaln(np.arange(base) + 1.0)
    for start in range(0, len(triple), step := max(1, TERMS_AT_ONCE // base)):
        block = slice(start, start + step)
        N, s, m = (counts[block, None] for counts in (n_, small, large))
        k = np.arange(1, int(s.max()) + 1)
        possible = (k <= s) & (k >= s + m - N)
        k = np.where(possible, k, np.maximum(s + m - N, 0))  # any value with valid factorials
        log_p = (
            log_factorial[s] + log_factorial[m] + log_factorial[N - s] + log_factorial[N - m]
            - log_factorial[N] - log_factorial[k] - log_factorial[s - k] - log_factorial[m - k]
            - log_factorial[N - s - m + k]
        )  # fmt: skip
        term = np.exp(log_p) * (xlogy(k, N * k) - xlogy(k, s * m)) / N
        value[block] = np.where(possible, term, 0).sum(axis=1)
    return np.asarray(value[place.ravel()].reshape(c.shape).sum(axis=(1, 2)))


def _rmi(c: Table) -> Value:
    a, b, n = c.sum(axis=2), c.sum(axis=1), c.sum(axis=(1, 2))
    information = gammaln(n + 1) + gammaln(c + 1).sum(axis=(1, 2))
    for sums in (a, b):
        information -= gammaln(sums + 1).sum(axis=1)
    return np.asarray((information - log_tables(a, b)) / n / np.log(2))


def log_tables(a: Int[np.ndarray, "pair row"], b: Int[np.ndarray, "pair column"]) -> Value:
    """Estimate the log of how many tables of counts have row sums a and column sums b.

    The formula of Diaconis & Efron 1985 in the symmetric form that Newman, Cantwell & Young 2020 use: the
    geometric mean of the estimates from rows and from columns, each a Dirichlet density for the other sums.
    """
    n = a.sum(axis=1)
    R, C = (a > 0).sum(axis=1), (b > 0).sum(axis=1)
    w = n / (n + R * C / 2)
    x, y = _smoothed(a, w, R), _smoothed(b, w, C)
    nu = (C + 1) / (C * (x**2).sum(axis=1)) - 1 / C
    mu = (R + 1) / (R * (y**2).sum(axis=1)) - 1 / R
    log_x, log_y = (np.log(np.where(p > 0, p, 1)).sum(axis=1) for p in (x, y))
    return np.asarray(
        (R - 1) * (C - 1) * np.log(n + R * C / 2)
        + (R + nu - 2) / 2 * log_y
        + (C + mu - 2) / 2 * log_x
        + (gammaln(mu * R) + gammaln(nu * C)) / 2
        - (R * (gammaln(C) + gammaln(mu)) + C * (gammaln(R) + gammaln(nu))) / 2
    )


def _smoothed(
    counts: Counts, weight: Value, n_filled: Int[np.ndarray, " pair"]
) -> Float[np.ndarray, "pair cell"]:
    """Draw shares towards equal ones; those of modules that have no unit in the comparison are 0."""
    filled = counts > 0
    share = counts / counts.sum(axis=1, keepdims=True)
    return np.where(filled, ((1 - weight) / n_filled)[:, None] + weight[:, None] * share, 0)


def _matching(c: Table) -> Value:
    matched = np.empty(len(c))
    for number, table in enumerate(c):
        rows, columns = linear_sum_assignment(table, maximize=True)
        matched[number] = table[rows, columns].sum()
    return np.asarray(matched / c.sum(axis=(1, 2)))


@dataclass(frozen=True)
class Metric:
    """A metric of agreement between two partitions, as tables and their schema know it.

    Results that were stored before the metric was known get its column when they are read.
    """

    name: str
    meaning: str
    of_tables: Callable[[Table], Value]  #: its value for each contingency table
    unit: str = ""
    range: tuple[float, float] = (-inf, inf)

    def __call__(self, tables: Table) -> Value:
        """Return the metric of each contingency table."""
        return self.of_tables(tables)


#: All metrics, by name; their equations are in `modlib.comparison.agreement_pairs`.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("ecs", "element-centric similarity of the two partitions", _ecs, range=(0.0, 1.0)),
        Metric("ami", "adjusted mutual information, 0 as expected by chance", _ami, range=(-inf, 1.0)),
        Metric("ari", "adjusted Rand index, 0 as expected by chance", _ari, range=(-0.5, 1.0)),
        Metric("rmi", "reduced mutual information", _rmi, "bits a unit"),
        Metric("vi", "variation of information, a distance", _vi, "bits", (0.0, inf)),
        Metric("matching", "share of units in the best matching of modules", _matching, range=(0.0, 1.0)),
    )
}
