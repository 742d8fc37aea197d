"""The claims' statistics as the paper's own figures give them, from the values in ``results/published``."""

from itertools import product

import numpy as np
import pandas as pd

from modlib.measures import MEASURES, family
from modlib.paper import multiverse, published
from modlib.paper.graph_names import of_graph
from modlib.study.accuracy_filter import WEIGHT_PENALTIES

#: The experiments that the paper's figures show; the final protocol is compared with them too, though
#: they follow that of arXiv v1.
LIKE_THE_FIGURES = ("base", "base-v1")


def dropout_gain(layer: int, measure: str, normalized: bool) -> float:
    """Q at the best level of dropout less Q at the weakest L2.

    The best of the published means: nothing is held out, so it leans upwards a little.
    """
    table = _levels(layer, measure, normalized)
    return _best(table, "dropout") - float(_weakest_l2(table).q)


def dropout_less_weights(layer: int, measure: str, normalized: bool, *, matched: bool) -> float:
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


def excess_over_untrained(level: tuple[str, float], layer: int, measure: str, normalized: bool) -> float:
    """Q at a level of regularisation less the mean Q of untrained networks; nan where a figure lacks it."""
    table = _levels(layer, measure, normalized)
    here = table[(table.regularizer == level[0]) & np.isclose(table.strength, level[1])]
    null = of_graph(published.q_untrained(), (layer, measure, normalized))
    return float(here.q.iloc[0] - null["mean"].iloc[0]) if len(here) and len(null) else float("nan")


def under_choice(kind: str, choice: str, effect: str) -> float:
    """Both findings in one number each under a choice of `multiverse.effects`; nan if figures lack it.

    The figures show means over networks that pass the 0.8 filter, by graph and level, and agreement by pair
    of graphs over both layers together.
    """
    if effect == multiverse.AGREEMENT_EFFECT:
        rows = {
            ("default", "default"): "index == index",
            ("graphs", "raw only"): "not normalized_a and not normalized_b",
            ("graphs", "normalised only"): "normalized_a and normalized_b",
            ("graphs", "no measure with itself"): "measure_a != measure_b",
        }.get((kind, choice))
        if rows is None:
            return float("nan")
        pairs = ("upstream", "downstream", "across")
        upstream, downstream, across = (_pairs(pair).query(rows).ecs_trained.mean() for pair in pairs)
        return float((upstream + downstream) / 2 - across)
    matched = kind not in ("levels", "graphs of all levels")
    contrasts = [
        dropout_less_weights(*graph, matched=matched)
        for graph in product((1, 2), MEASURES, (False, True))
        if _is_chosen(kind, choice, *graph)
    ]
    return float(np.mean(contrasts)) if contrasts else float("nan")


def _is_chosen(kind: str, choice: str, layer: int, measure: str, normalized: bool) -> bool:
    """Whether a graph is one that a choice looks at; none is where the figures do not tell."""
    if kind in ("default", "levels"):
        return True
    if kind == "layer":
        return choice == f"{layer} only"
    measures, wanted = multiverse.CHOSEN_GRAPHS.get(choice, ((), None))
    return kind.startswith("graphs") and measure in measures and wanted in (None, normalized)


def family_ecs(pair: str, *, trained: bool = True) -> float:
    """Mean element-centric similarity over both layers, within ``upstream``, ``downstream`` or ``across``."""
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
    different = (table.measure_a != table.measure_b) | (table.normalized_a != table.normalized_b)
    return table[(found == pair) & different]
