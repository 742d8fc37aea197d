"""From seeds to intervals: means, differences, trends, any other statistic, and many tests at once.

The networks of one seed share their initialisation, split and batches, and the layers and measures of a
network share the network. So the seed is the statistical unit: average within each seed first, and then call
these functions. `modlib.paper.simulations.coverage` measures how often the intervals hold the truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np
from jaxtyping import Float, Shaped
from scipy import special

from modlib import _checks
from modlib._ranks import mean_ranks

LEVEL = 0.95  # of all intervals
FEWEST_SEEDS = 3  # for a bootstrap: two seeds have only three different resamples, which hardly vary
FEWEST_LEVELS = 3  # for a trend: two levels are in order half of the time by chance
FEWEST_SEEDS_OF_TREND = 5  # for its interval: the correlations of three seeds often agree by chance
ROUNDING = 1e-12  # a spread smaller than this, relative to the values, is rounding


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty over seeds.

    Attributes
    ----------
    value
        The estimate.
    low, high
        Its 95 % interval; nan, as are `p` and `effect`, where too few seeds show a spread.
    n
        The number of seeds that it rests on, in the smaller group if there are two.
    p
        Two-sided p-value of the null value that the function was given.
    effect
        Hedges' g: the distance of `value` from the null value in standard deviations over seeds, corrected
        for small samples (Hedges 1981). It is nan with fewer than 2 degrees of freedom, and ±inf if the seeds
        do not differ at all.
    """

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    p: float = np.nan
    effect: float = np.nan


def mean(values: Float[np.ndarray, " seed"] | Sequence[float], *, null: float = 0.0) -> Estimate:
    """Estimate a mean over seeds, with Student's t interval and test.

    Parameters
    ----------
    values
        One finite value per seed; nan, which stands for a network left out, is dropped. Fewer than 2 values
        give no interval, and 2 a very long one.
    null
        The value that `p` and `effect` are measured against.

    Notes
    -----
    Student's t is undefined for values that are all equal. The interval then has no width, and p is that of
    the exact sign test, 2^(1 − n), the smallest that signs alone can give (1 if the values equal `null`).

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
        return Estimate(float(x[0]) if n else np.nan, n=n)
    sd = _sd(x)
    return _student(float(x.mean()), sd / np.sqrt(n), sd, n, float(n - 1), null, p_exact=2.0 ** (1 - n))


def difference(
    a: Float[np.ndarray, " seed_a"] | Sequence[float],
    b: Float[np.ndarray, " seed_b"] | Sequence[float],
    *,
    null: float = 0.0,
) -> Estimate:
    """Estimate the mean of `a` less that of `b`, two independent groups of seeds (Welch 1947).

    Groups that share their seeds are not independent: subtract seed by seed and use `mean`.

    Parameters
    ----------
    a, b
        One value per seed, as for `mean`. The groups may differ in size and in spread.
    null
        The difference that `p` and `effect`, here in pooled standard deviations, are measured against.

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
        return Estimate(value, n=min(n_x, n_y))
    var_x, var_y = _sd(x) ** 2, _sd(y) ** 2
    pooled = np.sqrt(((n_x - 1) * var_x + (n_y - 1) * var_y) / (n_x + n_y - 2))
    share_x, share_y = var_x / n_x, var_y / n_y
    se = np.sqrt(share_x + share_y)
    df = (share_x + share_y) ** 2 / (share_x**2 / (n_x - 1) + share_y**2 / (n_y - 1)) if se else 1.0
    found = _student(value, se, pooled, min(n_x, n_y), df, null, p_exact=2 / comb(n_x + n_y, n_x))
    return replace(found, effect=_hedges(value - null, pooled, float(n_x + n_y - 2)))


def trend(strength: Float[np.ndarray, " level"], q: Float[np.ndarray, "seed level"]) -> Estimate:
    """Estimate the mean over seeds of Spearman's rank correlation of `q` with strength; 0 means no trend.

    There are 3 levels or more. In `q`, nan stands for a network left out; a seed that is left with fewer than
    3 levels, or has the same value at all of them, has no correlation and is dropped. The interval is that of
    `mean`, cut off at −1 and 1. Fewer than 5 seeds give none: a rank correlation takes few different values,
    which would make it too short.

    Notes
    -----
    The t interval is that of the correlations themselves, not of Fisher's z. Where correlations are strong,
    and their distribution is skewed, it holds the truth a few percent less often than 95 %. Fisher's z is
    sometimes better and sometimes worse there, but it is infinite for a seed in perfect order, and intervals
    near ±1 then mostly miss the truth (`modlib.paper.simulations.coverage`).

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
        return Estimate(found.value, n=found.n)
    return replace(found, low=float(np.maximum(found.low, -1)), high=float(np.minimum(found.high, 1)))


def bootstrap(
    statistic: Callable[[Shaped[np.ndarray, "draw seed ..."]], Float[np.ndarray, " draw"]],
    sample: Shaped[np.ndarray, "seed ..."],
    *,
    null: float = 0.0,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate any statistic, with an interval by the hierarchical bootstrap over seeds.

    Seeds are drawn with replacement, each with all that belongs to it, and the whole statistic is computed
    for every draw.

    Parameters
    ----------
    statistic
        Takes many samples at once and gives a number for each, or nan where there is none.
    sample
        Seeds along the first axis. For data that are not one array, pass ``np.arange(n_seeds)``: `statistic`
        then gets the numbers of the seeds drawn.
    null
        The value that `p` and `effect` are measured against.
    draws, seed
        Number of resamples, at least 100, and their seed.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than 3 seeds or 100 draws, or `statistic` gives another shape.

    Notes
    -----
    The value is the statistic of the sample itself. If that is nan, or the statistic of more than half of the
    draws is, there is no interval. Otherwise it is value ± t √(n / (n − 1)) se, with se the standard
    deviation over draws, and t of n − 1 degrees of freedom (Hesterberg 2015, 10.1080/00031305.2015.1089789).
    The root corrects the variance of resamples, which is too small by 1/n. For a mean the interval is that of
    `mean`, up to the draws. Of the alternatives in `modlib.paper.simulations.coverage`, percentile intervals
    are much too short with few seeds, and expanded percentiles with 5 or fewer; a studentised interval copes
    with stronger skew, but is longer and fails with 3 seeds.

    Examples
    --------
    A ratio of two means, of networks (seed, kind), where the pair of a seed stays together:

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
        return Estimate(value, n=n)
    se = _sd(drawn) * np.sqrt(n / (n - 1))
    return _student(value, se, se * np.sqrt(n), n, float(n - 1), null, p_exact=2.0 ** (1 - n))


def holm(p: Float[np.ndarray, " claim"] | Sequence[float]) -> Float[np.ndarray, " claim"]:
    """Adjust p-values so that the chance of any false alarm among them stays below the level (Holm 1979).

    The i-th smallest of m becomes the largest of (m − j + 1) p_j over j ≤ i, at most 1. A nan stays nan and
    does not count. A ValueError is raised if another value is not in [0, 1].

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
    """Return `q` as floats, or raise a ValueError if it is not (seed, level) or holds ±inf."""
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
    """Correlate each row with `strength` by Spearman's coefficient, nan where it is not defined."""
    there = np.isfinite(q)
    left = there.sum(axis=1)

    def centred_ranks(values: Float[np.ndarray, "seed level"]) -> Float[np.ndarray, "seed level"]:
        # Absent levels come last, so that the others have ranks 1 to `left`, with the mean (left + 1) / 2.
        ranks = mean_ranks(np.where(there, values, np.inf))
        return np.where(there, ranks - (left[:, None] + 1) / 2, 0.0)

    x, y = centred_ranks(np.broadcast_to(strength, q.shape)), centred_ranks(q)
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    defined = (left >= FEWEST_LEVELS) & (size > 0)
    return np.where(defined, (x * y).sum(axis=1) / np.where(defined, size, 1.0), np.nan)


def _student(
    value: float, se: float, sd: float, n: int, df: float, null: float, *, p_exact: float
) -> Estimate:
    """Give the interval and test by Student's t; where there is no spread, p is `p_exact`."""
    away = value - null
    if se > 0:
        half = float(special.stdtrit(df, (1 + LEVEL) / 2) * se)  # as `scipy.stats.t`, many times faster
        p = float(2 * special.stdtr(df, -abs(away) / se))
    else:
        half, p = 0.0, min(p_exact, 1.0) if abs(away) > ROUNDING * abs(value) else 1.0
    return Estimate(value, value - half, value + half, n, p, _hedges(away, sd, df))


def _hedges(away: float, sd: float, df: float) -> float:
    """Compute Hedges' g = away / sd · Γ(m/2) / (√(m/2) Γ((m − 1)/2)), m degrees of freedom (Hedges 1981)."""
    if df < 2:
        return np.nan  # with one degree of freedom the factor is 0, whatever the data
    if sd == 0:
        return float(np.copysign(np.inf, away)) if away else 0.0
    correction = np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    return float(correction * away / sd)


def _sd(x: Float[np.ndarray, " seed"]) -> float:
    """Return the standard deviation (n − 1), or 0 where it is no more than rounding."""
    sd = float(x.std(ddof=1))
    return sd if sd > ROUNDING * float(np.abs(x).max()) else 0.0


def _seed_values(
    values: Float[np.ndarray, " seed"] | Sequence[float], name: str
) -> Float[np.ndarray, " kept"]:
    x = _checks.floats(values, name)
    if x.ndim != 1 or np.isinf(x).any():
        raise ValueError(f"{name} must be one finite number (or nan) a seed, got shape {x.shape}: {x}")
    return np.asarray(x[~np.isnan(x)])
