"""How many partitions of real graphs are proven best, in how much time of one core, and how far the rest is.

The graphs are 64 of 64 units each, of trained and untrained networks (see ``tests/reference/README.md``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks import best_known
from modlib import modularity_optimum

TIME_LIMIT = 120.0  # seconds of the processor, a graph


def measure(
    *,
    time_limit: float = TIME_LIMIT,
    graphs: int | None = None,
    processes: int = 1,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Look for the optimum of each graph, on one thread.

    Parameters
    ----------
    time_limit
        Seconds of the processor, a graph.
    graphs
        How many of the graphs, by default all.
    processes
        So many graphs are worked on at a time, each on one core.
    say
        What is told of each graph as it is done.

    Returns
    -------
    DataFrame
        One row a graph: its name, `best_known_q`, the number of `units` with edges, the `q` and `bound`
        found, the `gap` as a share of q, whether it is `proven`, how many `regions` were bounded, and
        `seconds` of the processor.
    """
    known = best_known.graphs()[:graphs]
    rows = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for graph, row in zip(known, pool.map(_one, (g.A for g in known), repeat(time_limit)), strict=True):
            say(f"{graph.name}: q {row['q']:.7f}, gap {100 * row['gap']:.5f} %, {row['seconds']:.1f} s")
            rows.append({"graph": graph.name, "best_known_q": graph.best_known_q} | row)
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame) -> str:
    """Say in one line how many are proven, how long that took, and how far the others are."""
    proven, rest = table[table.proven], table[~table.proven]
    missed = int((table.q < table.best_known_q - 1e-12).sum())
    took = f"{proven.seconds.median():.1f} s in the median and {proven.seconds.max():.0f} s at most"
    above = f"{100 * rest.gap.median():.2g} % in the median and {100 * rest.gap.max():.2g} % at most"
    return (
        f"{len(proven)} of {len(table)} proven, in {took}; of the rest the bound is above by {above}; "
        f"the best known Q is missed on {missed}"
    )


def _one(A: np.ndarray, time_limit: float) -> dict[str, float | bool | int]:
    with threadpool_limits(1):
        start = time.process_time()
        best = modularity_optimum(A, time_limit=time_limit, clock=time.process_time)
        seconds = time.process_time() - start
    return {
        "units": int(A.any(axis=1).sum()),
        "q": best.q,
        "bound": best.bound,
        "gap": best.gap / best.q,
        "proven": best.proven,
        "regions": best.regions,
        "seconds": seconds,
    }
