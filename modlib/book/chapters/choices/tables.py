"""How much hangs on each analysis choice: both effects, the optimisers, the number of test images.

Most choices are tried on the base experiment. Other optimisers and fewer images need partitions of their own,
which the experiment ``close-up`` has, for a third of the levels; its effects stand beside its own default.
"""

from typing import Any

import numpy as np
import pandas as pd

from modlib.algorithms import OPTIMISERS
from modlib.book.numbers import offered, once
from modlib.book.stored import experiments, there
from modlib.paper import family_pairs, multiverse
from modlib.paper.multiverse import CHOSEN_METRICS
from modlib.stats import intervals
from modlib.study.accuracy_filter import GRAPH, trained_networks
from modlib.study.runner import run
from modlib.study.store import Results

ROUNDING = 1e-9  # two values of Q this close are equal
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
ESTIMATE = ["value", "low", "high", "n", "p"]
PAIRS = ["upstream", "downstream", "across"]


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

    Only the choices of images and of optimiser are those of `close_up`. The `reference` is the effect by the
    default choices in the same experiment, the `change` a share of it (both nan for other metrics, whose
    units differ); `kept` says whether the effect has its sign and an interval that leaves out 0.
    """
    table = multiverse.effects(base).assign(experiment="base")
    tables = [table[~table.choice_kind.isin(_CLOSE_UP_ONLY)]]
    if close_up is not None:
        table = multiverse.effects(close_up, ("default", *_CLOSE_UP_ONLY))
        tables.append(table.assign(experiment="close-up"))
    found = pd.concat(tables, ignore_index=True)
    default = found[found.choice_kind == "default"].set_index(["experiment", "effect"]).value
    own = default.reindex(pd.MultiIndex.from_frame(found[["experiment", "effect"]])).to_numpy()
    found["reference"] = np.where(found.choice_kind == "metric", np.nan, own)
    found["change"] = found.value / found.reference - 1
    found["kept"] = np.where(own > 0, found.low > 0, found.high < 0)
    return found


def metrics(results: Results) -> pd.DataFrame:
    """Agreement within less across families in a unit that all metrics share.

    The `value` is the mean over seeds of (within − across) / within: 0 if agreement does not care about
    families, 1 if nothing of it is left across them. For a distance it is (across − within) / across.
    """
    rows = []
    for metric in CHOSEN_METRICS:
        if metric not in results.agreement:
            continue
        seeds = family_pairs.families_by_seed(
            results.agreement, trained_networks(results), metric, by_layer=False
        )
        within, across = (seeds.upstream + seeds.downstream) / 2, seeds.across
        share = (across - within) / across if metric == "vi" else (within - across) / within
        means = {"metric": metric, "within": within.mean(), "across": across.mean()}
        rows.append(means | _estimate(share))
    return pd.DataFrame(rows)


def optimisers(results: Results) -> pd.DataFrame:
    """Q that other searches reach on the same graphs, against that of the default search.

    The `value`, Q less the default's, is the mean over all graphs of a seed, then over seeds, and `relative`
    a share of the default's mean Q; `equal_or_better` and `better` are shares of graphs.
    """
    groups = dict(iter(_beside_default(results, "optimiser").groupby("choice")))
    rows = []
    for name in (name for name in OPTIMISERS if name in groups):
        difference = groups[name].difference
        graphs = {
            "worst": difference.min(),
            "best": difference.max(),
            "equal_or_better": (difference >= -ROUNDING).mean(),
            "better": (difference > ROUNDING).mean(),
            "graphs": len(difference),
        }
        rows.append({"optimiser": name} | _mean_difference(groups[name]) | graphs)
    return pd.DataFrame(rows)


def images(results: Results) -> pd.DataFrame:
    """Q of graphs averaged over fewer test images, against that of all of them, as in `optimisers`."""
    table = _beside_default(results, "images")
    keys = ["images", "measure", "normalized"]
    groups = table.assign(images=table.choice.astype(int)).groupby(keys)
    rows = [dict(zip(keys, key, strict=True)) | _mean_difference(group) for key, group in groups]
    return pd.DataFrame(rows)


def agreement(results: Results, metric: str = "ecs") -> pd.DataFrame:
    """Agreement within and across families by each choice of images and optimiser, means over seeds."""
    if metric not in ("ecs", "ami"):
        raise ValueError(f"metric must be ecs or ami, got {metric!r}")
    kept = trained_networks(results)
    rest = results.choices_agreement
    rest = rest[~rest.distinct.astype(bool)]
    tables = {"default": results.agreement} | dict(iter(rest.groupby("choice", sort=False)))
    means = {
        name: family_pairs.families_by_seed(table, kept, metric, by_layer=False)[PAIRS].mean()
        for name, table in tables.items()
    }
    return pd.DataFrame(means).T.rename_axis("choice").reset_index()


def _beside_default(results: Results, kind: str) -> pd.DataFrame:
    """Rows of the table `choices` of one kind, with the default's Q and the difference from it, by seed."""
    names = results.choices.choice.astype(str)
    table = results.choices.assign(choice=names.str.removeprefix(f"{kind}="))
    table = table[names.str.startswith(f"{kind}=")]
    default = results.modules[["network", *GRAPH, "q"]]
    table = table.merge(default, on=["network", *GRAPH], suffixes=("", "_default"))
    table = table.merge(trained_networks(results)[["network", "seed"]], on="network")
    return table.assign(difference=table.q - table.q_default).dropna(subset="difference")


def _mean_difference(table: pd.DataFrame) -> dict[str, int | float]:
    seeds = table.groupby("seed")[["difference", "q_default"]].mean()
    found = _estimate(seeds.difference)
    return found | {"relative": found["value"] / float(seeds.q_default.mean())}


def _estimate(seeds: pd.Series) -> dict[str, int | float]:
    found = intervals.mean(seeds.to_numpy(dtype=float))
    return {name: getattr(found, name) for name in ESTIMATE}


# --- tables that prose cites


def _close_up(profile: str) -> Results | None:
    """Read the experiment with other optimisers and fewer images, if it is stored."""
    return experiments(profile, "close-up").get("close-up")


@offered("experiment", "effect", "choice_kind", "choice")
@once
def both_effects(profile: str) -> pd.DataFrame:
    """Gain of Q by dropout, and agreement within less across families, under every analysis choice."""
    return effects(run("base", profile=profile), _close_up(profile))


@offered("effect")
def counts(profile: str) -> pd.DataFrame:
    """How many choices keep an effect (for ``both``, all rows are counted).

    A row is `kept` if it has the default's sign and its interval leaves out 0, `kept_holm` if it does so
    after Holm's correction for all rows, and `against` if its whole interval is below 0.
    """
    table = _changed(both_effects(profile))
    adjusted = intervals.holm(table.p.to_numpy(dtype=float))
    table["kept_holm"] = table.kept & (adjusted < 1 - intervals.LEVEL)
    table["against"] = table.high < 0
    both = pd.concat([table, table.assign(effect="both")])
    found = both.groupby("effect")[["kept", "kept_holm", "against"]].sum().astype(int)
    return found.assign(rows=both.groupby("effect").size()).reset_index()


@offered("effect", "extreme")
def extremes(profile: str) -> pd.DataFrame:
    """Find the choice that changes an effect most, by how many `percent`, and the one that leaves least."""
    rows = []
    at: Any
    for effect, group in _changed(both_effects(profile)).dropna(subset="change").groupby("effect"):
        found = {"largest change": group.change.abs().idxmax(), "smallest value": group.value.idxmin()}
        for extreme, at in found.items():
            row = group.loc[at]
            which = label(row.choice_kind, row.choice)
            rows.append([effect, extreme, row.value, 100 * row.change, which])
    return pd.DataFrame(rows, columns=["effect", "extreme", "value", "percent", "choice"])


def _changed(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out defaults, and choices without an effect: a strict filter may leave nothing."""
    return table[table.choice_kind != "default"].dropna(subset="value")


@offered()
def metric_range(profile: str) -> pd.DataFrame:
    """Share of the agreement within families lost across them: by default, and the range over metrics."""
    value = metrics(run("base", profile=profile)).set_index("metric").value
    lowest, highest = str(value.idxmin()), str(value.idxmax())
    names = {"lowest_metric": METRIC_NAMES[lowest], "highest_metric": METRIC_NAMES[highest]}
    numbers = {"lowest": value.min(), "highest": value.max(), "ecs": value["ecs"], "metrics": len(value)}
    return pd.DataFrame([numbers | names])


@offered("optimiser")
def searches(profile: str) -> pd.DataFrame:
    """Q by other optimisers in per cent of the default's, and how many per cent of graphs reach it."""
    table = optimisers(there(_close_up(profile))).set_index("optimiser")
    return (100 * table[["relative", "equal_or_better", "better"]]).add_suffix("_percent").reset_index()


@offered("images")
def few_images(profile: str) -> pd.DataFrame:
    """Bias of Q over fewer images in per cent of Q over all: on average, and the range over graphs."""
    close_up = there(_close_up(profile))
    by_graph = images(close_up)
    rows = []
    for number, group in _beside_default(close_up, "images").groupby("choice"):
        shares = by_graph[by_graph.images == int(str(number))].relative
        rows.append([number, _mean_difference(group)["relative"], shares.min(), shares.max()])
    table = pd.DataFrame(rows, columns=["images", "mean", "lowest", "highest"]).set_index("images")
    return (100 * table).add_suffix("_percent").reset_index()


@offered("choice")
def ecs(profile: str) -> pd.DataFrame:
    """Element-centric similarity within and across families by optimiser and number of images."""
    table = agreement(there(_close_up(profile)))
    return table.assign(choice=table.choice.str.rpartition("=")[2])
