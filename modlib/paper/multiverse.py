"""Both findings under every analysis choice that could as well have been made (Steegen et al. 2016).

Each row changes one choice and leaves the others at their defaults, so that a finding that depends on a
choice shows as a row that stands apart. One pair of choices is also changed together: which levels of L1 and
L2 are compared with dropout, and in which graphs, since an average over all graphs hides how they differ.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial

import numpy as np
import pandas as pd

from modlib.measures import DOWNSTREAM, MEASURES, UPSTREAM
from modlib.paper import contrasts, family_pairs
from modlib.stats import intervals, selection
from modlib.stats.intervals import Estimate
from modlib.study.accuracy_filter import MIN_ACCURACY, trained_networks
from modlib.study.store import Results

EFFECTS = {
    "dropout less weights": "Q at the best dropout less Q at the best L1 or L2, at matched test accuracy",
    "within less across": "agreement within families (mean of both) less agreement across families",
}
Q_EFFECT, AGREEMENT_EFFECT = EFFECTS
CHOSEN_METRICS = ("ecs", "ami", "ari", "rmi", "vi", "matching", "rank_correlation")
CHOSEN_FILTERS = (0.0, 0.8, 0.9, 0.95)  # least test accuracy of a network; 0 is no filter
#: Graphs that could be the ones to look at, by name: measures, and whether normalised (None: both).
CHOSEN_GRAPHS: dict[str, tuple[tuple[str, ...], bool | None]] = {
    "raw only": (tuple(MEASURES), False),
    "normalised only": (tuple(MEASURES), True),
    "upstream only": (UPSTREAM, None),
    "downstream only": (DOWNSTREAM, None),
    "without the input gradient": (tuple(m for m in MEASURES if m != "input_grad"), None),
    "without the Hessian": (tuple(m for m in MEASURES if m != "output_hess"), None),
}


def effects(results: Results, kinds: Collection[str] | None = None) -> pd.DataFrame:
    """Both effects under each analysis choice, or under those of some `kinds`.

    The default: networks of at least 0.8 test accuracy, levels of L1 and L2 as accurate as dropout, all eight
    graphs, all layers, element-centric similarity, all test images, the best of several Leiden runs. A choice
    appears with the effects that it touches: the metric of agreement has no bearing on Q, and leaving out a
    measure would leave the other of its family nothing to agree with but itself. The accuracy filter has no
    bearing on Q where levels are matched by accuracy, so its rows for Q are of all levels.

    A row has `choice_kind` ("default", "metric", "levels", "accuracy filter", "graphs", "graphs of all
    levels", "layer", or, where the table `choices` has them, "images" and "optimiser"), `choice`, `effect` (a
    key of `EFFECTS`), its `value` with the 95 % interval, `n` seeds and `p`, two-sided against 0.
    """
    names = ("value", "low", "high", "n", "p")
    rows = []
    for kind, choice, effect, estimate in _estimates(results):
        if kinds is None or kind in kinds:
            found = estimate()
            rows.append([kind, choice, effect, *(getattr(found, name) for name in names)])
    return pd.DataFrame(rows, columns=["choice_kind", "choice", "effect", *names])


def default_effects(results: Results) -> dict[str, Estimate]:
    """Both effects under the default choices, by the names in `EFFECTS`."""
    kept = trained_networks(results)
    q_effect, of_families = _q_effect(results.modules, kept), _agreement_effect(results.agreement, kept)
    return {Q_EFFECT: q_effect, AGREEMENT_EFFECT: of_families}


#: Kind of choice, choice, effect, and what computes the effect, which takes a while.
_Row = tuple[str, str, str, Callable[[], Estimate]]


def _estimates(results: Results) -> Iterator[_Row]:
    modules, agreement = results.modules, results.agreement
    kept = trained_networks(results)
    yield "default", "default", Q_EFFECT, partial(_q_effect, modules, kept)
    yield "default", "default", AGREEMENT_EFFECT, partial(_agreement_effect, agreement, kept)
    for metric in CHOSEN_METRICS:
        if metric in agreement and metric != "ecs":
            yield "metric", metric, AGREEMENT_EFFECT, partial(_agreement_effect, agreement, kept, metric)
    yield "levels", "all", Q_EFFECT, partial(_q_effect, modules, kept, matched=False)
    for least in CHOSEN_FILTERS:
        if least != MIN_ACCURACY:
            some = trained_networks(results, min_accuracy=least)
            name = f"at least {least:g}" if least else "none"
            q_effect = partial(_q_effect, modules, some, matched=False)
            yield "accuracy filter", f"{name}, all levels", Q_EFFECT, q_effect
            yield "accuracy filter", name, AGREEMENT_EFFECT, partial(_agreement_effect, agreement, some)
    for name, (measures, normalized) in CHOSEN_GRAPHS.items():
        here = _graphs(modules, measures, normalized)
        yield "graphs", name, Q_EFFECT, partial(_q_effect, here, kept)
        yield "graphs of all levels", name, Q_EFFECT, partial(_q_effect, here, kept, matched=False)
        if measures == tuple(MEASURES):
            both = (agreement.normalized_a == normalized) & (agreement.normalized_b == normalized)
            yield "graphs", name, AGREEMENT_EFFECT, partial(_agreement_effect, agreement[both], kept)
    distinct = agreement[agreement.measure_a != agreement.measure_b]
    yield "graphs", "no measure with itself", AGREEMENT_EFFECT, partial(_agreement_effect, distinct, kept)
    for layer in sorted(modules.layer.unique()):
        name, here, pairs = f"{layer} only", modules[modules.layer == layer], agreement.layer == layer
        yield "layer", name, Q_EFFECT, partial(_q_effect, here, kept)
        yield "layer", name, AGREEMENT_EFFECT, partial(_agreement_effect, agreement[pairs], kept)
    # Choices that needed partitions of their own; tables without rows give nothing.
    all_pairs = results.choices_agreement[~results.choices_agreement.distinct.astype(bool)]
    others: tuple[tuple[str, Callable[..., Estimate], pd.DataFrame], ...] = (
        (Q_EFFECT, _q_effect, results.choices),
        (AGREEMENT_EFFECT, _agreement_effect, all_pairs),
    )
    for effect, compute, table in others:
        for chosen, rows in table.groupby("choice", sort=False):
            kind, _, choice = str(chosen).partition("=")
            yield kind, choice, effect, partial(compute, rows, kept)


def _graphs(modules: pd.DataFrame, measures: tuple[str, ...], normalized: bool | None) -> pd.DataFrame:
    here = modules.measure.isin(measures)
    return modules[here if normalized is None else here & (modules.normalized == normalized)]


def _q_effect(modules: pd.DataFrame, kept: pd.DataFrame, *, matched: bool = True) -> Estimate:
    """Contrast at matched accuracy, or over all levels, the mean over graphs and layers."""
    kept = kept[kept.network.isin(modules.network)]  # other choices are tried on some of the levels only
    least = contrasts.least_accurate_dropout(kept)
    if np.isnan(least):  # no dropout left to contrast
        return selection.difference_of_best([])
    graphs = contrasts.levels(modules, kept, min_accuracy=least if matched else 0.0)
    return selection.difference_of_best([(graph.dropout, graph.weights) for graph in graphs])


def _agreement_effect(agreement: pd.DataFrame, kept: pd.DataFrame, metric: str = "ecs") -> Estimate:
    """Within less across, the mean over layers, pairs of graphs and networks within a seed first."""
    seeds = family_pairs.families_by_seed(agreement, kept, metric, by_layer=False)
    sign = -1.0 if metric == "vi" else 1.0  # variation of information is a distance
    effect = sign * ((seeds.upstream + seeds.downstream) / 2 - seeds.across)
    return intervals.mean(effect.to_numpy(dtype=float))
