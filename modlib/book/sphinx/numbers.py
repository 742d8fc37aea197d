"""Numbers in prose: roles that look a cell up, so that nobody types a number, and the page of their sources.

``{num}`training.strongest[dropout].accuracy:.2f``` writes a number as Python's `format` does, ``{word}`` a
text, and ``{side}`regularisation.leads[base, all levels, upstream]``` says where a row's interval lies. The
values are one flat JSON object, ``modlib_numbers`` in the configuration. A page is written anew when that
file changes, and an unknown cell is a warning, which fails a strict build. Every number links to its row on
the page that has the directive ``{sources}``, and says when pointed at which function made it.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from modlib.book.html_table import cited_rows
from modlib.book.number_format import format_number
from modlib.book.numbers import Cell, CellError, cells_of, find

logger = logging.getLogger(__name__)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> dict[str, Any]:
    """Return the values in `path`; `_changed`, the time of its last change, makes the cache see a new one."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} must hold one JSON object, not {type(values).__name__}")
    return values


def values(env: Any, config: Any) -> dict[str, Any]:
    """Return the values that pages cite."""
    path = Path(env.srcdir) / config.modlib_numbers
    return _read(path, path.stat().st_mtime_ns)


def _values_read(env: Any, config: Any) -> dict[str, Any]:
    """Return the values, and have the page that is being read depend on them."""
    env.note_dependency(str(Path(env.srcdir) / config.modlib_numbers))
    return values(env, config)


def side(low: float | None, high: float | None) -> str:
    """Say where an interval lies: above zero, below it, or on both sides; or that there is none."""
    if low is None or high is None:
        return "no interval"
    return "above zero" if low > 0 else "below zero" if high < 0 else "not clearly different from zero"


class NumberNode(nodes.inline):  # type: ignore[misc]  # docutils is untyped
    """A number in the text, which knows its `cell` and, in `source`, what made it."""


class NumberRole(SphinxRole):
    """The roles ``{num}``, ``{word}`` and ``{side}``."""

    def run(self) -> tuple[list[Any], list[Any]]:
        """Return the formatted value, or the citation and a warning."""
        role = self.name.rpartition(":")[2]
        cell, source, text = None, "", self.text
        try:
            text = written(role, self.text, _values_read(self.env, self.config))
            cells, _ = cells_of(role, self.text)
            cell, source = cells[0], _source(cells)
        except OSError:
            self._warn(f"no numbers file {self.config.modlib_numbers}")
        except KeyError as error:
            self._warn(f"unknown number {error} in {self.config.modlib_numbers}")
        except (CellError, TypeError, ValueError) as error:
            self._warn(str(error))
        classes = ["num"] if role == "num" else ["num", "num-words"]
        return [NumberNode(self.rawtext, "", nodes.Text(text), classes=classes, cell=cell, source=source)], []

    def _warn(self, message: str) -> None:
        logger.warning(message, location=self.get_location(), type="modlib", subtype="num")


def written(role: str, text: str, known: Mapping[str, Any]) -> str:
    """Return the text of a citation; a KeyError, CellError, TypeError or ValueError says why not."""
    cells, spec = cells_of(role, text)
    found = [known[str(one)] for one in cells]
    if role == "side":
        return side(*found)
    (cell,), (value,) = cells, found
    if isinstance(value, str) and role == "num":
        raise TypeError(f"{cell} is the word {value!r}: cite it with {{word}}")
    if isinstance(value, int | float) and role == "word":
        raise TypeError(f"{cell} is the number {value!r}: cite it with {{num}}")
    try:
        return format_number(value, spec)
    except (TypeError, ValueError) as error:
        raise ValueError(f"number {str(cell)!r} with format {spec!r}: {error}") from error


def _source(cells: list[Cell]) -> str:
    """Say which function made the table, and which row and columns of it were read."""
    row = f", row {', '.join(cells[0].row)}" if cells[0].row else ""
    columns = " and ".join(cell.column for cell in cells)
    return f"{find(cells[0]).function}(){row}, column{'s' if len(cells) > 1 else ''} {columns}"


def _anchor(cell: Cell) -> str:
    """Return the identifier of a cell's row on the page of sources.

    It is a valid selector of CSS as well, since scripts of the theme look up whatever a link points to.
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", "-".join((cell.chapter, cell.table, *cell.row)))


def _link(translator: Any, node: NumberNode) -> dict[str, str]:
    """Return the address of a number's row, if it is a number and there is a page of sources."""
    page = getattr(translator.builder.env, "modlib_sources_page", None)
    if node["cell"] is None or page is None:
        return {}
    address = translator.builder.get_relative_uri(translator.builder.current_docname, page)
    return {"href": f"{address}#{_anchor(node['cell'])}"}


def _visit_html(self: Any, node: NumberNode) -> None:
    link = _link(self, node)
    about = {} if node["cell"] is None else {"data-source": node["source"]}
    self.body.append(self.starttag(node, "a" if link else "span", "", **link, **about))


def _depart_html(self: Any, node: NumberNode) -> None:
    self.body.append("</a>" if _link(self, node) else "</span>")


class SourcesDirective(SphinxDirective):
    """A section for each table that prose cites: the function that makes it, and the cited rows."""

    def run(self) -> list[Any]:
        """Return the sections, or an error where there are no numbers, or one whose table is not offered."""
        env: Any = self.env  # which takes any attribute
        env.modlib_sources_page = self.env.docname
        try:
            known = _values_read(self.env, self.config)
            cells = sorted((Cell.parse(name) for name in known if "." in name), key=str)
            lines = list(self._lines(cells, known))
        except OSError:
            raise self.error(f"no numbers file {self.config.modlib_numbers}") from None
        except CellError as error:
            raise self.error(str(error)) from error
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)

    def _lines(self, cells: list[Cell], values: dict[str, Any]) -> Iterator[str]:
        for chapter, of_chapter in groupby(cells, key=lambda cell: cell.chapter):
            yield f"## {chapter}\n"
            for table, of_table in groupby(of_chapter, key=lambda cell: cell.table):
                cited = list(of_table)
                offered = find(cited[0])
                made = inspect.unwrap(offered.make)  # whose docstring is shown
                self.env.note_dependency(inspect.getfile(made))
                yield f"### `{chapter}.{table}`\n\n{offered.about} Made by `{offered.function}`.\n"
                yield f"```{{raw}} html\n{_table(offered.by, cited, values)}\n```\n"


def _table(by: tuple[str, ...], cells: list[Cell], values: dict[str, Any]) -> str:
    """Return the cited rows of a table as HTML, with an empty cell where none is cited."""
    columns = sorted({cell.column for cell in cells})
    rows = {cell.row: cell for cell in cells}
    texts = []
    for cell in rows.values():
        found = (values.get(str(replace(cell, column=name)), "") for name in columns)
        texts.append([*cell.row, *(format_number(v, ".6g" if isinstance(v, float) else "") for v in found)])
    ids = [_anchor(cell) for cell in rows.values()]
    table = cited_rows((*by, *columns), texts, labels=len(by), ids=ids)
    # It scrolls on a phone, so the keyboard must be able to reach it.
    return f'<div class="num-sources" role="region" tabindex="0" aria-label="{cells[0].table}">{table}</div>'


def _forget(_app: Sphinx, env: Any, page: str) -> None:
    if getattr(env, "modlib_sources_page", None) == page:
        env.modlib_sources_page = None


def _merge(_app: Sphinx, env: Any, _pages: Any, other: Any) -> None:
    if page := getattr(other, "modlib_sources_page", None):
        env.modlib_sources_page = page


def setup(app: Sphinx) -> None:
    """Register the roles, their node, the directive and the configuration value."""
    app.add_config_value("modlib_numbers", "book/executed/numbers.json", "env", (str,))
    app.add_node(NumberNode, html=(_visit_html, _depart_html))
    for role in ("num", "word", "side"):
        app.add_role(role, NumberRole())
    app.add_directive("sources", SourcesDirective)
    app.connect("env-purge-doc", _forget)
    app.connect("env-merge-info", _merge)
