"""How sure the findings are: what counts as one observation, what choosing the best costs, which way Q goes.

All of it on the networks that pass the accuracy filter (`modlib.study.accuracy_filter.kept_networks`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from modlib.paper import contrasts, graph_names
from modlib.paper.simulations import coverage
from modlib.stats import intervals
from modlib.stats.intervals import Estimate
from modlib.stats.selection import held_out_best
from modlib.study.accuracy_filter import GRAPH, LEVEL, kept_networks
from modlib.study.runner import run
from modlib.study.store import Results

#: What might be taken for one independent observation, and the columns that tell one from another in a seed.
UNITS = {
    "seed": [],
    "network": LEVEL,
    "network and layer": [*LEVEL, "layer"],
    "network, layer and graph": [*LEVEL, *GRAPH],
}
WAYS = (
    "best on the same seeds, Student's t",
    "best on the other seeds, bootstrap",
    "the same, after Holm",
)
REGULARIZERS = ("dropout", "l1", "l2")


def units(results: Results) -> pd.DataFrame:
    """Mean Q of each regulariser's networks, its interval by four ideas of what is one observation.

    Whatever is not told apart by the unit is averaged within it. The interval is Student's t from the scatter
    of units that differ in nothing but their seed, pooled over levels, layers and graphs as far as the unit
    tells these apart: differences between levels are no scatter, whatever the unit.

    Returns
    -------
    DataFrame
        One row a `regularizer` and `unit` (of `UNITS`): `n` units, mean `q`, 95 % interval `low` to `high`;
        `times`, by how much the interval over seeds is wider than this one; and `worth`, how many independent
        units of the same scatter would have the standard error that there is over seeds.

    Notes
    -----
    If k networks of a seed move up and down together, "network" has √k times too small a standard error, and
    its n is worth n / k. Part of `times` is owed to Student's t, which is wider for few seeds than for many
    networks; `worth` leaves that out.
    """
    table = _with_levels(results)
    rows = []
    for regularizer in REGULARIZERS:
        here = table[table.regularizer == regularizer]
        for unit, columns in UNITS.items():
            values = here.groupby([*columns, "seed"]).q.mean().reset_index()
            n, se, half = len(values), *_error(values, columns)
            if unit == "seed":
                se_seeds, half_seeds = se, half
            mean = float(values.q.mean())
            times, worth = (half_seeds / half, n * (se / se_seeds) ** 2) if half > 0 else (np.nan, np.nan)
            rows.append([regularizer, unit, n, mean, mean - half, mean + half, times, worth])
    return pd.DataFrame(rows, columns=["regularizer", "unit", "n", "q", "low", "high", "times", "worth"])


def _error(values: pd.DataFrame, cells: list[str]) -> tuple[float, float]:
    """Return the standard error of mean `q` and half its interval, by units that differ in seed only."""
    groups = values.groupby(cells).q if cells else None
    within = values.q - (groups.transform("mean") if groups is not None else values.q.mean())
    n, df = len(values), len(values) - (groups.ngroups if groups is not None else 1)
    if df < 1:
        return np.nan, np.nan
    se = float(np.sqrt((within**2).sum() / df / n))
    return se, float(stats.t.ppf((1 + intervals.LEVEL) / 2, df) * se)


def times_plain(results: Results) -> pd.DataFrame:
    """How many times as large Q is at the strongest dropout as at the weakest L2: a ratio, by bootstrap.

    Returns
    -------
    DataFrame
        One row a layer and graph: mean Q `plain` and at the strongest `dropout`, their `ratio`, and its 95 %
        interval `low` to `high` (`modlib.stats.intervals.bootstrap`; nan with fewer than 3 seeds that have
        both).
    """
    table = _with_levels(results)
    dropout = table[table.regularizer == "dropout"]
    levels = [contrasts.weakest_l2(table), ("dropout", float(dropout.strength.max()))]
    rows = []
    for key, group in table.groupby(GRAPH):
        wide = group.pivot_table(index="seed", columns=LEVEL, values="q").reindex(columns=levels).dropna()
        q = wide.to_numpy(dtype=float)
        found = Estimate(_ratio(q[None])[0] if len(q) else np.nan, np.nan, np.nan, len(q), np.nan, np.nan)
        if len(q) >= intervals.FEWEST_SEEDS:
            found = intervals.bootstrap(_ratio, q, null=1.0)
        rows.append([*key, *wide.mean(), found.value, found.low, found.high])
    return pd.DataFrame(rows, columns=[*GRAPH, "plain", "dropout", "ratio", "low", "high"])


def _ratio(q: Float[np.ndarray, "draw seed level"]) -> Float[np.ndarray, " draw"]:
    """Ratio of means, not mean of ratios, in which seeds with a small plain Q would count for more."""
    mean = q.mean(axis=1)
    return np.asarray(mean[:, 1] / mean[:, 0])


def winners_curse(
    levels: tuple[int, ...] = (1, 2, 4, 8, 16, 32), *, seeds: int = 9, repetitions: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How much better than it is the best of several levels looks, where all are equally good.

    Parameters
    ----------
    levels
        Numbers of levels to choose from.
    seeds, repetitions, seed
        Seeds of each made-up experiment, number of experiments, and seed of the made-up data.

    Returns
    -------
    DataFrame
        One row a number of `levels`: what choosing adds on average on the `same seeds` and on `other seeds`
        (`modlib.stats.selection.held_out_best`), in standard deviations of a network.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for count in levels:
        samples = rng.normal(size=(repetitions, seeds, count))
        same = samples.mean(axis=1).max(axis=1).mean()
        other = np.mean([held_out_best(sample).mean() for sample in samples])
        rows.append([count, float(same), float(other)])
    return pd.DataFrame(rows, columns=["levels", "same seeds", "other seeds"])


def optimism(results: Results) -> pd.DataFrame:
    """How much Q at the best level falls when seeds no longer help to choose the level they are read at.

    Returns
    -------
    DataFrame
        One row a layer, graph and `side` ("dropout", or "weights": L1 and L2): number of `levels`, `same`
        (mean Q at the level best on all seeds), `held_out` and `optimism`, the former less the latter.
    """
    rows = []
    for graph in contrasts.levels(results.modules, kept_networks(results)):
        for side, q in (("dropout", graph.dropout), ("weights", graph.weights)):
            if q.shape[1] and len(q) > 1:
                same, held_out = float(np.nanmean(q, axis=0).max()), float(np.nanmean(held_out_best(q)))
                rows.append([*graph.key, side, q.shape[1], same, held_out, same - held_out])
    return pd.DataFrame(rows, columns=[*GRAPH, "side", "levels", "same", "held_out", "optimism"])


def ways_to_count(results: Results) -> pd.DataFrame:
    """Of how many graphs one can say that dropout or a weight penalty does more, by three ways of saying so.

    Returns
    -------
    DataFrame
        One row a way (`WAYS`) and choice of `levels` (`modlib.paper.contrasts.LEVELS_COMPARED`): numbers of
        graphs for `dropout`, for `weights` and `undecided`. The first way is what one should not do.
    """
    both = contrasts.both_ways(results)
    least = (contrasts.least_accurate_dropout(kept_networks(results)), 0.0)
    rows = []
    for name, accuracy in zip(contrasts.LEVELS_COMPARED, least, strict=True):
        table = both[both.levels == name]
        graphs = contrasts.levels(results.modules, kept_networks(results), min_accuracy=accuracy)
        naive = [_best_on_same_seeds(graph.dropout, graph.weights) for graph in graphs]
        verdicts = (
            np.array([_sign(found.low, found.high) for found in naive]),
            np.array([_sign(low, high) for low, high in zip(table.low, table.high, strict=True)]),
            np.where(table.p_holm <= contrasts.SIGNIFICANT, np.sign(table.difference), 0),
        )
        for way, verdict in zip(WAYS, verdicts, strict=True):
            rows.append([name, way, *(int((verdict == sign).sum()) for sign in (1, -1, 0))])
    return pd.DataFrame(rows, columns=["levels", "way", "dropout", "weights", "undecided"])


def _best_on_same_seeds(
    a: Float[np.ndarray, "seed level_a"], b: Float[np.ndarray, "seed level_b"]
) -> Estimate:
    if not (a.shape[1] and b.shape[1]):
        return intervals.mean([])
    return intervals.mean(a[:, np.nanmean(a, axis=0).argmax()] - b[:, np.nanmean(b, axis=0).argmax()])


def _sign(low: float, high: float) -> int:
    return int(low > 0) - int(high < 0)


def contrast_tables(results: Results) -> dict[str, pd.DataFrame]:
    """`modlib.paper.contrasts.both_ways` for reading: a table a choice of levels, in it a row a graph.

    Returns
    -------
    dict of DataFrame
        By the names in `modlib.paper.contrasts.LEVELS_COMPARED`. Each has the graph for its index, the
        `difference` with its 95 % interval `from` and `to`, Hedges' `g`, and `p` and `p (Holm)` down to
        .0001.
    """
    table = graph_names.with_graph_names(contrasts.both_ways(results))
    shown = {
        "levels": table["levels"],
        "graph": table.graph,
        "difference": table.difference.round(3),
        "from": table.low.round(3),
        "to": table.high.round(3),
        "g": table.effect.round(2),
        "p": table.p.map(_p_text),
        "p (Holm)": table.p_holm.map(_p_text),
    }
    whole = pd.DataFrame(shown).set_index("graph")
    parts = ((name, whole[whole["levels"] == name]) for name in contrasts.LEVELS_COMPARED)
    return {name: part.drop(columns="levels") for name, part in parts}


def _p_text(p: float) -> str:
    return "–" if np.isnan(p) else "< .0001" if p < 1e-4 else f"{p:.4f}".lstrip("0")


def trends(results: Results) -> pd.DataFrame:
    """Spearman's rank correlation of Q with the strength of a regulariser, seed by seed.

    A correlation of 1 says that Q never falls as strength grows, not that it grows by much. Levels are those
    of the grid; no regularisation at all is not among them.

    Returns
    -------
    DataFrame
        One row a `regularizer`, layer and graph: number of `levels`, mean `rho` over seeds with 95 % interval
        `low` to `high`, `n` seeds, `p` against no trend and `p_holm`, corrected for all rows (Holm 1979).
        Without 3 levels that pass the filter there is no trend, and all but `levels` is nan.
    """
    rows = []
    for key, group in _with_levels(results).groupby(["regularizer", *GRAPH]):
        wide = group.pivot_table(index="seed", columns="strength", values="q")
        found = intervals.mean([])
        if wide.shape[1] >= intervals.FEWEST_LEVELS:
            found = intervals.trend(wide.columns.to_numpy(dtype=float), wide.to_numpy(dtype=float))
        rows.append([*key, wide.shape[1], found.value, found.low, found.high, found.n, found.p])
    columns = ["regularizer", *GRAPH, "levels", "rho", "low", "high", "n", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=intervals.holm(table.p.to_numpy(dtype=float)))


def _with_levels(results: Results) -> pd.DataFrame:
    """Rows of `modules` of the trained networks kept, with regulariser, strength and seed."""
    kept = kept_networks(results)
    return results.modules.merge(kept[kept.trained][["network", *LEVEL, "seed"]], on="network")


def numbers(profile: str) -> dict[str, float | int | None]:
    """Numbers that the chapter cites, ``certainty_...``; None where data are too few for one.

    Of base (final protocol), and of the stored simulation (`modlib.paper.simulations.coverage.stored`).
    """
    results = run("base", profile=profile)
    found = _unit_numbers(units(results)) | _choice_numbers(results) | _trend_numbers(trends(results))
    found |= _ratio_numbers(times_plain(results)) | _coverage_numbers(coverage.stored())
    return {f"certainty_{key}": _plain(value) for key, value in found.items()}


def _plain(value: float | int) -> float | int | None:
    return value if math.isfinite(value) else None


def _unit_numbers(table: pd.DataFrame) -> dict[str, float | int]:
    found: dict[str, float | int] = {}
    for row in table.to_dict("records"):
        key = f"{row['regularizer']}_{str(row['unit']).rsplit(maxsplit=1)[-1]}"
        found |= {f"n_{key}": row["n"], f"times_{key}": row["times"], f"worth_{key}": row["worth"]}
    return found


def _choice_numbers(results: Results) -> dict[str, float | int]:
    found: dict[str, float | int] = {}
    table = optimism(results)
    found["optimism_most"] = float(table.optimism.max())
    for side, group in table.groupby("side"):
        found[f"optimism_{side}"] = float(group.optimism.mean())
        found[f"levels_{side}"] = int(group["levels"].max())
    counted = ways_to_count(results)
    for suffix, name in zip(("_matched", ""), contrasts.LEVELS_COMPARED, strict=True):
        for short, way in zip(("same", "held_out", "holm"), WAYS, strict=True):
            count = counted[(counted["levels"] == name) & (counted.way == way)].iloc[0]
            for side in ("dropout", "weights", "undecided"):
                found[f"{short}_{side}{suffix}"] = int(count[side])
    both = contrasts.both_ways(results).query("not normalized")
    for suffix, name in zip(("_matched", ""), contrasts.LEVELS_COMPARED, strict=True):
        for row in both[both["levels"] == name].to_dict("records"):
            graph = f"{row['measure']}_{row['layer']}{suffix}"
            found |= {f"g_{graph}": row["effect"], f"difference_{graph}": row["difference"]}
    return found


def _trend_numbers(table: pd.DataFrame) -> dict[str, float | int]:
    found: dict[str, float | int] = {"trends": len(table)}
    clear = table.p_holm <= contrasts.SIGNIFICANT
    for regularizer in REGULARIZERS:
        here = table.regularizer == regularizer
        found[f"rising_{regularizer}"] = int((here & clear & (table.rho > 0)).sum())
        found[f"falling_{regularizer}"] = int((here & clear & (table.rho < 0)).sum())
        found[f"flat_{regularizer}"] = int((here & ~clear).sum())
        found[f"rho_{regularizer}_lowest"] = float(table[here].rho.min())
        found[f"rho_{regularizer}_highest"] = float(table[here].rho.max())
    for row in table[~table.normalized].to_dict("records"):
        found[f"rho_{row['regularizer']}_{row['measure']}_{row['layer']}"] = row["rho"]
    return found


def _ratio_numbers(table: pd.DataFrame) -> dict[str, float | int]:
    found: dict[str, float | int] = {}
    for row in table[~table.normalized].to_dict("records"):
        for what in ("ratio", "low", "high"):
            name = "ratio" if what == "ratio" else f"ratio_{what}"
            found[f"{name}_{row['measure']}_{row['layer']}"] = row[what]
    return found


def _coverage_numbers(table: pd.DataFrame) -> dict[str, float | int]:
    """Lowest and highest coverage of groups of rows; `worst` are data on which methods in use fall short."""
    used, limit = table.used, table.limit
    best = table.interval == "difference_of_best"
    groups: Mapping[str, pd.Series] = {
        "used": used & ~limit & ~best,
        "best": used & best,
        "independent": table.method.str.startswith("all networks and layers"),
        "percentile": table.method == "percentile bootstrap over seeds",
        "pooled": table.method == "Student's t with pooled variance",
        "best_t": best & (table.method == "best on other seeds, Student's t"),
        "best_same": best & (table.method == "best on the same seeds, Student's t"),
        "worst_skewed": used & limit & (table.interval == "mean"),
        "worst_trend": used & limit & (table.interval == "trend"),
        "fisher": table.method == "Student's t on Fisher's z",
    }
    found: dict[str, float | int] = {"repetitions": int(table.repetitions.max())}
    for name, rows in groups.items():
        found[f"coverage_{name}_lowest"] = float(table[rows].coverage.min())
        found[f"coverage_{name}_highest"] = float(table[rows].coverage.max())
    return found
