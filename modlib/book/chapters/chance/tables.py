"""Is Q more than chance? Its excess over the nulls, seed by seed, and memorised against true labels."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from modlib.book.numbers import offered
from modlib.book.stored import experiments, there
from modlib.book.theme import REGULARIZERS
from modlib.clustering import find_modules, modularity
from modlib.measures import MEASURES, adjacency, family
from modlib.nulls import NULLS, null_test, random_graphs
from modlib.paper.contrasts import weakest_l2
from modlib.paper.graph_names import graph_key, graph_name
from modlib.paper.simulations import rejections
from modlib.stats.intervals import holm, mean
from modlib.study.accuracy_filter import GRAPH, LEVEL, kept_networks, with_levels
from modlib.study.store import Results

ALPHA = 0.05
#: Nulls that every network is held against, in the order of what they keep.
NULL_NAMES = {"untrained": "untrained networks"} | {null.name: null.label for null in NULLS.values()}
UNTRAINED = ("none", 0.0)  # the level of networks that were never trained
NOT_ABOVE = ("below", "not told apart")


# --- tests of single networks


def network_tests(profile: str) -> pd.DataFrame | None:
    """Gather `against_all_nulls` of ``close-up``; None if it is not stored.

    Untrained networks, if stored, are one more level, which is held against the drawn nulls only.
    """
    found = experiments(profile, "close-up", "base", "untrained")
    close_up, untrained = found.get("close-up"), found.get("untrained")
    if close_up is None or close_up.nulls.empty:
        return None
    tables = [against_all_nulls(close_up, found.get("base"))]
    if untrained is not None and len(untrained.nulls):
        tables.append(_with_excess(untrained.nulls, untrained.networks[~untrained.networks.trained]))
    return pd.concat(tables, ignore_index=True)


def against_all_nulls(tested: Results, base: Results | None = None) -> pd.DataFrame:
    """Hold every trained network that passes the accuracy filter against every null that it has rows for.

    The untrained networks of `base` are one more null, called ``"untrained"``; the Q held against it is that
    of the experiment's own search, which its draws got as well.
    """
    kept = kept_networks(tested)
    kept = kept[kept.trained & kept.network.isin(tested.nulls.network)]
    table = tested.nulls
    if base is not None:
        untrained = against_untrained(tested, base)
        table = pd.concat([untrained, table], ignore_index=True)[list(tested.nulls.columns)]
    return _with_excess(table, kept)


def against_untrained(tested: Results, base: Results) -> pd.DataFrame:
    """Hold Q of trained networks against Q of the untrained ones of `base`, in the columns of `nulls`."""
    untrained = base.networks[~base.networks.trained][["network"]]
    if len(untrained) < 2:
        raise ValueError(f"base must have two untrained networks or more, got {len(untrained)}")
    rows_of_draws = base.modules.merge(untrained, on="network").groupby(GRAPH)
    draws = {graph_key(key): group.q.to_numpy() for key, group in rows_of_draws}
    trained = tested.networks[tested.networks.trained][["network"]]
    rows = []
    for row in tested.modules.merge(trained, on="network")[["network", *GRAPH, "q"]].to_dict("records"):
        key = graph_key([row[column] for column in GRAPH])
        if key in draws:
            test: dict[Any, Any] = asdict(null_test(row["q"], draws[key]))
            rows.append({**row, **test, "null": "untrained", "draws": len(draws[key])})
    return pd.DataFrame(rows, columns=["network", *GRAPH, "q", "null", "draws", "mean", "sd", "z", "p"])


def _with_excess(nulls: pd.DataFrame, networks: pd.DataFrame) -> pd.DataFrame:
    """Add the level, the seed and the excess of Q to the tests of networks."""
    table = with_levels(nulls, networks)
    return table.assign(excess=table.q - table["mean"])


# --- levels of regularisation


def levels(profile: str) -> pd.DataFrame | None:
    """`by_level` of all `network_tests`; None until ``close-up`` is stored."""
    tests = network_tests(profile)
    return None if tests is None else by_level(tests)


def by_level(tests: pd.DataFrame) -> pd.DataFrame:
    """Excess over each null by level of regularisation and graph, 95 % over seeds.

    `share` is that of networks with p ≤ .05; `p` is of the hypothesis that the mean excess is 0, and `holm`
    that p corrected for the graphs of the same null and level.
    """
    keys = ["null", *LEVEL, *GRAPH]
    groups = tests.dropna(subset="p").assign(share=lambda table: table.p <= ALPHA).groupby(keys)
    seeds = tests.groupby([*keys, "seed"], sort=False)[["q", "mean", "z", "excess"]].mean().reset_index()
    means = seeds.groupby(keys)[["q", "mean", "z"]].mean().rename(columns={"mean": "null_mean"})
    found = _estimates(seeds, keys, "excess", together=["null", *LEVEL])
    return found.join(means, on=keys).join(groups.share.mean(), on=keys)


def _estimates(seeds: pd.DataFrame, keys: list[str], value: str, *, together: list[str]) -> pd.DataFrame:
    """Mean of a column over seeds, with its interval and p, also corrected (`holm`) for rows of one group."""
    rows = []
    for key, group in seeds.groupby(keys, sort=False):
        found = mean(group[value].to_numpy(dtype=float))
        rows.append([*key, found.value, found.low, found.high, found.n, found.p])
    table = pd.DataFrame(rows, columns=[*keys, value, "low", "high", "seeds", "p"])
    return table.assign(holm=table.groupby(together).p.transform(lambda p: holm(p.to_numpy())))


def settings(table: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Find the levels of no training, of (almost) no regularisation and of the most dropout in a table."""
    found = {}
    if (table.regularizer == UNTRAINED[0]).any():
        found["untrained"] = UNTRAINED
    if (table.regularizer == "l2").any():
        found["weakest L2"] = weakest_l2(table)
    dropout = table[table.regularizer == "dropout"].strength
    if len(dropout):
        found["strongest dropout"] = ("dropout", float(dropout.max()))
    return found


def at_settings(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows at the levels of `settings`, named in a column `setting`."""
    found = [
        table[(table.regularizer == regularizer) & (table.strength == strength)].assign(setting=setting)
        for setting, (regularizer, strength) in settings(table).items()
    ]
    return pd.concat(found)


def not_above(levels: pd.DataFrame) -> pd.DataFrame:
    """Rows of `by_level` whose 95 % interval of the excess reaches 0 or less, the lowest excess first.

    Untrained networks are left out: the nulls themselves are judged by them.
    """
    found = levels[_trained(levels) & ~(levels.low > 0)].sort_values("excess")
    return found.assign(verdict=np.where(found.high < 0, *NOT_ABOVE)).reset_index(drop=True)


def surely_below(levels: pd.DataFrame, null: str) -> pd.DataFrame:
    """Rows of `by_level` that are below a null after Holm's correction, the lowest excess first.

    They are those of the level that has the most of them; there may be none.
    """
    below = levels[(levels.null == null) & (levels.holm < ALPHA) & (levels.excess < 0)]
    if below.empty:
        return below
    most: Any = below.groupby(LEVEL).size().idxmax()
    here = (below[LEVEL] == list(most)).all(axis=1)
    return below[here].sort_values("excess").reset_index(drop=True)


def where_not_above(levels: pd.DataFrame) -> pd.DataFrame:
    """Count the graphs of `not_above`, a row a level, columns by null and verdict."""
    counts = not_above(levels).groupby([*LEVEL, "null", "verdict"]).size()
    nulls = [null for null in NULL_NAMES if (levels.null == null).any()]
    rows = pd.MultiIndex.from_frame(levels[_trained(levels)][LEVEL].drop_duplicates().sort_values(LEVEL))
    columns = pd.MultiIndex.from_product([nulls, NOT_ABOVE])
    wide = counts.unstack(["null", "verdict"], fill_value=0)
    table: pd.DataFrame = wide.reindex(index=rows, columns=columns, fill_value=0)
    return table.rename(columns=NULL_NAMES, level=0)


def _trained(levels: pd.DataFrame) -> pd.Series:
    return levels.regularizer != UNTRAINED[0]


def shares_by_measure(levels: pd.DataFrame) -> pd.DataFrame:
    """Share of tests with p ≤ .05 in `by_level`, a row a setting and measure, a column a null.

    Nan where a setting was not held against a null.
    """
    table = at_settings(levels)
    rows = pd.MultiIndex.from_product([list(dict.fromkeys(table.setting)), list(MEASURES)])
    nulls = [null for null in NULL_NAMES if (table.null == null).any()]
    wide = table.pivot_table(index=["setting", "measure"], columns="null", values="share")
    found: pd.DataFrame = wide.reindex(index=rows, columns=nulls)
    return found.rename_axis(index=["setting", "measure"])


def rescored(
    S: Float[np.ndarray, "unit unit"], *, draws: int = 19, restarts: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Score draws of the similarity null of one layer with the layer's partition, and search them anew.

    Q is that of normalised graphs. The layer itself is `draw` −1; each draw has two rows, which `how` names.
    """
    rng = np.random.default_rng(seed)
    best = find_modules(adjacency(torch.as_tensor(S), normalized=True), restarts=restarts)
    rows: list[tuple[int, str, float]] = [(-1, "the layer, searched", best.q)]
    for draw in range(draws):
        A = random_graphs(S, rng)[1]
        rows.append((draw, "draws, only scored", modularity(A, best.labels)))
        rows.append((draw, "draws, searched", find_modules(A, restarts=restarts).q))
    return pd.DataFrame(rows, columns=["draw", "how", "q"])


# --- memorised labels


def memorised(profile: str) -> pd.DataFrame | None:
    """`beside_true_labels` of ``labels-shuffled`` and ``labels-kept``; None until both are stored."""
    found = experiments(profile, "labels-shuffled", "labels-kept")
    return beside_true_labels(*found.values()) if len(found) == 2 else None


def beside_true_labels(shuffled: Results, true: Results) -> pd.DataFrame:
    """Q of networks that learned permuted labels beside the same networks with true ones, paired by seed.

    One row a level and graph: means over seeds of Q, of the `difference`, shuffled less true, with its 95 %
    interval, and of the training accuracies; `holm` is p corrected for the graphs of the level. No network is
    left out by its test accuracy: with permuted labels there is nothing to generalise.
    """
    keys = [*LEVEL, *GRAPH]
    tables = []
    for labels, results in (("shuffled", shuffled), ("true", true)):
        networks = results.networks[results.networks.trained]
        table = results.modules.merge(networks[["network", *LEVEL, "seed", "train_accuracy"]], on="network")
        names = {"q": labels, "train_accuracy": f"train_{labels}"}
        tables.append(table[[*keys, "seed", *names]].rename(columns=names))
    both = tables[0].merge(tables[1], on=[*keys, "seed"])
    both["difference"] = both.shuffled - both.true
    means = both.groupby(keys)[["shuffled", "true", "train_shuffled", "train_true"]].mean()
    return _estimates(both, keys, "difference", together=LEVEL).join(means, on=keys)


# --- tables that prose cites


@offered("state")
def tested(profile: str) -> pd.DataFrame:
    """How many networks, levels, graphs and draws the tests against nulls have, and the strongest dropout."""
    tests = there(network_tests(profile))
    trained = _trained(tests)
    rows = [
        {
            "state": state,
            "networks": group.network.nunique(),
            "levels": len(group[LEVEL].drop_duplicates()),
            "graphs": len(group[GRAPH].drop_duplicates()),
            "draws": group[group.null != "untrained"].draws.max(),
            "strongest_dropout": group[group.regularizer == "dropout"].strength.max(),
        }
        for state, group in (("trained", tests[trained]), ("untrained", tests[~trained]))
    ]
    return pd.DataFrame(rows)


@offered("null", "setting", "of")
def excess(profile: str) -> pd.DataFrame:
    """Q beside each null at three settings, for each measure, for each family of them, and for all.

    `share` is the share of tests with p ≤ .05; `z` and `excess` are means over seeds; `above` and `below`
    count the graphs whose mean excess is not 0 after Holm's correction for the graphs of a setting; `lowest`
    names the graph of the `lowest_excess`.
    """
    tests = there(network_tests(profile))
    keys = ["null", "setting", "of"]
    graphs = dict(iter(_summed_up(at_settings(by_level(tests))).groupby(keys)))
    rows = []
    key: Any
    for key, networks in _summed_up(at_settings(tests)).groupby(keys):
        here, seeds = graphs[key], networks.groupby("seed")
        sure, lowest = here.holm < ALPHA, here.nsmallest(1, "excess").iloc[0]
        row = {
            "share": (networks.p.dropna() <= ALPHA).mean(),
            "z": seeds.z.mean().mean(),
            "excess": seeds.excess.mean().mean(),
            "above": (sure & (here.excess > 0)).sum(),
            "below": (sure & (here.excess < 0)).sum(),
            "lowest": graph_name(*graph_key(lowest[GRAPH])),
            "lowest_excess": lowest.excess,
        }
        rows.append(dict(zip(keys, key, strict=True)) | row)
    return pd.DataFrame(rows)


@offered("null")
def most_below(profile: str) -> pd.DataFrame:
    """Find the level with the most graphs surely below each null (Holm's correction), and their number."""
    table = there(levels(profile))
    rows = []
    for null in table.null.unique():
        below = surely_below(table, null)
        level = "no level"
        if len(below):
            regularizer, strength = below.iloc[0][LEVEL]
            level = f"{REGULARIZERS[regularizer]} of {strength:g}"
        rows.append({"null": null, "graphs": len(below), "level": level})
    return pd.DataFrame(rows)


@offered("setting", "of")
def labels(profile: str) -> pd.DataFrame:
    """Q and training accuracy with permuted and with true labels, means over graphs of a measure or of more.

    `lower` and `higher` count the graphs whose Q with permuted labels differs after Holm's correction.
    """
    found = there(memorised(profile))
    sure, less = found.holm < ALPHA, found.difference < 0
    found = found.assign(lower=sure & less, higher=sure & ~less)
    groups = _summed_up(at_settings(found)).groupby(["setting", "of"])
    means = groups[["shuffled", "true", "train_shuffled", "train_true"]].mean()
    counts = groups[["lower", "higher"]].sum()
    return means.join(counts).assign(strength=groups.strength.first(), graphs=groups.size()).reset_index()


def _summed_up(table: pd.DataFrame) -> pd.DataFrame:
    """Give each row three times: as one `of` its measure, of its measure's family, and of both families."""
    measures, families = table.measure, table.measure.map(family)
    return pd.concat([table.assign(of=of) for of in (measures, families, "both")], ignore_index=True)


@offered("layers")
def rejection_rates(_profile: str) -> pd.DataFrame:
    """Share of made-up layers without modules that the nulls reject at 5 %, by kind of layer.

    `claimed` are the layers that the nulls themselves describe, also by null; the others are not what nulls
    draw.
    """
    table = rejections.read("size")
    claimed, limits = table[~table.limit], table[table.limit]
    kinds = {
        "claimed": claimed,
        **{str(null): group for null, group in claimed.groupby("null")},
        "unequal dimensions": limits[limits.data.str.contains("variance")],
        "random networks": limits[limits.data.str.contains("networks")],
    }
    groups = pd.concat([group.assign(layers=name) for name, group in kinds.items()]).groupby("layers")
    rates = groups.rate.agg(rows="size", lowest="min", mean="mean", highest="max")
    return rates.assign(repetitions=groups.repetitions.min()).reset_index()
