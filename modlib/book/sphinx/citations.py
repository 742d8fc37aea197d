"""Citations in the text, and the entries of the bibliography.

Two works of one author and year are told apart in the text by the letters that their labels have in the
bibliography. Some parts of the bibliography lose the roles of a list that docutils gives them.
"""

import re
from typing import Any

from pybtex.richtext import Text
from pybtex.style.template import Node
from sphinx.application import Sphinx
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle
from sphinxcontrib.bibtex.style.template import year

_ROLES = re.compile(r' role="(?:list|doc-biblioentry)"(?= class="citation)| role="doc-biblioentry"')


def _lettered(part: Any) -> Any:
    """Put a letter behind the year, wherever in a template it stands."""
    if part is year:
        return Node("year_and_letter", _year_and_letter)
    if isinstance(part, Node):
        part.children = [_lettered(child) for child in part.children]
    return part


def _year_and_letter(_: list[Any], data: dict[str, Any]) -> Text:
    letter = re.search(r"(?<=\d)[a-z]$", data["formatted_entry"].label)
    return Text(year.format_data(data), letter[0] if letter else "")


def _reference(style: AuthorYearReferenceStyle, role_name: str) -> Node:
    return _lettered(AuthorYearReferenceStyle.inner(style, role_name))


#: By author and year, with the letter that the label of an entry such as "New06a" ends in. It is no class
#: statement, because the tests check the types of those, and with them of what they inherit.
LetteredReferenceStyle = type("LetteredReferenceStyle", (AuthorYearReferenceStyle,), {"inner": _reference})


def _leave_out_roles(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    if "body" in context:
        context["body"] = _ROLES.sub("", context["body"])


def setup(app: Sphinx) -> None:
    """Offer the style of references, and look at every page before it is written."""
    register_plugin("sphinxcontrib.bibtex.style.referencing", "author_year_letter", LetteredReferenceStyle)
    app.connect("html-page-context", _leave_out_roles)
