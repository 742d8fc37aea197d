"""The claims, each one effect with the function that tests it and the experiments in which it is tested.

Statistics, margins, levels and the rule (`modlib.paper.verdicts`) were written down before the networks of
the new seeds were trained (``book/plan.md``), and after those of the old seeds had been seen. So on old seeds
the verdicts are a summary by a fixed rule, and on new seeds a test.

Effects are stated by family of measures, as means over its graphs and over layers. Layers and graphs of one
network are not independent, so counting how many of them show an effect would count the same evidence many
times; what single graphs do is shown, and decides nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from modlib.measures import FAMILIES, MEASURES
from modlib.paper import contrasts, evidence, family_pairs, multiverse, reported
from modlib.paper.contrasts import LEVELS_COMPARED
from modlib.paper.evidence import Case, Item
from modlib.paper.new_seeds import NEW_SEEDS
from modlib.stats.intervals import difference, mean
from modlib.study.accuracy_filter import LEVEL, WEIGHT_PENALTIES, with_levels

MATCHED, ANYWHERE = LEVELS_COMPARED
TESTED_IN = ("base", "base-v1", "wide", "deep", "fashion")
ON_NEW_SEEDS = tuple(NEW_SEEDS.values())
EVERYWHERE = TESTED_IN + ON_NEW_SEEDS
CLOSE_UP = "close-up"  # some of the settings of base, analysed in more ways
TRUE_LABELS, SHUFFLED_LABELS = "labels-kept", "labels-shuffled"
BOTH_LABELS = "labels"  #: What stands in the column `experiment` for the claim about both of them.

#: Lead of dropout downstream that counts as none, in Q: an eighth to a fifth of its lead upstream.
LEAD_MARGIN = 0.025
#: Largest rise of downstream agreement that counts as none: a tenth of the paper's own value, rounded.
DOWNSTREAM_MARGIN = 0.05
MODULES_MARGIN = 1.0  # largest change in the number of modules that counts as none
ACCURACY_MARGIN = 0.05  # loss of test accuracy up to which a network still counts as accurate
#: Kinds of choices of `modlib.paper.multiverse` that leave the partitions as they are, and the other kinds.
SAME_PARTITIONS = ("metric", "levels", "accuracy filter", "graphs", "graphs of all levels", "layer")
OWN_PARTITIONS = ("images", "optimiser")

_FINDING_1 = "its first finding: dropout raises modularity strongly, weight penalties only modestly"
_FINDING_2 = "its second finding: partitions agree within a family but hardly across families"
_AGREEMENT_FIGURE = "its figure of agreement, trained beside untrained"
_CLUSTERS = "its number of clusters, the exponential of the entropy of their sizes"
_OURS = "not a claim of the paper; asked here"

#: The claims that the book's two findings rest on, which the plan (``book/plan.md``) puts first.
PRIMARY = (
    "dropout-leads-upstream",
    "level-downstream",
    "lead-is-upstream",
    "upstream-agrees-within",
    "downstream-agrees-within",
    "across-below-half",
)

Test = Callable[[Case], Iterator[Item]]


@dataclass(frozen=True)
class Claim:
    """A claim and how it is tested."""

    id: str  # short name, as in the tables
    statement: str  # what is claimed, in words
    where: str  # where Lange et al. (2022) make it
    statistic: str  # what is computed, in words
    test: Test  # yields the items of the claim in an experiment
    experiments: tuple[str, ...]  # where it is tested: names of experiments, or `BOTH_LABELS`
    of_paper: bool  # whether the paper makes it, in words or in a figure; the others are ours


#: Every claim, in the order of this file.
CLAIMS: list[Claim] = []


def claim(
    statement: str,
    where: str,
    statistic: str,
    *,
    experiments: tuple[str, ...] = EVERYWHERE,
    of_paper: bool = True,
) -> Callable[[Test], Test]:
    """Register the function below as the test of a claim; its name, with hyphens, is the claim's."""

    def register(test: Test) -> Test:
        test.__doc__ = f"{statement}\n\n{statistic}"
        name = test.__name__.replace("_", "-")
        CLAIMS.append(Claim(name, statement, where, statistic, test, experiments, of_paper))
        return test

    return register


# --- modularity


@claim(
    "Dropout raises Q upstream.",
    _FINDING_1,
    "Q at the best level of dropout less Q at the weakest L2, mean over upstream graphs.",
)
def dropout_raises_upstream(case: Case) -> Iterator[Item]:
    item = _lead(case, "dropout", "plain", "upstream", ANYWHERE)
    yield replace(item, paper=case.in_paper(reported.dropout_gain, "upstream"))


@claim(
    "Dropout raises Q downstream.",
    _FINDING_1,
    "The same, mean over downstream graphs.",
)
def dropout_raises_downstream(case: Case) -> Iterator[Item]:
    item = _lead(case, "dropout", "plain", "downstream", ANYWHERE)
    yield replace(item, paper=case.in_paper(reported.dropout_gain, "downstream"))


@claim(
    "L1 and L2 raise Q upstream.",
    _FINDING_1,
    "Q at the best level of L1 or L2 less Q at the weakest L2, mean over upstream graphs.",
)
def penalties_raise_upstream(case: Case) -> Iterator[Item]:
    item = _lead(case, "weights", "plain", "upstream", ANYWHERE)
    yield replace(item, paper=case.in_paper(reported.penalty_gain, "upstream"))


@claim(
    "L1 and L2 raise Q downstream.",
    _FINDING_1,
    "The same, mean over downstream graphs.",
)
def penalties_raise_downstream(case: Case) -> Iterator[Item]:
    item = _lead(case, "weights", "plain", "downstream", ANYWHERE)
    yield replace(item, paper=case.in_paper(reported.penalty_gain, "downstream"))


@claim(
    "Upstream, dropout raises Q more than L1 and L2 do, among networks that are as accurate.",
    _FINDING_1,
    "Q at the best level of dropout less Q at the best level of L1 or L2, mean over upstream graphs, among "
    "levels at least as accurate as the least accurate dropout.",
)
def dropout_leads_upstream(case: Case) -> Iterator[Item]:
    yield _lead_over_penalties(case, "upstream", MATCHED)


@claim(
    "Downstream, dropout raises Q more than L1 and L2 do, among networks that are as accurate.",
    _FINDING_1,
    "The same, mean over downstream graphs.",
)
def dropout_leads_downstream(case: Case) -> Iterator[Item]:
    yield _lead_over_penalties(case, "downstream", MATCHED)


@claim(
    "Downstream, dropout and the best penalty are level, among networks that are as accurate.",
    _OURS,
    f"The same, within ±{LEAD_MARGIN}.",
    of_paper=False,
)
def level_downstream(case: Case) -> Iterator[Item]:
    item = _lead_over_penalties(case, "downstream", MATCHED)
    yield replace(item, direction="within", threshold=LEAD_MARGIN)


@claim(
    "Dropout's lead is larger upstream than downstream.",
    _OURS,
    "Lead over the best penalty at matched accuracy, upstream less downstream, from the same seeds.",
    of_paper=False,
)
def lead_is_upstream(case: Case) -> Iterator[Item]:
    found = contrasts.lead_upstream_less_downstream(case.graphs[MATCHED])
    upstream, downstream = (case.in_paper(reported.dropout_lead, family, matched=True) for family in FAMILIES)
    yield Item("upstream less downstream", found, paper=upstream - downstream)


@claim(
    "Upstream, dropout raises Q more than L1 and L2 do, at whatever accuracy.",
    _FINDING_1,
    "Q at the best level of dropout less Q at the best level of L1 or L2, mean over upstream graphs, among "
    "all levels that pass the accuracy filter.",
)
def dropout_leads_upstream_anywhere(case: Case) -> Iterator[Item]:
    yield _lead_over_penalties(case, "upstream", ANYWHERE)


@claim(
    "Downstream, dropout raises Q more than L1 and L2 do, at whatever accuracy.",
    _FINDING_1,
    "The same, mean over downstream graphs.",
)
def dropout_leads_downstream_anywhere(case: Case) -> Iterator[Item]:
    yield _lead_over_penalties(case, "downstream", ANYWHERE)


def _lead_over_penalties(case: Case, family: str, compared: str) -> Item:
    item = _lead(case, "dropout", "weights", family, compared)
    return replace(item, paper=case.in_paper(reported.dropout_lead, family, matched=compared == MATCHED))


def _lead(case: Case, of: str, over: str, family: str, compared: str) -> Item:
    """Lead of one side over another in a family, named by it and by how many graphs are left, if not all."""
    graphs = contrasts.of_family(case.graphs[compared], family)
    left = sum(getattr(graph, of).size > 0 and getattr(graph, over).size > 0 for graph in graphs)
    name = family if left == len(graphs) else f"{family}, {left} of {len(graphs)} graphs"
    return Item(name, contrasts.lead(graphs, of, over))


# --- agreement


@claim(
    "Upstream partitions agree better with each other than across families.",
    _FINDING_2,
    "Adjusted mutual information of the two upstream measures less that across families, at three levels: "
    "the weakest L2, the strongest dropout, and the strongest L2 whose networks learn.",
)
def upstream_agrees_within(case: Case) -> Iterator[Item]:
    for name, seeds in case.agreement_at_named_levels.items():
        yield Item(name, mean((seeds.upstream - seeds.across).to_numpy()))


@claim(
    "Downstream partitions agree better with each other than across families.",
    _FINDING_2,
    "The same of the two downstream measures.",
)
def downstream_agrees_within(case: Case) -> Iterator[Item]:
    for name, seeds in case.agreement_at_named_levels.items():
        yield Item(name, mean((seeds.downstream - seeds.across).to_numpy()))


@claim(
    "Partitions agree across families less than half as well as within them.",
    f"{_FINDING_2}; half is our reading of “hardly”",
    "Adjusted mutual information across families less half of that within them (mean of both), at the "
    "three levels.",
)
def across_below_half(case: Case) -> Iterator[Item]:
    for name, seeds in case.agreement_at_named_levels.items():
        half = (seeds.upstream + seeds.downstream) / 4
        yield Item(name, mean((seeds.across - half).to_numpy()), "below")


@claim(
    "Agreement across families is above chance.",
    f"{_AGREEMENT_FIGURE}; not in its abstract",
    "Adjusted mutual information across families, at the three levels.",
    of_paper=False,
)
def across_above_chance(case: Case) -> Iterator[Item]:
    for name, seeds in case.agreement_at_named_levels.items():
        yield Item(name, mean(seeds.across.to_numpy()))


@claim(
    "Strong regularisation brings the families together.",
    _OURS,
    "Adjusted mutual information across families at the strongest dropout, and L2, less that at the weakest "
    "L2, seed by seed.",
    of_paper=False,
)
def regularisation_joins_families(case: Case) -> Iterator[Item]:
    strong = dict(case.agreement_at_named_levels)
    plain = strong.pop("weakest L2", None)
    if plain is None:
        return
    for name, seeds in strong.items():
        both = seeds.merge(plain, on="seed", suffixes=("", "_plain"))
        yield Item(name, mean((both.across - both.across_plain).to_numpy()))


@claim(
    "Training raises agreement within upstream.",
    _AGREEMENT_FIGURE,
    "Adjusted mutual information within upstream at the weakest L2, less that of untrained networks (Welch).",
)
def training_raises_upstream(case: Case) -> Iterator[Item]:
    yield Item("weakest L2", difference(*_trained_and_not(case, "upstream")))


@claim(
    "Training does not raise agreement within downstream.",
    f"{_AGREEMENT_FIGURE}; not in its abstract",
    "Adjusted mutual information within downstream at the weakest L2, less that of untrained networks "
    f"(Welch): no more than {DOWNSTREAM_MARGIN}.",
    of_paper=False,
)
def training_leaves_downstream(case: Case) -> Iterator[Item]:
    found = difference(*_trained_and_not(case, "downstream"))
    yield Item("weakest L2", found, "not above", DOWNSTREAM_MARGIN)


@claim(
    "Upstream partitions agree well, by the paper's own measure of it.",
    _FINDING_2,
    "Element-centric similarity of the two upstream measures, mean over the levels that old and new seeds "
    "share, against the midpoint between the paper's mean across families and its lowest value within one.",
)
def upstream_agrees_well(case: Case) -> Iterator[Item]:
    yield _beside_threshold(case, "upstream", "above")


@claim(
    "Downstream partitions agree well, by the paper's own measure of it.",
    _FINDING_2,
    "The same of the two downstream measures.",
)
def downstream_agrees_well(case: Case) -> Iterator[Item]:
    yield _beside_threshold(case, "downstream", "above")


@claim(
    "Partitions agree little across families, by the paper's own measure of it.",
    _FINDING_2,
    "Element-centric similarity across families, over the same levels, against the same midpoint.",
)
def across_agrees_little(case: Case) -> Iterator[Item]:
    yield _beside_threshold(case, "across", "below")


def _trained_and_not(case: Case, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Agreement within a family by seed, of networks at the weakest L2 and of untrained ones."""
    trained = evidence.agreement_at(case, contrasts.weakest_l2(case.trained))
    untrained = evidence.agreement_untrained(case)
    return trained[family].to_numpy(dtype=float), untrained[family].to_numpy(dtype=float)


def _beside_threshold(case: Case, pair: str, direction: str) -> Item:
    threshold = reported.high_agreement()
    seeds = evidence.agreement_overall(case)
    found = mean(seeds[pair].to_numpy(), null=threshold)
    return Item(pair, found, direction, threshold, case.in_paper(reported.family_ecs, pair))


# --- what else the paper shows


@claim(
    "Dropout keeps the number of modules.",
    _CLUSTERS,
    "Effective number of modules at the strongest dropout less that at the weakest L2, by family: within 1.",
)
def dropout_keeps_modules(case: Case) -> Iterator[Item]:
    for family in FAMILIES:
        if (lost := evidence.modules_lost(case, "dropout", family)) is not None:
            yield Item(family, mean(lost), "within", MODULES_MARGIN)


@claim(
    "Strong L1 and L2 leave fewer upstream modules.",
    _CLUSTERS,
    "Effective number of upstream modules at the strongest L1, and L2, that passes the filter, less that at "
    "the weakest L2.",
)
def strong_penalties_shrink_upstream(case: Case) -> Iterator[Item]:
    for penalty in WEIGHT_PENALTIES:
        if (lost := evidence.modules_lost(case, penalty, "upstream")) is not None:
            yield Item(penalty.upper(), mean(lost), "below")


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


# --- the choices of the analysis


@claim(
    "Dropout's lead upstream survives other choices of the analysis.",
    "its first finding, under choices that it made one way",
    "Lead upstream, with one analysis choice changed at a time (and levels together with graphs).",
    experiments=("base", CLOSE_UP),
    of_paper=False,
)
def upstream_lead_survives_choices(case: Case) -> Iterator[Item]:
    yield from _under_choices(case, multiverse.UPSTREAM_LEAD)


@claim(
    "That partitions agree better within than across families survives other choices of the analysis.",
    "its second finding, under choices that it made one way",
    "Agreement within families, the mean of both, less agreement across, with one analysis choice changed at "
    "a time.",
    experiments=("base", CLOSE_UP),
    of_paper=False,
)
def families_differ_under_choices(case: Case) -> Iterator[Item]:
    yield from _under_choices(case, multiverse.AGREEMENT_EFFECT)


def _under_choices(case: Case, effect: str) -> Iterator[Item]:
    # Tables with rows in `choices` are asked about those choices only: their networks are some of those of
    # base, which answers for the others.
    own = len(case.results.choices) > 0
    for item in evidence.under_choices(case, effect, OWN_PARTITIONS if own else SAME_PARTITIONS):
        yield replace(item, paper=np.nan) if own else item  # the paper's figures show all levels


# --- chance


@claim(
    "Q is larger than in untrained networks.",
    "its figure of Q, trained beside untrained networks",
    "Q less that of untrained networks of other seeds, by measure, at the weakest L2 and at the strongest "
    "dropout held against nulls.",
    experiments=tuple(evidence.UNTRAINED_BESIDE),
)
def more_than_untrained(case: Case) -> Iterator[Item]:
    if case.untrained is None or case.results.nulls.empty:
        return
    others = family_pairs.other_seeds(case.untrained.networks, case.trained)
    before = with_levels(case.untrained.modules, others)
    q = with_levels(case.results.modules, case.trained)
    for name, level in evidence.plain_and_strongest_dropout(evidence.with_nulls(case)).items():
        for measure in MEASURES:
            after, untrained = (
                evidence.by_seed(table[table.measure == measure], "q")
                for table in (q[evidence.at_level(q, level)], before)
            )
            paper = case.in_paper(reported.excess_over_untrained, level, measure)
            yield Item(f"{name}, {MEASURES[measure].label}", difference(after, untrained), paper=paper)


@claim(
    "Q is larger than with permuted weights.",
    _OURS,
    "Q less the mean Q of networks with each layer's weights permuted, by measure, at the same levels.",
    experiments=tuple(evidence.UNTRAINED_BESIDE),
    of_paper=False,
)
def more_than_permuted(case: Case) -> Iterator[Item]:
    yield from _over_null(case, "weights-permuted")


@claim(
    "Q exceeds the similarity null by more than it does in untrained networks.",
    _OURS,
    "Q less the mean of the similarity null, less the same of untrained networks of other seeds, by measure, "
    "at the same levels.",
    experiments=tuple(evidence.UNTRAINED_BESIDE),
    of_paper=False,
)
def more_than_similarity(case: Case) -> Iterator[Item]:
    # Untrained networks exceed this null too, since their dimensions are as unequal as any layer's.
    yield from _over_null(case, "similarity", beyond_untrained=True)


@claim(
    "Q is larger than in rotations of the same layer.",
    _OURS,
    "Q less the mean Q of rotations, which keep the rank and the spectrum of a layer, by measure, at the "
    "same levels.",
    experiments=tuple(evidence.UNTRAINED_BESIDE),
    of_paper=False,
)
def more_than_rotations(case: Case) -> Iterator[Item]:
    yield from _over_null(case, "rotations")


def _over_null(case: Case, null: str, *, beyond_untrained: bool = False) -> Iterator[Item]:
    nulls = evidence.with_nulls(case)
    nulls = nulls[nulls.null == null]
    untrained = case.untrained
    if nulls.empty or (beyond_untrained and (untrained is None or untrained.nulls.empty)):
        return
    before = evidence.untrained_excess(case, null) if beyond_untrained else None
    for name, level in evidence.plain_and_strongest_dropout(nulls).items():
        for measure in MEASURES:
            here = nulls[evidence.at_level(nulls, level) & (nulls.measure == measure)]
            excess = evidence.by_seed(here, "excess")
            found = mean(excess)
            if before is not None:
                found = difference(excess, evidence.by_seed(before[before.measure == measure], "excess"))
            yield Item(f"{name}, {MEASURES[measure].label}", found)


@claim(
    "Q is larger where labels can be learnt than where they must be memorised.",
    _OURS,
    "Q of networks trained on true labels less Q of those trained on the same images with shuffled labels, "
    "by family, at the weakest L2 and at the strongest dropout, seed by seed.",
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
    rows = [with_levels(results.modules, results.networks.query("trained")) for results in both]
    for name, level in evidence.plain_and_strongest_dropout(rows[0]).items():
        for family in FAMILIES:
            true, shuffled = (
                evidence.q_by_seed(table[evidence.at_level(table, level)], family) for table in rows
            )
            yield Item(f"{name}, {family}", mean((true - shuffled).to_numpy(dtype=float)))
