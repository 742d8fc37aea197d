"""The multiverse: three effects under every analysis choice, and the metrics of agreement; tables to read."""

from typing import Any

import altair as alt
import pandas as pd

from modlib.book.chapters.choices import tables as choices
from modlib.book.theme import FAMILY_COLOURS, GREY, Layered, described, estimate, formatted
from modlib.measures import FAMILIES
from modlib.paper.contrasts import LEVELS_COMPARED
from modlib.paper.graph_names import variant_name
from modlib.paper.multiverse import AGREEMENT_EFFECT, DOWNSTREAM_LEAD, FAMILY_OF, UPSTREAM_LEAD
from modlib.paper.specification_effects import ACROSS, LEAD

TITLES = {
    UPSTREAM_LEAD: "upstream: Q, best dropout − best L1 or L2",
    DOWNSTREAM_LEAD: "downstream: the same difference of Q",
    AGREEMENT_EFFECT: "AMI, within families − across",
}
COLOURS = dict(zip(TITLES, FAMILY_COLOURS.values(), strict=True))  # of both families, and of both together
MATCHED, ANYWHERE = LEVELS_COMPARED
#: Kinds of choices in the order of rows, each by the row that it is shown in: that of the same choice at
#: matched accuracy, if there is one.
KINDS = {
    "default": "default",
    "levels": "default",
    "accuracy filter": "accuracy filter",
    "graphs": "graphs",
    "graphs of all levels": "graphs",
    "layer": "layer",
    "images": "images",
    "optimiser": "optimiser",
}
AGREEMENT_TITLES = {ACROSS: "AMI across families", AGREEMENT_EFFECT: "AMI, within families − across"}
ENDS = {"low": "from", "high": "to"}  # of intervals, in tables for reading
HALF = "dropout .5"  # the level at which agreement is shown
_ALL_LEVELS = ", all levels"
_WIDTH = 420  # pages narrow it on a phone, where names of choices leave room for half of it


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """Name and order the rows of a chart, by kind of choice, each experiment's default first."""
    rows = table[table.choice_kind.isin(KINDS)].dropna(subset="value")
    close_up = rows.experiment == "close-up"
    named = [choices.label(str(k), str(c)) for k, c in zip(rows.choice_kind, rows.choice, strict=True)]
    label = pd.Series(named, index=rows.index)
    anywhere = label.str.endswith(_ALL_LEVELS) | (rows.choice_kind == "levels")
    label = label.str.removesuffix(_ALL_LEVELS).mask(rows.choice_kind == "levels", "default")
    order = {name: i for i, name in enumerate(dict.fromkeys(KINDS.values()))}
    rows = rows.assign(
        label=label.mask(close_up & (rows.choice_kind == "default"), "default, fewer levels"),
        levels=anywhere.map({True: ANYWHERE, False: MATCHED}),
        place=100 * close_up + rows.choice_kind.map(KINDS).map(order),
    )
    shown = ["label", "place", "levels", "effect", "experiment", "reference", *choices.ESTIMATE]
    return rows[shown].sort_values("place", kind="stable").round(5)


@described(
    "Three panels of dots with 95 % intervals, one row an analysis choice: how far dropout leads over weight "
    "penalties in modularity upstream, how far downstream, and agreement within less across families; a "
    "tick marks each effect by the default choices, a dashed line zero."
)
def effects(table: pd.DataFrame) -> alt.VConcatChart:
    """Plot `tables.effects` with 95 % intervals and a tick at the default; metrics have their own chart.

    Filled dots compare levels of matched accuracy, open ones all levels. Both leads share one scale.
    """
    rows = _rows(table)
    of_q = rows.effect != AGREEMENT_EFFECT
    panels = [
        _panel(rows[rows.effect == effect], effect, rows[of_q if effect in FAMILY_OF else ~of_q])
        for effect in TITLES
    ]
    return alt.vconcat(*panels, spacing=22)


def _panel(rows: pd.DataFrame, effect: str, alike: pd.DataFrame) -> Layered:
    """Draw an effect on the scale of all effects that are `alike`."""
    order, colour = list(dict.fromkeys(rows.label)), COLOURS[effect]
    low, high = min(0.0, alike.low.min()), max(0.0, alike.high.max())
    domain = [low - 0.05 * (high - low), high]
    compared = [alt.Tooltip("levels:N", title="levels compared")] if effect in FAMILY_OF else []
    own: dict[str, Any] = {"y": _rows_of(order)}
    if effect in FAMILY_OF:
        own["yOffset"] = alt.YOffset("levels:N", scale=alt.Scale(domain=[*LEVELS_COMPARED]))
    tooltip = [
        *(alt.Tooltip("label:N", title="choice"), *compared, "experiment:N"),
        *(*estimate("value", "effect"), *formatted(".3f", reference="by default")),
    ]
    base = alt.Chart(rows)
    return _dots(
        base,
        base.mark_tick(thickness=1.5, size=14, color=GREY).encode(x="reference:Q", y=own["y"]),
        rows=own,
        x=alt.X("value:Q", title=TITLES[effect], axis=alt.Axis(tickCount=4), scale=alt.Scale(domain=domain)),
        colour=colour,
        fill=alt.condition(f"datum.levels == '{ANYWHERE}'", alt.value("transparent"), alt.value(colour)),
        tooltip=tooltip,
    )


@described(
    "Two panels of dots with 95 % intervals, one row a way to find modules from similarities: how far "
    "dropout leads over weight penalties in modularity less its null, upstream and downstream, on MNIST and "
    "on Fashion-MNIST; a dashed line marks zero."
)
def specification_leads(table: pd.DataFrame) -> alt.VConcatChart:
    """Plot dropout's lead by family from `tables.by_specification`, a dot for each experiment."""
    rows = table[table.effect == LEAD]
    panels = [
        _specifications(rows[rows["at"] == family], rows, f"{family}: Q less null, dropout − penalty", colour)
        for family, colour in FAMILY_COLOURS.items()
        if family in FAMILIES
    ]
    return alt.vconcat(*panels, spacing=22)


@described(
    "Two panels of dots with 95 % intervals, one row a way to find modules from similarities: agreement "
    "across families at a dropout of one half, and within less across there, on MNIST and on "
    "Fashion-MNIST; a dashed line marks zero."
)
def specification_agreement(table: pd.DataFrame) -> alt.VConcatChart:
    """Plot agreement by `tables.by_specification` at a dropout of one half, a dot for each experiment."""
    rows = table[(table["at"] == HALF) & table.effect.isin(AGREEMENT_TITLES)]
    colour = COLOURS[AGREEMENT_EFFECT]
    panels = [
        _specifications(rows[rows.effect == effect], rows, title, colour)
        for effect, title in AGREEMENT_TITLES.items()
    ]
    return alt.vconcat(*panels, spacing=22)


def _specifications(rows: pd.DataFrame, alike: pd.DataFrame, title: str, colour: str) -> Layered:
    """Draw a row a specification, filled for MNIST, open for Fashion-MNIST, on the scale of all `alike`."""
    rows = rows.assign(data=rows.experiment.map(choices.DATA_NAMES))
    names = list(choices.DATA_NAMES.values())
    low, high = min(0.0, alike.low.min()), max(0.0, alike.high.max())
    shown = ["specification", "data", "value", "low", "high", "n", "p", "n_modules"]
    return _dots(
        alt.Chart(rows[shown].round(5)),
        rows={
            "y": _rows_of(list(dict.fromkeys(rows.specification)), "specification:N"),
            "yOffset": alt.YOffset("data:N", scale=alt.Scale(domain=names)),
        },
        x=alt.X(
            "value:Q",
            title=title,
            axis=alt.Axis(tickCount=4),
            scale=alt.Scale(domain=[low - 0.05 * (high - low), high]),
        ),
        colour=colour,
        fill=alt.condition(f"datum.data == '{names[1]}'", alt.value("transparent"), alt.value(colour)),
        tooltip=[
            *(alt.Tooltip("specification:N", title="way"), alt.Tooltip("data:N", title="data")),
            *(*estimate("value", "effect"), *formatted(".1f", n_modules="modules")),
        ],
    )


@described(
    "One dot a metric of agreement, with 95 % intervals: the share of the agreement within families that is "
    "lost across them; a dashed line marks zero, no difference."
)
def metrics(table: pd.DataFrame) -> Layered:
    """Plot `tables.metrics`, the share of agreement within families that is lost across them."""
    rows = table.assign(label=table.metric.map(choices.METRIC_NAMES)).round(5)
    tooltip = [
        alt.Tooltip("label:N", title="metric"),
        *formatted(".3f", upstream="within upstream", downstream="within downstream", across="across"),
        *estimate("value", "share lost"),
    ]
    colour = COLOURS[AGREEMENT_EFFECT]
    return _dots(
        alt.Chart(rows),
        rows={"y": _rows_of(list(rows.label))},
        x=alt.X(
            "value:Q",
            title="share of agreement lost across families",
            axis=alt.Axis(tickCount=4, format="%"),
            scale=alt.Scale(zero=True),
        ),
        colour=colour,
        fill=alt.value(colour),
        tooltip=tooltip,
    )


def optimisers(table: pd.DataFrame) -> pd.DataFrame:
    """`tables.optimisers` for reading, in units of Q."""
    table = table.assign(search=table.optimiser.map(choices.OPTIMISER_NAMES)).rename(columns=ENDS)
    return table.set_index("search")[["value", *ENDS.values(), "worst", "best"]].round(4)


def images(table: pd.DataFrame) -> pd.DataFrame:
    """`tables.images` for reading, by the name of a graph."""
    keys = zip(table.measure, table.normalized, strict=True)
    table = table.assign(graph=[variant_name(*key) for key in keys]).rename(columns=ENDS)
    return table.set_index(["images", "graph"])[["value", *ENDS.values(), "relative"]].round(4)


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """`tables.agreement` for reading, by the name of a choice."""
    named = [choices.label(*name.split("=")) if "=" in name else name for name in table.choice]
    return table.assign(choice=named).set_index("choice").round(3)


def _rows_of(order: list[str], field: str = "label:N") -> alt.Y:
    axis = alt.Axis(labelLimit=250, labelFontSize=11, ticks=False, domain=False)
    return alt.Y(field, sort=order, title=None, axis=axis, scale=alt.Scale(domain=order))


def _dots(
    base: alt.Chart,
    *below: alt.Chart,
    rows: dict[str, Any],
    x: alt.X,
    colour: str,
    fill: Any,
    tooltip: list[Any],
) -> Layered:
    """Draw a row a choice: its value, with its interval, above what lies `below`, and a dashed line at 0."""
    zero = base.mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0))
    seeds = [alt.Tooltip("n:Q", title="seeds"), alt.Tooltip("p:Q", format=".1e")]
    span = base.mark_rule(strokeWidth=2, color=colour).encode(x="low:Q", x2="high:Q", **rows)
    dot = base.mark_point(size=50, strokeWidth=1.5, stroke=colour, opacity=1).encode(
        x=x, fill=fill, tooltip=[*tooltip, *seeds], **rows
    )
    step = alt.Step(17, **{"for": "position"})  # a row's height, whatever is drawn in it
    return alt.layer(zero, *below, span, dot).properties(width=_WIDTH, height=step)
