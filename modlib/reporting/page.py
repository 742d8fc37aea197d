"""The page of a report: what is drawn and written for each layer, put into one HTML document."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd

from modlib._checks import Labels, Matrix
from modlib.analysis.modules import graphs_of, variants_of
from modlib.clustering import modularity
from modlib.measures import MEASURES
from modlib.reporting import colours
from modlib.reporting.alluvial import Alluvial, alluvial
from modlib.reporting.layers import Layer
from modlib.reporting.pictures import cuts_of, matrix_picture, order_of
from modlib.reporting.warnings import graph_name, null_label

if TYPE_CHECKING:
    from modlib.reporting.report import Report

TEMPLATE = "page.html.jinja"
#: The graphs that stand for their families, the first that there is: the two gradient measures are mirror
#: images of each other, and normalised they do not see how large units are.
LEADING = {
    "upstream": (("input_grad", True), ("input_cov", True)),
    "downstream": (("output_grad", True), ("output_hess", True)),
}
Variant = tuple[str, bool]


@dataclass(frozen=True)
class Picture:
    """A graph with its units in the order of a partition."""

    address: str  #: of the picture, which holds all data
    n_units: int
    cuts: list[int]  #: where one module ends and the next begins
    title: str
    description: str  #: for readers who do not see it


@dataclass(frozen=True)
class Null:
    """Where a null stands on the strip of a graph."""

    name: str
    mean: float
    low: float  #: mean less two standard deviations
    high: float
    p: float


@dataclass(frozen=True)
class Strip:
    """A graph's Q beside its nulls."""

    name: str
    colour: str
    q: float
    nulls: list[Null]
    p: float  #: the largest of the nulls
    row: Any  #: of the table `modules`


def render(report: "Report") -> str:
    """Write the page of a report."""
    return _template().render(
        about=report.about,
        warnings=report.warnings,
        layers=[_layer(report, layer) for layer in report.layers],
        light=colours.LIGHT,
        dark=colours.DARK,
        grey=colours.GREY,
        hues=colours.SHADES,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = _number
    return environment.get_template(TEMPLATE)


def _number(value: float, digits: int = 3) -> str:
    """Write a number with a true minus sign, and a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def _layer(report: "Report", layer: Layer) -> dict[str, Any]:
    modules = report.modules[report.modules.layer == layer.name]
    pairs = report.agreement[report.agreement.layer == layer.name]
    graphs = dict(zip(variants_of(layer.S), graphs_of(layer.S), strict=True))
    labels = {
        (row.measure, bool(row.normalized)): np.asarray(row.labels, dtype=np.int64) for row in _rows(modules)
    }
    strips = _strips(modules, report.nulls[report.nulls.layer == layer.name])
    leading = {name: next((v for v in found if v in graphs), None) for name, found in LEADING.items()}
    up, down = leading["upstream"], leading["downstream"]
    normalised = [variant for variant in graphs if variant[1]]
    return {
        "about": layer,
        "losses": sorted({MEASURES[measure].family for measure, _ in graphs}),
        "strips": strips,
        "axis": _axis(strips),
        "null_labels": {null: null_label(null) for strip in strips for null in _names(strip.nulls)},
        "own_order": [_picture(graphs[v], labels[v], v, v) for v in normalised],
        "both_orders": _both_orders(graphs, labels, pairs, up, down),
        "moves": None if up is None or down is None else _moves(labels[up], labels[down], up, down),
        "agreement": _agreement(pairs),
        "units": [
            (number, name, [int(labels[v][number]) for v in normalised])
            for number, name in enumerate(layer.units)
        ],
        "unit_columns": [MEASURES[measure].label for measure, _ in normalised],
    }


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    """Give the rows of a table, a cell an attribute."""
    return iter(table.itertuples())


def _names(nulls: Iterable[Null]) -> list[str]:
    return [null.name for null in nulls]


def _strips(modules: pd.DataFrame, tests: pd.DataFrame) -> list[Strip]:
    strips = []
    for row in _rows(modules):
        own = tests[(tests.measure == row.measure) & (tests.normalized == row.normalized)]
        nulls = [Null(t.null, t.mean, t.mean - 2 * t.sd, t.mean + 2 * t.sd, t.p) for t in _rows(own)]
        q = float(own.q.iloc[0]) if len(own) else float(row.q)
        p = float(own.p.max())  # nan only where no null could be drawn
        name, colour = graph_name(row.measure, bool(row.normalized)), colours.COLOURS[row.measure]
        strips.append(Strip(name, colour, q, nulls, p, row))
    return strips


def _axis(strips: Sequence[Strip]) -> dict[str, Any]:
    """Give the ends of the axis of Q and its ticks, 0 among them."""
    values = [0.0] + [v for s in strips for v in (s.q, *(e for n in s.nulls for e in (n.low, n.high)))]
    finite = [v for v in values if np.isfinite(v)]
    low, high = min(finite), max(finite)
    span = max(high - low, 0.05)
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if span / s <= 5)
    low, high = step * np.floor(low / step), step * np.ceil((high + 0.02 * span) / step)
    return {"low": low, "high": high, "ticks": np.arange(low, high + step / 2, step).round(6).tolist()}


def _picture(A: Matrix, by: Labels, shown: Variant, sorted_by: Variant, q: float | None = None) -> Picture:
    name, order = graph_name(*shown), graph_name(*sorted_by)
    n_modules = int(by.max(initial=-1)) + 1
    title = name if shown == sorted_by else f"{name}, in the order of {order}"
    said = f"Similarity of units by {name}, sorted by the {n_modules} modules of {order}"
    said += "." if q is None else f", under which its Q is {_number(q)}."
    address = matrix_picture(A, order_of(by), colours.COLOURS[shown[0]])
    return Picture(address, len(A), cuts_of(by), title, said)


def _both_orders(
    graphs: dict[Variant, Matrix],
    labels: dict[Variant, Labels],
    pairs: pd.DataFrame,
    up: Variant | None,
    down: Variant | None,
) -> list[tuple[Picture, float]]:
    """Draw the two leading graphs, each in its own order and in the other's, with Q under that order."""
    if up is None or down is None:
        return []
    of_two = pairs.set_index(["measure_a", "normalized_a", "measure_b", "normalized_b"])
    at: Any = of_two.loc[[(*up, *down)]].iloc[0]
    own = {v: modularity(graphs[v], labels[v]) for v in (up, down)}
    q = {(up, up): own[up], (up, down): at.transfer_ab, (down, up): at.transfer_ba, (down, down): own[down]}
    return [
        (_picture(graphs[a], labels[b], a, b, float(q[a, b])), float(q[a, b]))
        for a, b in product((up, down), repeat=2)
    ]


def _moves(a: Labels, b: Labels, up: Variant, down: Variant) -> dict[str, Any]:
    drawn: Alluvial = alluvial(a, b)
    return {"drawn": drawn, "up": graph_name(*up), "down": graph_name(*down)}


def _agreement(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Describe the pairs of normalised graphs, within the families and across."""
    used = pairs[pairs.normalized_a & pairs.normalized_b]
    order = ["upstream", "downstream", "across"]
    return [
        {
            "pair": f"{MEASURES[row.measure_a].label} and {MEASURES[row.measure_b].label}",
            "families": row.family_pair if row.family_pair == "across" else f"within {row.family_pair}",
            "row": row,
        }
        for name in order
        for row in _rows(used[used.family_pair == name])
    ]
