"""Timing two or more things against each other in the same run, so that what slows one slows all."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import pandas as pd
import torch


def race(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warm_up: int = 1,
    work: Mapping[str, float] | None = None,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> pd.DataFrame:
    """Time contestants in turn, A B C A B C …, and not one after the other has run all its rounds.

    A machine that others use is slow for minutes at a time. In turn, that hits all contestants alike, and the
    ratio of two of them within a round hardly changes.

    Parameters
    ----------
    contestants
        What to call, by name.
    rounds, warm_up
        Calls of each that are timed, and calls of each before that.
    work
        How much each does in a call, 1 by default; seconds are divided by it.
    device
        ``"cuda"``: the device has done all that was asked of it before a clock is read.
    clock
        Seconds from some time on.

    Returns
    -------
    DataFrame
        One row a contestant and round: `contestant`, `round`, `seconds`. Garbage is collected between
        rounds only.
    """
    if rounds < 1 or warm_up < 0:
        raise ValueError(f"rounds must be 1 or more and warm_up 0 or more, got {rounds} and {warm_up}")
    finish = torch.cuda.synchronize if device == "cuda" else _nothing
    for _ in range(warm_up):
        for run in contestants.values():
            run()
    rows = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            gc.collect()
            for name, run in contestants.items():
                finish()
                start = clock()
                run()
                finish()
                seconds = clock() - start
                rows.append((name, number, seconds / (work or {}).get(name, 1.0)))
    finally:
        if collecting:
            gc.enable()
    return pd.DataFrame(rows, columns=["contestant", "round", "seconds"])


def _nothing() -> None:
    pass
