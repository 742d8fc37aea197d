"""What each deviation from the paper's protocol and code changes in the numbers, as far as tables can tell.

The deviations themselves, with what they change in words, are listed in
`modlib.book.chapters.deviations.deviation_list`; steps of the released code are tried on networks at hand in
`modlib.paper.released_code`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Int

from modlib._contingency import METRICS, contingency_tables
from modlib.book.chapters.choices import tables as choices
from modlib.measures import UPSTREAM, VARIANTS
from modlib.paper import by_level, distance_from_paper, family_pairs, multiverse, published
from modlib.paper.multiverse import AGREEMENT_EFFECT, Q_EFFECT
from modlib.paper.released_code import greedy_matching
from modlib.study import catalogue, store
from modlib.study.accuracy_filter import GRAPH, LEVEL, PAIR, WEIGHT_PENALTIES, kept_networks
from modlib.study.rows import PAIRS
from modlib.study.runner import run
from modlib.study.store import Results

PAPER_SEEDS = 3
"""Seeds of the paper's wide and deep networks."""
PAPER_UNTRAINED = 500
"""Untrained networks behind the paper's figures."""
REGULARIZERS = ("dropout", "l1", "l2")
FAMILIES = ("upstream", "downstream", "across")
Numbers = dict[str, float | int | str | None]
_NULL_KEYS = ("p_tests", "p_draws", "p_zero_percent", "p_least")


def _labels(results: Results) -> tuple[pd.DataFrame, Int[np.ndarray, "layer variant unit"]]:
    """Network and layer of each row of labels, the eight partitions in the order of `VARIANTS`."""
    place = {variant: i for i, variant in enumerate(VARIANTS)}
    table = results.modules
    variant = [place[key] for key in zip(table.measure, table.normalized, strict=True)]
    table = table.assign(variant=variant).sort_values(["network", "layer", "variant"])
    labels = (
        np.stack(list(table.labels)).astype(np.int64).reshape(-1, len(VARIANTS), len(table.labels.iloc[0]))
    )
    return table[["network", "layer"]].iloc[:: len(VARIANTS)].reset_index(drop=True), labels


def with_shared_dead_units(results: Results) -> Results:
    """Recompute agreement with all dead units of a partition in one module, as the released code has them.

    A dead unit (label −1) has no edges. Here it is left out of a comparison; there all dead units are one
    more module, which measures of one family share.

    Returns
    -------
    Results
        The same, but the table `agreement` has `ecs` as its only metric.
    """
    rows, labels = _labels(results)
    last = labels.max(axis=2, keepdims=True) + 1
    shared = np.where(labels < 0, last, labels)
    tables = []
    for a, b in PAIRS:
        counts = contingency_tables(shared[:, a], shared[:, b], int(shared.max()) + 1)
        names = dict(zip(PAIR, (*VARIANTS[a], *VARIANTS[b]), strict=True))
        tables.append(rows.assign(**names, ecs=METRICS["ecs"](counts)))
    keys = ["network", "layer", *PAIR]
    found = results.agreement[[*keys, "family_pair"]].merge(pd.concat(tables), on=keys, validate="1:1")
    return replace(results, agreement=found)


def greedy_against_exact(results: Results) -> pd.DataFrame:
    """Match modules one to one, greedily as the released code does and exactly as in the tables.

    Returns
    -------
    DataFrame
        The table `agreement` with columns `network`, `layer`, `family_pair`, `matching` and `greedy`.
    """
    rows, labels = _labels(results)
    tables = [
        rows.assign(
            **dict(zip(PAIR, (*VARIANTS[a], *VARIANTS[b]), strict=True)),
            greedy=greedy_matching(labels[:, a], labels[:, b]),
        )
        for a, b in PAIRS
    ]
    keys = ["network", "layer", *PAIR]
    table = results.agreement[[*keys, "family_pair", "matching"]]
    return table.merge(pd.concat(tables), on=keys, validate="1:1")[
        ["network", "layer", "family_pair", "matching", "greedy"]
    ]


def without_hessian(results: Results) -> Results:
    """Leave the output Hessian out of modules and agreement, as the paper's final version does."""
    pairs, modules = results.agreement, results.modules
    either = (pairs.measure_a == "output_hess") | (pairs.measure_b == "output_hess")
    return replace(results, agreement=pairs[~either], modules=modules[modules.measure != "output_hess"])


def dead_units(results: Results) -> pd.DataFrame:
    """Mean number of dead units in a graph of the upstream family, by `regularizer` and `strength`."""
    kept = kept_networks(results)
    table = results.modules[results.modules.measure.isin(UPSTREAM)]
    table = table.assign(dead=[int((np.asarray(labels) < 0).sum()) for labels in table.labels])
    table = table.merge(kept[["network", *LEVEL]], on="network")
    return table.groupby(LEVEL, sort=False).dead.mean().reset_index()


def ecs_by_level(results: Results) -> pd.DataFrame:
    """Element-centric similarity by level of regularisation, dead units left out and in a shared module.

    Returns
    -------
    DataFrame
        `regularizer`, `strength`, `family_pair`, `rule` ("left out" or "one shared module"), `ecs` (mean
        over seeds) with its 95 % interval `low` to `high`, and `seeds`.
    """
    kept = kept_networks(results)
    kept = kept[kept.trained][["network", *LEVEL, "seed"]]
    tables = []
    for rule, found in (("left out", results), ("one shared module", with_shared_dead_units(results))):
        table = found.agreement.merge(kept, on="network")
        tables.append(by_level.mean_over_seeds(table, [*LEVEL, "family_pair"], "ecs").assign(rule=rule))
    return pd.concat(tables, ignore_index=True)


def protocols(final: Results, v1: Results) -> pd.DataFrame:
    """Q by the arXiv v1 protocol less Q by the final one, seed by seed, mean over networks and graphs.

    Returns
    -------
    DataFrame
        One row a `regularizer`: `change` with its 95 % interval `low` to `high` over seeds, and `networks`,
        those kept by both.
    """
    tables = [
        found.modules[["network", *GRAPH, "q"]].merge(
            kept_networks(found).query("trained")[["network", "regularizer", "seed"]], on="network"
        )
        for found in (final, v1)
    ]
    keys = ["network", *GRAPH, "regularizer", "seed"]
    both = tables[0].merge(tables[1], on=keys, suffixes=("_final", "_v1"))
    both["change"] = both.q_v1 - both.q_final
    found = by_level.mean_over_seeds(both, ["regularizer"], "change")
    count = both.groupby("regularizer").network.nunique()
    return found.assign(networks=found.regularizer.map(count)).drop(columns="seeds")


def shared_noise(results: Results) -> dict[str, float]:
    """Correlation over seeds of Q at different levels, mean over graphs and pairs of levels.

    All networks of a seed share initialisation and batches; those with dropout also the noise of dropout. If
    that tied their Q together, levels of dropout would go up and down with the seed more than levels of L1 or
    L2 do.

    Returns
    -------
    dict
        ``dropout``, ``weights`` (pairs of levels of one penalty) and ``between`` (dropout and a penalty); nan
        where there are no such pairs.
    """
    kept = kept_networks(results)
    table = results.modules.merge(kept[kept.trained][["network", *LEVEL, "seed"]], on="network")
    wide = table.pivot_table(index=[*GRAPH, "seed"], columns=LEVEL, values="q")
    found: dict[str, list[float]] = {"dropout": [], "weights": [], "between": []}
    for _, group in wide.groupby(GRAPH):
        correlation = group.corr(min_periods=3)
        kinds = list(correlation.columns.get_level_values(0))
        values = correlation.to_numpy(dtype=float)
        for i, by in enumerate(kinds):
            for value, other in zip(values[i, :i].tolist(), kinds, strict=False):
                if by == other:
                    found["weights" if by in WEIGHT_PENALTIES else "dropout"].append(value)
                elif "dropout" in (by, other):
                    found["between"].append(value)
    return {name: _mean(values) for name, values in found.items()}


def _mean(values: Iterable[float]) -> float:
    finite = np.array([v for v in values if np.isfinite(v)])
    return float(finite.mean()) if len(finite) else float("nan")


def _distance(results: Results) -> Numbers:
    """Mean distance of our ECS of trained networks from the paper's, and the means by family."""
    pairs = distance_from_paper.ecs_beside_paper(results)
    means = (
        family_pairs.family_agreement(results).query("layer == 0 and trained").set_index("family_pair").ecs
    )
    distance = float((pairs.trained - pairs.ecs_trained).abs().mean())
    return {"ecs_distance": distance, **{f"ecs_{name}": float(means[name]) for name in FAMILIES}}


def _agreement_numbers(results: Results) -> Numbers:
    q = distance_from_paper.q_beside_paper(results).difference.abs()
    kept = kept_networks(results)
    found: Numbers = {
        "q_distance": float(q.median()),
        "q_distance_95": float(q.quantile(0.95)),
        "kept": int(kept.trained.sum()),
        "networks": int(results.networks.trained.sum()),
    }
    dead = dead_units(results).groupby("regularizer").dead.mean()
    levels = ecs_by_level(results).groupby(["rule", "regularizer", "family_pair"]).ecs.mean()
    for name in REGULARIZERS:
        found[f"dead_{name}"] = float(dead.get(name, np.nan))
        for rule, suffix in (("left out", ""), ("one shared module", "_shared")):
            for pair in FAMILIES:
                found[f"ecs_{name}_{pair}{suffix}"] = float(levels.get((rule, name, pair), np.nan))
    shared = with_shared_dead_units(results)
    for suffix, table in (("", results), ("_shared", shared), ("_no_hessian", without_hessian(results))):
        found |= {f"{key}{suffix}": value for key, value in _distance(table).items()}
        effects = multiverse.default_effects(table)
        found[f"agreement_effect{suffix}"] = effects[AGREEMENT_EFFECT].value
        if suffix != "_shared":  # which has no bearing on Q
            found[f"q_effect{suffix}"] = effects[Q_EFFECT].value
    nearer = found["ecs_distance_shared"] < found["ecs_distance"]  # type: ignore[operator]
    found |= {"shared_rule_lies": "nearer to" if nearer else "farther from"}
    found |= {"shared_rule_speaks": "for" if nearer else "against"}
    matched = greedy_against_exact(results).merge(kept[kept.trained][["network"]], on="network").dropna()
    excess = matched.matching - matched.greedy
    found |= {"matching_excess": float(excess.mean()), "matching_largest": float(excess.max())}
    found["matching_differs_percent"] = float(100 * (excess > choices.EQUAL).mean())
    return found | {f"noise_{name}": value for name, value in shared_noise(results).items()}


def _null_numbers(results: Results) -> Numbers:
    """How often no draw of a null reaches a network's own Q, so that p without the +1 would be 0."""
    if results.nulls.empty:
        return dict.fromkeys(_NULL_KEYS)
    least = 1 / (results.nulls.draws + 1)
    p = results.nulls.p
    return {
        "p_tests": len(p),
        "p_draws": float(results.nulls.draws.median()),
        "p_zero_percent": float(100 * (p <= least + choices.EQUAL).mean()),
        "p_least": float(least.min()),
    }


def _seeds(results: Results) -> Numbers:
    return {"seeds": int(results.networks[results.networks.trained].seed.nunique())}


def _fewer_seeds(results: Results) -> Numbers:
    """How much wider both effects' intervals are with the paper's three seeds than with all of ours."""
    few = results.networks[~results.networks.trained | (results.networks.seed < PAPER_SEEDS)]
    some = replace(
        results,
        networks=few,
        modules=results.modules[results.modules.network.isin(few.network)],
        agreement=results.agreement[results.agreement.network.isin(few.network)],
    )
    found = _seeds(results)
    for key, effect in (("q", Q_EFFECT), ("agreement", AGREEMENT_EFFECT)):
        wide, narrow = (multiverse.default_effects(table)[effect] for table in (some, results))
        found[f"{key}_wider"] = (wide.high - wide.low) / (narrow.high - narrow.low)
    return found


def _untrained_numbers(results: Results) -> Numbers:
    """Untrained Q beside the paper's: their difference, and what the numbers of networks explain of it."""
    keys = GRAPH
    both = by_level.q_untrained(results).merge(published.q_untrained(), on=keys, suffixes=("", "_paper"))
    n = int((~results.networks.trained).sum())
    error = np.sqrt(both["std"] ** 2 / n + both.sd**2 / PAPER_UNTRAINED)
    difference = both["mean"] - both.mean_paper
    return {
        "untrained": n,
        "untrained_difference": float(difference.mean()),
        "untrained_largest": float(difference.abs().max()),
        "untrained_error": float(error.mean()),
        "untrained_error_paper": float((both.sd / np.sqrt(PAPER_UNTRAINED)).mean()),
    }


def numbers(profile: str) -> Numbers:
    """Every number of deviations that tables can give, by name; None where tables are not stored.

    Names end in the experiment or protocol: ``final`` is base, ``v1`` is base-v1.
    """
    final, v1 = run("base", profile=profile), store.read_if_stored(catalogue.get("base-v1", profile))
    ours = _agreement_numbers(final)
    parts: dict[str, Numbers] = {
        "final": ours | _untrained_numbers(final),
        "v1": dict.fromkeys(ours) if v1 is None else _agreement_numbers(v1),
    }
    changes = (
        {} if v1 is None else {row["regularizer"]: row for row in protocols(final, v1).to_dict("records")}
    )
    parts["protocol"] = {
        f"q_change_{name}{suffix}": changes.get(name, {}).get(column)
        for name in REGULARIZERS
        for column, suffix in (("change", ""), ("low", "_low"), ("high", "_high"))
    }
    for name in ("base-v1", "close-up"):
        parts[name] = _from(_null_numbers, name, profile, _NULL_KEYS)
    parts["wide"] = _from(_fewer_seeds, "wide", profile, ("seeds", "q_wider", "agreement_wider"))
    parts["deep"] = _from(_seeds, "deep", profile, ("seeds",))
    found = {
        f"deviations_{key}_{part.replace('-', '_')}": value
        for part, values in parts.items()
        for key, value in values.items()
    }
    # No value is better than one that is not a number.
    return {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in found.items()}


def _from(measure: Callable[[Results], Numbers], name: str, profile: str, keys: tuple[str, ...]) -> Numbers:
    results = store.read_if_stored(catalogue.get(name, profile))
    return dict.fromkeys(keys) if results is None else measure(results)
