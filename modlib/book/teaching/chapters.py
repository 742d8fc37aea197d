"""The chapters of the executed book: their titles, exercises, equations and charts."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybtex.database import parse_file

from modlib.book.authors import authors
from modlib.book.builder.cache import EXECUTED, chapters
from modlib.book.builder.errors import BookError
from modlib.book.directives import DIRECTIVE, Directive
from modlib.book.vega import VEGALITE

_HEAD = re.compile(r"(★+) · (\d+) minutes · \*(\w+)\*")
_EQUATION = re.compile(r"^\$\$\n([^$]*?)^\$\$ \(([\w-]+)\)$", flags=re.MULTILINE | re.DOTALL)
#: Sentences of a caption that tell readers what to do on the page.
_TO_DO = re.compile(r"\s*\b(Choose|Click|Point(ing)? at)\b[^.]*\.")
_LABELLED = re.compile(r"^\(([\w-]+)\)=\n#+ (.*)$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """An exercise of a chapter, and what is folded below it."""

    label: str
    title: str
    stars: str
    minutes: int
    tag: str  #: pencil, look or run
    question: str  #: Markdown, as all texts here
    parts: list[tuple[str, str]] = field(default_factory=list)  #: hint, answer and solution, with their names


@dataclass(frozen=True)
class Chart:
    """A chart as its notebook stores it: the specification, and a still image."""

    spec: dict[str, Any]
    png: str  #: base64
    width: int  #: of the image on a page, in pixels
    height: int

    @property
    def caption(self) -> str:
        """What stands below it on the page, in Markdown, without what can only be done there."""
        return _TO_DO.sub("", str(self.spec["usermeta"]["caption"])).strip()

    @property
    def description(self) -> str:
        """What it shows, for those who do not see it."""
        return str(self.spec.get("description", ""))

    @property
    def address(self) -> str:
        """The still image as an address, which holds the image itself.

        An SVG would be sharper. But it is laid out with the fonts of the machine that makes it and drawn with
        those of the reader's, so that labels would overlap on some.
        """
        return f"data:image/png;base64,{self.png}"


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book, from its executed notebook."""

    name: str
    text: str  #: the Markdown of its cells
    charts: Mapping[str, Chart]  #: by the names of their figures

    @property
    def title(self) -> str:
        """The heading of the page."""
        found = re.search(r"^# (.*)$", self.text, flags=re.MULTILINE)
        return found[1] if found else self.name

    @property
    def exercises(self) -> list[Exercise]:
        """The exercises at its end."""
        return exercises(self.text)

    @property
    def equations(self) -> dict[str, str]:
        """Its numbered equations in LaTeX, by their labels."""
        return {label: formula for formula, label in _EQUATION.findall(self.text)}

    @property
    def sections(self) -> dict[str, str]:
        """The headings that others refer to, by their labels."""
        return dict(_LABELLED.findall(self.text))


@dataclass(frozen=True)
class Book:
    """All chapters that run code, the numbers that prose cites, and the references."""

    chapters: Mapping[str, Chapter]
    numbers: Mapping[str, Any]
    references: Mapping[str, str]  #: author and year, by their keys

    def chart(self, name: str, chapter: str | None = None) -> Chart:
        """Return the chart of a figure; a BookError says that no chapter, or not that one, has it."""
        for one in self.chapters.values():
            if name in one.charts and chapter in (None, one.name):
                return one.charts[name]
        raise BookError(f"no figure {name} in {chapter or 'any chapter'} of the executed book")

    def equation(self, label: str) -> str:
        """Return an equation of any chapter in LaTeX."""
        return self._find(label, {k: v for one in self.chapters.values() for k, v in one.equations.items()})

    def section(self, label: str) -> str:
        """Return the title of the chapter or section with a label."""
        return self._find(label, {k: v for one in self.chapters.values() for k, v in one.sections.items()})

    @staticmethod
    def _find(label: str, among: Mapping[str, str]) -> str:
        if label not in among:
            raise BookError(f"nothing in the executed book is labelled {label}")
        return among[label]


def read(root: Path) -> Book:
    """Read the executed chapters that the table of contents lists; a BookError says that there are none."""
    folder = root / EXECUTED
    names = chapters(root)
    if missing := [name for name in names if not (folder / f"{name}.ipynb").is_file()]:
        raise BookError(
            f"{EXECUTED} lacks {', '.join(missing)}: the kit takes figures and numbers from the executed "
            "book, so run  make book  first"
        )
    if not (folder / "numbers.json").is_file():
        raise BookError(f"{EXECUTED} lacks numbers.json: run  make book  first")
    return Book(
        {name: chapter(folder / f"{name}.ipynb") for name in names},
        json.loads((folder / "numbers.json").read_text(encoding="utf-8")),
        read_references(root / "book" / "references.bib"),
    )


def chapter(path: Path) -> Chapter:
    """Read a chapter from its executed notebook, or from its source, which has no charts."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return Chapter(path.stem, text, dict(_charts(cells)))


def _charts(cells: list[dict[str, Any]]) -> Iterator[tuple[str, Chart]]:
    """Give the charts that are figures, by their names."""
    for cell in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if name := data.get(VEGALITE, {}).get("usermeta", {}).get("name"):
                png = "".join(data["image/png"]).replace("\n", "")
                yield name, Chart(data[VEGALITE], png, **output["metadata"]["image/png"])


def read_references(path: Path) -> dict[str, str]:
    """Return how each reference is cited."""
    if not path.is_file():
        return {}
    entries = parse_file(str(path), bib_format="bibtex").entries.items()
    return {key: f"{authors(entry)} {entry.fields.get('year', '')}".strip() for key, entry in entries}


def exercises(text: str) -> list[Exercise]:
    """Read the exercises under the heading Exercises of a page's Markdown."""
    section = "".join(re.split(r"^## Exercises$", text, flags=re.MULTILINE)[1:])
    found: list[Exercise] = []
    for match in DIRECTIVE.finditer(section):
        directive = Directive.of(match)
        if directive.kind == "exercise":
            head, _, question = directive.body.partition("\n\n")
            if not (told := _HEAD.fullmatch(head.strip())):
                raise BookError(f"exercise {directive.title!r} does not begin with stars, minutes and a tag")
            label, minutes = directive.options["label"], int(told[2])
            found.append(Exercise(label, directive.title, told[1], minutes, told[3], question.strip()))
        elif match["name"] in ("admonition", "solution"):
            title = directive.title if match["name"] == "admonition" else "Solution"
            found[-1].parts.append((title, directive.body))
    return found
