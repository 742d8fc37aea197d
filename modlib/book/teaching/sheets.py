"""Sheets of paper: the exercises of a chapter, with and without what belongs to them, and the exam."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modlib.book.teaching.chapters import Book, Chapter
from modlib.book.teaching.exams import Question
from modlib.book.teaching.writing import Shown, Writer


@dataclass
class Item:
    """An exercise or a question, as HTML."""

    title: str
    about: str
    text: str
    shown: list[Shown]  #: figures and equations that it refers to
    parts: list[tuple[str, str]] = field(default_factory=list)  #: what is for the lecturer, with its name


@dataclass(frozen=True)
class Sheet:
    """What is handed out, or what the lecturer keeps."""

    kind: str
    title: str
    lead: str
    items: Sequence[Item]


def of_exercises(book: Book, chapter: Chapter, *, key: bool) -> Sheet:
    """Return the handout of a chapter or, with hints, answers and solutions, its key."""
    writer = Writer(book)
    # All questions come first, so that figures have the same numbers in the handout and in the key.
    items = [
        Item(
            writer.inline(one.title),
            f"{one.stars} · {one.minutes} minutes · {one.tag}",
            writer.html(one.question),
            writer.due(),
        )
        for one in chapter.exercises
    ]
    if key:
        for item, one in zip(items, chapter.exercises, strict=True):
            item.parts = [(name, writer.html(text)) for name, text in one.parts]
            item.shown = [*item.shown, *writer.due()]
    total = sum(one.minutes for one in chapter.exercises)
    lead = f"Exercises of the chapter “{writer.inline(chapter.title)}”, {total} minutes in all."
    return Sheet("Key" if key else "Handout", writer.inline(chapter.title), lead, items)


def of_exam(book: Book, asked: Sequence[Question], *, rubric: bool) -> Sheet:
    """Return the exam or, with how it is marked, what the lecturer marks it by."""
    writer = Writer(book)
    items = [
        Item(writer.inline(one.title), f"{one.points} points", writer.html(one.text), writer.due())
        for one in asked
    ]
    if rubric:
        for item, one in zip(items, asked, strict=True):
            item.about += f" · {one.level}"
            item.parts = [("Rubric", writer.html(one.rubric))]
            item.shown = [*item.shown, *writer.due()]
    total = sum(one.points for one in asked)
    lead = f"{len(asked)} questions, {total} points. Paper, pencil and a calculator are allowed."
    return Sheet("Rubric" if rubric else "Exam", "Modules in neural networks", lead, items)
