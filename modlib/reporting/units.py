"""The units of a report's layers, a row each for every graph: names and modules."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from modlib.reporting.layers import Layer


def units_table(layers: Iterable[Layer], modules: pd.DataFrame) -> pd.DataFrame:
    """Make one row a layer, graph and unit: its number from 0, its name, and its module (−1: dead)."""
    names = {layer.name: np.array(layer.units, dtype=object) for layer in layers}
    graph = ["network", "layer", "measure", "normalized"]
    long = modules[[*graph, "labels"]].rename(columns={"labels": "module"})
    units = pd.Series([np.arange(len(labels)) for labels in long.module], index=long.index)
    long = long.assign(unit=units, name=long.layer.map(names))
    long = long.explode(["unit", "name", "module"], ignore_index=True)
    return long.astype({"unit": np.int64, "module": np.int64})[[*graph, "unit", "name", "module"]]
