"""Slides: one Markdown file a session, its slides between lines of three hyphens.

A slide is a heading, at most four short points or a figure or both, and as a quotation what the speaker says:

    # The score has a name

    - What is inside, less what blind wiring would put there

    ![Two triangles joined by one edge](what-is-a-module/fig-triangles)

    > Let students find the modules before you say how they are scored.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markdown_it.token import Token

from modlib.book.builder.errors import BookError
from modlib.book.teaching.writing import Writer

MOST_POINTS = 4


@dataclass(frozen=True)
class Slide:
    """A slide, as HTML."""

    title: str
    body: str
    notes: str

    @property
    def kind(self) -> str:
        """What it holds, by which it is laid out: points, a picture, or both, the picture wide or tall."""
        if 'class="figure' not in self.body:
            return "points"
        if "<ul>" not in self.body:
            return "picture"
        return "tall" if 'class="figure tall"' in self.body else "wide"


def slides(text: str, writer: Writer, *, name: str) -> list[Slide]:
    """Read the slides of a session; a BookError says which of them is not written as it must be."""
    found = []
    for number, part in enumerate(re.split(r"^---$", text, flags=re.MULTILINE), start=1):
        try:
            found.append(_slide(part, writer))
        except BookError as error:
            raise BookError(f"{name}, slide {number}: {error}") from error
    return found


def _slide(text: str, writer: Writer) -> Slide:
    title, body, notes = "", [], []
    points = 0
    for block in _blocks(writer.tokens(text)):
        first = block[0]
        if first.type == "heading_open" and not title:
            title = writer.rendered(block[1:-1])
        elif first.type == "blockquote_open":
            notes += block[1:-1]
        else:
            body += block
            points += sum(token.type == "list_item_open" for token in block)
    if not title or not notes:
        raise BookError("it needs a heading and, as a quotation, what the speaker says")
    if points > MOST_POINTS:
        raise BookError(f"it has {points} points, and may have {MOST_POINTS}")
    return Slide(title, writer.rendered(body), writer.rendered(notes))


def _blocks(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """Give the outermost blocks of a text, each with all of its tokens."""
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth == 0:
            yield block
            block = []
