"""Ours against the paper's figures, point by point; like for like by their own protocol, arXiv v1."""

from __future__ import annotations

import altair as alt
import pandas as pd
from IPython.display import Markdown

from modlib.book.theme import GREY, MEASURE_LABELS, NAMES, measure_colour, properties
from modlib.paper import distance_from_paper
from modlib.study.runner import run
from modlib.study.store import Results

Comparison = alt.LayerChart | alt.FacetChart | Markdown


def q_against_paper(
    results: Results, *, name: str = "", caption: str = ""
) -> alt.LayerChart | alt.FacetChart:
    """Our Q against the paper's, a point for each layer, graph and level."""
    table = distance_from_paper.q_beside_paper(results).round(4)
    table["graph"] = table.measure.map(NAMES) + table.normalized.map({True: ", normalised", False: ""})
    top = float(table[["q", "q_paper"]].max().max()) * 1.05
    scale = alt.Scale(domain=[0, top], nice=False)
    pick = alt.selection_point(fields=["measure"], bind="legend")
    dot = alt.Chart(table).mark_point(size=32, strokeWidth=1.2).encode(
        x=alt.X("q_paper:Q", title="Q, the paper's figures", scale=scale),
        y=alt.Y("q:Q", title="Q, ours", scale=scale),
        color=measure_colour(legend=alt.Legend(title=None, labelExpr=MEASURE_LABELS)),
        shape=alt.Shape(
            "regularizer:N",
            scale=alt.Scale(domain=["dropout", "l1", "l2"], range=["circle", "triangle-up", "square"]),
            legend=alt.Legend(
                title=None, labelExpr="{dropout: 'dropout', l1: 'L1', l2: 'L2'}[datum.label]"
            ),
        ),
        opacity=alt.condition(pick, alt.value(0.85), alt.value(0.06)),
        tooltip=[
            "graph:N", "layer:N", "regularizer:N",
            alt.Tooltip("strength:Q", format="~g"),
            alt.Tooltip("q:Q", title="ours", format=".3f"),
            alt.Tooltip("q_paper:Q", title="the paper's", format=".3f"),
        ],
    ).add_params(pick)  # fmt: skip
    return _around_diagonal(
        dot,
        scale,
        size=360,
        description="Our modularity against the paper's, one point for each layer, graph and level of "
        "regularisation, around the diagonal.",
        caption=caption,
        name=name,
    )


def ecs_against_paper(
    results: Results, *, name: str = "", caption: str = ""
) -> alt.LayerChart | alt.FacetChart:
    """Our element-centric similarity against the paper's, a point a pair of graphs."""
    table = distance_from_paper.ecs_beside_paper(results)
    shorts = {"a": ("measure_a", "normalized_a"), "b": ("measure_b", "normalized_b")}
    for side, (measure, normalized) in shorts.items():
        table[side] = table[measure].map(NAMES) + table[normalized].map({True: ", normalised", False: ""})
    table = table[table.a < table.b]  # each pair once
    long = pd.concat(
        [
            table[["a", "b"]].assign(networks=state, ours=table[state], paper=table[f"ecs_{state}"])
            for state in ("trained", "untrained")
        ]
    ).round(4)
    scale = alt.Scale(domain=[0.2, 0.85], nice=False)
    dot = (
        alt.Chart(long)
        .mark_point(size=45, strokeWidth=1.4)
        .encode(
            x=alt.X("paper:Q", title="element-centric similarity, the paper's figure", scale=scale),
            y=alt.Y("ours:Q", title="ours", scale=scale),
            shape=alt.Shape(
                "networks:N",
                scale=alt.Scale(domain=["trained", "untrained"], range=["circle", "cross"]),
                legend=alt.Legend(title=None, orient="top-left"),
            ),
            color=alt.value("#8b5fbf"),
            tooltip=[
                alt.Tooltip("a:N", title="one"),
                alt.Tooltip("b:N", title="other"),
                "networks:N",
                alt.Tooltip("ours:Q", format=".3f"),
                alt.Tooltip("paper:Q", title="the paper's", format=".3f"),
            ],
        )
    )
    return _around_diagonal(
        dot,
        scale,
        size=330,
        description="Our element-centric similarity of every two graphs against the paper's, around the "
        "diagonal, for trained and untrained networks.",
        caption=caption,
        name=name,
    )


def _around_diagonal(
    dot: alt.Chart, scale: alt.Scale, *, size: int, description: str, caption: str, name: str
) -> alt.LayerChart | alt.FacetChart:
    """Draw points over the line on which both values are equal, in a square."""
    line = (
        alt.Chart(pd.DataFrame({"at": scale["domain"]}))
        .mark_line(strokeDash=[3, 3], strokeWidth=1)
        .encode(x=alt.X("at:Q", scale=scale), y=alt.Y("at:Q", scale=scale), color=alt.value(GREY))
    )
    said = properties(description=description, caption=caption, name=name)
    return alt.layer(line, dot).properties(width=size, height=size, **said)


def q_like_for_like(profile: str) -> Comparison:
    """Our Q against the paper's, once the tables of ``base-v1`` are stored; until then, how to make them."""
    if not distance_from_paper.has_like_for_like(profile):
        return not_yet(profile)
    results = run("base-v1", profile=profile)
    distance = distance_from_paper.q_beside_paper(results).difference.abs()
    return q_against_paper(
        results,
        name="q-like-for-like",
        caption=f"Our Q against the paper's, both by the arXiv v1 protocol: {len(distance)} points. "
        + _apart(float(distance.median()), float(distance.quantile(0.95))),
    )


def ecs_like_for_like(profile: str) -> Comparison:
    """Our element-centric similarities against the paper's, as `q_like_for_like`."""
    if not distance_from_paper.has_like_for_like(profile):
        return not_yet(profile)
    results = run("base-v1", profile=profile)
    table = distance_from_paper.ecs_beside_paper(results)
    mean = (table.trained - table.ecs_trained).abs().mean()
    return ecs_against_paper(
        results,
        name="ecs-like-for-like",
        caption="Element-centric similarity of every two graphs, ours against the paper's, both by the arXiv "
        f"v1 protocol. Trained networks lie {mean:.3f} apart on average.",
    )


def _apart(middle: float, most: float) -> str:
    return f"Half of them lie within {middle:.3f} of each other, 95 % within {most:.3f}."


def not_yet(profile: str) -> Markdown:
    """Say that `base-v1` is not stored, and how to compute it."""
    command = f"python -m modlib run base-v1 --profile {profile}"
    return Markdown(  # type: ignore[no-untyped-call]
        f"*Its tables are not stored yet. `{command}` computes them (minutes on a large GPU, hours on two "
        "cores), and this section then fills itself.*"
    )
