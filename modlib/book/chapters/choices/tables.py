"""How much hangs on each analysis choice: both effects, the optimisers, the number of test images.

Most choices are tried on the base experiment. Other optimisers and fewer images need partitions of their own,
which the experiment ``close-up`` has, for a third of the levels; its effects stand beside its own default.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from modlib.algorithms import OPTIMISERS
from modlib.book.chapters.elsewhere.tables import side
from modlib.paper import family_pairs, multiverse
from modlib.paper.multiverse import AGREEMENT_EFFECT, CHOSEN_METRICS, Q_EFFECT
from modlib.stats import intervals
from modlib.study import catalogue, store
from modlib.study.accuracy_filter import GRAPH, kept_networks
from modlib.study.runner import run
from modlib.study.store import Results

IMAGES = tuple(c.images for c in catalogue.get("close-up", "paper").choices if c.images is not None)
EQUAL = 1e-9
"""Two values of Q this close are equal but for rounding."""
METRIC_NAMES = {
    "ecs": "element-centric similarity",
    "ami": "adjusted mutual information",
    "ari": "adjusted Rand index",
    "rmi": "reduced mutual information",
    "vi": "variation of information",
    "matching": "units matched one to one",
    "rank_correlation": "rank correlation of the graphs",
}
OPTIMISER_NAMES = {
    "leiden-once": "Leiden, one run",
    "louvain": "Louvain",
    "spectral": "spectral",
    "monte-carlo": "Monte Carlo, as the paper's",
}
_CLOSE_UP_ONLY = ("images", "optimiser")
_ESTIMATE = ["value", "low", "high", "n", "p"]


def close_up(profile: str) -> Results | None:
    """Tables of the experiment with other optimisers and fewer images, or None if they are not stored."""
    return store.read_if_stored(catalogue.get("close-up", profile))


def label(kind: str, choice: str) -> str:
    """Name a choice in words, by its kind and name in `modlib.paper.multiverse.effects`.

    Examples
    --------
    >>> label("accuracy filter", "at least 0.9"), label("layer", "2 only"), label("images", "100")
    ('test accuracy at least 0.9', 'layer 2 only', '100 test images')
    >>> label("graphs of all levels", "upstream only"), label("levels", "all")
    ('upstream graphs only, all levels', 'all levels')
    """
    if kind == "metric":
        return METRIC_NAMES[choice]
    if kind == "optimiser":
        return OPTIMISER_NAMES[choice]
    if kind == "accuracy filter":
        none, _, rest = choice.partition("none")
        return f"test accuracy {none}" if none else f"no accuracy filter{rest}"
    if kind in ("graphs", "graphs of all levels"):
        named = f"{choice.removesuffix(' only')} graphs only" if choice.endswith(" only") else choice
        return named if kind == "graphs" else f"{named}, all levels"
    words = {"images": f"{choice} test images", "levels": f"{choice} levels"}
    return words.get(kind, f"{kind} {choice}" if kind != choice else choice)


def effects(base: Results, close_up: Results | None = None) -> pd.DataFrame:
    """Both effects under every choice, each beside the same effect without it.

    Parameters
    ----------
    base
        Tables for the choices of metric, levels, accuracy filter, graphs and layer.
    close_up
        Tables for the choices of images and optimiser.

    Returns
    -------
    DataFrame
        Columns of `modlib.paper.multiverse.effects`, and `experiment`; `reference`, the effect by the default
        choices in the same experiment; `change`, the effect less the reference as a share of the reference
        (both nan for other metrics, whose units differ); `kept`, whether the effect has the reference's sign
        and its 95 % interval leaves out 0.
    """
    table = multiverse.effects(base).assign(experiment="base")
    tables = [table[~table.choice_kind.isin(_CLOSE_UP_ONLY)]]
    if close_up is not None:
        table = multiverse.effects(close_up).assign(experiment="close-up")
        tables.append(table[table.choice_kind.isin(["default", *_CLOSE_UP_ONLY])])
    found = pd.concat(tables, ignore_index=True)
    default = found[found.choice_kind == "default"].set_index(["experiment", "effect"]).value
    own = default.reindex(pd.MultiIndex.from_frame(found[["experiment", "effect"]])).to_numpy()
    found["reference"] = np.where(found.choice_kind == "metric", np.nan, own)
    found["change"] = found.value / found.reference - 1
    found["kept"] = np.where(own > 0, found.low > 0, found.high < 0)
    return found


def metrics(results: Results) -> pd.DataFrame:
    """Agreement within less across families in a unit that all metrics share.

    Returns
    -------
    DataFrame
        One row a metric: `within` (mean of both families) and `across`, means over seeds; `value`, the mean
        over seeds of (within − across) / within, with its 95 % interval `low` to `high`, `n` and `p`. A value
        of 0 says that agreement does not care about families, 1 that nothing of it is left across them. For
        the variation of information, a distance, it is (across − within) / across.
    """
    networks = kept_networks(results)
    networks = networks[networks.trained]
    rows = []
    for metric in CHOSEN_METRICS:
        if metric not in results.agreement:
            continue
        seeds = family_pairs.families_by_seed(results.agreement, networks, metric, by_layer=False)
        within = ((seeds.upstream + seeds.downstream) / 2).to_numpy(dtype=float)
        across = seeds.across.to_numpy(dtype=float)
        share = (across - within) / across if metric == "vi" else (within - across) / within
        found = {name: asdict(intervals.mean(share))[name] for name in _ESTIMATE}
        rows.append({"metric": metric, "within": np.nanmean(within), "across": np.nanmean(across), **found})
    return pd.DataFrame(rows)


def optimisers(results: Results) -> pd.DataFrame:
    """Q that other searches reach on the same graphs, against that of the default search.

    Returns
    -------
    DataFrame
        One row an optimiser, in the order of `modlib.algorithms.OPTIMISERS`: `value`, its Q less the
        default's, the mean over all graphs of a seed, then over seeds, with its 95 % interval `low` to
        `high`, `n` and `p`; `relative`, the same as a share of the default's mean Q; `worst` and `best`, the
        lowest and the highest difference of any graph; `equal_or_better` and `better`, the shares of graphs
        for which it reaches the default's Q, or exceeds it by more than rounding; `graphs`.
    """
    table = _beside_default(results, "optimiser")
    rows = []
    for name in OPTIMISERS:
        group = table[table.choice == name]
        if len(group):
            shares = {
                "worst": float(group.difference.min()),
                "best": float(group.difference.max()),
                "equal_or_better": float((group.difference >= -EQUAL).mean()),
                "better": float((group.difference > EQUAL).mean()),
                "graphs": len(group),
            }
            rows.append({"optimiser": name, **_mean_difference(group), **shares})
    return pd.DataFrame(rows)


def images(results: Results) -> pd.DataFrame:
    """Q of graphs averaged over fewer test images, against that of all of them.

    Returns
    -------
    DataFrame
        One row a number of `images`, measure and form: `measure`, `normalized`, `value` (Q less that over all
        images, mean over networks and layers of a seed, then over seeds) with its 95 % interval `low` to
        `high`, `n` and `p`; `relative` to the mean Q over all images.
    """
    table = _beside_default(results, "images")
    rows = [
        {
            "images": int(str(number)),
            "measure": measure,
            "normalized": bool(normalized),
            **_mean_difference(group),
        }
        for (number, measure, normalized), group in table.groupby(
            [table.choice.astype(int), "measure", "normalized"]
        )
    ]
    return pd.DataFrame(rows)


def agreement(results: Results, metric: str = "ecs") -> pd.DataFrame:
    """Agreement within and across families by each choice of images and optimiser, means over seeds.

    Parameters
    ----------
    metric
        ``"ecs"`` or ``"ami"``.

    Returns
    -------
    DataFrame
        One row a `choice` (``default`` first): `upstream`, `downstream` and `across`.

    Raises
    ------
    ValueError
        If the metric is another.
    """
    if metric not in ("ecs", "ami"):
        raise ValueError(f"metric must be ecs or ami, got {metric!r}")
    kept = kept_networks(results)
    kept = kept[kept.trained]
    tables = {"default": results.agreement}
    if len(results.choices_agreement):
        rest = results.choices_agreement[~results.choices_agreement.distinct.astype(bool)]
        tables |= {str(name): group for name, group in rest.groupby("choice", sort=False)}
    pairs = ["upstream", "downstream", "across"]
    means = {
        name: family_pairs.families_by_seed(table, kept, metric, by_layer=False)[pairs].mean()
        for name, table in tables.items()
    }
    return pd.DataFrame(means).T.rename_axis("choice").reset_index()


def _beside_default(results: Results, kind: str) -> pd.DataFrame:
    """Rows of the table `choices` of one kind, with the default's Q and the difference from it, by seed."""
    kept = kept_networks(results)
    kept = kept[kept.trained]
    if results.choices.empty:
        return pd.DataFrame(columns=["choice", "seed", "difference", "q_default", "measure", "normalized"])
    names = results.choices.choice.str.partition("=")
    table = results.choices[names[0] == kind].assign(choice=names[2])
    table = table.merge(
        results.modules[["network", *GRAPH, "q"]], on=["network", *GRAPH], suffixes=("", "_default")
    )
    table = table.merge(kept[["network", "seed"]], on="network")
    return table.assign(difference=table.q - table.q_default).dropna(subset="difference")


def _mean_difference(table: pd.DataFrame) -> dict[str, float]:
    seeds = table.groupby("seed")[["difference", "q_default"]].mean()
    found = asdict(intervals.mean(seeds.difference.to_numpy(dtype=float)))
    relative = found["value"] / float(seeds.q_default.mean())
    return {**{name: found[name] for name in _ESTIMATE}, "relative": relative}


def numbers(profile: str) -> dict[str, float | int | str | None]:
    """Every number that the chapter on choices cites, by name; None where its tables are not stored."""
    base, close = run("base", profile=profile), close_up(profile)
    table = effects(base, close)
    scaled = metrics(base).set_index("metric").value
    found: dict[str, float | int | str | None] = {
        **_counts(table),
        "choices_metrics": len(scaled),
        "choices_metric_ecs": float(scaled["ecs"]),
        "choices_metric_lowest": float(scaled.min()),
        "choices_metric_lowest_which": METRIC_NAMES[str(scaled.idxmin())],
        "choices_metric_highest": float(scaled.max()),
        "choices_metric_highest_which": METRIC_NAMES[str(scaled.idxmax())],
    }
    for name in OPTIMISERS:
        for what in ("q", "q_percent", "equal_or_better", "better"):
            found[f"choices_{what}_{_key(name)}"] = None
    for number in IMAGES:
        for what in ("q", "q_percent", "q_lowest_percent", "q_highest_percent"):
            found[f"choices_{what}_{number}"] = None
    for name in ("default", *OPTIMISERS, *map(str, IMAGES)):
        for pair in ("upstream", "downstream", "across"):
            found[f"choices_ecs_{pair}_{_key(name)}"] = None
    if close is not None:
        found |= _close_up_numbers(close)
    return found


def _counts(table: pd.DataFrame) -> dict[str, float | int | str | None]:
    changed = table[table.choice_kind != "default"].dropna(
        subset="value"
    )  # a strict filter may leave nothing
    adjusted = intervals.holm(changed.p.to_numpy(dtype=float))
    found: dict[str, float | int | str | None] = {
        "choices_rows": len(changed),
        "choices_kept": int(changed.kept.sum()),
        "choices_kept_holm": int((changed.kept & (adjusted < 1 - intervals.LEVEL)).sum()),
        "choices_same_sign": int((changed.value > 0).sum()),
        "choices_close_up_rows": int((changed.experiment == "close-up").sum()) or None,
    }
    found |= _q_of_graphs(table)
    for key, effect in (("q", Q_EFFECT), ("agreement", AGREEMENT_EFFECT)):
        rows = changed[changed.effect == effect]
        found |= {f"choices_rows_{key}": len(rows), f"choices_kept_{key}": int(rows.kept.sum())}
        found[f"choices_against_{key}"] = int((rows.high < 0).sum())
        for experiment in ("base", "close-up"):
            here = table[(table.choice_kind == "default") & (table.experiment == experiment)]
            here = here[here.effect == effect]
            for column, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                name = f"choices_default_{key}_{_key(experiment)}{suffix}"
                found[name] = float(here[column].iloc[0]) if len(here) else None
        found |= _extremes(key, rows.dropna(subset="change"))
    return found


def _q_of_graphs(table: pd.DataFrame) -> dict[str, float | int | str | None]:
    """Gain in Q of base over all levels, and by graphs, as ``choices_q_<choice>[_of_all_levels]``."""
    found: dict[str, float | int | str | None] = {}
    here = table[(table.effect == Q_EFFECT) & (table.experiment == "base")]
    for row in here.to_dict("records"):
        if row["choice_kind"] in ("levels", "graphs", "graphs of all levels"):
            choice = "all_levels" if row["choice_kind"] == "levels" else row["choice"].replace(" ", "_")
            of = "_of_all_levels" if row["choice_kind"] == "graphs of all levels" else ""
            key = f"choices_q_{choice}{of}"
            found |= {key: row["value"], f"{key}_low": row["low"], f"{key}_high": row["high"]}
            found[f"{key}_is"] = side(row["low"], row["high"])
    return found


def _extremes(key: str, rows: pd.DataFrame) -> dict[str, float | int | str | None]:
    """Choices that change an effect most, as a share of its own default, and that leave least of it."""
    size = rows.change.abs()
    picked = {"largest": rows[size == size.max()], "smallest": rows[rows.value == rows.value.min()]}
    found: dict[str, float | int | str | None] = {}
    for what, some in picked.items():
        row = some.to_dict("records")[0] if len(some) else None
        found[f"choices_{what}_{key}"] = row["value"] if row else None
        found[f"choices_{what}_{key}_percent"] = 100 * row["change"] if row else None
        found[f"choices_{what}_{key}_which"] = label(row["choice_kind"], row["choice"]) if row else None
    return found


def _close_up_numbers(results: Results) -> dict[str, float | int | str | None]:
    found: dict[str, float | int | str | None] = {}
    for row in optimisers(results).to_dict("records"):
        key = _key(str(row["optimiser"]))
        found[f"choices_q_{key}"], found[f"choices_q_percent_{key}"] = row["value"], 100 * row["relative"]
        found[f"choices_equal_or_better_{key}"] = 100 * row["equal_or_better"]
        found[f"choices_better_{key}"] = 100 * row["better"]
    table = _beside_default(results, "images")
    by_graph = images(results)
    for number, group in table.groupby(table.choice.astype(int)):
        mean, shares = _mean_difference(group), 100 * by_graph[by_graph.images == number].relative
        found[f"choices_q_{number}"], found[f"choices_q_percent_{number}"] = (
            mean["value"],
            100 * mean["relative"],
        )
        found[f"choices_q_lowest_percent_{number}"] = float(shares.min())
        found[f"choices_q_highest_percent_{number}"] = float(shares.max())
    for row in agreement(results).to_dict("records"):
        for pair in ("upstream", "downstream", "across"):
            found[f"choices_ecs_{pair}_{_key(row['choice'].rpartition('=')[2])}"] = row[pair]
    return found


def _key(name: str) -> str:
    return name.replace("-", "_")
