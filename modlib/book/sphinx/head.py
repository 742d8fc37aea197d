"""What others learn of a page, its description, picture and address; and pages for those who stray.

The description is the page's answer. Addresses take the one that the book is published at, ``html_baseurl``
(``baseurl`` in ``_config.yml``): without it there are no canonical addresses, no pictures and no site map.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

import vl_convert
from docutils import nodes
from sphinx.application import Sphinx

#: Openings of the paragraph that describes a page, the best first; they are not part of the description.
OPENINGS = ("The answer in short.", "The answer.", "What comes out.", "What was asked.", "The question.")
LONGEST = 240  #: Characters of a description, unless its first sentence alone is longer.
STRAY = "404"  #: The name under which servers look for the page to show where there is none.
PICTURE = "_static/modlib/picture.png"


def description(doctree: Any) -> str:
    """Return the first sentences of a page's answer, or of the page where it has none."""
    paragraphs = [
        " ".join(paragraph.astext().split())
        for paragraph in doctree.findall(nodes.paragraph)
        if isinstance(paragraph.parent, nodes.section) and "modlib-reading" not in paragraph["classes"]
    ]
    for opening in OPENINGS:
        for text in paragraphs:
            if text.startswith(opening):
                return _first_sentences(text.removeprefix(opening).strip())
    return _first_sentences(paragraphs[0]) if paragraphs else ""


def _first_sentences(text: str) -> str:
    told = ""
    for sentence in re.split(r"(?<=[.?!:])\s+(?=[A-Z])", text):
        if told and len(told) + len(sentence) >= LONGEST:
            break
        told = f"{told} {sentence}".strip()
    return told


def _picture(app: Sphinx, doctree: Any) -> str:
    """Return the address of the first picture of a page, or of that of the book where it has none."""
    for image in doctree.findall(nodes.image):
        name = PurePosixPath(image["uri"]).name  # which writing the page has made relative to it
        if name in app.builder.images.values():
            return f"_images/{name}"
    return PICTURE if app.config.modlib_picture else ""


def _describe(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the description of a page into its head."""
    if doctree is None:
        return
    told = description(doctree)
    properties = {
        "og:type": "website" if page == app.config.root_doc else "article",
        "og:site_name": app.config.html_title,
        "og:title": title(app, page),
        "og:description": told,
    }
    if base := _base(app):
        properties["og:url"] = address(app, page)
        if picture := _picture(app, doctree):
            properties["og:image"] = base + picture
    tags = [f'<meta name="description" content="{escape(told)}" />']
    tags += [f'<meta property="{name}" content="{escape(text)}" />' for name, text in properties.items()]
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def title(app: Sphinx, page: str) -> str:
    """Return the title of a page; the first one has the book's."""
    found: str = app.env.titles[page].astext() if page != app.config.root_doc else app.config.html_title
    return found


def address(app: Sphinx, page: str) -> str:
    """Return the address that a page is published at, or nothing where that is not known."""
    return _base(app) + app.builder.get_target_uri(page) if _base(app) else ""


def _base(app: Sphinx) -> str:
    """Return the address that the book is published at, with a slash at its end, or nothing."""
    base = app.config.html_baseurl
    return f"{base.rstrip('/')}/" if base else ""


def _stray_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make the page that servers show at addresses where there is none."""
    # It is shown at any depth, so its addresses are given from the top, as far as that is known.
    base = f'<base href="{escape(_base(app))}" />' if _base(app) else ""
    start = app.builder.get_target_uri(app.config.root_doc)
    body = (
        "<h1>There is no such page</h1>\n<p>The address may have changed, or been mistyped. "
        f'<a href="{start}">The first page</a> leads to all others, and the search finds words.</p>'
    )
    yield STRAY, {"title": "There is no such page", "body": body, "metatags": base}, "page.html"


def _finish(app: Sphinx, error: Exception | None) -> None:
    """Write the site map, and the page at the top where the first page lies deeper."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    root = app.config.root_doc
    start, named = app.builder.get_target_uri(root), escape(title(app, root))
    if start != "index.html":
        canonical = f'<link rel="canonical" href="{escape(address(app, root))}" />' if _base(app) else ""
        (out / "index.html").write_text(
            f'<!DOCTYPE html>\n<html lang="{app.config.language or "en"}">\n<head><meta charset="utf-8" />\n'
            f'<title>{named}</title>\n{canonical}\n<meta http-equiv="refresh" content="0; url={start}" />\n'
            f'</head>\n<body><p><a href="{start}">{named}</a></p></body>\n</html>\n',
            encoding="utf-8",
        )
    if _base(app):
        lines = [f"<url><loc>{escape(address(app, page))}</loc></url>" for page in sorted(app.env.found_docs)]
        head = '<?xml version="1.0" encoding="utf-8"?>\n'
        head += '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        (out / "sitemap.xml").write_text(head + "\n".join(lines) + "\n</urlset>\n", encoding="utf-8")
        if app.config.modlib_picture:
            drawing = (Path(app.srcdir) / app.config.modlib_picture).read_text(encoding="utf-8")
            (out / PICTURE).write_bytes(vl_convert.svg_to_png(drawing, scale=2))


def setup(app: Sphinx) -> None:
    """Register the configuration value and the events."""
    app.add_config_value("modlib_picture", "", "html", (str,))
    app.connect("html-page-context", _describe)
    app.connect("html-collect-pages", _stray_page)
    app.connect("build-finished", _finish, priority=100)  # before others would write a page at the top
