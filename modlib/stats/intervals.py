"""From seeds to intervals: means, differences, trends, any other statistic, and many tests at once.

Networks of one seed share initialisation, data order and split; layers and measures of a network share the
network. So the seed is the statistical unit: average within a seed first, then use what is here. How often
the intervals hold the truth is measured in `modlib.paper.simulations.coverage`; the best of many levels is a
matter of its own (`modlib.stats.selection`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np
from jaxtyping import Float, Shaped
from scipy import special

from modlib import _checks
from modlib._ranks import mean_ranks

LEVEL = 0.95  # of all intervals
FEWEST_SEEDS = 3  # of a bootstrap: two seeds have three different resamples, which show no spread to speak of
FEWEST_LEVELS = 3  # of a trend: two levels are in order or not, by the toss of a coin
FEWEST_SEEDS_OF_TREND = 5  # of its interval: correlations of three seeds often agree by chance (`coverage`)
ROUNDING = 1e-12  # a spread smaller than this, relative to the values, is rounding


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty over seeds.

    Attributes
    ----------
    value
        The estimate.
    low, high
        95 % interval; nan if it cannot be had (fewer than 2 seeds).
    n
        Seeds that it rests on; of two groups, those in the smaller one.
    p
        Two-sided p-value of the null value that the function was given.
    effect
        Hedges' g, the distance of `value` from the null value in standard deviations over seeds, corrected
        for small samples (Hedges 1981); nan with fewer than 2 degrees of freedom, ±inf if the seeds do not
        differ at all.
    """

    value: float
    low: float
    high: float
    n: int
    p: float
    effect: float


def mean(values: Float[np.ndarray, " seed"] | Sequence[float], *, null: float = 0.0) -> Estimate:
    """Mean over seeds with Student's t interval and test.

    Parameters
    ----------
    values
        One value a seed; nan (a network left out) is dropped. A useful interval takes 3 at the least.
    null
        Value that `p` and `effect` are measured against.

    Returns
    -------
    Estimate
        Of one value: that value with nan for all that needs a spread. Of none: nan throughout, n = 0.

    Raises
    ------
    ValueError, TypeError
        If `values` are not one-dimensional or hold ±inf, or `null` is not finite.

    Notes
    -----
    Values without any spread leave t undefined. The interval then has no width, and p is that of the exact
    sign test, 2^(1 − n), which is as small as signs alone can make it (1 if the values equal `null`).

    Examples
    --------
    >>> found = mean([1.0, 2.0, 3.0])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), round(found.p, 3), found.n
    (2.0, -0.484, 4.484, 0.074, 3)
    """
    x = _seed_values(values, "values")
    null = _checks.real(null, "null")
    n = len(x)
    if n < 2:
        return _without_spread(float(x[0]) if n else np.nan, n)
    sd = _sd(x)
    return _student(float(x.mean()), sd / np.sqrt(n), sd, n, float(n - 1), null, p_exact=2.0 ** (1 - n))


def difference(
    a: Float[np.ndarray, " seed_a"] | Sequence[float],
    b: Float[np.ndarray, " seed_b"] | Sequence[float],
    *,
    null: float = 0.0,
) -> Estimate:
    """Mean of `a` less mean of `b`, for two independent groups of seeds (Welch 1947).

    Groups that share their seeds are not independent: subtract seed by seed and use `mean`.

    Parameters
    ----------
    a, b
        One value a seed; nan is dropped. The groups may differ in size and in spread.
    null
        Difference that `p` and `effect` are measured against.

    Returns
    -------
    Estimate
        `effect` is in units of the pooled standard deviation. With fewer than 2 values in a group, all that
        needs a spread is nan.

    Raises
    ------
    ValueError
        As for `mean`.

    Examples
    --------
    >>> found = difference([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    >>> found.value, round(found.low, 3), round(found.high, 3), round(found.effect, 2)
    (2.0, -0.267, 4.267, 1.6)
    """
    x, y = _seed_values(a, "a"), _seed_values(b, "b")
    null = _checks.real(null, "null")
    n_x, n_y = len(x), len(y)
    value = float(x.mean() - y.mean()) if n_x and n_y else np.nan
    if min(n_x, n_y) < 2:
        return _without_spread(value, min(n_x, n_y))
    var_x, var_y = _sd(x) ** 2, _sd(y) ** 2
    pooled = np.sqrt(((n_x - 1) * var_x + (n_y - 1) * var_y) / (n_x + n_y - 2))
    share_x, share_y = var_x / n_x, var_y / n_y
    se = np.sqrt(share_x + share_y)
    df = (share_x + share_y) ** 2 / (share_x**2 / (n_x - 1) + share_y**2 / (n_y - 1)) if se else 1.0
    found = _student(value, se, pooled, min(n_x, n_y), df, null, p_exact=2 / comb(n_x + n_y, n_x))
    return replace(found, effect=_hedges(value - null, pooled, float(n_x + n_y - 2)))


def trend(strength: Float[np.ndarray, " level"], q: Float[np.ndarray, "seed level"]) -> Estimate:
    """Mean over seeds of Spearman's rank correlation between strength and `q`; 0 means no trend.

    Parameters
    ----------
    strength
        Of each level, finite.
    q
        nan where a network was left out. A seed with fewer than 3 levels left, or with the same value at all
        of them, has no correlation and is dropped.

    Returns
    -------
    Estimate
        As by `mean` over the seeds' correlations, the interval cut off at −1 and 1; of fewer than 5 seeds the
        mean alone, since the few values that a rank correlation can take make such intervals too short.

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, there are fewer than 3 levels, `strength` is not finite or `q` holds ±inf.

    Notes
    -----
    Student's t on the correlations themselves rather than on Fisher's z of them. Neither is best throughout:
    where correlations are strong, and their distribution lopsided, t falls short of 95 % by a few percent, z
    by less or more depending on the levels. But near ±1 some seeds are in perfect order, where z is infinite,
    and an interval by z then mostly misses (`modlib.paper.simulations.coverage`).

    Examples
    --------
    >>> q = np.array([[1.0, 2, 3], [1, 3, 2], [1, 2, 3], [2, 3, 4], [1, 5, 6]])
    >>> found = trend(np.array([0.1, 0.2, 0.3]), q)
    >>> round(found.value, 3), found.high
    (0.9, 1.0)
    """
    q = checked_levels(q, "q", fewest_seeds=1)
    strength = _checks.floats(strength, "strength")
    if strength.shape != q.shape[1:] or not np.isfinite(strength).all():
        raise ValueError(f"strength must have a finite entry a level of q {q.shape}, got {strength}")
    if len(strength) < FEWEST_LEVELS:
        raise ValueError(f"strength must have at least {FEWEST_LEVELS} levels, got {len(strength)}")
    found = mean(_rank_correlations(strength, q))
    if found.n < FEWEST_SEEDS_OF_TREND:
        return _without_spread(found.value, found.n)
    return replace(found, low=float(np.maximum(found.low, -1)), high=float(np.minimum(found.high, 1)))


def bootstrap(
    statistic: Callable[[Shaped[np.ndarray, "draw seed ..."]], Float[np.ndarray, " draw"]],
    sample: Shaped[np.ndarray, "seed ..."],
    *,
    null: float = 0.0,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Any statistic with an interval by the hierarchical bootstrap over seeds.

    Seeds are drawn with replacement, all that belongs to a seed comes along, and the whole statistic is
    computed anew.

    Parameters
    ----------
    statistic
        Takes many samples at once and gives a number for each; nan for a sample that has none.
    sample
        Seeds along the first axis. For data that are not an array: ``np.arange(n_seeds)``, so that
        `statistic` gets the numbers of the seeds drawn.
    null
        Value that `p` and `effect` are measured against.
    draws
        Number of resamples, at least 100.
    seed
        Of the draws; the same seed gives the same interval.

    Returns
    -------
    Estimate
        `value` is `statistic` of the sample itself. All else is nan if that is nan, or if the statistic is
        nan for more than half of the draws.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than 3 seeds or 100 draws, or `statistic` gives another shape.

    Notes
    -----
    With se the standard deviation over draws, the interval is value ± t √(n / (n − 1)) se, t having n − 1
    degrees of freedom (a t interval with bootstrap standard error, Hesterberg 2015,
    10.1080/00031305.2015.1089789; the root makes up for resamples spreading by 1/n too little). For a mean it
    is the interval of `mean`, up to the draws. Of the other intervals tried in
    `modlib.paper.simulations.coverage`, percentiles are much too short with few seeds, expanded percentiles
    with 5 or fewer; a studentised interval keeps up with stronger skew but is longer, and breaks down with 3
    seeds.

    Examples
    --------
    Ratio of two means, of networks (seed, kind): the pairs of a seed stay together.

    >>> q = np.array([[0.50, 0.11], [0.48, 0.09], [0.51, 0.10], [0.47, 0.10]])
    >>> found = bootstrap(lambda s: s[..., 0].mean(axis=1) / s[..., 1].mean(axis=1), q)
    >>> round(found.value, 2), found.low < found.value < found.high, found.n
    (4.9, True, 4)
    """
    if not callable(statistic):
        raise TypeError(f"statistic must be a function, got {_checks.shown(statistic)}")
    sample, null = _checks.as_numpy(sample, "sample"), _checks.real(null, "null")
    draws, seed = _checks.whole(draws, "draws", least=100), _checks.seed(seed)
    if sample.ndim == 0 or len(sample) < FEWEST_SEEDS:
        raise ValueError(f"sample must have at least {FEWEST_SEEDS} seeds, got shape {sample.shape}")
    n = len(sample)
    chosen = np.random.default_rng(seed).integers(0, n, (draws, n))
    drawn = _checks.floats(statistic(sample[chosen]), "what statistic gives")
    if drawn.shape != (draws,):
        raise ValueError(f"statistic must give one number a draw, shape ({draws},), got {drawn.shape}")
    value = float(statistic(sample[None])[0])
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(drawn) < draws / 2:
        return _without_spread(value, n)
    se = _sd(drawn) * np.sqrt(n / (n - 1))
    return _student(value, se, se * np.sqrt(n), n, float(n - 1), null, p_exact=2.0 ** (1 - n))


def holm(p: Float[np.ndarray, " claim"] | Sequence[float]) -> Float[np.ndarray, " claim"]:
    """Adjust p-values so that the chance of any false alarm in the family stays below the level (Holm 1979).

    The i-th smallest of m becomes the largest of (m − j + 1) p_j over j ≤ i, at most 1.

    Parameters
    ----------
    p
        In [0, 1]; nan stays nan and does not count.

    Raises
    ------
    ValueError
        If a p-value is not in [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    adjusted = _checks.floats(p, "p", ndim=1)
    known = np.flatnonzero(~np.isnan(adjusted))
    if ((adjusted[known] < 0) | (adjusted[known] > 1)).any():
        raise ValueError(f"p must be in [0, 1], got {adjusted.tolist()}")
    order = known[np.argsort(adjusted[known], kind="stable")]
    steps = np.arange(len(order), 0, -1) * adjusted[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def checked_levels(
    q: Float[np.ndarray, "seed level"], name: str, fewest_seeds: int = 2
) -> Float[np.ndarray, "seed level"]:
    """Return `q` as floats; raise a ValueError that names it if it is not (seed, level) or holds ±inf."""
    x = _checks.floats(q, name)
    if x.ndim != 2 or len(x) < fewest_seeds or x.shape[1] < 1 or np.isinf(x).any():
        raise ValueError(
            f"{name} must be (seed, level), finite or nan, with at least {fewest_seeds} seeds and 1 level, "
            f"got shape {x.shape}"
        )
    return x


def _rank_correlations(
    strength: Float[np.ndarray, " level"], q: Float[np.ndarray, "seed level"]
) -> Float[np.ndarray, " seed"]:
    """Spearman's correlation of each row with `strength`; nan where it is not defined."""
    there = np.isfinite(q)
    left = there.sum(axis=1)

    def centred_ranks(values: Float[np.ndarray, "seed level"]) -> Float[np.ndarray, "seed level"]:
        # Absent levels rank last; the others have ranks 1 to `left`, whose mean is (left + 1) / 2.
        ranks = mean_ranks(np.where(there, values, np.inf))
        return np.where(there, ranks - (left[:, None] + 1) / 2, 0.0)

    x, y = centred_ranks(np.broadcast_to(strength, q.shape)), centred_ranks(q)
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    defined = (left >= FEWEST_LEVELS) & (size > 0)
    return np.where(defined, (x * y).sum(axis=1) / np.where(defined, size, 1.0), np.nan)


def _student(
    value: float, se: float, sd: float, n: int, df: float, null: float, *, p_exact: float
) -> Estimate:
    """Interval and test by Student's t; `p_exact` stands in where there is no spread."""
    away = value - null
    if se > 0:
        half = float(special.stdtrit(df, (1 + LEVEL) / 2) * se)  # `stats.t`, many times faster
        p = float(2 * special.stdtr(df, -abs(away) / se))
    else:
        half, p = 0.0, min(p_exact, 1.0) if abs(away) > ROUNDING * abs(value) else 1.0
    return Estimate(value, value - half, value + half, n, p, _hedges(away, sd, df))


def _hedges(away: float, sd: float, df: float) -> float:
    """Hedges' g: away / sd times Γ(m/2) / (√(m/2) Γ((m − 1)/2)), m degrees of freedom (Hedges 1981)."""
    if df < 2:
        return np.nan  # the factor of a single degree of freedom is 0, whatever the data
    if sd == 0:
        return float(np.copysign(np.inf, away)) if away else 0.0
    correction = np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    return float(correction * away / sd)


def _sd(x: Float[np.ndarray, " seed"]) -> float:
    """Return the standard deviation (n − 1), or 0 where it is no more than rounding."""
    sd = float(x.std(ddof=1))
    return sd if sd > ROUNDING * float(np.abs(x).max()) else 0.0


def _without_spread(value: float, n: int) -> Estimate:
    return Estimate(value, np.nan, np.nan, n, np.nan, np.nan)


def _seed_values(
    values: Float[np.ndarray, " seed"] | Sequence[float], name: str
) -> Float[np.ndarray, " kept"]:
    x = _checks.floats(values, name)
    if x.ndim != 1 or np.isinf(x).any():
        raise ValueError(f"{name} must be one finite number (or nan) a seed, got shape {x.shape}: {x}")
    return np.asarray(x[~np.isnan(x)])
