"""Metrics of agreement that are newer than stored results, derived when the results are read."""

import numpy as np
import pandas as pd

from modlib._contingency import METRICS
from modlib.comparison import agreement_pairs


def with_all_metrics(agreement: pd.DataFrame, modules: pd.DataFrame) -> pd.DataFrame:
    """Add to a table of agreement each metric that it lacks, computed from the stored labels.

    Nothing is trained or searched for again, since a metric of two label vectors needs only the labels. A
    KeyError is raised if a partition that is compared is not among `modules`.
    """
    missing = [name for name in METRICS if name not in agreement.columns]
    if not missing or agreement.empty:
        return agreement
    graph = ["network", "layer", "measure", "normalized"]
    place = pd.Series(np.arange(len(modules)), pd.MultiIndex.from_frame(modules[graph]))
    sides = []
    for side in ("a", "b"):
        named = {f"measure_{side}": "measure", f"normalized_{side}": "normalized"}
        keys = agreement[["network", "layer", *named]].rename(columns=named)
        sides.append(place.loc[pd.MultiIndex.from_frame(keys[graph])].to_numpy())
    pairs = np.stack(sides, axis=1)
    found = agreement.assign(**dict.fromkeys(missing, np.nan))
    # Layers of one width at a time, since label vectors are compared as rows of one array.
    widths = modules.labels.map(len).to_numpy()
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        number = np.full(len(modules), -1)
        number[rows] = np.arange(len(rows))
        here = widths[pairs[:, 0]] == width
        labels = np.stack(modules.labels.iloc[rows].to_list())
        for name, values in agreement_pairs(labels, number[pairs[here]], metrics=missing).items():
            found.loc[here, name] = values
    return found
