"""What deviations from the paper change: the table of all of them, and tables and charts of a closer look."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import HTML

from modlib.book.against_paper import Comparison, ecs_against_paper, not_yet
from modlib.book.chapters.deviations import tables as deviations
from modlib.book.html_table import text_table
from modlib.book.number_format import format_number
from modlib.book.theme import (
    FAMILY_COLOURS,
    REGULARIZERS,
    estimate,
    on_strength_axis,
    properties,
    strength_axis,
)
from modlib.paper import distance_from_paper, graph_names
from modlib.study.runner import run
from modlib.study.store import Results

RULES = ["left out", "one shared module"]
SMALL = 1e-5  # what single precision may get wrong anywhere


def table(found: pd.DataFrame) -> HTML:
    """Show the table of `deviation_list.table`, with texts that wrap and a row a deviation."""
    named = found.rename(
        columns={"what": "deviation", "theirs": "the paper", "ours": "here", "change": "what it changes"}
    )
    return text_table(named, (6, 8, 8, 16))


def pairs(untrained: pd.DataFrame, count: int = 8) -> pd.DataFrame:
    """Pairs of graphs whose agreement hangs on the search by most, for reading.

    Parameters
    ----------
    untrained
        Of `modlib.paper.released_code.untrained_agreement`.
    """
    step = (untrained.stored - untrained.other).abs()
    table = untrained.loc[step.nlargest(count).index]
    for side in ("a", "b"):
        keys = table[[f"measure_{side}", f"normalized_{side}"]].itertuples(index=False)
        table[f"graph {side}"] = [graph_names.variant_name(*key) for key in keys]
    columns = {"stored": "Leiden", "other": "Monte Carlo", "paper": "the paper"}
    return table.set_index(["graph a", "graph b"])[[*columns]].rename(columns=columns).round(3)


def digits(covariances: pd.DataFrame) -> pd.DataFrame:
    """`released_code.covariances` for reading: what is a matter of the last digits only says so."""
    table = covariances.set_index(["network", "layer"])
    error = [f"{value:.2g}" if value >= SMALL else "< 10⁻⁵" for value in table.largest_error]
    change = [format_number(value, "+.3f") if abs(value) >= SMALL else "0" for value in table.q_change]
    table = table.assign(largest_error=error, q=table.q.round(3), q_change=change)
    named = {"always_on": "always on", "largest_error": "largest error", "q": "Q", "q_change": "ΔQ"}
    return table.rename(columns=named)


def splits(first: pd.DataFrame) -> pd.DataFrame:
    """Graphs of `released_code.first_splits` that are split by an eigenvalue below zero, for reading."""
    table = graph_names.with_graph_names(first[first.negative]).drop(columns="negative")
    named = {"q_absolute": "Q, largest in size", "q_newman": "Q, most positive"}
    return table.set_index(["network", "graph"]).rename(columns=named).round(3)


def dead_units_of_figures(profile: str, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """`dead_units` for the protocol of the paper's figures, or, until its tables are stored, the final one.

    The caption gets the protocol's name added.
    """
    like = distance_from_paper.has_like_for_like(profile)
    protocol = "arXiv v1 protocol, that of the paper's figures" if like else "final protocol"
    results = run("base-v1" if like else "base", profile=profile)
    return dead_units(results, name=name, caption=f"{caption} Networks by the {protocol}.".strip())


def ecs_by_their_rule(profile: str, *, name: str = "") -> Comparison:
    """Our element-centric similarity with all dead units in one module, against the paper's, by its protocol.

    Until the tables of ``base-v1`` are stored, how to make them.
    """
    if not distance_from_paper.has_like_for_like(profile):
        return not_yet(profile)
    shared = deviations.with_shared_dead_units(run("base-v1", profile=profile))
    pairs = distance_from_paper.ecs_beside_paper(shared)
    distance = (pairs.trained - pairs.ecs_trained).abs().mean()
    return ecs_against_paper(
        shared,
        name=name,
        caption="Element-centric similarity of every two graphs with all dead units in one module, ours "
        f"against the paper's, both by the arXiv v1 protocol. Trained networks "
        f"lie {distance:.3f} apart on average.",
    )


def dead_units(results: Results, *, name: str = "", caption: str = "") -> alt.FacetChart:
    """Element-centric similarity by level of regularisation, dead units left out or in a shared module.

    Tooltips tell how many units are dead in a graph of the upstream family.
    """
    levels = deviations.ecs_by_level(results)
    dead = deviations.dead_units(results)
    rows = levels.merge(dead, on=["regularizer", "strength"])
    penalty = rows.regularizer != "dropout"
    rows["x"] = on_strength_axis(rows)
    rows["by"] = rows.regularizer.map(REGULARIZERS) + np.where(penalty, " strength", " probability")
    rows = rows.drop(columns="regularizer").round({"ecs": 4, "low": 4, "high": 4, "dead": 2})
    x = strength_axis()
    y = alt.Y("ecs:Q", title="ECS", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4))
    colour = alt.Color(
        "family_pair:N",
        scale=alt.Scale(domain=list(FAMILY_COLOURS), range=list(FAMILY_COLOURS.values())),
        legend=None,
    )
    base = alt.Chart()
    shared = "datum.rule == 'one shared module'"
    rule = base.mark_rule(strokeWidth=1.5).encode(
        x=x, y=alt.Y("low:Q", title="ECS"), y2="high:Q", color=colour
    )
    line = base.mark_line(strokeWidth=1.5).encode(
        x=x,
        y=y,
        color=colour,
        detail="rule:N",
        strokeDash=alt.condition(shared, alt.value([4, 3]), alt.value([1, 0])),
    )
    point = base.mark_point(size=38, strokeWidth=1.3).encode(
        x=x,
        y=y,
        stroke=colour,
        fill=alt.condition(shared, alt.value("transparent"), colour),
        shape=alt.Shape(
            "rule:N",
            scale=alt.Scale(domain=RULES, range=["circle", "square"]),
            legend=alt.Legend(
                title="dead units", orient="top", symbolStrokeColor="#7f7f7f", symbolFillColor="transparent"
            ),
        ),
        tooltip=[
            alt.Tooltip("family_pair:N", title="pairs"),
            alt.Tooltip("rule:N", title="dead units"),
            alt.Tooltip("by:N", title="regulariser"),
            alt.Tooltip("strength:Q", format="~g"),
            *estimate("ecs", "ECS"),
            alt.Tooltip("seeds:Q"),
            alt.Tooltip("dead:Q", title="dead units a graph, upstream", format=".1f"),
        ],
    )
    chart: alt.FacetChart = (
        alt.layer(rule, line, point, data=rows)
        .properties(width=165, height=110)
        .facet(
            row=alt.Row(
                "family_pair:N", sort=list(FAMILY_COLOURS), header=alt.Header(title=None, labelFontSize=12)
            ),
            column=alt.Column(
                "by:N",
                sort=["dropout probability", "L1 strength", "L2 strength"],
                header=alt.Header(title=None),
            ),
            spacing={"row": 10, "column": 14},
        )
        .resolve_scale(x="independent")
        .properties(
            **properties(
                description="Element-centric similarity within upstream, within downstream and across "
                "families against the strength of dropout, L1 and L2, once with dead units left out and "
                "once with all of them in one module.",
                caption=caption,
                name=name,
            )
        )
    )
    return chart
