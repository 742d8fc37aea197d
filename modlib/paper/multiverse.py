"""The findings under every analysis choice that could as well have been made (Steegen et al. 2016).

Each row changes one choice and leaves the others at their defaults, so that a finding that depends on a
choice shows as a row that stands apart. One pair of choices is also changed together: which levels of L1 and
L2 are compared with dropout, and in which graphs. What is done with the signs of similarities, the resolution
and the algorithm are changed together in `modlib.paper.simulations.variants`.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial

import numpy as np
import pandas as pd

from modlib.measures import MEASURES, family
from modlib.paper import contrasts, family_pairs
from modlib.stats import intervals
from modlib.stats.intervals import Estimate
from modlib.study.accuracy_filter import MIN_ACCURACY, trained_networks
from modlib.study.store import Results

EFFECTS = {
    "upstream lead": "Q at the best dropout less Q at the best L1 or L2, at matched test accuracy, upstream",
    "downstream lead": "the same of downstream graphs",
    "within less across": "agreement within families (mean of both) less agreement across families",
}
UPSTREAM_LEAD, DOWNSTREAM_LEAD, AGREEMENT_EFFECT = EFFECTS
FAMILY_OF = {UPSTREAM_LEAD: "upstream", DOWNSTREAM_LEAD: "downstream"}
DEFAULT_METRIC = "ami"
CHOSEN_METRICS = ("ecs", "ari", "rmi", "vi", "matching", "rank_correlation")
CHOSEN_FILTERS = (0.0, 0.8, 0.9, 0.95)  # least test accuracy of a network; 0 is no filter
#: Graphs that could be the ones to look at, by name: measures, and whether normalised (None: both).
CHOSEN_GRAPHS: dict[str, tuple[tuple[str, ...], bool | None]] = {
    "raw only": (tuple(MEASURES), False),
    "normalised only": (tuple(MEASURES), True),
    "without the input gradient": (tuple(m for m in MEASURES if m != "input_grad"), None),
    "without the Hessian": (tuple(m for m in MEASURES if m != "output_hess"), None),
}


def effects(
    results: Results, kinds: Collection[str] | None = None, only: Collection[str] = tuple(EFFECTS)
) -> pd.DataFrame:
    """All effects, or `only` some, under each analysis choice, or under those of some `kinds`.

    The default: networks of at least 0.8 test accuracy, levels of L1 and L2 as accurate as dropout, both
    measures of a family, raw and normalised, all layers, adjusted mutual information of different measures,
    all test images, the best of several Leiden runs. A choice appears with the effects that it touches: the
    metric of agreement has no bearing on Q, and leaving out a measure would leave the other of its family
    nothing to agree with but itself. The accuracy filter has no bearing on Q where levels are matched by
    accuracy, so its rows for Q are of all levels.

    A row has `choice_kind` ("default", "metric", "levels", "accuracy filter", "graphs", "graphs of all
    levels", "layer", or, where the table `choices` has them, "images" and "optimiser"), `choice`, `effect` (a
    key of `EFFECTS`), its `value` with the 95 % interval, `n` seeds and `p`, two-sided against 0.
    """
    names = ("value", "low", "high", "n", "p")
    rows = []
    for kind, choice, effect, estimate in _estimates(results):
        if effect in only and (kinds is None or kind in kinds):
            found = estimate()
            rows.append([kind, choice, effect, *(getattr(found, name) for name in names)])
    return pd.DataFrame(rows, columns=["choice_kind", "choice", "effect", *names])


#: Kind of choice, choice, effect, and what computes the effect, which takes a while.
_Row = tuple[str, str, str, Callable[[], Estimate]]


def _estimates(results: Results) -> Iterator[_Row]:
    modules, agreement = results.modules, results.agreement
    kept = trained_networks(results)
    yield from _leads("default", "default", modules, kept)
    yield "default", "default", AGREEMENT_EFFECT, partial(_agreement_effect, agreement, kept)
    for metric in CHOSEN_METRICS:
        if metric in agreement:
            yield "metric", metric, AGREEMENT_EFFECT, partial(_agreement_effect, agreement, kept, metric)
    yield from _leads("levels", "all", modules, kept, matched=False)
    for least in CHOSEN_FILTERS:
        if least != MIN_ACCURACY:
            some = trained_networks(results, min_accuracy=least)
            name = f"at least {least:g}" if least else "none"
            yield from _leads("accuracy filter", f"{name}, all levels", modules, some, matched=False)
            yield "accuracy filter", name, AGREEMENT_EFFECT, partial(_agreement_effect, agreement, some)
    for name, (measures, normalized) in CHOSEN_GRAPHS.items():
        here = _graphs(modules, measures, normalized)
        yield from _leads("graphs", name, here, kept, measures)
        yield from _leads("graphs of all levels", name, here, kept, measures, matched=False)
        if measures == tuple(MEASURES):
            both = (agreement.normalized_a == normalized) & (agreement.normalized_b == normalized)
            yield "graphs", name, AGREEMENT_EFFECT, partial(_agreement_effect, agreement[both], kept)
    for layer in sorted(modules.layer.unique()):
        name, here, pairs = f"{layer} only", modules[modules.layer == layer], agreement.layer == layer
        yield from _leads("layer", name, here, kept)
        yield "layer", name, AGREEMENT_EFFECT, partial(_agreement_effect, agreement[pairs], kept)
    # Choices that needed partitions of their own; tables without rows give nothing.
    for chosen, rows in results.choices.groupby("choice", sort=False):
        kind, _, choice = str(chosen).partition("=")
        yield from _leads(kind, choice, rows, kept)
    pairs = results.choices_agreement[results.choices_agreement.distinct.astype(bool)]
    for chosen, rows in pairs.groupby("choice", sort=False):
        kind, _, choice = str(chosen).partition("=")
        yield kind, choice, AGREEMENT_EFFECT, partial(_agreement_effect, rows, kept)


def _leads(
    kind: str,
    choice: str,
    modules: pd.DataFrame,
    kept: pd.DataFrame,
    measures: Collection[str] = tuple(MEASURES),
    *,
    matched: bool = True,
) -> Iterator[_Row]:
    """Give the rows of both leads, or of the one whose family has lost one of its measures."""
    for effect, name in FAMILY_OF.items():
        of_family = [measure for measure in measures if family(measure) == name]
        other = [measure for measure in measures if family(measure) != name]
        if len(of_family) <= len(other):  # else nothing about this family has changed
            yield kind, choice, effect, partial(_lead, modules, kept, name, matched=matched)


def _graphs(modules: pd.DataFrame, measures: tuple[str, ...], normalized: bool | None) -> pd.DataFrame:
    here = modules.measure.isin(measures)
    return modules[here if normalized is None else here & (modules.normalized == normalized)]


def _lead(modules: pd.DataFrame, kept: pd.DataFrame, name: str, *, matched: bool = True) -> Estimate:
    """Lead of dropout at matched accuracy, or over all levels, the mean over the graphs of a family."""
    kept = kept[kept.network.isin(modules.network)]  # other choices are tried on some of the levels only
    least = contrasts.least_accurate_dropout(kept)
    if np.isnan(least):  # no dropout left to contrast
        return Estimate()
    graphs = contrasts.levels(modules, kept, min_accuracy=least if matched else 0.0)
    return contrasts.lead(graphs, "dropout", "weights", name)


def _agreement_effect(agreement: pd.DataFrame, kept: pd.DataFrame, metric: str = DEFAULT_METRIC) -> Estimate:
    """Within less across, the mean over layers, pairs of graphs and networks within a seed first."""
    seeds = family_pairs.families_by_seed(agreement, kept, metric, by_layer=False)
    sign = -1.0 if metric == "vi" else 1.0  # variation of information is a distance
    effect = sign * ((seeds.upstream + seeds.downstream) / 2 - seeds.across)
    return intervals.mean(effect.to_numpy(dtype=float))
