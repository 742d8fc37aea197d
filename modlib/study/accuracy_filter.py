"""Networks of an experiment that take part in its findings, and the columns that tables are grouped by."""

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
    """Select the networks that take part in the findings: untrained ones, and those that learned the task.

    A trained network with less than the least test accuracy is dropped, and so is every network of a level of
    regularisation at which more than half have less (Lange et al. 2022). The least accuracy must be a number
    in [0, 1], or else a ValueError or TypeError is raised.
    """
    min_accuracy = _checks.real(min_accuracy, "min_accuracy", least=0.0, most=1.0)
    networks = results.networks
    passes = networks.test_accuracy >= min_accuracy
    level_passes = passes.groupby([networks[name] for name in LEVEL]).transform("mean") >= 0.5
    return networks[~networks.trained | (passes & level_passes)].reset_index(drop=True)


def trained_networks(results: Results, *, min_accuracy: float = MIN_ACCURACY) -> pd.DataFrame:
    """Select the trained networks that take part, as `kept_networks` does."""
    kept = kept_networks(results, min_accuracy=min_accuracy)
    return kept[kept.trained]


def with_levels(table: pd.DataFrame, networks: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a table that are about some networks, with the level and the seed of each."""
    return table.merge(networks[["network", *LEVEL, "seed"]], on="network")


def checked_metric(agreement: pd.DataFrame, metric: str) -> str:
    """Return a metric if a table of agreement has it, or else raise a ValueError."""
    columns = (*METRICS, "rank_correlation", "transfer_ab", "transfer_ba")
    return _checks.one_of(metric, "metric", [name for name in columns if name in agreement.columns])
