"""The items of all claims, judged, from the tables that are stored."""

from collections.abc import Mapping

import pandas as pd

from modlib.paper import evidence, verdicts
from modlib.paper.claims import (
    BOTH_LABELS,
    CLAIMS,
    CLOSE_UP,
    ON_NEW_SEEDS,
    SHUFFLED_LABELS,
    TESTED_IN,
    TRUE_LABELS,
    Claim,
)  # fmt: skip
from modlib.paper.evidence import Case, Item
from modlib.study import catalogue, project, store
from modlib.study.store import Results

#: Verdicts as they were before any table was made anew, put on record by the code of commit b32a5d8.
SUPERSEDED = project.ROOT / "results" / "superseded" / "verdicts.csv"

ITEM_COLUMNS = [
    "claim", "experiment", "item", "value", "low", "high", "n", "p", "p_holm", "paper", "direction",
    "threshold", "outcome",
]  # fmt: skip

#: The items asked for last, by what they were computed from: they take seconds, and callers ask for the same.
_JUDGED: dict[tuple[tuple[str, str, str], ...], pd.DataFrame] = {}


def stored_items(profile: str) -> pd.DataFrame:
    """All items of all claims in the experiments whose tables are stored at a profile; none is computed.

    A row is an item: its `value` with the 95 % interval `low` to `high` over `n` seeds, `p` (two-sided,
    against the threshold; nan where only the interval is judged); `paper`, the same statistic from the
    paper's figures, nan if they do not give it; the other columns are as in `modlib.paper.verdicts.judge`. A
    StoreError says that stored tables are damaged.
    """
    names = (*TESTED_IN, CLOSE_UP, *evidence.UNTRAINED_BESIDE.values(), TRUE_LABELS, SHUFFLED_LABELS)
    names += ON_NEW_SEEDS if profile == "paper" else ()  # a quick run lacks the levels that were frozen
    found = {name: store.read_if_stored(catalogue.get(name, profile)) for name in dict.fromkeys(names)}
    tables = {name: results for name, results in found.items() if results is not None}
    state = tuple((name, r.manifest["digest"], str(r.manifest["files"])) for name, r in tables.items())
    if state not in _JUDGED:
        _JUDGED.clear()
        _JUDGED[state] = judged_items(tables)
    return _JUDGED[state].copy()


def judged_items(tables: Mapping[str, Results]) -> pd.DataFrame:
    """Judge the items of all claims, from the tables of experiments by name; columns as of `stored_items`."""
    rows = []
    asked = [(claim, name) for claim in CLAIMS for name in claim.experiments]
    cases = {name: Case(name, tables) for _, name in asked}  # which networks pass is found once for each
    for claim, name in asked:
        for item in _items(claim, cases[name]):
            found = item.estimate
            p = found.p if item.direction in ("above", "below") else float("nan")
            numbers = (found.value, found.low, found.high, found.n, p, item.paper)
            rows.append([claim.id, name, item.label, *numbers, item.direction, item.threshold])
    computed = [column for column in ITEM_COLUMNS if column not in ("p_holm", "outcome")]
    return verdicts.judge(pd.DataFrame(rows, columns=computed))[ITEM_COLUMNS]


def _items(claim: Claim, case: Case) -> list[Item]:
    """Items of a claim in an experiment; none where its tables are not stored."""
    if case.experiment not in case.tables and (case.experiment != BOTH_LABELS or not case.tables):
        return []
    return list(claim.test(case)) or [evidence.no_data("no rows in the tables")]
