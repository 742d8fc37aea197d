"""Q beside its nulls: excess, rejections, memorised labels, and how the tests behave on made-up layers."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from modlib.book import theme
from modlib.book.chapters.chance import tables as chance
from modlib.book.stored import not_yet
from modlib.book.theme import (
    COLOURS,
    GREY,
    NAMES,
    PURPLE,
    described,
    estimate,
    measure_colour,
    panels,
    scale_of,
)
from modlib.paper.graph_names import with_graph_names
from modlib.study.accuracy_filter import LEVEL

SETTING_SHAPES = {"untrained": "cross", "weakest L2": "square", "strongest dropout": "circle"}
LABEL_SHAPES = {"true labels": "circle", "permuted labels": "square"}
LAYER = "layer"  # a made-up layer, beside the measures of networks
_Q = alt.Tooltip("q:Q", title="Q", format=".3f")
_Z = alt.Tooltip("z:Q", title="mean z", format=".1f")
_SHARE = alt.Tooltip("share:Q", title="networks with p ≤ .05", format=".0%")


# --- tables for reading


def not_above(levels: pd.DataFrame | None) -> pd.DataFrame | Markdown:
    """Count the graphs whose Q is not above a null, by level and null, in `tables.levels`."""
    if levels is None:
        return not_yet("close-up")
    undecided = chance.NOT_ABOVE[1]
    table = chance.where_not_above(levels).rename(columns={undecided: "open"}, level=1)
    table.index = pd.Index([_level(*level) for level in table.index], name="level")
    return table.rename(columns=_first_word, level=0)


def lowest(levels: pd.DataFrame | None, null: str = "weights-permuted") -> pd.DataFrame | Markdown:
    """Tabulate the graphs surely below a null at the level with the most of them (`tables.surely_below`)."""
    if levels is None:
        return not_yet("close-up")
    rows = chance.surely_below(levels, null)
    if rows.empty:
        return Markdown("No graph lies surely below this null.")  # type: ignore[no-untyped-call]
    ends = {"excess": "excess", "low": "from", "high": "to"}
    table = with_graph_names(rows).set_index("graph")[[*ends]].rename(columns=ends)
    return table.map("{:.3f}".format)


def by_measure(levels: pd.DataFrame | None) -> pd.DataFrame | Markdown:
    """Tabulate the share of tests that reject each null, by measure, at the settings of `tables.settings`."""
    if levels is None:
        return not_yet("close-up")
    table = chance.shares_by_measure(levels)
    shown = table.map("{:.0%}".format, na_action="ignore").fillna("–").rename(index=NAMES, level="measure")
    return shown.rename(columns=lambda null: _first_word(chance.NULL_NAMES[null]))


def _first_word(null: str) -> str:
    """Shorten the name of a null for the head of a table, which would be wider than a page."""
    return null.split()[0]


def _level(regularizer: str, strength: float) -> str:
    name = theme.REGULARIZERS[regularizer]
    return name if regularizer == "none" else f"{name} {strength:g}"


def _level_names(table: pd.DataFrame) -> list[str]:
    return [_level(*level) for level in table[LEVEL].itertuples(index=False, name=None)]


# --- Q of networks beside nulls


@described(
    "Modularity of one layer and of draws of the similarity null, scored with the layer's partition and "
    "searched anew."
)
def rescored(table: pd.DataFrame) -> alt.Chart:
    """Plot Q of a layer, of draws with the layer's own partition, and of draws searched anew."""
    looks = {
        "draws, only scored": GREY,
        "draws, searched": PURPLE,
        "the layer, searched": COLOURS["input_cov"],
    }
    chart = alt.Chart(table.round({"q": 4})).mark_tick(thickness=2, size=22)
    return chart.properties(width=300, height=110).encode(
        x=alt.X("q:Q", title="Q", axis=alt.Axis(tickCount=5)),
        y=alt.Y("how:N", sort=list(looks), title=None, axis=alt.Axis(labelLimit=150)),
        color=alt.Color("how:N", scale=scale_of(looks), legend=None),
        tooltip=["how:N", alt.Tooltip("q:Q", format=".3f")],
    )


@described(
    "Modularity less the mean of each null with 95 percent intervals, by measure, layer and null, for "
    "untrained networks, the weakest L2 and the strongest dropout."
)
def excess(levels: pd.DataFrame | None) -> alt.FacetChart | Markdown:
    """Plot Q less the mean of each null in `tables.levels`, by graph and layer, for the three settings."""
    if levels is None:
        return not_yet("close-up")
    table, names = _at_settings(levels)
    pick = alt.selection_point(fields=["setting"], bind="legend")
    shown = alt.condition(pick, alt.value(1.0), alt.value(0.1))
    base = alt.Chart().encode(y=_graphs())
    zero = theme.zero_line(alt.Chart(), "x")
    span = base.mark_rule(strokeWidth=1.5).encode(
        x="low:Q", x2="high:Q", color=measure_colour(legend=None), opacity=shown
    )
    dot = _points(
        base,
        "setting",
        {said: SETTING_SHAPES[setting] for setting, said in names.items()},
        x=alt.X("excess:Q", title="Q − mean of the null", axis=alt.Axis(tickCount=4)),
        opacity=shown,
        tooltip=[
            *("null_name:N", "graph:N", "layer:N", "setting:N", _Q),
            alt.Tooltip("null_mean:Q", title="mean of the null", format=".3f"),
            *(*estimate("excess", "excess"), _Z, _SHARE, "seeds:Q"),
        ],
    ).add_params(pick)  # a legend can pick only for the layer that it belongs to
    facets = _by_layer("null_name:N", sort=list(chance.NULL_NAMES.values()))
    return panels(zero, span, dot, data=table.round(4), size=(170, 150), **facets)


@described(
    "For each null, layer, graph and level of regularisation, the share of networks whose modularity is "
    "above all but five percent of the null."
)
def shares(levels: pd.DataFrame | None) -> alt.FacetChart | Markdown:
    """Plot the share of networks with p ≤ .05 in `tables.levels`, a field of cells a null and layer."""
    if levels is None:
        return not_yet("close-up")
    table = _named(levels).assign(level=_level_names(levels))
    order = table.sort_values(LEVEL).level.unique().tolist()
    axis = alt.Axis(labelAngle=-60, labelFontSize=11, grid=False)
    chart = alt.Chart(table.drop(columns="strength").round(4)).mark_rect()
    cells = chart.properties(width=170, height=140).encode(
        x=alt.X("level:N", sort=order, title=None, axis=axis),
        y=_graphs(grid=False),
        color=alt.Color(
            "share:Q",
            title="share with p ≤ .05",
            scale=alt.Scale(domain=[0, 1], scheme="viridis"),
            legend=alt.Legend(format=".0%", orient="top", gradientLength=170),
        ),
        tooltip=[
            *("null_name:N", "graph:N", "layer:N", "level:N"),
            *(_SHARE, _Z, *estimate("excess", "excess of Q"), "seeds:Q"),
        ],
    )
    return cells.facet(**_by_layer("null_name:N", sort=list(chance.NULL_NAMES.values())))


@described(
    "Modularity of networks trained on true and on permuted labels of the same images, by measure and "
    "layer, for the weakest L2 and the strongest dropout."
)
def labels(table: pd.DataFrame | None) -> alt.FacetChart | Markdown:
    """Plot Q with true and with permuted labels of `tables.memorised`, by graph, layer and setting."""
    if table is None:
        return not_yet("labels-shuffled", "labels-kept")
    named, names = _at_settings(table)
    long = pd.concat(
        [
            named.assign(q=named[column], kind=kind, train_accuracy=named[f"train_{column}"])
            for column, kind in zip(("true", "shuffled"), LABEL_SHAPES, strict=True)
        ]
    ).drop(columns=["true", "shuffled", "train_true", "train_shuffled"])
    base = alt.Chart().encode(y=_graphs())
    line = base.mark_line(strokeWidth=1.5).encode(
        x="q:Q", detail="graph:N", color=measure_colour(legend=None)
    )
    dot = _points(
        base,
        "kind",
        LABEL_SHAPES,
        x=alt.X("q:Q", title="Q", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
        tooltip=[
            *("graph:N", "layer:N", "setting:N", "kind:N", _Q),
            *estimate("difference", "permuted − true, by seed"),
            alt.Tooltip("train_accuracy:Q", title="training accuracy", format=".3f"),
            "seeds:Q",
        ],
    )
    facets = _by_layer("setting:N", sort=list(names.values()))
    return panels(line, dot, data=long.round(4), size=(170, 150), **facets)


def _at_settings(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the rows at the settings, named as charts show them, and the names of the settings there."""
    names = {
        setting: _level(*level) if setting == "strongest dropout" else setting
        for setting, level in chance.settings(table).items()
    }
    rows = _named(chance.at_settings(table))
    return rows.assign(setting=rows.setting.map(names)), names


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Add names of graphs, layers and nulls as the charts show them."""
    table = table.assign(graph=theme.graph_names(table), layer="layer " + table.layer.astype(str))
    return table.assign(null_name=table.null.map(chance.NULL_NAMES)) if "null" in table else table


def _graphs(*, grid: bool = True) -> alt.Y:
    return alt.Y("graph:N", sort=theme.GRAPHS, title=None, axis=alt.Axis(labelLimit=190, grid=grid))


def _points(base: alt.Chart, by: str, shapes: dict[str, str], **encodings: Any) -> alt.Chart:
    """Draw points coloured by measure; values of the column `by` have shapes."""
    colour = measure_colour(legend=None)
    return base.mark_point(size=46, strokeWidth=1.5).encode(
        stroke=colour,
        shape=alt.Shape(f"{by}:N", scale=scale_of(shapes), legend=theme.rings()),
        **encodings,
    )


def _by_layer(row: str, **options: Any) -> dict[str, Any]:
    """Arrange panels with a column for each layer."""
    return {
        "row": alt.Row(row, header=theme.NO_TITLE, **options),
        "column": alt.Column("layer:N", header=theme.NO_TITLE),
        "spacing": theme.GAPS,
    }


# --- how the tests behave


@described(
    "Share of made-up layers and networks without modules that each null rejects at five percent, with "
    "intervals, and a band from three to seven percent."
)
def size(table: pd.DataFrame) -> alt.FacetChart:
    """Plot rates of rejection on layers without modules (`rejections.size`), with the band around 5 %."""
    claimed, limit = "what the null draws", "not what the null draws"
    networks = table.data == "random networks"
    form = np.where(table.graph == "raw", ", raw", "")
    layers: pd.Series = table.data.str.removeprefix("units as vectors in ") + form
    null_name = table.null.map(chance.NULL_NAMES)
    found = table.drop(columns="limit").assign(
        row=table.graph.str.removesuffix(", raw").replace(theme.NAMES, regex=True).where(networks, layers),
        kind=np.where(table.limit, limit, claimed),
        null_name=null_name,
        on=np.where(networks, "random networks, ", "random layers, ") + null_name,
    )
    base = alt.Chart().encode(y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)))
    band = theme.band(alt.Chart().transform_aggregate(n="count()", groupby=["on"])).encode(
        x=alt.datum(0.03), x2=alt.datum(0.07)
    )
    legend = alt.Legend(title=None, orient="top", columns=1)
    colours = scale_of(dict(zip((claimed, limit), theme.SERIES_COLOURS, strict=False)))
    colour = alt.Color("kind:N", scale=colours, legend=legend)
    span = base.mark_rule(strokeWidth=1.5).encode(x="low:Q", x2="high:Q", color=colour)
    axis = alt.Axis(format=".0%", values=[0.05, 0.25, 0.5, 0.75, 1])
    dot = base.mark_point(size=46, strokeWidth=1.5).encode(
        x=alt.X("rate:Q", title="share rejected at 5 %", scale=alt.Scale(domain=[0, 1]), axis=axis),
        color=colour,
        shape=alt.Shape("kind:N", scale=scale_of({claimed: "circle", limit: "cross"}), legend=legend),
        tooltip=[
            *("data:N", "graph:N", "null_name:N", "kind:N"),
            *estimate("rate", "rejected", ".1%"),
            "repetitions:Q",
        ],
    )
    row = alt.Row("on:N", sort=None, header=alt.Header(title=None, orient="top"))
    return panels(
        *(band, span, dot), data=found.round(4), size=(280, None), independent="y", row=row, spacing=14
    )


@described(
    "Share of made-up layers and networks rejected at five percent against the strength of modules planted "
    "in them, by null and measure."
)
def power(table: pd.DataFrame) -> alt.FacetChart:
    """Plot rates of rejection (`rejections.power`) against the strength of planted modules."""
    normalised = table[table.graph.str.contains("normalised")]
    found = normalised.assign(
        measure=normalised.graph.str.split(",").str[0].replace("normalised", LAYER),
        on=normalised.data + ", " + normalised.null.map(chance.NULL_NAMES),
    )
    names = {**NAMES, LAYER: "made-up layer"}
    said = "{" + ", ".join(f"'{key}': '{value}'" for key, value in names.items()) + "}[datum.label]"
    base = alt.Chart().encode(
        x=alt.X("strength:Q", title="strength of planted modules", axis=alt.Axis(tickCount=4)),
        color=alt.Color(
            "measure:N",
            scale=scale_of({**COLOURS, LAYER: PURPLE}),
            legend=alt.Legend(title=None, orient="top", columns=2, labelExpr=said),
        ),
    )
    level = alt.Chart().mark_rule(strokeDash=[3, 3], color=GREY).encode(y=alt.datum(0.05))
    y = alt.Y("rate:Q", title="share rejected", axis=alt.Axis(format=".0%", tickCount=4))
    line = base.mark_line(strokeWidth=1.5).encode(y=y, detail="measure:N")
    dot = base.mark_point(filled=True, size=40, opacity=1).encode(
        y="rate:Q",
        tooltip=["on:N", "graph:N", "strength:Q", *estimate("rate", "rejected", ".0%"), "repetitions:Q"],
    )
    facets: dict[str, Any] = {"facet": alt.Facet("on:N", header=theme.NO_TITLE), "columns": 2, "spacing": 14}
    return panels(level, line, dot, data=found.round(4), size=(205, 130), independent="x", **facets)
