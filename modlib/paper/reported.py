"""The claims' statistics as the paper's own figures give them, from the values in ``results/published``."""

from itertools import product

import numpy as np
import pandas as pd

from modlib.measures import MEASURES, family
from modlib.paper import family_pairs, multiverse, published
from modlib.paper.graph_names import of_graph
from modlib.study.accuracy_filter import WEIGHT_PENALTIES

#: The experiments that the paper's figures show; the final protocol is compared with them too, though
#: they follow that of arXiv v1.
LIKE_THE_FIGURES = ("base", "base-v1")


def dropout_gain(family: str) -> float:
    """Q at the best level of dropout less Q at the weakest L2, mean over the graphs of a family.

    The best of the published means: nothing is held out, so it leans upwards a little.
    """
    tables = [_levels(*graph) for graph in _graphs(family)]
    return float(np.mean([_best(table, "dropout") - float(_weakest_l2(table).q) for table in tables]))


def penalty_gain(family: str) -> float:
    """Q at the best level of L1 or L2 less Q at the weakest L2, as `dropout_gain`."""
    tables = [_levels(*graph) for graph in _graphs(family)]
    return float(np.mean([_best(table, *WEIGHT_PENALTIES) - float(_weakest_l2(table).q) for table in tables]))


def dropout_lead(family: str, *, matched: bool) -> float:
    """Q at the best dropout less Q at the best L1 or L2, mean over the graphs of a family."""
    return float(np.mean([_lead(*graph, matched=matched) for graph in _graphs(family)]))


def _graphs(family_name: str) -> list[tuple[int, str, bool]]:
    """Layer, measure and scale of every graph of a family."""
    return [graph for graph in product((1, 2), MEASURES, (False, True)) if family(graph[1]) == family_name]


def _lead(layer: int, measure: str, normalized: bool, *, matched: bool) -> float:
    """Q at the best dropout less Q at the best L1 or L2, over all levels or over those of matched accuracy.

    nan if an accuracy that matching needs is missing. A level below the axis of the accuracy figure is less
    accurate than all that are on it.
    """
    table = _levels(layer, measure, normalized)
    if matched:
        table = table.merge(published.accuracy(), on=["regularizer", "strength"], how="left")
        table.loc[table.below_axis.eq(True), "test_acc"] = 0.0
        if table.test_acc.isna().any():
            return float("nan")
        table = table[table.test_acc >= table[table.regularizer == "dropout"].test_acc.min()]
    return _best(table, "dropout") - _best(table, *WEIGHT_PENALTIES)


def excess_over_untrained(level: tuple[str, float], measure: str) -> float:
    """Q at a level of regularisation less the mean Q of untrained networks, mean over a measure's graphs.

    nan where a figure lacks one of them.
    """
    found = []
    for graph in product((1, 2), (measure,), (False, True)):
        table = _levels(*graph)
        here = table[(table.regularizer == level[0]) & np.isclose(table.strength, level[1])]
        null = of_graph(published.q_untrained(), graph)
        found.append(float(here.q.iloc[0] - null["mean"].iloc[0]) if len(here) and len(null) else np.nan)
    return float(np.mean(found))


def under_choice(kind: str, choice: str, effect: str) -> float:
    """Give an effect of `multiverse.EFFECTS` under a choice; nan where the figures do not give it.

    The figures show means over networks that pass the 0.8 filter, by graph and level. Agreement they show in
    element-centric similarity only.
    """
    leads = {multiverse.UPSTREAM_LEAD: "upstream", multiverse.DOWNSTREAM_LEAD: "downstream"}
    if effect not in leads:
        if (kind, choice) != ("metric", "ecs"):
            return float("nan")
        upstream, downstream, across = (family_ecs(pair) for pair in ("upstream", "downstream", "across"))
        return (upstream + downstream) / 2 - across
    matched = kind not in ("levels", "graphs of all levels")
    found = [
        _lead(*graph, matched=matched) for graph in _graphs(leads[effect]) if _is_chosen(kind, choice, *graph)
    ]
    return float(np.mean(found)) if found else float("nan")


def _is_chosen(kind: str, choice: str, layer: int, measure: str, normalized: bool) -> bool:
    """Whether a graph is one that a choice looks at; none is where the figures do not tell."""
    if kind in ("default", "levels"):
        return True
    if kind == "layer":
        return choice == f"{layer} only"
    measures, wanted = multiverse.CHOSEN_GRAPHS.get(choice, ((), None))
    return kind.startswith("graphs") and measure in measures and wanted in (None, normalized)


def family_ecs(pair: str, *, trained: bool = True) -> float:
    """Mean element-centric similarity over both layers, within ``upstream``, ``downstream`` or ``across``.

    Pairs of a measure with its own normalised form are left out, as everywhere.
    """
    return float(_pairs(pair)[f"ecs_{'trained' if trained else 'untrained'}"].mean())


def high_agreement() -> float:
    """Threshold between high and low agreement.

    The midpoint between the paper's mean across families and its lowest value within one (a pair of graphs,
    trained networks): a value on the far side resembles the other kind more than its own.
    """
    lowest = min(_pairs(pair).ecs_trained.min() for pair in ("upstream", "downstream"))
    return float((family_ecs("across") + lowest) / 2)


def accuracy_loss() -> float:
    """Test accuracy at the weakest L2 less that at the strongest dropout."""
    table = published.accuracy()
    dropout = table[table.regularizer == "dropout"].nlargest(1, "strength").iloc[0]
    return float(_weakest_l2(table).test_acc - dropout.test_acc)


def _levels(*graph: object) -> pd.DataFrame:
    table = of_graph(published.q(), graph)
    return table[(table.regularizer != "dropout") | (table.strength > 0)]  # no dropout is no level


def _best(table: pd.DataFrame, *regularizers: str) -> float:
    return float(table.q[table.regularizer.isin(regularizers)].max())  # nan where there is none


def _weakest_l2(table: pd.DataFrame) -> pd.Series:
    return table[table.regularizer == "l2"].nsmallest(1, "strength").iloc[0]


def _pairs(pair: str) -> pd.DataFrame:
    table = published.agreement()
    a, b = table.measure_a.map(family), table.measure_b.map(family)
    found = pd.Series(np.where(a == b, a, "across"), index=table.index)
    return family_pairs.distinct(table[found == pair])
