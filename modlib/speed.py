"""How fast modlib is, as the benchmarks put it on record: ratios, curves and what was asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

SMALLEST = 0.1  # MiB: less is none, of which there is no power


class Spread(NamedTuple):
    """The middle of some numbers, and how far they lie apart: extremes and quartiles."""

    lowest: float
    lower: float
    median: float
    upper: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.lower:.3g} to {self.upper:.3g})"


def ratios(table: pd.DataFrame, slow: str, fast: str) -> np.ndarray:
    """Seconds of one contestant over those of another, within each round (and network, if there are several).

    A contestant that came in several forms, ``"loop (2 × 1 thread)"`` and so on, is asked for by what they
    have in common, ``"loop"``, and stands for its fastest form.
    """
    keys = [column for column in table.columns if column not in ("contestant", "seconds")]
    wide = table.pivot(index=keys, columns="contestant", values="seconds")
    return np.asarray(wide[fastest(table, slow)] / wide[fastest(table, fast)])


def fastest(table: pd.DataFrame, contestant: str) -> str:
    """Name of a contestant's form with the lowest median; see `ratios`."""
    is_form = (table.contestant == contestant) | table.contestant.str.startswith(f"{contestant} (")
    if not is_form.any():
        raise ValueError(
            f"contestant must be one of {', '.join(table.contestant.unique())}; got {contestant!r}"
        )
    return str(table[is_form].groupby("contestant").seconds.median().idxmin())


def spread(values: np.ndarray) -> Spread:
    """Extremes, quartiles and median."""
    return Spread(*np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist())


def exponents(table: pd.DataFrame, *, last: int = 3) -> pd.DataFrame:
    """Fit powers to the largest sizes: seconds ~ size^`time`, MiB ~ size^`memory`.

    Parameters
    ----------
    table
        Points: `what`, `size`, `seconds` and `mib` (nan both where there is none).
    last
        How many of the largest sizes that were measured.
    """
    rows = []
    for what, group in table.dropna(subset="seconds").groupby("what", sort=False):
        end = group.nlargest(last, "size")
        if len(end) < 2:
            continue
        held = end.mib.clip(lower=SMALLEST)
        fits = [np.polyfit(np.log(end["size"]), np.log(of), 1)[0] for of in (end.seconds, held)]
        rows.append({"what": what, "from": int(end["size"].min()), "time": fits[0], "memory": fits[1]})
    return pd.DataFrame(rows)
