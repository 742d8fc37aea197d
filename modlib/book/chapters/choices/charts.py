"""The multiverse: both effects under every analysis choice."""

from typing import Any

import altair as alt
import pandas as pd

from modlib.book.chapters.choices import tables as choices
from modlib.book.theme import GREY, Layered, described, estimate, formatted, scale_of
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
TITLES = {Q_EFFECT: "Q, best dropout − best L1 or L2", AGREEMENT_EFFECT: "ECS, within − across families"}


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


@described(
    "Two panels of dots with 95 % intervals, one dot an analysis choice: the gain of dropout over weight "
    "penalties in modularity, and agreement within less across families; a tick marks each effect by the "
    "default choices, a dashed line zero."
)
def effects(table: pd.DataFrame) -> alt.VConcatChart:
    """Plot `tables.effects` with 95 % intervals and a tick at the default; metrics have their own chart."""
    rows = _rows(table)
    return alt.vconcat(*(_panel(rows, effect, title) for effect, title in TITLES.items()), spacing=24)


def _panel(rows: pd.DataFrame, effect: str, title: str) -> Layered:
    order = list(rows[rows.effect == effect].label)
    base = alt.Chart(rows).transform_filter(alt.FieldEqualPredicate(field="effect", equal=effect))
    y = _rows_of(order, scale=alt.Scale(domain=order))
    tooltip = [
        *(alt.Tooltip("label:N", title="choice"), alt.Tooltip("choice_kind:N", title="kind"), "experiment:N"),
        *(*estimate("value", "effect"), *formatted(".3f", reference="by default")),
    ]
    default = base.mark_tick(thickness=1.5, size=14, color=GREY).encode(x="reference:Q", y=y)
    return _dots(base, default, y=y, title=title, tooltip=tooltip, kind="choice_kind")


@described(
    "One dot a metric of agreement, with 95 % intervals: the share of the agreement within families that is "
    "lost across them; a dashed line marks zero, no difference."
)
def metrics(table: pd.DataFrame) -> Layered:
    """Plot `tables.metrics`, the share of agreement within families that is lost across them."""
    kind = ["default" if metric == "ecs" else "metric" for metric in table.metric]
    rows = table.assign(label=table.metric.map(choices.METRIC_NAMES), kind=kind).round(5)
    tooltip = [
        alt.Tooltip("label:N", title="metric"),
        *formatted(".3f", within="within families", across="across"),
        *estimate("value", "share lost"),
    ]
    title = "share of agreement lost across families"
    return _dots(alt.Chart(rows), y=_rows_of(list(rows.label)), title=title, tooltip=tooltip, kind="kind")


def _rows_of(order: list[str], **options: Any) -> alt.Y:
    axis = alt.Axis(labelLimit=250, ticks=False, domain=False)
    return alt.Y("label:N", sort=order, title=None, axis=axis, **options)


def _dots(base: alt.Chart, *below: alt.Chart, y: alt.Y, title: str, tooltip: list[Any], kind: str) -> Layered:
    """Draw a row a choice: its value, with its interval, above what lies `below`, and a dashed line at 0."""
    zero = base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0))
    colour = alt.Color(f"{kind}:N", scale=scale_of(KINDS), legend=None)
    x = alt.X("value:Q", title=title, axis=alt.Axis(tickCount=6), scale=alt.Scale(zero=True))
    seeds = [alt.Tooltip("n:Q", title="seeds"), alt.Tooltip("p:Q", format=".1e")]
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y, color=colour)
    dot = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=x, y=y, color=colour, tooltip=[*tooltip, *seeds]
    )
    return alt.layer(zero, *below, span, dot).properties(width=330, height=alt.Step(17))
