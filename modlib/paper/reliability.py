"""How far two measures could agree, given how well each agrees with itself.

A partition rests on the images that the similarities were computed from. By other images the same measure
finds a somewhat different partition, and no second measure can be expected to agree with either of them much
better than they agree with each other.
"""

import numpy as np
import pandas as pd

from modlib.paper import family_pairs
from modlib.paper.by_level import mean_over_seeds
from modlib.study.accuracy_filter import GRAPH, LEVEL, kept_networks, with_levels
from modlib.study.store import Results


def by_measure(results: Results) -> pd.DataFrame:
    """Mean reliability of each measure's partitions at each level, over layers and both forms.

    The reliability of a graph is the adjusted mutual information of its partitions by two halves of the
    images. A row is a level and measure, with the mean over seeds, its 95 % interval and the number of
    `seeds`. Results without reliabilities, which older tables are, give no rows.
    """
    table = with_levels(results.modules, kept_networks(results)).dropna(subset="reliability")
    return mean_over_seeds(table, [*LEVEL, "measure"], "reliability")


def ceilings(results: Results) -> pd.DataFrame:
    """Agreement of different measures beside the most that their reliabilities leave room for.

    The `ceiling` of a pair is √(r_a r_b), the geometric mean of the two reliabilities r, where one below 0
    counts as 0. For correlations this is exact: noise lowers the correlation of two quantities by that factor
    (Spearman 1904, *The American Journal of Psychology* 15, 72). For adjusted mutual information it is a
    guide, and a low one: a half of the images is noisier than all of them, from which agreement is found.

    A row is a pair of families (`family_pair`), level and `seed`, with the means of `ami` and `ceiling` over
    networks, layers and pairs of graphs whose measures differ, and their `ratio`.
    """
    found = results.modules[["network", *GRAPH, "reliability"]].dropna()
    pairs = family_pairs.distinct(results.agreement)
    for side in ("a", "b"):
        names = {name: f"{name}_{side}" for name in ("measure", "normalized", "reliability")}
        pairs = pairs.merge(found.rename(columns=names), on=["network", "layer", *list(names.values())[:2]])
    product = pairs.reliability_a.clip(lower=0) * pairs.reliability_b.clip(lower=0)
    table = with_levels(pairs.assign(ceiling=np.sqrt(product)), kept_networks(results))
    means = table.groupby([*LEVEL, "family_pair", "seed"])[["ami", "ceiling"]].mean().reset_index()
    return means.assign(ratio=means.ami / means.ceiling)
