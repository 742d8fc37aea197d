"""The whole book as one PDF: its order, its outline, its links and its page numbers."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from modlib import __main__ as cli
from modlib.book import chromium, whole
from modlib.book.builder.errors import BookError

TOC = """format: jb-book
root: index
parts:
  - caption: Ideas
    chapters: [{file: book/executed/one}, {file: book/explorer}]
  - caption: Use
    chapters: [{file: book/two}]
"""
PAGES = {
    "index": '<p>Begin.</p><p><a href="book/two.html#deep">Two</a> <a href="data.csv">Data</a></p>',
    "book/executed/one": '<p><a href="#below">Below</a></p>'
    '<h2 id="below" style="break-before: page">There</h2>',
    "book/explorer": "<p>Play.</p>",
    "book/two": '<p><a href="https://example.org/">Elsewhere</a></p><p id="deep">End.</p>',
}


@pytest.fixture
def site(tmp_path):
    """Give a folder with a table of contents and a site of four pages."""
    (tmp_path / "_toc.yml").write_text(TOC)
    for name, body in PAGES.items():
        page = tmp_path / whole.SITE / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        title = f"{page.stem.capitalize()} — The book"
        page.write_text(f"<!doctype html><title>{title}</title><body>{body}</body>", encoding="utf-8")
    return tmp_path


def test_pages_stand_in_the_order_of_the_contents_without_those_for_the_screen(site):
    listed = [(part, page.relative_to(site / whole.SITE).as_posix()) for part, page in whole.pages(site)]
    assert listed == [
        (None, "index.html"),
        ("Ideas", "book/executed/one.html"),
        ("Use", "book/two.html"),
    ]


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("_toc.yml", r"no _toc\.yml in"),
        ("_build/html/book/two.html", r"there is no _build/html/book/two\.html: run  make book  first"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(site, gone, said):
    (site / gone).unlink()
    with pytest.raises(BookError, match=said):
        whole.make(site)


def test_the_command_says_that_there_is_no_chromium(site, monkeypatch):
    monkeypatch.chdir(site)
    monkeypatch.setattr(chromium, "find", lambda: None)
    result = CliRunner().invoke(cli.main, ["pdf"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is no Chromium to print with")
    assert not (site / whole.BOOK).exists()


# --- in a browser


@pytest.fixture(scope="module")
def printer():
    """Return a Chromium of the system."""
    return chromium.find() or pytest.skip("no Chromium of the system")


def links(reader):
    """Give the links of a file: page, and the page that it leads to, an address, or None for nowhere."""
    found = []
    for number, page in enumerate(reader.pages):
        for entry in page.get("/Annots", []):
            link = entry.get_object()
            if "/Dest" in link:
                target = reader.get_page_number(link["/Dest"][0].get_object())
            else:
                target = link.get("/A", {}).get("/URI")
            found.append((number, target))
    return found


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.usefixtures("printer")
def test_the_book_is_one_file_in_order_with_outline_numbers_and_links(site, monkeypatch):
    monkeypatch.chdir(site)
    result = CliRunner().invoke(cli.main, ["pdf"])
    assert result.exit_code == 0, result.exception
    assert result.output == "5 pages in _build/html/book.pdf\n"
    reader = PdfReader(site / whole.BOOK)
    texts = [" ".join(page.extract_text().split()) for page in reader.pages]
    assert [text.rpartition(" ")[2] for text in texts] == ["1", "2", "3", "4", "5"]
    said = ["Begin.", "Contents", "Below", "There", "Elsewhere"]
    assert all(word in text for word, text in zip(said, texts, strict=True))
    assert texts[1].split()[1:-1] == ["Index", "1", "Ideas", "One", "3", "Use", "Two", "5"]
    assert not any("Play" in text for text in texts)
    # The contents lead to the three chapters; what has no page in the file leads nowhere.
    assert links(reader) == [(0, 4), (0, None), (1, 0), (1, 2), (1, 4), (2, 3), (4, "https://example.org/")]
    outline = [
        [part.title for part in entry] if isinstance(entry, list) else entry.title for entry in reader.outline
    ]
    assert outline == ["Index", "Contents", "Ideas", ["One"], "Use", ["Two"]]
    assert reader.metadata.title == "Index"
    again = Path(shutil.copy(site / whole.BOOK, site / "before.pdf"))
    whole.make(site)
    assert len(PdfReader(again).pages) == len(PdfReader(site / whole.BOOK).pages)
