"""Ours against the paper's figures by their own protocol, arXiv v1, as soon as there are tables."""

from __future__ import annotations

import altair as alt
from IPython.display import Markdown

from modlib import findings
from modlib.figures.agreement import ecs_against_paper
from modlib.figures.regularisation import q_against_paper
from modlib.sweep import run

Comparison = alt.LayerChart | alt.FacetChart | Markdown


def q_like_for_like(profile: str) -> Comparison:
    """Our Q against the paper's, once the tables of ``base-v1`` are stored; until then, how to make them."""
    if not findings.has_like_for_like(profile):
        return not_yet(profile)
    results = run("base-v1", profile=profile)
    distance = findings.against_paper(results).difference.abs()
    return q_against_paper(
        results,
        name="q-like-for-like",
        caption=f"Our Q against the paper's, both by the arXiv v1 protocol: {len(distance)} points. "
        + _apart(float(distance.median()), float(distance.quantile(0.95))),
    )


def ecs_like_for_like(profile: str) -> Comparison:
    """Our element-centric similarities against the paper's, as `q_like_for_like`."""
    if not findings.has_like_for_like(profile):
        return not_yet(profile)
    results = run("base-v1", profile=profile)
    table = findings.agreement_against_paper(results)
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
