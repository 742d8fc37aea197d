"""What roles say on a page of the book, as Markdown that needs no other page."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from modlib.book.authors import authors
from modlib.book.sphinx import head, numbers

_TITLED = re.compile(r"(?P<text>.*?) *<(?P<target>[^<>]+)>", flags=re.DOTALL)


class UnknownError(LookupError):
    """A role names something that the book does not have, or is not known itself."""


class References:
    """What roles say on one page: numbers, words and references get the text that the page shows.

    Pages of the book are linked where its address is known, and named where not.
    """

    def __init__(self, app: Sphinx, page: str) -> None:
        self._app, self._page = app, page

    def __call__(self, role: str, text: str) -> str:
        """Return what a role says; an UnknownError or a ValueError says that it cannot be told."""
        if role in ("num", "word", "side"):
            return numbers.written(role, text, numbers.values(self._app.env, self._app.config))
        if role in ("cite:p", "cite:t"):
            return self._cited(text.split(","), in_brackets=role == "cite:p")
        titled = _TITLED.fullmatch(text)
        shown, target = (titled["text"], titled["target"]) if titled else ("", text)
        if role == "term":
            return shown or target
        try:
            if role in ("ref", "doc"):
                return self._named(target, shown)
            if role == "numref":
                return self._figure(target)
            if role == "exercise":
                return self._number(self._page, "exercise", target)
            if role == "eq":
                return self._equation(target)
        except KeyError as error:
            raise UnknownError(f"{{{role}}}`{text}`: {error}") from error
        raise UnknownError(f"{{{role}}}`{text}`: no such role")

    def _named(self, target: str, shown: str) -> str:
        """Return the title of a page or a section, or what the author calls it."""
        labels = self._app.env.domaindata["std"]["labels"]
        page, anchor, title = labels.get(target) or (target.lstrip("/"), "", "")
        text = shown or title or self._app.env.titles[page].astext()
        if page == self._page:
            return shown or f"*{text}*"
        address = head.address(self._app, page)
        return f"[{text}]({address}{f'#{anchor}' if anchor else ''})" if address else f"*{text}*"

    def _figure(self, target: str) -> str:
        """Return the number of a figure, with the title of its page if that is another."""
        page, anchor = self._app.env.domaindata["std"]["anonlabels"][target]
        number = self._app.config.numfig_format["figure"] % self._number(page, "figure", anchor)
        return number if page == self._page else f"{number} of {self._named(page, '')}"

    def _equation(self, target: str) -> str:
        page, _ = self._app.env.domaindata["math"]["objects"][target]
        number = f"({self._number(page, 'displaymath', nodes.make_id(f'equation-{target}'))})"
        return number if page == self._page else f"{number} of {self._named(page, '')}"

    def _number(self, page: str, kind: str, anchor: str) -> str:
        return ".".join(map(str, self._app.env.toc_fignumbers[page][kind][anchor]))

    def _cited(self, keys: list[str], *, in_brackets: bool) -> str:
        """Return authors and years of entries of the bibliography, each linked to what it stands for."""
        entries = self._app.env.domaindata["cite"]["bibdata"].data.entries
        cited = []
        for key in (key.strip() for key in keys):
            if key not in entries:
                raise UnknownError(f"no entry {key} in the bibliography")
            entry = entries[key]
            who, year = authors(entry), entry.fields.get("year", "n.d.")
            linked = f"{who}, {year}" if in_brackets else year
            if address := _address(entry.fields):
                linked = f"[{linked}]({address})"
            cited.append(linked if in_brackets else f"{who} ({linked})")
        return f"({'; '.join(cited)})" if in_brackets else ", ".join(cited)


def _address(fields: Any) -> str:
    """Return where an entry can be read."""
    if doi := fields.get("doi"):
        return f"https://doi.org/{doi}"
    if eprint := fields.get("eprint"):
        return f"https://arxiv.org/abs/{eprint}"
    return str(fields.get("url", ""))
