"""What pages say of the judged claims, in made-up worlds whose outcome is known."""

import pandas as pd
import pytest
import worlds

from modlib.book.chapters.verdict import tables
from modlib.paper import judgement, verdicts
from modlib.paper.claims import CLAIMS, PRIMARY
from modlib.study import catalogue, schema, store


@pytest.fixture(scope="module")
def judged():
    return {truth: judgement.judged_items(worlds.world(truth)) for truth in ("true", "false")}


def test_every_claim_has_a_row_wherever_it_is_asked(judged):
    asked = [(claim.id, name) for claim in CLAIMS for name in claim.experiments]
    for table in (*judged.values(), judged["true"].iloc[:0]):
        each = tables.every_verdict(table)
        assert list(zip(each.claim, each.experiment, strict=True)) == asked
        stored = each[each.verdict != tables.NO_DATA]
        expected = verdicts.by_claim(table)
        expected = expected[expected.n_items > 0]
        key = ["claim", "experiment"]
        merged = stored.merge(expected, on=key, suffixes=("", "_expected"))
        assert len(merged) == len(stored) == len(expected)
        for column in ("verdict", "n_supported", "n_contradicted", "n_items", "no_data"):
            assert (merged[column] == merged[f"{column}_expected"]).all()
        assert (each[each.verdict == tables.NO_DATA].n_items == 0).all()


def test_items_without_data_are_counted_apart():
    items = judgement.judged_items({"labels-kept": worlds.world("true")["labels-kept"]})
    (row,) = tables.every_verdict(items).query("claim == 'more-with-a-task'").to_dict("records")
    assert (row["n_items"], row["n_no_data"], row["verdict"]) == (0, 1, tables.NO_DATA)


def test_what_speaks_against_the_paper_and_against_us(judged):
    items = judged["false"]
    paper, ours = (tables.contradicted(items, of_paper=of) for of in (True, False))
    assert len(paper) + len(ours) == (items.outcome == "contradicted").sum()
    makes = {claim.id: claim.of_paper for claim in CLAIMS}
    assert paper.claim.map(makes).all()
    assert not ours.claim.map(makes).any()
    never = {"penalties-raise-upstream", "penalties-raise-downstream"}  # the weakest L2 is one of them
    assert set(paper.claim) | set(ours.claim) == set(makes) - never
    for _, group in pd.concat([paper, ours]).groupby(["claim", "experiment"], sort=False):
        assert (group.value - group.threshold).abs().is_monotonic_decreasing
    for of in (True, False):
        assert tables.contradicted(judged["true"], of_paper=of).empty


def test_an_item_that_one_side_lacks_has_no_data_there(judged):
    items = judged["true"]
    new = items[items.experiment == "base"].assign(experiment="base-new-seeds")
    new["item"] = new.item.replace("dropout 0.6", "dropout 0.5")
    found = tables.on_new_seeds(pd.concat([items, new]))
    assert set(found.experiment) == {"base"}
    ids = [claim.id for claim in CLAIMS]
    assert found.claim.map(ids.index).is_monotonic_increasing
    lacking = found[found.outcome_new == "no data"]
    assert set(lacking.item) == {"dropout 0.6"}
    assert set(found[found.outcome == "no data"].item) == {"dropout 0.5"}
    same = found[(found.outcome != "no data") & (found.outcome_new != "no data")]
    assert (same.value == same.value_new).all()
    assert tables.on_new_seeds(items).empty


def test_what_new_seeds_say_is_put_into_words(judged, monkeypatch):
    items = judged["true"]
    monkeypatch.setattr(judgement, "stored_items", lambda _: items)
    assert tables.new_seeds("paper").iloc[0].to_list() == ["none", "A test on new networks is planned"]
    new = items[items.experiment == "base"].assign(experiment="base-new-seeds")
    new.loc[new.claim == "level-downstream", "outcome"] = "contradicted"
    monkeypatch.setattr(judgement, "stored_items", lambda _: pd.concat([items, new]))
    computed, said = tables.new_seeds("paper").iloc[0]
    assert computed == "base"
    assert "Tested on 60 new random starts" in said
    assert said.endswith("of the 6 claims behind these findings 5 hold in full and 1 not at all")
    deep = new.assign(experiment="deep-new-seeds", outcome="supported")
    deep.loc[deep.claim == "across-below-half", "outcome"] = "undecided"
    monkeypatch.setattr(judgement, "stored_items", lambda _: pd.concat([items, new, deep]))
    computed, longer = tables.new_seeds("paper").iloc[0]
    assert computed == "base, deep"
    assert longer == f"{said}; in deep networks (27 starts) 5 hold in full and 1 undecided"


def test_values_on_new_seeds_are_counted_inside_the_intervals_of_old_ones(judged, monkeypatch):
    items = judged["true"]
    new = items[items.experiment == "base"].assign(experiment="base-new-seeds", n=60)
    astray = ["upstream-agrees-within", "training-raises-upstream"]  # the latter is not behind a finding
    new.loc[new.claim.isin(astray), "value"] += 1
    new.loc[new.claim == "lead-is-upstream", "value"] *= 0.9999  # nearer to zero, and still inside
    monkeypatch.setattr(judgement, "stored_items", lambda _: pd.concat([items, new]))
    primary = new[new.claim.isin(PRIMARY) & new.value.notna()]
    within = primary[primary.claim != "upstream-agrees-within"]
    assert 0 < len(within) < len(primary)
    (row,) = tables.repeated("paper").to_dict("records")
    count = {"items": len(primary), "inside": len(within), "nearer": 1, "seeds": 60}
    assert row == {"experiment": "base", **count}


def test_protocols_are_held_beside_the_paper_over_items_that_both_have(judged, monkeypatch):
    base = judged["true"].query("experiment == 'base'")
    v1 = base.assign(experiment="base-v1", value=base.paper + 0.5)
    v1 = v1[v1.claim != "dropout-leads-upstream"]  # which has a value in the paper's figures
    monkeypatch.setattr(judgement, "stored_items", lambda _: pd.concat([base, v1]))
    near = tables.beside_paper("paper").set_index("experiment")
    both = int(tables.with_paper_value(base).claim.ne("dropout-leads-upstream").sum())
    assert near["items"].to_dict() == {"base": both, "base-v1": both}
    assert near.apart["base-v1"] == pytest.approx(0.5)


def test_verdicts_are_compared_with_those_before(judged, monkeypatch, tmp_path):
    now = tables.every_verdict(judged["true"]).query("n_items > 0")
    before = now.drop(columns=["no_data", "hangs_on", "n_no_data"]).iloc[1:].reset_index(drop=True)
    before.loc[0, "verdict"] = "does not hold"
    before.loc[1, "n_supported"] += 1
    file = tmp_path / "verdicts.csv"
    before.to_csv(file, index=False)
    monkeypatch.setattr(judgement, "SUPERSEDED", file)
    items = judged["true"]
    new = items[items.experiment == "base"].assign(experiment="base-new-seeds")
    found = tables.changed(pd.concat([items, new]))  # of which there was no before
    key = ["claim", "experiment"]
    assert found[key].to_numpy().tolist() == now[key].iloc[:3].to_numpy().tolist()
    assert found.verdict_before.tolist()[:2] == [tables.NO_DATA, "does not hold"]
    assert found.n_supported_before[2] == found.n_supported[2] + 1


def test_the_verdicts_before_are_of_claims_that_are_made():
    before = pd.read_csv(judgement.SUPERSEDED)
    assert {*zip(before.claim, before.experiment, strict=True)} <= {
        (claim.id, name) for claim in CLAIMS for name in claim.experiments
    }
    assert set(before.verdict) <= {*verdicts.VERDICTS}


def test_beside_the_paper_counts_intervals_that_hold_its_value():
    paper = pd.DataFrame({"value": [0.5, 0.5, 0.5, float("nan")], "paper": [0.45, 0.7, float("nan"), 0.5]})
    found = tables.with_paper_value(paper.assign(low=0.4, high=0.6))
    assert found.inside.tolist() == [True, False]


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Return what stores the tables of made-up experiments."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))

    def store_world(truth, *names):
        for name in names:
            found = worlds.world(truth)[name]
            frames = {table: getattr(found, table) for table in schema.TABLES}
            store.write_results(catalogue.get(name, "paper"), frames, {}, {})

    return store_world


def test_numbers_are_there_for_what_is_stored_and_for_nothing_else(stored):
    for table in (tables.verdicts("paper"), tables.counts("paper"), tables.beside_paper("paper")):
        assert table.empty
    stored("true", "base", "fashion", "untrained-fashion")
    judged = tables.verdicts("paper").set_index(["claim", "experiment"])
    base = judged.loc[("across-below-half", "base")]
    assert (base.verdict, base.n_supported, base.n_contradicted, base.n_items) == ("holds", 3, 0, 3)
    assert judged.verdict[("more-than-rotations", "fashion")] == "holds"
    assert "wide" not in judged.index.get_level_values("experiment")
    counts = tables.counts("paper").set_index("experiment")
    assert (counts.hold["base"], counts.hold["fashion"]) == (23 + 2, 23 + 4)  # choices; nulls
    assert (counts[["hold_in_part", "do_not_hold", "cannot_be_said"]].loc["base"] == 0).all()
    totals = tables.totals("paper").iloc[0]
    assert (totals.against_paper, totals.verdicts) == (0, len(judged))
    item = tables.items("paper").set_index(["claim", "experiment", "item"])
    lead = item.loc["dropout-leads-upstream", "base", "upstream"]
    assert lead.low < lead.value < lead.high
    assert lead.value == pytest.approx(0.25, abs=0.01)
    choices = 1 + 3 + 3 + 2 + 1  # levels, graphs, graphs of all levels, layer (of Q); ECS (of agreement)
    near = tables.beside_paper("paper").set_index("experiment")
    assert near["items"]["base"] == 10 + 3 + 1 + choices
    assert 0 <= near.inside["base"] <= near["items"]["base"]
    assert "fashion" not in near.index


def test_numbers_of_a_world_in_which_nothing_holds(stored):
    stored("false", "base", "close-up", "untrained")
    counts = tables.counts("paper").set_index("experiment").loc["base"]
    assert (counts.do_not_hold, counts.cannot_be_said, counts.hold) == (23, 2, 0)
    judged = tables.verdicts("paper").set_index(["claim", "experiment"])
    nulls = judged.loc[("more-than-permuted", "close-up")]
    assert (nulls.verdict, nulls.n_contradicted) == ("does not hold", 8)
    items = judgement.stored_items("paper")
    totals = tables.totals("paper").iloc[0]
    assert totals.against_paper + totals.against_us == (items.outcome == "contradicted").sum()
    assert min(totals.against_paper, totals.against_us) > 0
    assert totals["items"] == (items.outcome != "no data").sum()
    assert "labels" not in judged.index.get_level_values("experiment")  # neither kind of labels


def test_verdicts_that_hang_on_one_item_are_told(stored, monkeypatch):
    """Of three levels one is undecided: without another, only half would be supported."""
    stored("true", "base")
    items = judgement.stored_items("paper")
    here = items.index[(items.claim == "across-below-half") & (items.experiment == "base")]
    items.loc[here[0], "outcome"] = "contradicted"
    monkeypatch.setattr(judgement, "stored_items", lambda profile: items)
    judged = tables.verdicts("paper").set_index(["claim", "experiment"])
    assert judged.hangs_on["across-below-half", "base"] == items["item"][here[0]]
    assert tables.totals("paper").on_one_item.item() == (judged.hangs_on != "").sum() == 1


def test_the_rule_is_told_as_it_is():
    (rule,) = tables.rule("paper").to_dict("records")
    assert (rule["alpha"], rule["least_seeds"]) == (verdicts.ALPHA, verdicts.LEAST_SEEDS)
    assert 0 < rule["high_agreement"] < 1
