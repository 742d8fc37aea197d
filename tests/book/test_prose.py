"""Prose that can be read: few numbers in a paragraph."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md"), ROOT / "README.md"])
#: Pages with a label that begins with "chapter-", but not the plan, which is to stay as it was written.
CHAPTERS = [page for page in PAGES if "(chapter-" in page.read_text(encoding="utf-8") and page.stem != "plan"]
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


def taken_along(text):
    """Return what is to be taken along from a chapter, item by item, and the title of the next section."""
    section = re.search(r"^## To take along\n\n(.*?)\n\n## ([^\n]*)", text, flags=re.MULTILINE | re.DOTALL)
    return (section[1].split("\n- "), section[2]) if section else ([], "")


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_a_chapter_ends_with_a_few_sentences_to_take_along(page):
    """Before its exercises, or before its last section where it has none; without code names."""
    text = "\n\n".join(prose(page))
    items, after = taken_along(text)
    titles = re.findall(r"^## (.*)", text, flags=re.MULTILINE)
    assert 3 <= len(items) <= 5
    assert after == ("Exercises" if "Exercises" in titles else titles[-1])
    for item in items:
        assert re.sub(r"\{\w+\}`[^`]*`", "", item).count("`") == 0
        assert item.endswith(".")
    assert len(" ".join(items).split()) <= 150


def test_the_section_to_take_along_is_found_and_counted():
    assert taken_along("## To take along\n\n- One.\n- Two.\n\n## Exercises\n") == (
        ["- One.", "Two."],
        "Exercises",
    )
    assert taken_along("## Exercises\n") == ([], "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_time_to_read_is_typed(page):
    """It is computed from the words of a page, and told under its title."""
    assert not re.search(r"(minutes?|hours?|hour or two) to read", "\n\n".join(prose(page)))
