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
    long["unit"] = [np.arange(len(labels)) for labels in long.module]
    long["name"] = [names[layer] for layer in long.layer]
    long = long.explode(["unit", "name", "module"], ignore_index=True)
    return long.astype({"unit": np.int64, "module": np.int64})[[*graph, "unit", "name", "module"]]
