"""Numbers in prose: roles that look a cell up, so that nobody types a number, and the page of their sources.

``{num}`elsewhere.effects[wide, matched].value:.2f``` writes a number as Python's `format` does;
``{word}`verdict.verdicts[dropout-raises-q, base].verdict``` writes a text; ``{side}`elsewhere.effects[wide,
matched]``` says where a row's interval lies, from its columns `low` and `high`. The values are one flat JSON
object, ``modlib_numbers`` in the configuration. A page is written anew when that file changes, and an unknown
cell is a warning, which fails a strict build. Every number links to its row on the page that has the
directive ``{sources}``, and says when pointed at which function made it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from modlib.book.number_format import format_number
from modlib.book.numbers import Cell, CellError, cells_of, find

__all__ = ["setup", "side"]

logger = logging.getLogger(__name__)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> dict[str, Any]:
    """Return the values in `path`; `_changed`, the time of its last change, makes the cache see a new one."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} must hold one JSON object, not {type(values).__name__}")
    return values


def _values(env: Any, config: Any) -> dict[str, Any]:
    path = Path(env.srcdir) / config.modlib_numbers
    env.note_dependency(str(path))
    return _read(path, path.stat().st_mtime_ns)


def side(low: float | None, high: float | None) -> str:
    """Say where an interval lies: above zero, below it, or on both sides; or that there is none."""
    if low is None or high is None:
        return "no interval"
    return "above zero" if low > 0 else "below zero" if high < 0 else "not told from zero"


class NumberNode(nodes.inline):  # type: ignore[misc]  # docutils is untyped
    """A number in the text, which knows the cell it came from."""


class NumberRole(SphinxRole):
    """The roles ``{num}``, ``{word}`` and ``{side}``."""

    def run(self) -> tuple[list[Any], list[Any]]:
        """Return the formatted value, or the citation and a warning."""
        role = self.name.rpartition(":")[2]
        cell, source = None, ""
        try:
            if "." not in self.text.partition(":")[0]:
                return self._by_key()
            cells, spec = cells_of(role, self.text)
            cell = cells[0]
            values = _values(self.env, self.config)
            found = [values[str(one)] for one in cells]
            text = side(*found) if role == "side" else self._format(role, found[0], spec)
            source = find(cell).function
        except OSError:
            text = self._warn(f"no numbers file {self.config.modlib_numbers}")
        except KeyError as error:
            text = self._warn(f"unknown number {error} in {self.config.modlib_numbers}")
        except (CellError, TypeError, ValueError) as error:
            text = self._warn(str(error))
        classes = ["num"] if role == "num" else ["num", "num-words"]
        return [NumberNode(self.rawtext, "", nodes.Text(text), classes=classes, cell=cell, source=source)], []

    def _by_key(self) -> tuple[list[Any], list[Any]]:
        """Look a number up by its key, of a chapter that offers no tables yet."""
        key, _, spec = (part.strip() for part in self.text.partition(":"))
        found = _values(self.env, self.config)[key]
        words = ["num-words"] if isinstance(found, str) else []
        text = format_number(found, spec)
        node = NumberNode(self.rawtext, "", nodes.Text(text), classes=["num", *words], cell=None, title=key)
        return [node], []

    @staticmethod
    def _format(role: str, value: Any, spec: str) -> str:
        if value is not None and isinstance(value, str) is not (role == "word"):
            raise TypeError(f"{value!r} is for {{{'word' if isinstance(value, str) else 'num'}}}")
        return format_number(value, spec)

    def _warn(self, message: str) -> str:
        where = self.get_location()
        logger.warning(f"{self.text}: {message}", location=where, type="modlib", subtype="num")
        return self.text


def _anchor(cell: Cell) -> str:
    return nodes.make_id(f"{cell.chapter} {cell.table} {' '.join(cell.row)}") or "row"


def _visit_html(self: Any, node: NumberNode) -> None:
    cell, page = node["cell"], getattr(self.builder.env, "modlib_sources_page", None)
    if cell is None:
        self.body.append(self.starttag(node, "span", "", title=node.get("title", "")))
        return
    row = f", row {', '.join(cell.row)}" if cell.row else ""
    said = f"{node['source']}(){row}, column {cell.column}"
    if page is None:
        self.body.append(self.starttag(node, "span", "", **{"data-source": said}))
        return
    address = self.builder.get_relative_uri(self.builder.current_docname, page) + "#" + _anchor(cell)
    self.body.append(self.starttag(node, "a", "", href=address, **{"data-source": said}))


def _depart_html(self: Any, node: NumberNode) -> None:
    page = getattr(self.builder.env, "modlib_sources_page", None)
    self.body.append("</span>" if node["cell"] is None or page is None else "</a>")


def _pass(self: Any, node: NumberNode) -> None:
    """Other formats write the text alone."""


class SourcesDirective(SphinxDirective):
    """A section for each table that prose cites: the function that makes it, and the cited rows."""

    def run(self) -> list[Any]:
        """Return the sections."""
        self.env.modlib_sources_page = self.env.docname
        tables: dict[tuple[str, str], list[Cell]] = {}
        values = _values(self.env, self.config)
        for name in values:
            if "." not in name:
                continue
            cell = Cell.parse(name)
            tables.setdefault((cell.chapter, cell.table), []).append(cell)
        lines: list[str] = []
        for number, ((chapter, table), cells) in enumerate(sorted(tables.items())):
            if number == 0 or chapter != sorted(tables)[number - 1][0]:
                lines += [f"## {chapter}", ""]
            offered = find(cells[0])
            lines += [f"### `{chapter}.{table}`", "", f"{offered.about} Made by `{offered.function}`.", ""]
            lines += ["```{raw} html", _table(offered.by, cells, values), "```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _table(by: tuple[str, ...], cells: list[Cell], values: dict[str, Any]) -> str:
    """Cited rows of a table as HTML, one anchor a row."""
    columns = sorted({cell.column for cell in cells})
    rows = dict.fromkeys(cell.row for cell in cells)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (*by, *columns))
    body = []
    for row in rows:
        anchor = _anchor(next(cell for cell in cells if cell.row == row))
        labels = "".join(f'<th scope="row">{escape(label)}</th>' for label in row)
        found = [values.get(str(Cell(cells[0].chapter, cells[0].table, row, name)), "") for name in columns]
        texts = [format_number(v, ".6g") if isinstance(v, float) else format_number(v) for v in found]
        body.append(f'<tr id="{anchor}">{labels}{"".join(f"<td>{escape(t)}</td>" for t in texts)}</tr>')
    whole = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<table class="num-sources table">{whole}</table>'


def _merge(app: Sphinx, env: Any, _docnames: Any, other: Any) -> None:
    if page := getattr(other, "modlib_sources_page", None):
        env.modlib_sources_page = page


def setup(app: Sphinx) -> None:
    """Register the roles, their node, the directive and the configuration value."""
    app.add_config_value("modlib_numbers", "book/executed/numbers.json", "env", (str,))
    other = (_pass, _pass)
    app.add_node(
        NumberNode, html=(_visit_html, _depart_html), latex=other, text=other, man=other, texinfo=other
    )
    for role in ("num", "word", "side"):
        app.add_role(role, NumberRole())
    app.add_directive("sources", SourcesDirective)
    app.connect("env-merge-info", _merge)
