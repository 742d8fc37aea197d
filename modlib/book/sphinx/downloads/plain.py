"""From the Markdown of pages to one that JupyterLab and Colab show as well: no role and no directive is left.

What a role such as ``{num}`` says is asked of a function that takes its name and its text.
"""

import re
from collections.abc import Callable
from string import ascii_uppercase
from textwrap import indent

from modlib.book.directives import DIRECTIVE, Directive
from modlib.book.sphinx import check_text

#: Gives what a role says, from the role's name and text.
Say = Callable[[str, str], str]

ROLE = re.compile(r"\{(?P<role>[a-z][\w:-]*)\}`(?P<text>[^`]+)`")
BOXES = ("note", "tip", "hint", "important", "warning", "caution", "attention", "seealso")
_LABEL = re.compile(r"^\([\w-]+\)=\n+", flags=re.MULTILINE)
_EQUATION = re.compile(r"\$\$(?P<tex>.+?)\$\$(?: \((?P<label>[\w-]+)\))?", flags=re.DOTALL)
_LEFT = re.compile(
    rf"{ROLE.pattern}|^ *(?:`{{3,}}|:{{3,}})\{{[^\n]*|^:{{3,}}|{_LABEL.pattern}"
    r"|\]\([^)\s:]+\.(?:md|ipynb)[^)\s]*\)|\$\$ \([\w-]+\)",
    flags=re.MULTILINE,
)


def plain(text: str, say: Say) -> str:
    """Return Markdown of a page without roles and directives.

    >>> plain("There are {num}`toy.whole.edges` edges.", lambda role, text: "7")
    'There are 7 edges.'
    """
    text = DIRECTIVE.sub(lambda found: _block(found), _LABEL.sub("", text))
    text = _EQUATION.sub(lambda found: _equation(found, say), text)
    return ROLE.sub(lambda found: say(found["role"], " ".join(found["text"].split())), text).strip()


def left_over(text: str) -> list[str]:
    """Return what only the book's own pages could show: roles, directives, labels, links between files."""
    return [found[0] for found in _LEFT.finditer(text)]


def folded(title: str, body: str) -> str:
    """Return what opens when its title is clicked."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def _equation(found: re.Match[str], say: Say) -> str:
    """Return an equation that, if it has a label, shows its number."""
    if not found["label"]:
        return found[0]
    number = say("eq", found["label"]).strip("()")
    return f"$$ {found['tex'].strip()} \\tag{{{number}}} $$"


def _block(found: re.Match[str]) -> str:
    """Return what a directive becomes; one that is not known stays as it is, and is found by `left_over`."""
    directive = Directive.of(found)
    body = DIRECTIVE.sub(lambda inner: _block(inner), directive.body)
    if found["name"] == "check":
        return _check(directive)
    if found["name"] == "list-table":
        return _table(directive)
    if "dropdown" in directive.options.get("class", "") or found["name"] == "dropdown":
        return folded(directive.title, body)
    if found["name"] == "admonition" or found["name"] in BOXES:
        title = directive.title or found["name"].capitalize()
        return "\n".join(f"> {line}".rstrip() for line in f"**{title}**\n\n{body}".split("\n"))
    return found[0]


def _check(directive: Directive) -> str:
    """Return a question, its options and, folded, what is said of each."""
    several = "several" in directive.options
    check = check_text.read(directive.options["kind"], directive.body.split("\n"), several=several)
    names = [f"**{letter}.**" for letter, _ in zip(ascii_uppercase, check.items, strict=False)]
    options, answers = [], []
    for name, item in zip(names, check.items, strict=True):
        if check.kind != "number":
            options.append(_entry(f"{name} {item.label.text}"))
        shown = f"{item.label.text}:" if check.kind == "number" else name
        verdict = check_text.RIGHT if item.right else check_text.WRONG
        answers.append(_entry(f"{shown} **{verdict}** {item.feedback.text}"))
    answer = check.answer.text if check.kind == "predict" else "\n".join(answers)
    parts = [f"**Check: {directive.title}**", check.question.text, "\n".join(options)]
    return "\n\n".join([*filter(None, parts), folded("Answer", answer)])


def _entry(text: str) -> str:
    """Return an entry of a list."""
    return f"- {indent(text, '  ').lstrip()}"


def _table(directive: Directive) -> str:
    """Return a table whose rows are written as lists; paragraphs of a cell are parted by empty lines."""
    rows = [
        [" ".join(cell.split()).replace("|", "\\|") for cell in re.split(r"^  - ", row, flags=re.MULTILINE)]
        for row in re.split(
            r"^\* - ", re.sub(r"\n\n(?=    )", " <br><br> ", directive.body), flags=re.MULTILINE
        )
        if row.strip()
    ]
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, [":--"] * len(head), *others))
