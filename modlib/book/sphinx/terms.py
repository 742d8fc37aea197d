"""Terms: what a word of the book means, shown where a page uses it.

``{term}`AMI``` is Sphinx's own role, which links to an entry of its ``glossary`` directive. Here the link
also carries the first paragraph of that entry, and ``tooltips.js`` shows it to whoever points at the term.
When a definition changes, all pages are written anew.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from modlib.book.sphinx.by_page import ByPage

_DEFINITIONS = ByPage("modlib_terms")  # by the anchors of their terms


class TermNode(nodes.reference):  # type: ignore[misc]  # docutils is untyped
    """A link to an entry of the glossary, with its `definition`."""


def _visit_html(self: Any, node: TermNode) -> None:
    address = f"#{node['refid']}" if "refid" in node else node["refuri"]
    about = {"href": address, "data-definition": node["definition"]}
    self.body.append(self.starttag(node, "a", "", CLASS="term", **about))


def _depart_html(self: Any, node: TermNode) -> None:
    self.body.append("</a>")


def _collect(app: Sphinx, doctree: Any) -> None:
    """Keep the definitions of a page that has a glossary, by the anchors of their terms."""
    found: dict[str, str] = {}
    for glossary in doctree.findall(addnodes.glossary):
        for entry in glossary.findall(nodes.definition_list_item):
            *terms, definition = entry.children
            text = " ".join(definition[0].astext().split())
            found |= {anchor: text for term in terms for anchor in term["ids"]}
    if found:
        _DEFINITIONS.of(app.env)[app.env.docname] = found


def _define(app: Sphinx, doctree: Any, page: str) -> None:
    """Give every link to a term its definition."""
    known = {anchor: text for found in _DEFINITIONS.of(app.env).values() for anchor, text in found.items()}
    for word in list(doctree.findall(nodes.inline)):
        link = word.parent
        if "std-term" in word["classes"] and isinstance(link, nodes.reference):
            anchor = link.get("refid") or link["refuri"].rpartition("#")[2]
            link.replace_self(TermNode("", "", *link.children, **link.attributes, definition=known[anchor]))


def _pages_to_write(app: Sphinx, env: Any) -> list[str]:
    """Return all pages where a definition has changed since they were written."""
    if getattr(env, "modlib_terms_written", None) == _DEFINITIONS.of(env):
        return []
    env.modlib_terms_written = {page: dict(found) for page, found in _DEFINITIONS.of(env).items()}
    return sorted(env.all_docs)


def setup(app: Sphinx) -> None:
    """Register the node and the events."""
    app.add_node(TermNode, html=(_visit_html, _depart_html))
    app.connect("doctree-read", _collect)
    app.connect("doctree-resolved", _define)
    app.connect("env-updated", _pages_to_write)
    _DEFINITIONS.connect(app)
