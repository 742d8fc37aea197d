"""Ours against the paper's figures, point by point; like for like by their own protocol, arXiv v1."""

from collections.abc import Callable

import altair as alt
import pandas as pd
from IPython.display import Markdown

from modlib.book import theme
from modlib.book.stored import not_yet
from modlib.paper import distance_from_paper, family_pairs
from modlib.study.runner import run
from modlib.study.store import Results

Comparison = theme.Layered | Markdown


@theme.described(
    "Our modularity against the paper's, one point for each layer, graph and level of regularisation, around "
    "the diagonal."
)
def q_against_paper(results: Results) -> theme.Layered:
    """Our Q against the paper's, a point for each layer, graph and level."""
    table = distance_from_paper.q_beside_paper(results).round(4)
    table["graph"] = theme.graph_names(table)
    top = float(table[["q", "q_paper"]].max().max()) * 1.05
    scale = alt.Scale(domain=[0, top], nice=False)
    pick = alt.selection_point(fields=["measure"], bind="legend")
    labels = "{dropout: 'dropout', l1: 'L1', l2: 'L2'}[datum.label]"
    shape = alt.Shape("regularizer:N", legend=alt.Legend(title=None, labelExpr=labels))
    dot = (
        alt.Chart(table)
        .mark_point(size=32, strokeWidth=1.2)
        .encode(
            x=alt.X("q_paper:Q", title="Q, the paper's figures", scale=scale),
            y=alt.Y("q:Q", title="Q, ours", scale=scale),
            color=theme.measure_colour(legend=alt.Legend(title=None, labelExpr=theme.MEASURE_LABELS)),
            shape=shape.scale(theme.scale_of({name: theme.SHAPES[name] for name in ("dropout", "l1", "l2")})),
            opacity=alt.condition(pick, alt.value(1.0), alt.value(0.06)),
            tooltip=[
                *("graph:N", "layer:N", "regularizer:N", theme.STRENGTH_TIP),
                *theme.formatted(".3f", q="ours", q_paper="the paper's"),
            ],
        )
        .add_params(pick)
    )
    return _around_diagonal(dot, scale, size=360)


@theme.described(
    "Our element-centric similarity of every two graphs against the paper's, around the diagonal, for "
    "trained and untrained networks. Pairs of a measure with its own normalised form, where shown, are grey."
)
def ecs_against_paper(results: Results) -> theme.Layered:
    """Our element-centric similarity against the paper's, a point a pair of graphs."""
    table = distance_from_paper.ecs_beside_paper(results)
    table["a"], table["b"] = theme.graph_names(table, "_a"), theme.graph_names(table, "_b")
    table = table[table.a < table.b]  # each pair once
    same = table.measure_a == table.measure_b
    table["pair"] = same.map({False: "different measures", True: "a measure and its normalised form"})
    states = [
        table[["a", "b", "pair"]].assign(networks=state, ours=table[state], paper=table[f"ecs_{state}"])
        for state in ("trained", "untrained")
    ]
    scale = alt.Scale(domain=[0.2, 0.85], nice=False)
    shapes = theme.scale_of({"trained": "circle", "untrained": "cross"})
    dot = (
        alt.Chart(pd.concat(states).round(4))
        .mark_point(size=45, strokeWidth=1.4)
        .encode(
            x=alt.X("paper:Q", title="element-centric similarity, the paper's figure", scale=scale),
            y=alt.Y("ours:Q", title="ours", scale=scale),
            shape=alt.Shape("networks:N", scale=shapes, legend=alt.Legend(title=None, orient="top-left")),
            color=alt.condition(
                "datum.pair == 'different measures'", alt.value(theme.PURPLE), alt.value(theme.GREY)
            ),
            tooltip=[
                alt.Tooltip("a:N", title="one"),
                alt.Tooltip("b:N", title="other"),
                *(alt.Tooltip("pair:N", title="what"), "networks:N"),
                alt.Tooltip("ours:Q", format=".3f"),
                *theme.formatted(".3f", paper="the paper's"),
            ],
        )
    )
    return _around_diagonal(dot, scale, size=330)


def _around_diagonal(dot: alt.Chart, scale: alt.Scale, *, size: int) -> theme.Layered:
    """Draw points over the line on which both values are equal, in a square."""
    line = alt.Chart(pd.DataFrame({"at": scale["domain"]})).mark_line(strokeDash=[3, 3], strokeWidth=1)
    line = line.encode(
        x=alt.X("at:Q", scale=scale), y=alt.Y("at:Q", scale=scale), color=alt.value(theme.GREY)
    )
    return alt.layer(line, dot).properties(width=size, height=size)


def q_like_for_like(profile: str) -> Comparison:
    """Our Q against the paper's, once the tables of ``base-v1`` are stored; until then, how to make them."""
    if not distance_from_paper.has_like_for_like(profile):
        return not_yet("base-v1", profile=profile)
    results = run("base-v1", profile=profile)
    apart = distance_from_paper.q_beside_paper(results).difference.abs()
    return q_against_paper(
        results,
        name="q-like-for-like",
        caption=f"Our Q against the paper's, both by the arXiv v1 protocol: {len(apart)} points. Half of "
        f"them lie within {apart.median():.3f} of each other, 95 % within {apart.quantile(0.95):.3f}.",
    )


def ecs_like_for_like(
    profile: str,
    recomputed: Callable[[Results], Results] | None = None,
    *,
    rule: str = "",
    name: str = "ecs-like-for-like",
) -> Comparison:
    """Our element-centric similarities against the paper's, as `q_like_for_like`.

    They may be `recomputed` by another rule, which `rule` puts into the words of the caption.
    """
    if not distance_from_paper.has_like_for_like(profile):
        return not_yet("base-v1", profile=profile)
    results = run("base-v1", profile=profile)
    results = recomputed(results) if recomputed else results
    table = family_pairs.distinct(distance_from_paper.ecs_beside_paper(results))
    mean = (table.trained - table.ecs_trained).abs().mean()
    return ecs_against_paper(
        results,
        name=name,
        caption=f"Element-centric similarity of every two graphs{rule}, ours against the paper's, both by "
        f"the arXiv v1 protocol. In trained networks they lie {mean:.3f} apart on average, over pairs of "
        "different measures.",
    )
