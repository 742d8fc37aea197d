"""Prose that can be read: few numbers in a paragraph."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md"), ROOT / "README.md"])
MOST = 4  # numbers in a paragraph, beyond which readers turn to a table
#: Between paragraphs, items of lists and cells of list tables.
BREAKS = re.compile(r"\n\s*\n|\n(?=\s*(?:\* )?(?:-|\d+\.) )")


def paragraphs(text):
    """Split Markdown into paragraphs and items of lists, without the rows of tables."""
    for part in BREAKS.split(text):
        yield "\n".join(line for line in part.splitlines() if not line.lstrip().startswith("|"))


def prose(page):
    if page.suffix == ".md":
        return [page.read_text(encoding="utf-8")]
    notebook = nbformat.read(page, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def crowded(text):
    return [part for part in paragraphs(text) if part.count("{num}`") > MOST]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_paragraph_cites_more_numbers_than_can_be_kept_in_mind(page):
    assert [part for text in prose(page) for part in crowded(text)] == []


def test_numbers_are_counted_by_paragraph_and_item_but_not_in_tables():
    number = "{num}`a.b`"
    assert crowded(f"{number * 3}\n{number * 2}")
    assert not crowded(f"{number * 3}\n\n{number * 2}")
    assert not crowded(f"- {number * 3}\n- {number * 2}\n* - {number * 4}\n  - {number * 4}")
    assert not crowded(f"| {number * 3} | {number * 3} |\n|---|---|\n{number}")
    assert crowded(f"- {number * 5}")


def test_every_reference_is_cited_and_every_citation_is_a_reference():
    entries = re.findall(
        r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text("utf-8"), re.MULTILINE
    )
    text = "\n".join(part for page in PAGES for part in prose(page))
    cited = {key for keys in re.findall(r"\{cite:[a-z]+\}`([^`]+)`", text) for key in keys.split(",")}
    assert cited == set(entries)


def test_the_front_page_can_be_read_in_a_minute():
    """At most 250 words, no table and no code names, and four numbers a sentence."""
    text = "\n".join(prose(ROOT / "notebooks" / "index.ipynb"))
    plain = re.sub(r"\{\w+(?::\w)?\}`[^`]*`", "word", text)  # a number, a citation or a chapter's name
    assert len(plain.split()) <= 250
    assert "`" not in plain
    assert "|" not in plain
    for sentence in re.split(r"(?<=[.?:])\s", text):
        assert sentence.count("{num}") <= MOST
