"""What the page on robustness says is on record: no wrong data, and a reason for every survivor."""

import csv
import html
from collections import Counter

import pandas as pd
import pytest
import test_properties

from modlib.book import benchmark_records as records
from modlib.book.chapters.robustness import charts, tables


def test_no_damaged_file_gave_wrong_data_or_ended_without_a_reason():
    table = tables.hostile()
    assert table.files.sum() >= 10_000
    assert table.wrong.sum() == table.crashed.sum() == 0
    assert (table[list(tables.READINGS)].sum(axis=1) == table.files).all()


def test_every_survivor_has_a_reason_and_every_reason_a_survivor():
    keys = tables.MUTANT
    table = tables.survivors()
    assert table.reason.notna().all(), table[table.reason.isna()].to_string()
    reasons = pd.read_csv(records.FOLDER / "survivors.csv").fillna("")
    assert not reasons.duplicated(keys).any()
    mutation = records.read("mutation", "cpu").table.fillna("")
    survived = set(mutation[mutation.outcome == "survived"][keys].itertuples(index=False, name=None))
    assert set(reasons[keys].itertuples(index=False, name=None)) <= survived
    assert reasons.reason.str.len().min() > 15


def test_survivors_are_counted_by_kind_of_reason_and_every_one_is_listed():
    table = tables.reasons()

    def read(name):
        return csv.DictReader((records.FOLDER / name).read_text(encoding="utf-8").splitlines())

    groups = {tuple(row[name] for name in tables.MUTANT): row["group"] for row in read("survivors.csv")}
    survived = [row for row in read("mutation-cpu.csv") if row["outcome"] == "survived"]
    counted = Counter(groups[tuple(row[name] for name in tables.MUTANT)] for row in survived)
    assert dict(zip(table.reason, table.faults, strict=True)) == counted
    assert table.faults.is_monotonic_decreasing
    assert len(table) <= 6
    assert table.faults.sum() == len(tables.survivors())
    shown = charts.survivors().data
    assert shown.startswith(f"<details><summary>Each of the {len(survived)}, ")
    assert all(reason in html.unescape(shown) for reason in tables.survivors().reason)


def test_nine_of_ten_faults_are_caught_in_every_module():
    table = tables.mutants()
    assert table.module.tolist() == ["similarity", "modularity", "agreement"]
    assert (table.percent >= 90).all()
    assert (table.caught + table.survived == table.mutants).all()


def test_what_was_tried_is_counted_over_tests_and_no_case_failed():
    table = tables.trials()
    assert table.tried.tolist() == list(tables.TRIALS.values())
    assert table.failed.sum() == 0
    assert (table.cases >= table.tests).all()


def test_the_book_lists_what_tests_of_properties_say_of_themselves(request):
    """To write the list anew: ``pytest tests/book/chapters/test_robustness.py -k book_lists --record``."""
    said = {
        name: one.__doc__ or "" for name, one in vars(test_properties).items() if name.startswith("test_")
    }
    rows = [(name, text.partition("\n")[0].removesuffix(".")) for name, text in said.items()]
    table = pd.DataFrame(rows, columns=["test", "property"])
    if request.config.getoption("--record"):
        table.to_csv(tables.PROPERTIES, index=False, lineterminator="\n")
    pd.testing.assert_frame_equal(pd.read_csv(tables.PROPERTIES), table)


def test_properties_are_sentences():
    table = tables.properties().set_index("test").property
    assert table["test_q_is_between_minus_a_half_and_one"] == "Q is between minus a half and one"
    for name, sentence in table.items():
        said = getattr(test_properties, name).__doc__
        assert said.startswith(f"{sentence}.")
        assert len(sentence.split()) >= 5
    assert table.is_unique


def test_numbers_are_those_of_the_records():
    (damaged,) = tables.damaged("paper").to_dict("records")
    assert damaged["files"] == tables.hostile().files.sum()
    assert damaged["equal"] + damaged["refused"] == damaged["files"]
    assert damaged["kinds"] == 10
    (suite,) = tables.suite("paper").to_dict("records")
    assert (suite["kills"], suite["failed"], suite["properties_failed"]) == (50, 0, 0)
    assert suite["tests"] > suite["argument_cases"] > suite["properties"] == len(tables.properties())
    (faults,) = tables.faults("paper").to_dict("records")
    assert (
        faults["mutants"]
        == faults["caught"] + faults["survived"]
        == len(records.read("mutation", "cpu").table)
    )
    assert 90 < faults["least_percent"] < faults["percent"] < 100


def test_without_records_there_are_no_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    for make in (tables.damaged, tables.suite, tables.faults):
        assert make("quick").empty


def test_charts_hold_the_counts_of_the_tables():
    (rows,) = charts.hostile().to_dict()["datasets"].values()
    assert sum(row["number"] for row in rows) == tables.hostile().files.sum()
    (rows,) = charts.mutants().to_dict()["datasets"].values()
    counts = tables.mutants()
    assert sum(row["number"] for row in rows) == counts.mutants.sum()
    caught = sum(row["number"] for row in rows if row["outcome"] == "caught")
    assert caught == pytest.approx(counts.caught.sum())
