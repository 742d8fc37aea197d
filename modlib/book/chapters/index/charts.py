"""The two findings in one picture."""

import re
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

from modlib.book import theme
from modlib.book.theme import GREY, Layered, described, estimate, family_colour, measure_colour, scale_of
from modlib.book.vega import PAPER
from modlib.paper import by_level, family_pairs
from modlib.study.store import Results


@described(
    "Left: modularity of the first hidden layer rises with dropout, steeply for the input gradient and "
    "gently for the other measures. Right: partitions agree within the upstream and within the downstream "
    "family, and hardly across them."
)
def hero(results: Results) -> alt.HConcatChart:
    """Q of the first hidden layer against dropout, and agreement of partitions within and across families."""
    both = alt.hconcat(_dropout(results), _families(results), spacing=36)
    return both.resolve_scale(color="independent", shape="independent", fill="independent")


def _dropout(results: Results) -> Layered:
    """Q of the raw graphs; no dropout is the weakest L2, which every network with dropout also carries."""
    table = by_level.q_by_strength(results).query("layer == 1 and not normalized")
    weakest = table[table.regularizer == "l2"].strength.min()
    plain = table[(table.regularizer == "l2") & (table.strength == weakest)].assign(strength=0.0)
    points = pd.concat([plain, table[table.regularizer == "dropout"]]).round(4)
    points["name"] = points.measure.map(theme.NAMES)
    untrained = by_level.q_untrained(results).query("layer == 1 and not normalized")
    band = pd.DataFrame({"low": [untrained["mean"].min()], "high": [untrained["mean"].max()]})
    x = alt.X("strength:Q", title="dropout probability", scale=alt.Scale(domain=[0, 0.72], nice=False))
    y = alt.Y("q:Q", title="modularity Q, first hidden layer", scale=alt.Scale(zero=True))
    legend = alt.Legend(title=None, orient="top-left", labelExpr=theme.MEASURE_LABELS, symbolOpacity=1)
    base = alt.Chart(points).encode(x=x, color=measure_colour(legend=legend))
    grey = alt.Chart(band).mark_rect(color=GREY, opacity=0.3).encode(y="low:Q", y2="high:Q")
    said = (
        alt.Chart(band.assign(text="untrained"))
        .mark_text(align="right", baseline="top", dy=4, fontSize=11)
        .encode(y="low:Q", x=alt.value(258), text="text:N")
    )
    spread = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(point=alt.OverlayMarkDef(size=34, filled=True)).encode(
        y=y,
        tooltip=[
            *(theme.MEASURE_TIP, alt.Tooltip("strength:Q", title="dropout", format="~g")),
            *(*estimate("q", "Q"), "seeds:Q"),
        ],
    )
    return alt.layer(grey, said, spread, line).properties(width=260, height=240)


def _families(results: Results) -> Layered:
    table = family_pairs.family_agreement(results, "ecs").query("layer == 0").round(4)
    table["networks"] = table.trained.map({True: "trained", False: "untrained"})
    pairs = {"upstream": "both|upstream", "downstream": "both|downstream", "across": "one|of each"}
    shapes = {"trained": "circle", "untrained": "cross"}
    table["pairs"] = table.family_pair.map(pairs)
    colour = family_colour()
    axis = alt.Axis(labelAngle=0, labelExpr="split(datum.label, '|')", grid=False)
    base = alt.Chart(table).encode(
        x=alt.X("pairs:N", sort=list(pairs.values()), title=None, axis=axis),
        xOffset=alt.XOffset("networks:N", sort=list(shapes)),
        color=colour,
    )
    span = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", title="agreement of partitions (ECS)", scale=alt.Scale(domain=[0, 0.75])),
        y2="high:Q",
    )
    dot = base.mark_point(size=80, strokeWidth=2).encode(
        y="ecs:Q",
        fill=alt.condition("datum.trained", colour, alt.value("transparent")),
        shape=alt.Shape(
            "networks:N",
            scale=scale_of(shapes),
            legend=alt.Legend(title=None, orient="bottom-left", symbolStrokeColor="#7f7f7f"),
        ),
        tooltip=["pairs:N", "networks:N", *estimate("ecs", "ECS")],
    )
    return alt.layer(span, dot).properties(width=230, height=240)


def save_hero(results: Results, path: Path) -> None:
    """Write the picture of the README as SVG, on white, unless the one there says the same.

    Only the values in the labels of marks are compared: letters stand where the machine's fonts have them.
    """
    picture = vl_convert.vegalite_to_svg(hero(results).to_dict(), config=PAPER)
    if not path.exists() or _labels(path.read_text(encoding="utf-8")) != _labels(picture):
        path.write_text(picture, encoding="utf-8")


def _labels(svg: str) -> list[str]:
    return re.findall(r'aria-label="([^"]*)"', svg)
