"""The checks of the book: every chapter has some, and each is written as a good one is."""

import re
from collections import Counter
from pathlib import Path

import exercises
import nbformat
import pytest

from modlib.book.sphinx.check_text import read
from modlib.comparison import agreement

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md")])
CHAPTERS = [page for page in PAGES if exercises.section(page)]
LEAST = 3  # checks in a chapter
OPENING = 3  # cells in which there is nothing yet to ask about


def cells(page):
    """Return the cells of a notebook; another page is a single Markdown cell."""
    if page.suffix == ".ipynb":
        return nbformat.read(page, as_version=4).cells
    return [nbformat.v4.new_markdown_cell(page.read_text(encoding="utf-8"))]


def directives(text):
    return [found for found in exercises.directives(text) if found.kind == "check"]


def checks(page):
    """Return the checks of a page as they are written."""
    return [
        found for cell in cells(page) if cell.cell_type == "markdown" for found in directives(cell.source)
    ]


def parsed(directive):
    kind, several = directive.options.get("kind", ""), "several" in directive.options
    return read(kind, directive.body.splitlines(), several=several)


EVERY = [pytest.param(found, id=f"{page.stem}: {found.title}") for page in PAGES for found in checks(page)]


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_a_chapter_has_checks_inside_its_flow(page):
    found = checks(page)
    assert len(found) >= LEAST
    assert page.read_text(encoding="utf-8").count("{check}") == len(found)
    assert [title for title, times in Counter(one.title for one in found).items() if times > 1] == []
    if page.suffix == ".ipynb":
        assert not any("{check}" in cell.source for cell in cells(page)[:OPENING])
    text = "\n\n".join(cell.source for cell in cells(page))
    before = text[: text.index("\n## Exercises")].rstrip().splitlines()
    assert not before[-1].startswith("```")


@pytest.mark.parametrize("check", EVERY)
def test_a_check_is_well_formed_and_says_something_of_every_answer(check):
    found = parsed(check)
    for item in found.items:
        if found.kind != "predict":
            assert len(item.feedback.text.split()) >= 5, item.label.text
            assert not re.match(r"(Right|Wrong|Yes|No|Not quite)\b[.,:]", item.feedback.text), "said already"
    assert len(found.question.text.split()) >= 5
    assert found.question.text.rstrip().endswith(("?", ".", "$$", "```", "|"))


def test_neither_its_place_nor_its_length_gives_the_right_option_away():
    choices = [found for found in map(parsed, (case.values[0] for case in EVERY)) if found.kind == "choice"]
    assert len(choices) > 20
    places = Counter(i for found in choices for i, item in enumerate(found.items) if item.right)
    assert max(places.values()) <= 0.5 * len(choices)
    longest = [max(found.items, key=lambda item: len(item.label.text)).right for found in choices]
    assert sum(longest) <= 0.5 * len(choices)


#: Right values that are typed: each follows from its question alone, as here.
BY_HAND = {
    "Unequal modules": 1 - (6 / 8) ** 2 - (2 / 8) ** 2,
    "One direction fewer": 10 - 1,
    "Companions and strangers": agreement([0] * 4 + [1] * 4, [0] * 8)["ecs"],
    "Shared by chance": 24 / 64 * 16,
    "Nine draws": (1 + 0) / (1 + 9),
    "Two p-values": max(2 * 0.03, 0.04),
    "Only the products": 1 / 0.8,
    "Sixteen times as wide": 0.1 * (1024 / 64) ** 2,
}


def test_right_values_are_looked_up_or_follow_from_the_question():
    typed = {}
    for case in EVERY:
        found = parsed(case.values[0])
        if found.kind == "number":
            typed[case.values[0].title] = next(item.value for item in found.items if item.right)
    assert {title for title, value in typed.items() if value is not None} == BY_HAND.keys()
    for title, value in BY_HAND.items():
        assert typed[title] == pytest.approx(value, rel=1e-2), title
