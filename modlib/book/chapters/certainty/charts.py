"""What counts as one observation, which way Q goes with strength, and how often intervals hold the truth."""

import altair as alt
import pandas as pd

from modlib.book import theme
from modlib.book.chapters.certainty.tables import REGULARIZERS, UNITS
from modlib.book.theme import (
    FAMILY_COLOURS,
    GREY,
    SERIES_COLOURS,
    described,
    estimate,
    measure_colour,
    panels,
    scale_of,
)
from modlib.paper import contrasts
from modlib.paper.simulations import coverage
from modlib.stats import intervals

UNIT_NAMES = dict(
    zip(UNITS, ("seed", "network", "network and layer", "network, layer and graph"), strict=True)
)
CLEAR = "clearly a trend"
TRUTHS = {
    "mean": "a mean",
    "difference": "difference of two groups",
    "bootstrap": "ratio, by bootstrap",
    "trend": "rank correlation with strength",
    "difference_of_best": "best of a less best of b",
}
KINDS = ["used in this book", "used, on data that it is not made for", "not used"]


@described(
    "For networks with dropout, L1 and L2, the 95 % interval of mean Q with seeds, networks, their layers or "
    "their graphs counted as independent observations; the interval over seeds is in blue."
)
def counted_units(units: pd.DataFrame) -> alt.FacetChart:
    """Mean Q of each regulariser's networks, with the interval that each idea of one observation gives."""
    table = units.assign(unit=units.unit.map(UNIT_NAMES), by=units.regularizer.map(theme.REGULARIZERS))
    base = alt.Chart().encode(
        y=alt.Y("unit:N", sort=list(UNIT_NAMES.values()), title=None, axis=alt.Axis(labelLimit=200)),
        color=alt.condition("datum.unit == 'seed'", alt.value(FAMILY_COLOURS["upstream"]), alt.value(GREY)),
    )
    scale = alt.Scale(zero=False, nice=False, padding=8)
    span = base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(filled=True, size=50, opacity=1).encode(
        x=alt.X("q:Q", title="mean Q", scale=scale, axis=alt.Axis(tickCount=3)),
        tooltip=[
            *(theme.REGULARIZER_TIP, alt.Tooltip("unit:N", title="one observation")),
            alt.Tooltip("n:Q", title="observations"),
            alt.Tooltip("worth:Q", title="worth", format=".0f"),
            *estimate("q", "mean Q"),
            alt.Tooltip("times:Q", title="seeds' interval is wider by", format=".1f"),
        ],
    )
    return panels(
        *(span, dot),
        data=table.drop(columns="regularizer").round(5),
        size=(200, 90),
        row=_by_regularizer(),
        spacing=8,
        independent="x",
    )


@described(
    "Spearman's rank correlation of Q with the strength of dropout, L1 and L2 for each layer and graph, with "
    "95 % intervals over seeds. Filled points are clearly trends after a correction for their number."
)
def trends(table: pd.DataFrame) -> alt.FacetChart:
    """Rank correlation of Q with strength by regulariser, layer and graph; filled where it is clear."""
    points = table.assign(
        graph=theme.graph_names(table),
        layer=table.layer.map({1: "first layer", 2: "second layer"}),
        by=table.regularizer.map(theme.REGULARIZERS),
        holm=(table.p_holm <= contrasts.SIGNIFICANT).map({True: CLEAR, False: f"not {CLEAR}"}),
    )
    colour = measure_colour(legend=None)
    base = alt.Chart().encode(
        y=alt.Y("graph:N", sort=theme.GRAPHS, title=None, axis=alt.Axis(labelLimit=220)), color=colour
    )
    scale = alt.Scale(domain=[-1, 1])
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(size=50, opacity=1).encode(
        x=alt.X("rho:Q", title="rank correlation with strength", scale=scale, axis=alt.Axis(tickCount=5)),
        fill=alt.condition(f"datum.holm == '{CLEAR}'", colour, alt.value("transparent")),
        tooltip=[
            *("graph:N", "layer:N", theme.REGULARIZER_TIP),
            alt.Tooltip("levels:Q", title="levels"),
            *estimate("rho", "rank correlation"),
            alt.Tooltip("n:Q", title="seeds"),
            alt.Tooltip("p_holm:Q", title="p by Holm", format=".4f"),
            alt.Tooltip("holm:N", title="after Holm"),
        ],
    )
    return panels(
        *(_dashed_at(0), span, dot),
        data=points.drop(columns="regularizer").round(4),
        size=(205, 150),
        row=_by_regularizer(),
        column=alt.Column("layer:N", header=theme.NO_TITLE),
        spacing=12,
    )


@described(
    "Share of simulated 95 % intervals that hold the truth, by the statistic and the method, one point for "
    "each kind of data and number of seeds, around a dashed line at 95 %."
)
def coverages() -> alt.FacetChart:
    """How often intervals hold the truth: a row a method, a point a kind of data and number of seeds."""
    table = coverage.stored()
    kind = [KINDS[int(limit)] if used else KINDS[2] for used, limit in table[["used", "limit"]].to_numpy()]
    table = table.assign(kind=kind, truth=table.interval.map(TRUTHS)).drop(columns=["interval", "limit"])
    methods = table.sort_values("used", ascending=False, kind="stable").method.unique()
    colours = scale_of(dict(zip(KINDS, SERIES_COLOURS[:3], strict=True)))
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=300)
    base = alt.Chart().encode(
        y=alt.Y("method:N", sort=list(methods), title=None, axis=alt.Axis(labelLimit=300)),
        color=alt.Color("kind:N", scale=colours, legend=legend),
    )
    axis = alt.Axis(format="%", tickCount=5)
    span = base.mark_rule(strokeWidth=1).encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(filled=True, size=36).encode(
        x=alt.X("coverage:Q", title="intervals that hold the truth", scale=alt.Scale(zero=False), axis=axis),
        tooltip=[
            alt.Tooltip("truth:N", title="interval for"),
            *("method:N", "data:N", "seeds:Q"),
            *estimate("coverage", "holds the truth", ".1%"),
            alt.Tooltip("length:Q", title="median length", format=".3f"),
        ],
    )
    header = alt.Header(title=None, labelOrient="top", labelAnchor="start", labelFontSize=12)
    return panels(
        *(_dashed_at(intervals.LEVEL), span, dot),
        data=table,
        size=(200, alt.Step(18)),
        row=alt.Row("truth:N", sort=list(TRUTHS.values()), header=header),
        spacing=6,
        independent="y",
    )


def _dashed_at(x: int | float) -> alt.Chart:
    return alt.Chart().mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(x), color=alt.value(GREY))


def _by_regularizer() -> alt.Row:
    names = [theme.REGULARIZERS[regularizer] for regularizer in REGULARIZERS]
    return alt.Row("by:N", sort=names, header=theme.ROW_HEADER)
