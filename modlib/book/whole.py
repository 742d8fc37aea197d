"""The whole book as one PDF: the pages of the site in their order, with contents, page numbers and links."""

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NullObject,
)
from sphinx_external_toc.parsing import parse_toc_yaml

from modlib.book import chromium
from modlib.book.builder.errors import BookError
from modlib.study import files

SITE = Path("_build/html")
BOOK = SITE / "book.pdf"
#: Pages that are of no use on paper: one is played with, the other is looked up.
ONLY_ON_SCREEN = ("book/explorer", "book/api")
DRAWING = 30  #: Seconds of a page's own clock until all its charts are drawn.
FOOT, SIZE = 24.0, 9.0  #: Height of the page number above the lower edge, and its size, in points.
_CONTENTS = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Contents</title><style>
@page {{ size: A4; margin: 20mm 18mm }} body {{ font: 12pt/1.7 sans-serif }} h1 {{ font-size: 22pt }}
h2 {{ font-size: 13pt; margin: 1.2em 0 .2em }} p {{ display: flex; gap: .5em; margin: 0 }}
p::after {{ content: attr(data-page) }} span {{ flex: 1; border-bottom: 1px dotted; margin-bottom: .5em }}
a {{ color: inherit; text-decoration: none }}</style><h1>Contents</h1>{rows}</html>"""


@dataclass(frozen=True)
class Printed:
    """A page of the site, printed."""

    page: Path
    part: str | None  #: the heading under which the contents list it
    reader: PdfReader

    @property
    def title(self) -> str:
        """Its title, without that of the book."""
        about = self.reader.metadata
        return str((about and about.title) or self.page.stem).partition(" — ")[0]


def make(root: Path | str = ".") -> Path:
    """Print the site of the book in the folder `root` to one PDF beside its pages, and return that.

    A BookError says that there is no site or no Chromium, or which page could not be printed.
    """
    root = Path(root).resolve()
    listed = pages(root)
    browser = chromium.find()
    if browser is None:
        raise BookError("there is no Chromium to print with: install one or name it in CHROMIUM")
    with tempfile.TemporaryDirectory() as folder:
        printed = []
        for number, (part, page) in enumerate(listed):
            to = Path(folder) / f"{number}.pdf"
            chromium.to_pdf(page, browser, to=to, drawing=DRAWING)
            printed.append(Printed(page, part, PdfReader(to)))
        contents = Path(folder) / "contents.html"
        n_pages = 1  # of the contents, as far as is known
        while True:
            contents.write_text(table_of_contents(printed, n_pages), encoding="utf-8")
            reader = PdfReader(chromium.to_pdf(contents, browser))
            if len(reader.pages) == n_pages:
                break
            n_pages = len(reader.pages)
        first, *others = printed
        bind([first, Printed(contents, None, reader), *others], root / BOOK)
    return root / BOOK


def pages(root: Path) -> list[tuple[str | None, Path]]:
    """List the pages of the site in their order, each with the heading that it stands under."""
    if not (root / "_toc.yml").is_file():
        raise BookError(f"no _toc.yml in {root.name}: call this in the root of the book")
    toc = parse_toc_yaml(root / "_toc.yml")
    named: list[tuple[str | None, str]] = [(None, toc.root.docname)]
    named += [(tree.caption, str(item)) for tree in toc.root.subtrees for item in tree.items]
    listed = [(part, root / SITE / f"{name.removesuffix('.ipynb')}.html") for part, name in named]
    if missing := [page for _, page in listed if not page.is_file()]:
        raise BookError(f"there is no {missing[0].relative_to(root)}: run  make book  first")
    screen = [root / SITE / f"{name}.html" for name in ONLY_ON_SCREEN]
    return [(part, page) for part, page in listed if page not in screen]


def table_of_contents(printed: Sequence[Printed], n_pages: int) -> str:
    """Write the contents as a page, which itself has so many pages behind the first chapter."""
    rows, at, part = [], 1, None
    for number, one in enumerate(printed):
        if one.part != part:
            rows.append(f"<h2>{escape(one.part or '')}</h2>")
        part = one.part
        link = f'<a href="{escape(one.page.as_uri())}">{escape(one.title)}</a>'
        rows.append(f'<p data-page="{at}">{link}<span></span></p>')
        at += len(one.reader.pages) + (n_pages if number == 0 else 0)
    return _CONTENTS.format(rows="\n".join(rows))


def bind(printed: Sequence[Printed], to: Path) -> None:
    """Put printed pages into one file: an outline, page numbers, and links that stay within the file."""
    writer = PdfWriter()
    begins: dict[str, int] = {}
    parts: dict[str, Any] = {}
    for one in printed:
        start = begins[one.page.as_posix()] = len(writer.pages)
        writer.append(one.reader, import_outline=False)
        if one.part is not None and one.part not in parts:
            parts[one.part] = writer.add_outline_item(title=one.part, page_number=start)
        writer.add_outline_item(title=one.title, page_number=start, parent=parts.get(one.part or ""))
    at = 0
    for one in printed:
        _link(writer, one, at, begins)
        at += len(one.reader.pages)
    for number, page in enumerate(writer.pages, start=1):
        _number(page, number)
    writer.add_metadata({"/Title": printed[0].title})
    writer.compress_identical_objects()
    content = io.BytesIO()
    writer.write(content)
    files.write(to, content.getvalue())  # whole or not at all


def _link(writer: PdfWriter, one: Printed, start: int, begins: dict[str, int]) -> None:
    """Have the links of a page's paper lead to where they point in the file, if that is in it, or nowhere."""
    places = one.reader.named_destinations
    for offset in range(len(one.reader.pages)):
        for entry in writer.pages[start + offset].get("/Annots", []):
            link = entry.get_object()
            target, top = None, None
            if isinstance(name := link.get("/Dest"), str) and name in places:
                target = start + (one.reader.get_destination_page_number(places[name]) or 0)
                top = places[name].top
            elif (address := str(link.get("/A", {}).get("/URI", ""))).startswith("file:"):
                target = begins.get(unquote(urlsplit(urldefrag(address).url).path))
            else:
                continue
            for key in ("/A", "/Dest"):
                link.pop(NameObject(key), None)
            if target is not None:
                height = NullObject() if top is None else FloatObject(top)
                page = writer.pages[target].indirect_reference
                link[NameObject("/Dest")] = ArrayObject(
                    [page, NameObject("/XYZ"), NullObject(), height, NullObject()]
                )


def _number(page: PageObject, number: int) -> None:
    """Print a page's number at its foot."""
    width, height = float(page.mediabox.width), float(page.mediabox.height)
    stamp = PageObject.create_blank_page(width=width, height=height)
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    named = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
    fonts = DictionaryObject({NameObject("/Foot"): named})
    stamp[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    text = str(number)
    left = width / 2 - len(text) * SIZE / 4  # a digit is half as wide as it is high, roughly
    drawn = DecodedStreamObject()
    drawn.set_data(f"BT /Foot {SIZE} Tf {left:.1f} {FOOT} Td ({text}) Tj ET".encode())
    stamp[NameObject("/Contents")] = drawn
    page.merge_page(stamp)
