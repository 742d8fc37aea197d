"""How long a chapter takes to read, told under its title: computed from its words and figures."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

#: Half the 238 of non-fiction in English (Brysbaert 2019, 10.1016/j.jml.2019.104047), for what is new has to
#: be thought over.
WORDS_A_MINUTE = 120
MINUTES_A_FIGURE = 1  #: Of a chart, a table or an equation on a line of its own.
ROUND_FROM, ROUND_TO = 10, 5  #: From so many minutes on, their number is rounded to multiples of five.
EXERCISES = "Exercises"  #: The section that is left out, since each exercise has its own minutes.


def minutes(doctree: Any) -> int:
    """Return the minutes that a page takes to read, without its code and its exercises."""
    words, figures = _count(doctree)
    exact = words / WORDS_A_MINUTE + figures * MINUTES_A_FIGURE
    return ROUND_TO * round(exact / ROUND_TO) if exact >= ROUND_FROM else max(1, round(exact))


def _count(node: Any) -> tuple[int, int]:
    """Return how many words and how many figures a part of a page has."""
    if isinstance(node, nodes.literal_block | nodes.comment) or _is_exercises(node):
        return 0, 0
    if isinstance(node, nodes.table | nodes.math_block) or "cell_output" in node.get("classes", ()):
        return 0, 1
    if isinstance(node, nodes.TextElement):
        return len(node.astext().split()), 0
    counts = [_count(child) for child in node.children if isinstance(child, nodes.Element)]
    return sum(words for words, _ in counts), sum(figures for _, figures in counts)


def _is_exercises(node: Any) -> bool:
    return isinstance(node, nodes.section) and node.children and node[0].astext() == EXERCISES


def _tell(_app: Sphinx, doctree: Any) -> None:
    """Write the time under the title of a chapter: a page with a label that begins with "chapter-"."""
    if not any(name.startswith("chapter-") for name in doctree.nameids):
        return
    page = next(doctree.findall(nodes.section))
    told = minutes(doctree)
    text = f"About {told} minute{'s' if told > 1 else ''} to read"
    if any(_is_exercises(section) for section in doctree.findall(nodes.section)):
        text += ", the exercises aside"
    page.insert(1, nodes.paragraph("", f"{text}.", classes=["modlib-reading"]))


def setup(app: Sphinx) -> None:
    """Register the event."""
    app.connect("doctree-read", _tell)
