"""Markdown of the book as HTML of a page by itself: numbers are looked up, and references are resolved."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from modlib.book.builder.errors import BookError
from modlib.book.number_format import format_number
from modlib.book.numbers import cells_of
from modlib.book.sphinx.numbers import side
from modlib.book.teaching.chapters import Book, Chart
from modlib.book.teaching.mathml import mathml


@dataclass(frozen=True)
class Shown:
    """A figure or an equation that a text refers to, to be shown where it is first needed."""

    name: str  #: as the text calls it
    html: str


class Writer:
    """Writes the texts of one page, on which figures and equations are numbered as they are referred to."""

    def __init__(self, book: Book):
        self._book = book
        self._numbered: dict[str, dict[str, str]] = {"Figure": {}, "Equation": {}}
        self._due: list[tuple[str, str]] = []
        self._markdown = MarkdownIt("commonmark", {"html": False, "typographer": True})
        self._markdown.enable(["table", "smartquotes"])
        self._markdown.use(dollarmath_plugin, renderer=_equation).use(myst_role_plugin)
        rules: Any = self._markdown.renderer
        rules.rules |= {"myst_role": self._role, "image": self._image}

    def html(self, text: str) -> str:
        """Return a text as HTML."""
        return self.rendered(self.tokens(text))

    def inline(self, text: str) -> str:
        """Return a text of one paragraph as HTML, without the paragraph."""
        return str(self._markdown.renderInline(text))

    def tokens(self, text: str) -> list[Token]:
        """Return the parts of a text."""
        return self._markdown.parse(text)

    def rendered(self, tokens: Sequence[Token]) -> str:
        """Return some parts of a text as HTML."""
        return str(self._markdown.renderer.render(tokens, self._markdown.options, {}))

    def due(self) -> list[Shown]:
        """Return what was referred to for the first time since this was last asked."""
        shown = []
        while self._due:  # a caption may refer to another figure
            kind, label = self._due.pop(0)
            name = self._numbered[kind][label]
            if kind == "Equation":
                shown.append(Shown(name, mathml(self._book.equation(label), display=True)))
            else:
                chart = self._book.chart(label)
                caption = f"<figcaption><b>{name}.</b> {self.inline(chart.caption)}</figcaption>"
                shown.append(Shown(name, f"<figure>{picture(chart)}{caption}</figure>"))
        return shown

    def _refer(self, kind: str, label: str) -> str:
        names = self._numbered[kind]
        if label not in names:
            names[label] = f"{kind} {len(names) + 1}"
            self._due.append((kind, label))
        return names[label]

    def _role(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        """Write what a role stands for."""
        role, text = tokens[at].meta["name"], tokens[at].content
        shown, _, target = text.removesuffix(">").partition(" <") if text.endswith(">") else (text, "", text)
        if role in ("num", "word", "side"):
            found = self._number(role, text)
        elif role == "term":
            found = shown
        elif role == "numref":
            found = self._refer("Figure", target)
        elif role == "eq":
            found = self._refer("Equation", target)
        elif role == "ref":
            found = shown if target != shown else f"“{self._book.section(target)}”"
        elif role in ("cite:p", "cite:t"):
            keys = [key.strip() for key in text.split(",")]
            if unknown := [key for key in keys if key not in self._book.references]:
                raise BookError(f"no reference {', '.join(unknown)}")
            found = "; ".join(self._book.references[key] for key in keys)
            found = f"({found})" if role == "cite:p" else found
        else:
            raise BookError(f"a handout or slide cannot hold the role {{{role}}}`{text}`")
        return escape(found, quote=False)

    def _number(self, role: str, text: str) -> str:
        cells, spec = cells_of(role, text)
        if unknown := [str(cell) for cell in cells if str(cell) not in self._book.numbers]:
            raise BookError(f"no number {', '.join(unknown)}: a page of the book must cite it")
        values = [self._book.numbers[str(cell)] for cell in cells]
        return side(*values) if role == "side" else format_number(values[0], spec)

    def _image(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        """Write the figure ``![short caption](chapter/figure)`` of a slide."""
        chapter, _, name = str(tokens[at].attrs["src"]).partition("/")
        chart = self._book.chart(name, chapter)
        caption = self._markdown.renderer.render(tokens[at].children or [], self._markdown.options, {})
        source = f"“{escape(self._book.chapters[chapter].title)}”"
        return (
            f'<span class="figure {"tall" if chart.height > chart.width else ""}">{picture(chart)}'
            f'<span class="caption">{caption} <span class="source">{source}</span></span></span>'
        )


def picture(chart: Chart) -> str:
    """Return a chart as an image that is part of the page."""
    size = f'width="{chart.width}" height="{chart.height}"'
    return f'<img src="{chart.address}" {size} alt="{escape(chart.description)}">'


def _equation(formula: str, options: dict[str, Any]) -> str:
    return mathml(formula, display=bool(options.get("display_mode")))
