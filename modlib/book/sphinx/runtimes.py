"""The directive ``{runtimes}``: how long each chapter took to run, as measured when the book was built."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx_external_toc.parsing import parse_toc_yaml

__all__ = ["setup"]


class RuntimesDirective(SphinxDirective):
    """A table of chapters, in the order of the book, and seconds, read from ``modlib_timings``."""

    def run(self) -> list[Any]:
        """Return the table, or an error where there is no file yet."""
        path = Path(self.env.srcdir) / self.config.modlib_timings
        self.env.note_dependency(str(path))
        if not path.is_file():
            raise self.error(f"no file {self.config.modlib_timings}: build the book with its notebooks")
        seconds = json.loads(path.read_text(encoding="utf-8"))
        folder = PurePosixPath(self.config.modlib_timings).parent  # the notebooks lie beside the file
        pages = {str(folder / name): time for name, time in seconds.items()}
        order = self._order()
        listed = sorted(pages, key=lambda page: order.get(page, len(order)))
        rows = [f"| {{doc}}`/{page}` | {pages[page]:.0f} s |" for page in listed]
        return self.parse_text_to_nodes("\n".join(["| chapter | run time |", "|:--|--:|", *rows]))

    def _order(self) -> dict[str, int]:
        """Return the place of each page in the table of contents; none where there is no ``_toc.yml``."""
        toc = Path(self.env.srcdir) / "_toc.yml"
        if not toc.is_file():
            return {}
        self.env.note_dependency(str(toc))
        return {str(page): place for place, page in enumerate(parse_toc_yaml(toc))}


def setup(app: Sphinx) -> None:
    """Register the directive and where it reads."""
    app.add_config_value("modlib_timings", "book/executed/timings.json", "env", (str,))
    app.add_directive("runtimes", RuntimesDirective)
