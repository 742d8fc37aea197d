"""The teaching kit: slides, handouts, keys and an exam, made from the chapters of the executed book.

Slides, questions and rubrics are Markdown files in the folder ``teaching`` (`decks`, `exams`); exercises and
figures are those of the chapters (`chapters`). `kit` puts them into pages that need nothing but themselves.
"""

from modlib.book.teaching.kit import make

__all__ = ["make"]
