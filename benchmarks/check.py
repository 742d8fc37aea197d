"""Whether the ratios on record still hold: measured again in short, and at length before anything is said.

A machine that others use too is slow now and then, but for both sides of a ratio, since they run in turn. A
ratio has collapsed if its median over rounds is below half of that on record, and is so again when measured
with more rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks import analysis, training
from modlib.book import benchmark_records
from modlib.book.benchmark_records import Device, RecordError
from modlib.book.chapters.speed.estimates import ratios

FLOOR = 0.5
"""Share of the ratio on record below which a ratio has collapsed."""


@dataclass(frozen=True)
class Checked:
    """A benchmark to be checked.

    Attributes
    ----------
    ratios
        Contestants, the slow one and the fast one, of each ratio.
    short, long
        Measure on a device, quickly, and for longer; return a table of `benchmarks.timing.race`.
    """

    ratios: tuple[tuple[str, str], ...]
    short: Callable[[Device], pd.DataFrame]
    long: Callable[[Device], pd.DataFrame]


def _trained(device: Device, *, images: int, rounds: int) -> pd.DataFrame:
    epochs = 1
    if device == "cuda":  # whose first steps are not replayed yet
        images, epochs = 60_000, 3
    return training.measure(device, images=images, epochs=epochs, rounds=rounds, stride=6, tuned=False)[0]


CHECKED = {
    "training": Checked(
        training.RATIOS,
        lambda device: _trained(device, images=6000, rounds=3),
        lambda device: _trained(device, images=20_000, rounds=7),
    ),
    "analysis": Checked(
        analysis.RATIOS,
        lambda device: analysis.measure(device, rounds=1, shuffles=500, networks=1)[0],
        lambda device: analysis.measure(device, rounds=5, shuffles=2500, networks=1)[0],
    ),
}


def problems(name: str, device: Device, *, say: Callable[[str], object] = print) -> Iterator[str]:
    """Ratios of a benchmark that have collapsed, a sentence each.

    Parameters
    ----------
    name, device
        A key of `CHECKED`, and where to measure.
    say
        Is told what was found, whether good or bad.
    """
    checked = CHECKED[name]
    try:
        stored = benchmark_records.read(name, device)
        expected = {pair: float(np.median(ratios(stored.table, *pair))) for pair in checked.ratios}
    except (FileNotFoundError, RecordError) as error:
        yield str(error)
        return
    suspects = tuple(expected)
    for measure in (checked.short, checked.long):
        table = measure(device)
        found = {pair: float(np.median(ratios(table, *pair))) for pair in suspects}
        for pair, value in found.items():
            say(f"{name}: {_named(pair)} is {value:.3g}, on record {expected[pair]:.3g}")
        suspects = tuple(pair for pair, value in found.items() if not value >= FLOOR * expected[pair])
        if not suspects:
            return
    for pair in suspects:
        yield (
            f"{name}-{device}: {_named(pair)} has fallen to {found[pair]:.3g}, "
            f"below {FLOOR:g} of the {expected[pair]:.3g} on record"
        )


def _named(pair: tuple[str, str]) -> str:
    return f"{pair[0]} / {pair[1]}"
