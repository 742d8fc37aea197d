"""How fast modlib is, as the benchmarks put it on record: ratios, curves and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from modlib import records
from modlib.records import Device, Record

#: Devices that benchmarks may be on record for, and what a reader calls them.
DEVICES: dict[Device, str] = {"cpu": "processor", "cuda": "GPU"}
#: Ratios of the analysis of one network, and of training, by what they are called on record.
PARTS = ("whole", "similarity", "modules", "agreement")
MEGABYTE = 1e6  # bytes
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


# ---------------------------------------------------------------- what was asked for


@dataclass(frozen=True)
class Goal:
    """Something that was asked for before it was measured.

    Attributes
    ----------
    key
        Name of the number.
    what
        The same in words.
    device
        Where.
    asked
        The least that is enough, or with `most` the most that is.
    most
        Whether less is better.
    unit
        What is counted.
    """

    key: str
    what: str
    device: Device
    asked: float
    unit: str = ""
    most: bool = False


GOALS = (
    Goal("loop", "training: stack over one network at a time", "cpu", 3.0, "×"),
    Goal("products", "training: matrix products alone over stack", "cpu", 40.0, "%"),
    Goal("loop", "training: stack over one network at a time", "cuda", 300.0, "×"),
    Goal("products", "training: matrix products alone over stack", "cuda", 60.0, "%"),
    Goal("analysis_whole", "analysis of a network over the published method", "cpu", 500.0, "×"),
    Goal("q_lower", "graphs on which the published method finds a higher Q", "cpu", 0.0, "", most=True),
    Goal("page_heaviest", "heaviest page, without shared scripts", "cpu", 1.5, "MB", most=True),
    Goal("page_slowest", "slowest page until it can be used", "cpu", 2.0, "s", most=True),
)


def goals() -> pd.DataFrame:
    """Set what was measured beside what was asked for.

    Returns
    -------
    DataFrame
        One row a goal: `what`, `on`, `asked`, `measured` (texts) and `met`: yes, no, or not measured.
    """
    found = {device: measured(device) for device in DEVICES}
    rows = []
    for goal in GOALS:
        value = found[goal.device].get(goal.key)
        unit = f" {goal.unit}" if goal.unit else ""
        met = "not measured"
        if value is not None:
            met = "yes" if (value <= goal.asked if goal.most else value >= goal.asked) else "no"
        rows.append(
            {"what": goal.what, "on": DEVICES[goal.device],
             "asked": f"{'at most' if goal.most else 'at least'} {goal.asked:g}{unit}",
             "measured": "n/a" if value is None else f"{value:.3g}{unit}", "met": met}
        )  # fmt: skip
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- tables of the page


def contestants(device: Device = "cpu") -> pd.DataFrame:
    """Seconds of the analysis of a network, part by part: modlib's, the published method's, and their ratio.

    Returns
    -------
    DataFrame
        Indexed by part: `modlib` and `published` (medians, seconds), `times`, the median of their ratio over
        networks and rounds, and its quartiles `from` and `to`.
    """
    table = records.read("analysis", device).table
    medians = table.groupby("contestant").seconds.median()
    rows = []
    for part in PARTS:
        times = spread(ratios(table, f"published: {part}", f"modlib: {part}"))
        sides = {side: medians[f"{side}: {part}"] for side in ("modlib", "published")}
        rows.append({"part": part, **sides, "times": times.median, "from": times.lower, "to": times.upper})
    return pd.DataFrame(rows).set_index("part")


def powers() -> pd.DataFrame:
    """Powers of growth and the largest point of each curve.

    Returns
    -------
    DataFrame
        Indexed by what grows by what: `from` and `to`, sizes that the powers of `time` and `memory` are
        fitted to, and `seconds` and `mib` at the largest.
    """
    table = records.read("growth", "cpu").table.dropna()
    largest = table.sort_values("size").groupby("what").last()
    fits = exponents(table).set_index("what")
    return fits.assign(to=largest["size"], seconds=largest.seconds, mib=largest.mib)[
        ["from", "to", "time", "memory", "seconds", "mib"]
    ]


def machine(name: str, device: Device = "cpu") -> str:
    """Say on what machine a record was measured."""
    found = records.read(name, device).machine
    where = found["device"] if device == "cuda" else f"{found['cpu']}, {found['cores']} cores"
    return f"{where}, {found['memory_gib']:g} GiB; torch {found['versions']['torch']}"


# ---------------------------------------------------------------- what is on record


def measured(device: Device) -> dict[str, float]:
    """Everything that is on record for a device, by name; see `numbers`."""
    found: dict[str, float] = {}
    if training := _stored("training", device):
        loop = spread(ratios(training.table, "loop", "stack"))
        products = spread(100 * ratios(training.table, "products", "stack"))
        for name, values in (("loop", loop), ("products", products)):
            found |= {name: values.median, f"{name}_lower": values.lower, f"{name}_upper": values.upper}
        for name in ("loop", "stack"):
            form = training.table[training.table.contestant == fastest(training.table, name)]
            found[f"milliseconds_{name}"] = 1000 * form.seconds.median()
    if analysis := _stored("analysis", device):
        for part in PARTS:
            values = spread(ratios(analysis.table, f"published: {part}", f"modlib: {part}"))
            found |= {f"analysis_{part}": values.median, f"analysis_{part}_lower": values.lower,
                      f"analysis_{part}_upper": values.upper}  # fmt: skip
        medians = analysis.table.groupby("contestant").seconds.median()
        for side in ("modlib", "published"):
            found |= {f"seconds_{side}_{part}": float(medians[f"{side}: {part}"]) for part in PARTS}
        found["networks"] = analysis.table.network.nunique()
    if modules := _stored("analysis-q", device):
        gain = modules.table.gain
        found |= {
            "q_graphs": len(gain), "q_higher": int((gain > ROUNDING).sum()),
            "q_lower": int((gain < -ROUNDING).sum()), "q_equal": int((gain.abs() <= ROUNDING).sum()),
            "q_most_lower": max(0.0, -float(gain.min())), "q_most_higher": max(0.0, float(gain.max())),
        }  # fmt: skip
    if growth := _stored("growth", device):
        for what, points in growth.table.dropna().groupby("what"):
            for size in (points["size"].min(), points["size"].max()):
                point = points[points["size"] == size].iloc[0]
                found |= {
                    f"{_slug(what)}_seconds_{size}": point.seconds,
                    f"{_slug(what)}_mib_{size}": point.mib,
                }
        for row in exponents(growth.table).itertuples():
            found |= {f"{_slug(row.what)}_time": row.time, f"{_slug(row.what)}_memory": row.memory}
    if sparse := _stored("growth-sparse", device):
        whole = sparse.table[sparse.table.neighbours == 0].seconds.iloc[0]
        for row in sparse.table[sparse.table.neighbours > 0].itertuples():
            found |= {f"sparse_lost_{row.neighbours}": 100 * row.lost,
                      f"sparse_times_{row.neighbours}": whole / row.seconds}  # fmt: skip
        found["sparse_units"] = sparse.table.units.iloc[0]
    if images := _stored("growth-images", device):
        for n, group in images.table.groupby("images"):
            found |= {
                f"images_error_{n}": 100 * group.error.median(),
                f"images_lost_{n}": 100 * group.lost.median(),
            }
    if builds := _stored("book-builds", device):
        found |= {f"build_{_slug(row.build)}": row.seconds for row in builds.table.itertuples()}
    if pages := _stored("book-pages", device):
        desk = pages.table[pages.table.window == "desk"]
        found |= {
            "pages": len(desk), "page_heaviest": desk.own_bytes.max() / MEGABYTE,
            "page_median": desk.own_bytes.median() / MEGABYTE,
            "page_shared": desk.shared_bytes.max() / MEGABYTE,
            "page_slowest": pages.table.seconds.max(),
            "page_typical": pages.table.seconds.median(),
        }  # fmt: skip
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}


#: Difference up to which Q is the same.
ROUNDING = 1e-9


def _stored(name: str, device: Device) -> Record | None:
    try:
        return records.read(name, device)
    except FileNotFoundError:
        return None


def _slug(words: object) -> str:
    return str(words).lower().replace(" by ", " ").replace(" ", "_")


#: Numbers that the pages cite, by device; None until they are on record.
CITED: dict[Device, tuple[str, ...]] = {
    "cpu": (
        "loop", "loop_lower", "loop_upper", "products", "products_lower", "products_upper",
        "milliseconds_loop", "milliseconds_stack",
        *(f"analysis_{part}{end}" for part in PARTS for end in ("", "_lower", "_upper")),
        *(f"seconds_{side}_{part}" for side in ("modlib", "published") for part in PARTS),
        "networks", "q_graphs", "q_higher", "q_equal", "q_lower", "q_most_higher", "q_most_lower",
        "similarity_units_time", "one_leiden_run_units_time", "agreement_units_time", "bound_units_time",
        "similarity_units_seconds_4096", "one_leiden_run_units_seconds_4096", "bound_units_seconds_64",
        "similarity_images_time", "similarity_images_mib_1000", "similarity_images_mib_1000000",
        "similarity_images_seconds_1000000", "training_networks_time", "training_networks_mib_10000",
        "training_networks_seconds_10000", "similarity_networks_time",
        "sparse_units", *(f"sparse_{what}_{k}" for what in ("lost", "times") for k in (8, 32, 128, 512)),
        *(f"images_{what}_{n}" for what in ("error", "lost") for n in (100, 1000)),
        "build_nothing_built", "build_nothing_changed", "build_a_chapter_changed",
        "pages", "page_heaviest", "page_median", "page_shared", "page_slowest", "page_typical",
    ),
    "cuda": ("loop", "products"),
}  # fmt: skip


def numbers(_profile: str) -> dict[str, float | int | str | None]:
    """Numbers that the page on speed cites, ``speed_…`` and ``speed_cuda_…``; the same at both profiles."""
    found: dict[str, float | int | str | None] = {}
    for device, keys in CITED.items():
        values = measured(device)
        prefix = "speed_" if device == "cpu" else f"speed_{device}_"
        found |= {f"{prefix}{key}": values.get(key) for key in keys}
    return found | {"speed_machine": machine("training") if _stored("training", "cpu") else None}
