"""The Sphinx side of the book: charts and mathematics offline, numbers, terms, tables, checks, downloads.

Listed under ``sphinx.extra_extensions`` in ``_config.yml``. No page that it builds asks anything of another
site: the chart library, the typesetter of mathematics and the style sheet are all copied into the book.
"""

from typing import Any

from sphinx.application import Sphinx

from modlib.book.sphinx import (
    api,
    assets,
    charts,
    checks,
    citations,
    downloads,
    explorer,
    foot,
    head,
    numbers,
    reading,
    search,
    terms,
)
from modlib.book.sphinx.runtimes import RuntimesDirective
from modlib.book.sphinx.schema import SchemaDirective

PARTS = (
    api,
    assets,
    charts,
    checks,
    citations,
    downloads,
    explorer,
    foot,
    head,
    numbers,
    reading,
    search,
    terms,
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part of the extension with Sphinx."""
    for part in PARTS:
        part.setup(app)
    app.add_config_value("modlib_timings", "book/executed/timings.json", "env", (str,))
    app.add_directive("runtimes", RuntimesDirective)
    app.add_directive("schema", SchemaDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
