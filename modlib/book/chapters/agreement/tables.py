"""Tables of the chapter on agreement: within and across families, ours and the paper's."""

import pandas as pd

from modlib.book.numbers import offered
from modlib.paper import distance_from_paper, family_pairs, reported
from modlib.study.runner import run

STATES = {True: "trained", False: "untrained"}


@offered("metric", "family_pair", "networks")
def families(profile: str) -> pd.DataFrame:
    """Mean agreement within and across families, over both layers, with its 95 % interval over seeds.

    `distinct` is the mean without the pairs of a measure with its own normalised form.
    """
    results = run("base", profile=profile)
    tables = []
    for metric in ("ecs", "ami"):
        every, distinct = (
            family_pairs.family_agreement(results, metric, distinct=flag)
            .query("layer == 0")
            .rename(columns={metric: "value"})
            for flag in (False, True)
        )
        distinct = distinct[["trained", "family_pair", "value"]].rename(columns={"value": "distinct"})
        tables.append(every.merge(distinct, on=["trained", "family_pair"]).assign(metric=metric))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(networks=table.trained.map(STATES))


@offered("family_pair")
def published(profile: str) -> pd.DataFrame:
    """Element-centric similarity in the paper's figures, the mean over pairs of graphs."""
    return pd.DataFrame(
        [
            {"family_pair": pair}
            | {name: reported.family_ecs(pair, trained=trained) for trained, name in STATES.items()}
            for pair in ("upstream", "downstream", "across")
        ]
    )


@offered("experiment")
def distance(profile: str) -> pd.DataFrame:
    """Mean absolute difference of element-centric similarity from the paper's, over pairs of graphs."""
    rows = []
    for experiment, results in distance_from_paper.both_protocols(profile):
        table = distance_from_paper.ecs_beside_paper(results)
        gaps = {name: (table[name] - table[f"ecs_{name}"]).abs().mean() for name in STATES.values()}
        rows.append({"experiment": experiment} | gaps)
    return pd.DataFrame(rows)
