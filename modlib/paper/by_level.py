"""Networks and Q by level of regularisation, as means with intervals over seeds."""

import pandas as pd

from modlib.paper.contrasts import weakest_l2
from modlib.stats import intervals
from modlib.study.accuracy_filter import GRAPH, LEVEL, trained_networks, with_levels
from modlib.study.store import Results


def mean_over_seeds(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Mean of the column `value` over `seeds`, averaged within a seed first, with its 95 % interval."""
    seeds = table.groupby([*by, "seed"], sort=False)[value].mean().reset_index()
    rows = []
    for key, group in seeds.groupby(by, sort=False):
        found = intervals.mean(group[value].to_numpy(dtype=float))
        rows.append([*key, found.value, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=[*by, value, "low", "high", "seeds"])


def landmarks(results: Results) -> dict[str, tuple[str, float]]:
    """Find the levels that pages name: untrained networks, the weakest L2, and the strongest of each kind.

    The strongest are those whose networks still learn. A dropout of 0.5 is among them, if there is one.
    """
    trained = trained_networks(results)
    levels = {"untrained": ("none", 0.0), "weakest L2": weakest_l2(trained), "dropout 0.5": ("dropout", 0.5)}
    for regularizer, name in (("dropout", "dropout"), ("l1", "L1"), ("l2", "L2")):
        strength = trained[trained.regularizer == regularizer].strength.max()
        levels[f"strongest {name}"] = (regularizer, float(strength))
    there = {*results.networks[LEVEL].itertuples(index=False, name=None)}
    return {name: level for name, level in levels.items() if level in there}


def dropped_levels(results: Results) -> pd.DataFrame:
    """Levels that lose networks to the accuracy filter: how many of how many, and whether all go."""
    networks = results.networks[results.networks.trained]
    table = networks.groupby(LEVEL).agg(networks=("network", "size"), accuracy=("test_accuracy", "median"))
    left = trained_networks(results).groupby(LEVEL).size().reindex(table.index, fill_value=0)
    table["dropped"] = table["networks"] - left
    return table[table.dropped > 0].reset_index()


def q_by_strength(results: Results) -> pd.DataFrame:
    """Q (mean over seeds, 95 % interval) of trained networks by layer, graph, regulariser and strength."""
    table, key = trained_rows(results.modules, results), [*GRAPH, *LEVEL]
    modules = mean_over_seeds(table, key, "effective_modules")[[*key, "effective_modules"]]
    return mean_over_seeds(table, key, "q").merge(modules, on=key)


def q_untrained(results: Results) -> pd.DataFrame:
    """Mean and sd of Q over untrained networks, by layer and graph."""
    untrained = results.networks[~results.networks.trained][["network"]]
    table = results.modules.merge(untrained, on="network")
    return table.groupby(GRAPH, sort=False).q.agg(["mean", "std"]).reset_index()


def trained_rows(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Rows of a table of `results` on trained networks that take part, with their level and seed."""
    return with_levels(table, trained_networks(results))
