"""The directive ``{runtimes}``: how long each chapter took to run, as measured when the book was built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]


class RuntimesDirective(SphinxDirective):
    """A table of chapters and seconds, read from ``modlib_timings``."""

    def run(self) -> list[Any]:
        """Return the table, or an error where there is no file yet."""
        path = Path(self.env.srcdir) / self.config.modlib_timings
        self.env.note_dependency(str(path))
        if not path.is_file():
            raise self.error(f"no file {self.config.modlib_timings}: build the book with its notebooks")
        seconds = json.loads(path.read_text(encoding="utf-8"))
        folder = Path(self.config.modlib_timings).parent.as_posix()  # the notebooks lie beside the file
        rows = [f"| {{doc}}`/{folder}/{name}` | {time:.0f} s |" for name, time in seconds.items()]
        return self.parse_text_to_nodes("\n".join(["| chapter | run time |", "|:--|--:|", *rows]))


def setup(app: Sphinx) -> None:
    """Register the directive and where it reads."""
    app.add_config_value("modlib_timings", "book/executed/timings.json", "env", (str,))
    app.add_directive("runtimes", RuntimesDirective)
