"""The judged claims as pages show them: verdicts side by side, what speaks against them, and the rule."""

import pandas as pd

from modlib.book.numbers import offered
from modlib.paper import claims, judgement, reported
from modlib.paper import verdicts as rule_of_verdicts
from modlib.paper.claims import CLAIMS, PRIMARY
from modlib.paper.evidence import OLD_SEEDS
from modlib.study import catalogue, project

NO_DATA = "no data"
#: How many claims have a verdict, in words.
_HOW_MANY = {
    "holds": "hold in full",
    "holds in part": "in part",
    "does not hold": "not at all",
    "cannot be said": "undecided",
}
#: Where claims are tested on new seeds, in words, beside base.
_OTHERS = {"deep": "in deep networks", "fashion": "on Fashion-MNIST", "wide": "in wide networks"}
_COUNTS = ["n_supported", "n_contradicted", "n_items", "n_no_data"]


def every_verdict(items: pd.DataFrame) -> pd.DataFrame:
    """Verdict on every claim in every experiment that it names, whether or not tables are stored.

    Where nothing is stored to judge by, `verdict` is "no data" and the counts are 0 (the rule alone would say
    "cannot be said"). `n_no_data` counts the items that are not among `n_items`.
    """
    key = ["claim", "experiment"]
    found = rule_of_verdicts.by_claim(items).set_index(key)
    found["n_no_data"] = (items.outcome == "no data").groupby([items[name] for name in key]).sum()
    tested = pd.MultiIndex.from_tuples([(c.id, name) for c in CLAIMS for name in c.experiments], names=key)
    whole = found.reindex(tested).fillna({"no_data": "", "hangs_on": "", **dict.fromkeys(_COUNTS, 0)})
    whole = whole.astype(dict.fromkeys(_COUNTS, int))
    return whole.assign(verdict=whole.verdict.where(whole.n_items > 0, NO_DATA)).reset_index()


def contradicted(items: pd.DataFrame, *, of_paper: bool) -> pd.DataFrame:
    """Return the contradicted items of the paper's claims or of ours, the farthest off first by claim."""
    ids = [claim.id for claim in CLAIMS if claim.of_paper == of_paper]
    found = items[items.claim.isin(ids) & (items.outcome == "contradicted")]
    keys = pd.DataFrame(
        {
            "claim": found.claim.map(ids.index),
            "experiment": pd.Categorical(found.experiment, items.experiment.unique()),
            "nearness": -(found.value - found.threshold).abs(),
        }
    )
    return found.loc[keys.sort_values([*map(str, keys)], kind="stable").index].reset_index(drop=True)


def with_paper_value(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items that the paper's figures give a value for, and whether our interval holds it."""
    both = items[items.paper.notna() & items.value.notna()]
    return both.assign(inside=both.paper.between(both.low, both.high)).reset_index(drop=True)


def changed(items: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts that are not, or not by the same counts, what they were on the first tables.

    The columns are those of `every_verdict`, with those of `modlib.paper.judgement.SUPERSEDED` beside them,
    whose names end in ``_before``. Verdicts that nothing is stored for now are left out.
    """
    key, compared = ["claim", "experiment"], ["verdict", *_COUNTS[:3]]
    before = pd.read_csv(project.of_checkout(judgement.SUPERSEDED))
    now = every_verdict(items).query("n_items > 0")
    now = now[~now.experiment.isin(OLD_SEEDS)]  # there was nothing of new seeds to change
    both = now.merge(before, on=key, how="left", suffixes=("", "_before"), validate="one_to_one")
    both = both.fillna({"verdict_before": NO_DATA, **{f"{name}_before": 0 for name in _COUNTS[:3]}})
    differs = [both[name] != both[f"{name}_before"] for name in compared]
    return both[pd.concat(differs, axis=1).any(axis=1)].reset_index(drop=True)


def on_new_seeds(items: pd.DataFrame) -> pd.DataFrame:
    """Put every item on new seeds beside the same item on old ones, where the new seeds are stored.

    A row is a `claim`, `experiment` (that with the old seeds) and `item`, in the order of the claims. The
    columns that items have are those of the old seeds; those of the new end in ``_new``. An item that only
    one side has, since a level passes the filter there alone, has "no data" as its `outcome` on the other.
    """
    key = ["claim", "experiment", "item"]
    there = items[items.outcome != "no data"]
    new = there[there.experiment.isin(OLD_SEEDS)]
    new = new.assign(experiment=new.experiment.map(OLD_SEEDS))
    asked = set(zip(new.claim, new.experiment, strict=True))
    old = there[[pair in asked for pair in zip(there.claim, there.experiment, strict=True)]]
    both = old.merge(new, on=key, how="outer", suffixes=("", "_new"), validate="one_to_one")
    both = both.fillna({"outcome": "no data", "outcome_new": "no data"})
    order = {claim.id: number for number, claim in enumerate(CLAIMS)}
    place = both.assign(claim=both.claim.map(order))[["experiment", "claim"]]
    return both.loc[place.sort_values(["experiment", "claim"], kind="stable").index].reset_index(drop=True)


# ---------------------------------------------------------------- numbers in prose


@offered("claim", "experiment")
def verdicts(profile: str) -> pd.DataFrame:
    """Verdict on every claim in every experiment that is stored, with the items for and against it."""
    table = every_verdict(judgement.stored_items(profile))
    return table[table.n_items > 0]


@offered("claim", "experiment", "item")
def items(profile: str) -> pd.DataFrame:
    """Every item of every claim that has data: its value with the 95 % interval, and its outcome."""
    table = judgement.stored_items(profile)
    return table[table.outcome != "no data"]


@offered("experiment")
def counts(profile: str) -> pd.DataFrame:
    """How many claims hold, hold in part, do not hold or cannot be told, in every experiment."""
    table = verdicts(profile)
    found = pd.crosstab(table.experiment, table.verdict)
    found = found.reindex(columns=rule_of_verdicts.VERDICTS, fill_value=0)
    return found.set_axis(["hold", "hold_in_part", "do_not_hold", "cannot_be_said"], axis=1).reset_index()


@offered()
def new_seeds(profile: str) -> pd.DataFrame:
    """Say in words which new seeds are computed, and how the claims behind both findings fare on them.

    `computed` lists the experiments, and `said` is a sentence for the front page.
    """
    table = verdicts(profile)
    table = table[table.claim.isin(PRIMARY)]
    stored = [old for new, old in OLD_SEEDS.items() if new in set(table.experiment)]
    said = "A test on new networks is planned"
    if "base" in stored:
        fares = {old: _how_many(table, old) for old in stored}
        said = (
            f"Tested on {_n_seeds('base')} new random starts, by a plan written before, "
            f"of the {len(PRIMARY)} claims behind these findings {fares.pop('base')}"
        )
        said += "".join(f"; {_OTHERS[old]} ({_n_seeds(old)} starts) {fare}" for old, fare in fares.items())
    return pd.DataFrame([{"computed": ", ".join(stored) or "none", "said": said}])


def _n_seeds(old: str) -> int:
    return len(catalogue.get(f"{old}-new-seeds", "paper").seeds)


def _how_many(table: pd.DataFrame, old: str) -> str:
    """Count the verdicts on an experiment's new seeds in words."""
    counted = table[table.experiment == f"{old}-new-seeds"].verdict.value_counts()
    return " and ".join(
        f"{counted[verdict]} {words}" for verdict, words in _HOW_MANY.items() if verdict in counted
    )


@offered("experiment")
def repeated(profile: str) -> pd.DataFrame:
    """How well new seeds repeat the items of the claims that both findings rest on, in every experiment.

    `inside` counts the values on new seeds that lie in the 95 % interval of the old ones, of so many `items`,
    and `nearer` those that are nearer to zero than the old ones; `seeds` is the number of new seeds.
    """
    both = on_new_seeds(judgement.stored_items(profile))
    both = both[both.claim.isin(PRIMARY)].dropna(subset=["value", "value_new"])
    both["inside"] = both.value_new.between(both.low, both.high)
    both["nearer"] = both.value_new.abs() < both.value.abs()
    found = both.groupby("experiment", as_index=False)
    counts = found.agg(items=("item", "size"), inside=("inside", "sum"), nearer=("nearer", "sum"))
    return counts.assign(seeds=found.n_new.max().n_new)


@offered("experiment")
def beside_paper(profile: str) -> pd.DataFrame:
    """How many items the paper's figures give a value for, and how close ours are to it.

    The items are those that every protocol has, so that the protocols can be compared. `inside` counts our
    95 % intervals that hold the paper's value; `apart` is the median distance.
    """
    both = with_paper_value(judgement.stored_items(profile))
    both = both[both.experiment.isin(reported.LIKE_THE_FIGURES)]
    protocols = both.groupby(["claim", "item"]).experiment.transform("nunique")
    both = both[protocols == both.experiment.nunique()]
    both = both.assign(apart=(both.value - both.paper).abs())
    kept = both.groupby("experiment", as_index=False)
    return kept.agg(items=("item", "size"), inside=("inside", "sum"), apart=("apart", "median"))


@offered()
def totals(profile: str) -> pd.DataFrame:
    """How many claims, items and verdicts there are, what contradicts the paper and us, and what is fragile.

    `on_one_item` counts the verdicts that would be others without one of their items.
    """
    found = judgement.stored_items(profile)
    judged = verdicts(profile)
    row = {
        "claims": len(CLAIMS),
        "claims_of_paper": sum(claim.of_paper for claim in CLAIMS),
        "items": int((found.outcome != "no data").sum()),
        "verdicts": len(judged),
        "on_one_item": int((judged.hangs_on != "").sum()) if len(judged) else 0,
        "against_paper": len(contradicted(found, of_paper=True)),
        "against_us": len(contradicted(found, of_paper=False)),
    }
    return pd.DataFrame([row])


@offered()
def rule(_profile: str) -> pd.DataFrame:
    """Return the level of significance, the fewest seeds that decide, the threshold and the margins."""
    row = {
        "alpha": rule_of_verdicts.ALPHA,
        "least_seeds": rule_of_verdicts.LEAST_SEEDS,
        "high_agreement": reported.high_agreement(),
        "margin_lead": claims.LEAD_MARGIN,
        "margin_downstream": claims.DOWNSTREAM_MARGIN,
        "margin_modules": claims.MODULES_MARGIN,
        "margin_accuracy": claims.ACCURACY_MARGIN,
    }
    return pd.DataFrame([row])
