"""Charts of toy problems: a graph, a network with one hidden layer, Q by size, and restarts of the search."""

from typing import Any

import altair as alt
import igraph as ig
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modlib.book.theme import COLOURS, NO_FRAME, SERIES_COLOURS, Layered, described

UPSTREAM = [COLOURS["input_cov"], COLOURS["input_grad"]]
DOWNSTREAM = [COLOURS["output_grad"], COLOURS["output_hess"]]
NEUTRAL = SERIES_COLOURS[-1]  # under white numbers
# Modules of a graph that belongs to neither family; the shape says the same to those who see no hue.
MODULE_SHAPES = ["circle", "square", "diamond", "triangle-up", "cross"]


@described()
def node_link(
    A: Float[np.ndarray, "unit unit"] | Int[np.ndarray, "unit unit"],
    labels: Int[np.ndarray, " unit"],
    *,
    title: str = "",
    size: int = 260,
) -> Layered:
    """Draw a weighted graph, `size` wide: units as points, by module, weights as the strength of lines."""
    i, j = np.nonzero(np.triu(A, 1))
    place = _positions(len(A), i, j)
    reach = 1.2 * np.abs(place).max(axis=0)
    scales = [alt.Scale(domain=[-r, r], nice=False) for r in reach]
    at: dict[str, Any] = {
        "x": alt.X("x:Q", axis=None, scale=scales[0]),
        "y": alt.Y("y:Q", axis=None, scale=scales[1]),
    }
    edges = pd.DataFrame(np.hstack([place[i], place[j]]), columns=["x", "y", "x2", "y2"])
    edges = edges.assign(weight=A[i, j], units=[f"{a + 1} – {b + 1}" for a, b in zip(i, j, strict=True)])
    widths = alt.Scale(domain=[0, float(A.max())], range=[0.3, 3])
    width = alt.StrokeWidth("weight:Q", scale=widths, legend=None)
    tooltip = ["units:N", alt.Tooltip("weight:Q", format=".2f")]
    lines = alt.Chart(edges).mark_rule()
    lines = lines.encode(**at, x2="x2:Q", y2="y2:Q", strokeWidth=width, tooltip=tooltip)
    nodes = pd.DataFrame(place, columns=["x", "y"])
    nodes = nodes.assign(unit=np.arange(len(A)) + 1, module=labels + 1, degree=A.sum(axis=1))
    modules = _series("module", sorted(set(nodes["module"])))
    looks = {name: channel.legend(title="module") for name, channel in modules.items()}
    points = alt.Chart(nodes).mark_point(size=420, filled=True, opacity=1)
    points = points.encode(
        **at, **looks, tooltip=["unit:O", "module:N", alt.Tooltip("degree:Q", format=".2f")]
    )
    names = points.mark_text(fontSize=12, fontWeight="bold", color="white").encode(
        text="unit:O", color=alt.value("white"), shape=alt.value("circle")
    )
    height = max(110, round(size * np.ptp(place[:, 1]) / max(np.ptp(place[:, 0]), 1e-9)))
    return alt.layer(lines, points, names).properties(width=size, height=height, title=title, view=NO_FRAME)


def _positions(
    n_units: int, i: Int[np.ndarray, " edge"], j: Int[np.ndarray, " edge"]
) -> Float[np.ndarray, "unit 2"]:
    """Place the units of a graph around the origin, the first on the left."""
    graph = ig.Graph(n_units, edges=list(zip(i.tolist(), j.tolist(), strict=True)))
    # Kamada-Kawai starts from a circle: the same graph is always drawn the same way.
    place = np.array(graph.layout_kamada_kawai().coords)
    place -= (place.max(axis=0) + place.min(axis=0)) / 2
    place[:, 0] *= -np.sign(place[0, 0]) or 1
    return place


@described()
def network_diagram(
    w_in: Float[np.ndarray, "input unit"],
    w_out: Float[np.ndarray, "unit class"],
    upstream: Int[np.ndarray, " unit"],
    downstream: Int[np.ndarray, " unit"],
) -> Layered:
    """Draw a network with one hidden layer: inputs below, hidden units between, classes above.

    Lines are weights, faint where small, dashed where negative. What a unit reads is drawn in the colours of
    the upstream family, what it drives in those of the downstream family. `upstream` and `downstream` name
    the group of inputs that each unit reads and the group of classes that it drives, at most two of each.
    """
    kinds = {"input": w_in.shape[0], "unit": w_in.shape[1], "class": w_out.shape[1]}
    places = [np.linspace(0, 1, n + 2)[1:-1] for n in kinds.values()]
    lines = []
    for y, weights in enumerate((w_in, w_out)):
        largest = np.abs(weights).max()
        for (a, b), weight in np.ndenumerate(weights):
            colour = DOWNSTREAM[downstream[a] % 2] if y else UPSTREAM[upstream[b] % 2]
            ends = [places[y][a], y, places[y + 1][b], y + 1]
            lines.append([*ends, weight, colour, abs(weight) / largest, bool(weight < 0)])
    columns = ["x", "y", "x2", "y2", "weight", "colour", "size", "negative"]
    points = [
        {"x": x, "y": y, "name": f"{kind} {k}", "text": f"{k}"}
        for y, kind in enumerate(kinds)
        for k, x in enumerate(places[y], start=1)
    ]
    at: dict[str, Any] = {
        "x": alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.22, 1])),
        "y": alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.2, 2.2])),
    }
    edges = (
        alt.Chart(pd.DataFrame(lines, columns=columns))
        .mark_rule(strokeWidth=2)
        .encode(
            **at,
            x2="x2:Q",
            y2="y2:Q",
            color=alt.Color("colour:N", scale=None),
            opacity=alt.Opacity("size:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None),
            strokeDash=alt.condition("datum.negative", alt.value([5, 3]), alt.value([1, 0])),
            tooltip=[alt.Tooltip("weight:Q", format=".2f")],
        )
    )
    base = alt.Chart(pd.DataFrame(points)).encode(**at, tooltip=["name:N"])
    circles = base.mark_circle(size=460, color=NEUTRAL, opacity=1)
    numbers = base.mark_text(color="white", fontWeight="bold").encode(text="text:N")
    rows = pd.DataFrame({"x": [-0.22] * 3, "y": [0, 1, 2], "text": ["inputs", "hidden units", "classes"]})
    names = alt.Chart(rows).mark_text(align="left", fontSize=11).encode(**at, text="text:N")
    return alt.layer(edges, circles, numbers, names).properties(width=460, height=280, view=NO_FRAME)


@described()
def q_against_size(table: pd.DataFrame) -> Layered:
    """Draw the best Q against the size of graphs: means as lines, each graph, a row, as a faint point."""
    encoding: dict[str, Any] = {
        "x": alt.X("units:Q", title="units in the graph", scale=alt.Scale(type="log", base=2, nice=False)),
        "y": alt.Y("q:Q", title="best Q found", scale=alt.Scale(domainMin=0)),
        **_series("graphs", list(table["graphs"].unique())),
    }
    means = table.groupby(["graphs", "units"], sort=False, as_index=False)["q"].mean()
    single = alt.Chart(table).mark_point(size=25, strokeWidth=0.8).encode(**encoding)
    line = (
        alt.Chart(means)
        .mark_line(point={"filled": True, "size": 50})
        .encode(**encoding, tooltip=["graphs:N", "units:Q", alt.Tooltip("q:Q", format=".3f")])
    )
    return alt.layer(single, line).properties(width=420, height=240)


@described()
def restarts_chart(table: pd.DataFrame) -> alt.Chart:
    """Draw how alike the partitions of restarts, rows of the table, are to the best one, against their Q."""
    names = list(table["graph"].unique())
    share = alt.X(
        "relative:Q", title="Q of the restart ÷ best Q", axis=alt.Axis(labelFlush=False, tickCount=7)
    )
    share = share.scale(zero=False, nice=False, padding=10)
    return (
        alt.Chart(table)
        .mark_point()
        .encode(
            x=share,
            y=alt.Y("ami:Q", title="agreement with the best (AMI)"),
            **_series("graph", names),
            # The first series is drawn large, so that it shows where later ones lie on top of it.
            size=alt.Size("graph:N", scale=alt.Scale(domain=names, range=[220, 40]), legend=None),
            tooltip=["graph:N", alt.Tooltip("q:Q", format=".3f"), alt.Tooltip("ami:Q", format=".2f")],
        )
        .transform_joinaggregate(best="max(q)", groupby=["graph"])
        .transform_calculate(relative="datum.q / datum.best")
        .properties(width=420, height=240)
    )


def _series(field: str, names: list[Any]) -> dict[str, Any]:
    """Tell series apart by colour and by shape, with a legend below the chart."""
    colours = alt.Scale(domain=names, range=SERIES_COLOURS[: len(names)])
    shapes = alt.Scale(domain=names, range=MODULE_SHAPES[: len(names)])
    return {
        "color": alt.Color(f"{field}:N", scale=colours, legend=alt.Legend(orient="bottom", title=None)),
        "shape": alt.Shape(f"{field}:N", scale=shapes),
    }
