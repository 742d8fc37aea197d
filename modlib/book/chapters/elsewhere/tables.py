"""The findings in networks of other widths and depths, on other data and by another protocol, side by side.

Only `base` is ever computed; of the other experiments, those that are stored take part.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from modlib.book import stored
from modlib.book.numbers import offered, once
from modlib.measures import FAMILIES
from modlib.paper import by_level, contrasts, evidence, family_pairs
from modlib.paper.evidence import Case
from modlib.paper.simulations import specifications
from modlib.stats import intervals
from modlib.stats.intervals import Estimate
from modlib.study.accuracy_filter import GRAPH, MIN_ACCURACY, kept_networks, trained_networks
from modlib.study.runner import run
from modlib.study.shard import N_CLASSES
from modlib.study.store import Results

COMPARED = ("base", "base-v1", "wide", "deep", "fashion")
METRICS = ("ami", "ecs")
SHOWN_LEVELS = ("untrained", "weakest L2", "strongest dropout", "strongest L2")  # of `by_level.landmarks`
FAMILY_PAIRS = ("upstream", "downstream", "across")
DATA = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
#: How much less accurate than the least accurate dropout a level of L1 or L2 may be. Matching exactly and not
#: at all was fixed beforehand; the point of accuracy between them was added after exact matching was seen to
#: leave the wide networks with hardly a penalty, and is shown beside both, never instead.
MARGINS = {"matched": 0.0, "nearly": 0.01, "all": 1.0}
CHANCE = 1 / N_CLASSES  # accuracy of a network that has learned nothing; both data sets have equal classes


@once
def load_experiments(profile: str) -> dict[str, Results]:
    """Return the tables of `base`, computed if they must be, and of the other experiments that are stored."""
    return {"base": run("base", profile=profile)} | stored.experiments(profile, *COMPARED[1:])


def of_each(profile: str, table_of: Callable[[Results], pd.DataFrame]) -> pd.DataFrame:
    """Put together a table of each experiment, told apart by a column `experiment`."""
    found = load_experiments(profile).items()
    tables = [table_of(results).assign(experiment=name) for name, results in found]
    return pd.concat(tables, ignore_index=True)


def plain_accuracy(results: Results) -> float:
    """Mean test accuracy at the weakest L2, which stands for no regularisation."""
    trained = results.networks[results.networks.trained]
    return _accuracy(trained, *contrasts.weakest_l2(trained))


@offered("experiment")
def experiments(profile: str) -> pd.DataFrame:
    """Describe each experiment: what it trained, how accurate its networks are, and what it cost.

    Accuracies, at the weakest L2 (`plain`) and at the `strongest` level of `dropout`, are those of all
    networks, whether or not the filter keeps them. `training` and `analysis` are minutes, `each` is the
    seconds of analysis a network. On a CPU they are of one core, summed over processes; beside a GPU they are
    on the clock, the analysis spread over all cores.
    """
    rows = []
    for name, results in load_experiments(profile).items():
        config, seconds = results.manifest["config"], results.manifest["seconds"]
        spent = {stage: seconds.get(stage, math.nan) for stage in ("training", "analysis")}
        trained = results.networks[results.networks.trained]
        strongest = float(trained[trained.regularizer == "dropout"].strength.max())
        rows.append(
            {
                "experiment": name,
                "hidden": "-".join(map(str, config["hidden"])),
                "data": DATA.get(config["dataset"], config["dataset"]),
                "protocol": "arXiv v1" if config["protocol"]["stop_after"] is None else "final",
                "trained": len(trained),
                "seeds": int(trained.seed.nunique()),
                "kept": len(trained_networks(results)),
                "untrained": int((~results.networks.trained).sum()),
                "plain": plain_accuracy(results),
                "dropout": strongest,
                "strongest": _accuracy(trained, "dropout", strongest),
                "device": results.manifest["device"],
                **{stage: spent[stage] / 60 for stage in spent},
                "each": spent["analysis"] / len(results.networks),
            }
        )
    table = pd.DataFrame(rows)
    v1 = table.set_index("experiment").each.get("base-v1", math.nan)
    return table.assign(
        dropped=table.trained - table.kept,
        analysis_share=table.analysis / table.training,
        times_v1=table.each / v1,
    )


def q_curves(profile: str) -> pd.DataFrame:
    """Q of raw graphs by strength, and the same less the mean Q of untrained networks.

    Q of graphs of different size cannot be compared: what a search finds where there is nothing falls with
    the number of units. So there are two scales: ``q``, and ``excess``, less the mean Q of the experiment's
    own untrained networks, whose error is small beside the interval over seeds. Dead units, which upstream
    graphs lose, are not allowed for. Where fewer than `intervals.FEWEST_SEEDS` seeds pass the filter there is
    no interval: that of two would be longer than the range of Q.
    """
    q = of_each(profile, lambda results: _beside_untrained(by_level.q_by_strength(results), results))
    q = q[~q.normalized].rename(columns={"q": "value"}).drop(columns=["normalized", "effective_modules"])
    q.loc[q.seeds < intervals.FEWEST_SEEDS, ["low", "high"]] = math.nan
    excess = q.assign(**{column: q[column] - q.untrained for column in ("value", "low", "high")})
    return pd.concat([excess.assign(scale="excess"), q.assign(scale="q")], ignore_index=True)


@offered("experiment", "measure", "layer")
def strongest_dropout(profile: str) -> pd.DataFrame:
    """Q of raw graphs less that of untrained networks, at the strongest dropout that passes the filter."""
    curves = q_curves(profile)
    dropout = curves[(curves.scale == "excess") & (curves.regularizer == "dropout")]
    return dropout[dropout.strength == dropout.groupby("experiment").strength.transform("max")]


@offered("normalized", "sign", "of")
def output_gradient_by_sign(_profile: str) -> pd.DataFrame:
    """How Q of one graph on Fashion-MNIST changes under dropout, if similarities keep or lose their signs.

    The graph is the output gradient of the first layer, raw or normalised. The `value` is a mean over seeds
    at a dropout of 0.7 less that at the weakest L2, with its 95 % interval: ``of`` Q, or of the ``excess`` of
    Q over rotations of the graph. With ``signed`` similarities Q is that of Gómez, Jensen and Arenas (2009).
    Networks and nulls are those of `modlib.paper.simulations.specifications`.
    """
    table = specifications.read("modules")
    ours = (table.experiment == "fashion") & (table.measure == "output_grad") & (table.layer == 1)
    table = table[ours & (table.algorithm == "modularity") & (table.setting == 1.0)]
    table = table.assign(excess=table.q - table.null_q)
    table[["level", "seed"]] = table.network.str.split(",", expand=True).to_numpy()
    rows = []
    for (normalized, sign), group in table.groupby(["normalized", "sign"], sort=False):
        for column in ("q", "excess"):
            wide = group.pivot(index="seed", columns="level", values=column)
            change = intervals.mean((wide["dropout=0.7"] - wide["l2=1e-05"]).to_numpy(dtype=float))
            rows.append({"normalized": normalized, "sign": sign, "of": column, **_fields(change)})
    return pd.DataFrame(rows)


@offered("experiment", "level", "pair")
def agreement_at_levels(profile: str) -> pd.DataFrame:
    """Give adjusted mutual information within and across families at four levels, by experiment.

    The levels are untrained networks, the weakest L2, and the strongest dropout and L2 whose networks still
    learn, each with its `strength`. Fewer than `intervals.FEWEST_SEEDS` seeds give no interval.
    """
    tables = []
    for name, results in load_experiments(profile).items():
        table = family_pairs.agreement_by_level(results)
        levels = by_level.landmarks(results)
        for called in (called for called in SHOWN_LEVELS if called in levels):
            here = table[evidence.at_level(table, levels[called])]
            tables.append(here.assign(experiment=name, level=called))
    table = pd.concat(tables, ignore_index=True).rename(columns={"ami": "value", "family_pair": "pair"})
    table.loc[table.seeds < intervals.FEWEST_SEEDS, ["low", "high"]] = math.nan
    return table[["experiment", "level", "pair", "strength", "value", "low", "high", "seeds"]]


@offered("experiment", "metric", "pair")
def agreement(profile: str) -> pd.DataFrame:
    """Agreement over all layers at the weakest L2, `trained`, and of `untrained` networks, by experiment.

    The `value` is what training changes, trained less untrained, with its 95 % interval. An untrained network
    is where training begins, so untrained networks are of other seeds than the trained ones.
    """
    rows = []
    found = load_experiments(profile)
    for name in found:
        case = Case(name, found)
        plain = contrasts.weakest_l2(case.trained)
        for metric in METRICS:
            after, before = (
                evidence.agreement_at(case, plain, metric),
                evidence.agreement_untrained(case, metric),
            )
            for pair in FAMILY_PAIRS:
                change = intervals.difference(*(t[pair].to_numpy(dtype=float) for t in (after, before)))
                means = {"trained": after[pair].mean(), "untrained": before[pair].mean()}
                rows.append({"experiment": name, "metric": metric, "pair": pair, **means, **_fields(change)})
    return pd.DataFrame(rows)


def plain_and_untrained(results: Results) -> Results:
    """Keep untrained networks and those at the weakest L2, which stands for no regularisation."""
    networks = results.networks
    plain = evidence.at_level(networks, contrasts.weakest_l2(networks[networks.trained]))
    return replace(results, networks=networks[plain | ~networks.trained].reset_index(drop=True))


def agreement_by_layer(profile: str) -> pd.DataFrame:
    """Agreement within and across families by layer, at the weakest L2 and in untrained networks."""

    def by_layer(results: Results, metric: str) -> pd.DataFrame:
        return family_pairs.family_agreement(plain_and_untrained(results), metric)

    tables = [
        of_each(profile, partial(by_layer, metric=metric))
        .query("layer > 0")
        .rename(columns={metric: "value"})
        .assign(metric=metric)
        for metric in METRICS
    ]
    return pd.concat(tables, ignore_index=True)


@offered("experiment", "pair", "statistic")
def change_with_depth(profile: str) -> pd.DataFrame:
    """How adjusted mutual information at the weakest L2 changes from layer to layer, by pair of families.

    The `statistic` is ``last less first`` (layer) or, with at least three layers, ``rank correlation``,
    Spearman's, of agreement with the number of the layer. Both are means over seeds.
    """
    rows = []
    for name, results in load_experiments(profile).items():
        plain = trained_networks(plain_and_untrained(results))
        seeds = family_pairs.families_by_seed(results.agreement, plain)
        for pair in FAMILY_PAIRS:
            wide = seeds.pivot_table(index="seed", columns="layer", values=pair)
            layers, by_layer = wide.columns.to_numpy(dtype=float), wide.to_numpy(dtype=float)
            found = {"last less first": intervals.mean(by_layer[:, -1] - by_layer[:, 0])}
            if len(layers) >= intervals.FEWEST_LEVELS:
                found["rank correlation"] = intervals.trend(layers, by_layer)
            for statistic, e in found.items():
                rows.append({"experiment": name, "pair": pair, "statistic": statistic, **_fields(e)})
    return pd.DataFrame(rows)


def effects_of(results: Results, *, min_accuracy: float = MIN_ACCURACY) -> pd.DataFrame:
    """Dropout's lead by family and margin of accuracy, and agreement within less across families.

    A lead is Q at the best level of dropout less Q at the best L1 or L2, each chosen on other seeds, the mean
    over the graphs of a family. Its `effect` is a key of `MARGINS` and it is `of` a family; `rivals` counts
    the levels of L1 and L2 that stand against dropout. The effect ``agreement`` is `of` a metric.
    """
    kept = trained_networks(results, min_accuracy=min_accuracy)
    rows: list[dict[str, object]] = []
    known: dict[object, Estimate] = {}  # margins often leave the same levels
    for effect, margin in MARGINS.items():
        graphs = contrasts.levels(results.modules, kept, min_accuracy=_least(kept, margin))
        rivals = len({level for graph in graphs for level in graph.weights_levels})
        for family in FAMILIES:
            levels = (family, *((g.dropout_levels, g.weights_levels) for g in graphs))
            if levels not in known:
                known[levels] = contrasts.lead(graphs, "dropout", "weights", family)
            rows.append({"effect": effect, "of": family, "rivals": rivals, **_fields(known[levels])})
    for metric in METRICS:
        seeds = family_pairs.families_by_seed(results.agreement, kept, metric, by_layer=False)
        gap = intervals.mean(((seeds.upstream + seeds.downstream) / 2 - seeds.across).to_numpy(dtype=float))
        rows.append({"effect": "agreement", "of": metric, "rivals": None, **_fields(gap)})
    return pd.DataFrame(rows).astype({"rivals": "Int64"})


@offered("experiment", "effect", "of")
@once
def effects(profile: str) -> pd.DataFrame:
    """Dropout's lead and agreement within less across families, one effect at a time (`effects_of`)."""
    return of_each(profile, effects_of)


@offered("experiment", "measure", "normalized", "layer")
@once
def best_levels(profile: str) -> pd.DataFrame:
    """Q at the best levels among those as accurate as dropout, beside untrained networks, for each graph.

    Beside the columns of `contrasts.by_graph` stand the mean Q of `untrained` networks, and Q less that at
    each level.
    """

    def matched(results: Results) -> pd.DataFrame:
        least = _least(kept_networks(results), MARGINS["matched"])
        return _beside_untrained(contrasts.by_graph(results, min_accuracy=least), results)

    best = of_each(profile, matched)
    excess = {f"{level}_excess": best[level] - best.untrained for level in ("plain", "dropout", "weights")}
    return best.assign(**excess)


def scaled_filter(results: Results, base: Results) -> float:
    """Least accuracy, as large a share of the way from chance to plain networks as 0.8 is for `base`."""
    share = (MIN_ACCURACY - CHANCE) / (plain_accuracy(base) - CHANCE)
    return CHANCE + share * (plain_accuracy(results) - CHANCE)


@offered("filter", "effect", "of")
def filters(profile: str, experiment: str = "fashion") -> pd.DataFrame:
    """Give the effects on Fashion-MNIST by the paper's accuracy filter, one scaled to the data, and none.

    `least` is the accuracy that a filter asks for, `kept` the networks that pass it. Another `experiment` may
    be named.
    """
    found = load_experiments(profile)
    results = stored.there(found.get(experiment))
    asked = {"paper": MIN_ACCURACY, "scaled": scaled_filter(results, found["base"]), "none": 0.0}
    tables = []
    for name, least in asked.items():
        kept = len(trained_networks(results, min_accuracy=least))
        tables.append(effects_of(results, min_accuracy=least).assign(filter=name, least=least, kept=kept))
    return pd.concat(tables, ignore_index=True)


def _beside_untrained(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Add the mean Q of `untrained` networks to a table of layers and graphs."""
    null = by_level.q_untrained(results).rename(columns={"mean": "untrained"}).drop(columns="std")
    return table.merge(null, on=GRAPH)


def _accuracy(trained: pd.DataFrame, regularizer: str, strength: float) -> float:
    level = (trained.regularizer == regularizer) & (trained.strength == strength)
    return float(trained[level].test_accuracy.mean())


def _least(kept: pd.DataFrame, margin: float) -> float:
    """Least mean accuracy of a level; 0, that of all levels, if there is no dropout to match."""
    least = contrasts.least_accurate_dropout(kept)
    return max(0.0, least - margin) if np.isfinite(least) else 0.0


def _fields(e: Estimate) -> dict[str, float]:
    return {"value": e.value, "low": e.low, "high": e.high, "n": e.n, "p": e.p}
