"""Q beside its nulls: excess, rejections, memorised labels, and how the tests behave on made-up layers."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from modlib.book.chapters.chance import tables as chance
from modlib.book.theme import COLOURS, GREY, NAMES, REGULARIZERS, estimate, measure_colour, properties
from modlib.measures import MEASURES
from modlib.paper.graph_names import graph_key, graph_name
from modlib.study.accuracy_filter import GRAPH, LEVEL

SETTING_SHAPES = {"untrained": "cross", "plain": "square", "dropout": "circle"}
GRAPH_ORDER = [NAMES[m] + n for m in MEASURES for n in ("", ", normalised")]
LABELLED = ("true labels", "permuted labels")
LAYER = "layer"


def _not_yet(*names: str) -> Markdown:
    """Say which experiments are not stored and how to compute them."""
    commands = " and ".join(f"`python -m modlib run {name}`" for name in names)
    said = f"*Not stored yet. {commands} (with `--profile quick` or `paper`) computes what is shown here.*"
    return Markdown(said)  # type: ignore[no-untyped-call]


def not_above(levels: pd.DataFrame | None) -> pd.DataFrame | Markdown:
    """Count, by level and null, the graphs whose Q is not above the null.

    Parameters
    ----------
    levels
        As `modlib.book.chapters.chance.tables.by_level` gives it; without it, a note how to compute it.
    """
    if levels is None:
        return _not_yet("close-up")
    table = chance.where_not_above(levels)
    table.index = pd.Index([_level(*level) for level in table.index], name="level")
    return table


def lowest(levels: pd.DataFrame | None, n: int = 12) -> pd.DataFrame | Markdown:
    """Tabulate the levels and graphs with the lowest excess over a null.

    Parameters
    ----------
    levels
        As for `not_above`.
    n
        How many.
    """
    if levels is None:
        return _not_yet("close-up")
    rows = chance.not_above(levels).head(n)
    shown = {
        "null": rows.null.map(chance.NULL_NAMES),
        "level": [_level(*level) for level in rows[LEVEL].itertuples(index=False, name=None)],
        "graph": [graph_name(*graph_key(key)) for key in rows[GRAPH].itertuples(index=False, name=None)],
        **{name: rows[name].map("{:.3f}".format) for name in ("excess", "low", "high")},
    }
    return pd.DataFrame(shown).set_index("level")


def _level(regularizer: str, strength: float) -> str:
    return f"{REGULARIZERS[regularizer]} {strength:g}"


def _setting_names(table: pd.DataFrame) -> dict[str, str]:
    """Name the levels that `modlib.book.chapters.chance.tables.settings` finds."""
    names = {"untrained": "untrained", "plain": "weakest L2"}
    return {name: names.get(name, _level(*level)) for name, level in chance.settings(table).items()}


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Add names of graphs and layers as the charts show them."""
    graph = table.measure.map(NAMES) + table.normalized.map({True: ", normalised", False: ""})
    return table.assign(graph=graph, layer="layer " + table.layer.astype(str))


def _graphs(*, grid: bool = True) -> alt.Y:
    return alt.Y("graph:N", sort=GRAPH_ORDER, title=None, axis=alt.Axis(labelLimit=190, grid=grid))


def _by_layer(row: str, **options: Any) -> dict[str, Any]:
    """Panels with a column for each layer, and what their rows are."""
    header = alt.Header(title=None)
    return {
        "row": alt.Row(row, header=header, **options),
        "column": alt.Column("layer:N", header=header),
        "spacing": {"row": 10, "column": 14},
    }


def rescored(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.Chart:
    """Q of a layer, of draws with the layer's own partition, and of draws searched anew.

    Parameters
    ----------
    table
        As `modlib.book.chapters.chance.tables.rescored` gives it.
    """
    order = ["draws, only scored", "draws, searched", "the layer, searched"]
    chart: alt.Chart = (
        alt.Chart(table.round({"q": 4}))
        .mark_tick(thickness=2, size=22)
        .encode(
            x=alt.X("q:Q", title="Q", axis=alt.Axis(tickCount=5)),
            y=alt.Y("how:N", sort=order, title=None, axis=alt.Axis(labelLimit=150)),
            color=alt.Color(
                "how:N", scale=alt.Scale(domain=order, range=[GREY, "#8b5fbf", "#1b6ca8"]), legend=None
            ),
            tooltip=["how:N", alt.Tooltip("q:Q", format=".3f")],
        )
        .properties(
            width=300,
            height=110,
            **properties(
                description="Modularity of one layer and of draws of the similarity null, scored with the "
                "layer's partition and searched anew.",
                caption=caption,
                name=name,
            ),
        )
    )
    return chart


def excess(levels: pd.DataFrame | None, *, name: str = "", caption: str = "") -> alt.FacetChart | Markdown:
    """Q less the mean of a null, by graph, layer and null; untrained, weakest L2 and strongest dropout.

    Parameters
    ----------
    levels
        As `modlib.book.chapters.chance.tables.by_level` gives it; without it, a note how to compute it.
    """
    if levels is None:
        return _not_yet("close-up")
    names = _setting_names(levels)
    found = [
        chance.at(levels, level).assign(setting=names[setting])
        for setting, level in chance.settings(levels).items()
    ]
    table = _named(pd.concat(found)).round(4)
    table["null_name"] = table.null.map(chance.NULL_NAMES)
    pick = alt.selection_point(fields=["setting"], bind="legend")
    shown = alt.condition(pick, alt.value(1.0), alt.value(0.1))
    base = alt.Chart().encode(y=_graphs())
    zero = alt.Chart().mark_rule(strokeDash=[3, 3], color=GREY).encode(x=alt.datum(0))
    span = base.mark_rule(strokeWidth=1.5).encode(
        x="low:Q", x2="high:Q", color=measure_colour(legend=None), opacity=shown
    )
    dot = base.mark_point(size=46, strokeWidth=1.5).encode(
        x=alt.X("excess:Q", title="Q − mean of the null", axis=alt.Axis(tickCount=4)),
        stroke=measure_colour(legend=None),
        fill=alt.condition(
            alt.datum.setting == names.get("dropout", ""),
            measure_colour(legend=None),
            alt.value("transparent"),
        ),
        shape=alt.Shape(
            "setting:N",
            scale=alt.Scale(
                domain=list(names.values()), range=[SETTING_SHAPES[setting] for setting in names]
            ),
            legend=alt.Legend(title=None, orient="top", symbolStrokeColor=GREY),
        ),
        opacity=shown,
        tooltip=[
            "null_name:N",
            "graph:N",
            "layer:N",
            "setting:N",
            alt.Tooltip("q:Q", title="Q", format=".3f"),
            alt.Tooltip("null_mean:Q", title="mean of the null", format=".3f"),
            *estimate("excess", "excess"),
            alt.Tooltip("z:Q", title="mean z", format=".1f"),
            alt.Tooltip("share:Q", title="networks with p ≤ .05", format=".0%"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(zero, span, dot, data=table)
        .properties(width=170, height=150)
        .facet(**_by_layer("null_name:N", sort=list(chance.NULL_NAMES.values())))
        .add_params(pick)
        .properties(
            **properties(
                description="Modularity less the mean of each null with 95 percent intervals, by measure, "
                "layer and null, for untrained networks, the weakest L2 and the strongest dropout.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def shares(levels: pd.DataFrame | None, *, name: str = "", caption: str = "") -> alt.FacetChart | Markdown:
    """Share of networks with p ≤ .05 by level, graph, layer and null, as a field of cells.

    Parameters
    ----------
    levels
        As `modlib.book.chapters.chance.tables.by_level` gives it; without it, a note how to compute it.
    """
    if levels is None:
        return _not_yet("close-up")
    table = _named(levels)
    trained = table.regularizer.map(REGULARIZERS) + " " + table.strength.map("{:g}".format)
    table["level"] = trained.where(table.regularizer != "none", REGULARIZERS["none"])
    order = (
        table[["regularizer", "strength", "level"]]
        .drop_duplicates()
        .sort_values(["regularizer", "strength"])
        .level.to_list()
    )
    table["null_name"] = table.null.map(chance.NULL_NAMES)
    chart: alt.FacetChart = (
        alt.Chart(table.drop(columns="strength").round(4))
        .mark_rect()
        .encode(
            x=alt.X(
                "level:N", sort=order, title=None, axis=alt.Axis(labelAngle=-60, labelFontSize=11, grid=False)
            ),
            y=_graphs(grid=False),
            color=alt.Color(
                "share:Q",
                title="share with p ≤ .05",
                scale=alt.Scale(domain=[0, 1], scheme="viridis"),
                legend=alt.Legend(format=".0%", orient="top", gradientLength=170),
            ),
            tooltip=[
                "null_name:N",
                "graph:N",
                "layer:N",
                "level:N",
                alt.Tooltip("share:Q", title="networks with p ≤ .05", format=".0%"),
                alt.Tooltip("z:Q", title="mean z", format=".1f"),
                *estimate("excess", "excess of Q"),
                alt.Tooltip("seeds:Q"),
            ],
        )
        .properties(width=170, height=140)
        .facet(**_by_layer("null_name:N", sort=list(chance.NULL_NAMES.values())))
        .properties(
            **properties(
                description="For each null, layer, graph and level of regularisation, the share of networks "
                "whose modularity is above all but five percent of the null.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def labels(table: pd.DataFrame | None, *, name: str = "", caption: str = "") -> alt.FacetChart | Markdown:
    """Q with true and with permuted labels, by graph and layer, at the weakest L2 and strongest dropout.

    Parameters
    ----------
    table
        As `modlib.book.chapters.chance.tables.labels` gives it; without it, a note how to compute it.
    """
    if table is None:
        return _not_yet("labels-shuffled", "labels-kept")
    names = _setting_names(table)
    found = [
        chance.at(table, level).assign(setting=names[setting])
        for setting, level in chance.settings(table).items()
    ]
    named = _named(pd.concat(found))
    long = pd.concat(
        [
            named.assign(q=named[column], kind=kind, train_accuracy=named[f"train_{column}"])
            for column, kind in zip(("true", "shuffled"), LABELLED, strict=True)
        ]
    ).drop(columns=["true", "shuffled", "train_true", "train_shuffled"])
    base = alt.Chart().encode(y=_graphs())
    line = base.mark_line(strokeWidth=1.5, opacity=0.6).encode(
        x="q:Q", detail="graph:N", color=measure_colour(legend=None)
    )
    dot = base.mark_point(size=46, strokeWidth=1.5).encode(
        x=alt.X("q:Q", title="Q", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
        stroke=measure_colour(legend=None),
        fill=alt.condition(
            alt.datum.kind == LABELLED[0], measure_colour(legend=None), alt.value("transparent")
        ),
        shape=alt.Shape(
            "kind:N",
            scale=alt.Scale(domain=list(LABELLED), range=["circle", "square"]),
            legend=alt.Legend(title=None, orient="top", symbolStrokeColor=GREY),
        ),
        tooltip=[
            "graph:N",
            "layer:N",
            "setting:N",
            "kind:N",
            alt.Tooltip("q:Q", title="Q", format=".3f"),
            *estimate("difference", "permuted − true, by seed"),
            alt.Tooltip("train_accuracy:Q", title="training accuracy", format=".3f"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(line, dot, data=long.round(4))
        .properties(width=170, height=150)
        .facet(**_by_layer("setting:N", sort=list(names.values())))
        .properties(
            **properties(
                description="Modularity of networks trained on true and on permuted labels of the same "
                "images, by measure and layer, for the weakest L2 and the strongest dropout.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def size(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Rate of rejection on layers without modules, with 95 % intervals and the band around 5 %.

    Parameters
    ----------
    table
        As `modlib.paper.simulations.rejections.size` gives it.
    """
    found = table.assign(
        row=table.data.str.removeprefix("units as vectors in ") + np.where(table.graph == "raw", ", raw", ""),
        kind=table.limit.map({False: "as the null has it", True: "not what the null draws"}),
        null_name=table.null.map(chance.NULL_NAMES),
    )
    networks = found.data == "random networks"
    found.loc[networks, "row"] = [_measure_name(graph) for graph in found.graph[networks]]
    found["on"] = np.where(networks, "random networks, ", "random layers, ") + found.null_name
    found = found.drop(columns=["limit"]).round(4)
    base = alt.Chart().encode(y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)))
    band = base.mark_rect(opacity=0.15, color=GREY).encode(x=alt.datum(0.03), x2=alt.datum(0.07))
    span = base.mark_rule(strokeWidth=1.5).encode(x="low:Q", x2="high:Q")
    kinds = ["as the null has it", "not what the null draws"]
    legend = alt.Legend(title=None, orient="top", columns=1)
    dot = base.mark_point(size=46, strokeWidth=1.5).encode(
        x=alt.X(
            "rate:Q",
            title="share rejected at 5 %",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".0%", values=[0.05, 0.25, 0.5, 0.75, 1]),
        ),
        shape=alt.Shape(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=["circle", "cross"]),
            legend=legend,
        ),
        tooltip=[
            "data:N",
            "graph:N",
            "null_name:N",
            "kind:N",
            alt.Tooltip("rate:Q", title="rejected", format=".1%"),
            alt.Tooltip("low:Q", title="95 % from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"),
            alt.Tooltip("repetitions:Q"),
        ],
    )
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=["#1b6ca8", "#d95f02"]), legend=legend)
    chart: alt.FacetChart = (
        alt.layer(band, span.encode(color=colour), dot.encode(color=colour), data=found)
        .properties(width=205)
        .facet(row=alt.Row("on:N", sort=None, header=alt.Header(title=None, orient="top")), spacing=14)
        .resolve_scale(y="independent")
        .properties(
            **properties(
                description="Share of made-up layers and networks without modules that each null rejects at "
                "five percent, with intervals, and a band from three to seven percent.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def power(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Rate of rejection against the strength of planted modules.

    Parameters
    ----------
    table
        As `modlib.paper.simulations.rejections.power` gives it.
    """
    normalised = table[table.graph.str.contains("normalised")]
    found = normalised.assign(
        measure=normalised.graph.str.split(",").str[0].replace("normalised", LAYER),
        on=normalised.data + ", " + normalised.null.map(chance.NULL_NAMES),
    ).round(4)
    names = {**NAMES, LAYER: "made-up layer"}
    said = "{" + ", ".join(f"'{key}': '{value}'" for key, value in names.items()) + "}[datum.label]"
    colour = alt.Color(
        "measure:N",
        scale=alt.Scale(domain=list(names), range=[*COLOURS.values(), "#8b5fbf"]),
        legend=alt.Legend(title=None, orient="top", columns=2, labelExpr=said),
    )
    base = alt.Chart().encode(
        x=alt.X("strength:Q", title="strength of planted modules", axis=alt.Axis(tickCount=4)),
        color=colour,
    )
    level = alt.Chart().mark_rule(strokeDash=[3, 3], color=GREY).encode(y=alt.datum(0.05))
    line = base.mark_line(strokeWidth=1.5).encode(
        y=alt.Y("rate:Q", title="share rejected", axis=alt.Axis(format=".0%", tickCount=4)),
        detail="measure:N",
    )
    dot = base.mark_point(filled=True, size=40, opacity=1).encode(
        y="rate:Q",
        tooltip=[
            "on:N",
            "graph:N",
            "strength:Q",
            alt.Tooltip("rate:Q", title="rejected", format=".0%"),
            alt.Tooltip("low:Q", title="95 % from", format=".0%"),
            alt.Tooltip("high:Q", title="to", format=".0%"),
            alt.Tooltip("repetitions:Q"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(level, line, dot, data=found)
        .properties(width=205, height=130)
        .facet(facet=alt.Facet("on:N", header=alt.Header(title=None)), columns=2, spacing=14)
        .resolve_scale(x="independent")
        .properties(
            **properties(
                description="Share of made-up layers and networks rejected at five percent against the "
                "strength of modules planted in them, by null and measure.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def spectra(table: pd.DataFrame, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Q of layers beside the similarity null and beside rotations, mean ± 2 sd of the draws.

    Parameters
    ----------
    table
        As `modlib.paper.simulations.rotations.of_networks` gives it.
    """
    kinds = {"q": "the layer", "similarity": "similarity null", "rotated": "rotations"}
    named = table.assign(measure_name=table.measure.map(NAMES), layer="layer " + table.layer.astype(str))
    named["network"] = named.network.str.split(",").str[0]
    columns = ["network", "layer", "measure", "measure_name"]
    parts = [named[columns].assign(kind=kinds["q"], q=named.q, low=named.q, high=named.q)]
    for null in ("similarity", "rotated"):
        middle, spread = named[f"{null}_mean"], 2 * named[f"{null}_sd"]
        parts.append(
            named[columns].assign(kind=kinds[null], q=middle, low=middle - spread, high=middle + spread)
        )
    found = pd.concat(parts).round(4)
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(kinds.values()), range=["#1b6ca8", GREY, "#d95f02"]),
        legend=alt.Legend(title=None, orient="top"),
    )
    base = alt.Chart().encode(
        y=alt.Y("measure_name:N", sort=[NAMES[m] for m in MEASURES], title=None),
        yOffset=alt.YOffset("kind:N", sort=list(kinds.values())),
        color=colour,
    )
    span = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    dot = base.mark_point(size=40, filled=True, opacity=1).encode(
        x=alt.X("q:Q", title="Q, normalised graphs", scale=alt.Scale(zero=False)),
        shape=alt.Shape(
            "kind:N",
            scale=alt.Scale(domain=list(kinds.values()), range=["circle", "square", "diamond"]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        tooltip=[
            "network:N",
            "layer:N",
            "measure_name:N",
            "kind:N",
            alt.Tooltip("q:Q", title="Q", format=".3f"),
            alt.Tooltip("low:Q", title="mean − 2 sd", format=".3f"),
            alt.Tooltip("high:Q", title="mean + 2 sd", format=".3f"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(span, dot, data=found)
        .properties(width=170, height=120)
        .facet(**_by_layer("network:N"))
        .properties(
            **properties(
                description="Modularity of layers of four networks beside draws of the similarity null and "
                "beside rotations that keep the spectrum.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart


def _measure_name(graph: str) -> str:
    measure, scale = graph.split(", ")
    return NAMES[measure] + (", normalised" if scale == "normalised" else "")
