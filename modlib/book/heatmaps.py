"""Similarity matrices as heatmaps, their units sorted by module."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from modlib.book.theme import COLOURS, NO_FRAME, Layered, described

NUMBERED = 16  # units, at most, that a heatmap writes the numbers of


@described()
def heatmap(
    S: Float[np.ndarray, "unit unit"],
    labels: Int[np.ndarray, " unit"] | None = None,
    *,
    colour: str,
    title: str = "",
    size: int = 220,
) -> Layered:
    """Draw the absolute values of a similarity matrix, with lines where one module ends.

    The diagonal is left blank, as it takes no part in Q. Units are sorted by their module, dead ones (−1)
    last; without labels they stay as they are. The largest hundredth of the values has the full colour, so
    that one odd pair does not make all others faint; zero has none.
    """
    n = len(S)
    order = np.arange(n) if labels is None else np.lexsort((labels, labels < 0))
    along: dict[str, Any] = {"scale": alt.Scale(domain=[0, n], nice=False), "axis": None}
    down: dict[str, Any] = {"scale": alt.Scale(domain=[n, 0], nice=False), "axis": None}
    squares = _squares(S, order, colour)
    layers = [squares.encode(x=alt.X("c:Q", **along), y=alt.Y("r:Q", **down))]
    if n <= NUMBERED:
        names = pd.DataFrame({"at": np.arange(n) + 0.5, "unit": order + 1})
        text = alt.Chart(names).mark_text(fontSize=10)
        layers += [
            text.encode(x=alt.value(-9), y=alt.Y("at:Q", **down), text="unit:O"),
            text.encode(x=alt.X("at:Q", **along), y=alt.value(-8), text="unit:O"),
        ]
    if labels is not None:
        ends = np.nonzero(np.diff(labels[order]))[0] + 1
        cuts = alt.Chart(pd.DataFrame({"cut": [0, *ends, n]})).mark_rule(strokeWidth=1.5)
        layers += [cuts.encode(x=alt.X("cut:Q", **along)), cuts.encode(y=alt.Y("cut:Q", **down))]
    heading = alt.Title(title, offset=14)
    return alt.layer(*layers).properties(width=size, height=size, title=heading, view=NO_FRAME)


def _squares(S: Float[np.ndarray, "unit unit"], order: Int[np.ndarray, " unit"], colour: str) -> alt.Chart:
    """Draw one square for each entry off the diagonal."""
    row, column = np.nonzero(~np.eye(len(S), dtype=bool))
    # Short names, and nothing that the browser can work out: this table is written into the page.
    cells = pd.DataFrame({"r": row, "c": column, "s": _significant(np.abs(S[order[row], order[column]]))})
    units = (order + 1).tolist()
    strong = float(np.quantile(cells["s"], 0.99)) if len(cells) else 0.0
    strongest = alt.Scale(domain=[0, max(strong, 1e-12)], range=[0.02, 1], clamp=True)
    squares: alt.Chart = (
        alt.Chart(cells)
        .mark_rect(color=colour)
        .encode(
            x2="c2:Q",
            y2="r2:Q",
            opacity=alt.Opacity("s:Q", scale=strongest, legend=None),
            tooltip=["unit:O", "other:O", alt.Tooltip("s:Q", format=".3~g", title="similarity")],
        )
        .transform_calculate(
            r2="datum.r + 1", c2="datum.c + 1", unit=f"{units}[datum.r]", other=f"{units}[datum.c]"
        )
    )
    return squares


def _significant(values: Float[np.ndarray, " cell"]) -> Float[np.ndarray, " cell"]:
    """Round to a thousandth of the largest value: what the eye can tell, at a fifth of the page's size."""
    top = float(values.max()) if values.size else 0.0
    return np.round(values, max(0, 3 - int(np.floor(np.log10(top))))) if top > 0 else values


@described()
def heatmaps(
    matrices: Mapping[str, Float[np.ndarray, "unit unit"]],
    labels: Mapping[str, Int[np.ndarray, " unit"]] | Int[np.ndarray, " unit"] | None = None,
    *,
    colours: Mapping[str, str] = COLOURS,
    size: int = 200,
) -> alt.ConcatChart:
    """Draw several heatmaps, two in a row, titled by their names, with one partition for all or for each."""
    charts = []
    for title, S in matrices.items():
        own = labels[title] if isinstance(labels, Mapping) else labels
        said = f"Similarity of units by {title}"
        charts.append(heatmap(S, own, colour=colours[title], description=said, title=title, size=size))
    return alt.concat(*charts, columns=2)
