"""Entries of the bibliography, without the roles of a list that docutils gives to some of their parts."""

import re
from typing import Any

from sphinx.application import Sphinx

_ROLES = re.compile(r' role="(?:list|doc-biblioentry)"(?= class="citation)| role="doc-biblioentry"')


def _leave_out_roles(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    if "body" in context:
        context["body"] = _ROLES.sub("", context["body"])


def setup(app: Sphinx) -> None:
    """Look at every page before it is written."""
    app.connect("html-page-context", _leave_out_roles)
