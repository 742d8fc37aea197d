"""What pages say of the judged claims, in made-up worlds whose outcome is known."""

import pandas as pd
import pytest
import worlds

from modlib.book.chapters.verdict import tables as outcomes
from modlib.paper import claims, verdicts
from modlib.paper.claims import CLAIMS
from modlib.study import catalogue, schema, store


@pytest.fixture(scope="module")
def judged():
    return {truth: claims.items(worlds.world(truth)) for truth in ("true", "false")}


def test_every_claim_has_a_row_wherever_it_is_asked(judged):
    asked = [(claim.id, name) for claim in CLAIMS for name in claim.experiments]
    for table in (*judged.values(), judged["true"].iloc[:0]):
        each = outcomes.verdict_of_each(table)
        assert list(zip(each.claim, each.experiment, strict=True)) == asked
        stored = each[each.verdict != outcomes.NO_DATA]
        expected = verdicts.table(table)
        expected = expected[expected.n_items > 0]
        key = ["claim", "experiment"]
        merged = stored.merge(expected, on=key, suffixes=("", "_expected"))
        assert len(merged) == len(stored) == len(expected)
        for column in ("verdict", "n_supported", "n_contradicted", "n_items", "no_data"):
            assert (merged[column] == merged[f"{column}_expected"]).all()
        assert (each[each.verdict == outcomes.NO_DATA].n_items == 0).all()


def test_items_without_data_are_counted_apart(judged):
    each = outcomes.verdict_of_each(judged["true"]).set_index("claim")
    elsewhere = each.loc["holds-elsewhere"]
    assert (elsewhere.n_items, elsewhere.n_no_data) == (6, 3)  # fashion; three others are not stored
    assert each.loc["more-with-a-task"].n_no_data == 0


def test_what_speaks_against_the_paper_and_against_us(judged):
    items = judged["false"]
    paper, ours = (outcomes.against(items, of_paper=of) for of in (True, False))
    assert len(paper) + len(ours) == (items.outcome == "contradicted").sum()
    makes = {claim.id: claim.of_paper for claim in CLAIMS}
    assert paper.claim.map(makes).all()
    assert not ours.claim.map(makes).any()
    assert set(paper.claim) | set(ours.claim) == set(makes)
    for _, group in pd.concat([paper, ours]).groupby(["claim", "experiment"], sort=False):
        assert (group.value - group.threshold).abs().is_monotonic_decreasing
    for of in (True, False):
        assert outcomes.against(judged["true"], of_paper=of).empty


def test_beside_the_paper_counts_intervals_that_hold_its_value():
    paper = pd.DataFrame({"value": [0.5, 0.5, 0.5, float("nan")], "paper": [0.45, 0.7, float("nan"), 0.5]})
    found = outcomes.beside_paper(paper.assign(low=0.4, high=0.6))
    assert found.inside.tolist() == [True, False]


def store_world(folder, monkeypatch, truth, *names):
    monkeypatch.setenv("MODLIB_RESULTS", str(folder))
    for name in names:
        found = worlds.world(truth)[name]
        tables = {table: getattr(found, table) for table in schema.TABLES}
        store.write_results(catalogue.get(name, "paper"), tables, {}, {})


def test_numbers_have_the_same_names_whatever_is_stored(tmp_path, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "none"))
    without = outcomes.numbers("paper")
    assert without["verdict_dropout_raises_q_base"] is None
    assert without["verdict_base_hold"] is None
    store_world(tmp_path / "some", monkeypatch, "true", "base", "fashion", "untrained-fashion")
    found = outcomes.numbers("paper")
    assert found.keys() == without.keys() == outcomes.numbers("quick").keys()
    assert found["verdict_dropout_raises_q_base"] == "holds"
    assert found["verdict_dropout_raises_q_base_supported"] == 16
    assert found["verdict_dropout_raises_q_wide"] is None
    assert found["verdict_more_than_nulls_fashion"] == "holds"
    assert found["verdict_base_hold"] == 12
    assert found["verdict_fashion_hold"] == 12
    assert found["verdict_items_against_paper"] == 0
    choices = 2 + 1 + (6 + 3) + 6 + 2  # default, levels, graphs, graphs of all levels, layer (of Q)
    assert found["verdict_base_beside_paper"] == 16 * 3 + 4 + 2 + 2 + 2 + 1 + choices


def test_numbers_of_a_world_in_which_nothing_holds(tmp_path, monkeypatch):
    store_world(tmp_path, monkeypatch, "false", "base", "close-up", "untrained")
    found = outcomes.numbers("paper")
    assert found["verdict_base_do_not_hold"] == 12
    assert found["verdict_base_hold"] == 0
    assert found["verdict_more_than_nulls_close_up"] == "does not hold"
    assert found["verdict_more_than_nulls_close_up_contradicted"] == 64
    items = claims.table("paper")
    counts = found["verdict_items_against_paper"], found["verdict_items_against_us"]
    assert sum(counts) == (items.outcome == "contradicted").sum()
    assert min(counts) > 0
    assert found["verdict_more_with_a_task_labels"] is None  # no networks with either kind of labels
