"""What the page on robustness says is on record: no wrong data, and a reason for every survivor."""

import pandas as pd
import pytest

from modlib.book import benchmark_records
from modlib.book.chapters.robustness import charts
from modlib.book.chapters.robustness import tables as robustness


def test_no_damaged_file_gave_wrong_data_or_ended_without_a_reason():
    table = robustness.hostile()
    assert table.files.sum() >= 10_000
    assert table.wrong.sum() == table.crashed.sum() == 0
    assert (table[list(robustness.OUTCOMES)].sum(axis=1) == table.files).all()


def test_every_survivor_has_a_reason_and_every_reason_a_survivor():
    keys = [key for key in robustness.MUTANT if key != "line"]
    table = robustness.survivors()
    assert table.reason.notna().all(), table[table.reason.isna()].to_string()
    reasons = pd.read_csv(benchmark_records.FOLDER / "survivors.csv").fillna("")
    assert not reasons.duplicated(keys).any()
    mutation = benchmark_records.read("mutation", "cpu").table.fillna("")
    survived = set(mutation[mutation.outcome == "survived"][keys].itertuples(index=False, name=None))
    assert set(reasons[keys].itertuples(index=False, name=None)) <= survived
    assert reasons.reason.str.len().min() > 15


def test_nine_of_ten_faults_are_caught_in_every_module():
    table = robustness.mutants()
    assert table.module.tolist() == ["similarity", "modularity", "agreement"]
    assert (table.percent >= 90).all()
    assert (table.caught + table.survived == table.mutants).all()


def test_what_was_tried_is_counted_over_tests_and_no_case_failed():
    table = robustness.trials()
    assert table.tried.tolist() == list(robustness.TRIALS.values())
    assert table.failed.sum() == 0
    assert (table.cases >= table.tests).all()


def test_properties_are_sentences():
    table = robustness.properties()
    assert "Q is between minus a half and one" in table.property.tolist()
    assert (table.holds == "yes").all()


def test_every_number_that_is_cited_is_on_record():
    found = robustness.numbers("paper")
    assert [key for key, value in found.items() if value is None] == []
    assert found["robust_kills"] == 50
    assert found["robust_failed"] == 0


def test_without_records_numbers_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_records, "FOLDER", tmp_path)
    assert set(robustness.numbers("quick").values()) == {None}


def test_charts_hold_the_counts_of_the_tables():
    (rows,) = charts.hostile().to_dict()["datasets"].values()
    assert sum(row["number"] for row in rows) == robustness.hostile().files.sum()
    (rows,) = charts.mutants().to_dict()["datasets"].values()
    counts = robustness.mutants()
    assert sum(row["number"] for row in rows) == counts.mutants.sum()
    caught = sum(row["number"] for row in rows if row["outcome"] == "caught")
    assert caught == pytest.approx(counts.caught.sum())
