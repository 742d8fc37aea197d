"""The statistics behind the chapters: from tables to means, intervals and the numbers in prose.

The seed is the statistical unit: whatever is averaged within a seed first, intervals are over seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from modlib import experiments, published, store
from modlib.similarity import DOWNSTREAM, UPSTREAM
from modlib.store import Results
from modlib.sweep import run

MIN_ACCURACY = 0.8  # below it a network is dropped (Lange et al. 2022)
GRAPH = ["layer", "measure", "normalized"]
LEVEL = ["regularizer", "strength"]
PAIR = ["measure_a", "normalized_a", "measure_b", "normalized_b"]
WEIGHT_PENALTIES = ("l1", "l2")


def kept_networks(results: Results) -> pd.DataFrame:
    """Networks that take part in the findings: untrained ones, and trained ones that learned the task.

    A trained network under 0.8 test accuracy is dropped, and so is every network of a level of regularisation
    more than half of whose networks fall under it (Lange et al. 2022).
    """
    networks = results.networks
    passes = networks.test_accuracy >= MIN_ACCURACY
    level_passes = passes.groupby([networks.regularizer, networks.strength]).transform("mean") >= 0.5
    return networks[~networks.trained | (passes & level_passes)].reset_index(drop=True)


def dropped_levels(results: Results) -> pd.DataFrame:
    """Levels that lose networks to the accuracy filter: how many of how many, and whether all go."""
    networks = results.networks[results.networks.trained]
    kept = kept_networks(results)
    table = networks.groupby(LEVEL).agg(networks=("network", "size"), accuracy=("test_accuracy", "median"))
    left = kept.groupby(LEVEL).size().reindex(table.index, fill_value=0)
    table["dropped"] = table["networks"] - left
    return table[table.dropped > 0].reset_index()


def interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval of independent values (Student's t); without width for a single value.

    Examples
    --------
    >>> [round(v, 3) for v in interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return (np.nan,) * 3
    mean = float(finite.mean())
    if len(finite) == 1:
        return mean, mean, mean
    half = float(stats.t.ppf(0.975, len(finite) - 1) * finite.std(ddof=1) / np.sqrt(len(finite)))
    return mean, mean - half, mean + half


def _summarise(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Mean, 95 % interval and number of seeds of `value`, averaged within a seed first."""
    seeds = table.groupby([*by, "seed"], sort=False)[value].mean().reset_index()
    rows = [
        (
            *(key if isinstance(key, tuple) else (key,)),
            *interval(group[value].to_numpy()),
            group.seed.nunique(),
        )
        for key, group in seeds.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*by, value, "low", "high", "seeds"])


def q_by_strength(results: Results) -> pd.DataFrame:
    """Q (mean over seeds, 95 % interval) of trained networks by layer, graph, regulariser and strength."""
    kept = kept_networks(results)
    trained = kept[kept.trained][["network", *LEVEL, "seed"]]
    table = results.modules.merge(trained, on="network")
    found = _summarise(table, [*GRAPH, *LEVEL], "q")
    modules = _summarise(table, [*GRAPH, *LEVEL], "effective_modules")
    return found.merge(modules[[*GRAPH, *LEVEL, "effective_modules"]], on=[*GRAPH, *LEVEL])


def q_untrained(results: Results) -> pd.DataFrame:
    """Mean and sd of Q over untrained networks, by layer and graph."""
    untrained = results.networks[~results.networks.trained][["network"]]
    table = results.modules.merge(untrained, on="network")
    return table.groupby(GRAPH, sort=False).q.agg(["mean", "std"]).reset_index()


def gains(results: Results, *, min_accuracy: float = 0.0) -> pd.DataFrame:
    """How far Q rises, by layer and graph: at the best level of dropout, and at the best of L1 or L2.

    `plain` is Q at the weakest L2 (the paper's networks without regularisation), `dropout` and `weights` Q
    at the level of the largest mean; `difference` is dropout less weights, paired by seed, with its 95 %
    interval `low` to `high`. Both levels were chosen as the best of about as many, which favours neither.

    Parameters
    ----------
    min_accuracy
        Only levels whose networks reach this test accuracy on average take part. `matched_accuracy` gives the
        one at which every level of dropout does: the contrast is then between networks that are as good.
    """
    kept = kept_networks(results)
    accuracy = kept[kept.trained].groupby(LEVEL).test_accuracy.mean()
    good = accuracy[accuracy >= min_accuracy].reset_index()[LEVEL]
    by_strength = q_by_strength(results).merge(good, on=LEVEL)
    table = results.modules.merge(kept[kept.trained][["network", *LEVEL, "seed"]], on="network")
    rows = []
    for key, group in by_strength.groupby(GRAPH, sort=False):
        rivals = group[group.regularizer.isin(WEIGHT_PENALTIES)]
        l2 = group[group.regularizer == "l2"]
        plain = l2.nsmallest(1, "strength").iloc[0]
        drop = group[group.regularizer == "dropout"].nlargest(1, "q").iloc[0]
        rival = rivals.nlargest(1, "q").iloc[0]
        values = table[(table[GRAPH] == pd.Series(key, index=GRAPH)).all(axis=1)]
        a, b = (
            values[(values.regularizer == level.regularizer) & (values.strength == level.strength)]
            .set_index("seed")
            .q
            for level in (drop, rival)
        )
        mean, low, high = interval((a - b).dropna().to_numpy())
        rows.append(
            (
                *key,
                plain.q,
                drop.q,
                drop.strength,
                rival.q,
                rival.regularizer,
                rival.strength,
                mean,
                low,
                high,
            )
        )
    columns = ["plain", "dropout", "dropout_at", "weights", "weights_by", "weights_at", "difference"]
    return pd.DataFrame(rows, columns=[*GRAPH, *columns, "low", "high"])


def matched_accuracy(results: Results) -> float:
    """Mean test accuracy of the least accurate level of dropout."""
    kept = kept_networks(results)
    levels = kept[kept.regularizer == "dropout"].groupby("strength").test_accuracy.mean()
    return float(levels.min())


def agreement_matrix(results: Results, metric: str = "ecs") -> pd.DataFrame:
    """Mean agreement of every two graphs over both layers and all networks, trained and untrained.

    Both orders of a pair and the diagonal (agreement with itself) are filled in.

    Parameters
    ----------
    metric
        A column of the agreement table: ``ecs``, ``ami``, ``ari``, ``rmi``, ``vi``, ``matching`` or
        ``rank_correlation``.
    """
    table = _agreement(results)
    means = table.groupby(["trained", *PAIR], sort=False)[metric].mean().reset_index()
    swapped = means.rename(
        columns={
            "measure_a": "measure_b",
            "measure_b": "measure_a",
            "normalized_a": "normalized_b",
            "normalized_b": "normalized_a",
        }
    )
    same = means[["trained", "measure_a", "normalized_a"]].drop_duplicates()
    missing = swapped[["trained", "measure_a", "normalized_a"]].drop_duplicates()
    same = pd.concat([same, missing]).drop_duplicates()
    same = same.assign(measure_b=same.measure_a, normalized_b=same.normalized_a)
    same[metric] = 0.0 if metric == "vi" else np.nan if metric == "rmi" else 1.0
    return pd.concat([means, swapped, same], ignore_index=True)


def family_agreement(results: Results, metric: str = "ecs", *, distinct: bool = False) -> pd.DataFrame:
    """Mean agreement within and across families by layer (0: both), trained or not, 95 % over seeds.

    Parameters
    ----------
    metric
        As for `agreement_matrix`.
    distinct
        Leave out the pairs of a measure with its own normalised form: two of the six within a family.
    """
    table = _agreement(results)
    if distinct:
        table = table[table.measure_a != table.measure_b]
    both = _summarise(table.assign(layer=0), ["trained", "layer", "family_pair"], metric)
    each = _summarise(table, ["trained", "layer", "family_pair"], metric)
    return pd.concat([both, each], ignore_index=True)


def _agreement(results: Results) -> pd.DataFrame:
    kept = kept_networks(results)[["network", "trained", *LEVEL, "seed"]]
    return results.agreement.merge(kept, on="network")


def against_paper(results: Results) -> pd.DataFrame:
    """Q beside the paper's, point by point: `q`, `q_paper`, `difference` (ours less theirs)."""
    ours = q_by_strength(results)
    theirs = published.q().rename(columns={"q": "q_paper"})
    for table in (ours, theirs):  # strengths are rounded to six digits on both sides
        table["level"] = [f"{s:.2g}" for s in table.strength]
    on = [*GRAPH, "regularizer", "level"]
    merged = ours.merge(theirs[[*on, "q_paper"]], on=on)
    return merged.assign(difference=merged.q - merged.q_paper).drop(columns="level")


def agreement_against_paper(results: Results) -> pd.DataFrame:
    """Element-centric similarity beside the paper's, one row a pair of different graphs."""
    ours = agreement_matrix(results).pivot_table(index=PAIR, columns="trained", values="ecs").reset_index()
    ours = ours.rename(columns={True: "trained", False: "untrained"})
    both = ours.merge(published.agreement(), on=PAIR)
    return both[(both.measure_a != both.measure_b) | (both.normalized_a != both.normalized_b)]


def has_like_for_like(profile: str) -> bool:
    """Whether the tables of the arXiv v1 protocol, the one that the paper's figures follow, are stored."""
    return store.is_stored(experiments.get("base-v1", profile))


def numbers(profile: str) -> dict[str, float | str]:
    """Every number that the prose of the book cites, by name; see the ``num`` role.

    Names of Q read ``q_<what>_<measure>_<layer>`` for raw graphs, with `what` one of plain (weakest L2),
    dropout and weights (the best level of each), weights_matched (among levels of matched accuracy) and
    untrained; agreement reads
    ``<metric>_<within or across>_<trained or untrained>``.
    """
    results = run("base", profile=profile)
    trained = results.networks[results.networks.trained]
    kept = kept_networks(results)
    strongest = trained[trained.regularizer == "dropout"].strength.max()
    found: dict[str, float | str] = {
        "profile": profile,
        "networks_trained": len(trained),
        "networks_untrained": int((~results.networks.trained).sum()),
        "networks_kept": int(kept.trained.sum()),
        "networks_dropped": len(trained) - int(kept.trained.sum()),
        "seeds": int(trained.seed.nunique()),
        "levels": len(trained[LEVEL].drop_duplicates()),
        "epochs_median": float(trained.epochs.median()),
        "accuracy_plain": _mean_accuracy(trained, "l2", trained[trained.regularizer == "l2"].strength.min()),
        "accuracy_strongest_dropout": _mean_accuracy(trained, "dropout", strongest),
        "dropout_strongest": float(strongest),
    }
    for stage, seconds in results.manifest["seconds"].items():
        found[f"minutes_{stage}"] = seconds / 60
    gain = gains(results)
    raw = gain[~gain.normalized]
    for row in raw.to_dict("records"):
        for what in ("plain", "dropout"):
            found[f"q_{what}_{row['measure']}_{row['layer']}"] = row[what]
    untrained = q_untrained(results)
    for row in untrained[~untrained.normalized].to_dict("records"):
        found[f"q_untrained_{row['measure']}_{row['layer']}"] = row["mean"]
    found["q_untrained_lowest"] = float(untrained["mean"].min())
    found["q_untrained_highest"] = float(untrained["mean"].max())
    found["graphs"] = len(gain)
    found["matched_accuracy"] = matched_accuracy(results)
    for suffix, contrast in (
        ("", gain),
        ("_matched", gains(results, min_accuracy=matched_accuracy(results))),
    ):
        found[f"graphs_dropout_wins{suffix}"] = int((contrast.low > 0).sum())
        found[f"graphs_weights_win{suffix}"] = int((contrast.high < 0).sum())
        found[f"graphs_undecided{suffix}"] = int(((contrast.low <= 0) & (contrast.high >= 0)).sum())
        found[f"gain_dropout_mean{suffix}"] = float((contrast.dropout - contrast.plain).mean())
        found[f"gain_weights_mean{suffix}"] = float((contrast.weights - contrast.plain).mean())
        for row in contrast[~contrast.normalized].to_dict("records"):
            found[f"q_weights{suffix}_{row['measure']}_{row['layer']}"] = row["weights"]
    for regularizer in WEIGHT_PENALTIES:
        level = kept[kept.regularizer == regularizer]
        strongest_kept = level.strength.max()
        found[f"strongest_{regularizer}"] = float(strongest_kept)
        found[f"accuracy_strongest_{regularizer}"] = _mean_accuracy(trained, regularizer, strongest_kept)
    for metric in ("ecs", "ami"):
        both = family_agreement(results, metric).query("layer == 0")
        for row in both.to_dict("records"):
            state = "trained" if row["trained"] else "untrained"
            key = f"{metric}_{row['family_pair']}_{state}"
            found[key], found[f"{key}_low"], found[f"{key}_high"] = row[metric], row["low"], row["high"]
        for row in family_agreement(results, metric, distinct=True).query("layer == 0").to_dict("records"):
            state = "trained" if row["trained"] else "untrained"
            found[f"{metric}_{row['family_pair']}_{state}_distinct"] = row[metric]
    found |= _paper_numbers(results)
    return found


def _mean_accuracy(trained: pd.DataFrame, regularizer: str, strength: float) -> float:
    level = trained[(trained.regularizer == regularizer) & np.isclose(trained.strength, strength)]
    return float(level.test_accuracy.mean())


def _paper_numbers(results: Results) -> dict[str, float | str]:
    """Numbers about the paper's figures and our distance from them (final protocol against their v1)."""
    table = published.agreement()
    pair = pd.Series("across", index=table.index)
    for name, members in (("upstream", UPSTREAM), ("downstream", DOWNSTREAM)):
        pair[table.measure_a.isin(members) & table.measure_b.isin(members)] = name
    different = (table.measure_a != table.measure_b) | (table.normalized_a != table.normalized_b)
    found: dict[str, float | str] = {}
    for name, group in table[different].groupby(pair[different]):
        for state in ("trained", "untrained"):
            values = group[f"ecs_{state}"]
            found[f"paper_ecs_{name}_{state}"] = float(values.mean())
            found[f"paper_ecs_{name}_{state}_low"] = float(values.min())
            found[f"paper_ecs_{name}_{state}_high"] = float(values.max())
    distance = against_paper(results).difference.abs()
    found["paper_points"] = len(distance)
    found["paper_q_difference_median"] = float(distance.median())
    found["paper_q_difference_95"] = float(distance.quantile(0.95))
    ecs = agreement_against_paper(results)
    for state in ("trained", "untrained"):
        found[f"paper_ecs_difference_{state}"] = float((ecs[state] - ecs[f"ecs_{state}"]).abs().mean())
    return found
