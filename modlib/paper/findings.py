"""Numbers of the chapters on the two findings, by key: on its way out, see `modlib.book.numbers`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from modlib.measures import DOWNSTREAM, UPSTREAM
from modlib.paper import contrasts, published
from modlib.paper.by_level import q_untrained
from modlib.paper.distance_from_paper import ecs_beside_paper, has_like_for_like, q_beside_paper
from modlib.paper.family_pairs import family_agreement
from modlib.study.accuracy_filter import LEVEL, WEIGHT_PENALTIES, kept_networks
from modlib.study.runner import run
from modlib.study.store import Results

LIKE_FOR_LIKE = [
    *(f"like_for_like_q_{what}" for what in ("points", "median", "95")),
    *(f"like_for_like_ecs_{what}" for what in ("trained", "untrained")),
    *(f"like_for_like_graphs_{won}_matched" for won in ("dropout_wins", "weights_win", "undecided")),
    *(f"like_for_like_graphs_{won}" for won in ("dropout_wins", "weights_win", "undecided")),
]


def numbers(profile: str) -> dict[str, float | str | None]:
    """Numbers that the prose of the book cites, by name; see the ``num`` role.

    Names of Q read ``q_<what>_<measure>_<layer>`` for raw graphs, with `what` one of plain (weakest L2),
    dropout and weights (the best level of each, held out: `modlib.paper.contrasts`), weights_matched (among
    levels of matched accuracy) and untrained; agreement reads ``<metric>_<within or across>_<trained or
    untrained>``. Those of `LIKE_FOR_LIKE` are None until the tables of the arXiv v1 protocol are stored.
    """
    results = run("base", profile=profile)
    trained = results.networks[results.networks.trained]
    kept = kept_networks(results)
    strongest = trained[trained.regularizer == "dropout"].strength.max()
    found: dict[str, float | str | None] = {
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
    untrained = q_untrained(results)
    for row in untrained[~untrained.normalized].to_dict("records"):
        found[f"q_untrained_{row['measure']}_{row['layer']}"] = row["mean"]
    found["q_untrained_lowest"] = float(untrained["mean"].min())
    found["q_untrained_highest"] = float(untrained["mean"].max())
    found |= _contrast_numbers(results)
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
    found |= dict.fromkeys(LIKE_FOR_LIKE)
    if has_like_for_like(profile):
        v1 = run("base-v1", profile=profile)
        both = contrasts.both_ways(v1)
        counts = [n for levels in contrasts.LEVELS_COMPARED for n in _score(both[both["levels"] == levels])]
        found |= dict(zip(LIKE_FOR_LIKE, (*_q_apart(v1), *_ecs_apart(v1), *counts), strict=True))
    return found


def _contrast_numbers(results: Results) -> dict[str, float | int]:
    """Dropout against L1 or L2, over all levels and (``_matched``) among those as accurate as dropout."""
    matched = contrasts.least_accurate_dropout(kept_networks(results))
    found: dict[str, float | int] = {"matched_accuracy": matched}
    both = contrasts.both_ways(results)
    for levels, suffix in zip(contrasts.LEVELS_COMPARED, ("_matched", ""), strict=True):
        table = both[both["levels"] == levels]
        found["graphs"] = len(table)
        for won, count in zip(("dropout_wins", "weights_win", "undecided"), _score(table), strict=True):
            found[f"graphs_{won}{suffix}"] = count
        found[f"gain_dropout_mean{suffix}"] = float(table.dropout_gain.mean())
        found[f"gain_weights_mean{suffix}"] = float(table.weights_gain.mean())
        for row in table[~table.normalized].to_dict("records"):
            graph = f"{row['measure']}_{row['layer']}"
            found[f"q_weights{suffix}_{graph}"] = row["weights"]
            if not suffix:
                found[f"q_plain_{graph}"], found[f"q_dropout_{graph}"] = row["plain"], row["dropout"]
    return found


def _score(table: pd.DataFrame) -> tuple[int, int, int]:
    """Graphs that dropout wins, that weight penalties win, and undecided ones, after Holm's correction."""
    clear = table.p_holm <= contrasts.SIGNIFICANT
    won, lost = (int((clear & side).sum()) for side in (table.difference > 0, table.difference < 0))
    return won, lost, len(table) - won - lost


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
    names = ("paper_points", "paper_q_difference_median", "paper_q_difference_95")
    found |= dict(zip(names, _q_apart(results), strict=True))
    for state, apart in zip(("trained", "untrained"), _ecs_apart(results), strict=True):
        found[f"paper_ecs_difference_{state}"] = apart
    return found


def _q_apart(results: Results) -> tuple[int, float, float]:
    """Points that the paper's figures share with ours, and how far they lie apart: median and 95 %."""
    distance = q_beside_paper(results).difference.abs()
    return len(distance), float(distance.median()), float(distance.quantile(0.95))


def _ecs_apart(results: Results) -> tuple[float, float]:
    """How far element-centric similarities lie from the paper's on average, trained and untrained."""
    table = ecs_beside_paper(results)
    trained, untrained = (
        float((table[s] - table[f"ecs_{s}"]).abs().mean()) for s in ("trained", "untrained")
    )
    return trained, untrained
