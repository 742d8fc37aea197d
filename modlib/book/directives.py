"""Directives as they are written in the Markdown of pages, with their title, options and body."""

import re
from dataclasses import dataclass

#: A directive: its fence, its name, its title, its options and what it holds.
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,})\{(?P<name>[\w-]+)\} ?(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[^\n]*\n)*)"
    r"(?P<body>.*?)"
    r"^(?P=fence)$",
    flags=re.MULTILINE | re.DOTALL,
)
PYTHON = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Directive:
    """A block of a page, such as an exercise, its hint, its answer or its solution."""

    kind: str  #: the name of the directive or, of an admonition, its title in lower case
    title: str
    options: dict[str, str]
    body: str

    @classmethod
    def of(cls, match: re.Match[str]) -> "Directive":
        """Return what a match of `DIRECTIVE` holds."""
        options = dict(re.findall(r"^:([\w-]+): *(.*)$", match["options"], flags=re.MULTILINE))
        kind = match["title"].lower() if match["name"] == "admonition" else match["name"]
        return cls(kind, match["title"], options, match["body"].strip())

    @property
    def code(self) -> list[str]:
        """The blocks of Python in it."""
        return [block.strip() for block in PYTHON.findall(self.body)]
