"""How much hangs on each analysis choice: three effects, the optimisers, the number of test images.

Most choices are tried on the base experiment. Other optimisers and fewer images need partitions of their own,
which the experiment ``close-up`` has, for a third of the levels; its effects stand beside its own default.
"""

from typing import Any

import numpy as np
import pandas as pd

from modlib.algorithms import OPTIMISERS
from modlib.book.numbers import offered, once
from modlib.book.stored import experiments, there
from modlib.paper import family_pairs, multiverse, specification_effects
from modlib.paper.multiverse import AGREEMENT_EFFECT, CHOSEN_METRICS, DEFAULT_METRIC
from modlib.paper.simulations import degeneracy, specifications
from modlib.paper.simulations.specifications import SPECIFICATION
from modlib.stats import intervals
from modlib.study.accuracy_filter import GRAPH, trained_networks
from modlib.study.runner import run
from modlib.study.store import Results

ROUNDING = 1e-9  # two values of Q this close are equal
METRIC_NAMES = {
    "ami": "adjusted mutual information",
    "ecs": "element-centric similarity",
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
DATA_NAMES = {"close-up": "MNIST", "fashion": "Fashion-MNIST"}
SIGN_NAMES = {"absolute": "absolute values", "positive": "positive part", "signed": "signed"}
PART_NAMES = {"average linkage": "modules", "block model": "blocks"}  # of algorithms that are told how many
SILENT = 0.5  # a way says nothing if more than this share of graphs end in one module, or in single units
_CLOSE_UP_ONLY = ("images", "optimiser")
ESTIMATE = ["value", "low", "high", "n", "p"]
PAIRS = ["upstream", "downstream", "across"]
SHORT_METRICS = ("ami", "ecs")  # those that the table `choices_agreement` has


def label(kind: str, choice: str) -> str:
    """Name a choice in words, by its kind and name in `modlib.paper.multiverse.effects`.

    Examples
    --------
    >>> label("accuracy filter", "at least 0.9"), label("layer", "2 only"), label("images", "100")
    ('test accuracy at least 0.9', 'layer 2 only', '100 test images')
    >>> label("graphs of all levels", "raw only"), label("levels", "all")
    ('raw graphs only, all levels', 'all levels')
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


def specification_label(algorithm: str, sign: str, setting: float) -> str:
    """Name a specification (`modlib.paper.simulations.specifications`) in words.

    Examples
    --------
    >>> specification_label("modularity", "signed", 1.25), specification_label("block model", "absolute", 4)
    ('signed, γ = 1.25', 'block model, 4 blocks')
    """
    if algorithm in PART_NAMES:
        return f"{algorithm}, {setting:g} {PART_NAMES[algorithm]}"
    return f"{SIGN_NAMES[sign] if algorithm == 'modularity' else algorithm}, γ = {setting:g}"


def effects(base: Results, close_up: Results | None = None) -> pd.DataFrame:
    """All effects under every choice, each beside the same effect without it.

    Only the choices of images and of optimiser are those of `close_up`. The `reference` is the effect by the
    default choices in the same experiment, and the `change` is the effect less that (both nan for other
    metrics, whose units differ).
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
    return found.assign(change=found.value - found.reference)


def metrics(results: Results) -> pd.DataFrame:
    """Agreement within less across families in a unit that all metrics share, the default metric first.

    The `value` is the mean over seeds of (within − across) / within, where agreement within is the mean of
    both families: 0 if agreement does not care about families, 1 if nothing of it is left across them. For a
    distance it is (across − within) / across.
    """
    rows = []
    for metric in (DEFAULT_METRIC, *CHOSEN_METRICS):
        if metric not in results.agreement:
            continue
        seeds = family_pairs.families_by_seed(
            results.agreement, trained_networks(results), metric, by_layer=False
        )
        within, across = (seeds.upstream + seeds.downstream) / 2, seeds.across
        share = (across - within) / across if metric == "vi" else (within - across) / within
        rows.append({"metric": metric, **seeds[PAIRS].mean()} | _estimate(share))
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


def agreement(results: Results, metric: str = DEFAULT_METRIC) -> pd.DataFrame:
    """Agreement within and across families by each choice of images and optimiser, means over seeds."""
    if metric not in SHORT_METRICS:
        raise ValueError(f"metric must be {' or '.join(SHORT_METRICS)}, got {metric!r}")
    kept = trained_networks(results)
    rest = results.choices_agreement
    rest = rest[rest.distinct.astype(bool)]
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
def under_choices(profile: str) -> pd.DataFrame:
    """Dropout's lead by family, and agreement within less across families, under every analysis choice."""
    return effects(run("base", profile=profile), _close_up(profile))


@offered("effect")
def counts(profile: str) -> pd.DataFrame:
    """Count the choices, but for the default, whose interval is `above` zero, `around` it or `below`."""
    return _sides(_changed(under_choices(profile)), ["effect"], "choices")


@offered("effect", "extreme")
def extremes(profile: str) -> pd.DataFrame:
    """Find the choice under which an effect is `smallest` and the one under which it is `largest`.

    Other metrics of agreement, whose units differ, are left out.
    """
    table = _changed(under_choices(profile))
    rows = []
    at: Any
    for effect, group in table[table.choice_kind != "metric"].groupby("effect", sort=False):
        for extreme, at in (("smallest", group.value.idxmin()), ("largest", group.value.idxmax())):
            row = group.loc[at]
            which = label(row.choice_kind, row.choice)
            rows.append([effect, extreme, row.value, row.low, row.high, row.change, which])
    columns = ["effect", "extreme", "value", "low", "high", "change", "choice"]
    return pd.DataFrame(rows, columns=columns)


def _sides(table: pd.DataFrame, by: list[str], name: str) -> pd.DataFrame:
    """Count rows, under a name, and those whose interval is `above` zero, `around` it or `below`."""
    table = table.assign(**{name: 1}, above=table.low > 0, below=table.high < 0)
    found = table.groupby(by, sort=False)[[name, "above", "below"]].sum().astype(int)
    return found.assign(around=found[name] - found.above - found.below).reset_index()


def _changed(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out defaults, and choices without an effect: a strict filter may leave nothing."""
    return table[table.choice_kind != "default"].dropna(subset="value")


@offered("family_pair")
def self_pairs(profile: str) -> pd.DataFrame:
    """Agreement within a family of `different` measures, of a measure with `itself`, and of `every` pair.

    A measure is compared with itself where its raw graph is compared with its normalised one. `raised` is by
    how much such pairs would raise the mean.
    """
    results = run("base", profile=profile)
    kept = results.agreement.network.isin(trained_networks(results).network)
    table = results.agreement[kept & (results.agreement.family_pair != "across")]
    own = table[table.measure_a == table.measure_b]
    parts = {"every": table, "different": family_pairs.distinct(table), "itself": own}
    means = {name: rows.groupby("family_pair")[DEFAULT_METRIC].mean() for name, rows in parts.items()}
    found = pd.DataFrame(means).reset_index()
    return found.assign(raised=found.every - found.different)


@offered()
def metric_range(profile: str) -> pd.DataFrame:
    """Share of the agreement within families lost across them: by default, and the range over metrics."""
    value = metrics(run("base", profile=profile)).set_index("metric").value
    lowest, highest = str(value.idxmin()), str(value.idxmax())
    names = {"lowest_metric": METRIC_NAMES[lowest], "highest_metric": METRIC_NAMES[highest]}
    numbers = {"lowest": value.min(), "highest": value.max(), "default": value[DEFAULT_METRIC]}
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


@offered("metric", "choice")
def by_search(profile: str) -> pd.DataFrame:
    """Agreement within and across families by optimiser and number of images, in both metrics stored."""
    close_up = there(_close_up(profile))
    found = pd.concat(
        [agreement(close_up, metric).assign(metric=metric) for metric in SHORT_METRICS], ignore_index=True
    )
    return found.assign(choice=found.choice.str.rpartition("=")[2])


@offered("of")
def near_best(_profile: str) -> pd.DataFrame:
    """How many near-best partitions a graph has, and how they agree with each other, by measure and for all.

    `single` is the share of graphs that have but one.
    """
    table = degeneracy.read("near_best").assign(single=lambda graphs: graphs.partitions == 1)
    both = pd.concat([table.assign(of=table.measure), table.assign(of="all")])
    found = both.groupby("of")[["partitions", "ami", "single"]].mean()
    return found.assign(networks=table.network.nunique()).reset_index()


@offered("way")
def other_partitions(_profile: str) -> pd.DataFrame:
    """Agreement (AMI) of different measures by each of `degeneracy.WAYS`, and within less across families.

    `upstream`, `downstream` and `across` are means over networks and layers; `gap` is the mean of the first
    two less the third, with `low` and `high`, its 95 % interval over seeds.
    """
    table = degeneracy.read("degeneracy")
    seed = table.network.str.extract(r"seed=(\d+)", expand=False)
    rows = []
    for way in degeneracy.WAYS:
        seeds = table.groupby([seed, "family_pair"])[way].mean().unstack()
        gap = intervals.mean(((seeds.upstream + seeds.downstream) / 2 - seeds.across).to_numpy(dtype=float))
        row = {"way": way} | {pair: seeds[pair].mean() for pair in PAIRS}
        rows.append(row | {"gap": gap.value, "low": gap.low, "high": gap.high})
    return pd.DataFrame(rows)


@offered()
def least_gap(profile: str) -> pd.DataFrame:
    """Find the way of `other_partitions` whose interval of within less across begins lowest."""
    return other_partitions(profile).nsmallest(1, "low")[["way", "low"]]


@offered("experiment", *SPECIFICATION, "effect", "at")
@once
def by_specification(_profile: str) -> pd.DataFrame:
    """Dropout's lead and agreement by other readings of signs, resolutions and algorithms.

    Ways that say nothing are left out: those by which most graphs end in one module, or in single units.
    """
    table = specification_effects.read()
    silent = (table.one_module > SILENT) | (table.single_units > SILENT)
    table = table[~silent].dropna(subset="value").reset_index(drop=True)
    labels = map(specification_label, table.algorithm, table.sign, table.setting)
    return table.assign(specification=list(labels))


@offered()
def ways_tried(_profile: str) -> pd.DataFrame:
    """Count the `ways` to find modules, the `networks` they are applied to, and the `seeds` of each level."""
    table = specifications.read("modules")
    numbers = {
        "ways": len(table.drop_duplicates(SPECIFICATION)),
        "networks": len(table.drop_duplicates(["experiment", "network"])),
        "seeds": table.network.str.rpartition(",")[2].nunique(),
    }
    return pd.DataFrame([numbers])


@offered("experiment", "effect", "at")
def specification_counts(profile: str) -> pd.DataFrame:
    """Count the ways of `by_specification` whose interval is `above` zero, `around` it or `below`."""
    return _sides(by_specification(profile), ["experiment", "effect", "at"], "ways")


@offered("experiment", "effect", "at", "extreme")
def specification_extremes(profile: str) -> pd.DataFrame:
    """Find the way of `by_specification` by which an effect is `smallest`, and the one by which `largest`."""
    groups = by_specification(profile).groupby(["experiment", "effect", "at"], sort=False)
    picked = {"smallest": groups.value.idxmin(), "largest": groups.value.idxmax()}
    rows = [by_specification(profile).loc[at].assign(extreme=name) for name, at in picked.items()]
    return pd.concat(rows, ignore_index=True)


@offered("effect", "at")
def reversed_by(profile: str) -> pd.DataFrame:
    """Name the ways that give an effect the sign opposite to the default's, in either experiment.

    `ways` counts the others that were tried in an experiment where the interval by the default leaves out
    zero, and `kept` those of them that do not reverse its sign. An interval that holds zero reverses nothing.
    """
    table = by_specification(profile)
    others, opposite = (
        f(table) for f in (specification_effects.beside_default, specification_effects.reversals)
    )
    rows = []
    for effect, at in table[["effect", "at"]].drop_duplicates().itertuples(index=False, name=None):
        ways, found = (t[(t.effect == effect) & (t["at"] == at)] for t in (others, opposite))
        by_data = found.groupby("experiment", sort=False).specification
        named = [f"{DATA_NAMES[str(name)]}: {'; '.join(those)}" for name, those in by_data]
        counts = {"ways": len(ways), "kept": len(ways) - len(found), "reversed": len(found)}
        rows.append({"effect": effect, "at": at} | counts | {"named": ". ".join(named) or "none"})
    return pd.DataFrame(rows)


@offered()
def reversed_findings(profile: str) -> pd.DataFrame:
    """Say in words which ways reverse a finding: the lead upstream, or within less across at any level."""
    table = reversed_by(profile)
    finding = ((table.effect == "lead") & (table["at"] == "upstream")) | (table.effect == AGREEMENT_EFFECT)
    found = table[finding & (table.reversed > 0)]
    named = [f"{row.effect}, {row['at']}, by {row.named}" for _, row in found.iterrows()]
    said = f"some reverse one ({'; '.join(named)})" if named else "none reverses either"
    return pd.DataFrame([{"said": said}])
