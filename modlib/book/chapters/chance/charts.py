"""Q beside its nulls: excess, rejections, memorised labels, and how the tests behave on made-up layers."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from modlib.book import theme
from modlib.book.chapters.chance import tables as chance
from modlib.book.theme import COLOURS, GREY, NAMES, REGULARIZERS, estimate, measure_colour, panels
from modlib.measures import MEASURES
from modlib.paper.graph_names import graph_key, graph_name
from modlib.study.accuracy_filter import GRAPH, LEVEL

SETTING_SHAPES = {"untrained": "cross", "weakest L2": "square", "strongest dropout": "circle"}
LABEL_SHAPES = {"true labels": "circle", "permuted labels": "square"}
GRAPH_ORDER = [NAMES[m] + n for m in MEASURES for n in ("", ", normalised")]
LAYER = "layer"  # a made-up layer, beside the measures of networks
PURPLE = "#8b5fbf"


def _not_stored(*names: str) -> Markdown:
    """Say which experiments are not stored and how to compute them."""
    commands = " and ".join(f"`python -m modlib run {name}`" for name in names)
    said = f"*Not stored yet. {commands} (with `--profile quick` or `paper`) computes what is shown here.*"
    return Markdown(said)  # type: ignore[no-untyped-call]


# --- tables for reading


def not_above(levels: pd.DataFrame | None) -> pd.DataFrame | Markdown:
    """Count the graphs whose Q is not above a null, by level and null, in `tables.levels`."""
    if levels is None:
        return _not_stored("close-up")
    table = chance.where_not_above(levels)
    table.index = pd.Index([_level(*level) for level in table.index], name="level")
    return table


def lowest(levels: pd.DataFrame | None, n: int = 12) -> pd.DataFrame | Markdown:
    """Tabulate the `n` levels and graphs of `tables.levels` with the lowest excess over a null."""
    if levels is None:
        return _not_stored("close-up")
    rows = chance.not_above(levels).head(n)
    shown = {
        "null": rows.null.map(chance.NULL_NAMES),
        "level": _level_names(rows),
        "graph": [graph_name(*graph_key(key)) for key in rows[GRAPH].itertuples(index=False, name=None)],
        **{name: rows[name].map("{:.3f}".format) for name in ("excess", "low", "high")},
    }
    return pd.DataFrame(shown).set_index("level")


def _level(regularizer: str, strength: float) -> str:
    name = REGULARIZERS[regularizer]
    return name if regularizer == "none" else f"{name} {strength:g}"


def _level_names(table: pd.DataFrame) -> list[str]:
    return [_level(*level) for level in table[LEVEL].itertuples(index=False, name=None)]


# --- Q of networks beside nulls


def rescored(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.Chart:
    """Plot Q of a layer, of draws with the layer's own partition, and of draws searched anew."""
    order = ["draws, only scored", "draws, searched", "the layer, searched"]
    colours = alt.Scale(domain=order, range=[GREY, PURPLE, COLOURS["input_cov"]])
    chart: alt.Chart = (
        alt.Chart(table.round({"q": 4}))
        .mark_tick(thickness=2, size=22)
        .encode(
            x=alt.X("q:Q", title="Q", axis=alt.Axis(tickCount=5)),
            y=alt.Y("how:N", sort=order, title=None, axis=alt.Axis(labelLimit=150)),
            color=alt.Color("how:N", scale=colours, legend=None),
            tooltip=["how:N", alt.Tooltip("q:Q", format=".3f")],
        )
        .properties(
            width=300,
            height=110,
            **theme.properties(
                description="Modularity of one layer and of draws of the similarity null, scored with the "
                "layer's partition and searched anew.",
                caption=caption,
                name=name,
            ),
        )
    )
    return chart


def excess(levels: pd.DataFrame | None, *, name: str = "", caption: str = "") -> alt.FacetChart | Markdown:
    """Plot Q less the mean of each null in `tables.levels`, by graph and layer, for the three settings."""
    if levels is None:
        return _not_stored("close-up")
    names = _setting_names(levels)
    table = _named(chance.at_settings(levels)).round(4)
    table["setting"] = table.setting.map(names)
    pick = alt.selection_point(fields=["setting"], bind="legend")
    shown = alt.condition(pick, alt.value(1.0), alt.value(0.1))
    base = alt.Chart().encode(y=_graphs())
    zero = alt.Chart().mark_rule(strokeDash=[3, 3], color=GREY).encode(x=alt.datum(0))
    span = base.mark_rule(strokeWidth=1.5).encode(
        x="low:Q", x2="high:Q", color=measure_colour(legend=None), opacity=shown
    )
    dot = _points(
        base,
        "setting",
        {said: SETTING_SHAPES[setting] for setting, said in names.items()},
        filled=names.get("strongest dropout", ""),
        x=alt.X("excess:Q", title="Q − mean of the null", axis=alt.Axis(tickCount=4)),
        opacity=shown,
        tooltip=[
            *("null_name:N", "graph:N", "layer:N", "setting:N"),
            alt.Tooltip("q:Q", title="Q", format=".3f"),
            alt.Tooltip("null_mean:Q", title="mean of the null", format=".3f"),
            *estimate("excess", "excess"),
            *_TESTS,
            "seeds:Q",
        ],
    )
    return panels(
        *(zero, span, dot),
        data=table,
        size=(170, 150),
        params=[pick],
        description="Modularity less the mean of each null with 95 percent intervals, by measure, "
        "layer and null, for untrained networks, the weakest L2 and the strongest dropout.",
        caption=caption,
        name=name,
        **_by_layer("null_name:N", sort=list(chance.NULL_NAMES.values())),
    )


def shares(levels: pd.DataFrame | None, *, name: str = "", caption: str = "") -> alt.FacetChart | Markdown:
    """Plot the share of networks with p ≤ .05 in `tables.levels`, a field of cells a null and layer."""
    if levels is None:
        return _not_stored("close-up")
    table = _named(levels)
    table["level"] = _level_names(table)
    order = list(dict.fromkeys(table.sort_values(LEVEL).level))
    x = alt.X("level:N", sort=order, title=None, axis=alt.Axis(labelAngle=-60, labelFontSize=11, grid=False))
    chart: alt.FacetChart = (
        alt.Chart(table.drop(columns="strength").round(4))
        .mark_rect()
        .encode(
            x=x,
            y=_graphs(grid=False),
            color=alt.Color(
                "share:Q",
                title="share with p ≤ .05",
                scale=alt.Scale(domain=[0, 1], scheme="viridis"),
                legend=alt.Legend(format=".0%", orient="top", gradientLength=170),
            ),
            tooltip=[
                *("null_name:N", "graph:N", "layer:N", "level:N"),
                *reversed(_TESTS),
                *estimate("excess", "excess of Q"),
                "seeds:Q",
            ],
        )
        .properties(width=170, height=140)
        .facet(**_by_layer("null_name:N", sort=list(chance.NULL_NAMES.values())))
        .properties(
            **theme.properties(
                description="For each null, layer, graph and level of regularisation, the share of networks "
                "whose modularity is above all but five percent of the null.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def labels(table: pd.DataFrame | None, *, name: str = "", caption: str = "") -> alt.FacetChart | Markdown:
    """Plot Q with true and with permuted labels of `tables.memorised`, by graph, layer and setting."""
    if table is None:
        return _not_stored("labels-shuffled", "labels-kept")
    names = _setting_names(table)
    named = _named(chance.at_settings(table))
    named["setting"] = named.setting.map(names)
    long = pd.concat(
        [
            named.assign(q=named[column], kind=kind, train_accuracy=named[f"train_{column}"])
            for column, kind in zip(("true", "shuffled"), LABEL_SHAPES, strict=True)
        ]
    ).drop(columns=["true", "shuffled", "train_true", "train_shuffled"])
    base = alt.Chart().encode(y=_graphs())
    line = base.mark_line(strokeWidth=1.5, opacity=0.6).encode(
        x="q:Q", detail="graph:N", color=measure_colour(legend=None)
    )
    dot = _points(
        base,
        "kind",
        LABEL_SHAPES,
        filled="true labels",
        x=alt.X("q:Q", title="Q", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
        tooltip=[
            *("graph:N", "layer:N", "setting:N", "kind:N"),
            alt.Tooltip("q:Q", title="Q", format=".3f"),
            *estimate("difference", "permuted − true, by seed"),
            alt.Tooltip("train_accuracy:Q", title="training accuracy", format=".3f"),
            "seeds:Q",
        ],
    )
    return panels(
        *(line, dot),
        data=long.round(4),
        size=(170, 150),
        description="Modularity of networks trained on true and on permuted labels of the same "
        "images, by measure and layer, for the weakest L2 and the strongest dropout.",
        caption=caption,
        name=name,
        **_by_layer("setting:N", sort=list(names.values())),
    )


_TESTS = [
    alt.Tooltip("z:Q", title="mean z", format=".1f"),
    alt.Tooltip("share:Q", title="networks with p ≤ .05", format=".0%"),
]


def _setting_names(table: pd.DataFrame) -> dict[str, str]:
    """Name the settings of a table as the charts do, which give the probability of dropout."""
    return {
        setting: _level(*level) if setting == "strongest dropout" else setting
        for setting, level in chance.settings(table).items()
    }


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Add names of graphs, layers and nulls as the charts show them."""
    graph = table.measure.map(NAMES) + table.normalized.map({True: ", normalised", False: ""})
    table = table.assign(graph=graph, layer="layer " + table.layer.astype(str))
    return table.assign(null_name=table.null.map(chance.NULL_NAMES)) if "null" in table else table


def _graphs(*, grid: bool = True) -> alt.Y:
    return alt.Y("graph:N", sort=GRAPH_ORDER, title=None, axis=alt.Axis(labelLimit=190, grid=grid))


def _points(base: alt.Chart, by: str, shapes: dict[str, str], *, filled: str, **encodings: Any) -> alt.Chart:
    """Draw points coloured by measure; values of the column `by` have shapes, and one of them is filled."""
    dot: alt.Chart = base.mark_point(size=46, strokeWidth=1.5).encode(
        stroke=measure_colour(legend=None),
        fill=alt.condition(
            getattr(alt.datum, by) == filled, measure_colour(legend=None), alt.value("transparent")
        ),
        shape=alt.Shape(
            f"{by}:N",
            scale=alt.Scale(domain=list(shapes), range=list(shapes.values())),
            legend=alt.Legend(title=None, orient="top", symbolStrokeColor=GREY),
        ),
        **encodings,
    )
    return dot


def _by_layer(row: str, **options: Any) -> dict[str, Any]:
    """Arrange panels with a column for each layer."""
    header = alt.Header(title=None)
    return {
        "row": alt.Row(row, header=header, **options),
        "column": alt.Column("layer:N", header=header),
        "spacing": {"row": 10, "column": 14},
    }


# --- how the tests behave


def size(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Plot rates of rejection on layers without modules (`rejections.size`), with the band around 5 %."""
    kinds = {False: "as the null has it", True: "not what the null draws"}
    found = table.assign(
        row=table.data.str.removeprefix("units as vectors in ") + np.where(table.graph == "raw", ", raw", ""),
        kind=table.limit.map(kinds),
        null_name=table.null.map(chance.NULL_NAMES),
    )
    networks = found.data == "random networks"
    found.loc[networks, "row"] = [_measure_name(graph) for graph in found.graph[networks]]
    found["on"] = np.where(networks, "random networks, ", "random layers, ") + found.null_name
    base = alt.Chart().encode(y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)))
    band = base.mark_rect(opacity=0.15, color=GREY).encode(x=alt.datum(0.03), x2=alt.datum(0.07))
    look: dict[str, Any] = {"domain": list(kinds.values())}
    legend = alt.Legend(title=None, orient="top", columns=1)
    colours = [COLOURS["input_cov"], COLOURS["output_grad"]]
    colour = alt.Color("kind:N", scale=alt.Scale(**look, range=colours), legend=legend)
    span = base.mark_rule(strokeWidth=1.5).encode(x="low:Q", x2="high:Q", color=colour)
    dot = base.mark_point(size=46, strokeWidth=1.5).encode(
        x=alt.X(
            "rate:Q",
            title="share rejected at 5 %",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".0%", values=[0.05, 0.25, 0.5, 0.75, 1]),
        ),
        color=colour,
        shape=alt.Shape("kind:N", scale=alt.Scale(**look, range=["circle", "cross"]), legend=legend),
        tooltip=[
            *("data:N", "graph:N", "null_name:N", "kind:N"),
            *estimate("rate", "rejected", ".1%"),
            "repetitions:Q",
        ],
    )
    return panels(
        *(band, span, dot),
        data=found.drop(columns=["limit"]).round(4),
        size=(205, None),
        independent="y",
        description="Share of made-up layers and networks without modules that each null rejects at "
        "five percent, with intervals, and a band from three to seven percent.",
        caption=caption,
        name=name,
        row=alt.Row("on:N", sort=None, header=alt.Header(title=None, orient="top")),
        spacing=14,
    )


def power(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Plot rates of rejection (`rejections.power`) against the strength of planted modules."""
    normalised = table[table.graph.str.contains("normalised")]
    found = normalised.assign(
        measure=normalised.graph.str.split(",").str[0].replace("normalised", LAYER),
        on=normalised.data + ", " + normalised.null.map(chance.NULL_NAMES),
    ).round(4)
    names = {**NAMES, LAYER: "made-up layer"}
    said = "{" + ", ".join(f"'{key}': '{value}'" for key, value in names.items()) + "}[datum.label]"
    base = alt.Chart().encode(
        x=alt.X("strength:Q", title="strength of planted modules", axis=alt.Axis(tickCount=4)),
        color=alt.Color(
            "measure:N",
            scale=alt.Scale(domain=list(names), range=[*COLOURS.values(), PURPLE]),
            legend=alt.Legend(title=None, orient="top", columns=2, labelExpr=said),
        ),
    )
    level = alt.Chart().mark_rule(strokeDash=[3, 3], color=GREY).encode(y=alt.datum(0.05))
    line = base.mark_line(strokeWidth=1.5).encode(
        y=alt.Y("rate:Q", title="share rejected", axis=alt.Axis(format=".0%", tickCount=4)),
        detail="measure:N",
    )
    dot = base.mark_point(filled=True, size=40, opacity=1).encode(
        y="rate:Q",
        tooltip=["on:N", "graph:N", "strength:Q", *estimate("rate", "rejected", ".0%"), "repetitions:Q"],
    )
    return panels(
        *(level, line, dot),
        data=found,
        size=(205, 130),
        independent="x",
        description="Share of made-up layers and networks rejected at five percent against the "
        "strength of modules planted in them, by null and measure.",
        caption=caption,
        name=name,
        facet=alt.Facet("on:N", header=alt.Header(title=None)),
        columns=2,
        spacing=14,
    )


def spectra(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Plot Q of layers beside the similarity null and rotations (`rotations.of_networks`), mean ± 2 sd."""
    kinds = {"q": "the layer", "similarity": "similarity null", "rotated": "rotations"}
    order = list(kinds.values())
    named = table.assign(measure_name=table.measure.map(NAMES), layer="layer " + table.layer.astype(str))
    named["network"] = named.network.str.split(",").str[0]
    columns = ["network", "layer", "measure", "measure_name"]
    parts = [named[columns].assign(kind=kinds["q"], q=named.q, low=named.q, high=named.q)]
    for null in ("similarity", "rotated"):
        middle, spread = named[f"{null}_mean"], 2 * named[f"{null}_sd"]
        parts.append(
            named[columns].assign(kind=kinds[null], q=middle, low=middle - spread, high=middle + spread)
        )
    colours = alt.Scale(domain=order, range=[COLOURS["input_cov"], GREY, COLOURS["output_grad"]])
    shapes = alt.Scale(domain=order, range=["circle", "square", "diamond"])
    base = alt.Chart().encode(
        y=alt.Y("measure_name:N", sort=[NAMES[m] for m in MEASURES], title=None),
        yOffset=alt.YOffset("kind:N", sort=order),
        color=alt.Color("kind:N", scale=colours, legend=theme.TOP_LEGEND),
    )
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(size=40, filled=True, opacity=1).encode(
        x=alt.X("q:Q", title="Q, normalised graphs", scale=alt.Scale(zero=False)),
        shape=alt.Shape("kind:N", scale=shapes, legend=theme.TOP_LEGEND),
        tooltip=[
            *("network:N", "layer:N", "measure_name:N", "kind:N"),
            alt.Tooltip("q:Q", title="Q", format=".3f"),
            alt.Tooltip("low:Q", title="mean − 2 sd", format=".3f"),
            alt.Tooltip("high:Q", title="mean + 2 sd", format=".3f"),
        ],
    )
    return panels(
        *(span, dot),
        data=pd.concat(parts).round(4),
        size=(170, 120),
        description="Modularity of layers of four networks beside draws of the similarity null and "
        "beside rotations that keep the spectrum.",
        caption=caption,
        name=name,
        **_by_layer("network:N"),
    )


def _measure_name(graph: str) -> str:
    measure, scale = graph.split(", ")
    return NAMES[measure] + (", normalised" if scale == "normalised" else "")
