"""Agreement of partitions within and across the two families of measures."""

import numpy as np
import pandas as pd

from modlib.paper.by_level import mean_over_seeds
from modlib.study.accuracy_filter import LEVEL, PAIR, checked_metric, kept_networks
from modlib.study.store import Results


def distinct(agreement: pd.DataFrame) -> pd.DataFrame:
    """Leave out the pairs of a measure with its own normalised form: two of the six within a family.

    They compare a measure with itself, so they say nothing about whether two measures agree.
    """
    return agreement[agreement.measure_a != agreement.measure_b]


def agreement_matrix(results: Results, metric: str = "ecs") -> pd.DataFrame:
    """Mean agreement of every two graphs over both layers and all networks, trained and untrained.

    Both orders of a pair and the diagonal (agreement with itself) are filled in. The metric is a column of
    the agreement table, such as ``ecs`` or ``rank_correlation``; a ValueError refuses any other.
    """
    table, metric = _agreement(results), checked_metric(results.agreement, metric)
    means = table.groupby(["trained", *PAIR], sort=False)[metric].mean().reset_index()
    swapped = means.rename(columns=dict(zip(PAIR, PAIR[2:] + PAIR[:2], strict=True)))
    both = pd.concat([means, swapped], ignore_index=True)
    same = both[["trained", "measure_a", "normalized_a"]].drop_duplicates()
    same = same.assign(measure_b=same.measure_a, normalized_b=same.normalized_a)
    same[metric] = 0.0 if metric == "vi" else np.nan if metric == "rmi" else 1.0
    return pd.concat([both, same], ignore_index=True)


def family_agreement(results: Results, metric: str = "ami") -> pd.DataFrame:
    """Mean agreement within and across families by layer (0: both), trained or not, 95 % over seeds.

    The metric is as for `agreement_matrix`; pairs are those of `distinct`. Trained networks are of all levels
    together, between which agreement differs more than between anything else: see `agreement_by_level`.
    """
    table, metric = distinct(_agreement(results)), checked_metric(results.agreement, metric)
    key = ["trained", "layer", "family_pair"]
    both, each = (mean_over_seeds(rows, key, metric) for rows in (table.assign(layer=0), table))
    return pd.concat([both, each], ignore_index=True)


def agreement_by_level(results: Results, metric: str = "ami") -> pd.DataFrame:
    """Mean agreement within and across families at each level of regularisation, over all layers.

    A row is a level (untrained networks are the regulariser ``"none"``) and `family_pair`, with the mean over
    seeds in a column named as the metric, its 95 % interval and the number of `seeds`. Pairs are those of
    `distinct`.
    """
    table, metric = distinct(_agreement(results)), checked_metric(results.agreement, metric)
    return mean_over_seeds(table, [*LEVEL, "family_pair"], metric)


def _agreement(results: Results) -> pd.DataFrame:
    kept = kept_networks(results)[["network", "trained", *LEVEL, "seed"]]
    return results.agreement.merge(kept, on="network")


def families_by_seed(
    agreement: pd.DataFrame, networks: pd.DataFrame, metric: str = "ami", *, by_layer: bool = True
) -> pd.DataFrame:
    """Mean agreement within `upstream`, within `downstream` and `across`, one column each, by seed.

    A seed's value is the mean over those of its networks that take part, for each layer or over all of them.
    Pairs are those of `distinct`; a table that has been averaged over pairs is taken as it is.
    """
    metric = checked_metric(agreement, metric)
    if "measure_a" in agreement:
        agreement = distinct(agreement)
    table = agreement[["network", "layer", "family_pair", metric]]  # to merge all columns would take longer
    table = table.merge(networks[["network", "seed"]], on="network")
    index = ["layer", "seed"] if by_layer else ["seed"]
    wide = table.pivot_table(index=index, columns="family_pair", values=metric, aggfunc="mean")
    return wide.reindex(columns=["upstream", "downstream", "across"]).rename_axis(columns=None).reset_index()


def other_seeds(untrained: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """Untrained networks whose seed no trained network has.

    A trained network began as the untrained one of its seed, so only others are independent of it.
    """
    return untrained[~untrained.seed.isin(trained.seed)]
