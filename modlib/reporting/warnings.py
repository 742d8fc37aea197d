"""What a reader of a report has to know before believing it, in whole sentences."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from modlib.measures import MEASURES
from modlib.nulls import NULLS
from modlib.reporting.layers import Layer

RELIABLE = 0.5  #: Adjusted mutual information of two halves below which modules are called unreliable.
ALPHA = 0.05  #: A larger p of Q beside a null is called no evidence of modules.


def graph_name(measure: str, normalized: bool) -> str:
    """Name a graph in words, such as "input gradient, normalised"."""
    return MEASURES[measure].label + (", normalised" if normalized else "")


def null_label(null: str) -> str:
    """Give the words for a null; those that are not drawn from the registry are called by their names."""
    return NULLS[null].label if null in NULLS else null


def warnings_of(layers: Iterable[Layer], modules: pd.DataFrame, nulls: pd.DataFrame) -> list[str]:
    """List the warnings of all layers: dead units, one module, low reliability, and Q not above a null."""
    found: list[str] = []
    several = modules.layer.nunique() > 1
    for layer in layers:
        rows, tests = modules[modules.layer == layer.name], nulls[nulls.layer == layer.name]
        said = [*_dead(rows), *_one_module(rows), *_unreliable(layer, rows), *_not_above(tests)]
        found += [f"Layer {layer.name}: {sentence}" if several else sentence for sentence in said]
    return found


def _dead(rows: pd.DataFrame) -> Iterable[str]:
    n_unit = len(rows["labels"].iloc[0])
    dead = rows["labels"].map(lambda labels: int(np.count_nonzero(labels < 0)))
    for number, of_graphs in rows[dead > 0].groupby(dead[dead > 0]):
        units = "1 unit is dead" if number == 1 else f"{number} units are dead"
        yield (
            f"{units}, of {n_unit}, by {_listed(of_graphs)}: no similarity to any other unit. They are in no "
            "module and take no part in Q or agreement."
        )


def _one_module(rows: pd.DataFrame) -> Iterable[str]:
    alone = rows[rows.n_modules == 1]
    if len(alone):
        yield f"All units are in one module by {_listed(alone)}: no cut raises Q above 0."


def _unreliable(layer: Layer, rows: pd.DataFrame) -> Iterable[str]:
    if layer.halves is None:
        yield "Reliability is not known: there are no similarities over two halves of the samples."
        return
    low = rows[rows.reliability < RELIABLE]
    if len(low):
        yield (
            f"Reliability is low by {_listed(low)}: the modules by two halves of the samples agree by less "
            f"than {RELIABLE:g} (adjusted mutual information). More samples may help."
        )


def _not_above(tests: pd.DataFrame) -> Iterable[str]:
    tests = tests.assign(null=[null_label(null).removesuffix(" null") for null in tests.null])
    few = (tests.p > ALPHA) & (tests.p < 1.5 / (1 + tests.draws))  # none of the draws reaches Q
    for null, rows in tests[few].groupby("null", sort=False):
        yield (
            f"There are too few draws ({rows.draws.max()}) of the null “{null}” to tell whether Q is above "
            f"it: p cannot be below {ALPHA:g} with fewer than {round(1 / ALPHA) - 1}."
        )
    for null, rows in tests[(tests.p > ALPHA) & ~few].groupby("null", sort=False):
        yield (
            f"Q is not above the null “{null}” by {_listed(rows)} (p > {ALPHA:g}): what looks like modules "
            "there may be chance."
        )
    untested = tests[tests.p.isna() & tests.q.notna()]
    for null, rows in untested.groupby("null", sort=False):
        yield (
            f"The null “{null}” could not be drawn for {_listed(rows)}: it needs similarities that are "
            "positive semidefinite, and edges between units."
        )


def _listed(rows: pd.DataFrame) -> str:
    """List graphs; a measure that is there raw and normalised is named once."""
    names = []
    for measure, forms in rows.groupby("measure", sort=False).normalized:
        label = MEASURES[str(measure)].label
        names.append(
            f"{label}, raw and normalised"
            if forms.nunique() == 2
            else graph_name(str(measure), bool(forms.iloc[0]))
        )
    return "; ".join(names)
