"""What counts as one observation, which way Q goes with strength, and how often intervals hold the truth."""

from __future__ import annotations

import altair as alt
import pandas as pd

from modlib.book.chapters.certainty.tables import REGULARIZERS, UNITS
from modlib.book.theme import (
    GREY,
    NAMES,
    ROW_HEADER,
    estimate,
    measure_colour,
    panels,
)
from modlib.book.theme import REGULARIZERS as REGULARIZER_NAMES
from modlib.paper import contrasts
from modlib.paper.simulations import coverage
from modlib.stats import intervals

UNIT_NAMES = dict(
    zip(UNITS, ("seed", "network", "network and layer", "network, layer and graph"), strict=True)
)
CLEAR, UNCLEAR = "told from no trend", "not told from no trend"
TRUTHS = {
    "mean": "a mean",
    "difference": "difference of two groups",
    "bootstrap": "ratio, by bootstrap",
    "trend": "rank correlation with strength",
    "difference_of_best": "best of a less best of b",
}
KINDS = ["used in this book", "used, on data that it is not made for", "not used"]


def counted_units(units: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Mean Q of each regulariser's networks, with the interval that each idea of one observation gives."""
    table = units.assign(unit=units.unit.map(UNIT_NAMES), by=units.regularizer.map(REGULARIZER_NAMES))
    shown = {
        "y": alt.Y("unit:N", sort=list(UNIT_NAMES.values()), title=None, axis=alt.Axis(labelLimit=200)),
        "color": alt.condition("datum.unit == 'seed'", alt.value("#1b6ca8"), alt.value(GREY)),
    }
    scale = alt.Scale(zero=False, nice=False, padding=8)
    tooltip = [
        alt.Tooltip("by:N", title="regulariser"),
        alt.Tooltip("unit:N", title="one observation"),
        alt.Tooltip("n:Q", title="observations"),
        alt.Tooltip("worth:Q", title="worth", format=".0f"),
        *estimate("q", "mean Q"),
        alt.Tooltip("times:Q", title="seeds' interval is wider by", format=".1f"),
    ]
    return panels(
        alt.Chart().mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", **shown),
        alt.Chart()
        .mark_point(filled=True, size=50, opacity=1)
        .encode(
            x=alt.X("q:Q", title="mean Q", scale=scale, axis=alt.Axis(tickCount=3)), tooltip=tooltip, **shown
        ),
        data=table.drop(columns="regularizer").round(5),
        size=(200, 90),
        row=_by_regularizer(),
        spacing=8,
        independent="x",
        description="For networks with dropout, L1 and L2, the 95 % interval of mean Q with seeds, networks, "
        "their layers or their graphs counted as independent observations; the interval over seeds is in "
        "blue.",
        caption=caption,
        name=name,
    )


def trends(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Rank correlation of Q with strength by regulariser, layer and graph; filled where told from none."""
    points = table.assign(
        graph=table.measure.map(NAMES) + table.normalized.map({True: ", normalised", False: ""}),
        layer=table.layer.map({1: "first layer", 2: "second layer"}),
        by=table.regularizer.map(REGULARIZER_NAMES),
        holm=table.p_holm.map(lambda p: CLEAR if p <= contrasts.SIGNIFICANT else UNCLEAR),
    )
    order = [measure + form for measure in NAMES.values() for form in ("", ", normalised")]
    colour = measure_colour(legend=None)
    shown = {
        "y": alt.Y("graph:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)),
        "color": colour,
    }
    tooltip = [
        "graph:N",
        "layer:N",
        alt.Tooltip("by:N", title="regulariser"),
        alt.Tooltip("levels:Q", title="levels"),
        *estimate("rho", "rank correlation"),
        alt.Tooltip("n:Q", title="seeds"),
        alt.Tooltip("p_holm:Q", title="p by Holm", format=".4f"),
        alt.Tooltip("holm:N", title="after Holm"),
    ]
    return panels(
        alt.Chart().mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0), color=alt.value(GREY)),
        alt.Chart().mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", **shown),
        alt.Chart()
        .mark_point(size=50, opacity=1)
        .encode(
            x=alt.X(
                "rho:Q",
                title="rank correlation with strength",
                scale=alt.Scale(domain=[-1, 1]),
                axis=alt.Axis(tickCount=5),
            ),
            fill=alt.condition(f"datum.holm == '{CLEAR}'", colour, alt.value("transparent")),
            tooltip=tooltip,
            **shown,
        ),
        data=points.drop(columns="regularizer").round(4),
        size=(205, 150),
        row=_by_regularizer(),
        column=alt.Column("layer:N", header=alt.Header(title=None)),
        spacing=12,
        description="Spearman's rank correlation of Q with the strength of dropout, L1 and L2 for each layer "
        "and graph, with 95 % intervals over seeds. Filled points are told from no trend after a correction "
        "for their number.",
        caption=caption,
        name=name,
    )


def coverages(*, name: str = "", caption: str = "") -> alt.FacetChart:
    """How often intervals hold the truth: a row a method, a point a kind of data and number of seeds."""
    table = coverage.stored()
    kind = [KINDS[int(limit)] if used else KINDS[2] for used, limit in table[["used", "limit"]].to_numpy()]
    table = table.assign(kind=kind, truth=table.interval.map(TRUTHS)).drop(columns=["interval", "limit"])
    methods = table.sort_values("used", ascending=False, kind="stable").method.unique()
    shown = {
        "y": alt.Y("method:N", sort=list(methods), title=None, axis=alt.Axis(labelLimit=300)),
        "color": alt.Color(
            "kind:N",
            scale=alt.Scale(domain=KINDS, range=["#1b6ca8", "#4fb3d9", "#d95f02"]),
            legend=alt.Legend(title=None, orient="top", columns=1, labelLimit=300),
        ),
    }
    tooltip = [
        alt.Tooltip("truth:N", title="interval for"),
        "method:N",
        "data:N",
        "seeds:Q",
        alt.Tooltip("coverage:Q", title="holds the truth", format=".1%"),
        alt.Tooltip("low:Q", title="95 % from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("length:Q", title="median length", format=".3f"),
    ]
    return panels(
        alt.Chart().mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(intervals.LEVEL), color=alt.value(GREY)),
        alt.Chart().mark_rule(strokeWidth=1).encode(x="low:Q", x2="high:Q", **shown),
        alt.Chart()
        .mark_point(filled=True, size=36, opacity=0.8)
        .encode(
            x=alt.X(
                "coverage:Q",
                title="intervals that hold the truth",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            tooltip=tooltip,
            **shown,
        ),
        data=table,
        size=(200, alt.Step(18)),
        row=alt.Row(
            "truth:N",
            sort=list(TRUTHS.values()),
            header=alt.Header(title=None, labelOrient="top", labelAnchor="start", labelFontSize=12),
        ),
        spacing=6,
        independent="y",
        description="Share of simulated 95 % intervals that hold the truth, by the statistic and the method, "
        "one point for each kind of data and number of seeds, around a dashed line at 95 %.",
        caption=caption,
        name=name,
    )


def _by_regularizer() -> alt.Row:
    return alt.Row("by:N", sort=[REGULARIZER_NAMES[r] for r in REGULARIZERS], header=ROW_HEADER)
