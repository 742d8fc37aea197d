"""The exercises at the ends of the book's pages, read from their Markdown."""

import re
from pathlib import Path

import nbformat

from modlib.book.directives import DIRECTIVE, PYTHON, Directive

__all__ = ["DIRECTIVE", "HEAD", "PYTHON", "SAMPLE", "by_exercise", "directives", "section", "solutions"]

#: The first line of every exercise: how hard it is, how long it takes and what it takes.
HEAD = re.compile(r"(★|★★|★★★) · (\d+) minutes · \*(pencil|look|run)\*")

#: The question and the hint of an exercise that any solution may follow.
SAMPLE = """\
```{exercise} Two and two
:label: exercise-sum

★ · 5 minutes · *run*

How much is two and two?
```

```{admonition} Hint
:class: dropdown hint

Count your fingers.
```
"""


def section(page: Path) -> str:
    """Return what stands under a page's heading Exercises, or nothing where it has none."""
    if page.suffix == ".ipynb":
        cells = nbformat.read(page, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = page.read_text(encoding="utf-8")
    return "".join(re.split(r"^## Exercises$", text, flags=re.MULTILINE)[1:])


def directives(text: str) -> list[Directive]:
    """Return the directives of a section, in their order."""
    return [Directive.of(match) for match in DIRECTIVE.finditer(text)]


def by_exercise(text: str) -> list[list[Directive]]:
    """Return the directives of a section, each exercise with what follows it up to the next."""
    groups: list[list[Directive]] = []
    for directive in directives(text):
        if directive.kind == "exercise" or not groups:
            groups.append([])
        groups[-1].append(directive)
    return groups


def solutions(page: Path) -> list[tuple[str, str]]:
    """Return the Python in a page's solutions, in order, each block with the label of its exercise."""
    return [
        (directive.title, code)
        for directive in directives(section(page))
        if directive.kind == "solution"
        for code in directive.code
    ]
