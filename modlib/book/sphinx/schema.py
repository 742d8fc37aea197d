"""The directive ``{schema}``: what a row and every column of a stored table mean, from the schema itself."""

from math import isinf
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from modlib.analysis.schema import Column
from modlib.book.number_format import format_number
from modlib.study import schema
from modlib.study.schema import TABLES


class SchemaDirective(SphinxDirective):
    """A section for each stored table: what its rows are, and the columns with their units and ranges."""

    def run(self) -> list[Any]:
        """Return the sections."""
        self.env.note_dependency(schema.__file__)
        lines: list[str] = []
        for table in TABLES.values():
            lines += [f"### `{table.name}`: one row {table.row_is}", "", "| column | meaning | range |"]
            lines += ["|:--|:--|:--|"]
            lines += [f"| `{c.name}` | {_meaning(c)} | {_range(c)} |" for c in table.columns]
            lines.append("")
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _meaning(column: Column) -> str:
    """Meaning and unit of a column; that a cell holds a list is part of it."""
    unit = f" ({column.unit})" if column.unit else ""
    return f"{'list: ' if column.kind.startswith('list') else ''}{column.meaning}{unit}"


def _range(column: Column) -> str:
    """Words that may stand in a column, or the interval of its numbers; empty where neither says anything."""
    if column.range is None:
        return "true or false" if column.kind == "bool" else ""
    low, high = column.range[0], column.range[-1]
    if isinstance(low, str) or isinstance(high, str):
        return ", ".join(f"`{word}`" for word in column.range)
    ends = [format_number(end, "g") for end in (low, high) if not isinf(end)]
    if len(ends) == 2:
        return f"{ends[0]} to {ends[1]}"
    return "" if not ends else f"at {'most' if isinf(low) else 'least'} {ends[0]}"


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("schema", SchemaDirective)
