"""The value at the best of many levels, without the bias of choosing that level.

The largest of many noisy means exceeds the true mean at the best level, because noise is chosen along with
signal. So the level at which a seed is read is selected on the other seeds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from modlib import _checks
from modlib.stats.intervals import FEWEST_SEEDS, Estimate, bootstrap, checked_levels


def held_out_best(q: Float[np.ndarray, "seed level"]) -> Float[np.ndarray, " seed"]:
    """Give the value of each seed at the level that is best on the *other* seeds.

    A seed that took no part in the selection gives an unbiased estimate of the mean at the level selected.
    That mean is a little below the mean at the best level, since the selection sometimes errs.

    Parameters
    ----------
    q
        nan where a network was left out; means over the other seeds skip it. A seed that has nan at the level
        chosen for it has the value nan.

    Raises
    ------
    ValueError
        If `q` is not (seed, level) with at least 2 seeds and 1 level, or holds ±inf.

    Notes
    -----
    The values of two seeds are **not independent**, since each takes part in selecting the other's level.
    Where several levels are about equally good, an interval by `modlib.stats.intervals.mean` is therefore far
    too short (see `modlib.paper.simulations.coverage`). Use `difference_of_best` instead.

    Examples
    --------
    Seed 0 alone would choose level 1, but the others choose level 0 for it.

    >>> held_out_best(np.array([[0.1, 0.9], [0.5, 0.2], [0.6, 0.1]])).tolist()
    [0.1, 0.2, 0.1]
    """
    q = checked_levels(q, "q")
    return np.asarray(_held_out(q, np.ones((1, len(q))))[0])


def difference_of_best(
    pairs: Sequence[tuple[Float[np.ndarray, "seed _a"], Float[np.ndarray, "seed _b"]]],
    *,
    less: Sequence[tuple[Float[np.ndarray, "seed _a"], Float[np.ndarray, "seed _b"]]] = (),
    null: float = 0.0,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate how much better the best level of a is than the best of b, on average over graphs.

    In each graph, the mean over seeds of `held_out_best` of b is subtracted from that of a. The interval is
    that of `modlib.stats.intervals.bootstrap` for the mean over graphs, since graphs share their seeds. In a
    resample all copies of a seed are held out together, so that no seed helps to choose its own level. The
    interval is conservative: where levels tie, it holds the truth in more than 95 of 100 cases.

    Parameters
    ----------
    pairs
        For each graph, the values at the levels of a and of b, whose rows are the same seeds; nan where a
        network was left out. With one column, that level is taken. Graphs where a side has no levels are left
        out.
    less
        Other graphs of the same seeds, if their mean difference is to be subtracted from that of `pairs`.
        There is no estimate if they are given and none has levels on both sides.
    null, draws, seed
        As for `modlib.stats.intervals.bootstrap`; fewer than 3 seeds give no interval.

    Raises
    ------
    ValueError, TypeError
        If an entry is not (seed, level) or holds ±inf, if seeds differ in number, or as `bootstrap`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> dropout, penalty = (m + 0.01 * rng.normal(size=(9, 3)) for m in ([0.1, 0.3, 0.5], [0.1, 0.2, 0.2]))
    >>> found = difference_of_best([(dropout, penalty)])
    >>> found.low < 0.3 < found.high, found.p < 0.001
    (True, True)
    """
    usable, others = (
        [(checked_levels(a, "a", 1), checked_levels(b, "b", 1)) for a, b in _graphs(some, name)]
        for some, name in ((pairs, "pairs"), (less, "less"))
    )
    rows = sorted({len(q) for pair in usable + others for q in pair})
    if len(rows) > 1:
        raise ValueError(f"a and b must have the same seeds row by row, got {rows} rows")
    if not usable or (len(less) and not others):
        return Estimate()
    n = rows[0]

    def statistic(chosen: Int[np.ndarray, "draw drawn"]) -> Float[np.ndarray, " draw"]:
        copies = (chosen[:, :, None] == np.arange(n)).sum(axis=1).astype(float)
        gain, other = (
            np.mean([_mean_gain(a, b, copies) for a, b in some], axis=0) if some else 0.0
            for some in (usable, others)
        )
        return np.asarray(gain - other)

    if n < FEWEST_SEEDS:
        return Estimate(float(statistic(np.arange(n)[None])[0]), n=n)
    return bootstrap(statistic, np.arange(n), null=null, draws=draws, seed=seed)


def _graphs(pairs: Any, called: str) -> Iterator[tuple[Any, Any]]:
    """Give both sides of each graph where both have levels."""
    for pair in _checks.listed(pairs, called):
        sides = _checks.listed(pair, called)
        if len(sides) != 2:
            raise ValueError(f"{called} must be of two, a and b, got {len(sides)}")
        a, b = (_checks.floats(side, f"{name} of {called}") for side, name in zip(sides, "ab", strict=True))
        if a.shape[-1:] != (0,) and b.shape[-1:] != (0,):
            yield a, b


def _mean_gain(
    a: Float[np.ndarray, "seed _a"], b: Float[np.ndarray, "seed _b"], copies: Float[np.ndarray, "draw seed"]
) -> Float[np.ndarray, " draw"]:
    """Average the gain over the seeds of each resample that have values at their levels."""
    gain = _held_out(a, copies) - _held_out(b, copies)
    total = np.where(np.isnan(gain), 0.0, copies).sum(axis=1)
    summed = np.nansum(copies * gain, axis=1)
    return np.asarray(np.where(total > 0, summed / np.maximum(total, 1.0), np.nan))


def _held_out(
    q: Float[np.ndarray, "seed level"], copies: Float[np.ndarray, "draw seed"]
) -> Float[np.ndarray, "draw seed"]:
    """Do `held_out_best` for samples of so many copies of each seed, which are held out together."""
    there = np.isfinite(q).astype(float)
    if q.shape[1] == 1:  # nothing to choose
        others = copies @ there - copies * there[:, 0]
        return np.where(others > 0, q[:, 0], np.nan)
    known = np.where(there, q, 0.0)
    own = copies[..., None]
    # Over the other seeds, (draw, seed, level); what all levels have in common need not be divided by.
    total = (copies @ known)[:, None] - own * known
    whole = bool(there.all())
    some = there[:, :1] if whole else there
    count = (copies @ some)[:, None] - own * some
    others = total if whole else np.where(count > 0, total / np.maximum(count, 1.0), -np.inf)
    values = q[np.arange(len(q)), others.argmax(axis=-1)]
    return np.where((count > 0).any(axis=-1), values, np.nan)
