"""How fast modlib is, as the benchmarks put it on record; the records are the same at both profiles."""

import math
from typing import NamedTuple

import pandas as pd

from modlib.book.benchmark_records import Device, Record, read_if_there
from modlib.book.chapters.speed.estimates import (
    by_search,
    exponents,
    fastest,
    quartiles,
    raced,
    ratios,
    shortfall,
)
from modlib.book.numbers import Maker, offered
from modlib.book.stored import there

#: Devices that benchmarks may be on record for.
DEVICES: tuple[Device, ...] = ("cpu", "cuda")
#: Parts of the analysis of a network.
PARTS = ("whole", "similarity", "modules", "agreement")
#: Ratios of training, the slower contestant and the faster; a form by its full name where it raced.
TRAINING_RATIOS = {
    "loop": ("loop", "stack"),
    "products": ("products", "stack"),
    "bound": ("loop", "products"),
    "plain loop": ("loop (fused)", "stack"),
    "plain stack": ("stack (plain)", "stack (compiled)"),
}
BUILDS = ("nothing built", "nothing changed", "a chapter changed")
MEGABYTE = 1e6  # bytes
ROUNDING = 1e-9  # values of Q that differ by no more are the same


def on_record(name: str) -> pd.DataFrame | None:
    """Return the table of a record of the CPU; None if there is none."""
    record = read_if_there(name, "cpu")
    return None if record is None else record.table


def _training() -> dict[Device, Record]:
    """Return the records of training that there are, by device."""
    found = {device: read_if_there("training", device) for device in DEVICES}
    return {device: record for device, record in found.items() if record is not None}


@offered("device")
def machines(_profile: str) -> pd.DataFrame:
    """Describe the machines on which training was timed."""
    rows = []
    for device, record in _training().items():
        of = record.machine
        with_gpu = f"{of['device']} with " if device == "cuda" else ""
        name = f"{with_gpu}{of['cpu']}, {of['cores']} cores, {of['memory_gib']:g} GiB"
        rows.append({"device": device, "name": f"{name}; torch {of['versions']['torch']}"})
    return pd.DataFrame(rows)


@offered("device", "ratio")
def training(_profile: str) -> pd.DataFrame:
    """Ratios of seconds in training, within rounds: medians and quartiles, as multiples and in per cent."""
    rows = []
    for device, record in _training().items():
        for ratio, (slow, fast) in TRAINING_RATIOS.items():
            if all(raced(record.table, contestant).any() for contestant in (slow, fast)):
                rows.append([device, ratio, *quartiles(ratios(record.table, slow, fast))])
    found = pd.DataFrame(rows, columns=["device", "ratio", "times", "lower", "upper"])
    return found.assign(**{f"percent_{of}": 100 * found[of] for of in ("times", "lower", "upper")})


@offered("device", "contestant")
def epochs(_profile: str) -> pd.DataFrame:
    """Milliseconds that training takes for a network and epoch, in the fastest form of each contestant."""
    rows = []
    for device, record in _training().items():
        for contestant in ("loop", "stack"):
            table = record.table
            seconds = table[table.contestant == fastest(table, contestant)].seconds
            rows.append({"device": device, "contestant": contestant, "milliseconds": 1000 * seconds.median()})
    return pd.DataFrame(rows)


@offered("stage")
def base(_profile: str) -> pd.DataFrame:
    """Seconds of each stage of the experiment base on a GPU, and of the first time, compiling included."""
    record = there(read_if_there("base", "cuda"))
    medians = record.table.groupby("stage", as_index=False).seconds.median()
    found: pd.DataFrame = medians.assign(first=medians.stage.map(record.about["first"]))
    return found


@offered("part")
def analysis(_profile: str) -> pd.DataFrame:
    """Median seconds to analyse a network, by part, and how many `times` longer the published way takes."""
    table = there(on_record("analysis"))
    medians = table.groupby("contestant").seconds.median()
    rows = []
    for part in PARTS:
        seconds = {side: medians[f"{side}: {part}"] for side in ("modlib", "published")}
        times, low, high = quartiles(ratios(table, f"published: {part}", f"modlib: {part}"))
        rows.append({"part": part, **seconds, "times": times, "from": low, "to": high})
    return pd.DataFrame(rows)


@offered()
def partitions(_profile: str) -> pd.DataFrame:
    """Graphs on which the Q of modlib's search is higher, lower or the same as that of the published one."""
    table = there(on_record("analysis-q"))
    gain = table.gain
    row = {
        "networks": table.network.nunique(),
        "graphs": len(gain),
        "higher": (gain > ROUNDING).sum(),
        "lower": (gain < -ROUNDING).sum(),
        "equal": gain.between(-ROUNDING, ROUNDING).sum(),
        "most_higher": max(0.0, gain.max()),
        "most_lower": max(0.0, -gain.min()),
    }
    return pd.DataFrame([row])


@offered("units", "search")
def searches(_profile: str) -> pd.DataFrame:
    """How often each search misses the best Q known of a graph, given as much time as `find_modules` takes.

    The columns are those of `by_search`, with `percent` of all searches, `milliseconds` a graph, and
    `furthest`, by how much Q the worst search misses.
    """
    records = {64: on_record("search"), 256: on_record("search-wide")}
    found = [by_search(table).assign(units=units) for units, table in records.items() if table is not None]
    table = pd.concat(found or [by_search(there(None))], ignore_index=True)
    table = table.assign(percent=100 * table.below / table.searches, milliseconds=1000 * table.seconds)
    table["furthest"] = -table.lowest.clip(upper=0)
    return table[["units", *table.columns.drop("units")]]


@offered("restarts")
def null_searches(_profile: str) -> pd.DataFrame:
    """How far Q of null draws of 256 units falls `short` with few restarts: `shortfall`, as a distance."""
    found = shortfall(there(on_record("search-nulls")))
    return found.assign(short=-found["mean"])


@offered()
def optima(_profile: str) -> pd.DataFrame:
    """How many best partitions are proven, in what time of one core, and how far off the other bounds are."""
    table = there(on_record("optima"))
    proven, rest = table[table.proven], table[~table.proven]
    row = {
        "graphs": len(table),
        "proven": len(proven),
        "typical_seconds": proven.seconds.median(),
        "most_seconds": proven.seconds.max(),
        "largest_gap_percent": 100 * (rest.gap.max() if len(rest) else 0.0),
        "missed": int((table.q < table.best_known_q - ROUNDING).sum()),
    }
    return pd.DataFrame([row])


def _peers() -> pd.DataFrame:
    """Median seconds of each peer at each stage, and quartiles of its seconds over modlib's."""
    rows = []
    for stage, group in there(on_record("peers")).groupby("stage", sort=False):
        for peer, own in group.groupby("contestant", sort=False):
            times, low, high = quartiles(ratios(group, str(peer), "modlib"))
            rows.append([stage, peer, own.seconds.median(), times, low, high])
    return pd.DataFrame(rows, columns=["stage", "peer", "seconds", "times", "from", "to"])


@offered("stage", "peer")
def peers(_profile: str) -> pd.DataFrame:
    """Median `seconds` of each peer at each stage, and how many `times` as long as modlib's it takes."""
    return _peers()


@offered()
def peer_images(_profile: str) -> pd.DataFrame:
    """How many images the peers were given."""
    return pd.DataFrame([{"images": there(read_if_there("peers", "cpu")).about["images"]}])


@offered()
def faster_peers(_profile: str) -> pd.DataFrame:
    """Count the stages at which some peer is faster than modlib (`stages`, of `all`)."""
    shortest = _peers().groupby("stage").times.min()
    return pd.DataFrame([{"stages": int((shortest < 1).sum()), "all": len(shortest)}])


@offered()
def report(_profile: str) -> pd.DataFrame:
    """Seconds and GiB of a report, and how many `times` longer the exact input gradient takes than estimated.

    The report is on `channels` of a residual network over so many `images`, from the import of modlib to the
    page; the gradient is estimated from `probes` directions a sample.
    """
    record = there(read_if_there("report", "cpu"))
    exact, estimated = (name for name in record.table.contestant.unique() if name != "whole report")
    times, lower, upper = quartiles(ratios(record.table, exact, estimated))
    seconds = record.table[record.table.contestant == "whole report"].seconds.median()
    about = {name: record.about[name] for name in ("channels", "images", "probes", "memory_gib")}
    row = {"seconds": seconds, "times": times, "lower": lower, "upper": upper, **about}
    return pd.DataFrame([row])


@offered("what", "size")
def growth(_profile: str) -> pd.DataFrame:
    """Seconds and most memory held (MiB) of every point of the curves of growth."""
    return there(on_record("growth")).dropna()


@offered("what")
def powers(_profile: str) -> pd.DataFrame:
    """Powers by which `time` and `memory` grow between two sizes, and `seconds` and `mib` at the larger."""
    table = there(on_record("growth")).dropna()
    largest = table.sort_values("size").groupby("what").last().rename(columns={"size": "to"})
    found = exponents(table).join(largest, on="what")
    return found[["what", "from", "to", "time", "memory", "seconds", "mib"]]


@offered("images")
def fewer_images(_profile: str) -> pd.DataFrame:
    """Error of graphs from fewer images, and share of Q given up, in per cent: medians and a quartile."""
    groups = there(on_record("growth-images")).groupby("images")
    medians = groups[["error", "lost"]].median().assign(lost_upper=groups.lost.quantile(0.75))
    return (100 * medians).reset_index()


def raw_graphs_of_fewer_images() -> pd.DataFrame:
    """Return the raw graphs from fewer images, without those that are the same whatever the images are."""
    table = there(on_record("growth-images"))
    return table[~table.normalized & (table.error > ROUNDING)]


@offered("images", "measure")
def fewer_images_by_measure(_profile: str) -> pd.DataFrame:
    """Error of raw graphs from fewer images, and share of Q given up, in per cent: medians by measure."""
    groups = raw_graphs_of_fewer_images().groupby(["images", "measure"])
    return (100 * groups[["error", "lost"]].median()).reset_index()


@offered("neighbours")
def fewer_edges(_profile: str) -> pd.DataFrame:
    """Time of a search of the whole graph, as `times` that of one with the strongest edges of each unit only.

    The share of Q that is given up is in per cent.
    """
    table = there(on_record("growth-sparse"))
    whole = table[table.neighbours == 0].seconds.item()
    return table.assign(times=whole / table.seconds, lost=100 * table.lost)


@offered("build")
def builds(_profile: str) -> pd.DataFrame:
    """Seconds to build the book; nan until they are measured, for which the book is built."""
    table = on_record("book-builds")
    seconds = pd.Series(dtype=float) if table is None else table.set_index("build").seconds
    return seconds.reindex(BUILDS).rename("seconds").rename_axis("build").reset_index()


@offered()
def pages(_profile: str) -> pd.DataFrame:
    """Weight of the book's pages (MB) and seconds until they can be used; nan until they are measured."""
    table = on_record("book-pages")
    columns = ["pages", "heaviest", "typical_weight", "shared", "slowest", "typical_seconds"]
    if table is None:
        return pd.DataFrame([dict.fromkeys(columns, float("nan"))])
    desk = table[table.window == "desk"]
    weights, seconds = desk.own_bytes.agg(["max", "median"]) / MEGABYTE, table.seconds.agg(["max", "median"])
    row = [len(desk), *weights, desk.shared_bytes.max() / MEGABYTE, *seconds]
    return pd.DataFrame([row], columns=columns)


@offered()
def suite(_profile: str) -> pd.DataFrame:
    """Minutes that ``make test`` takes."""
    return pd.DataFrame([{"minutes": there(read_if_there("suite", "cpu")).about["wall"]["test"] / 60}])


# ---------------------------------------------------------------- what was asked for


class Goal(NamedTuple):
    """Something that was asked for before it was measured, and the cell in which the measurement stands."""

    what: str
    table: Maker
    row: tuple[str | int, ...]  # labels of the table's first columns
    column: str
    asked: float  # the least that is enough, or with `most` the most
    unit: str = ""
    most: bool = False

    def measured(self) -> float | None:
        """Return what was measured; None where nothing is on record."""
        table = self.table("paper")
        for name, label in zip(table.columns, self.row, strict=False):
            table = table[table[name] == label]
        value = math.nan if table.empty else float(table[self.column].item())
        return None if math.isnan(value) else value


GOALS = (
    Goal("training: stack over one network at a time", training, ("cpu", "loop"), "times", 3.0, "×"),
    Goal("training: matrix products alone, of the stack's time", training, ("cpu", "products"),
         "percent_times", 80.0, "%"),
    Goal("stages of an analysis at which another package is faster", faster_peers, (), "stages", 0.0,
         most=True),
    Goal("searches of 64 units, ten a graph, that miss the best Q known", searches, (64, "modlib"), "below",
         0.0, most=True),
    Goal("searches of 256 units, ten a graph, that miss the best Q known", searches, (256, "modlib"), "below",
         0.0, most=True),
    Goal("a report on 256 channels, 1,000 pictures of 32 × 32 pixels, from import to page", report, (),
         "seconds", 120.0, "s", most=True),
    Goal("memory of that report", report, (), "memory_gib", 4.0, "GiB", most=True),
    Goal("graphs of 64 units proven, in two minutes each (of 64)", optima, (), "proven", 48.0),
    Goal("bound above Q on the others, at most", optima, (), "largest_gap_percent", 3.0, "%", most=True),
    Goal("graphs of which the published method finds a higher Q", partitions, (), "lower", 0.0, most=True),
    Goal("the book, its environment set up and nothing built", builds, ("nothing built",), "seconds", 240.0,
         "s", most=True),
    Goal("heaviest page, without shared scripts", pages, (), "heaviest", 1.5, "MB", most=True),
    Goal("slowest page, until it can be used", pages, (), "slowest", 2.0, "s", most=True),
    Goal("make test, on two cores", suite, (), "minutes", 10.0, "min", most=True),
    Goal("on a GPU, training: stack over one network at a time", training, ("cuda", "loop"), "times",
         300.0, "×"),
    Goal("on a GPU, training: matrix products, of the stack's time", training, ("cuda", "products"),
         "percent_times", 60.0, "%"),
    Goal("on a GPU: the 270 networks of base trained", base, ("training",), "seconds", 10.0, "s", most=True),
    Goal("on a GPU: their similarities", base, ("similarity",), "seconds", 1.0, "s", most=True),
    Goal("beside a GPU, 16 cores: their modules and agreement", base, ("modules",), "seconds", 60.0, "s",
         most=True),
)  # fmt: skip


def goals() -> pd.DataFrame:
    """Set what was measured beside what was asked for, as texts, and say whether each goal is met."""
    rows = []
    for goal in GOALS:
        value, unit = goal.measured(), f" {goal.unit}" if goal.unit else ""
        asked, measured, met = f"{'≤' if goal.most else '≥'} {goal.asked:g}{unit}", "n/a", "not measured"
        if value is not None:
            measured = f"{value:.3g}{unit}"
            met = "yes" if (value <= goal.asked if goal.most else value >= goal.asked) else "no"
        rows.append([goal.what, asked, measured, met])
    return pd.DataFrame(rows, columns=["what", "asked", "measured", "met"])


@offered()
def missed(_profile: str) -> pd.DataFrame:
    """How many of the goals are missed (`missed`, of `goals`)."""
    met = goals().met
    return pd.DataFrame([{"goals": len(met), "missed": int((met == "no").sum())}])
