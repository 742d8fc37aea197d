"""Downloads: the notebook of each chapter, and one with the solutions, behind the button of its page.

They are written with the page, into ``downloads/`` of the site. The page's source is offered no longer, nor
copied into the site: roles and directives that only the book understands are all over it.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from sphinx.application import Sphinx
from sphinx.util import logging

from modlib.book.sphinx import head
from modlib.book.sphinx.downloads.notebooks import download, has_exercises
from modlib.book.sphinx.downloads.opening import opening
from modlib.book.sphinx.downloads.plain import left_over
from modlib.book.sphinx.downloads.references import References, UnknownError

FOLDER = "downloads"
#: Buttons of the theme that lead to sources.
OF_SOURCES = ("download-notebook-button", "download-source-button")

logger = logging.getLogger(__name__)


def _write(app: Sphinx, page: str) -> dict[str, str]:
    """Write the notebooks of a page, and return their names by what a reader calls them."""
    source = Path(app.env.doc2path(page))
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    name = PurePosixPath(page).name
    offered = {"Notebook": f"{name}.ipynb"}
    if has_exercises(notebook):
        offered["Notebook with solutions"] = f"{name}-solved.ipynb"
    folder = Path(app.outdir) / FOLDER
    folder.mkdir(exist_ok=True)
    for file in offered.values():
        solved = file.endswith("-solved.ipynb")
        first = opening(
            head.title(app, page),
            commit=app.config.modlib_edition["commit"].partition(" ")[0],
            repository=app.config.html_theme_options.get("repository_url", ""),
            solved=solved,
        )
        made = download(notebook, References(app, page), opening=first, solved=solved)
        for cell in made.cells:
            for found in left_over(cell.source):
                raise UnknownError(f"{found.strip()!r} cannot be shown by a plain notebook")
        nbformat.write(made, folder / file)  # type: ignore[no-untyped-call]
    return offered


def _offer(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: Any) -> None:
    """Offer the notebooks of a page where the theme offers its source."""
    if doctree is None or app.builder.format != "html":
        return
    offered: dict[str, str] = {}
    if Path(app.env.doc2path(page)).suffix == ".ipynb":
        try:
            offered = _write(app, page)
        except (LookupError, ValueError, OSError) as error:
            logger.warning(f"no download: {error}", location=page, type="modlib", subtype="download")
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            kept = [button for button in group["buttons"] if button["label"] not in OF_SOURCES]
            made = [_button(text, context["pathto"](f"{FOLDER}/{file}", 1)) for text, file in offered.items()]
            group["buttons"] = [*made, *kept]


def _button(text: str, address: str) -> dict[str, str]:
    """Return a button as the theme takes it."""
    return {
        "type": "link",
        "url": address,
        "text": text,
        "icon": "fas fa-code",
        "tooltip": "For JupyterLab or Colab",
        "label": "download-notebook-button",
    }


def _copy_no_sources(_app: Sphinx, config: Any) -> None:
    config.html_copy_source = False


def setup(app: Sphinx) -> None:
    """Register the events, of which one comes after the theme has made its buttons."""
    app.connect("config-inited", _copy_no_sources)
    app.connect("html-page-context", _offer, priority=600)
