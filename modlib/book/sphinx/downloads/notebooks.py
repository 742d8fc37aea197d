"""From a chapter's notebook to the two that readers take home: one with blanks, and one with solutions.

Both come from the same source: they differ in what stands below each exercise. Neither has outputs, since
whoever opens them runs them.
"""

import re
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode

from modlib.book.directives import DIRECTIVE, PYTHON, Directive
from modlib.book.sphinx.downloads.plain import ROLE, Say, plain
from modlib.book.vega import VEGALITE

NAMED = re.compile(r'modlib\.exercises\.check\("([\w-]+)"')  # in a hint, where the answer can be checked
PARTS = ("exercise", "hint", "answer", "solution")
NUMBERS = ("num", "word", "side")


def download(notebook: NotebookNode, say: Say, *, opening: str, solved: bool) -> NotebookNode:
    """Return a chapter's notebook as one that runs, and reads well, wherever there is Jupyter.

    `opening` is the code of its first cell. With `solved` the code of solutions stands in cells of its own;
    otherwise answers and solutions give way to blanks. `say` gives what a role says.
    """
    cells = [code_cell(opening)]
    for cell in notebook.cells:
        cells += _text(cell.source, say, solved) if cell.cell_type == "markdown" else _code(cell, say)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    made: NotebookNode = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    made.metadata.update(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python", "file_extension": ".py"},
    )
    return made


def has_exercises(notebook: NotebookNode) -> bool:
    """Say whether the two notebooks of a chapter differ."""
    return any(
        found["name"] == "solution" for cell in notebook.cells for found in DIRECTIVE.finditer(cell.source)
    )


def text_cell(text: str) -> NotebookNode:
    """Return a cell of Markdown."""
    cell: NotebookNode = nbformat.v4.new_markdown_cell(text)  # type: ignore[no-untyped-call]
    return cell


def code_cell(source: str) -> NotebookNode:
    """Return a cell of code."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
    return cell


def _code(cell: NotebookNode, say: Say) -> Iterator[NotebookNode]:
    """Give a cell of code, and the captions of its charts, which only the book's pages show by themselves."""
    source = ROLE.sub(
        lambda found: say(found["role"], found["text"]) if found["role"] in NUMBERS else found[0], cell.source
    )
    made = code_cell(source)
    if "parameters" in cell.metadata.get("tags", []):
        made.metadata["tags"] = ["parameters"]
    yield made
    for output in cell.get("outputs", []):
        about = output.get("data", {}).get(VEGALITE, {}).get("usermeta", {})
        if about.get("caption"):
            number = say("numref", about["name"]) if about.get("name") else "Figure"
            yield text_cell(plain(f"**{number}.** {about['caption']}", say))


def _text(source: str, say: Say, solved: bool) -> Iterator[NotebookNode]:
    """Give the cells that a cell of Markdown becomes: what follows an exercise is a cell of its own."""
    parts: list[str] = []
    exercise, answer, named, end = None, "", "", 0
    for found in DIRECTIVE.finditer(source):
        directive = Directive.of(found)
        if directive.kind not in PARTS:
            continue
        parts.append(source[end : found.start()])
        end = found.end()
        if directive.kind == "exercise":
            yield from _paragraphs(parts, say)
            exercise, answer, named = directive, "", ""
            number = say("exercise", directive.options["label"])
            parts = [f"### Exercise {number}: {directive.title}", directive.body]
        elif directive.kind == "hint":
            parts.append(found[0])
            named = "".join(NAMED.findall(directive.body)[:1])
        elif directive.kind == "answer":
            answer = directive.body
        else:
            yield from _paragraphs(parts, say)
            parts = []
            yield from _solution(directive, answer, say) if solved else [_blank(exercise, named)]
    yield from _paragraphs([*parts, source[end:]], say)


def _paragraphs(parts: list[str], say: Say) -> Iterator[NotebookNode]:
    """Give a cell of the parts of a text, unless all of them are empty."""
    if text := plain("\n\n".join(part.strip() for part in parts if part.strip()), say):
        yield text_cell(text)


def _blank(exercise: Directive | None, named: str) -> NotebookNode:
    """Return the cell that a reader fills: the one of an exercise that can be checked ends with its check."""
    if named:
        return code_cell(f'# your code here\nanswer = ...\nmodlib.exercises.check("{named}", answer)')
    if exercise is not None and "*run*" in exercise.body.partition("\n")[0]:
        return code_cell("# your code here")
    return text_cell("*Your answer: double-click to write it here.*")


def _solution(solution: Directive, answer: str, say: Say) -> Iterator[NotebookNode]:
    """Give an answer and a solution, whose code stands in cells of its own."""
    texts = PYTHON.split(solution.body)  # text and code take turns
    opening = [f"**Answer.** {answer}"] if answer else []
    yield from _paragraphs([*opening, f"**Solution.** {texts[0]}"], say)
    for number, text in enumerate(texts[1:]):
        if number % 2 == 0:
            yield code_cell(text.strip())
        else:
            yield from _paragraphs([text], say)
