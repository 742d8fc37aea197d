"""Numbers in prose: cells of tables that chapters offer, and nothing else."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modlib.book import numbers
from modlib.book.numbers import (
    OFFERED,
    Cell,
    CellError,
    cells_of,
    citations,
    find,
    gathering,
    offered,
    once,
    value,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def toy(monkeypatch):
    """Offer a table of a chapter named like this file; return the profiles it was made for."""
    monkeypatch.setattr(numbers, "OFFERED", dict(OFFERED))
    asked = []

    @offered("experiment", "normalized", "strength")
    def sizes(profile):
        """Sizes of things.

        More that is not for the reader of a number.
        """
        asked.append(profile)
        return pd.DataFrame(
            {
                "experiment": ["base", "base", "wide", "twice", "twice"],
                "normalized": [True, False, True, True, True],
                "strength": [0.5, 1e-5, 1, 1, 1],
                "n": np.array([1, 2, 3, 4, 5]),
                "share": [0.25, math.nan, math.inf, 0, 0],
                "name": ["a", "b", "c", "d", "e"],
                "flag": [True] * 5,
            }
        )

    @offered()
    def whole(profile):
        """One row."""
        return pd.DataFrame({"n": [len(profile)]})

    return asked


def at(*row, column="n", table="sizes"):
    return Cell("test_numbers", table, row, column)


@pytest.mark.parametrize(
    "name",
    ["elsewhere.effects[wide, matched].value", "speed.machine.cores", "a.b[output gradient, raw, 1e-05].c"],
)
def test_a_cell_is_read_as_it_is_written(name):
    assert str(Cell.parse(name)) == name


@pytest.mark.parametrize(
    "name", ["", "effects", "a.b", "a.b[c.d", "a.b[c]", "a.b[c]].d", "a-b.c.d", "a.b[c].d.e"]
)
def test_what_is_no_cell_is_refused_by_name(name):
    with pytest.raises(CellError, match=r"write chapter\.table"):
        Cell.parse(name)


def test_rows_are_named_by_the_labels_of_their_key(toy):
    assert value(at("base", "normalised", "0.5"), "paper") == 1
    assert value(at("base", "raw", "1e-05"), "paper") == 2
    assert value(at("wide", "normalised", "1"), "paper") == 3
    assert value(at(table="whole"), "quick") == 5
    assert toy == ["paper"]  # made once


def test_values_are_those_that_json_has(toy):
    found = [value(at("base", "normalised", "0.5", column=c), "paper") for c in ("n", "share", "name")]
    assert json.loads(json.dumps(found, allow_nan=False)) == found == [1, 0.25, "a"]
    assert [type(v) for v in found] == [int, float, str]
    assert value(at("base", "raw", "1e-05", column="share"), "paper") is None  # nan: there is nothing to say


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (at("wide", "normalised", "1", column="share"), "must be finite"),
        (at("wide", "normalised", "1", column="flag"), "must hold a number or a text, got True"),
        (at("wide", "normalised", "1", column="m"), "no such column; there are experiment, normalized"),
        (at("wide", "raw", "1"), "no such row; there are base, normalised, 0.5"),
        (at("twice", "normalised", "1"), "2 rows have these labels"),
        (at(table="weights"), "test_numbers offers sizes, whole"),
        (Cell("nowhere", "sizes", (), "n"), "no such chapter"),
    ],
)
def test_a_citation_that_names_no_cell_is_refused(toy, cell, message):
    with pytest.raises(CellError, match=message):
        value(cell, "paper")


def test_a_row_that_quick_runs_do_not_have_is_none_there_and_a_typing_error_is_not(toy):
    assert value(at("deep", "raw", "1"), "quick") is None
    with pytest.raises(CellError, match="no such column"):
        value(at("wide", "normalised", "1", column="m"), "quick")


def test_a_table_says_which_function_makes_it_and_what_it_is(toy):
    found = find(at("base"))
    assert (found.function, found.about) == ("test_numbers.sizes", "Sizes of things.")


def test_a_side_reads_the_two_ends_of_an_interval():
    cells, spec = cells_of("side", "a.b[c]")
    assert ([str(cell) for cell in cells], spec) == (["a.b[c].low", "a.b[c].high"], "")
    assert cells_of("num", "a.b[c].d:+.2f") == ([Cell("a", "b", ("c",), "d")], "+.2f")


def test_citations_are_found_in_prose_in_notebooks_and_in_captions(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "book" / "one.md").write_text(
        "{num}`a.b[c].d:.2f` and `a.b.e`, {side}`a.b[c]`", encoding="utf-8"
    )
    cells = [
        {"cell_type": "markdown", "source": ["{word}`a.b[c].w`\n"]},
        {"cell_type": "code", "source": ["caption='{num}`a.n.n`'"]},
    ]
    (tmp_path / "notebooks" / "two.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    found = [(page, str(cell)) for page, cell in citations(tmp_path)]
    assert found == [
        ("one", "a.b[c].d"), ("one", "a.b[c].low"), ("one", "a.b[c].high"), ("two", "a.b[c].w"),
        ("two", "a.n.n"),
    ]  # fmt: skip


def test_every_number_that_the_book_cites_is_on_record_and_no_other():
    """What is on record is computed again, and compared, in the tests of the record."""
    record = json.loads((ROOT / "results" / "verdicts" / "numbers.json").read_text(encoding="utf-8"))
    assert {"profile", *(str(cell) for _, cell in citations(ROOT))} == record.keys()


def test_what_tables_share_is_made_once_while_numbers_are_gathered_and_anew_at_other_times():
    made = []

    @once
    def shared(profile):
        made.append(profile)
        return len(made)

    assert [shared("paper"), shared("paper")] == [1, 2]
    for first in (3, 5):
        with gathering():
            assert [shared("paper"), shared("quick"), shared("paper")] == [first, first + 1, first]
    assert shared("paper") == 7
