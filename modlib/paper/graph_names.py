"""Names of graphs: of a measure, raw or normalised, and of a layer's graph."""

from typing import Any

import pandas as pd

from modlib.measures import MEASURES
from modlib.study.accuracy_filter import GRAPH


def graph_key(key: Any) -> tuple[int, str, bool]:
    """Layer, measure and whether normalised, out of a group's key."""
    layer, measure, normalized = key
    return int(layer), str(measure), bool(normalized)


def of_graph(table: pd.DataFrame, key: Any) -> pd.DataFrame:
    """Rows of one layer and graph."""
    layer, measure, normalized = graph_key(key)
    return table[(table.layer == layer) & (table.measure == measure) & (table.normalized == normalized)]


def variant_name(measure: str, normalized: bool) -> str:
    """Name a graph whatever its layer, such as ``input gradient, normalised``."""
    return f"{MEASURES[measure].label}, {'normalised' if normalized else 'raw'}"


def graph_name(layer: int, measure: str, normalized: bool) -> str:
    """Name a graph of a layer, such as ``input gradient, normalised, layer 1``."""
    return f"{variant_name(measure, normalized)}, layer {layer}"


def with_graph_names(table: pd.DataFrame) -> pd.DataFrame:
    """Put one column `graph`, the name of a row's graph, where `layer`, `measure` and `normalized` are."""
    names = [graph_name(*graph_key(key)) for key in table[GRAPH].itertuples(index=False)]
    found = table.drop(columns=GRAPH)
    found.insert(min(list(table.columns).index(column) for column in GRAPH), "graph", names)
    return found
