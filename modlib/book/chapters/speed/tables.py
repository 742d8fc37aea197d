"""How fast modlib is, as the benchmarks put it on record: ratios, curves and what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from modlib.book import benchmark_records
from modlib.book.benchmark_records import Device, Record

#: Devices that benchmarks may be on record for.
DEVICES: tuple[Device, ...] = ("cpu", "cuda")
#: Ratios of the analysis of one network, and of training, by what they are called on record.
PARTS = ("whole", "similarity", "modules", "agreement")
MEGABYTE = 1e6  # bytes
#: Ratios of training with a way of doing it that is not the fastest: name, slow and fast.
_FORMS = (("loop_fused", "loop (fused)", "stack"), ("uncompiled", "stack (plain)", "stack (compiled)"))
#: Difference up to which Q is the same.
ROUNDING = 1e-9
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
    Goal("products", "training: matrix products alone, of the stack's time", "cpu", 40.0, "%"),
    Goal("analysis_whole", "analysis of a network, over the published method", "cpu", 500.0, "×"),
    Goal("q_lower", "graphs of which the published method finds a higher Q", "cpu", 0.0, most=True),
    Goal("page_heaviest", "heaviest page, without shared scripts", "cpu", 1.5, "MB", most=True),
    Goal("page_slowest", "slowest page, until it can be used", "cpu", 2.0, "s", most=True),
    Goal("minutes_test", "make test, on two cores", "cpu", 10.0, "min", most=True),
    Goal("loop", "on a GPU, training: stack over one network at a time", "cuda", 300.0, "×"),
    Goal("products", "on a GPU, training: matrix products, of the stack's time", "cuda", 60.0, "%"),
    Goal("base_training", "on a GPU: the 270 networks of base trained", "cuda", 10.0, "s", most=True),
    Goal("base_similarity", "on a GPU: their similarities", "cuda", 1.0, "s", most=True),
    Goal("base_modules", "beside a GPU, 16 cores: their modules and agreement", "cuda", 60.0, "s", most=True),
)


def goals() -> pd.DataFrame:
    """Set what was measured beside what was asked for.

    Returns
    -------
    DataFrame
        One row a goal: `what`, `asked`, `measured` (texts) and `met`: yes, no, or not measured.
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
            {"what": goal.what,
             "asked": f"{'≤' if goal.most else '≥'} {goal.asked:g}{unit}",
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
    return _parts(benchmark_records.read("analysis", device).table)


def _parts(table: pd.DataFrame) -> pd.DataFrame:
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
    table = benchmark_records.read("growth", "cpu").table.dropna()
    largest = table.sort_values("size").groupby("what").last()
    fits = exponents(table).set_index("what")
    return fits.assign(to=largest["size"], seconds=largest.seconds, mib=largest.mib)[
        ["from", "to", "time", "memory", "seconds", "mib"]
    ]


def machine(name: str, device: Device = "cpu") -> str:
    """Say on what machine a record was measured."""
    found = benchmark_records.read(name, device).machine
    with_gpu = f"{found['device']} with " if device == "cuda" else ""
    return (
        f"{with_gpu}{found['cpu']}, {found['cores']} cores, {found['memory_gib']:g} GiB; "
        f"torch {found['versions']['torch']}"
    )


# ---------------------------------------------------------------- what is on record


def _of_training(record: Record) -> dict[str, int | float]:
    table = record.table
    found: dict[str, int | float] = {}
    for name, slow, fast, unit in (
        ("loop", "loop", "stack", 1),
        ("products", "products", "stack", 100),
        ("bound", "loop", "products", 1),
    ):
        times = spread(unit * ratios(table, slow, fast))
        found |= {name: times.median, f"{name}_lower": times.lower, f"{name}_upper": times.upper}
    for name in ("loop", "stack"):
        of_fastest = table[table.contestant == fastest(table, name)]
        found[f"milliseconds_{name}"] = 1000 * float(of_fastest.seconds.median())
    for name, slow, fast in _FORMS:  # a form by its full name, where it raced
        if {slow, fast} <= {"stack", *table.contestant}:
            found[name] = spread(ratios(table, slow, fast)).median
    return found


def _of_base(record: Record) -> dict[str, int | float]:
    found = {f"base_{stage}": float(s.median()) for stage, s in record.table.groupby("stage").seconds}
    return {**found, "base_first": float(record.about["first"]["training"])}


def _of_suite(record: Record) -> dict[str, int | float]:
    return {"minutes_test": record.about["wall"]["test"] / 60}


def _of_analysis(record: Record) -> dict[str, int | float]:
    table = record.table
    found: dict[str, int | float] = {"networks": table.network.nunique()}
    for row in _parts(table).reset_index().to_dict("records"):
        part = row["part"]
        found |= {f"analysis_{part}": row["times"], f"analysis_{part}_lower": row["from"],
                  f"analysis_{part}_upper": row["to"]}  # fmt: skip
        found |= {f"seconds_{side}_{part}": row[side] for side in ("modlib", "published")}
    return found


def _of_modules(record: Record) -> dict[str, int | float]:
    gain = record.table.gain
    return {
        "q_graphs": len(gain), "q_higher": int((gain > ROUNDING).sum()),
        "q_lower": int((gain < -ROUNDING).sum()), "q_equal": int((gain.abs() <= ROUNDING).sum()),
        "q_most_lower": max(0.0, -float(gain.min())), "q_most_higher": max(0.0, float(gain.max())),
    }  # fmt: skip


def _of_growth(record: Record) -> dict[str, int | float]:
    table = record.table
    found: dict[str, int | float] = {}
    for point in table.dropna().to_dict("records"):
        name = f"{_slug(point['what'])}_{{}}_{point['size']}"
        found |= {name.format(of): point[of] for of in ("seconds", "mib")}
    for fit in exponents(table).to_dict("records"):
        found |= {f"{_slug(fit['what'])}_{of}": fit[of] for of in ("time", "memory")}
    return found


def _of_sparse(record: Record) -> dict[str, int | float]:
    table = record.table
    whole = float(table[table.neighbours == 0].seconds.iloc[0])
    found: dict[str, int | float] = {"sparse_units": int(table.units.iloc[0])}
    for row in table[table.neighbours > 0].to_dict("records"):
        k = row["neighbours"]
        found |= {f"sparse_lost_{k}": 100 * row["lost"], f"sparse_times_{k}": whole / row["seconds"]}
    return found


def _of_images(record: Record) -> dict[str, int | float]:
    table = record.table
    found: dict[str, int | float] = {}
    for n, group in table.groupby("images"):
        found |= {f"images_{of}_{n}": 100 * float(group[of].median()) for of in ("error", "lost")}
        found[f"images_most_lost_{n}"] = 100 * float(group.lost.quantile(0.75))
    return found


def _of_builds(record: Record) -> dict[str, int | float]:
    table = record.table
    return {f"build_{_slug(row['build'])}": row["seconds"] for row in table.to_dict("records")}


def _of_pages(record: Record) -> dict[str, int | float]:
    table = record.table
    desk = table[table.window == "desk"]
    return {
        "pages": len(desk), "page_heaviest": float(desk.own_bytes.max()) / MEGABYTE,
        "page_median": float(desk.own_bytes.median()) / MEGABYTE,
        "page_shared": float(desk.shared_bytes.max()) / MEGABYTE,
        "page_slowest": float(table.seconds.max()), "page_typical": float(table.seconds.median()),
    }  # fmt: skip


_READERS: dict[str, Callable[[Record], dict[str, int | float]]] = {
    "training": _of_training,
    "base": _of_base,
    "analysis": _of_analysis,
    "analysis-q": _of_modules,
    "growth": _of_growth,
    "growth-sparse": _of_sparse,
    "growth-images": _of_images,
    "book-builds": _of_builds,
    "book-pages": _of_pages,
    "suite": _of_suite,
}


def measured(device: Device) -> dict[str, int | float]:
    """Everything that is on record for a device, by name; see `numbers`."""
    found: dict[str, int | float] = {}
    for name, read in _READERS.items():
        if (stored := benchmark_records.read_if_there(name, device)) is not None:
            found |= read(stored)
    return found


def _slug(words: object) -> str:
    return str(words).lower().replace(" by ", " ").replace(" ", "_")


#: Numbers that the pages cite, by device; None until they are on record.
CITED: dict[Device, tuple[str, ...]] = {
    "cpu": (
        "loop", "loop_lower", "loop_upper", "products", "products_lower", "products_upper",
        "bound", "milliseconds_loop", "milliseconds_stack",
        *(f"analysis_{part}{end}" for part in PARTS for end in ("", "_lower", "_upper")),
        *(f"seconds_{side}_{part}" for side in ("modlib", "published") for part in PARTS),
        "networks", "q_graphs", "q_higher", "q_equal", "q_lower", "q_most_higher", "q_most_lower",
        "similarity_units_time", "one_leiden_run_units_time", "agreement_units_time", "bound_units_time",
        "similarity_units_seconds_4096", "one_leiden_run_units_seconds_4096", "bound_units_seconds_64",
        "similarity_images_time", "similarity_images_mib_1000", "similarity_images_mib_1000000",
        "similarity_images_seconds_1000000", "training_networks_time", "training_networks_mib_10000",
        "training_networks_seconds_10000", "similarity_networks_time",
        "sparse_units", *(f"sparse_{what}_{k}" for what in ("lost", "times") for k in (8, 32, 128, 512)),
        *(f"images_{what}_{n}" for what in ("error", "lost", "most_lost") for n in (100, 1000)),
        "build_nothing_built", "build_nothing_changed", "build_a_chapter_changed",
        "pages", "page_heaviest", "page_median", "page_shared", "page_slowest", "page_typical",
    ),
    "cuda": (
        "loop", "loop_lower", "loop_upper", "loop_fused", "products", "products_lower", "products_upper",
        "uncompiled", "milliseconds_loop", "milliseconds_stack",
        "base_training", "base_first", "base_similarity", "base_modules",
    ),
}  # fmt: skip


def numbers(_profile: str) -> dict[str, float | int | str | None]:
    """Numbers that the page on speed cites, ``speed_…`` and ``speed_cuda_…``; the same at both profiles."""
    found: dict[str, float | int | str | None] = {}
    for device, keys in CITED.items():
        values = measured(device)
        prefix = "speed_" if device == "cpu" else f"speed_{device}_"
        found |= {f"{prefix}{key}": values.get(key) for key in keys}
        measured_on = benchmark_records.read_if_there("training", device) is not None
        found[f"{prefix}machine"] = machine("training", device) if measured_on else None
    return found
