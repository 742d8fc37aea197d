"""Q against the strength of regularisation."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from modlib.book.theme import (
    GREY,
    NAMES,
    REGULARIZERS,
    estimate,
    measure_colour,
    on_strength_axis,
    properties,
    strength_axis,
)
from modlib.measures import MEASURES
from modlib.paper import by_level, contrasts, published
from modlib.study.store import Results

CLEAR, UNCLEAR = "told from no difference", "not told from no difference"
SERIES = ["raw", "normalised", "paper, raw", "paper, normalised"]


def _points(results: Results) -> pd.DataFrame:
    """Ours, the paper's (without interval) and untrained networks' (a band of ± 1 sd), a `series` each."""
    ours = by_level.q_by_strength(results)
    ours["series"] = ours.normalized.map({False: "raw", True: "normalised"})
    theirs = published.q()
    theirs["series"] = theirs.normalized.map({False: "paper, raw", True: "paper, normalised"})
    columns = ["layer", "measure", "regularizer", "strength", "series", "q", "low", "high", "seeds"]
    band = by_level.q_untrained(results).query("not normalized")
    band = band.assign(low=band["mean"] - band["std"], high=band["mean"] + band["std"], series="untrained")
    bands = [band.assign(regularizer=r) for r in ("dropout", "l1", "l2")]
    table = pd.concat([t.reindex(columns=columns) for t in (ours, theirs, *bands)], ignore_index=True)
    return table.assign(name=table.measure.map(NAMES)).round({"q": 4, "low": 4, "high": 4})


def q_against_strength(results: Results, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Q against strength: a row a measure, a column a regulariser, layer by drop-down, series by legend.

    Ours with 95 % intervals over seeds, the paper's points beside them, and mean ± sd of untrained networks.
    """
    points = _points(results)
    penalty = points.regularizer != "dropout"
    points["x"] = on_strength_axis(points)
    points["by"] = points.regularizer.map(REGULARIZERS) + np.where(penalty, " strength", " probability")
    layer = alt.param(
        name="layer",
        value=1,
        bind=alt.binding_select(options=[1, 2], labels=["first", "second"], name="Hidden layer "),
    )
    pick = alt.selection_point(name="series", fields=["series"], bind="legend")
    x = strength_axis()
    y = alt.Y("q:Q", title="Q", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4))
    base = alt.Chart().transform_filter("datum.layer == layer")
    ours = base.transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=SERIES[:2]))
    theirs = alt.FieldOneOfPredicate(field="series", oneOf=SERIES[2:])
    shown = alt.condition(pick, alt.value(1.0), alt.value(0.08))
    colour = measure_colour(legend=None)
    untrained = (
        base.transform_filter("datum.series == 'untrained'")
        .mark_rect(opacity=0.3, color=GREY)
        .encode(y=alt.Y("low:Q", title="Q"), y2="high:Q")
    )
    rule = ours.mark_rule(strokeWidth=1.5).encode(x=x, y="low:Q", y2="high:Q", color=colour, opacity=shown)
    line = ours.mark_line(strokeWidth=1.5).encode(
        x=x,
        y=y,
        color=colour,
        opacity=shown,
        detail="series:N",
        strokeDash=alt.condition("datum.series == 'normalised'", alt.value([4, 3]), alt.value([1, 0])),
    )
    legend = alt.Legend(title=None, orient="top", symbolStrokeColor="#7f7f7f", symbolFillColor="transparent")
    point = (
        base.transform_filter("datum.series != 'untrained'")
        .mark_point(size=34, strokeWidth=1.3)
        .encode(
            x=x,
            y=y,
            stroke=alt.condition(theirs, alt.value("#7f8794"), colour),
            fill=alt.condition("datum.series == 'raw'", colour, alt.value("transparent")),
            shape=alt.Shape(
                "series:N",
                scale=alt.Scale(domain=SERIES, range=["circle", "square", "cross", "diamond"]),
                legend=legend,
            ),
            opacity=shown,
            tooltip=[
                alt.Tooltip("name:N", title="measure"),
                alt.Tooltip("series:N"),
                alt.Tooltip("by:N", title="regulariser"),
                alt.Tooltip("strength:Q", format="~g"),
                *estimate("q", "Q"),
                alt.Tooltip("seeds:Q"),
            ],
        )
    )
    rows = alt.Row(
        "name:N",
        sort=[NAMES[m] for m in MEASURES],
        header=alt.Header(title=None, labelAngle=-90, labelFontSize=12),
    )
    columns = alt.Column(
        "by:N", sort=["dropout probability", "L1 strength", "L2 strength"], header=alt.Header(title=None)
    )
    chart: alt.FacetChart = (
        alt.layer(untrained, rule, line, point, data=points.drop(columns="regularizer"))
        .properties(width=165, height=110)
        .facet(row=rows, column=columns, spacing={"row": 10, "column": 14})
        .resolve_scale(x="independent")
        .add_params(layer, pick)
        .properties(
            **properties(
                description="Modularity Q against strength of dropout, L1 and L2, one row for each of four "
                "similarity measures, with the paper's points beside ours and a band for untrained networks.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def difference_of_gains(results: Results, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """How much higher the best level of dropout lies than the best of L1 and L2, graph by graph.

    Once among levels that are as accurate as every level of dropout, once among all levels. Filled where the
    difference is told from none after Holm's correction for the graphs of a column.
    """
    gain = contrasts.both_ways(results)
    gain["holm"] = gain.p_holm.map(lambda p: CLEAR if p <= contrasts.SIGNIFICANT else UNCLEAR)
    gain["graph"] = gain.measure.map(NAMES) + gain.normalized.map({True: ", normalised", False: ""})
    gain["layer"] = gain.layer.map({1: "first layer", 2: "second layer"})
    order = [NAMES[m] + n for m in MEASURES for n in ("", ", normalised")]
    y = alt.Y("graph:N", sort=order, title=None, axis=alt.Axis(labelLimit=220))
    base = alt.Chart(gain.round(4))
    zero = base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0))
    span = base.mark_rule(strokeWidth=2).encode(
        x="low:Q", x2="high:Q", y=y, color=measure_colour(legend=None)
    )
    dot = base.mark_point(size=60, opacity=1).encode(
        x=alt.X("difference:Q", title="Q, best dropout − best L1 or L2", axis=alt.Axis(tickCount=5)),
        y=y,
        color=measure_colour(legend=None),
        fill=alt.condition(f"datum.holm == '{CLEAR}'", measure_colour(legend=None), alt.value("transparent")),
        tooltip=[
            "graph:N",
            "levels:N",
            alt.Tooltip("plain:Q", title="Q at the weakest L2", format=".3f"),
            alt.Tooltip("dropout:Q", title="Q at the best dropout", format=".3f"),
            alt.Tooltip("dropout_at:Q", title="dropout of", format="~g"),
            alt.Tooltip("weights:Q", title="Q at the best L1 or L2", format=".3f"),
            alt.Tooltip("weights_by:N", title="which is"),
            alt.Tooltip("weights_at:Q", title="of", format="~g"),
            alt.Tooltip("low:Q", title="difference, 95 % from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("effect:Q", title="Hedges' g", format=".2f"),
            alt.Tooltip("p_holm:Q", title="p by Holm", format=".4f"),
            alt.Tooltip("holm:N", title="after Holm"),
        ],
    )
    return (
        alt.layer(zero, span, dot)
        .properties(width=205, height=170)
        .facet(
            row=alt.Row("layer:N", header=alt.Header(title=None, labelFontSize=12)),
            column=alt.Column(
                "levels:N", sort=list(contrasts.LEVELS_COMPARED), header=alt.Header(title=None)
            ),
            spacing=14,
        )
        .properties(
            **properties(
                description="For each layer and graph, the difference in modularity between the best dropout "
                "and the best L1 or L2, at matched accuracy and over all levels, with 95 % intervals; "
                "right of zero means that dropout makes more modular networks. Filled points are told from "
                "no difference after a correction for their number.",
                caption=caption,
                name=name,
            )
        )
    )
