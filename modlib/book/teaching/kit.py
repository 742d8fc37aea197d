"""The whole kit: what is read, what is written, and where."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from modlib.book import chromium
from modlib.book.builder.cache import write_if_changed
from modlib.book.builder.errors import BookError, folder_named
from modlib.book.teaching import chapters, decks, exams, sheets
from modlib.book.teaching.chapters import Book
from modlib.book.teaching.writing import Writer
from modlib.reporting import colours

SOURCES = Path("teaching")
KIT = Path("_build/teaching")


def make(root: Path | str = ".", *, pdfs: bool = True) -> list[Path]:
    """Write the kit of the book in the folder `root` to its ``_build/teaching``; return its files.

    A BookError says that there is no executed book to take figures and numbers from, or what is wrong in the
    sources of the kit. Sheets are printed to PDF too, if that is wanted (`pdfs`) and there is a Chromium.
    """
    root = Path(root).resolve()
    if not (root / "_toc.yml").is_file():
        raise BookError(f"no _toc.yml in {root.name}: call this in the root of the book")
    book = chapters.read(root)
    written = []
    with folder_named(root / KIT):
        for name, text in pages(root, book):
            path = root / KIT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_if_changed(path, text)
            written.append(path)
        if pdfs and (browser := chromium.find()):
            to_print = [path for path in written if not path.name.startswith("session-")]
            written += [chromium.to_pdf(path, browser) for path in to_print]
    return written


def pages(root: Path, book: Book) -> Iterator[tuple[str, str]]:
    """Give the pages of the kit with their names: decks, handouts and keys, the exam and its rubric."""
    for path in sorted((root / SOURCES).glob("session-*.md")):
        found = decks.slides(_text(path), Writer(book), name=path.name)
        yield f"{path.stem}.html", _page("deck", title=path.stem.replace("-", " ").capitalize(), slides=found)
    for chapter in book.chapters.values():
        if chapter.exercises:
            yield f"handouts/{chapter.name}.html", _sheet(sheets.of_exercises(book, chapter, key=False))
            yield f"keys/{chapter.name}.html", _sheet(sheets.of_exercises(book, chapter, key=True))
    asked = exams.questions(_text(root / SOURCES / "exam.md"), _text(root / SOURCES / "rubric.md"))
    yield "exam.html", _sheet(sheets.of_exam(book, asked, rubric=False))
    yield "rubric.html", _sheet(sheets.of_exam(book, asked, rubric=True))


def _sheet(sheet: sheets.Sheet) -> str:
    return _page("sheet", **{**asdict(sheet), "items": sheet.items})


def _text(path: Path) -> str:
    if not path.is_file():
        raise BookError(f"there is no {path.parent.name}/{path.name}")
    return path.read_text(encoding="utf-8")


def _page(template: str, **values: Any) -> str:
    return _templates().get_template(f"{template}.html.jinja").render(colours=colours.LIGHT, **values)


@cache
def _templates() -> jinja2.Environment:
    # What fills the templates is HTML already, written by `Writer` out of the project's own files.
    loader = jinja2.PackageLoader("modlib.book.teaching", "")
    return jinja2.Environment(loader=loader, autoescape=False, undefined=jinja2.StrictUndefined)
