"""What the tables say to each claim: its items, each one testable statement with its estimate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modlib.measures import UPSTREAM
from modlib.paper import contrasts, family_pairs, multiverse, reported
from modlib.paper.graph_names import graph_key, graph_name
from modlib.stats import selection
from modlib.stats.intervals import Estimate, difference, mean
from modlib.study.accuracy_filter import GRAPH, LEVEL, WEIGHT_PENALTIES, kept_networks
from modlib.study.store import Results

DOWNSTREAM_MARGIN = 0.05
"""What still passes for "no rise" of downstream agreement: a tenth of the paper's own agreement within
downstream, rounded."""

MODULES_MARGIN = 1.0
"""What still passes for the same number of modules: one more or one less."""

ACCURACY_MARGIN = 0.05
"""Loss of test accuracy up to which a network counts as accurate still."""

SAME_PARTITIONS = ("metric", "levels", "accuracy filter", "graphs", "graphs of all levels", "layer")
"""Kinds of choices of `modlib.paper.multiverse` that leave the partitions as they are."""

OWN_PARTITIONS = ("images", "optimiser")
"""Kinds of choices that need partitions of their own."""

ELSEWHERE_GRAPHS = ("upstream only", "downstream only", "no measure with itself")
"""Choices of graphs that the findings are tested under in other experiments, beside all of them."""


@dataclass(frozen=True)
class Item:
    """A testable statement; its direction is one of `modlib.paper.verdicts.DIRECTIONS`."""

    label: str
    estimate: Estimate
    direction: str = "above"
    threshold: float = 0.0
    paper: float = float("nan")


def dropout_raises_q(results: Results, like_paper: bool) -> Iterator[Item]:
    """Q at the best dropout (held out) less Q at the weakest L2, by layer and graph."""
    for graph in contrasts.levels(results.modules, _kept(results)):
        paper = reported.dropout_gain(*graph.key) if like_paper else np.nan
        found = selection.difference_of_best([(graph.dropout, graph.plain)])
        yield Item(graph_name(*graph.key), found, paper=paper)


def weights_raise_less(results: Results, like_paper: bool, *, matched: bool = True) -> Iterator[Item]:
    """Q at the best dropout less Q at the best L1 or L2 (both held out), by layer and graph."""
    kept = _kept(results)
    least = contrasts.least_accurate_dropout(kept) if matched else 0.0
    for graph in contrasts.levels(results.modules, kept, min_accuracy=least):
        paper = reported.dropout_less_weights(*graph.key, matched=matched) if like_paper else np.nan
        found = selection.difference_of_best([(graph.dropout, graph.weights)])
        yield Item(graph_name(*graph.key), found, paper=paper)


def weights_raise_less_anywhere(results: Results, like_paper: bool) -> Iterator[Item]:
    """Yield the same as `weights_raise_less`, over all levels that pass the filter."""
    yield from weights_raise_less(results, like_paper, matched=False)


def within_families_high(results: Results, like_paper: bool) -> Iterator[Item]:
    """Agreement within each family, by layer, against the threshold between high and low."""
    yield from _families(results, like_paper, ("upstream", "downstream"), "above")


def across_families_low(results: Results, like_paper: bool) -> Iterator[Item]:
    """Agreement across families, by layer, against the same threshold."""
    yield from _families(results, like_paper, ("across",), "below")


def _families(results: Results, like_paper: bool, pairs: tuple[str, ...], direction: str) -> Iterator[Item]:
    threshold = reported.high_agreement()
    seeds = family_pairs.families_by_seed(results.agreement, _kept(results))
    for layer, group in seeds.groupby("layer"):
        for pair in pairs:
            found = mean(group[pair].to_numpy(), null=threshold)
            paper = reported.family_ecs(pair) if like_paper else np.nan
            yield Item(f"{_pair_name(pair)}, layer {layer}", found, direction, threshold, paper)


def across_above_chance(results: Results, like_paper: bool) -> Iterator[Item]:
    """Agreement across families by metrics that are 0 by chance, by layer."""
    for metric in ("ami", "ari"):
        seeds = family_pairs.families_by_seed(results.agreement, _kept(results), metric)
        for layer, group in seeds.groupby("layer"):
            yield Item(f"across, {metric.upper()}, layer {layer}", mean(group.across.to_numpy()))


def training_raises_upstream(results: Results, like_paper: bool) -> Iterator[Item]:
    """Agreement within upstream, trained less untrained, by layer."""
    yield from _training(results, like_paper, "upstream", "above", 0.0)


def training_leaves_downstream(results: Results, like_paper: bool) -> Iterator[Item]:
    """Agreement within downstream, trained less untrained, by layer: no more than the margin."""
    yield from _training(results, like_paper, "downstream", "not above", DOWNSTREAM_MARGIN)


def _training(
    results: Results, like_paper: bool, pair: str, direction: str, threshold: float
) -> Iterator[Item]:
    kept = kept_networks(results)
    trained = kept[kept.trained]
    after = family_pairs.families_by_seed(results.agreement, trained)
    before = family_pairs.families_by_seed(
        results.agreement, family_pairs.other_seeds(kept[~kept.trained], trained)
    )
    paper = np.nan
    if like_paper:
        paper = reported.family_ecs(pair) - reported.family_ecs(pair, trained=False)
    for layer, group in after.groupby("layer"):
        untrained = before[before.layer == layer][pair]
        found = difference(group[pair].to_numpy(dtype=float), untrained.to_numpy(dtype=float))
        yield Item(f"{_pair_name(pair)}, layer {layer}", found, direction, threshold, paper)


def dropout_keeps_modules(results: Results, like_paper: bool) -> Iterator[Item]:
    """Effective number of modules, the strongest dropout less the weakest L2, by layer and graph."""
    for key, values in _modules_lost(results, "dropout"):
        yield Item(graph_name(*key), mean(values), "within", MODULES_MARGIN)


def strong_penalties_shrink_upstream(results: Results, like_paper: bool) -> Iterator[Item]:
    """Effective number of modules, the strongest L1 or L2 less the weakest L2, by upstream graph."""
    for penalty in WEIGHT_PENALTIES:
        for key, values in _modules_lost(results, penalty):
            if key[1] in UPSTREAM:
                yield Item(f"{penalty.upper()}, {graph_name(*key)}", mean(values), "below")


def _modules_lost(results: Results, regularizer: str) -> Iterator[tuple[tuple[int, str, bool], np.ndarray]]:
    """Change of the effective number of modules from the weakest L2 to the strongest kept level, by seed."""
    kept = _kept(results)
    levels = kept[kept.regularizer == regularizer]
    if levels.empty:
        return
    strongest, plain = (regularizer, float(levels.strength.max())), contrasts.weakest_l2(kept)
    if strongest == plain:
        return
    two = kept[_at(kept, *strongest) | _at(kept, *plain)]
    table = results.modules.merge(two[["network", *LEVEL, "seed"]], on="network")
    wide = table.pivot_table(index=[*GRAPH, "seed"], columns=LEVEL, values="effective_modules")
    for key, group in (wide[strongest] - wide[plain]).groupby(GRAPH):
        yield graph_key(key), group.to_numpy(dtype=float)


def accurate_where_modular(results: Results, like_paper: bool) -> Iterator[Item]:
    """Test accuracy at the weakest L2 less that at the strongest dropout of the grid.

    No network is filtered out here: the filter looks at the accuracy, which is what is asked about.
    """
    trained = results.networks[results.networks.trained]
    wide = trained.pivot_table(index="seed", columns=LEVEL, values="test_accuracy")
    dropout = trained[trained.regularizer == "dropout"]
    if dropout.empty:
        return
    strongest = ("dropout", float(dropout.strength.max()))
    loss = (wide[contrasts.weakest_l2(trained)] - wide[strongest]).to_numpy(dtype=float)
    paper = reported.accuracy_loss() if like_paper else np.nan
    label = f"dropout {strongest[1]:g}"
    yield Item(label, mean(loss, null=ACCURACY_MARGIN), "below", ACCURACY_MARGIN, paper)


def survives_choices(results: Results, like_paper: bool) -> Iterator[Item]:
    """Both findings under each analysis choice of `modlib.paper.multiverse`.

    Tables with rows in `choices` are asked about those choices only, beside the default: their networks are
    some of those of `base`, which answers for the others.
    """
    yield from _under_choices(
        results,
        ("default", *(OWN_PARTITIONS if len(results.choices) else SAME_PARTITIONS)),
        like_paper and results.choices.empty,  # the paper's figures show all levels
    )


def holds_elsewhere(results: Results, like_paper: bool) -> Iterator[Item]:
    """Both findings in another experiment: on average, over all levels, by family, without self-agreement."""
    table = _under_choices(results, ("default", "levels", "graphs"), like_paper)
    named = ("default", "levels: all", *(f"graphs: {choice}" for choice in ELSEWHERE_GRAPHS))
    for item in table:
        if item.label.split("; ")[0] in named:
            yield item


def _under_choices(results: Results, kinds: tuple[str, ...], like_paper: bool) -> Iterator[Item]:
    table = multiverse.table(results)
    for row in table[table.choice_kind.isin(kinds)].to_dict("records"):
        found = Estimate(
            **{name: row[name] for name in ("value", "low", "high", "n", "p")}, effect=float("nan")
        )
        kind, choice = row["choice_kind"], row["choice"]
        paper = reported.under_choice(kind, choice, row["effect"]) if like_paper else np.nan
        yield Item(f"{kind if kind == choice else f'{kind}: {choice}'}; {row['effect']}", found, paper=paper)


def more_than_nulls(results: Results, untrained: Results, like_paper: bool) -> Iterator[Item]:
    """Q less each null, by layer and graph, at the weakest L2 and the strongest dropout held against nulls.

    Untrained networks are a null themselves. Permuted weights are subtracted as they are. The similarity
    null is left behind by untrained networks too, whose dimensions are unequal like any layer's: what counts
    is how much farther trained networks are from it.

    Parameters
    ----------
    results
        With rows in its table `nulls`.
    untrained
        Untrained networks of the same shape on the same images, held against the same nulls.
    like_paper
        Whether the paper's figures are of this experiment.
    """
    if results.nulls.empty or untrained.nulls.empty:
        return
    kept = _kept(results)
    newborn = family_pairs.other_seeds(untrained.networks, kept)
    tested = results.nulls.merge(kept[["network", *LEVEL, "seed"]], on="network")
    tested["excess"] = tested.q - tested["mean"]
    searched = results.modules.merge(kept[["network", *LEVEL, "seed"]], on="network")
    by_null = untrained.nulls.assign(excess=untrained.nulls.q - untrained.nulls["mean"])
    by_null = by_null[by_null.network.isin(newborn.network)]
    before = untrained.modules[untrained.modules.network.isin(newborn.network)]
    for name, level in _two_levels(tested).items():
        at_level = searched[_at(searched, *level)]
        for key, group in at_level.groupby(GRAPH):
            found = difference(_by_seed(group, "q"), _graph(before, key).q.to_numpy(dtype=float))
            paper = reported.excess_over_untrained(level, *graph_key(key)) if like_paper else np.nan
            yield Item(f"{name}, untrained, {graph_name(*graph_key(key))}", found, paper=paper)
        for (null, *graph), group in tested[_at(tested, *level)].groupby(["null", *GRAPH]):
            label = f"{name}, {null}, {graph_name(*graph_key(graph))}"
            if null == "similarity":
                theirs = _graph(by_null[by_null.null == null], graph).excess.to_numpy(dtype=float)
                yield Item(label, difference(_by_seed(group, "excess"), theirs))
            else:
                yield Item(label, mean(_by_seed(group, "excess")))


def _by_seed(table: pd.DataFrame, column: str) -> Float[np.ndarray, " seed"]:
    return table.groupby("seed")[column].mean().to_numpy(dtype=float)


def _graph(table: pd.DataFrame, key: Any) -> pd.DataFrame:
    """Rows of one layer and graph."""
    layer, measure, normalized = graph_key(key)
    return table[(table.layer == layer) & (table.measure == measure) & (table.normalized == normalized)]


def more_with_a_task(kept: Results, shuffled: Results) -> Iterator[Item]:
    """Q of networks trained on true labels less that of those trained on shuffled ones, by layer and graph.

    At the weakest L2 and the strongest dropout, seed by seed: both see the same images in the same order from
    the same start. There is no filter: nothing can be learnt from shuffled labels that a test would show.
    """
    by_level = [*GRAPH, *LEVEL, "seed"]
    with_task, without = (
        r.modules.merge(r.networks[r.networks.trained][["network", *LEVEL, "seed"]], on="network")
        .groupby(by_level)
        .q.mean()
        for r in (kept, shuffled)
    )
    table = (with_task - without).dropna().rename("more").reset_index()
    for name, level in _two_levels(table).items():
        for key, group in table[_at(table, *level)].groupby(GRAPH):
            yield Item(f"{name}, {graph_name(*graph_key(key))}", mean(group.more.to_numpy(dtype=float)))


def _two_levels(table: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Find the weakest L2 and the strongest dropout in a table, by what items call them."""
    found = {}
    if (table.regularizer == "l2").any():
        found["plain"] = contrasts.weakest_l2(table)
    dropout = table[table.regularizer == "dropout"].strength
    if len(dropout):
        found[f"dropout {dropout.max():g}"] = ("dropout", float(dropout.max()))
    return found


def _at(table: pd.DataFrame, regularizer: str, strength: float) -> pd.Series:
    """Mark the rows of a level."""
    return (table.regularizer == regularizer) & (table.strength == strength)


def _kept(results: Results) -> pd.DataFrame:
    kept = kept_networks(results)
    return kept[kept.trained]


def _pair_name(pair: str) -> str:
    return pair if pair == "across" else f"within {pair}"
