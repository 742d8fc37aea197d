"""The paper's claims, each with the statistic that tests it and the experiments in which it is tested.

Statistics, thresholds, margins (`modlib.paper.evidence`) and the rule (`modlib.paper.verdicts`) were fixed
before the outcome of any was computed, though not in ignorance: the experiment `base` had been described in
the book's chapters on the two findings, and trial runs of its grid by both protocols had been looked at.
Three things changed before the tables of the other experiments were judged, none for its outcome: intervals
of the best of several levels are those of the bootstrap, after simulations
(`modlib.paper.simulations.coverage`) showed those by Student's t to be too short; the rule asks in another
order (`modlib.paper.verdicts`), which left all verdicts on `base` as they were; and the claim on shuffled
labels was added, before its tables of the paper profile were there.

Three more changed after all verdicts were known, when a review found the claims too kind: choices now include
all levels of L1 and L2 and the graphs of one family, which averages over all graphs had hidden; the
similarity null counts beyond what untrained networks exceed it by; and trained networks are compared with
untrained ones of other seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from modlib.paper import evidence, reported, verdicts
from modlib.paper.evidence import Item
from modlib.stats.intervals import Estimate
from modlib.study import catalogue, store
from modlib.study.store import Results

EXPERIMENTS = ("base", "base-v1", "wide", "deep", "fashion")
CLOSE_UP = "close-up"  # some of base's settings, looked at in more ways
#: Untrained networks held against nulls, of the same shape and on the same images as an experiment.
UNTRAINED = {CLOSE_UP: "untrained", "base-v1": "untrained", "fashion": "untrained-fashion"}
SHUFFLED, KEPT = "labels-shuffled", "labels-kept"
# What stands in the column `experiment` for claims about several experiments together.
ELSEWHERE = "elsewhere"
LABELS = "labels"
COLUMNS = [
    "claim", "experiment", "item", "value", "low", "high", "n", "p", "p_holm", "paper", "direction",
    "threshold", "outcome",
]  # fmt: skip
_FINDING_1 = "its first finding: dropout raises modularity strongly, weight penalties only modestly"
_FINDING_2 = "its second finding: partitions agree within a family but hardly across families"


@dataclass(frozen=True)
class Claim:
    """A claim and how it is tested.

    Attributes
    ----------
    id
        Short name, as in the tables.
    statement, where, statistic
        In words: what is claimed, where Lange et al. (2022) make it, what is computed.
    items
        From an experiment's tables, and whether the paper's figures are of that experiment, to items.
    beside_untrained
        Instead: from an experiment's tables, those of its untrained networks (`UNTRAINED`), and whether the
        paper's figures are of that experiment, to items.
    experiments
        Where it is tested, one by one; or the name under which it is tested on several together.
    together
        Instead: from the tables of all experiments by name to items, for a claim about several.
    of_paper
        Whether the paper makes it, in words or in a figure; the others are ours.
    """

    id: str
    statement: str
    where: str
    statistic: str
    items: Callable[[Results, bool], Iterator[Item]] | None
    experiments: tuple[str, ...] = EXPERIMENTS
    together: Callable[[Mapping[str, Results]], Iterator[Item]] | None = None
    beside_untrained: Callable[[Results, Results, bool], Iterator[Item]] | None = None
    of_paper: bool = True


def _holds_elsewhere(results: Mapping[str, Results]) -> Iterator[Item]:
    for name in EXPERIMENTS[1:]:
        if name in results:
            for item in evidence.holds_elsewhere(results[name], name in reported.LIKE_THE_FIGURES):
                yield replace(item, label=f"{name}; {item.label}")
        else:
            yield _no_data(f"{name}; no tables")


def _more_with_a_task(results: Mapping[str, Results]) -> Iterator[Item]:
    missing = [name for name in (KEPT, SHUFFLED) if name not in results]
    if missing:
        yield _no_data(f"no tables of {' and '.join(missing)}")
    else:
        yield from evidence.more_with_a_task(results[KEPT], results[SHUFFLED])


CLAIMS = (
    Claim(
        "dropout-raises-q",
        "Dropout raises Q.",
        _FINDING_1,
        "Q at the level of dropout that is best on the other seeds, less Q at the weakest L2, seed by seed.",
        evidence.dropout_raises_q,
    ),
    Claim(
        "weights-raise-less",
        "L1 and L2 raise Q less than dropout does, among networks that are as accurate.",
        _FINDING_1,
        "Q at the best level of dropout less Q at the best level of L1 or L2, both best on the other seeds; "
        "among levels at least as accurate as the least accurate dropout.",
        evidence.weights_raise_less,
    ),
    Claim(
        "weights-raise-less-anywhere",
        "L1 and L2 raise Q less than dropout does, at whatever accuracy.",
        _FINDING_1,
        "The same over all levels that pass the accuracy filter.",
        evidence.weights_raise_less_anywhere,
    ),
    Claim(
        "within-families-high",
        "Partitions by measures of one family agree well.",
        _FINDING_2,
        "Mean element-centric similarity within a family, against the midpoint between the paper's mean "
        "across families and its lowest value within one.",
        evidence.within_families_high,
    ),
    Claim(
        "across-families-low",
        "Partitions by measures of different families agree little.",
        _FINDING_2,
        "Mean element-centric similarity across families, against the same midpoint.",
        evidence.across_families_low,
    ),
    Claim(
        "across-above-chance",
        "Agreement across families is low, but above chance.",
        "its figure of agreement, trained beside untrained; not in its abstract",
        "Mean adjusted mutual information and mean adjusted Rand index across families, dead units left out.",
        evidence.across_above_chance,
        of_paper=False,
    ),
    Claim(
        "training-raises-upstream",
        "Training raises agreement within upstream.",
        "its figure of agreement, trained beside untrained",
        "Mean element-centric similarity within upstream, trained less untrained networks (Welch).",
        evidence.training_raises_upstream,
    ),
    Claim(
        "training-leaves-downstream",
        "Training does not raise agreement within downstream.",
        "its figure of agreement, trained beside untrained; not in its abstract",
        "Mean element-centric similarity within downstream, trained less untrained networks (Welch): no more "
        "than a margin of a tenth of the paper's own value.",
        evidence.training_leaves_downstream,
        of_paper=False,
    ),
    Claim(
        "dropout-keeps-modules",
        "Dropout keeps the number of modules.",
        "its number of clusters, the exponential of the entropy of their sizes",
        "Effective number of modules at the strongest dropout less that at the weakest L2: within one.",
        evidence.dropout_keeps_modules,
    ),
    Claim(
        "strong-penalties-shrink-upstream",
        "Strong L1 and L2 leave fewer upstream modules.",
        "its number of clusters, the exponential of the entropy of their sizes",
        "Effective number of modules at the strongest L1, and L2, that passes the filter, less that at the "
        "weakest L2; upstream graphs.",
        evidence.strong_penalties_shrink_upstream,
    ),
    Claim(
        "accurate-where-modular",
        "Networks stay accurate where dropout makes them most modular.",
        "its figure of test accuracy",
        "Test accuracy at the weakest L2 less that at the strongest dropout: below .05.",
        evidence.accurate_where_modular,
    ),
    Claim(
        "survives-choices",
        "Both findings, on average over graphs and layers, survive the choice of metric, optimiser, filter, "
        "levels, graphs, layer and number of images.",
        "both findings, under choices that it made one way",
        "Both effects, means over graphs and layers, with one analysis choice changed at a time (and levels "
        "together with graphs): best dropout less best L1 or L2, and agreement within less across families.",
        evidence.survives_choices,
        ("base", CLOSE_UP),
        of_paper=False,
    ),
    Claim(
        "holds-elsewhere",
        "Both findings, on average over graphs and layers, hold by another protocol, at other widths, depths "
        "and on other data.",
        "both findings; its experiments with other widths and depths (Fashion-MNIST is ours)",
        "Both effects, means over graphs and layers, in each experiment: at matched accuracy and over all "
        "levels, upstream and downstream by themselves, and agreement without that of a measure with itself.",
        None,
        (ELSEWHERE,),
        _holds_elsewhere,
    ),
    Claim(
        "more-than-nulls",
        "Q is larger than what the same search finds in networks and graphs made without modules.",
        "its figure of Q, trained beside untrained networks; the other nulls are asked here",
        "Q less that of untrained networks; Q less the mean of permuted weights; and Q less the mean of the "
        "similarity null, beyond what that is in untrained networks. At the weakest L2 and at the strongest "
        "dropout held against nulls.",
        None,
        tuple(UNTRAINED),
        of_paper=False,
        beside_untrained=evidence.more_than_nulls,
    ),
    Claim(
        "more-with-a-task",
        "Q is larger where labels can be learnt than where they must be memorised.",
        "not a claim of the paper; asked here",
        "Q of networks trained on true labels less Q of those trained on the same images with shuffled "
        "labels, at the weakest L2 and at the strongest dropout, seed by seed.",
        None,
        (LABELS,),
        _more_with_a_task,
        of_paper=False,
    ),
)


def table(profile: str) -> pd.DataFrame:
    """All items of all claims in the experiments whose tables are stored; none is computed.

    Parameters
    ----------
    profile
        ``"quick"`` or ``"paper"``.

    Returns
    -------
    DataFrame
        One row an item: `claim`, `experiment`, `item`; `value` with its 95 % interval `low` to `high`, `n`
        seeds, `p` (two-sided, against the threshold; nan where only the interval is judged) and `p_holm`;
        `paper`, the same statistic from the paper's figures, nan if they do not give it; `direction`,
        `threshold` and `outcome` as in `modlib.paper.verdicts.judge`.

    Raises
    ------
    ValueError
        If there is no such profile.
    StoreError
        If stored tables are damaged.
    """
    results = stored(profile)
    state = tuple(
        (name, found.manifest["digest"], str(found.manifest["files"])) for name, found in results.items()
    )
    if state not in _JUDGED:
        _JUDGED.clear()
        _JUDGED[state] = items(results)
    return _JUDGED[state].copy()


#: The table asked for last, by what it was computed from: it takes seconds, and callers ask for the same.
_JUDGED: dict[tuple[tuple[str, str, str], ...], pd.DataFrame] = {}


def stored(profile: str) -> dict[str, Results]:
    """Tables of the experiments that claims are tested in, by name, as far as they are stored."""
    names = (*EXPERIMENTS, CLOSE_UP, *dict.fromkeys(UNTRAINED.values()), KEPT, SHUFFLED)
    found = {name: store.read_if_stored(catalogue.get(name, profile)) for name in names}
    return {name: results for name, results in found.items() if results is not None}


def items(results: Mapping[str, Results]) -> pd.DataFrame:
    """Judge the items of all claims, from the tables of experiments by name; columns as for `table`."""
    rows = []
    for claim in CLAIMS:
        for name in claim.experiments:
            rows += _rows(claim, name, _found(claim, name, results))
    raw = [column for column in COLUMNS if column not in ("p_holm", "outcome")]
    return verdicts.judge(pd.DataFrame(rows, columns=raw))[COLUMNS]


def _found(claim: Claim, name: str, results: Mapping[str, Results]) -> list[Item]:
    """Items of a claim in an experiment; none where its tables are not stored."""
    like_paper = name in reported.LIKE_THE_FIGURES
    if claim.together is not None:
        return list(claim.together(results)) if results else []
    if name not in results:
        return []
    if claim.items is not None:
        found = list(claim.items(results[name], like_paper))
    elif claim.beside_untrained is not None and UNTRAINED[name] in results:
        found = list(claim.beside_untrained(results[name], results[UNTRAINED[name]], like_paper))
    else:
        found = []
    return found or [_no_data("no rows in the tables")]


def _no_data(label: str) -> Item:
    return Item(label, Estimate(**dict.fromkeys(("value", "low", "high", "p", "effect"), np.nan), n=0))


def _rows(claim: Claim, experiment: str, found: Iterable[Item]) -> list[dict[str, object]]:
    return [
        {
            "claim": claim.id,
            "experiment": experiment,
            "item": item.label,
            "value": item.estimate.value,
            "low": item.estimate.low,
            "high": item.estimate.high,
            "n": item.estimate.n,
            "p": item.estimate.p if item.direction in ("above", "below") else float("nan"),
            "paper": item.paper,
            "direction": item.direction,
            "threshold": item.threshold,
        }
        for item in found
    ]
