"""How sure the findings of `base` are: what is an observation, what choosing the best costs, where Q goes."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from modlib.book.numbers import offered
from modlib.book.stored import experiments
from modlib.measures import FAMILIES, family
from modlib.paper import contrasts, graph_names, new_seeds
from modlib.paper.by_level import trained_rows
from modlib.paper.new_seeds import NEW_SEEDS
from modlib.paper.simulations import coverage
from modlib.stats import intervals
from modlib.stats.intervals import Estimate
from modlib.stats.power import power
from modlib.stats.selection import held_out_best
from modlib.study import catalogue
from modlib.study.accuracy_filter import GRAPH, LEVEL, kept_networks, trained_networks
from modlib.study.runner import run

#: What might be taken for one independent observation, and the columns that tell one from another in a seed.
UNITS = {"seed": [], "network": LEVEL, "layer": [*LEVEL, "layer"], "graph": [*LEVEL, *GRAPH]}
WAYS = {
    "same seeds": "best on the same seeds, Student's t",
    "other seeds": "best on the other seeds, bootstrap",
    "after Holm": "the same, after Holm",
}
REGULARIZERS = ("dropout", "l1", "l2")
SMALL, WANTED = 0.02, 0.8  # a difference in Q that a graph by itself should show, and with which chance


@offered("regularizer", "unit")
def units(profile: str) -> pd.DataFrame:
    """Mean Q of each regulariser's networks, its interval by four ideas of what is one observation.

    Whatever the unit does not tell apart is averaged within it. The interval is Student's t from the scatter
    of units that differ in nothing but their seed, pooled over levels, layers and graphs as far as the unit
    tells these apart: differences between levels are no scatter, whatever the unit.

    `times` says by how much the interval over seeds is wider than this one, partly since Student's t is wider
    for few; and `worth`, how many independent units of the same scatter would have the standard error that
    there is over seeds. If k networks of a seed move up and down together, "network" has √k times too small a
    standard error, and its n is worth n / k.
    """
    table = _q_of_levels(profile)
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
    groups = values.groupby(cells or np.zeros(len(values))).q
    within = values.q - groups.transform("mean")
    n, df = len(values), len(values) - groups.ngroups
    if df < 1:
        return np.nan, np.nan
    se = float(np.sqrt((within**2).sum() / df / n))
    return se, float(stats.t.ppf((1 + intervals.LEVEL) / 2, df) * se)


@offered("layer", "measure", "normalized")
def times_plain(profile: str) -> pd.DataFrame:
    """How many times as large Q is at the strongest dropout as at the weakest L2: a ratio, by bootstrap."""
    table = _q_of_levels(profile)
    dropout = table[table.regularizer == "dropout"]
    levels = [contrasts.weakest_l2(table), ("dropout", float(dropout.strength.max()))]
    rows = []
    for key, group in table.groupby(GRAPH):
        wide = group.pivot_table(index="seed", columns=LEVEL, values="q").reindex(columns=levels).dropna()
        q = wide.to_numpy(dtype=float)
        if len(q) >= intervals.FEWEST_SEEDS:
            ratio = intervals.bootstrap(_ratio, q, null=1.0)
        else:
            ratio = intervals.Estimate(_ratio(q[None])[0] if len(q) else np.nan)
        rows.append([*key, *wide.mean(), ratio.value, ratio.low, ratio.high])
    return pd.DataFrame(rows, columns=[*GRAPH, "plain", "dropout", "ratio", "low", "high"])


def _ratio(q: Float[np.ndarray, "draw seed level"]) -> Float[np.ndarray, " draw"]:
    """Ratio of means, not mean of ratios, in which seeds with a small plain Q would count for more."""
    mean = q.mean(axis=1)
    return np.asarray(mean[:, 1] / mean[:, 0])


def winners_curse(
    levels: tuple[int, ...] = (1, 2, 4, 8, 16, 32), *, seeds: int = 9, repetitions: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How much better the best of several levels looks than it is, where all are equally good.

    The table says what choosing among so many `levels` adds on average in simulated experiments, in standard
    deviations of a network, on the `same seeds` and on `other seeds` (`held_out_best`).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for count in levels:
        samples = rng.normal(size=(repetitions, seeds, count))
        same = samples.mean(axis=1).max(axis=1).mean()
        other = np.mean([held_out_best(sample).mean() for sample in samples])
        rows.append([count, float(same), float(other)])
    return pd.DataFrame(rows, columns=["levels", "same seeds", "other seeds"])


def optimism(profile: str) -> pd.DataFrame:
    """How much Q at the best level falls when that level is chosen on the other seeds: the `optimism`.

    The `side` is "dropout", or "weights": L1 and L2.
    """
    results = run("base", profile=profile)
    rows = []
    for graph in contrasts.levels(results.modules, kept_networks(results)):
        for side, q in (("dropout", graph.dropout), ("weights", graph.weights)):
            if q.shape[1] and len(q) > 1:
                same, held_out = float(np.nanmean(q, axis=0).max()), float(np.nanmean(held_out_best(q)))
                rows.append([*graph.key, side, q.shape[1], same, held_out, same - held_out])
    return pd.DataFrame(rows, columns=[*GRAPH, "side", "levels", "same", "held_out", "optimism"])


@offered("side")
def optimism_by_side(profile: str) -> pd.DataFrame:
    """Fall of Q at the best level, by mean and at most, when that level is chosen on other seeds."""
    table = optimism(profile)
    table = pd.concat([table, table.assign(side="either")])
    fall = {"mean": ("optimism", "mean"), "largest": ("optimism", "max"), "levels": ("levels", "max")}
    return table.groupby("side").agg(**fall).reset_index()


@offered("levels", "short")
def ways_to_count(profile: str) -> pd.DataFrame:
    """Of how many graphs one can say that dropout or a weight penalty does more, by three ways of saying so.

    Each `way` is one of `WAYS`, which `short` abbreviates; the first of them is what one should not do.
    """
    results = run("base", profile=profile)
    both = contrasts.both_ways(results)
    least = (contrasts.least_accurate_dropout(kept_networks(results)), 0.0)
    rows = []
    for name, accuracy in zip(contrasts.LEVELS_COMPARED, least, strict=True):
        table = both[both.levels == name]
        graphs = contrasts.levels(results.modules, kept_networks(results), min_accuracy=accuracy)
        naive = pd.DataFrame([_best_on_same_seeds(graph.dropout, graph.weights) for graph in graphs])
        verdicts = (
            _signs(naive),
            _signs(table),
            np.where(table.p_holm <= contrasts.SIGNIFICANT, np.sign(table.difference), 0),
        )
        for (short, way), verdict in zip(WAYS.items(), verdicts, strict=True):
            rows.append([name, short, way, *(int((verdict == sign).sum()) for sign in (1, -1, 0))])
    return pd.DataFrame(rows, columns=["levels", "short", "way", "dropout", "weights", "undecided"])


def _best_on_same_seeds(
    a: Float[np.ndarray, "seed level_a"], b: Float[np.ndarray, "seed level_b"]
) -> Estimate:
    if not (a.shape[1] and b.shape[1]):
        return intervals.mean([])
    return intervals.mean(a[:, np.nanmean(a, axis=0).argmax()] - b[:, np.nanmean(b, axis=0).argmax()])


def _signs(table: pd.DataFrame) -> np.ndarray:
    """Return 1 where the interval of a row lies above 0, −1 where it lies below, and else 0."""
    return (table.low > 0).to_numpy(dtype=int) - (table.high < 0).to_numpy(dtype=int)


def contrast_tables(profile: str) -> dict[str, pd.DataFrame]:
    """`modlib.paper.contrasts.both_ways` for reading: a table a choice of levels, in it a row a graph."""
    table = graph_names.with_graph_names(contrasts.both_ways(run("base", profile=profile)))
    table = table.set_index("graph").rename(columns={"low": "from", "high": "to"})
    p_values = {"p": table.p.map(_p_text), "p (Holm)": table.p_holm.map(_p_text)}
    table = table.round({"difference": 3, "from": 3, "to": 3}).assign(g=table.effect.round(2), **p_values)
    shown = ["difference", "from", "to", "g", "p", "p (Holm)"]
    return {name: table.loc[table["levels"] == name, shown] for name in contrasts.LEVELS_COMPARED}


def _p_text(p: float) -> str:
    return "–" if np.isnan(p) else "< .0001" if p < 1e-4 else f"{p:.4f}".lstrip("0")


def trends(profile: str) -> pd.DataFrame:
    """Spearman's rank correlation of Q with the strength of a regulariser, seed by seed.

    A mean correlation `rho` of 1 says that Q never falls as strength grows, not that it grows by much. No
    regularisation at all is not among the levels. `p_holm` is p corrected for all rows (Holm 1979).
    """
    rows = []
    for key, group in _q_of_levels(profile).groupby(["regularizer", *GRAPH]):
        wide = group.pivot_table(index="seed", columns="strength", values="q")
        found = intervals.mean([])
        if wide.shape[1] >= intervals.FEWEST_LEVELS:
            found = intervals.trend(wide.columns.to_numpy(dtype=float), wide.to_numpy(dtype=float))
        rows.append([*key, wide.shape[1], found.value, found.low, found.high, found.n, found.p])
    columns = ["regularizer", *GRAPH, "levels", "rho", "low", "high", "n", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=intervals.holm(table.p.to_numpy(dtype=float)))


@offered("regularizer")
def directions(profile: str) -> pd.DataFrame:
    """Of how many `trends` Q is rising, falling or undecided after Holm's correction, and their range."""
    table = trends(profile)
    clear = table.p_holm <= contrasts.SIGNIFICANT
    table = table.assign(rising=clear & (table.rho > 0), falling=clear & (table.rho < 0), undecided=~clear)
    groups = pd.concat([table, table.assign(regularizer="all")]).groupby("regularizer")
    found = groups[["rising", "falling", "undecided"]].sum()
    return found.assign(trends=groups.size(), lowest=groups.rho.min(), highest=groups.rho.max()).reset_index()


@offered("intervals")
def coverages(profile: str) -> pd.DataFrame:
    """Lowest and highest share of simulated intervals that hold the truth, in groups of methods and data.

    The simulation is the same at every profile; its `repetitions` are those of each share. Groups that begin
    with ``limit`` are intervals in use, on data for which they fall short.
    """
    table = coverage.stored()
    used, limit, method = table.used, table.limit, table.method
    best = table.interval == "difference_of_best"
    groups = {
        "in use": used & ~limit & ~best,
        "best in use": used & best,
        "independent": method.str.startswith("all networks and layers"),
        "percentile": method == "percentile bootstrap over seeds",
        "best by t": best & (method == "best on other seeds, Student's t"),
        "best on same seeds": best & (method == "best on the same seeds, Student's t"),
        "limit skewed": used & limit & (table.interval == "mean"),
        "limit trend": used & limit & (table.interval == "trend"),
        "Fisher": method == "Student's t on Fisher's z",
    }
    found = {name: table[rows].coverage.agg(["min", "max"]) for name, rows in groups.items()}
    ranges = pd.DataFrame(found).T.rename(columns={"min": "lowest", "max": "highest"})
    return ranges.rename_axis("intervals").reset_index().assign(repetitions=table.repetitions.max())


def _q_of_levels(profile: str) -> pd.DataFrame:
    results = run("base", profile=profile)
    return trained_rows(results.modules, results)


# --- how many seeds


@offered("experiment", "levels", "graphs")
def power_of_new_seeds(profile: str) -> pd.DataFrame:
    """How small a lead of dropout the new seeds can show, judged by the spread of the old ones.

    A row is an experiment with new seeds, a way to compare levels, and the `graphs` whose lead is averaged
    within a seed: those of a family, or each by itself, of which the median is shown. The columns are the
    `old` and `new` numbers of seeds, the standard deviation `sd` over the old ones at the levels that were
    frozen, the `power` at a difference of `SMALL`, and, of `single` graphs, how many have it (`enough`).
    """
    rows = []
    for old, new in NEW_SEEDS.items():
        results = experiments(profile, old).get(old)
        if results is None:
            continue
        n = len(catalogue.get(new, "paper").seeds)
        kept = trained_networks(results)
        every = contrasts.levels(results.modules, kept)
        for compared in contrasts.LEVELS_COMPARED:
            if profile == "paper":
                graphs = new_seeds.at_frozen_levels(every, new, compared)
            else:  # a quick run has not trained the levels that were frozen
                graphs = [contrasts.only(graph, *contrasts.best_levels(graph)) for graph in every]
            leads = {graph.key: (graph.dropout - graph.weights)[:, 0] for graph in graphs}
            row = {"experiment": new, "levels": compared, "old": len(graphs[0].dropout), "new": n}
            for name in FAMILIES:
                mean = np.nanmean([lead for key, lead in leads.items() if family(key[1]) == name], axis=0)
                sd = float(np.nanstd(mean, ddof=1))
                rows.append(row | {"graphs": name, "sd": sd, "power": power(SMALL, sd, n)})
            sds = [float(np.nanstd(lead, ddof=1)) for lead in leads.values()]
            single = np.array([power(SMALL, sd, n) for sd in sds])
            found = {"graphs": "single", "sd": np.median(sds), "power": np.median(single)}
            rows.append(row | found | {"of": len(sds), "enough": int((single >= WANTED).sum())})
    columns = ["experiment", "levels", "old", "new", "graphs", "sd", "power", "of", "enough"]
    return pd.DataFrame(rows, columns=columns)


def power_tables(profile: str) -> dict[str, pd.DataFrame]:
    """`power_of_new_seeds` for reading: a table a choice of levels."""
    table = power_of_new_seeds(profile)
    counts = [
        f"{enough:.0f} of {of:.0f}" if graphs == "single" else "–"
        for graphs, enough, of in table[["graphs", "enough", "of"]].itertuples(index=False)
    ]
    chance = ["> 0.999" if value >= 0.9995 else f"{value:.3f}" for value in table.power]
    table = table.assign(sd=table.sd.round(3), power=chance, enough=counts).drop(columns="of")
    table = table.set_index(["experiment", "graphs"])
    return {name: table[table["levels"] == name].drop(columns="levels") for name in contrasts.LEVELS_COMPARED}


@offered()
def wanted(_profile: str) -> pd.DataFrame:
    """Return the difference in Q that single graphs should show, and with which chance."""
    return pd.DataFrame({"difference": [SMALL], "power": [WANTED]})
