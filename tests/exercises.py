"""The exercises at the ends of the book's pages, read from their Markdown."""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

#: A directive: its fence, its name, its title, its options and what it holds.
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,})\{(?P<name>[\w-]+)\} ?(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[^\n]*\n)*)"
    r"(?P<body>.*?)"
    r"^(?P=fence)$",
    flags=re.MULTILINE | re.DOTALL,
)
PYTHON = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
#: The first line of every exercise: how hard it is, how long it takes and what it takes.
HEAD = re.compile(r"(★|★★|★★★) · (\d+) minutes · \*(pencil|look|run)\*")


@dataclass(frozen=True)
class Directive:
    """A block of an exercise: the exercise itself, its hint, its answer or its solution."""

    kind: str  #: "exercise" or "solution", or the title of an admonition, in lower case
    title: str
    options: dict[str, str]
    body: str

    @property
    def code(self) -> list[str]:
        """The blocks of Python in it."""
        return [block.strip() for block in PYTHON.findall(self.body)]


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
    found = []
    for match in DIRECTIVE.finditer(text):
        options = dict(re.findall(r"^:([\w-]+): *(.*)$", match["options"], flags=re.MULTILINE))
        kind = match["title"].lower() if match["name"] == "admonition" else match["name"]
        found.append(Directive(kind, match["title"], options, match["body"].strip()))
    return found


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
