"""Notebooks to download: complete without the book, with blanks or with solutions, and they run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import exercises
import nbformat
import pytest
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager
from test_sphinx import SPEC, chart_notebook

from modlib.book.builder.execution import Notebook, execute
from modlib.book.sphinx.downloads.notebooks import download
from modlib.book.sphinx.downloads.opening import FOLDER, opening
from modlib.book.sphinx.downloads.plain import left_over, plain

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
SAID = {"num": "0.25", "word": "none", "side": "above zero", "eq": "(1)", "numref": "Fig. 1", "exercise": "1"}


def say(role, text):
    """Say something in place of what the book would."""
    return SAID.get(role, text.partition(" <")[0])


def read(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def made(name, solved):
    return download(read(name), say, opening="import modlib", solved=solved)


def text_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells)


def parts(name, *kinds):
    """Give the parts of these kinds in the exercises of a chapter."""
    found = exercises.directives(exercises.section(ROOT / "notebooks" / f"{name}.ipynb"))
    return [part for part in found if part.kind in kinds]


# --- every chapter


@pytest.mark.parametrize("solved", [False, True], ids=["blanks", "solved"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_download_is_a_valid_notebook_without_anything_of_the_books_own(name, solved):
    notebook = made(name, solved)
    nbformat.validate(notebook)
    assert notebook.cells[0].source == "import modlib"
    assert [found for cell in notebook.cells for found in left_over(cell.source)] == []
    text = text_of(notebook)
    assert not re.search(r"\{[a-z:]+\}`|^ *:::|^`{3,}\{|^\([\w-]+\)=", text, flags=re.MULTILINE)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert cell.source.count("<details>") == cell.source.count("</details>")
            assert cell.source.count("```") % 2 == 0
            assert cell.source.count("$$") % 2 == 0


def lines_of(text):
    """Return the lines of a text that are long enough to be told apart, as a plain notebook has them."""
    return {line.strip() for line in plain(text, say).split("\n") if len(line.strip()) > 25}


@pytest.mark.parametrize("name", CHAPTERS)
def test_blanks_hide_all_of_a_solution_and_the_solved_notebook_shows_all(name):
    blanks, solved = text_of(made(name, solved=False)), made(name, solved=True)
    code = [cell.source for cell in solved.cells if cell.cell_type == "code"]
    asked = "\n".join(part.body for part in parts(name, "exercise", "hint"))
    given = parts(name, "answer", "solution")
    source = re.sub(r"^````?\{.*?^````?$", "", text_of(read(name)), flags=re.MULTILINE | re.DOTALL)
    for part in given:
        hidden = lines_of(exercises.PYTHON.sub("", part.body))
        assert hidden or part.code or part.kind == "answer"
        assert not {line for line in hidden if line in blanks}
        assert {line for line in hidden if line not in text_of(solved)} == set()
        for block in part.code:
            assert block in code  # a cell of its own
            assert block not in blanks
            own = {line for line in block.split("\n") if len(line) > 25 and line not in source + asked}
            assert not {line for line in own if line in blanks}
    assert len([cell for cell in solved.cells if "**Solution.**" in cell.source]) == len(
        parts(name, "solution")
    )


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_exercise_has_one_blank_that_fits_it(name):
    cells = made(name, solved=False).cells
    found = [number for number, cell in enumerate(cells) if cell.source.startswith("### Exercise ")]
    asked = parts(name, "exercise")
    assert len(found) == len(asked)
    hints = {part.options["label"]: "" for part in asked}
    for part in parts(name, "exercise", "hint"):
        if part.kind == "exercise":
            label = part.options["label"]
        hints[label] += part.body if part.kind == "hint" else ""
    for number, part in zip(found, asked, strict=True):
        blank, hint = cells[number + 1], hints[part.options["label"]]
        told = re.sub(r"^(exercise|ex)-", "", part.options["label"])
        assert part.title in cells[number].source
        assert "<summary>Hint</summary>" in cells[number].source
        if "modlib.exercises.check(" in hint:
            check = f'modlib.exercises.check("{told}", answer)'
            assert blank.source == f"# your code here\nanswer = ...\n{check}"
            assert blank.cell_type == "code"
        else:
            assert blank.cell_type == ("code" if "*run*" in part.body else "markdown")
            assert blank.source.strip()


def test_all_that_is_of_the_books_own_is_seen():
    for text in (
        "a {num}`b.c.d` e", "{cite:p}`one,two`", "(a-label)=\n# A", "```{note}\nA\n```", ":::{note}\nA\n:::",
        "[there](other.ipynb#part)", "[](words.md)", "$$\nx\n$$ (eq-x)", "  ````{exercise} B\n",
    ):  # fmt: skip
        assert left_over(text), text
    for text in ("`a[b](c)` {x}", "```python\nf(x)\n```", "[there](https://example.org/a.md)"):
        assert left_over(text) == [], text


def test_directives_become_plain_markdown():
    assert plain("````{admonition} Mind\n:class: tip\n\nOne.\n\nTwo.\n````", say) == (
        "> **Mind**\n>\n> One.\n>\n> Two."
    )
    assert plain("```{note}\nOne.\n```", say) == "> **Note**\n>\n> One."
    assert plain("```{admonition} More\n:class: dropdown\n\nOne {num}`a.b.c`.\n```", say) == (
        "<details>\n<summary>More</summary>\n\nOne 0.25.\n\n</details>"
    )
    table = "```{list-table}\n:header-rows: 1\n\n* - a\n  - b\n* - one\n    two\n\n    three\n  - 4|5\n```"
    assert plain(table, say) == "| a | b |\n| :-- | :-- |\n| one two <br><br> three | 4\\|5 |"
    assert plain("$$\nx\n$$ (eq-x)\n\n$$\ny\n$$\n", say) == "$$ x \\tag{1} $$\n\n$$\ny\n$$"
    assert "{unheard-of}" in plain("```{unheard-of}\nA\n```", say)


def test_checks_keep_their_options_and_fold_what_is_said_of_them():
    number = "\n- [x] 0.5 ± 0.1\n  > Yes.\n\n  > So.\n- [ ] 1\n  > No.\n- [ ] anything else\n  > Look.\n"
    assert plain(f"```{{check}} A\n:kind: number\n\nHow much?\n{number}```", say) == (
        "**Check: A**\n\nHow much?\n\n<details>\n<summary>Answer</summary>\n\n"
        "- 0.5: **Right.** Yes.\n\n  So.\n- 1: **Not quite.** No.\n- anything else: **Not quite.** Look.\n\n"
        "</details>"
    )
    predict = plain("```{check} B\n:kind: predict\n\nWhich?\n\n- [ ] One\n- [ ] Two\n\n> Both.\n```", say)
    assert "- **A.** One\n- **B.** Two\n\n<details>" in predict
    assert "Both.\n\n</details>" in predict
    assert "Not quite" not in predict


# --- the first cell


def test_the_first_cell_says_how_to_install_where_no_repository_is_known():
    cell = opening("A", commit="0" * 40, repository="", solved=False)
    assert [line for line in cell.split("\n") if not line.startswith("#")] == ["import modlib"]
    assert cell.startswith("# The notebook of “A”.\n")
    assert "pip install --editable ." in cell


def test_the_first_cell_fetches_the_very_commit_that_the_book_was_made_of(tmp_path):
    """Only git is run here: pip would install what the tests run with."""
    repository, elsewhere = tmp_path / "project", tmp_path / "elsewhere"

    def git(*words, at=repository):
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        return subprocess.run(command, cwd=at, check=True, capture_output=True, text=True).stdout.strip()

    repository.mkdir()
    elsewhere.mkdir()
    git("init", "--quiet")
    for content in ("of the book", "of a later day"):
        (repository / "table").write_text(content)
        git("add", "table")
        git("commit", "--quiet", "--message", content)
    commit = git("rev-parse", "HEAD~")
    cell = opening("A", commit=commit, repository=repository.as_uri(), solved=True)
    commands = [line.strip().removeprefix("!") for line in cell.split("\n") if line.startswith("    !")]
    assert len(commands) == 3
    for command in commands:
        subprocess.run(command, shell=True, cwd=elsewhere, check=True)
    assert git("rev-parse", "HEAD", at=elsewhere / FOLDER) == commit
    assert (elsewhere / FOLDER / "table").read_text() == "of the book"
    assert re.search(rf"^    %pip install --quiet --editable {FOLDER}$", cell, flags=re.MULTILINE)
    compile(TransformerManager().transform_cell(cell), "the first cell", "exec")  # as Jupyter reads it


# --- in a book


CONF = """
project = "small"
html_title = "A small book"
author = "A. N. Author"
extensions = ["myst_nb", "sphinx_exercise", "sphinx_togglebutton", "sphinxcontrib.bibtex"]
extensions += ["modlib.book.sphinx"]
html_theme = "sphinx_book_theme"
html_theme_options = {"use_download_button": True}
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"
numfig = True
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
modlib_numbers = "numbers.json"
modlib_timings = "timings.json"
"""
BIB = r"""
@article{one, author = {G{\"o}rke, Robert}, title = {A}, journal = {J}, year = {2001}, doi = {10.1/2}}
@article{two, author = {de Vries, Anna and Li, Bo}, title = {B}, journal = {J}, year = {2002}, eprint = {1}}
@article{three, author = {Ng, A. and Ba, B. and Wu, C.}, title = {C}, journal = {J}, year = {2003}}
"""
TEXT = """(chapter-first)=
# The first chapter

It has {num}`profile` and {term}`terms <term>`, {cite:p}`one,two` and {cite:t}`three`.

$$
x
$$ (eq-x)

See {numref}`fig-points`, {numref}`fig-others`, {eq}`eq-x`, {ref}`chapter-second` and {ref}`a part <part>`.

(part)=
## A part

## Exercises
"""
SECOND = """(chapter-second)=
# The second chapter

See {eq}`eq-x`, in {doc}`first` or {doc}`there <first>`.
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Return the pages of a small book, with all that refers to something."""
    folder = tmp_path_factory.mktemp("downloads")
    (folder / "conf.py").write_text(CONF)
    (folder / "references.bib").write_text(BIB)
    (folder / "numbers.json").write_text('{"toy.whole.q": 0.4967}')
    (folder / "timings.json").write_text("{}")
    (folder / "index.md").write_text(
        "# Start\n\n```{toctree}\nfirst\nsecond\n```\n\n```{glossary}\nterm\n  A word.\n```\n\n"
        "```{bibliography}\n```\n"
    )
    first = chart_notebook({**SPEC, "usermeta": {"caption": "Points {ref}`part`.", "name": "fig-points"}})
    first.cells[0].source = TEXT.replace("{num}`profile`", "a Q") + EXERCISES
    second = chart_notebook({**SPEC, "usermeta": {"caption": "Others.", "name": "fig-others"}})
    second.cells[0].source = SECOND
    nbformat.write(first, folder / "first.ipynb")
    nbformat.write(second, folder / "second.ipynb")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


EXERCISES = f"""
{exercises.SAMPLE}
````{{solution}} exercise-sum
:class: dropdown

Add them:

```python
2 + 2
```
````
"""


def build(folder):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees")]
    command += ["-b", "html", str(folder), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_roles_say_in_a_download_what_the_page_says(book):
    first = text_of(nbformat.read(book / "html" / "downloads" / "first.ipynb", as_version=4))
    assert (
        "terms, ([Görke, 2001](https://doi.org/10.1/2); [de Vries and Li, 2002](https://arxiv.org/abs/1)) "
        "and Ng et al. (2003)."
    ) in first
    assert "$$ x \\tag{1} $$" in first
    assert "See Fig. 1, Fig. 2 of *The second chapter*, (1), *The second chapter* and a part." in first
    assert "**Fig. 1.** Points *A part*." in first
    assert "### Exercise 1: Two and two" in first
    second = text_of(nbformat.read(book / "html" / "downloads" / "second.ipynb", as_version=4))
    assert "See (1) of *The first chapter*, in *The first chapter* or *there*." in second
    page = BeautifulSoup((book / "html" / "first.html").read_text(), "html.parser").get_text()
    for number in ("Fig. 1", "Fig. 2", "Exercise 1 (Two and two)"):
        assert number in page.replace("\xa0", " ")


@pytest.mark.slow
def test_a_page_offers_its_notebooks_and_no_source(book):
    pages = book / "html"
    for name, offered in (
        ("first", {"Notebook": "first", "Notebook with solutions": "first-solved"}),
        ("second", {"Notebook": "second"}),
        ("index", {}),
    ):
        page = BeautifulSoup((pages / f"{name}.html").read_text(), "html.parser")
        links = page.select(".dropdown-download-buttons a")
        found = {link.get_text().strip(): link["href"] for link in links}
        assert found == {text: f"downloads/{file}.ipynb" for text, file in offered.items()}
        assert all((pages / address).is_file() for address in found.values())
        assert page.select(".dropdown-download-buttons .btn-download-pdf-button")
        assert "_sources" not in str(page)
    assert not (pages / "_sources").exists()
    assert len(list((pages / "downloads").iterdir())) == 3


@pytest.mark.slow
def test_what_a_plain_notebook_cannot_show_fails_the_build(book, tmp_path):
    folder = tmp_path / "book"
    shutil.copytree(book, folder, ignore=shutil.ignore_patterns("html", "doctrees", "jupyter_execute"))
    notebook = nbformat.read(folder / "second.ipynb", as_version=4)
    notebook.cells[0].source += "\n\nSee [](first.ipynb).\n"
    nbformat.write(notebook, folder / "second.ipynb")
    done = build(folder)
    assert done.returncode != 0
    assert "no download: '](first.ipynb)' cannot be shown by a plain notebook" in done.stderr


# --- run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run both notebooks of a quick chapter."""
    folder = tmp_path_factory.mktemp("run")
    small = {"restarts": 2, "largest": 32, "repeats": 1}
    notebooks = []
    for name in ("blanks", "solved"):
        nbformat.write(made("what-is-a-module", solved=name == "solved"), folder / f"{name}.ipynb")
        notebooks.append(Notebook(name, folder / f"{name}.ipynb", small))
    return {one.name: outcome for one, outcome in execute(notebooks, folder, jobs=2)}


@pytest.mark.slow
def test_a_notebook_runs_up_to_its_first_blank_which_says_what_is_missing(run):
    said = str(run["blanks"])
    assert 'modlib.exercises.check("q-by-hand", answer)' in said
    assert (
        "ValueError: answer is still blank: put one number, Q of the three pairs, in place of the three dots"
        in said
    )


@pytest.mark.slow
def test_a_solved_notebook_runs_to_its_end(run):
    cells = [cell for cell in run["solved"].notebook.cells if cell.cell_type == "code"]
    (by_hand,) = [cell for cell in cells if cell.source == "modlib.modularity(A, [0, 0, 1, 1, 2, 2])"]
    assert float(by_hand.outputs[0].data["text/plain"]) == pytest.approx(16 / 196, abs=1e-5)
    assert cells[-1].outputs[0].output_type == "execute_result"
