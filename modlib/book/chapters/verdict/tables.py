"""The judged claims as pages tell them: verdicts side by side, what speaks against them, and the numbers."""

from __future__ import annotations

import pandas as pd

from modlib.paper import evidence, reported, verdicts
from modlib.paper.claims import CLAIMS, table

#: Verdicts as keys of numbers name them.
_SHORT = dict(zip(verdicts.VERDICTS, ("hold", "hold_in_part", "do_not_hold", "cannot_be_said"), strict=True))
NO_DATA = "no data"


def verdict_of_each(items: pd.DataFrame) -> pd.DataFrame:
    """Verdict on every claim wherever it is asked, tables or none.

    Parameters
    ----------
    items
        As `modlib.paper.claims.table` returns them.

    Returns
    -------
    DataFrame
        As `modlib.paper.verdicts.table`, in the order of `modlib.paper.claims.CLAIMS`, with a row for each
        experiment that a claim asks for. `verdict` is "no data", and the counts 0, where tables are not
        stored or have no rows to judge it by (by the rule alone, that "cannot be said"). `n_no_data` counts
        the items that are not among `n_items`.
    """
    key = ["claim", "experiment"]
    found = verdicts.table(items).set_index(key)
    found["n_no_data"] = (items.outcome == "no data").groupby([items[name] for name in key]).sum()
    asked = pd.MultiIndex.from_tuples(
        [(claim.id, name) for claim in CLAIMS for name in claim.experiments], names=key
    )
    counts = dict.fromkeys(["n_supported", "n_contradicted", "n_items", "n_no_data"], 0)
    whole = found.reindex(asked).fillna({"no_data": "", **counts}).astype(dict.fromkeys(counts, int))
    return whole.assign(verdict=whole.verdict.where(whole.n_items > 0, NO_DATA)).reset_index()


def against(items: pd.DataFrame, *, of_paper: bool) -> pd.DataFrame:
    """Items that are contradicted, of the paper's claims or of ours, farthest from their threshold first.

    Returns
    -------
    DataFrame
        Rows of `items`, claim by claim in their order, experiment by experiment.
    """
    claims = [claim.id for claim in CLAIMS if claim.of_paper == of_paper]
    found = items[items.claim.isin(claims) & (items.outcome == "contradicted")]
    distance = (found.value - found.threshold).abs()
    order = found.assign(
        _claim=found.claim.map(claims.index),
        _experiment=pd.Categorical(found.experiment, items.experiment.unique()),
        _distance=-distance,
    ).sort_values(["_claim", "_experiment", "_distance"], kind="stable")
    return order.drop(columns=["_claim", "_experiment", "_distance"]).reset_index(drop=True)


def beside_paper(items: pd.DataFrame) -> pd.DataFrame:
    """Items that the paper's figures have a value for, and whether our interval holds it (`inside`)."""
    both = items[items.paper.notna() & items.value.notna()]
    inside = (both.low <= both.paper) & (both.paper <= both.high)
    return both.assign(inside=inside).reset_index(drop=True)


def numbers(profile: str) -> dict[str, int | float | str | None]:
    """Verdicts, counts and margins that prose cites.

    ``verdict_<claim>_<experiment>`` is the verdict in words, and with ``_supported``, ``_contradicted`` and
    ``_items`` the counts behind it; hyphens of names are written as underscores. None where no tables are
    stored.
    """
    items = table(profile)
    each = verdict_of_each(items)
    found: dict[str, int | float | str | None] = {
        "verdict_claims": len(CLAIMS),
        "verdict_claims_of_paper": sum(claim.of_paper for claim in CLAIMS),
        "verdict_items": int((items.outcome != "no data").sum()),
        "verdict_items_against_paper": len(against(items, of_paper=True)),
        "verdict_items_against_us": len(against(items, of_paper=False)),
        "verdict_alpha": verdicts.ALPHA,
        "verdict_least_seeds": verdicts.LEAST_SEEDS,
        "verdict_threshold_agreement": reported.high_agreement(),
        "verdict_margin_downstream": evidence.DOWNSTREAM_MARGIN,
        "verdict_margin_modules": evidence.MODULES_MARGIN,
        "verdict_margin_accuracy": evidence.ACCURACY_MARGIN,
    }
    for row in each.to_dict("records"):
        key = _key(row["claim"], row["experiment"])
        there = row["verdict"] != NO_DATA
        found[key] = row["verdict"] if there else None
        for count in ("supported", "contradicted", "items"):
            found[f"{key}_{count}"] = row[f"n_{count}"] if there else None
    for experiment in each.experiment.unique():
        of = each[each.experiment == experiment].verdict
        for verdict, name in _SHORT.items():
            number = int((of == verdict).sum())
            found[f"{_key(experiment)}_{name}"] = number if (of != NO_DATA).any() else None
    both = beside_paper(items)
    for experiment in reported.LIKE_THE_FIGURES:
        here = both[both.experiment == experiment]
        key = f"{_key(experiment)}_beside_paper"
        found[key] = len(here) or None
        found[f"{key}_inside"] = int(here.inside.sum()) if len(here) else None
        found[f"{key}_apart"] = float((here.value - here.paper).abs().median()) if len(here) else None
    return found


def _key(*names: str) -> str:
    return "_".join(["verdict", *names]).replace("-", "_")
