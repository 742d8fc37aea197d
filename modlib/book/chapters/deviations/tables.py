"""What each deviation from the paper's protocol and code changes in the numbers, as far as tables tell."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Int

from modlib._contingency import METRICS, contingency_tables
from modlib.analysis.modules import PAIRS
from modlib.book.numbers import offered
from modlib.book.stored import experiments, there
from modlib.measures import DEAD, FAMILIES, UPSTREAM, VARIANTS
from modlib.paper import (
    by_level,
    contrasts,
    distance_from_paper,
    family_pairs,
    multiverse,
    published,
    reported,
)
from modlib.paper.by_level import trained_rows
from modlib.paper.multiverse import AGREEMENT_EFFECT, DOWNSTREAM_LEAD, UPSTREAM_LEAD
from modlib.paper.released_code import greedy_matching
from modlib.paper.simulations import dead_units as dead_units_by_share
from modlib.study.accuracy_filter import GRAPH, LEVEL, PAIR, kept_networks, trained_networks
from modlib.study.runner import run
from modlib.study.store import Results

PAPER_SEEDS = 3  # of its wide and deep networks
PAPER_UNTRAINED = 500  # untrained networks behind its figures
ROUNDING = 1e-9  # values this close are equal
RULES = ("left out", "one shared module")  # what becomes of dead units where partitions are compared

Labels = Int[np.ndarray, "layer unit"]


# --- agreement, recomputed from stored partitions


def with_shared_dead_units(results: Results) -> Results:
    """Recompute agreement, ECS alone, with all dead units of a partition in one module, as the released code.

    Here a dead unit (label −1) is left out of a comparison; there all dead units are one more module.
    """

    def shared(labels: Labels) -> Labels:
        return np.where(labels < 0, labels.max(axis=1, keepdims=True) + 1, labels)

    def ecs(a: Labels, b: Labels) -> np.ndarray:
        a, b = shared(a), shared(b)
        return METRICS["ecs"](contingency_tables(a, b, int(max(a.max(), b.max())) + 1))

    return replace(results, agreement=_compare(results, "ecs", ecs))


def greedy_against_exact(results: Results) -> pd.DataFrame:
    """Match the modules of two graphs as the released code does, `greedy`, beside the exact `matching`."""
    return _compare(results, "greedy", greedy_matching, "matching")


def _compare(
    results: Results, name: str, metric: Callable[[Labels, Labels], np.ndarray], *columns: str
) -> pd.DataFrame:
    """Compare all pairs of stored partitions by a metric, in the column `name`, beside stored columns."""
    place = {variant: i for i, variant in enumerate(VARIANTS)}
    table = results.modules
    variant = [place[key] for key in zip(table.measure, table.normalized, strict=True)]
    table = table.assign(variant=variant).sort_values(["network", "layer", "variant"])
    labels = np.stack(list(table.labels)).astype(np.int64)
    labels = labels.reshape(-1, len(VARIANTS), labels.shape[1])
    rows = table[["network", "layer"]].iloc[:: len(VARIANTS)].reset_index(drop=True)
    found = []
    for a, b in PAIRS:
        names = dict(zip(PAIR, (*VARIANTS[a], *VARIANTS[b]), strict=True))
        found.append(rows.assign(**names, **{name: metric(labels[:, a], labels[:, b])}))
    keys = ["network", "layer", *PAIR]
    stored = results.agreement[[*keys, "family_pair", *columns]]
    return stored.merge(pd.concat(found), on=keys, validate="1:1")


def different_measures(results: Results) -> Results:
    """Leave the pairs of a measure with its own normalised form out of agreement."""
    return replace(results, agreement=family_pairs.distinct(results.agreement))


def without_hessian(results: Results) -> Results:
    """Leave the output Hessian out of modules and agreement, as the paper's final version does."""
    pairs, modules = results.agreement, results.modules
    either = (pairs.measure_a == "output_hess") | (pairs.measure_b == "output_hess")
    return replace(results, agreement=pairs[~either], modules=modules[modules.measure != "output_hess"])


def dead_units(results: Results) -> pd.DataFrame:
    """Mean number of dead units in a graph of the upstream family, by `regularizer` and `strength`."""
    table = results.modules[results.modules.measure.isin(UPSTREAM)]
    table = table.assign(dead=[int((np.asarray(labels) < 0).sum()) for labels in table.labels])
    table = table.merge(kept_networks(results)[["network", *LEVEL]], on="network")
    return table.groupby(LEVEL, sort=False).dead.mean().reset_index()


def ecs_by_level(results: Results) -> pd.DataFrame:
    """Element-centric similarity by level of regularisation and `rule` for dead units, 95 % over seeds."""
    tables = []
    for rule, found in zip(RULES, (results, with_shared_dead_units(results)), strict=True):
        table = family_pairs.agreement_by_level(found, "ecs")
        tables.append(table[table.regularizer != "none"].assign(rule=rule))
    return pd.concat(tables, ignore_index=True)


def by_share(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up `modlib.paper.simulations.dead_units` by `regularizer` and `share`, over its normalised graphs.

    The regularizer ``"all"`` is of all networks. There are the mean number of `dead` units of a graph; how
    many `graphs` are `different`, in that their Q is not the one at the share that is the rule; and by how
    much, in the `largest` case.
    """
    table = table[table.normalized].assign(regularizer=table.network.str.split("=").str[0])
    rule = table[table.share == DEAD].set_index(["network", *GRAPH]).q
    away = (table.q - rule.reindex(pd.MultiIndex.from_frame(table[["network", *GRAPH]])).to_numpy()).abs()
    table = table.assign(away=away, differs=away > ROUNDING)
    found: pd.DataFrame = (
        pd.concat([table, table.assign(regularizer="all")])
        .groupby(["regularizer", "share"], sort=False)
        .agg(
            dead=("dead", "mean"),
            different=("differs", "sum"),
            largest=("away", "max"),
            graphs=("q", "size"),
        )
    )
    return found.reset_index()


# --- protocol, noise, seeds, tests


def protocols(final: Results, v1: Results) -> pd.DataFrame:
    """Q by the arXiv v1 protocol less Q by the final one, seed by seed, mean over networks and graphs."""
    keys = ["network", *GRAPH, "regularizer", "seed"]
    before, after = (trained_rows(found.modules, found)[[*keys, "q"]] for found in (final, v1))
    both = before.merge(after, on=keys, suffixes=("_final", "_v1"))
    both["change"] = both.q_v1 - both.q_final
    found = by_level.mean_over_seeds(both, ["regularizer"], "change")
    count = both.groupby("regularizer").network.nunique()
    return found.assign(networks=found.regularizer.map(count)).drop(columns="seeds")


def shared_noise(results: Results) -> dict[str, float]:
    """Correlation over seeds of Q at two levels, mean over graphs and pairs of levels.

    Networks of a seed that have dropout share its noise. If that tied their Q together, levels of dropout
    would go up and down with the seed more than levels of L1 or L2 do.
    """
    table = trained_rows(results.modules, results)
    wide = table.pivot_table(index=[*GRAPH, "seed"], columns=LEVEL, values="q")
    kinds = wide.columns.get_level_values(0).to_numpy()
    same, dropout = kinds[:, None] == kinds, kinds == "dropout"
    either, once = dropout[:, None] | dropout, np.tri(len(kinds), k=-1, dtype=bool)
    correlation = np.stack(
        [group.corr(min_periods=3).to_numpy(dtype=float) for _, group in wide.groupby(GRAPH)]
    )
    pairs = {"dropout": same & either, "one penalty": same & ~either, "dropout and a penalty": ~same & either}
    chosen = {name: correlation[:, pair & once].ravel() for name, pair in pairs.items()}
    return {name: float(pd.Series(values).mean()) for name, values in chosen.items()}


def wider_intervals(results: Results) -> dict[str, int | float]:
    """How many times wider intervals are with the paper's three seeds than with all `seeds`.

    They are those of dropout's lead `upstream` and `downstream`, and of `agreement` within less across.
    """
    few = results.networks[~results.networks.trained | (results.networks.seed < PAPER_SEEDS)]
    modules, agreement = (
        table[table.network.isin(few.network)] for table in (results.modules, results.agreement)
    )
    some = replace(results, networks=few, modules=modules, agreement=agreement)
    wide, narrow = (_widths(found) for found in (some, results))
    seeds = results.networks[results.networks.trained].seed.nunique()
    names = {
        "upstream_wider": UPSTREAM_LEAD,
        "downstream_wider": DOWNSTREAM_LEAD,
        "agreement_wider": AGREEMENT_EFFECT,
    }
    return {"seeds": seeds} | {name: wide[effect] / narrow[effect] for name, effect in names.items()}


def _widths(results: Results) -> dict[str, float]:
    """Width of the interval of each effect by default."""
    rows = multiverse.effects(results, ("default",)).to_dict("records")
    return {row["effect"]: row["high"] - row["low"] for row in rows}


def unreached(nulls: pd.DataFrame) -> dict[str, int | float]:
    """How often no draw of a null reaches a network's own Q, so that p without the +1 would be 0."""
    least = 1 / (nulls.draws + 1)
    return {
        "tests": len(nulls),
        "draws": nulls.draws.median(),
        "zero_percent": 100 * (nulls.p <= least + ROUNDING).mean(),
        "least": least.min(),
    }


# --- tables that prose cites


def _protocols(profile: str) -> dict[str, Results]:
    """Tables by the final protocol, computed if need be, and by that of arXiv v1, if they are stored."""
    v1 = experiments(profile, "base-v1").get("base-v1")
    return {"final": run("base", profile=profile)} | ({} if v1 is None else {"v1": v1})


@offered("protocol", "rule")
def by_rule(profile: str) -> pd.DataFrame:
    """Agreement and Q by protocol, dead units left out or in one shared module, and without the Hessian.

    Agreement is element-centric similarity of trained networks, as in the paper's figures, between different
    measures. Beside it stand its mean `distance` from the figures, and the `gap` within less across families.
    Of Q there are dropout's lead over weight penalties at matched accuracy, `lead_upstream` and
    `lead_downstream`, and `q_distance`, the median distance from the figures.
    """
    rows = []
    for protocol, results in _protocols(profile).items():
        q_distance = distance_from_paper.q_beside_paper(results).difference.abs().median()
        tables = (results, with_shared_dead_units(results), without_hessian(results))
        for rule, table in zip((*RULES, "no Hessian"), tables, strict=True):
            pairs = distance_from_paper.ecs_beside_paper(different_measures(table))
            ecs = _mean_ecs(table)
            rows.append(
                {
                    "protocol": protocol,
                    "rule": rule,
                    **ecs,
                    "distance": (pairs.trained - pairs.ecs_trained).abs().mean(),
                    "gap": (ecs.upstream + ecs.downstream) / 2 - ecs.across,
                    **_leads(table),
                    "q_distance": q_distance,
                }
            )
    return pd.DataFrame(rows)


def _mean_ecs(results: Results) -> pd.Series:
    """Mean element-centric similarity of trained networks by pair of families; nan where there is none."""
    table = family_pairs.family_agreement(results, "ecs").query("layer == 0 and trained")
    found: pd.Series = table.set_index("family_pair").ecs.reindex([*FAMILIES, "across"])
    return found


def _leads(results: Results) -> dict[str, float]:
    """Dropout's lead at matched accuracy, by family of measures."""
    kept = trained_networks(results)
    least = contrasts.least_accurate_dropout(kept)
    graphs = contrasts.levels(results.modules, kept, min_accuracy=least)
    return {f"lead_{name}": contrasts.lead(graphs, "dropout", "weights", name).value for name in FAMILIES}


@offered("family_pair")
def in_paper(_profile: str) -> pd.DataFrame:
    """Element-centric similarity of different measures in the paper's figures, of trained networks."""
    pairs = (*FAMILIES, "across")
    return pd.DataFrame({"family_pair": pairs, "ecs": [reported.family_ecs(pair) for pair in pairs]})


@offered("protocol", "regularizer", "rule")
def by_regularizer(profile: str) -> pd.DataFrame:
    """Dead units in an upstream graph, and agreement by either rule for them, means over levels."""
    tables = []
    for protocol, results in _protocols(profile).items():
        ecs = ecs_by_level(results).groupby(["regularizer", "rule", "family_pair"]).ecs.mean().unstack()
        dead = dead_units(results).groupby("regularizer").dead.mean()
        tables.append(ecs.join(dead).reset_index().assign(protocol=protocol))
    return pd.concat(tables, ignore_index=True)


@offered("regularizer")
def protocol_change(profile: str) -> pd.DataFrame:
    """Change of mean Q from the final protocol to that of arXiv v1."""
    found = _protocols(profile)
    return protocols(found["final"], there(found.get("v1")))


@offered("regularizer", "share")
def dead_shares(_profile: str) -> pd.DataFrame:
    """Dead units of normalised graphs, and what becomes of Q, by the share below which a unit is dead."""
    table = by_share(dead_units_by_share.read())
    return table.assign(share=[f"{share:.0e}" if share else "0" for share in table.share])


@offered("levels")
def noise(profile: str) -> pd.DataFrame:
    """Correlation over seeds of Q at two levels, by what the two levels are (final protocol)."""
    found = shared_noise(run("base", profile=profile))
    return pd.DataFrame(found.items(), columns=["levels", "correlation"])


@offered("experiment")
def few_seeds(profile: str) -> pd.DataFrame:
    """Seeds of the wide and the deep networks, and how many times wider intervals of three seeds are."""
    found = experiments(profile, "wide", "deep")
    return pd.DataFrame([{"experiment": name, **wider_intervals(table)} for name, table in found.items()])


@offered("experiment")
def null_tests(profile: str) -> pd.DataFrame:
    """Count the tests against nulls, and how many per cent of them no draw reaches."""
    found = {name: results.nulls for name, results in experiments(profile, "base-v1", "close-up").items()}
    rows = [{"experiment": name, **unreached(nulls)} for name, nulls in found.items() if len(nulls)]
    return pd.DataFrame(rows)


@offered()
def matching(profile: str) -> pd.DataFrame:
    """How much larger the exact matching of modules is than a greedy one (final protocol)."""
    results = run("base", profile=profile)
    matched = trained_rows(greedy_against_exact(results), results).dropna()
    excess = matched.matching - matched.greedy
    differs = 100 * (excess > ROUNDING).mean()
    return pd.DataFrame([{"mean": excess.mean(), "largest": excess.max(), "differs_percent": differs}])


@offered()
def untrained(profile: str) -> pd.DataFrame:
    """Untrained Q less the paper's, and what the numbers of networks explain of the difference.

    `error` is the standard error of a difference, `error_paper` that of the paper's mean alone.
    """
    results = run("base", profile=profile)
    n = int((~results.networks.trained).sum())
    both = by_level.q_untrained(results).merge(published.q_untrained(), on=GRAPH, suffixes=("", "_paper"))
    difference = both["mean"] - both.mean_paper
    values = {
        "networks": n,
        "difference": difference.mean(),
        "largest": difference.abs().max(),
        "error": np.sqrt(both["std"] ** 2 / n + both.sd**2 / PAPER_UNTRAINED).mean(),
        "error_paper": (both.sd / np.sqrt(PAPER_UNTRAINED)).mean(),
    }
    return pd.DataFrame([values])
