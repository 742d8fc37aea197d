"""Ratios, spreads and powers, from the tables that benchmarks put on record."""

from typing import NamedTuple

import numpy as np
import pandas as pd

SMALLEST = 0.1  # MiB; memory below it cannot be told from none, of which no power can be fitted


class Quartiles(NamedTuple):
    """The median of some numbers, and their lower and upper quartile."""

    median: float
    lower: float
    upper: float


def quartiles(values: np.ndarray) -> Quartiles:
    """Return the median and the quartiles of numbers."""
    return Quartiles(*np.quantile(values, [0.5, 0.25, 0.75]).tolist())


def ratios(table: pd.DataFrame, slow: str, fast: str) -> np.ndarray:
    """Seconds of one contestant over those of another, within each round (and network, if there are several).

    A contestant that raced in several forms, ``"loop (2 × 1 thread)"`` and so on, is asked for by what their
    names share, ``"loop"``, and is represented by its fastest form.
    """
    keys = [column for column in table.columns if column not in ("contestant", "seconds")]
    wide = table.pivot(index=keys, columns="contestant", values="seconds")
    return np.asarray(wide[fastest(table, slow)] / wide[fastest(table, fast)])


def raced(table: pd.DataFrame, contestant: str) -> pd.Series:
    """Say of each row whether it is of a contestant, in whatever form."""
    return (table.contestant == contestant) | table.contestant.str.startswith(f"{contestant} (")


def fastest(table: pd.DataFrame, contestant: str) -> str:
    """Name of the form of a contestant with the lowest median, if it raced; see `ratios`."""
    forms = table[raced(table, contestant)]
    if forms.empty:
        known = ", ".join(table.contestant.unique())
        raise ValueError(f"contestant must be one of {known}; got {contestant!r}")
    return str(forms.groupby("contestant").seconds.median().idxmin())


def exponents(table: pd.DataFrame, *, last: int = 3) -> pd.DataFrame:
    """Fit powers to the largest sizes of each curve: seconds ~ size^`time`, MiB ~ size^`memory`.

    Points have columns `what`, `size`, `seconds` and `mib`, both nan where a point was not measured. The
    smallest size that was fitted is `from`; curves of fewer than two points are left out.
    """
    rows = []
    for what, group in table.dropna(subset="seconds").groupby("what", sort=False):
        end = group.nlargest(last, "size")
        if len(end) < 2:
            continue
        size = np.log(end["size"])
        time = np.polyfit(size, np.log(end.seconds), 1)[0]
        memory = np.polyfit(size, np.log(end.mib.clip(lower=SMALLEST)), 1)[0]
        rows.append({"what": what, "from": int(end["size"].min()), "time": time, "memory": memory})
    return pd.DataFrame(rows)


def by_search(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up how often each `search` misses the best Q known, over graphs and seeds.

    Of its `searches` so many are `below`, on `graphs` of all graphs (`of`), and so many `above`; `lowest` is
    the lowest Q less the best known. A graph takes it `seconds` on average, for so many `runs`.
    """
    found: pd.DataFrame = table.groupby("search", sort=False).agg(
        searches=("seeds", "sum"),
        below=("below", "sum"),
        graphs=("below", lambda below: int((below > 0).sum())),
        of=("graph", "size"),
        above=("above", "sum"),
        lowest=("lowest", "min"),
        seconds=("seconds", "mean"),
        runs=("runs", "mean"),
    )
    return found.reset_index()


def shortfall(table: pd.DataFrame) -> pd.DataFrame:
    """How far Q of null draws falls short with few restarts, in the standard deviations of the draws.

    The rows are those of `benchmarks.search.on_nulls`. For each number of `restarts` there is the `mean` over
    graphs, its standard `error`, and the `worst` graph.
    """
    graph = ["layer", "measure", "normalized"]
    q = table.pivot_table(index=[*graph, "draw"], columns="restarts", values="q")
    long = q.columns.max()
    short = q.drop(columns=long).sub(q[long], axis=0).groupby(graph).mean()
    short = short.div(q[long].groupby(graph).std(), axis=0)
    found: pd.DataFrame = short.agg(["mean", "sem", "min"]).T.set_axis(["mean", "error", "worst"], axis=1)
    return found.reset_index()
