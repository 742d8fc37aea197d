"""What a claim rests on: the tables that it is tested on, and what several claims read off them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec

import numpy as np
import pandas as pd
from jaxtyping import Float

from modlib.measures import family
from modlib.paper import by_level, contrasts, family_pairs, multiverse, new_seeds, reported
from modlib.paper.contrasts import Levels
from modlib.paper.new_seeds import NEW_SEEDS
from modlib.stats.intervals import Estimate
from modlib.study import catalogue
from modlib.study.accuracy_filter import GRAPH, LEVEL, trained_networks, with_levels
from modlib.study.store import Results

#: Untrained networks held against nulls, of the same shape and on the same images as an experiment.
UNTRAINED_BESIDE = {"close-up": "untrained", "base-v1": "untrained", "fashion": "untrained-fashion"}
#: By the name of an experiment with new seeds, the one with the old seeds.
OLD_SEEDS = {new: old for old, new in NEW_SEEDS.items()}

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
    """An experiment in which a claim is tested; what several claims ask of it is computed once."""

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

    @cached_property
    def never_trained(self) -> pd.DataFrame:
        """Untrained networks of the same shape, of other seeds than the trained ones."""
        networks = self.beside.networks
        return family_pairs.other_seeds(networks[~networks.trained], self.trained)

    @property
    def beside(self) -> Results:
        """Tables with the untrained networks of the same shape: for new seeds, those of the old ones."""
        return self.tables.get(OLD_SEEDS.get(self.experiment, self.experiment), self.results)

    @cached_property
    def graphs(self) -> dict[str, list[Levels]]:
        """Q of every graph at the levels to compare, by the ways of `contrasts.LEVELS_COMPARED`.

        New seeds are read at the levels that were frozen for them.
        """
        return {compared: self._graphs(compared) for compared in contrasts.LEVELS_COMPARED}

    def _graphs(self, compared: str) -> list[Levels]:
        new = self.experiment in OLD_SEEDS
        least = 0.0 if new else contrasts.least_accuracy(self.trained, compared)
        if np.isnan(least):
            return []
        found = contrasts.levels(self.results.modules, self.trained, min_accuracy=least)
        return new_seeds.at_frozen_levels(found, self.experiment, compared) if new else found

    @cached_property
    def agreement_at_named_levels(self) -> dict[str, pd.DataFrame]:
        """Agreement by seed (`agreement_at`) at each of the levels of `named_levels`, by name."""
        return {name: agreement_at(self, level) for name, level in named_levels(self).items()}

    def in_paper(self, statistic: Callable[_Of, float], *args: _Of.args, **options: _Of.kwargs) -> float:
        """Return a statistic of `modlib.paper.reported`; nan if the figures are not of this experiment."""
        shown = self.experiment in reported.LIKE_THE_FIGURES
        return statistic(*args, **options) if shown else float("nan")


def no_data(label: str) -> Item:
    """Return an item that nothing is known about."""
    return Item(label, Estimate())


def named_levels(case: Case) -> dict[str, tuple[str, float]]:
    """Find the weakest L2, and the strongest dropout and L2 whose networks still learn, by name."""
    marks = by_level.landmarks(case.results)
    names = {"weakest L2": "weakest L2", "strongest dropout": "dropout {:g}", "strongest L2": "L2 {:g}"}
    return {name.format(marks[mark][1]): marks[mark] for mark, name in names.items() if mark in marks}


def agreement_at(case: Case, level: tuple[str, float], metric: str = "ami") -> pd.DataFrame:
    """Agreement of different measures within and across families at a level, one row a seed."""
    networks = case.trained[at_level(case.trained, level)]
    return _by_seed(case.results, networks, metric)


def agreement_untrained(case: Case, metric: str = "ami") -> pd.DataFrame:
    """Agreement of different measures in networks that were never trained, one row a seed."""
    return _by_seed(case.beside, case.never_trained, metric)


def agreement_overall(case: Case, metric: str = "ecs") -> pd.DataFrame:
    """Agreement of different measures over the levels that old and new seeds share, one row a seed."""
    networks = case.trained
    new = NEW_SEEDS.get(case.experiment, NEW_SEEDS["base"])  # base-v1 has the levels of base
    shared = [(s.regularizer, s.strength) for s in catalogue.get(new, "paper").settings]
    levels = pd.MultiIndex.from_frame(networks[LEVEL])
    here = levels.isin(shared)
    return _by_seed(case.results, networks[here] if here.any() else networks, metric)


def _by_seed(results: Results, networks: pd.DataFrame, metric: str) -> pd.DataFrame:
    return family_pairs.families_by_seed(results.agreement, networks, metric, by_layer=False)


def modules_lost(case: Case, regularizer: str, family_name: str) -> Float[np.ndarray, " seed"] | None:
    """Change of the effective number of modules from the weakest L2 to the strongest kept level, by seed.

    It is the mean over the graphs of a family. None where there are not two levels.
    """
    strength = case.trained[case.trained.regularizer == regularizer].strength.max()
    strongest, plain = (regularizer, strength), contrasts.weakest_l2(case.trained)
    if np.isnan(strength) or strongest == plain:
        return None
    table = with_levels(case.results.modules, case.trained)
    table = table[table.measure.map(family) == family_name]
    wide = table.pivot_table(index=[*GRAPH, "seed"], columns=LEVEL, values="effective_modules")
    change = (wide[strongest] - wide[plain]).dropna()
    return np.asarray(change.groupby("seed").mean(), dtype=float)


def under_choices(case: Case, effect: str, kinds: tuple[str, ...]) -> Iterator[Item]:
    """Give an effect under the analysis choices of some kinds."""
    for row in multiverse.effects(case.results, kinds, (effect,)).to_dict("records"):
        kind, choice = row["choice_kind"], row["choice"]
        found = Estimate(row["value"], row["low"], row["high"], row["n"], row["p"])
        paper = case.in_paper(reported.under_choice, kind, choice, effect)
        yield Item(kind if kind == choice else f"{kind}: {choice}", found, paper=paper)


def with_nulls(case: Case) -> pd.DataFrame:
    """Excess of Q over each null of the trained networks that pass the accuracy filter."""
    return _excess(case.results.nulls, case.trained)


def untrained_excess(case: Case, null: str) -> pd.DataFrame:
    """Excess of Q over a null of the untrained networks beside, of seeds that no trained network has."""
    if case.untrained is None:
        raise ValueError(f"there are no untrained networks beside {case.experiment}")
    networks, nulls = case.untrained.networks, case.untrained.nulls
    others = family_pairs.other_seeds(networks, case.trained)
    return _excess(nulls[nulls.null == null], others)


def _excess(nulls: pd.DataFrame, networks: pd.DataFrame) -> pd.DataFrame:
    return with_levels(nulls.assign(excess=nulls.q - nulls["mean"]), networks)


def q_by_seed(table: pd.DataFrame, family_name: str) -> pd.Series:
    """Mean Q of the graphs of a family, by seed."""
    found: pd.Series = table[table.measure.map(family) == family_name].groupby("seed").q.mean()
    return found


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
