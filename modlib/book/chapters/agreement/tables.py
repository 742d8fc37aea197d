"""Tables of the chapter on agreement: by level, beside its ceiling, over all levels, and the paper's."""

from dataclasses import replace

import pandas as pd

from modlib.book import stored
from modlib.book.numbers import offered, once
from modlib.book.theme import REGULARIZERS
from modlib.paper import (
    by_level,
    contrasts,
    distance_from_paper,
    evidence,
    family_pairs,
    reliability,
    reported,
)
from modlib.paper.evidence import Case
from modlib.stats import intervals
from modlib.stats.intervals import Estimate
from modlib.study.accuracy_filter import LEVEL, kept_networks
from modlib.study.runner import run
from modlib.study.store import Results

STATES = {True: "trained", False: "untrained"}
METRICS = ("ami", "ecs")  # those that prose cites
FAMILY_PAIRS = ("upstream", "downstream", "across")
COMPARED = ("base", "base-v1", "wide", "deep", "fashion")


@once
def load_experiments(profile: str) -> dict[str, Results]:
    """Return the tables of `base`, computed if they must be, and of the other experiments that are stored."""
    return {"base": run("base", profile=profile)} | stored.experiments(profile, *COMPARED[1:])


# ---------------------------------------------------------------- by level


@offered("metric", "level", "family_pair")
def levels(profile: str) -> pd.DataFrame:
    """Agreement of different measures in `base` at every level, with its 95 % interval over seeds.

    A level is named by its regulariser and strength, as in ``dropout 0.5``; those that `by_level.landmarks`
    names are there under these names too.
    """
    results = run("base", profile=profile)
    return pd.concat([_at_levels(results, metric) for metric in METRICS], ignore_index=True)


@offered("experiment", "level", "family_pair")
def experiments(profile: str) -> pd.DataFrame:
    """Give adjusted mutual information of different measures at named levels, by experiment.

    The names are those of `by_level.landmarks`; experiments are those that are stored.
    """
    tables = []
    for name, results in load_experiments(profile).items():
        table = _at_levels(results, "ami")
        named = table[table.level.isin(by_level.landmarks(results))]
        tables.append(named.assign(experiment=name))
    return pd.concat(tables, ignore_index=True)


def of_experiments(profile: str) -> pd.DataFrame:
    """Lay out `experiments` for reading: a row an experiment and level, a column a pair of families."""
    table = experiments(profile)
    wide = table.pivot_table(index=["experiment", "level"], columns="family_pair", values="value", sort=False)
    return wide[[*FAMILY_PAIRS]].rename_axis(columns=None)


def _at_levels(results: Results, metric: str) -> pd.DataFrame:
    table = family_pairs.agreement_by_level(results, metric).rename(columns={metric: "value"})
    table = table.assign(metric=metric)
    named = by_level.landmarks(results)
    parts = [table[evidence.at_level(table, at)].assign(level=name) for name, at in named.items()]
    names = table.regularizer.map(REGULARIZERS) + table.strength.map(lambda strength: f" {strength:g}")
    each = table.assign(level=names)
    parts.append(each[(each.regularizer != "none") & ~each.level.isin(named)])
    return pd.concat(parts, ignore_index=True)


@offered("experiment", "level", "compared")
def differences(profile: str) -> pd.DataFrame:
    """Differences of adjusted mutual information at named levels, seed by seed, with 95 % intervals.

    What is `compared`: agreement within a family, ``upstream`` or ``downstream``, less that across families;
    and agreement across them less half of that within (``half``, the mean of both families).
    """
    rows = []
    for name, results in load_experiments(profile).items():
        case = Case(name, {name: results})
        for level, where in by_level.landmarks(results).items():
            if where[0] == "none":
                continue
            seeds = evidence.agreement_at(case, where)
            found = {family: seeds[family] - seeds.across for family in ("upstream", "downstream")}
            found["half"] = seeds.across - (seeds.upstream + seeds.downstream) / 4
            for compared, values in found.items():
                row = {"experiment": name, "level": level, "compared": compared}
                rows.append(row | _fields(intervals.mean(values.to_numpy(dtype=float))))
    return pd.DataFrame(rows)


@offered("family_pair")
def by_training(profile: str) -> pd.DataFrame:
    """Estimate what training at the weakest L2 adds to adjusted mutual information in `base` (Welch, 95 %).

    Untrained networks are of other seeds than the trained ones, so that the two are independent.
    """
    case = Case("base", {"base": run("base", profile=profile)})
    trained = evidence.agreement_at(case, contrasts.weakest_l2(case.trained))
    untrained = evidence.agreement_untrained(case)
    rows = []
    for pair in FAMILY_PAIRS:
        after, before = (table[pair].to_numpy(dtype=float) for table in (trained, untrained))
        rows.append({"family_pair": pair} | _fields(intervals.difference(after, before)))
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- beside what the noise of images leaves


@offered("level", "of")
def reliabilities(profile: str) -> pd.DataFrame:
    """Reliability of each measure's partitions in `close-up`, at the levels of `by_level.landmarks`."""
    results = _close_up(profile)
    table = reliability.by_measure(results).rename(columns={"reliability": "value", "measure": "of"})
    parts = [table[evidence.at_level(table, at)].assign(level=name) for name, at in _trained_marks(results)]
    return pd.concat(parts, ignore_index=True)


@offered("level", "family_pair")
def ceilings(profile: str) -> pd.DataFrame:
    """Agreement in `close-up` beside its ceiling and in shares of it, at the levels of `by_level.landmarks`.

    Each is a mean over seeds; `low` and `high` are the 95 % interval of the `share`.
    """
    results = _close_up(profile)
    table = reliability.ceilings(results)
    rows = []
    for name, at in _trained_marks(results):
        for pair, seeds in table[evidence.at_level(table, at)].groupby("family_pair"):
            share = intervals.mean(seeds.ratio.to_numpy(dtype=float))
            row = {"level": name, "family_pair": pair, "agreement": seeds.ami.mean()}
            row |= {"ceiling": seeds.ceiling.mean(), "share": share.value}
            rows.append(row | {"low": share.low, "high": share.high, "seeds": share.n})
    return pd.DataFrame(rows)


def _close_up(profile: str) -> Results:
    """Return the tables of `close-up` if they have reliabilities, which those of older runs lack."""
    found = stored.there(stored.experiments(profile, "close-up").get("close-up"))
    return stored.there(found if found.modules.reliability.notna().any() else None)


def _trained_marks(results: Results) -> list[tuple[str, tuple[str, float]]]:
    return [(name, at) for name, at in by_level.landmarks(results).items() if at[0] != "none"]


def _fields(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


# ---------------------------------------------------------------- all levels together, and the paper's


@offered("metric", "family_pair", "networks")
def families(profile: str) -> pd.DataFrame:
    """Mean agreement of different measures in `base` over all levels and both layers, 95 % over seeds."""
    results = run("base", profile=profile)
    tables = []
    for metric in METRICS:
        table = family_pairs.family_agreement(results, metric).query("layer == 0")
        tables.append(table.rename(columns={metric: "value"}).assign(metric=metric))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(networks=table.trained.map(STATES))


@offered()
def grid(profile: str) -> pd.DataFrame:
    """How many levels of `base` pass the accuracy filter, and how many of them are dropout."""
    kept = kept_networks(run("base", profile=profile))
    there = kept[kept.trained][LEVEL].drop_duplicates()
    dropout = int((there.regularizer == "dropout").sum())
    return pd.DataFrame({"levels": [len(there)], "dropout": [dropout]})


@offered("weighing", "family_pair")
def weighed(profile: str) -> pd.DataFrame:
    """Mean adjusted mutual information in `base` over levels, by two ways of weighing them.

    ``levels`` counts each level once; ``regularisers`` counts dropout, L1 and L2 once each.
    """
    table = family_pairs.agreement_by_level(run("base", profile=profile))
    table = table[table.regularizer != "none"]
    each = table.groupby(["regularizer", "family_pair"]).ami.mean().groupby("family_pair").mean()
    means = {"levels": table.groupby("family_pair").ami.mean(), "regularisers": each}
    parts = [found.rename("value").reset_index().assign(weighing=name) for name, found in means.items()]
    return pd.concat(parts, ignore_index=True)


@offered("family_pair")
def spread(profile: str) -> pd.DataFrame:
    """Lowest and highest adjusted mutual information of a level in `base`, each a mean over seeds."""
    table = family_pairs.agreement_by_level(run("base", profile=profile))
    means = table[table.regularizer != "none"].groupby("family_pair").ami
    return means.agg(lowest="min", highest="max").reset_index()


@offered("family_pair")
def published(profile: str) -> pd.DataFrame:
    """Element-centric similarity of different measures in the paper's figures, means over pairs of graphs."""
    return pd.DataFrame(
        [
            {"family_pair": pair}
            | {name: reported.family_ecs(pair, trained=trained) for trained, name in STATES.items()}
            for pair in FAMILY_PAIRS
        ]
    )


@offered("experiment", "family_pair")
def beside_paper(profile: str) -> pd.DataFrame:
    """Element-centric similarity of different measures over all levels, ours by protocol and the paper's."""
    rows = []
    for experiment, results in distance_from_paper.both_protocols(profile):
        table = family_pairs.family_agreement(results, "ecs").query("layer == 0")
        for pair in FAMILY_PAIRS:
            row: dict[str, object] = {"experiment": experiment, "family_pair": pair}
            for trained, name in STATES.items():
                here = table[(table.family_pair == pair) & (table.trained == trained)]
                row |= {name: here.ecs.mean(), f"paper_{name}": reported.family_ecs(pair, trained=trained)}
            rows.append(row)
    return pd.DataFrame(rows)


@offered("experiment")
def distance(profile: str) -> pd.DataFrame:
    """Mean absolute difference of element-centric similarity from the paper's, over different measures."""
    rows = []
    for experiment, results in distance_from_paper.both_protocols(profile):
        table = family_pairs.distinct(distance_from_paper.ecs_beside_paper(results))
        gaps = {name: (table[name] - table[f"ecs_{name}"]).abs().mean() for name in STATES.values()}
        rows.append({"experiment": experiment} | gaps)
    return pd.DataFrame(rows)


def at_one_level(results: Results, level: tuple[str, float]) -> Results:
    """Keep the networks of one level, and the untrained ones."""
    networks = results.networks
    return replace(results, networks=networks[~networks.trained | evidence.at_level(networks, level)])
