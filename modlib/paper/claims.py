"""The paper's claims, each with the function that tests it and the experiments in which it is tested.

Statistics, thresholds, margins and the rule (`modlib.paper.verdicts`) were fixed before the outcome of any
was computed, though not in ignorance: the experiment `base` had been described in the book's chapters on the
two findings, and results of trial runs of its grid by both protocols were known. Three things changed before
the tables of the other experiments were judged, none for its outcome. Intervals of the best of several levels
are those of the bootstrap, after simulations (`modlib.paper.simulations.coverage`) showed those by Student's
t to be too short. The rule asks in another order (`modlib.paper.verdicts`), which left all verdicts on `base`
as they were. And the claim on shuffled labels was added, before its tables of the paper profile existed.

Three more changed after all verdicts were known, when a review found the claims too kind. Choices now include
all levels of L1 and L2 and the graphs of one family, which averages over all graphs had hidden. The
similarity null counts by how much trained networks exceed it beyond what untrained networks do. And trained
networks are compared with untrained ones of other seeds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from modlib.measures import UPSTREAM
from modlib.paper import contrasts, evidence, family_pairs, reported
from modlib.paper.evidence import Case, Item, by_seed
from modlib.paper.graph_names import graph_key, graph_name, of_graph
from modlib.stats.intervals import difference, mean
from modlib.stats.selection import difference_of_best
from modlib.study.accuracy_filter import GRAPH, LEVEL, WEIGHT_PENALTIES, with_levels

TESTED_IN = ("base", "base-v1", "wide", "deep", "fashion")
CLOSE_UP = "close-up"  # some of the settings of base, analysed in more ways
TRUE_LABELS, SHUFFLED_LABELS = "labels-kept", "labels-shuffled"
#: What stands in the column `experiment` for claims about several experiments together.
TOGETHER = (ELSEWHERE, BOTH_LABELS) = ("elsewhere", "labels")

#: Largest rise of downstream agreement that counts as none: a tenth of the paper's own value, rounded.
DOWNSTREAM_MARGIN = 0.05
MODULES_MARGIN = 1.0  # largest change in the number of modules that counts as none
ACCURACY_MARGIN = 0.05  # loss of test accuracy up to which a network still counts as accurate
#: Kinds of choices of `modlib.paper.multiverse` that leave the partitions as they are, and the other kinds.
SAME_PARTITIONS = ("metric", "levels", "accuracy filter", "graphs", "graphs of all levels", "layer")
OWN_PARTITIONS = ("images", "optimiser")
#: Choices of graphs under which the findings are tested in other experiments, beside all of them.
ELSEWHERE_GRAPHS = ("upstream only", "downstream only", "no measure with itself")

_FINDING_1 = "its first finding: dropout raises modularity strongly, weight penalties only modestly"
_FINDING_2 = "its second finding: partitions agree within a family but hardly across families"
_AGREEMENT_FIGURE = "its figure of agreement, trained beside untrained"
_CLUSTERS = "its number of clusters, the exponential of the entropy of their sizes"

Test = Callable[[Case], Iterator[Item]]


@dataclass(frozen=True)
class Claim:
    """A claim and how it is tested."""

    id: str  # short name, as in the tables
    statement: str  # what is claimed, in words
    where: str  # where Lange et al. (2022) make it
    statistic: str  # what is computed, in words
    test: Test  # yields the items of the claim in an experiment
    experiments: tuple[str, ...]  # where it is tested: names of experiments, or one of `TOGETHER`
    of_paper: bool  # whether the paper makes it, in words or in a figure; the others are ours


#: Every claim, in the order of this file.
CLAIMS: list[Claim] = []


def claim(
    statement: str,
    where: str,
    statistic: str,
    *,
    experiments: tuple[str, ...] = TESTED_IN,
    of_paper: bool = True,
) -> Callable[[Test], Test]:
    """Register the function below as the test of a claim; its name, with hyphens, is the claim's."""

    def register(test: Test) -> Test:
        test.__doc__ = f"{statement}\n\n{statistic}"
        name = test.__name__.replace("_", "-")
        CLAIMS.append(Claim(name, statement, where, statistic, test, experiments, of_paper))
        return test

    return register


@claim(
    "Dropout raises Q.",
    _FINDING_1,
    "Q at the level of dropout that is best on the other seeds, less Q at the weakest L2, seed by seed.",
)
def dropout_raises_q(case: Case) -> Iterator[Item]:
    for graph in contrasts.levels(case.results.modules, case.trained):
        found = difference_of_best([(graph.dropout, graph.plain)])
        yield Item(graph_name(*graph.key), found, paper=case.in_paper(reported.dropout_gain, *graph.key))


@claim(
    "L1 and L2 raise Q less than dropout does, among networks that are as accurate.",
    _FINDING_1,
    "Q at the best level of dropout less Q at the best level of L1 or L2, both best on the other seeds; "
    "among levels at least as accurate as the least accurate dropout.",
)
def weights_raise_less(case: Case) -> Iterator[Item]:
    yield from _dropout_less_weights(case, matched=True)


@claim(
    "L1 and L2 raise Q less than dropout does, at whatever accuracy.",
    _FINDING_1,
    "The same over all levels that pass the accuracy filter.",
)
def weights_raise_less_anywhere(case: Case) -> Iterator[Item]:
    yield from _dropout_less_weights(case, matched=False)


def _dropout_less_weights(case: Case, *, matched: bool) -> Iterator[Item]:
    least = contrasts.least_accurate_dropout(case.trained) if matched else 0.0
    for graph in contrasts.levels(case.results.modules, case.trained, min_accuracy=least):
        paper = case.in_paper(reported.dropout_less_weights, *graph.key, matched=matched)
        found = difference_of_best([(graph.dropout, graph.weights)])
        yield Item(graph_name(*graph.key), found, paper=paper)


@claim(
    "Partitions by measures of one family agree well.",
    _FINDING_2,
    "Mean element-centric similarity within a family, against the midpoint between the paper's mean "
    "across families and its lowest value within one.",
)
def within_families_high(case: Case) -> Iterator[Item]:
    yield from evidence.agreement_of(case, ("upstream", "downstream"), "above")


@claim(
    "Partitions by measures of different families agree little.",
    _FINDING_2,
    "Mean element-centric similarity across families, against the same midpoint.",
)
def across_families_low(case: Case) -> Iterator[Item]:
    yield from evidence.agreement_of(case, ("across",), "below")


@claim(
    "Agreement across families is low, but above chance.",
    f"{_AGREEMENT_FIGURE}; not in its abstract",
    "Mean adjusted mutual information and mean adjusted Rand index across families, dead units left out.",
    of_paper=False,
)
def across_above_chance(case: Case) -> Iterator[Item]:
    for metric in ("ami", "ari"):
        seeds = family_pairs.families_by_seed(case.results.agreement, case.trained, metric)
        for layer, group in seeds.groupby("layer"):
            yield Item(f"across, {metric.upper()}, layer {layer}", mean(group.across.to_numpy()))


@claim(
    "Training raises agreement within upstream.",
    _AGREEMENT_FIGURE,
    "Mean element-centric similarity within upstream, trained less untrained networks (Welch).",
)
def training_raises_upstream(case: Case) -> Iterator[Item]:
    yield from evidence.raised_by_training(case, "upstream", "above", 0.0)


@claim(
    "Training does not raise agreement within downstream.",
    f"{_AGREEMENT_FIGURE}; not in its abstract",
    "Mean element-centric similarity within downstream, trained less untrained networks (Welch): no more "
    "than a margin of a tenth of the paper's own value.",
    of_paper=False,
)
def training_leaves_downstream(case: Case) -> Iterator[Item]:
    yield from evidence.raised_by_training(case, "downstream", "not above", DOWNSTREAM_MARGIN)


@claim(
    "Dropout keeps the number of modules.",
    _CLUSTERS,
    "Effective number of modules at the strongest dropout less that at the weakest L2: within one.",
)
def dropout_keeps_modules(case: Case) -> Iterator[Item]:
    for key, values in evidence.modules_lost(case, "dropout"):
        yield Item(graph_name(*key), mean(values), "within", MODULES_MARGIN)


@claim(
    "Strong L1 and L2 leave fewer upstream modules.",
    _CLUSTERS,
    "Effective number of modules at the strongest L1, and L2, that passes the filter, less that at the "
    "weakest L2; upstream graphs.",
)
def strong_penalties_shrink_upstream(case: Case) -> Iterator[Item]:
    for penalty in WEIGHT_PENALTIES:
        for key, values in evidence.modules_lost(case, penalty):
            if key[1] in UPSTREAM:
                yield Item(f"{penalty.upper()}, {graph_name(*key)}", mean(values), "below")


@claim(
    "Networks stay accurate where dropout makes them most modular.",
    "its figure of test accuracy",
    "Test accuracy at the weakest L2 less that at the strongest dropout: below .05.",
)
def accurate_where_modular(case: Case) -> Iterator[Item]:
    # No network is filtered out here: the filter goes by the accuracy, which is what is asked about.
    trained = case.results.networks[case.results.networks.trained]
    strength = trained[trained.regularizer == "dropout"].strength.max()
    if np.isnan(strength):
        return
    wide = trained.pivot_table(index="seed", columns=LEVEL, values="test_accuracy")
    loss = (wide[contrasts.weakest_l2(trained)] - wide["dropout", strength]).to_numpy(dtype=float)
    found, paper = mean(loss, null=ACCURACY_MARGIN), case.in_paper(reported.accuracy_loss)
    yield Item(f"dropout {strength:g}", found, "below", ACCURACY_MARGIN, paper)


@claim(
    "Both findings, on average over graphs and layers, survive the choice of metric, optimiser, filter, "
    "levels, graphs, layer and number of images.",
    "both findings, under choices that it made one way",
    "Both effects, means over graphs and layers, with one analysis choice changed at a time (and levels "
    "together with graphs): best dropout less best L1 or L2, and agreement within less across families.",
    experiments=("base", CLOSE_UP),
    of_paper=False,
)
def survives_choices(case: Case) -> Iterator[Item]:
    # Tables with rows in `choices` are asked about those choices only, beside the default: their networks
    # are some of those of base, which answers for the others.
    own = len(case.results.choices) > 0
    kinds = ("default", *(OWN_PARTITIONS if own else SAME_PARTITIONS))
    for item in evidence.under_choices(case, kinds):
        yield replace(item, paper=np.nan) if own else item  # the paper's figures show all levels


@claim(
    "Both findings, on average over graphs and layers, hold by another protocol, at other widths, depths "
    "and on other data.",
    "both findings; its experiments with other widths and depths (Fashion-MNIST is ours)",
    "Both effects, means over graphs and layers, in each experiment: at matched accuracy and over all "
    "levels, upstream and downstream by themselves, and agreement without that of a measure with itself.",
    experiments=(ELSEWHERE,),
)
def holds_elsewhere(case: Case) -> Iterator[Item]:
    asked = ("default", "levels: all", *(f"graphs: {choice}" for choice in ELSEWHERE_GRAPHS))
    for name in TESTED_IN[1:]:
        if name not in case.tables:
            yield evidence.no_data(f"{name}; no tables")
            continue
        there = replace(case, experiment=name)
        for item in evidence.under_choices(there, ("default", "levels", "graphs")):
            if item.label.split("; ")[0] in asked:
                yield replace(item, label=f"{name}; {item.label}")


@claim(
    "Q is larger than what the same search finds in networks and graphs made without modules.",
    "its figure of Q, trained beside untrained networks; the other nulls are asked here",
    "Q less that of untrained networks; Q less the mean of permuted weights; and Q less the mean of the "
    "similarity null, beyond what that is in untrained networks. At the weakest L2 and at the strongest "
    "dropout held against nulls.",
    experiments=tuple(evidence.UNTRAINED_BESIDE),
    of_paper=False,
)
def more_than_nulls(case: Case) -> Iterator[Item]:
    # Untrained networks are a null themselves. They exceed the similarity null too, since their dimensions
    # are as unequal as any layer's: what counts is how much farther from it trained networks are.
    untrained = case.untrained
    if untrained is None or case.results.nulls.empty or untrained.nulls.empty:
        return
    others = family_pairs.other_seeds(untrained.networks, case.trained)[["network"]]
    levels = case.trained[["network", *LEVEL, "seed"]]
    sides = ((case.results, levels), (untrained, others))
    q, q_before = (results.modules.merge(networks, on="network") for results, networks in sides)
    nulls, nulls_before = (
        results.nulls.assign(excess=results.nulls.q - results.nulls["mean"]).merge(networks, on="network")
        for results, networks in sides
    )
    for name, level in evidence.plain_and_strongest_dropout(nulls).items():
        for key, group in q[evidence.at_level(q, level)].groupby(GRAPH):
            before = of_graph(q_before, key).q.to_numpy(dtype=float)
            paper = case.in_paper(reported.excess_over_untrained, level, *graph_key(key))
            label = f"{name}, untrained, {graph_name(*graph_key(key))}"
            yield Item(label, difference(by_seed(group, "q"), before), paper=paper)
        for (null, *graph), group in nulls[evidence.at_level(nulls, level)].groupby(["null", *GRAPH]):
            excess = by_seed(group, "excess")
            before = of_graph(nulls_before[nulls_before.null == null], graph).excess.to_numpy(dtype=float)
            found = difference(excess, before) if null == "similarity" else mean(excess)
            yield Item(f"{name}, {null}, {graph_name(*graph_key(graph))}", found)


@claim(
    "Q is larger where labels can be learnt than where they must be memorised.",
    "not a claim of the paper; asked here",
    "Q of networks trained on true labels less Q of those trained on the same images with shuffled "
    "labels, at the weakest L2 and at the strongest dropout, seed by seed.",
    experiments=(BOTH_LABELS,),
    of_paper=False,
)
def more_with_a_task(case: Case) -> Iterator[Item]:
    # Networks of both kinds see the same images in the same order from the same start. There is no filter:
    # nothing can be learnt from shuffled labels that a test would show.
    if missing := [name for name in (TRUE_LABELS, SHUFFLED_LABELS) if name not in case.tables]:
        yield evidence.no_data(f"no tables of {' and '.join(missing)}")
        return
    both = (case.tables[name] for name in (TRUE_LABELS, SHUFFLED_LABELS))
    rows = (with_levels(results.modules, results.networks.query("trained")) for results in both)
    true, shuffled = (table.groupby([*GRAPH, *LEVEL, "seed"]).q.mean() for table in rows)
    table = (true - shuffled).dropna().rename("more").reset_index()
    for name, level in evidence.plain_and_strongest_dropout(table).items():
        for key, group in table[evidence.at_level(table, level)].groupby(GRAPH):
            yield Item(f"{name}, {graph_name(*graph_key(key))}", mean(group.more.to_numpy(dtype=float)))
