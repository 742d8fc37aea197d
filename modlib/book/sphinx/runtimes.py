"""The directive ``{runtimes}``: how long each chapter took to run, as measured when the book was built."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx_external_toc.parsing import parse_toc_yaml


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
        toc = Path(self.env.srcdir) / "_toc.yml"
        self.env.note_dependency(str(toc))
        order = [str(page) for page in parse_toc_yaml(toc)]
        listed = [page for page in order if page in pages] + sorted(pages.keys() - {*order})
        rows = [f"| {{doc}}`/{page}` | {pages[page]:.0f} s |" for page in listed]
        return self.parse_text_to_nodes("\n".join(["| chapter | run time |", "|:--|--:|", *rows]))


def setup(app: Sphinx) -> None:
    """Register the directive and where it finds the times."""
    app.add_config_value("modlib_timings", "book/executed/timings.json", "env", (str,))
    app.add_directive("runtimes", RuntimesDirective)
