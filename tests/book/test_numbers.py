"""All numbers of the book: gathered, plain, and of different names."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from modlib.book import numbers
from modlib.study import catalogue, store

ROOT = Path(__file__).parents[2]


def sources(monkeypatch, *tables):
    def source(table):
        return lambda profile: {**table, **({"profile": profile} if table is tables[0] else {})}

    monkeypatch.setattr(numbers, "SOURCES", tuple(source(table) for table in tables))


def test_numbers_of_all_chapters_are_gathered_for_the_profile(monkeypatch):
    sources(monkeypatch, {"a": 1, "b": "text"}, {"c": None, "d": 0.5})
    for profile in catalogue.PROFILES:
        assert numbers.numbers(profile) == {"a": 1, "b": "text", "c": None, "d": 0.5, "profile": profile}


def test_values_are_those_that_json_has(monkeypatch):
    sources(monkeypatch, {"a": np.int64(3), "b": np.float64(0.5), "c": np.float32("nan"), "d": math.nan})
    found = numbers.numbers("paper")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == {"a": 3, "b": 0.5, "c": None, "d": None, "profile": "paper"}
    assert {type(found["a"]), type(found["b"])} == {int, float}


def test_two_numbers_of_one_name_are_refused(monkeypatch):
    sources(monkeypatch, {"a": 1, "b": 2}, {"c": 3, "b": 2})
    with pytest.raises(ValueError, match="'b', which another module gives too"):
        numbers.numbers("paper")


def test_an_infinite_number_is_refused(monkeypatch):
    sources(monkeypatch, {"a": np.float64("-inf")})
    with pytest.raises(ValueError, match="a must be finite, got -inf"):
        numbers.numbers("paper")


@pytest.fixture(scope="module")
def whole():
    """Return the numbers at full scale, which take half a minute."""
    if not store.is_stored(catalogue.get("base", "paper")):
        pytest.skip("the tables of base are not here")
    return numbers.numbers("paper")


@pytest.mark.slow
def test_the_book_has_all_its_numbers_at_the_paper_profile(whole):
    assert whole["profile"] == "paper"
    assert whole["verdict_dropout_raises_q_base"] == "holds"
    json.dumps(whole, allow_nan=False)


@pytest.mark.slow
def test_prose_names_no_number_that_does_not_exist(whole):
    """Every {num} of the book, in notebooks and prose, has its entry."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "book").glob("*.md"))
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        text += "\n".join("".join(c["source"]) for c in json.loads(notebook.read_text("utf-8"))["cells"])
    named = set(re.findall(r"\{num\}`([A-Za-z0-9_]+)", text))
    assert len(named) > 30
    assert named - set(whole) == set()
