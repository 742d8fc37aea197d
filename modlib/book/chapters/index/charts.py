"""The two findings in one picture."""

import re
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

from modlib.book import theme
from modlib.book.theme import Layered, described, estimate, family_colour, measure_colour
from modlib.book.vega import PAPER
from modlib.paper import by_level, evidence, family_pairs
from modlib.study.store import Results

#: Levels of the picture's right half, and what stands below its axis, line by line.
LEVELS = {
    "untrained": ["untrained"],
    "weakest L2": ["weakest", "L2"],
    "dropout 0.5": ["dropout", "0.5"],
    "strongest dropout": ["strongest", "dropout"],
    "strongest L2": ["strongest", "L2"],
    "strongest L1": ["strongest", "L1"],
}


@described(
    "Left: modularity of the first hidden layer rises with dropout, steeply for the input gradient and "
    "gently for the other measures. Right: agreement of partitions at six levels. Across the families it is "
    "nil in untrained networks and low in plain ones, and grows with regularisation; under the strongest L2 "
    "it nearly equals that within the families, and under the strongest L1 it is nil. Dropout raises "
    "agreement within upstream most."
)
def hero(results: Results) -> alt.HConcatChart:
    """Q of the first hidden layer against dropout, and agreement of partitions at six levels."""
    both = alt.hconcat(_dropout(results), _agreement(results), spacing=36)
    return both.resolve_scale(color="independent")


def _dropout(results: Results) -> Layered:
    """Q of the raw graphs; no dropout is the weakest L2, which every network with dropout also carries."""
    table = by_level.q_by_strength(results).query("layer == 1 and not normalized")
    weakest = table[table.regularizer == "l2"].strength.min()
    plain = table[(table.regularizer == "l2") & (table.strength == weakest)].assign(strength=0.0)
    points = pd.concat([plain, table[table.regularizer == "dropout"]]).round(4)
    points["name"] = points.measure.map(theme.NAMES)
    untrained = by_level.q_untrained(results).query("layer == 1 and not normalized")
    band = pd.DataFrame({"low": [untrained["mean"].min()], "high": [untrained["mean"].max()]})
    x = alt.X("strength:Q", title="dropout probability", axis=alt.Axis(labelFlush=False))
    x = x.scale(domain=[0, 0.72], nice=False)
    y = alt.Y("q:Q", title="modularity Q, first hidden layer", scale=alt.Scale(zero=True))
    legend = alt.Legend(title=None, orient="top-left", labelExpr=theme.MEASURE_LABELS, symbolOpacity=1)
    base = alt.Chart(points).encode(x=x, color=measure_colour(legend=legend))
    grey = theme.band(alt.Chart(band)).encode(y="low:Q", y2="high:Q")
    said = (
        alt.Chart(band.assign(text="untrained"))
        .mark_text(align="right", baseline="top", dx=-2, dy=4, fontSize=11)
        .encode(y="low:Q", x=alt.value("width"), text="text:N")
    )
    spread = base.mark_area(fillOpacity=0.18, strokeWidth=0.7).encode(
        y=alt.Y("low:Q"), y2="high:Q", stroke=measure_colour(legend=None)
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=34, filled=True)).encode(
        y=y,
        tooltip=[
            *(theme.MEASURE_TIP, alt.Tooltip("strength:Q", title="dropout", format="~g")),
            *(*estimate("q", "Q"), "seeds:Q"),
        ],
    )
    return alt.layer(grey, said, spread, line).properties(width=230, height=240)


def _agreement(results: Results) -> Layered:
    """Agreement at named levels, from networks that were never trained to strongly regularised ones."""
    table = family_pairs.agreement_by_level(results).round({"ami": 4, "low": 4, "high": 4})
    named = {name: level for name, level in by_level.landmarks(results).items() if name in LEVELS}
    parts = [table[evidence.at_level(table, level)].assign(level=name) for name, level in named.items()]
    axis = alt.Axis(labelAngle=0, labelExpr=f"{LEVELS}[datum.label]", labelFontSize=9.5, grid=False)
    colour = family_colour(alt.Legend(title=None, orient="top-left", labelExpr=theme.FAMILY_LABELS))
    base = alt.Chart(pd.concat(parts, ignore_index=True)).encode(
        x=alt.X("level:N", sort=list(named), title=None, axis=axis),
        xOffset=alt.XOffset("family_pair:N", sort=list(theme.FAMILY_COLOURS)),
        color=colour,
    )
    title, scale = "agreement (0: chance, 1: the same)", alt.Scale(domain=[-0.02, 1], nice=False)
    span = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q")
    dot = base.mark_point(size=60, filled=True, opacity=1).encode(
        y="ami:Q",
        tooltip=[theme.FAMILIES_TIP, "level:N", theme.STRENGTH_TIP, *estimate("ami", "agreement"), "seeds:Q"],
    )
    return alt.layer(span, dot).properties(width=330, height=240)


def save_hero(results: Results, path: Path) -> None:
    """Write the picture of the README as SVG, on white, unless the one there says the same.

    Only the values in the labels of marks are compared: letters stand where the machine's fonts have them.
    """
    picture = vl_convert.vegalite_to_svg(hero(results).to_dict(), config=PAPER)
    if not path.exists() or _labels(path.read_text(encoding="utf-8")) != _labels(picture):
        path.write_text(picture, encoding="utf-8")


def _labels(svg: str) -> list[str]:
    return re.findall(r'aria-label="([^"]*)"', svg)
