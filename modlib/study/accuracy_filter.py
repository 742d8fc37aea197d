"""Columns by which the tables of an experiment are grouped, and which of its networks take part."""

from __future__ import annotations

import pandas as pd

from modlib import _checks
from modlib._contingency import METRICS
from modlib.study.store import Results

MIN_ACCURACY = 0.8  # below it a network is dropped (Lange et al. 2022)
GRAPH = ["layer", "measure", "normalized"]
LEVEL = ["regularizer", "strength"]
PAIR = ["measure_a", "normalized_a", "measure_b", "normalized_b"]
WEIGHT_PENALTIES = ("l1", "l2")


def kept_networks(results: Results, *, min_accuracy: float = MIN_ACCURACY) -> pd.DataFrame:
    """Networks that take part in the findings: untrained ones, and trained ones that learned the task.

    A trained network of less test accuracy is dropped, and so is every network of a level of regularisation
    more than half of whose networks have less (Lange et al. 2022).

    Parameters
    ----------
    min_accuracy
        In [0, 1]; at 0 no network is dropped. The paper's is 0.8.

    Raises
    ------
    ValueError
        If `min_accuracy` is not in [0, 1].
    TypeError
        If it is no number.
    """
    min_accuracy = _checks.real(min_accuracy, "min_accuracy", least=0.0, most=1.0)
    networks = results.networks
    passes = networks.test_accuracy >= min_accuracy
    level_passes = passes.groupby([networks[name] for name in LEVEL]).transform("mean") >= 0.5
    return networks[~networks.trained | (passes & level_passes)].reset_index(drop=True)


def checked_metric(agreement: pd.DataFrame, metric: str) -> str:
    """Return a metric of a table of agreement; a ValueError if it has none of that name."""
    columns = (*METRICS, "rank_correlation", "transfer_ab", "transfer_ba")
    return _checks.one_of(metric, "metric", [name for name in columns if name in agreement.columns])
