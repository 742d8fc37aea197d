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
    runtimes,
    schema,
    search,
    terms,
)

PARTS = (
    api, assets, charts, checks, citations, downloads, explorer, foot, head, numbers,
    reading, runtimes, schema, search, terms,
)  # fmt: skip


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part of the extension with Sphinx."""
    for part in PARTS:
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
