"""How far our Q and our agreement lie from the values in the paper's figures."""

from collections.abc import Iterator

import pandas as pd

from modlib.paper import published
from modlib.paper.by_level import q_by_strength
from modlib.paper.family_pairs import agreement_matrix
from modlib.study import catalogue, store
from modlib.study.accuracy_filter import GRAPH, PAIR
from modlib.study.runner import run
from modlib.study.store import Results


def q_beside_paper(results: Results) -> pd.DataFrame:
    """Q beside the paper's, point by point: `q`, `q_paper`, `difference` (ours less theirs)."""
    ours = q_by_strength(results)
    theirs = published.q().rename(columns={"q": "q_paper"})
    for table in (ours, theirs):  # strengths are rounded to six digits on both sides
        table["level"] = [f"{s:.2g}" for s in table.strength]
    on = [*GRAPH, "regularizer", "level"]
    merged = ours.merge(theirs[[*on, "q_paper"]], on=on)
    return merged.assign(difference=merged.q - merged.q_paper).drop(columns="level")


def ecs_beside_paper(results: Results) -> pd.DataFrame:
    """Element-centric similarity beside the paper's, one row a pair of different graphs."""
    ours = agreement_matrix(results).pivot_table(index=PAIR, columns="trained", values="ecs")
    ours = ours.rename(columns={True: "trained", False: "untrained"})
    both = ours.reset_index().merge(published.agreement(), on=PAIR)
    return both[(both.measure_a != both.measure_b) | (both.normalized_a != both.normalized_b)]


def has_like_for_like(profile: str) -> bool:
    """Whether the tables of the arXiv v1 protocol, the one that the paper's figures follow, are stored."""
    return store.is_stored(catalogue.get("base-v1", profile))


def both_protocols(profile: str) -> Iterator[tuple[str, Results]]:
    """Give `base` and, once its tables are stored, ``base-v1``, by name."""
    yield "base", run("base", profile=profile)
    if has_like_for_like(profile):
        yield "base-v1", run("base-v1", profile=profile)
