"""What pages say of the judged claims, in made-up worlds whose outcome is known."""

import pandas as pd
import pytest
import worlds

from modlib.book.chapters.verdict import tables
from modlib.paper import judgement, verdicts
from modlib.paper.claims import CLAIMS
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


def test_items_without_data_are_counted_apart(judged):
    each = tables.every_verdict(judged["true"]).set_index("claim")
    elsewhere = each.loc["holds-elsewhere"]
    assert (elsewhere.n_items, elsewhere.n_no_data) == (6, 3)  # fashion; three others are not stored
    assert each.loc["more-with-a-task"].n_no_data == 0


def test_what_speaks_against_the_paper_and_against_us(judged):
    items = judged["false"]
    paper, ours = (tables.contradicted(items, of_paper=of) for of in (True, False))
    assert len(paper) + len(ours) == (items.outcome == "contradicted").sum()
    makes = {claim.id: claim.of_paper for claim in CLAIMS}
    assert paper.claim.map(makes).all()
    assert not ours.claim.map(makes).any()
    assert set(paper.claim) | set(ours.claim) == set(makes)
    for _, group in pd.concat([paper, ours]).groupby(["claim", "experiment"], sort=False):
        assert (group.value - group.threshold).abs().is_monotonic_decreasing
    for of in (True, False):
        assert tables.contradicted(judged["true"], of_paper=of).empty


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
    base = judged.loc[("dropout-raises-q", "base")]
    assert (base.verdict, base.n_supported, base.n_contradicted, base.n_items) == ("holds", 16, 0, 16)
    assert judged.verdict[("more-than-nulls", "fashion")] == "holds"
    assert "wide" not in judged.index.get_level_values("experiment")
    counts = tables.counts("paper").set_index("experiment")
    assert counts.hold["base"] == counts.hold["fashion"] == 12
    assert (counts[["hold_in_part", "do_not_hold", "cannot_be_said"]].loc["base"] == 0).all()
    assert tables.totals("paper").against_paper.item() == 0
    choices = 2 + 1 + (6 + 3) + 6 + 2  # default, levels, graphs, graphs of all levels, layer (of Q)
    near = tables.beside_paper("paper").set_index("experiment")
    assert near["items"]["base"] == 16 * 3 + 4 + 2 + 2 + 2 + 1 + choices
    assert 0 <= near.inside["base"] <= near["items"]["base"]
    assert "fashion" not in near.index


def test_numbers_of_a_world_in_which_nothing_holds(stored):
    stored("false", "base", "close-up", "untrained")
    counts = tables.counts("paper").set_index("experiment").loc["base"]
    assert (counts.do_not_hold, counts.hold) == (12, 0)
    judged = tables.verdicts("paper").set_index(["claim", "experiment"])
    nulls = judged.loc[("more-than-nulls", "close-up")]
    assert (nulls.verdict, nulls.n_contradicted) == ("does not hold", 64)
    items = judgement.stored_items("paper")
    totals = tables.totals("paper").iloc[0]
    assert totals.against_paper + totals.against_us == (items.outcome == "contradicted").sum()
    assert min(totals.against_paper, totals.against_us) > 0
    assert totals["items"] == (items.outcome != "no data").sum()
    assert "labels" not in judged.index.get_level_values("experiment")  # neither kind of labels


def test_the_rule_is_told_as_it_is():
    (rule,) = tables.rule("paper").to_dict("records")
    assert (rule["alpha"], rule["least_seeds"]) == (verdicts.ALPHA, verdicts.LEAST_SEEDS)
    assert 0 < rule["high_agreement"] < 1
