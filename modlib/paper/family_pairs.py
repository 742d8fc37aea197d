"""Agreement of partitions within and across the two families of measures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from modlib import _checks
from modlib.paper.by_level import mean_over_seeds
from modlib.study.accuracy_filter import LEVEL, PAIR, checked_metric, kept_networks
from modlib.study.store import Results


def agreement_matrix(results: Results, metric: str = "ecs") -> pd.DataFrame:
    """Mean agreement of every two graphs over both layers and all networks, trained and untrained.

    Both orders of a pair and the diagonal (agreement with itself) are filled in.

    Parameters
    ----------
    metric
        A column of the agreement table: ``ecs``, ``ami``, ``ari``, ``rmi``, ``vi``, ``matching`` or
        ``rank_correlation``.

    Raises
    ------
    ValueError
        If the table has no such metric.
    """
    table, metric = _agreement(results), checked_metric(results.agreement, metric)
    means = table.groupby(["trained", *PAIR], sort=False)[metric].mean().reset_index()
    swapped = means.rename(
        columns={
            "measure_a": "measure_b",
            "measure_b": "measure_a",
            "normalized_a": "normalized_b",
            "normalized_b": "normalized_a",
        }
    )
    same = means[["trained", "measure_a", "normalized_a"]].drop_duplicates()
    missing = swapped[["trained", "measure_a", "normalized_a"]].drop_duplicates()
    same = pd.concat([same, missing]).drop_duplicates()
    same = same.assign(measure_b=same.measure_a, normalized_b=same.normalized_a)
    same[metric] = 0.0 if metric == "vi" else np.nan if metric == "rmi" else 1.0
    return pd.concat([means, swapped, same], ignore_index=True)


def family_agreement(results: Results, metric: str = "ecs", *, distinct: bool = False) -> pd.DataFrame:
    """Mean agreement within and across families by layer (0: both), trained or not, 95 % over seeds.

    Parameters
    ----------
    metric
        As for `agreement_matrix`.
    distinct
        Leave out the pairs of a measure with its own normalised form: two of the six within a family.

    Raises
    ------
    ValueError, TypeError
        If the table has no such metric, or `distinct` is not True or False.
    """
    table, metric = _agreement(results), checked_metric(results.agreement, metric)
    distinct = _checks.flag(distinct, "distinct")
    if distinct:
        table = table[table.measure_a != table.measure_b]
    both = mean_over_seeds(table.assign(layer=0), ["trained", "layer", "family_pair"], metric)
    each = mean_over_seeds(table, ["trained", "layer", "family_pair"], metric)
    return pd.concat([both, each], ignore_index=True)


def _agreement(results: Results) -> pd.DataFrame:
    kept = kept_networks(results)[["network", "trained", *LEVEL, "seed"]]
    return results.agreement.merge(kept, on="network")


def families_by_seed(
    agreement: pd.DataFrame, networks: pd.DataFrame, metric: str = "ecs", *, by_layer: bool = True
) -> pd.DataFrame:
    """Mean agreement within `upstream`, within `downstream` and `across`, one column each, by seed.

    Parameters
    ----------
    agreement
        Rows with `network`, `layer`, `family_pair` and the metric.
    networks
        The networks that take part; a seed's value is the mean over its networks.
    by_layer
        One row a layer and seed, or one a seed, the mean over all layers.

    Raises
    ------
    ValueError
        If the table has no such metric.
    """
    metric = checked_metric(agreement, metric)
    table = agreement.merge(networks[["network", "seed"]], on="network")
    index = ["layer", "seed"] if by_layer else ["seed"]
    wide = table.pivot_table(index=index, columns="family_pair", values=metric, aggfunc="mean")
    return wide.reindex(columns=["upstream", "downstream", "across"]).rename_axis(columns=None).reset_index()


def other_seeds(untrained: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """Untrained networks whose seed no trained network has.

    A trained network began as the untrained one of its seed, so only others are independent of it.
    """
    return untrained[~untrained.seed.isin(trained.seed)]
