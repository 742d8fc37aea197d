"""The best of many levels, without the bias of choosing it.

The largest of many noisy means is larger than the mean at the best level: noise is chosen along with signal.
So the level at which a seed is read is selected on the other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from modlib import _checks
from modlib.stats.intervals import FEWEST_SEEDS, Estimate, bootstrap, checked_levels


def held_out_best(q: Float[np.ndarray, "seed level"]) -> Float[np.ndarray, " seed"]:
    """Value of each seed at the level that is best on the *other* seeds.

    The value of a seed that took no part in the selection is an unbiased estimate of the mean at the level
    selected, which is a little below that of the best level where the selection errs.

    Parameters
    ----------
    q
        nan where a network was left out; means over the other seeds skip it.

    Returns
    -------
    array
        (seed,); nan where the seed itself has nan at the level chosen for it.

    Raises
    ------
    ValueError
        If `q` is not (seed, level) with at least 2 seeds and 1 level, or holds ±inf.

    Notes
    -----
    The values of two seeds are unbiased but **not independent**, since each takes part in selecting the
    other's level: where several levels are about as good, an interval by `modlib.stats.intervals.mean` is
    far too short (`modlib.paper.simulations.coverage` shows how far): use `difference_of_best` instead.

    Examples
    --------
    Seed 0 alone would choose level 1; the others send it to level 0.

    >>> held_out_best(np.array([[0.1, 0.9], [0.5, 0.2], [0.6, 0.1]])).tolist()
    [0.1, 0.2, 0.1]
    """
    q = checked_levels(q, "q")
    return np.asarray(_held_out(q, np.ones((1, len(q))))[0])


def difference_of_best(
    pairs: Sequence[tuple[Float[np.ndarray, "seed _a"], Float[np.ndarray, "seed _b"]]],
    *,
    null: float = 0.0,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """How much better the best level of a is than the best of b, on average over graphs.

    For each graph, the mean over seeds of `held_out_best` of a less that of b; the interval is that of
    `modlib.stats.intervals.bootstrap`. Graphs share their seeds, so the mean over graphs is the statistic
    that seeds are resampled for. In a resample all copies of a seed are held out together, else a seed would
    help to choose its own level.

    Parameters
    ----------
    pairs
        For each graph, values at the levels of a and of b, row by row of the same seed; nan where a network
        was left out. One column makes it a given level instead of the best one. Graphs where a side has no
        levels are left out.
    null, draws, seed
        As for `modlib.stats.intervals.bootstrap`.

    Returns
    -------
    Estimate
        With fewer than 3 seeds there is no interval; without a graph all is nan, on no seeds.

    Raises
    ------
    ValueError, TypeError
        If an entry is not (seed, level) or holds ±inf, if seeds differ in number, or as for `bootstrap`.

    Notes
    -----
    The interval is conservative: where levels tie, it holds the truth in more than 95 of 100 cases.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> dropout, penalty = (m + 0.01 * rng.normal(size=(9, 3)) for m in ([0.1, 0.3, 0.5], [0.1, 0.2, 0.2]))
    >>> found = difference_of_best([(dropout, penalty)])
    >>> found.low < 0.3 < found.high, found.p < 0.001
    (True, True)
    """
    usable = [(checked_levels(a, "a", 1), checked_levels(b, "b", 1)) for a, b in _graphs(pairs)]
    rows = sorted({len(q) for pair in usable for q in pair})
    if len(rows) > 1:
        raise ValueError(f"a and b must have the same seeds row by row, got {rows} rows")
    if not usable:
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=0, p=np.nan, effect=np.nan)
    n = rows[0]

    def statistic(chosen: Int[np.ndarray, "draw drawn"]) -> Float[np.ndarray, " draw"]:
        copies = (chosen[:, :, None] == np.arange(n)).sum(axis=1).astype(float)
        return np.asarray(np.mean([_mean_gain(a, b, copies) for a, b in usable], axis=0))

    if n < FEWEST_SEEDS:
        value = float(statistic(np.arange(n)[None])[0])
        return Estimate(value=value, low=np.nan, high=np.nan, n=n, p=np.nan, effect=np.nan)
    return bootstrap(statistic, np.arange(n), null=null, draws=draws, seed=seed)


def _graphs(pairs: Any) -> Iterator[tuple[Any, Any]]:
    """Give the sides of each graph where both have levels."""
    for pair in _checks.listed(pairs, "pairs"):
        sides = _checks.listed(pair, "pairs")
        if len(sides) != 2:
            raise ValueError(f"pairs must be of two, a and b, got {len(sides)}")
        a, b = (_checks.floats(side, f"{name} of pairs") for side, name in zip(sides, "ab", strict=True))
        if a.shape[-1:] != (0,) and b.shape[-1:] != (0,):
            yield a, b


def _mean_gain(
    a: Float[np.ndarray, "seed _a"], b: Float[np.ndarray, "seed _b"], copies: Float[np.ndarray, "draw seed"]
) -> Float[np.ndarray, " draw"]:
    """Mean over the seeds of a resample, those left out that have no value at their levels."""
    gain = _held_out(a, copies) - _held_out(b, copies)
    weight = np.where(np.isnan(gain), 0.0, copies)
    total = weight.sum(axis=1)
    summed = (weight * np.nan_to_num(gain)).sum(axis=1)
    return np.asarray(np.where(total > 0, summed / np.maximum(total, 1.0), np.nan))


def _held_out(
    q: Float[np.ndarray, "seed level"], copies: Float[np.ndarray, "draw seed"]
) -> Float[np.ndarray, "draw seed"]:
    """`held_out_best` for samples that hold so many copies of each seed, all held out together."""
    there = np.isfinite(q).astype(float)
    known = np.where(there, q, 0.0)
    own = copies[..., None]
    total = (copies @ known)[:, None] - own * known  # over the other seeds: (draw, seed, level)
    count = (copies @ there)[:, None] - own * there
    others = np.where(count > 0, total / np.maximum(count, 1.0), -np.inf)
    values = q[np.arange(len(q)), others.argmax(axis=-1)]
    return np.where((count > 0).any(axis=-1), values, np.nan)
