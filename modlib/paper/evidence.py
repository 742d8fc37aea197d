"""What a claim rests on: the tables that it is tested on, and what several claims read off them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec

import numpy as np
import pandas as pd
from jaxtyping import Float

from modlib.paper import contrasts, family_pairs, multiverse, reported
from modlib.paper.graph_names import graph_key
from modlib.stats.intervals import Estimate, difference, mean
from modlib.study.accuracy_filter import GRAPH, LEVEL, kept_networks, trained_networks, with_levels
from modlib.study.store import Results

#: Untrained networks held against nulls, of the same shape and on the same images as an experiment.
UNTRAINED_BESIDE = {"close-up": "untrained", "base-v1": "untrained", "fashion": "untrained-fashion"}

_Of = ParamSpec("_Of")


@dataclass(frozen=True)
class Item:
    """A testable statement; its direction is one of `modlib.paper.verdicts.DIRECTIONS`."""

    label: str
    estimate: Estimate
    direction: str = "above"
    threshold: float = 0.0
    paper: float = float("nan")


@dataclass(frozen=True)
class Case:
    """An experiment in which a claim is tested."""

    experiment: str  # its name, or the name under which a claim is tested on several together
    tables: Mapping[str, Results]  # those of all experiments that are stored, by name

    @property
    def results(self) -> Results:
        """Tables of the experiment."""
        return self.tables[self.experiment]

    @property
    def untrained(self) -> Results | None:
        """Tables of the untrained networks beside it; None where they are not stored."""
        return self.tables.get(UNTRAINED_BESIDE[self.experiment])

    @cached_property
    def trained(self) -> pd.DataFrame:
        """Trained networks that pass the accuracy filter."""
        return trained_networks(self.results)

    def in_paper(self, statistic: Callable[_Of, float], *args: _Of.args, **options: _Of.kwargs) -> float:
        """Return a statistic of `modlib.paper.reported`; nan if the figures are not of this experiment."""
        shown = self.experiment in reported.LIKE_THE_FIGURES
        return statistic(*args, **options) if shown else float("nan")


def no_data(label: str) -> Item:
    """Return an item that nothing is known about."""
    return Item(label, Estimate())


def agreement_of(case: Case, pairs: tuple[str, ...], direction: str) -> Iterator[Item]:
    """Agreement of pairs of families, by layer, against the threshold between high and low."""
    threshold = reported.high_agreement()
    seeds = family_pairs.families_by_seed(case.results.agreement, case.trained)
    for layer, group in seeds.groupby("layer"):
        for pair in pairs:
            label = f"{pair if pair == 'across' else f'within {pair}'}, layer {layer}"
            found = mean(group[pair].to_numpy(), null=threshold)
            yield Item(label, found, direction, threshold, case.in_paper(reported.family_ecs, pair))


def raised_by_training(case: Case, family: str, direction: str, threshold: float) -> Iterator[Item]:
    """Agreement within a family, trained less untrained networks of other seeds, by layer."""
    kept = kept_networks(case.results)
    others = family_pairs.other_seeds(kept[~kept.trained], case.trained)
    after, before = (
        family_pairs.families_by_seed(case.results.agreement, networks) for networks in (case.trained, others)
    )
    trained, not_trained = (case.in_paper(reported.family_ecs, family, trained=t) for t in (True, False))
    for layer, group in after.groupby("layer"):
        untrained = before[before.layer == layer]
        found = difference(*(table[family].to_numpy(dtype=float) for table in (group, untrained)))
        label = f"within {family}, layer {layer}"
        yield Item(label, found, direction, threshold, paper=trained - not_trained)


def modules_lost(case: Case, regularizer: str) -> Iterator[tuple[tuple[int, str, bool], np.ndarray]]:
    """Change of the effective number of modules from the weakest L2 to the strongest kept level, by seed."""
    strength = case.trained[case.trained.regularizer == regularizer].strength.max()
    strongest, plain = (regularizer, strength), contrasts.weakest_l2(case.trained)
    if np.isnan(strength) or strongest == plain:
        return
    table = with_levels(case.results.modules, case.trained)
    wide = table.pivot_table(index=[*GRAPH, "seed"], columns=LEVEL, values="effective_modules")
    for key, group in (wide[strongest] - wide[plain]).groupby(GRAPH):
        yield graph_key(key), group.to_numpy(dtype=float)


def under_choices(case: Case, kinds: tuple[str, ...]) -> Iterator[Item]:
    """Both effects under the analysis choices of some kinds, beside the paper's."""
    for row in multiverse.effects(case.results, kinds).to_dict("records"):
        kind, choice, effect = row["choice_kind"], row["choice"], row["effect"]
        found = Estimate(row["value"], row["low"], row["high"], row["n"], row["p"])
        label = f"{kind if kind == choice else f'{kind}: {choice}'}; {effect}"
        yield Item(label, found, paper=case.in_paper(reported.under_choice, kind, choice, effect))


def plain_and_strongest_dropout(table: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Find the weakest L2 and the strongest dropout in a table, by what items call them."""
    strongest = table[table.regularizer == "dropout"].strength.max()
    found = {"plain": contrasts.weakest_l2(table), f"dropout {strongest:g}": ("dropout", float(strongest))}
    return {name: level for name, level in found.items() if not np.isnan(level[1])}


def at_level(table: pd.DataFrame, level: tuple[str, float]) -> pd.Series:
    """Mark the rows of a level, its regulariser and strength."""
    return (table.regularizer == level[0]) & (table.strength == level[1])


def by_seed(table: pd.DataFrame, column: str) -> Float[np.ndarray, " seed"]:
    """Mean of a column within each seed."""
    return table.groupby("seed")[column].mean().to_numpy(dtype=float)
