"""The multiverse: both effects under every analysis choice."""

from __future__ import annotations

from typing import Any, cast

import altair as alt
import pandas as pd

from modlib.book.chapters.choices import tables as choices
from modlib.book.theme import GREY, estimate, properties
from modlib.paper.multiverse import AGREEMENT_EFFECT, Q_EFFECT

#: One shade a kind of choice; the hues of the two families are left to the measures.
KINDS = {
    "default": "#7f7f7f",
    "levels": "#c2588f",
    "accuracy filter": "#8a6fc0",
    "graphs": "#2a9d8f",
    "graphs of all levels": "#c2588f",
    "layer": "#b8860b",
    "metric": "#c2588f",
    "images": "#5b7f2b",
    "optimiser": "#a0522d",
}
TITLES = {
    Q_EFFECT: "Q, best dropout − best L1 or L2",
    AGREEMENT_EFFECT: "ECS, within − across families",
}


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """Name and order the rows of a chart, by kind of choice, each experiment's default first."""
    rows = table[table.choice_kind.isin(KINDS) & (table.choice_kind != "metric")].dropna(subset="value")
    close_up = rows.experiment == "close-up"
    named = [choices.label(str(k), str(c)) for k, c in zip(rows.choice_kind, rows.choice, strict=True)]
    label = pd.Series(named, index=rows.index)
    kind = {name: i for i, name in enumerate(KINDS)}
    rows = rows.assign(
        label=label.mask(close_up & (rows.choice_kind == "default"), "default, fewer levels"),
        place=100 * close_up + rows.choice_kind.map(kind),
    )
    shown = ["label", "place", "choice_kind", "effect", "experiment", "reference", *choices.ESTIMATE]
    return rows[shown].sort_values("place", kind="stable").round(5)


def effects(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.VConcatChart:
    """Plot `tables.effects` with 95 % intervals and a tick at the default; metrics have their own chart."""
    rows = _rows(table)
    panels = [_panel(rows, effect, title) for effect, title in TITLES.items()]
    chart: alt.VConcatChart = alt.vconcat(*panels, spacing=24).properties(
        **properties(
            description="Two panels of dots with 95 % intervals, one dot an analysis choice: the gain of "
            "dropout over weight penalties in modularity, and agreement within less across families; a tick "
            "marks each effect by the default choices, a dashed line zero.",
            caption=caption,
            name=name,
        )
    )
    return chart


def _panel(rows: pd.DataFrame, effect: str, title: str) -> alt.LayerChart:
    here = rows[rows.effect == effect]
    order = list(here.label)
    base = alt.Chart(rows).transform_filter(alt.FieldEqualPredicate(field="effect", equal=effect))
    y = alt.Y("label:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=_axis())
    tooltip = [
        alt.Tooltip("label:N", title="choice"),
        alt.Tooltip("choice_kind:N", title="kind"),
        alt.Tooltip("experiment:N"),
        *estimate("value", "effect"),
        alt.Tooltip("reference:Q", title="by default", format=".3f"),
        alt.Tooltip("n:Q", title="seeds"),
        alt.Tooltip("p:Q", format=".1e"),
    ]
    zero = base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0))
    default = base.mark_tick(thickness=1.5, size=14, color=GREY).encode(x="reference:Q", y=y)
    chart: alt.LayerChart = _dots(
        base, zero, default, y=y, title=title, tooltip=tooltip, kind="choice_kind"
    ).properties(width=330, height=alt.Step(17))
    return chart


def metrics(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.LayerChart:
    """Plot `tables.metrics`, the share of agreement within families that is lost across them."""
    rows = table.assign(
        label=table.metric.map(choices.METRIC_NAMES),
        kind=["default" if m == "ecs" else "metric" for m in table.metric],
    ).round(5)
    order = list(rows.label)
    base = alt.Chart(rows)
    y = alt.Y("label:N", sort=order, title=None, axis=_axis())
    tooltip = [
        alt.Tooltip("label:N", title="metric"),
        alt.Tooltip("within:Q", title="within families", format=".3f"),
        alt.Tooltip("across:Q", title="across", format=".3f"),
        *estimate("value", "share lost"),
        alt.Tooltip("n:Q", title="seeds"),
        alt.Tooltip("p:Q", format=".1e"),
    ]
    zero = base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0))
    chart: alt.LayerChart = _dots(
        base, zero, y=y, title="share of agreement lost across families", tooltip=tooltip, kind="kind"
    ).properties(
        width=330,
        height=alt.Step(17),
        **properties(
            description="One dot a metric of agreement, with 95 % intervals: the share of the agreement "
            "within families that is lost across them; a dashed line marks zero, no difference.",
            caption=caption,
            name=name,
        ),
    )
    return chart


def _axis() -> alt.Axis:
    return alt.Axis(labelLimit=250, ticks=False, domain=False)


def _dots(
    base: alt.Chart, *below: alt.Chart, y: alt.Y, title: str, tooltip: list[Any], kind: str
) -> alt.LayerChart:
    colour = alt.Color(
        f"{kind}:N", scale=alt.Scale(domain=list(KINDS), range=list(KINDS.values())), legend=None
    )
    x = alt.X("value:Q", title=title, axis=alt.Axis(tickCount=6), scale=alt.Scale(zero=True))
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y, color=colour)
    dot = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    return cast(alt.LayerChart, alt.layer(*below, span, dot))  # not a facet
