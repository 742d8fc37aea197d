"""Colours, shapes and names that every chart of the book shares, and its theme.

Upstream measures are blue and downstream measures orange on every page; a regulariser has a shape. A chart
takes its colours from here or from `modlib.reporting.colours`, and writes none of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import altair as alt
import numpy as np
import pandas as pd
from IPython import get_ipython

from modlib.book import vega
from modlib.book.html_table import show_frames
from modlib.measures import MEASURES
from modlib.reporting import colours

COLOURS = colours.COLOURS
NAMES = {name: measure.label for name, measure in MEASURES.items()}
#: Names of graphs in the order of a chart's rows, as `graph_names` writes them.
GRAPHS = [name + form for name in NAMES.values() for form in ("", ", normalised")]
#: Vega expression from a measure's identifier, the label of a legend's entry, to its name.
MEASURE_LABELS = " : ".join(f"datum.label == '{m}' ? '{NAMES[m]}'" for m in MEASURES) + " : datum.label"
GREY = colours.GREY
FAMILY_COLOURS = colours.FAMILIES
SERIES_COLOURS = colours.SERIES
PURPLE = colours.PURPLE
#: Vega expression from a pair of families, the label of a legend's entry, to words.
FAMILY_LABELS = "datum.label == 'across' ? 'across families' : 'within ' + datum.label"
REGULARIZERS = {"dropout": "dropout", "l1": "L1", "l2": "L2", "none": "untrained"}
Drawn = TypeVar("Drawn", bound=Callable[..., Any])
Layered: TypeAlias = alt.LayerChart | alt.FacetChart  # as Altair types layers with properties
NO_FRAME = alt.ViewBackground(stroke=None)  # of charts without axes
TOP_LEGEND = alt.Legend(title=None, orient="top")
#: Names of rows of panels run upwards beside them; names of columns and of wrapped panels stand above.
ROW_HEADER = alt.Header(title=None, labelAngle=-90, labelFontSize=12)
HEADER = alt.Header(title=None, labelFontSize=12)
NO_TITLE = alt.Header(title=None)
#: A column for each regulariser, of a table that `on_strength_axis` made.
BY_REGULARIZER = alt.Column(
    "by:N", sort=["dropout probability", "L1 strength", "L2 strength"], header=NO_TITLE
)
#: What many tooltips tell.
MEASURE_TIP = alt.Tooltip("name:N", title="measure")
REGULARIZER_TIP = alt.Tooltip("by:N", title="regulariser")
STRENGTH_TIP = alt.Tooltip("strength:Q", format="~g")
FAMILIES_TIP = alt.Tooltip("family_pair:N", title="pairs")
INTERVAL_TIP = alt.Tooltip("interval:N", title="95 % interval")  # of a chart `with_interval`
METRIC_TIP = alt.Tooltip("metric:N", title="agreement")
VALUE_TIP = alt.Tooltip("value:Q", format=".3f")
GAPS = {"row": 10, "column": 14}  # between panels
SHAPES = {"dropout": "circle", "l1": "triangle-up", "l2": "square", "none": "cross"}


def setup() -> None:
    """Switch on the theme and the renderer of the book; a notebook calls it once."""

    @alt.theme.register("modlib", enable=True)
    def theme() -> alt.theme.ThemeConfig:
        return {
            "config": {
                "font": "system-ui, sans-serif",
                "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "grid": True},
                "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
                "header": {"labelFontSize": 13, "titleFontSize": 13},
                "title": {"fontSize": 13, "anchor": "start", "fontWeight": "normal"},
                "view": {"continuousWidth": 300, "continuousHeight": 200},
                # Vega draws these marks faint unless it is told not to, and faint marks lose their contrast.
                "point": {"opacity": 1},
                "circle": {"opacity": 1},
                "square": {"opacity": 1},
                "tick": {"opacity": 1},
            }
        }

    alt.data_transformers.disable_max_rows()
    vega.enable()
    if shell := get_ipython():  # a notebook's
        show_frames(shell)
        shell.run_line_magic("precision", "%.4g")  # of numbers that a cell prints, also inside a dict


def described(description: str = "") -> Callable[[Drawn], Callable[..., Any]]:
    """Give the chart that a function draws its description, and the name and the caption that a page passes.

    With a caption it also carries the function's own name, its `script`, by which readers find the code.

    The description, for readers who cannot see the chart, may be passed by a page or set by the function
    instead; a ValueError says that there is none. What is not a chart, such as the words that stand for one
    that cannot be drawn, is passed on as it is.
    """

    def decorate(draw: Drawn) -> Callable[..., Any]:
        @wraps(draw)
        def drawn(
            *args: Any, description: str = description, caption: str = "", name: str = "", **options: Any
        ) -> Any:
            chart = draw(*args, **options)
            if not isinstance(chart, alt.TopLevelMixin):
                return chart
            said: Any = description.strip() or getattr(chart, "description", alt.Undefined)
            if said is alt.Undefined:
                raise ValueError("description must say what the chart shows")
            chart = chart.properties(description=said)
            if not caption:
                return chart
            own: Any = getattr(chart, "usermeta", alt.Undefined)
            script = f"{draw.__module__}.{draw.__name__}"
            usermeta = {"caption": caption, "name": name, "script": script}
            usermeta |= {} if own is alt.Undefined else own
            return chart.properties(usermeta=usermeta)

        return drawn

    return decorate


def panels(
    *layers: alt.Chart,
    data: pd.DataFrame,
    size: tuple[int, int | alt.Step | None],
    params: Sequence[Any] = (),
    independent: str = "",
    **facets: Any,
) -> alt.FacetChart:
    """Draw the same layers in panels, one for each part of the data.

    The `size` is the width and height of a panel, whose height is that of its rows if it is None. Each panel
    may have an axis for itself, the `independent` one. The `facets` are as for `altair.Chart.facet`.
    """
    panel = alt.layer(*layers, data=data).properties(width=size[0])
    chart = (panel if size[1] is None else panel.properties(height=size[1])).facet(**facets)
    if independent:
        scales: dict[str, Any] = {independent: "independent"}
        chart = chart.resolve_scale(**scales)
    return chart.add_params(*params) if params else chart


def drop_down(
    name: str, title: str, options: Sequence[Any], labels: Sequence[str] | None = None, value: Any = None
) -> alt.Parameter:
    """Let the reader choose the value of a parameter among options; the first, if `value` names no other."""
    bind = alt.binding_select(options=list(options), labels=list(labels or options), name=title)
    return alt.param(name=name, value=options[0] if value is None else value, bind=bind)


def scale_of(looks: Mapping[str, str]) -> alt.Scale:
    """Give each value the colour or the shape that it has here, in this order."""
    return alt.Scale(domain=list(looks), range=list(looks.values()))


def family_colour(legend: alt.Legend | None = None) -> alt.Color:
    """Colour by the families that two graphs are of: either, or one of each."""
    return alt.Color("family_pair:N", scale=scale_of(FAMILY_COLOURS), legend=legend)


def measure_colour(field: str = "measure", **options: Any) -> alt.Color:
    """Colour by measure, in the book's order and colours."""
    return alt.Color(f"{field}:N", scale=scale_of(COLOURS), **options)


def graph_names(table: pd.DataFrame, side: str = "") -> pd.Series:
    """Name the graph of each row, such as "input gradient, normalised"; of pairs, that of a `side`, "_a"."""
    return table[f"measure{side}"].map(NAMES) + table[f"normalized{side}"].map(
        {True: ", normalised", False: ""}
    )


def band(base: alt.Chart) -> alt.Chart:
    """Draw a faint band in grey, whose edges are not faint."""
    return base.mark_rect(color=GREY, stroke=GREY, strokeWidth=1, fillOpacity=0.25)


def zero_line(base: alt.Chart, axis: str = "y") -> alt.Chart:
    """Draw a dashed line at zero, across an axis."""
    return base.mark_rule(strokeDash=[3, 3], color=GREY).encode(**{axis: alt.datum(0)})


def formatted(form: str, **titles: str) -> list[alt.Tooltip]:
    """Tooltips of columns of numbers, each with its title, in one format."""
    return [alt.Tooltip(f"{field}:Q", title=title, format=form) for field, title in titles.items()]


def estimate(column: str, title: str, form: str = ".3f") -> list[alt.Tooltip]:
    """Tooltips of an estimate and of its 95 % interval, the columns `low` and `high`."""
    return formatted(form, **{column: title, "low": "95 % from", "high": "to"})


def with_interval(chart: alt.Chart, none: str) -> alt.Chart:
    """Write the interval from `low` to `high` into `interval`, or in words that there is `none`.

    It is for `INTERVAL_TIP`: a tooltip of a number that is missing would show a zero, or "null".
    """
    ends = "format(datum.low, '.3f') + ' to ' + format(datum.high, '.3f')"
    return chart.transform_calculate(interval=f"isValid(datum.low) ? {ends} : '{none}'")


def rings(title: str | None = None) -> alt.Legend:
    """Return a legend of shapes for points that are rings and have their colours from something else."""
    return alt.Legend(title=title, orient="top", symbolStrokeColor=GREY, symbolFillColor="transparent")


def on_strength_axis(table: pd.DataFrame) -> pd.DataFrame:
    """Place levels on `strength_axis`, in a column `x`, and name its panels, in a column `by`.

    The place is the probability of dropout, and log₁₀ of a penalty, below 0.
    """
    penalty = table.regularizer != "dropout"
    x = table.strength.where(~penalty, np.log10(table.strength.where(penalty, 1.0))).round(4)
    by: pd.Series = table.regularizer.map(REGULARIZERS) + np.where(penalty, " strength", " probability")
    return table.assign(x=x, by=by)


def strength_axis() -> alt.X:
    """One axis for probabilities and for powers of ten, of a column `x` that `on_strength_axis` made."""
    tens = "['', '⁻¹', '⁻²', '⁻³', '⁻⁴', '⁻⁵'][-datum.value]"
    label = f"datum.value >= 0 ? datum.label : floor(datum.value) == datum.value ? '10' + {tens} : ''"
    return alt.X(
        "x:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=False, padding=6),
        axis=alt.Axis(labelExpr=label, tickCount=4, grid=False, labelFlush=False),
    )
