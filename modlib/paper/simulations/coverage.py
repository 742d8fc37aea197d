"""How often the intervals of `modlib.stats` hold a truth that is known.

On simulated data, a 95 % interval should hold the truth in 95 of 100 repetitions. The intervals that the book
uses are compared with others that it might have used instead, to show why it does not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.random import Generator
from scipy import special, stats

from modlib.stats import intervals, selection
from modlib.stats.intervals import Estimate
from modlib.study import project

#: The file belongs to the project, like the code: it does not move with ``$MODLIB_RESULTS``.
FILE = project.ROOT / "results" / "simulations" / "coverage.csv"
COLUMNS = [
    "interval", "data", "method", "seeds", "used", "limit", "nominal", "coverage", "low", "high", "length",
    "repetitions",
]  # fmt: skip
DIGITS = 6  # of the stored table

Interval = tuple[float, float]
Sample = Any  # what a case draws and its methods take

#: Shares of the variance that lie between seeds and between networks of a seed; the rest is between layers.
SEED_SHARE, NETWORK_SHARE = 0.2, 0.3
DRAWS = 200  # of a bootstrap: enough for a standard error that is right to within a few percent
MANY = 100_000  # seeds from which a truth without a formula is computed


@dataclass(frozen=True)
class Method:
    """A way to compute an interval, which the book has `used` or only shows for comparison."""

    name: str
    interval: Callable[[Sample, Generator], Estimate | Interval]
    used: bool = False


@dataclass(frozen=True)
class Case:
    """Data whose truth is known, and the methods that are tried on them."""

    interval: str  # the function of `modlib.stats` under test
    data: str  # in words
    draw: Callable[[Generator, int], Sample]  # a sample of a given number of seeds
    truth: float  # what the intervals should hold
    methods: tuple[Method, ...]  # all are given the same samples
    seeds: tuple[int, ...] = (9, 5)
    limit: bool = False  # whether the methods in use fall short here too, which the book shows as a limit


def simulate(*, repetitions: int = 2000, seed: int = 0, only: str | None = None) -> pd.DataFrame:
    """Share of repetitions in which each interval holds the truth, with its 95 % interval (Wilson 1927).

    Rows are of a function, data, method and number of seeds; `length` is the median one of the intervals.
    `only` names the only function of `modlib.stats.intervals` or `modlib.stats.selection` to try. There must
    be 100 repetitions or more; with 2,000, a coverage of .95 is known to ± .01. The same seed gives the same
    table.
    """
    if repetitions < 100:
        raise ValueError(f"repetitions must be at least 100, got {repetitions}")
    cases = list(_cases())
    names = list(dict.fromkeys(case.interval for case in cases))
    if only is not None and only not in names:
        raise ValueError(f"only must be one of {', '.join(names)}; got {only!r}")
    rows = []
    for number, case in enumerate(cases):
        for n in case.seeds if only in (None, case.interval) else ():
            rng = np.random.default_rng([seed, number, n])
            samples = (case.draw(rng, n) for _ in range(repetitions))  # drawn between the methods' draws
            ends = np.array([[_ends(method.interval(x, rng)) for method in case.methods] for x in samples])
            hits = ((ends[..., 0] <= case.truth) & (case.truth <= ends[..., 1])).sum(axis=0)
            lengths = np.median(ends[..., 1] - ends[..., 0], axis=0)
            for method, hit, length in zip(case.methods, hits.tolist(), lengths.tolist(), strict=True):
                wilson = stats.binomtest(hit, repetitions).proportion_ci(method="wilson")
                what = (case.interval, case.data, method.name, n, method.used, case.limit, intervals.LEVEL)
                rows.append([*what, hit / repetitions, wilson.low, wilson.high, length, repetitions])
    return pd.DataFrame(rows, columns=COLUMNS)


def _ends(found: Estimate | Interval) -> Interval:
    return (found.low, found.high) if isinstance(found, Estimate) else found


def write() -> None:
    """Simulate everything and store the table that `stored` reads; one to two minutes."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    simulate().round(DIGITS).to_csv(FILE, index=False)


def stored() -> pd.DataFrame:
    """Return the table of `simulate` with its defaults, as it was stored, to six digits.

    A ValueError refuses a file that does not have the columns and methods that `simulate` gives.
    """
    table = pd.read_csv(project.of_checkout(FILE))
    here = {(c.interval, c.data, m.name, n) for c in _cases() for m in c.methods for n in c.seeds}
    there = set(table.reindex(columns=COLUMNS[:4]).itertuples(index=False, name=None))
    if list(table.columns) != COLUMNS or there != here:
        raise ValueError(
            f"{FILE.name} has columns {list(table.columns)} and {len(there)} rows, which are not the rows of "
            "simulate; modlib.paper.simulations.coverage.write() makes it anew"
        )
    return table


def _cases() -> Iterator[Case]:
    """Every case of the simulation. A case's place decides its random numbers, so new ones go to the end."""
    kinds = (("normal", False), ("skewed", True))
    for data, skewed in kinds:
        yield Case("mean", data, partial(_nested, skewed=skewed), 0.0, _MEAN, (9, 5, 3))
    yield Case("mean", "very skewed", _exponential, 1.0, _MEAN[:1], limit=True)
    for data, skewed in kinds:
        data = f"{data}, spread 1 and 2, seeds n and 2n"
        yield Case("difference", data, partial(_two_groups, skewed=skewed), 1.0, _DIFFERENCE)
    for (data, skewed), seeds in zip(kinds, ((9, 5), (9, 5, 3)), strict=True):
        yield Case("bootstrap", f"ratio, {data}", partial(_ratios, skewed=skewed), 2.0, _BOOTSTRAP, seeds)

    yield _trend("no trend", 14, 0.0)
    yield _trend("no trend", 7, 0.0)
    yield _trend("weak", 14, 1.5)
    yield _trend("strong", 14, 4.0, limit=True)
    yield _trend("strong", 7, 5.0, limit=True)
    yield _trend("nearly perfect", 7, 12.0, limit=True)

    # With three seeds, as `deep` has: the best of many levels, trained less untrained, change with depth.
    for seeds in ((9, 5), (3,)):
        for data, (a, b) in _BEST.items():
            truth = float(a.max() - b.max())
            yield Case("difference_of_best", data, partial(_two_curves, a=a, b=b), truth, _CONTRAST, seeds)
    yield Case("difference", "normal, n and 17 seeds", _few_and_17, 1.0, _DIFFERENCE[:1], (3,), limit=True)
    yield _trend("no trend", 5, 0.0, _TREND_OF_THREE, (3,))
    yield _trend("strong", 5, 5.0, _TREND_OF_THREE, (3,))


def _trend(
    data: str,
    levels: int,
    slope: float,
    methods: tuple[Method, ...] = (),
    seeds: tuple[int, ...] = (9, 5),
    *,
    limit: bool = False,
) -> Case:
    """Return a case of curves whose true rank correlation is computed from many seeds."""
    draw = partial(_curves, levels=levels, slope=slope)
    truth = float(np.mean(_rank_correlations(draw(np.random.default_rng(levels), MANY))))
    return Case("trend", f"{data}, {levels} levels", draw, truth, methods or _TREND, seeds, limit)


# --- data


def _noise(rng: Generator, size: tuple[int, ...], *, skewed: bool) -> Float[np.ndarray, "*size"]:
    """Noise of mean 0 and variance 1; if skewed, of skewness 1 (a gamma distribution of shape 4)."""
    return rng.gamma(4, size=size) / 2 - 2 if skewed else rng.normal(size=size)


def _exponential(rng: Generator, n: int) -> Float[np.ndarray, "seed network layer"]:
    return rng.exponential(size=(n, 1, 1))


def _nested(rng: Generator, n: int, *, skewed: bool) -> Float[np.ndarray, "seed network layer"]:
    """Two layers of 14 networks for each seed: effects of seed, network and layer, of variance 1 together."""
    of_seed, of_network, of_layer = (
        _noise(rng, size, skewed=skewed) for size in ((n, 1, 1), (n, 14, 1), (n, 14, 2))
    )
    shares = np.sqrt([SEED_SHARE, NETWORK_SHARE, 1 - SEED_SHARE - NETWORK_SHARE])
    return np.asarray(shares[0] * of_seed + shares[1] * of_network + shares[2] * of_layer)


def _two_groups(rng: Generator, n: int, *, skewed: bool) -> tuple[Any, Any]:
    """Two nested groups whose means differ by one; a pooled variance is wrong, as spread and size differ."""
    return 1 + 2 * _nested(rng, n, skewed=skewed), _nested(rng, 2 * n, skewed=skewed)


def _few_and_17(rng: Generator, n: int) -> tuple[Any, Any]:
    """Two nested groups whose means differ by one, like trained networks and untrained ones of 17 seeds."""
    return 1 + _nested(rng, n, skewed=False), _nested(rng, 17, skewed=False)


def _ratios(rng: Generator, n: int, *, skewed: bool) -> Float[np.ndarray, "seed network kind"]:
    """Four networks of two kinds for each seed, of means 2 and 1; the seed has an effect on both kinds."""
    of_seed = _noise(rng, (n, 1, 2), skewed=skewed) + _noise(rng, (n, 1, 1), skewed=skewed)
    return np.asarray([2.0, 1.0] + 0.15 * (of_seed + _noise(rng, (n, 4, 2), skewed=skewed)))


def _curves(rng: Generator, n: int, *, levels: int, slope: float) -> Float[np.ndarray, "seed level"]:
    """Curves over strength: each seed has a slope near the given one, and noise at every level."""
    slopes = slope + 0.5 * rng.normal(size=(n, 1))
    return np.asarray(slopes * np.linspace(0, 1, levels) + rng.normal(size=(n, levels)))


def _two_curves(
    rng: Generator, n: int, *, a: Float[np.ndarray, " level_a"], b: Float[np.ndarray, " level_b"]
) -> tuple[Any, Any]:
    """Two curves with the given means; the effect of the seed is the same in both, noise is not."""
    of_seed = 0.005 * rng.normal(size=(n, 1))
    noise_a, noise_b = (0.013 * rng.normal(size=(n, len(mean))) for mean in (a, b))
    return a + of_seed + noise_a, b + of_seed + noise_b


def _bump(levels: int, centre: float, width: float, height: float) -> Float[np.ndarray, " level"]:
    return np.asarray(0.1 + height * np.exp(-(((np.arange(levels) - centre) / width) ** 2)))


#: Means at 14 levels of dropout and at 9 of L2 and 7 of L1, of the size that they have in `base`.
_BEST = {
    "clear peaks": (
        0.1 + 0.4 * np.linspace(0, 1, 14),
        np.concatenate([_bump(9, 6.0, 2.0, 0.06), _bump(7, 4.0, 2.0, 0.03)]),
    ),
    "one peak, 16 ties": (_bump(14, 10.0, 0.3, 0.1), np.full(16, 0.14)),
    "ties on both sides": (np.full(14, 0.14), np.full(16, 0.14)),
}

# --- methods


def _seed_means(x: Float[np.ndarray, "seed network layer"]) -> Float[np.ndarray, " seed"]:
    return np.asarray(x.mean(axis=(1, 2)))


def _resamples(n: int, rng: Generator) -> Any:
    return rng.integers(0, n, (DRAWS, n))


def _percentile(
    x: Float[np.ndarray, "seed ..."], statistic: Callable[..., Any], rng: Generator, tail: float = 0.025
) -> Interval:
    low, high = np.quantile(statistic(x[_resamples(len(x), rng)]), [tail, 1 - tail])
    return low, high


def _expanded(x: Float[np.ndarray, "seed ..."], statistic: Callable[..., Any], rng: Generator) -> Interval:
    """Percentiles that lie so far out that they cover a normal statistic (Hesterberg 2015)."""
    n = len(x)
    return _percentile(x, statistic, rng, special.ndtr(np.sqrt(n / (n - 1)) * stats.t.ppf(0.025, n - 1)))


def _studentised(x: Float[np.ndarray, "seed ..."], statistic: Callable[..., Any], rng: Generator) -> Interval:
    """Bootstrap t with the jackknife's standard error of every draw (Efron & Tibshirani 1993, ch. 12)."""
    n = len(x)
    chosen = np.concatenate([np.arange(n)[None], _resamples(n, rng)])
    left_out = np.array([np.delete(np.arange(n), i) for i in range(n)])
    without = statistic(x[chosen[:, left_out].reshape(-1, n - 1)]).reshape(-1, n)
    se = np.sqrt((n - 1) * without.var(axis=1))
    values = statistic(x[chosen])
    spread = se > 1e-9 * se[0]  # a draw of copies of a single seed has none
    low, high = np.quantile(((values - values[0])[spread] / se[spread])[1:], [0.025, 0.975])
    return values[0] - high * se[0], values[0] - low * se[0]


def _ratio(x: Float[np.ndarray, "draw seed kind"]) -> Float[np.ndarray, " draw"]:
    total = x.sum(axis=1)
    return np.asarray(total[:, 0] / total[:, 1])


def _bootstrap(x: Float[np.ndarray, "seed network kind"], rng: Generator) -> Estimate:
    return intervals.bootstrap(_ratio, x.mean(axis=1), draws=DRAWS, seed=int(rng.integers(2**31)))


def _pooled_t(a: Float[np.ndarray, " seed_a"], b: Float[np.ndarray, " seed_b"]) -> Interval:
    found = stats.ttest_ind(a, b).confidence_interval()
    return float(found.low), float(found.high)


def _rank_correlations(q: Float[np.ndarray, "seed level"]) -> Float[np.ndarray, " seed"]:
    """Spearman's correlation of each row, which has no ties, with the number of the column."""
    x = np.arange(q.shape[1]) - (q.shape[1] - 1) / 2
    return np.asarray(q.argsort(axis=1).argsort(axis=1) @ x / (x @ x))


def _fisher(q: Float[np.ndarray, "seed level"]) -> Interval:
    found = intervals.mean(np.arctanh(np.clip(_rank_correlations(q), -0.9999, 0.9999)))
    return float(np.tanh(found.low)), float(np.tanh(found.high))


def _best_on_other_seeds(x: Sample, rng: Generator) -> Estimate:
    return selection.difference_of_best([x], draws=DRAWS, seed=int(rng.integers(2**31)))


def _best_on_same_seeds(a: Float[np.ndarray, "seed a"], b: Float[np.ndarray, "seed b"]) -> Estimate:
    return intervals.mean(a[:, a.mean(axis=0).argmax()] - b[:, b.mean(axis=0).argmax()])


_INDEPENDENT = "all networks and layers as independent"
_PERCENTILE = "percentile bootstrap over seeds"
_MEAN = (
    Method("Student's t over seeds", lambda x, _: intervals.mean(_seed_means(x)), used=True),
    Method(_PERCENTILE, lambda x, rng: _percentile(_seed_means(x), partial(np.mean, axis=1), rng)),
    Method(_INDEPENDENT, lambda x, _: intervals.mean(x.ravel())),
)
_DIFFERENCE = (
    Method("Welch over seeds", lambda x, _: intervals.difference(*map(_seed_means, x)), used=True),
    Method("Student's t with pooled variance", lambda x, _: _pooled_t(*map(_seed_means, x))),
    Method(_INDEPENDENT, lambda x, _: intervals.difference(*map(np.ravel, x))),
)
_BOOTSTRAP = (
    Method("t with bootstrap standard error over seeds", _bootstrap, used=True),
    Method(_PERCENTILE, lambda x, rng: _percentile(x.mean(axis=1), _ratio, rng)),
    Method("expanded percentiles over seeds", lambda x, rng: _expanded(x.mean(axis=1), _ratio, rng)),
    Method("studentised over seeds", lambda x, rng: _studentised(x.mean(axis=1), _ratio, rng)),
    Method("percentile bootstrap over networks", lambda x, rng: _percentile(x.reshape(-1, 2), _ratio, rng)),
)
_TREND = (
    Method("Student's t over seeds", lambda q, _: intervals.trend(np.arange(q.shape[1]) / 1.0, q), used=True),
    Method("Student's t on Fisher's z", lambda q, _: _fisher(q)),
)
_TREND_OF_THREE = (
    Method("Student's t over three seeds", lambda q, _: intervals.mean(_rank_correlations(q))),
)
_CONTRAST = (
    Method("best on other seeds, bootstrap over seeds", _best_on_other_seeds, used=True),
    Method(
        "best on other seeds, Student's t",
        lambda x, _: intervals.mean(selection.held_out_best(x[0]) - selection.held_out_best(x[1])),
    ),
    Method("best on the same seeds, Student's t", lambda x, _: _best_on_same_seeds(*x)),
)
