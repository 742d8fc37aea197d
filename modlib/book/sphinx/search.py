"""The search: which chapter is about which words, and excerpts of pages that need no server.

``modlib_keywords`` of the configuration lists what each page is about, and whoever searches for that finds
the page first. Sphinx's own script would fetch each page for an excerpt, which a browser refuses on the disk.
Here the text of every page lies in a script of its own, and ``static/search.js`` loads those it needs.
"""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_FOLDER = "_static/modlib/excerpts"


def _text(doctree: Any) -> str:
    """Return the paragraphs of a page as one line."""
    paragraphs = (part.astext() for part in doctree.findall(nodes.paragraph))
    return " ".join(" ".join(paragraphs).split())


def _excerpts(app: Sphinx, page: str, _template: str, _context: dict[str, Any], doctree: Any) -> None:
    """Write the text of a page, or load the scripts where the page is that of the search."""
    if page == "search":
        words = json.dumps(app.config.modlib_keywords, sort_keys=True).replace("<", "\\u003c")
        app.add_js_file(None, body=f"window.modlibKeywords = {words};")
        app.add_js_file("modlib/search.js", defer="defer")
    elif doctree is not None:
        path = Path(app.outdir) / _FOLDER / f"{page}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        call = f"modlibExcerpts({json.dumps(page)}, {json.dumps(_text(doctree), ensure_ascii=False)});\n"
        path.write_text(call, encoding="utf-8")


def _check(app: Sphinx, env: Any) -> None:
    """Refuse keywords of pages that there are not, and what is no text, such as YAML's bare ``null``."""
    for page, words in app.config.modlib_keywords.items():
        if wrong := [word for word in words if not isinstance(word, str)]:
            raise ExtensionError(f"modlib_keywords of {page} must be texts, not {wrong[0]!r}: quote it")
    if unknown := sorted(app.config.modlib_keywords.keys() - env.found_docs):
        raise ExtensionError(f"modlib_keywords names pages that there are not: {', '.join(unknown)}")


def _without_fetching(_app: Sphinx, config: Any) -> None:
    config.html_show_search_summary = False


def setup(app: Sphinx) -> None:
    """Register the configuration value and the events."""
    app.add_config_value("modlib_keywords", {}, "html", (dict,))
    app.connect("config-inited", _without_fetching)
    app.connect("env-check-consistency", _check)
    app.connect("html-page-context", _excerpts)
