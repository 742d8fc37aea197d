"""Contrasts between levels of regularisation, with the seed as the unit.

A level that is selected on the seeds that are then averaged looks better than it is, the more so the more
levels there are. Here each seed is read at the level selected on the other seeds, and intervals are those of
`modlib.stats.selection.difference_of_best`, which allow for the selections that seeds share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from modlib.measures import FAMILIES, family
from modlib.paper.graph_names import graph_key
from modlib.stats import intervals
from modlib.stats.intervals import Estimate
from modlib.stats.selection import difference_of_best, held_out_best
from modlib.study.accuracy_filter import GRAPH, LEVEL, WEIGHT_PENALTIES, kept_networks, with_levels
from modlib.study.store import Results

LEVELS_COMPARED = ("at matched accuracy", "all levels")
SIGNIFICANT = 0.05  # largest p by Holm's method at which a difference counts
_SIDES = ("dropout_levels", "weights_levels")
_ROUNDING = 1e-12  # equal mean accuracies may differ by the rounding of their sums


@dataclass(frozen=True, eq=False)
class Levels:
    """Q of one graph, seed by seed (nan where a network was left out), at the levels to select from."""

    key: tuple[int, str, bool]  # layer, measure and whether normalised
    plain: Float[np.ndarray, "seed plain_level"]  # at the weakest L2, no regularisation; one column, or none
    dropout: Float[np.ndarray, "seed dropout_level"]
    weights: Float[np.ndarray, "seed weights_level"]  # at each level of L1 or L2
    dropout_levels: tuple[tuple[str, float], ...]  # what the columns are: regulariser and strength
    weights_levels: tuple[tuple[str, float], ...]


def least_accurate_dropout(networks: pd.DataFrame) -> float:
    """Mean test accuracy of the least accurate level of dropout among `networks`; nan without dropout.

    Levels that reach it are, on average, at least as good as every level of dropout: a contrast among them is
    between networks of matched accuracy.
    """
    levels = networks[networks.regularizer == "dropout"].groupby("strength").test_accuracy.mean()
    return float(levels.min())


def least_accuracy(networks: pd.DataFrame, compared: str) -> float:
    """Return the accuracy that a level must reach to be compared, by one of the ways `LEVELS_COMPARED`."""
    return least_accurate_dropout(networks) if compared == LEVELS_COMPARED[0] else 0.0


def weakest_l2(networks: pd.DataFrame) -> tuple[str, float]:
    """Level that stands for no regularisation: L2 at its weakest, as in the paper's grid."""
    return "l2", float(networks[networks.regularizer == "l2"].strength.min())


def levels(modules: pd.DataFrame, networks: pd.DataFrame, *, min_accuracy: float = 0.0) -> list[Levels]:
    """Q by graph, seed and level, as far as levels may be chosen as the best; all graphs have the same seeds.

    Those of the networks take part that are trained. Only levels whose networks reach a test accuracy of
    `min_accuracy` on average may be chosen; plain stays.
    """
    trained = networks[networks.trained]
    accuracy = trained.groupby(LEVEL).test_accuracy.mean()
    good = accuracy.index[accuracy >= min_accuracy - _ROUNDING]
    candidates = {
        "plain": [weakest_l2(trained)],
        "dropout": [level for level in good if level[0] == "dropout"],
        "weights": [level for level in good if level[0] in WEIGHT_PENALTIES],
    }
    table = with_levels(modules[["network", *GRAPH, "q"]], trained)
    wide = table.groupby([*GRAPH, "seed", *LEVEL]).q.mean().unstack(LEVEL)
    seeds = np.unique(table.seed)
    found = []
    for key, group in wide.groupby(GRAPH, sort=True):
        q = np.full((len(seeds), wide.shape[1]), np.nan)
        q[np.searchsorted(seeds, group.index.get_level_values("seed"))] = group.to_numpy(dtype=float)
        # Columns are found by number, since finding levels by name in pandas would take most of the time.
        column = {level: i for i, level in enumerate(wide.columns) if np.isfinite(q[:, i]).any()}
        there = {name: [level for level in some if level in column] for name, some in candidates.items()}
        plain, dropout, weights = (q[:, [column[level] for level in some]] for some in there.values())
        names = tuple(there["dropout"]), tuple(there["weights"])
        found.append(Levels(graph_key(key), plain, dropout, weights, *names))
    return found


def only(graph: Levels, dropout: tuple[str | None, float], weights: tuple[str | None, float]) -> Levels:
    """Keep one level of dropout and one penalty of a graph; a side that lacks its level has none left."""
    kept: dict[str, Any] = {}
    for side, level in (("dropout", dropout), ("weights", weights)):
        here = [i for i, name in enumerate(getattr(graph, f"{side}_levels")) if name == level]
        kept |= {side: getattr(graph, side)[:, here], f"{side}_levels": (level,) * len(here)}
    return replace(graph, **kept)


def best_levels(graph: Levels) -> tuple[tuple[str | None, float], tuple[str | None, float]]:
    """Find the level of dropout and the penalty with the largest mean Q; (None, nan) where there is none."""
    return _best(graph.dropout, graph.dropout_levels), _best(graph.weights, graph.weights_levels)


def lead(graphs: Sequence[Levels], of: str, over: str, family: str | None = None) -> Estimate:
    """Estimate how much larger Q is at the best level of one side than of another, on average over graphs.

    The sides are ``"dropout"``, ``"weights"`` and ``"plain"``; the graphs are those of one family of
    measures, or all.
    """
    return difference_of_best([(getattr(g, of), getattr(g, over)) for g in of_family(graphs, family)])


def frontier(results: Results, accuracies: Sequence[float]) -> pd.DataFrame:
    """Estimate dropout's lead among the levels that are at least so accurate, for one accuracy after another.

    A row is a least mean test `accuracy` and a `family`: the `value` of `lead` with its 95 % interval and
    number of seeds `n`, and how many levels of `dropout` and `penalties` there are to choose from. Rows of an
    accuracy that leaves no level on one side have no value.
    """
    kept = kept_networks(results)
    rows = []
    for accuracy in accuracies:
        graphs = levels(results.modules, kept, min_accuracy=accuracy)
        sides = [max((len(getattr(g, side)) for g in graphs), default=0) for side in _SIDES]
        for name in FAMILIES:
            found = lead(graphs, "dropout", "weights", name)
            rows.append([accuracy, name, found.value, found.low, found.high, found.n, *sides])
    columns = ["accuracy", "family", "value", "low", "high", "n", "dropout", "penalties"]
    return pd.DataFrame(rows, columns=columns)


def lead_upstream_less_downstream(graphs: Sequence[Levels]) -> Estimate:
    """Estimate how much more dropout leads over penalties upstream than downstream, from the same seeds."""
    upstream, downstream = (
        [(g.dropout, g.weights) for g in of_family(graphs, name)] for name in ("upstream", "downstream")
    )
    return difference_of_best(upstream, less=downstream) if downstream else Estimate()


def of_family(graphs: Sequence[Levels], name: str | None) -> list[Levels]:
    """Select the graphs of a family of measures, or all of them."""
    return [graph for graph in graphs if name in (None, family(graph.key[1]))]


def by_graph(results: Results, *, min_accuracy: float = 0.0) -> pd.DataFrame:
    """Gain in Q by dropout and by weight penalties, and which gain is larger, by layer and graph.

    Networks are filtered by `modlib.study.accuracy_filter.kept_networks`, and levels by `min_accuracy`, as in
    `levels`; `least_accurate_dropout` makes the contrast one at matched accuracy.

    Returns
    -------
    DataFrame
        One row a layer and graph. Means over seeds: `plain`, and `dropout` and `weights` at the level best on
        the other seeds. The levels best on all seeds: `dropout_at`, `weights_by`, `weights_at` (None and nan
        if there are none). Gains over plain: `dropout_gain` and `weights_gain` with ``_low``, ``_high`` and
        ``_p``. And `difference`, dropout less weights, with `low`, `high`, `n` seeds, `p`, Hedges' g `effect`
        and `p_holm`, corrected for the number of rows (Holm 1979). Intervals are 95 %, each for itself.
    """
    rows = []
    for graph in levels(results.modules, kept_networks(results), min_accuracy=min_accuracy):
        row: dict[str, object] = dict(zip(GRAPH, graph.key, strict=True))
        row["plain"] = float(np.nanmean(graph.plain)) if graph.plain.size else np.nan
        for name, q in (("dropout", graph.dropout), ("weights", graph.weights)):
            row[name] = _mean_of_best(q)
            gain = difference_of_best([(q, graph.plain)])
            row |= {f"{name}_gain": gain.value, f"{name}_gain_low": gain.low}
            row |= {f"{name}_gain_high": gain.high, f"{name}_gain_p": gain.p}
        (_, row["dropout_at"]), (row["weights_by"], row["weights_at"]) = best_levels(graph)
        found = difference_of_best([(graph.dropout, graph.weights)])
        row["difference"] = found.value
        rows.append(row | {name: getattr(found, name) for name in ("low", "high", "n", "p", "effect")})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=intervals.holm(table.p.to_numpy(dtype=float)))


def both_ways(results: Results) -> pd.DataFrame:
    """Contrasts at matched accuracy and over all levels: `by_graph` twice, told apart by `levels`.

    The column `levels` has the names in `LEVELS_COMPARED`. Holm's correction is made within each of the two,
    since they answer two questions and both are reported.
    """
    kept = kept_networks(results)
    tables = [
        by_graph(results, min_accuracy=least_accuracy(kept, name)).assign(levels=name)
        for name in LEVELS_COMPARED
    ]
    return pd.concat(tables, ignore_index=True)


def _mean_of_best(q: Float[np.ndarray, "seed level"]) -> float:
    """Mean over seeds at the level best on the others; nan where there is none."""
    found = held_out_best(q) if len(q) > 1 and q.shape[1] else np.zeros(0)
    found = found[np.isfinite(found)]
    return float(found.mean()) if len(found) else np.nan


def _best(
    q: Float[np.ndarray, "seed level"], names: tuple[tuple[str, float], ...]
) -> tuple[str | None, float]:
    return names[int(np.nanmean(q, axis=0).argmax())] if names else (None, float("nan"))
