"""Charts for small graphs and small networks: who is joined to whom, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt
import igraph as ig
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modlib.book.theme import COLOURS, properties

Figure: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart

FAMILY_COLOURS = {
    "upstream": [COLOURS["input_cov"], COLOURS["input_grad"]],
    "downstream": [COLOURS["output_grad"], COLOURS["output_hess"]],
}
NEUTRAL = "#6b7280"  # under white numbers; stands out on the light and on the dark page
# Modules of a graph that belongs to neither family; the shape says the same to those who see no hue.
MODULE_COLOURS = ["#8b5fbf", "#2f8f5b", "#b04a78", "#7c6a2e", "#4a6d8c"]
MODULE_SHAPES = ["circle", "square", "diamond", "triangle-up", "cross"]
BARE = alt.ViewBackground(stroke=None)


def node_link(
    A: Float[np.ndarray, "unit unit"],
    labels: Int[np.ndarray, " unit"] | None = None,
    *,
    description: str,
    caption: str = "",
    name: str = "",
    title: str = "",
    palette: Sequence[str] | None = None,
    size: int = 260,
) -> Figure:
    """Draw a weighted graph: units as points, weights as the strength of the lines.

    Parameters
    ----------
    A
        Adjacency matrix, symmetric and not negative.
    labels
        Module of each unit, shown by colour and shape; None draws all units alike.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    title
        Above the chart.
    palette
        Colours of the modules; by default hues that belong to neither family.
    size
        Width in pixels; the height follows from the graph.

    Returns
    -------
    Figure
        With tooltips that name unit, module and degree.
    """
    labels = np.zeros(len(A), dtype=int) if labels is None else labels
    i, j = np.nonzero(np.triu(A, 1))
    graph = ig.Graph(len(A), edges=list(zip(i.tolist(), j.tolist(), strict=True)))
    # Kamada-Kawai starts from a circle: the same graph is always drawn the same way.
    place = np.array(graph.layout_kamada_kawai().coords)
    place -= (place.max(axis=0) + place.min(axis=0)) / 2
    place[:, 0] *= -np.sign(place[0, 0]) or 1  # unit 1 on the left
    width, height = size, max(110, round(size * np.ptp(place[:, 1]) / max(np.ptp(place[:, 0]), 1e-9)))
    edges = pd.DataFrame(
        {
            "x": place[i, 0],
            "y": place[i, 1],
            "x2": place[j, 0],
            "y2": place[j, 1],
            "weight": A[i, j],
            "units": [f"{a + 1} – {b + 1}" for a, b in zip(i, j, strict=True)],
        }
    )
    nodes = pd.DataFrame(
        {
            "x": place[:, 0],
            "y": place[:, 1],
            "unit": np.arange(len(A)) + 1,
            "module": labels + 1,
            "degree": A.sum(axis=1),
        }
    )
    modules = sorted(set(nodes["module"]))
    colours = list(palette or MODULE_COLOURS)
    reach = 1.2 * np.abs(place).max(axis=0)
    x_axis: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[-reach[0], reach[0]], nice=False)}
    y_axis: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[-reach[1], reach[1]], nice=False)}
    lines = (
        alt.Chart(edges)
        .mark_rule()
        .encode(
            x=alt.X("x:Q", **x_axis),
            y=alt.Y("y:Q", **y_axis),
            x2="x2:Q",
            y2="y2:Q",
            strokeWidth=alt.StrokeWidth(
                "weight:Q", scale=alt.Scale(domain=[0, float(A.max())], range=[0.3, 3]), legend=None
            ),
            tooltip=["units:N", alt.Tooltip("weight:Q", format=".2f")],
        )
    )
    points = (
        alt.Chart(nodes)
        .mark_point(size=420, filled=True, opacity=1)
        .encode(
            x=alt.X("x:Q", **x_axis),
            y=alt.Y("y:Q", **y_axis),
            color=alt.Color(
                "module:N",
                scale=alt.Scale(domain=modules, range=colours[: len(modules)]),
                legend=None if len(modules) == 1 else alt.Legend(title="module"),
            ),
            shape=alt.Shape(
                "module:N",
                scale=alt.Scale(domain=modules, range=MODULE_SHAPES[: len(modules)]),
                legend=None if len(modules) == 1 else alt.Legend(title="module"),
            ),
            tooltip=["unit:O", "module:N", alt.Tooltip("degree:Q", format=".2f")],
        )
    )
    names = points.mark_text(fontSize=12, fontWeight="bold", color="white").encode(
        text="unit:O", color=alt.value("white"), shape=alt.value("circle")
    )
    return alt.layer(lines, points, names).properties(
        width=width,
        height=height,
        title=title,
        view=BARE,
        **properties(description=description, caption=caption, name=name),
    )


def _significant(values: Float[np.ndarray, " cell"]) -> Float[np.ndarray, " cell"]:
    """Round to a thousandth of the largest value: what the eye can tell, at a fifth of the page's weight."""
    top = float(values.max()) if values.size else 0.0
    return np.round(values, max(0, 3 - int(np.floor(np.log10(top))))) if top > 0 else values


def heatmap(
    S: Float[np.ndarray, "unit unit"],
    labels: Int[np.ndarray, " unit"] | None = None,
    *,
    colour: str,
    description: str,
    caption: str = "",
    name: str = "",
    title: str = "",
    order: Int[np.ndarray, " unit"] | None = None,
    size: int = 220,
    legend: bool = False,
) -> Figure:
    """Draw the absolute values of a similarity matrix, with lines where one module ends.

    Parameters
    ----------
    S
        Similarity or adjacency matrix; its diagonal is left blank, as it takes no part in Q.
    labels
        Module of each unit; lines are drawn where neighbours in the drawn order differ.
    colour
        Colour of the largest value; smaller ones are fainter, zero is the page itself.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    title
        Above the chart.
    order
        Units in the order in which to draw them; by default sorted by ``labels``.
    size
        Width and height in pixels.
    legend
        Whether to show the scale.

    Returns
    -------
    Figure
        With tooltips that name the two units and their similarity.
    """
    n = len(S)
    if order is None:
        # Dead units (−1) come last.
        order = np.arange(n) if labels is None else np.lexsort((labels, labels < 0))
    i, j = np.nonzero(~np.eye(n, dtype=bool))
    # Short names and nothing that can be worked out again: this table is written into the page.
    cells = pd.DataFrame({"r": i, "c": j, "s": _significant(np.abs(S[np.ix_(order, order)][i, j]))})
    units = (order + 1).tolist()
    names = pd.DataFrame({"at": np.arange(n) + 0.5, "unit": order + 1})
    scale = alt.Scale(domain=[0, n], nice=False)
    down = alt.Scale(domain=[n, 0], nice=False)
    squares = (
        alt.Chart(cells)
        .mark_rect(color=colour)
        .encode(
            x=alt.X("c:Q", scale=scale, axis=None),
            x2="c2:Q",
            y=alt.Y("r:Q", scale=down, axis=None),
            y2="r2:Q",
            opacity=alt.Opacity(
                "s:Q",
                scale=alt.Scale(domain=[0, max(float(cells["s"].max()), 1e-12)], range=[0.02, 1]),
                legend=alt.Legend(title="similarity", format=".1f") if legend else None,
            ),
            tooltip=["unit:O", "other:O", alt.Tooltip("s:Q", format=".3~g", title="similarity")],
        )
        .transform_calculate(
            r2="datum.r + 1", c2="datum.c + 1", unit=f"{units}[datum.r]", other=f"{units}[datum.c]"
        )
    )
    text = alt.Chart(names).mark_text(fontSize=10)
    down_names = text.encode(x=alt.value(-9), y=alt.Y("at:Q", scale=down, axis=None), text="unit:O")
    along_names = text.encode(x=alt.X("at:Q", scale=scale, axis=None), y=alt.value(-8), text="unit:O")
    layers: list[alt.Chart] = [squares]
    if n <= 16:
        layers += [down_names, along_names]
    if labels is not None:
        ends = np.nonzero(np.diff(labels[order]))[0] + 1
        cuts = alt.Chart(pd.DataFrame({"cut": [0, *ends, n]}))
        line: dict[str, Any] = {"strokeWidth": 1.5}
        layers += [
            cuts.mark_rule(**line).encode(x=alt.X("cut:Q", scale=scale, axis=None)),
            cuts.mark_rule(**line).encode(y=alt.Y("cut:Q", scale=down, axis=None)),
        ]
    return alt.layer(*layers).properties(
        width=size,
        height=size,
        title=alt.Title(title, offset=14),
        view=BARE,
        **properties(description=description, caption=caption, name=name),
    )


def heatmaps(
    matrices: Mapping[str, Float[np.ndarray, "unit unit"]],
    labels: Mapping[str, Int[np.ndarray, " unit"]] | Int[np.ndarray, " unit"] | None = None,
    *,
    description: str,
    caption: str = "",
    name: str = "",
    order: Int[np.ndarray, " unit"] | None = None,
    colours: Mapping[str, str] = COLOURS,
    columns: int = 2,
    size: int = 200,
) -> Figure:
    """Draw several heatmaps, by default one per measure in the colour of its measure.

    Parameters
    ----------
    matrices
        Similarity matrices by measure, or by another title.
    labels
        One partition for all, or one per matrix.
    description
        What the charts show together, for readers who cannot see them.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    order
        Units in the order in which to draw them in every heatmap.
    colours
        Colour of each matrix; by default that of the measure.
    columns
        Heatmaps side by side.
    size
        Width and height of each in pixels.

    Returns
    -------
    Figure
        In the order of ``matrices``.
    """
    charts = [
        heatmap(
            S,
            labels[title] if isinstance(labels, Mapping) else labels,
            colour=colours[title],
            description=f"Similarity of units by {title}",
            title=title,
            order=order,
            size=size,
        )
        for title, S in matrices.items()
    ]
    return alt.concat(*charts, columns=columns).properties(
        **properties(description=description, caption=caption, name=name)
    )


def network_diagram(
    w_in: Float[np.ndarray, "input unit"],
    w_out: Float[np.ndarray, "unit class"],
    upstream: Int[np.ndarray, " unit"],
    downstream: Int[np.ndarray, " unit"],
    *,
    description: str,
    caption: str = "",
    name: str = "",
    width: int = 460,
    height: int = 280,
) -> Figure:
    """Draw a network with one hidden layer: inputs below, hidden units between, classes above.

    Lines are weights, faint where small, dashed where negative. What a unit reads is drawn in the
    colours of the upstream family, what it drives in those of the downstream family.

    Parameters
    ----------
    w_in, w_out
        Weights into and out of the hidden layer.
    upstream, downstream
        Group of inputs that each unit reads, group of classes that it drives; at most two of each.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    width, height
        In pixels.

    Returns
    -------
    Figure
        With tooltips that give the weights.
    """
    n_in, n_hidden, n_out = *w_in.shape, w_out.shape[1]
    x_in, x_hidden, x_out = (np.linspace(0, 1, k + 2)[1:-1] for k in (n_in, n_hidden, n_out))
    up, down = FAMILY_COLOURS["upstream"], FAMILY_COLOURS["downstream"]
    lines: list[dict[str, Any]] = []
    for weights, xs, ys, y in ((w_in, x_in, x_hidden, 0), (w_out, x_hidden, x_out, 1)):
        for a, b in np.ndindex(*weights.shape):
            colour = up[upstream[b] % 2] if y == 0 else down[downstream[a] % 2]
            lines.append(
                {"x": xs[a], "y": y, "x2": ys[b], "y2": y + 1, "weight": weights[a, b], "colour": colour}
                | {"size": abs(weights[a, b]) / np.abs(weights).max(), "negative": bool(weights[a, b] < 0)}
            )
    points = pd.DataFrame(
        [{"x": x, "y": 0, "name": f"input {k + 1}", "text": f"{k + 1}"} for k, x in enumerate(x_in)]
        + [{"x": x, "y": 1, "name": f"unit {k + 1}", "text": f"{k + 1}"} for k, x in enumerate(x_hidden)]
        + [{"x": x, "y": 2, "name": f"class {k + 1}", "text": f"{k + 1}"} for k, x in enumerate(x_out)]
    )
    ends = pd.DataFrame({"x": [0.0] * 3, "y": [0, 1, 2], "text": ["inputs", "hidden units", "classes"]})
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.1, 1]))
    y_axis = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.2, 2.2]))
    edges = (
        alt.Chart(pd.DataFrame(lines))
        .mark_rule(strokeWidth=2)
        .encode(
            x=x,
            y=y_axis,
            x2="x2:Q",
            y2="y2:Q",
            color=alt.Color("colour:N", scale=None),
            opacity=alt.Opacity("size:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None),
            strokeDash=alt.condition("datum.negative", alt.value([5, 3]), alt.value([1, 0])),
            tooltip=[alt.Tooltip("weight:Q", format=".2f")],
        )
    )
    base = alt.Chart(points).encode(x=x, y=y_axis, tooltip=["name:N"])
    circles = base.mark_circle(size=460, color=NEUTRAL, opacity=1)
    numbers = base.mark_text(color="white", fontWeight="bold").encode(text="text:N")
    rows = alt.Chart(ends).mark_text(align="center", fontSize=11).encode(x=x, y=y_axis, text="text:N")
    return alt.layer(edges, circles, numbers, rows).properties(
        width=width,
        height=height,
        view=BARE,
        **properties(description=description, caption=caption, name=name),
    )


def q_against_size(
    table: pd.DataFrame,
    *,
    description: str,
    caption: str = "",
    name: str = "",
    series: str = "graphs",
    width: int = 420,
    height: int = 240,
) -> Figure:
    """Draw the best Q found against the size of the graph, one line a series.

    Parameters
    ----------
    table
        Columns ``units``, ``q`` and the one that names the series; one row a graph.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    series
        Name of the column.
    width, height
        In pixels.

    Returns
    -------
    Figure
        Mean as a line, single graphs as faint points.
    """
    names = list(dict.fromkeys(table[series]))
    encoding: dict[str, Any] = {
        "x": alt.X("units:Q", title="units in the graph", scale=alt.Scale(type="log", base=2, nice=False)),
        "color": alt.Color(
            f"{series}:N",
            scale=alt.Scale(domain=names, range=MODULE_COLOURS[: len(names)]),
            legend=alt.Legend(orient="bottom", title=None),
        ),
        "shape": alt.Shape(f"{series}:N", scale=alt.Scale(domain=names, range=["circle", "square"])),
    }
    y = alt.Y("q:Q", title="best Q found", scale=alt.Scale(domainMin=0))
    means = table.groupby([series, "units"], sort=False, as_index=False)["q"].mean()
    single = alt.Chart(table).mark_point(size=25, opacity=0.5).encode(**encoding, y=y)
    line = (
        alt.Chart(means)
        .mark_line(point={"filled": True, "size": 50})
        .encode(**encoding, y=y, tooltip=[f"{series}:N", "units:Q", alt.Tooltip("q:Q", format=".3f")])
    )
    return alt.layer(single, line).properties(
        width=width, height=height, **properties(description=description, caption=caption, name=name)
    )


def restarts_chart(
    table: pd.DataFrame,
    *,
    description: str,
    caption: str = "",
    name: str = "",
    series: str = "graph",
    width: int = 420,
    height: int = 240,
) -> Figure:
    """Draw how alike the partitions of many restarts are to the best one, against their Q.

    Parameters
    ----------
    table
        Columns ``q``, ``ami`` and the one that names the series; one row a restart.
    description
        What the chart shows, for readers who cannot see it.
    caption, name
        Of the figure on the page; without a caption it is not numbered.
    series
        Name of the column.
    width, height
        In pixels.

    Returns
    -------
    Figure
        One point a restart.
    """
    names = list(dict.fromkeys(table[series]))
    colour = alt.Color(
        f"{series}:N",
        scale=alt.Scale(domain=names, range=MODULE_COLOURS[: len(names)]),
        legend=alt.Legend(orient="bottom", title=None),
    )
    chart: Figure = (
        alt.Chart(table)
        .mark_point(filled=True, opacity=0.6)
        .encode(
            x=alt.X("relative:Q", title="Q of the restart ÷ best Q", scale=alt.Scale(zero=False, padding=10)),
            y=alt.Y("ami:Q", title="agreement with the best (AMI)"),
            color=colour,
            shape=alt.Shape(f"{series}:N", scale=alt.Scale(domain=names, range=["circle", "square"])),
            # The first series is drawn large, so that it shows where later ones lie on top of it.
            size=alt.Size(f"{series}:N", scale=alt.Scale(domain=names, range=[220, 40]), legend=None),
            tooltip=[f"{series}:N", alt.Tooltip("q:Q", format=".3f"), alt.Tooltip("ami:Q", format=".2f")],
        )
        .transform_joinaggregate(best="max(q)", groupby=[series])
        .transform_calculate(relative="datum.q / datum.best")
        .properties(
            width=width, height=height, **properties(description=description, caption=caption, name=name)
        )
    )
    return chart
