"""Both findings in other networks and on other data, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from modlib.book.chapters.elsewhere import tables as elsewhere
from modlib.book.chapters.elsewhere.tables import EFFECTS, EXPERIMENTS
from modlib.book.theme import (
    FAMILY_COLOURS,
    GREY,
    NAMES,
    REGULARIZERS,
    estimate,
    on_strength_axis,
    properties,
    strength_axis,
)
from modlib.measures import MEASURES
from modlib.paper import by_level, graph_names
from modlib.study.accuracy_filter import LEVEL
from modlib.study.store import Results

#: Experiments have hues that no measure or family has, and a shape each.
COLOURS = ("#7d8591", "#8a63d2", "#22976a", "#d1437f", "#b58a16")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
SCALES = {"Q less that of untrained networks": "excess", "Q": "q"}
LEVELS = {"plain": "weakest L2", "dropout": "best dropout", "weights": "best L1 or L2"}
METRICS = {"element-centric similarity": "ecs", "adjusted mutual information": "ami"}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def not_stored(found: Mapping[str, Results], profile: str) -> Markdown:
    """Say which experiments are missing from the page, and the commands that compute them."""
    missing = [name for name in EXPERIMENTS if name not in found]
    if not missing:
        said = "*All experiments of this page are stored.*"
    else:
        commands = "; ".join(f"`python -m modlib run {name} --profile {profile}`" for name in missing)
        said = (
            f"*Shown here: {', '.join(found)}. Not stored, and left out of every chart and table: "
            f"{', '.join(missing)}. Computed by {commands} (minutes on a large GPU, hours on two cores); the "
            "page then fills itself.*"
        )
    return Markdown(said)  # type: ignore[no-untyped-call]


def q_side_by_side(found: Mapping[str, Results], *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Q against dropout and against L1 or L2, a line an experiment; layer, penalty and scale by drop-down."""
    curves = elsewhere.q_curves(found)
    penalty = curves.regularizer != "dropout"
    curves["x"] = on_strength_axis(curves)
    curves["by"] = np.where(penalty, "weight penalty", "dropout probability")
    tables = []
    for title, column in SCALES.items():
        low, high = ("excess_low", "excess_high") if column == "excess" else ("low", "high")
        table = curves[["experiment", "layer", "measure", "regularizer", "strength", "seeds", "x", "by"]]
        values = {"value": curves[column], "low": curves[low], "high": curves[high]}
        tables.append(table.assign(scale=title, untrained=curves.untrained, **values))
    points = pd.concat(tables, ignore_index=True).round(4)
    points["name"] = points.measure.map(NAMES)
    points["interval"] = [  # as text, since Vega's numbers in tooltips would show none as 0
        "none: too few seeds" if np.isnan(low) else f"{low:.3f} to {high:.3f}".replace("-", "−")
        for low, high in zip(points.low, points.high, strict=True)
    ]
    depth = int(points.layer.max())
    params = [
        _choose("elsewhere_layer", list(range(1, depth + 1)), _ORDINALS[:depth], "Hidden layer "),
        _choose("elsewhere_penalty", ["l2", "l1"], ["L2", "L1"], "Weight penalty "),
        _choose("elsewhere_scale", list(SCALES), list(SCALES), "Show "),
    ]
    pick = alt.selection_point(name="elsewhere_pick", fields=["experiment"], bind="legend")
    x = strength_axis()
    base = (
        alt.Chart()
        .transform_filter("datum.layer == elsewhere_layer && datum.scale == elsewhere_scale")
        .transform_filter("datum.regularizer == 'dropout' || datum.regularizer == elsewhere_penalty")
    )
    shown = alt.condition(pick, alt.value(1.0), alt.value(0.08))
    colour = _colour(list(found))
    zero = base.mark_rule(strokeDash=[3, 3], color=GREY).encode(y=alt.datum(0))
    span = base.mark_rule(strokeWidth=1.2).encode(
        x=x, y=alt.Y("low:Q", title="Q"), y2="high:Q", color=colour, opacity=shown
    )
    line = base.mark_line(strokeWidth=1.5).encode(
        x=x, y=alt.Y("value:Q", title="Q", axis=alt.Axis(tickCount=4)), color=colour, opacity=shown
    )
    dot = base.mark_point(filled=True, size=38).encode(
        x=x,
        y="value:Q",
        color=colour,
        shape=_shape(list(found)),
        opacity=shown,
        tooltip=[
            "experiment:N",
            alt.Tooltip("name:N", title="measure"),
            alt.Tooltip("regularizer:N", title="regulariser"),
            alt.Tooltip("strength:Q", format="~g"),
            alt.Tooltip("scale:N", title="shown"),
            alt.Tooltip("value:Q", format=".3f"),
            alt.Tooltip("interval:N", title="95 %"),
            alt.Tooltip("untrained:Q", title="Q, untrained", format=".3f"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(zero, span, line, dot, data=points)
        .properties(width=200, height=120)
        .facet(
            row=alt.Row(
                "name:N",
                sort=[NAMES[m] for m in MEASURES],
                header=alt.Header(title=None, labelAngle=-90, labelFontSize=12),
            ),
            column=alt.Column(
                "by:N", sort=["dropout probability", "weight penalty"], header=alt.Header(title=None)
            ),
            spacing={"row": 10, "column": 14},
        )
        .resolve_scale(x="independent")
        .add_params(*params, pick)
        .properties(
            **properties(
                description="Modularity of raw graphs against dropout and against L1 or L2, one line an "
                "experiment and one row a measure, less the modularity of untrained networks of the same "
                "shape.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def q_by_depth(
    found: Mapping[str, Results], best: pd.DataFrame, *, name: str = "", caption: str = ""
) -> alt.FacetChart:
    """Q less that of untrained networks by layer, without regularisation and at the best level of each kind.

    Parameters
    ----------
    best
        Of `best_levels`.
    """
    raw = best[~best.normalized]
    parts = [
        raw[["experiment", "layer", "measure", "untrained"]].assign(level=title, q=raw[column])
        for column, title in LEVELS.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(excess=table.q - table.untrained, name=table.measure.map(NAMES)).round(4)
    deepest = max(found, key=lambda e: int(best[best.experiment == e].layer.max()))
    base = alt.Chart().transform_filter("datum.experiment == elsewhere_experiment")
    colour = alt.Color(
        "level:N",
        sort=list(LEVELS.values()),
        scale=alt.Scale(domain=list(LEVELS.values()), range=["#7d8591", "#1b9e9e", "#b0499b"]),
        legend=alt.Legend(title=None, orient="top"),
    )
    x = alt.X(
        "layer:O", title="hidden layer", axis=alt.Axis(labelAngle=0, grid=False), scale=alt.Scale(padding=0.4)
    )
    zero = base.mark_rule(strokeDash=[3, 3], color=GREY).encode(y=alt.datum(0))
    line = base.mark_line(strokeWidth=1.5).encode(x=x, y="excess:Q", color=colour)
    dot = base.mark_point(filled=True, size=45, opacity=1).encode(
        x=x,
        y=alt.Y("excess:Q", title="Q less untrained", axis=alt.Axis(tickCount=4)),
        color=colour,
        shape=alt.Shape(
            "level:N",
            scale=alt.Scale(domain=list(LEVELS.values()), range=["square", "circle", "triangle-up"]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        tooltip=[
            "experiment:N",
            alt.Tooltip("name:N", title="measure"),
            "layer:O",
            "level:N",
            *(alt.Tooltip(f"{c}:Q", format=".3f") for c in ("excess", "q", "untrained")),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(zero, line, dot, data=table)
        .properties(width=195, height=120)
        .facet(facet=_wrapped("name:N", [NAMES[m] for m in MEASURES]), columns=2, spacing=12)
        .add_params(_choose("elsewhere_experiment", list(found), list(found), "Experiment ", deepest))
        .properties(
            **properties(
                description="Modularity less that of untrained networks by hidden layer, one panel for each "
                "measure, without regularisation, at the best dropout and at the best L1 or L2.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def agreement_side_by_side(
    found: Mapping[str, Results], *, name: str = "", caption: str = ""
) -> alt.FacetChart:
    """Agreement within and across families by layer, a panel an experiment; the metric by drop-down."""
    tables = [
        elsewhere.agreement_by_layer(found, metric).assign(metric=title) for title, metric in METRICS.items()
    ]
    points = pd.concat(tables, ignore_index=True).round(4)
    points["networks"] = points.trained.map({True: "trained", False: "untrained"})
    base = alt.Chart().transform_filter("datum.metric == elsewhere_metric")
    x = alt.X(
        "layer:O", title="hidden layer", axis=alt.Axis(labelAngle=0, grid=False), scale=alt.Scale(padding=0.4)
    )
    families = list(FAMILY_COLOURS)
    colour = alt.Color(
        "family_pair:N",
        scale=alt.Scale(domain=families, range=list(FAMILY_COLOURS.values())),
        legend=alt.Legend(title=None, orient="top"),
    )
    dashed = alt.condition("datum.networks == 'trained'", alt.value([1, 0]), alt.value([4, 3]))
    span = base.mark_rule(strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    line = base.mark_line(strokeWidth=1.5).encode(
        x=x, y="value:Q", color=colour, detail="networks:N", strokeDash=dashed
    )
    dot = base.mark_point(size=48, strokeWidth=1.5, filled=True, opacity=1).encode(
        x=x,
        y=alt.Y("value:Q", title="agreement", axis=alt.Axis(tickCount=5)),
        color=colour,
        shape=alt.Shape(
            "networks:N",
            scale=alt.Scale(domain=["trained", "untrained"], range=["circle", "cross"]),
            legend=alt.Legend(
                title="networks", orient="top", symbolFillColor=GREY, symbolStrokeColor=GREY, symbolOpacity=1
            ),
        ),
        tooltip=[
            "experiment:N",
            "layer:O",
            alt.Tooltip("family_pair:N", title="pairs"),
            "networks:N",
            alt.Tooltip("metric:N", title="agreement"),
            *estimate("value", "value"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(span, line, dot, data=points)
        .properties(width=195, height=150)
        .facet(facet=_wrapped("experiment:N", list(found)), columns=2, spacing=14)
        .resolve_scale(x="independent")
        .add_params(_choose("elsewhere_metric", list(METRICS), list(METRICS), "Agreement as "))
        .properties(
            **properties(
                description="Agreement of partitions within upstream, within downstream and across families "
                "by hidden layer, one panel for each experiment, trained and untrained networks, with 95 % "
                "intervals over seeds.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def effects(found: Mapping[str, Results], *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Draw both findings as one number each, with its interval: all experiments and their layers."""
    table = elsewhere.effects(found)
    table["row"] = table.experiment + table.layer.map(lambda n: f", layer {n}" if n else "")
    table["over"] = table.layer.map(lambda n: f"layer {n}" if n else "all layers")
    order = table.row.drop_duplicates().to_list()
    y = alt.Y("row:N", sort=order, title=None, axis=alt.Axis(labelLimit=200, labelFontSize=11))
    base = alt.Chart()
    whole = alt.condition("datum.over == 'all layers'", alt.value(55), alt.value(18))
    colour = _colour(list(found), legend=None)
    zero = base.mark_rule(strokeDash=[3, 3], color=GREY).encode(x=alt.datum(0))
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y, color=colour)
    dot = base.mark_point(filled=True, opacity=1).encode(
        x=alt.X("value:Q", title="effect", axis=alt.Axis(tickCount=5, labelFlush=False)),
        y=y,
        size=whole,
        color=colour,
        shape=_shape(list(found), legend=None),
        tooltip=[
            "experiment:N",
            "over:N",
            alt.Tooltip("effect:N"),
            *estimate("value", "value"),
            alt.Tooltip("n:Q", title="seeds"),
            alt.Tooltip("p:Q", title="p, one test by itself", format=".2g"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(zero, span, dot, data=table.round({"value": 4, "low": 4, "high": 4}))
        .properties(width=195, height=15 * len(order))
        .facet(facet=_wrapped("effect:N", list(EFFECTS)), columns=2, spacing=14)
        .properties(
            **properties(
                description="Four effects with 95 % intervals, one row for each experiment and layer: "
                "modularity at the best dropout less that at the best L1 or L2, among levels as accurate, "
                "within a point of accuracy, and among all; and agreement within less across families.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def least_favourable(best: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """Graphs of `best_levels` in which L1 or L2 leads by most, for reading."""
    table = graph_names.with_graph_names(best.nsmallest(count, "difference"))
    table["against"] = table.weights_by.map(REGULARIZERS)
    table = table.rename(columns={"low": "from", "high": "to"}).set_index("experiment")
    return table[["graph", "against", "difference", "from", "to"]].round(3)


def dropped_levels(results: Results) -> pd.DataFrame:
    """`modlib.paper.by_level.dropped_levels` for reading."""
    table = by_level.dropped_levels(results)
    return table.assign(regularizer=table.regularizer.map(REGULARIZERS)).set_index(LEVEL).round(3)


def _choose(
    name: str, options: Sequence[Any], labels: Sequence[str], title: str, value: Any = None
) -> alt.Parameter:
    select = alt.binding_select(options=list(options), labels=list(labels), name=title)
    return alt.param(name=name, value=options[0] if value is None else value, bind=select)


def _colour(names: list[str], **options: Any) -> alt.Color:
    colours = [COLOURS[EXPERIMENTS.index(name)] for name in names]
    options = {"legend": alt.Legend(title=None, orient="top"), **options}
    return alt.Color("experiment:N", scale=alt.Scale(domain=names, range=colours), **options)


def _shape(names: list[str], **options: Any) -> alt.Shape:
    shapes = [SHAPES[EXPERIMENTS.index(name)] for name in names]
    options = {"legend": alt.Legend(title=None, orient="top"), **options}
    return alt.Shape("experiment:N", scale=alt.Scale(domain=names, range=shapes), **options)


def _wrapped(field: str, order: list[str]) -> alt.Facet:
    return alt.Facet(field, sort=order, header=alt.Header(title=None, labelFontSize=12))
