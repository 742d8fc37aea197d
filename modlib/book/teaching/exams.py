"""The exam: questions that everybody may see in one file, and how they are marked in another.

Both have a heading for each question. In the file of questions its first line says what it asks for and how
much it is worth, as in ``*figure* · 8 points``; in that of rubrics each item of its list begins with points.
"""

import re
from dataclasses import dataclass

from modlib.book.builder.errors import BookError

LEVELS = ("recall", "figure", "derivation", "critique", "design")
_HEAD = re.compile(r"\*(\w+)\* · (\d+) points")
_ITEM = re.compile(r"^- (\d+) points?: ", flags=re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """A question of the exam, in Markdown."""

    title: str
    level: str
    points: int
    text: str
    rubric: str


def questions(asked: str, rubrics: str) -> list[Question]:
    """Read the exam; a BookError names a question without a level, points or a rubric, or one too many."""
    marked = dict(_sections(rubrics))
    found = []
    for title, body in _sections(asked):
        head, _, text = body.partition("\n\n")
        told = _HEAD.fullmatch(head.strip())
        if not told or told[1] not in LEVELS:
            raise BookError(f"question {title!r} must begin with one of {', '.join(LEVELS)} and its points")
        rubric = marked.pop(title, "")
        if (given := sum(int(points) for points in _ITEM.findall(rubric))) != int(told[2]):
            raise BookError(f"question {title!r} is worth {told[2]} points, and its rubric gives {given}")
        found.append(Question(title, told[1], int(told[2]), text.strip(), rubric))
    if marked:
        raise BookError(f"no question is called {', '.join(map(repr, marked))}")
    return found


def _sections(text: str) -> list[tuple[str, str]]:
    """Return the headings of the second level, each with what stands below it."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return [(title.strip(), body.strip()) for title, body in zip(parts[1::2], parts[2::2], strict=True)]
