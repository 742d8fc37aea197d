"""The directive ``{explorer}``: networks, matrices and modules that the reader can take apart.

Its parts are static: the controls (``explorer.html``), the scripts and the styles (``static/explorer``). What
they show was made when the book was built and lies in the folder ``modlib_explorer`` of the configuration.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import jinja2
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_TEMPLATE = Path(__file__).with_name("explorer.html")
#: Scripts in the order in which they build on each other; the last begins.
SCRIPTS = (
    "data", "random", "graph", "agreement", "address", "matrices", "alluvial", "units", "cards", "tables",
    "downloads", "explorer",
)  # fmt: skip


def page(index: str) -> str:
    """Return the explorer as HTML, from the text of ``index.json``."""
    networks = json.loads(index)["networks"]
    return jinja2.Template(_TEMPLATE.read_text(encoding="utf-8"), autoescape=False).render(
        index=index.strip().replace("<", "\\u003c"),
        shown=sum(len(network["seeds"]) for network in networks),
        wanted=json.loads(index)["wanted"],
    )


class ExplorerNode(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils is untyped
    """The explorer in the document, as HTML."""


class ExplorerDirective(SphinxDirective):
    """The explorer, or an error where nothing was made for it yet."""

    def run(self) -> list[Any]:
        """Return the node."""
        path = Path(self.env.srcdir) / self.config.modlib_explorer / "index.json"
        self.env.note_dependency(str(path))
        if not path.is_file():
            raise self.error(f"no file {self.config.modlib_explorer}/index.json: build the book")
        return [ExplorerNode(html=page(path.read_text(encoding="utf-8")))]


def _visit_html(self: Any, node: ExplorerNode) -> None:
    self.body.append(node["html"])


def _depart_html(self: Any, node: ExplorerNode) -> None:
    pass


def _load_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load scripts and styles on the page that has the explorer, and on no other."""
    if doctree is not None and next(iter(doctree.findall(ExplorerNode)), None) is not None:
        app.add_css_file("modlib/explorer/explorer.css")
        for name in SCRIPTS:
            app.add_js_file(f"modlib/explorer/{name}.js", defer="defer")


def _copy_data(app: Sphinx, error: Exception | None) -> None:
    """Put the networks beside the scripts that ask for them."""
    made = Path(app.srcdir) / app.config.modlib_explorer
    if error is None and made.is_dir() and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "modlib" / "explorer"
        shutil.copytree(made, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.json"))


def setup(app: Sphinx) -> None:
    """Register the directive, its node and its files."""
    app.add_config_value("modlib_explorer", "book/executed/explorer", "env", (str,))
    app.add_node(ExplorerNode, html=(_visit_html, _depart_html))
    app.add_directive("explorer", ExplorerDirective)
    app.connect("html-page-context", _load_scripts)
    app.connect("build-finished", _copy_data)
