"""The teaching kit: the page for lecturers, slides, handouts, keys and the exam."""

import base64
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, unquote

import exercises
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from modlib import __main__ as cli
from modlib.book import chromium
from modlib.book.builder.errors import BookError
from modlib.book.chapters.explorer import payload
from modlib.book.teaching import chapters, decks, exams, kit, make
from modlib.book.teaching.chapters import Book, Chapter, Chart
from modlib.book.teaching.mathml import mathml
from modlib.book.teaching.writing import Writer
from modlib.book.vega import VEGALITE
from modlib.measures import MEASURES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
SOURCES = ROOT / "teaching"
DECKS = sorted(SOURCES.glob("session-*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SESSIONS = re.split(r"^### (?=Session \d|The project)", PAGE, flags=re.MULTILINE)[1:7]
#: Of one transparent pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


# --- the book as its sources have it: figures are a pixel each, and every number is a half


class Halves(dict):
    """Numbers of whatever is cited."""

    def __contains__(self, name):
        return True

    def __missing__(self, name):
        return 0.5


def chart(name):
    return Chart(
        {"description": f"What {name} shows.", "usermeta": {"caption": "A caption.", "name": name}}, PNG, 2, 1
    )


def figures(path):
    """Return the names of a chapter's figures, from its code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return re.findall(r'\bname="([\w-]+)"', code)


@pytest.fixture(scope="module")
def book():
    found = {}
    for path in NOTEBOOKS:
        source = chapters.chapter(path)
        found[source.name] = Chapter(source.name, source.text, {name: chart(name) for name in figures(path)})
    return Book(found, Halves(), chapters.read_references(ROOT / "book" / "references.bib"))


@pytest.fixture(scope="module")
def pages(book):
    """Return all pages of the kit, by name, as they would be with the pixels and halves."""
    return dict(kit.pages(ROOT, book))


def text_of(html):
    """Return the text that a reader sees, all white space as one space."""
    return " ".join(BeautifulSoup(html, "html.parser").get_text(" ").split())


# --- the page


def exercises_of_book():
    found = {}
    for path in [*NOTEBOOKS, *(ROOT / "book").glob("*.md")]:
        for first, *_ in exercises.by_exercise(exercises.section(path)):
            head = exercises.HEAD.search(first.body)
            run = "*run*" in head.string[head.start() :].partition("\n")[0]
            found[first.options["label"]] = (first.title, int(head[2]), " ⌨" if run else "")
    return found


def test_homework_names_exercises_by_their_titles_and_adds_their_minutes_up():
    known = exercises_of_book()
    assert len(SESSIONS) == 6
    for session in SESSIONS:
        homework = session.partition("**Homework**")[2]
        items = re.findall(r"^- \{ref\}`(.*?) <([\w-]+)>`, (\d+) minutes( ⌨|)$", homework, flags=re.MULTILINE)
        assert len(items) == homework.count("\n- ") >= 3
        assert [(title, int(minutes), mark) for title, _, minutes, mark in items] == [
            known[label] for _, label, *_ in items
        ]
        total = re.search(r"In all (\d+) minutes", homework)
        assert int(total[1]) == sum(int(minutes) for *_, minutes, _ in items)


def test_no_exercise_is_given_twice():
    labels = re.findall(r"^- \{ref\}`.*? <([\w-]+)>`, ", PAGE, flags=re.MULTILINE)
    assert len(labels) == len(set(labels)) > 20


def test_every_plan_fills_its_time():
    """One hour, three hours and six sessions of ninety minutes, without a gap."""
    ends = []
    for table in re.findall(r"\| minutes \| what \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE):
        spans = [
            tuple(map(int, span)) for span in re.findall(r"^\| (\d+)–(\d+) \|", table, flags=re.MULTILINE)
        ]
        assert spans[0][0] == 0
        assert all(before[1] == after[0] < after[1] for before, after in pairwise(spans))
        ends.append(spans[-1][1])
    assert ends == [60, 180, *[90] * 6]


def test_works_are_cited_by_names_with_their_accents_and_particles(tmp_path):
    works = tmp_path / "works.bib"
    works.write_text(
        "@article{one, author={G{\\'o}mez, Ana}, title={A}, journal={J}, year={2009}}\n"
        "@article{two, author={van der Berg, Bo and Ode, Cy}, title={B}, journal={J}, year={2010}}\n"
        "@article{many, author={Ax, A and By, B and Cz, C}, title={C}, journal={J}, year={2011}}\n"
    )
    cited = {"one": "Gómez 2009", "two": "van der Berg and Ode 2010", "many": "Ax et al. 2011"}
    assert chapters.read_references(works) == cited


@pytest.mark.parametrize("number", range(1, 7))
def test_a_session_has_all_its_parts(number):
    session = SESSIONS[number - 1]
    for part in (
        "Prerequisites",
        "Read afterwards",
        "Slides",
        "Objectives",
        "Three misconceptions",
        "Homework",
    ):
        assert f"**{part}" in session, part
    assert (
        f"{{download}}`deck {number} <../teaching/session-{number}.md>`, made as `session-{number}.html`"
        in session
    )
    activity = session.partition("**Activity")[2].partition("**Three")[0]
    assert "explorer.html?" in activity
    assert "*Look for:*" in activity
    misconceptions = re.findall(
        r"^\d\. \*\".*?\"\* \*\*Ask:\*\* .*?\? \*\*Answer:\*\* ", session, flags=re.MULTILINE
    )
    assert len(misconceptions) == 3


def test_links_to_the_explorer_open_it_in_a_state_that_it_has():
    """Their keys are those of ``static/explorer/address.js``."""
    links = re.findall(r'href="explorer\.html\?([^"]+)"', PAGE)
    assert len(links) > 10
    script = (ROOT / "modlib/book/sphinx/static/explorer/address.js").read_text(encoding="utf-8")
    keys = set(re.findall(r'\["(\w+)", ', script))
    networks = {level.network_name(0).removesuffix(",seed=0") for level in payload.LEVELS}
    for link in links:
        state = {
            key: value
            for key, (value,) in parse_qs(unquote(link.replace("&amp;", "\0")), separator="\0").items()
        }
        assert set(state) <= keys
        assert state["net"] in networks
        assert {state[key] for key in ("a", "b") if key in state} <= set(MEASURES)


# --- slides


def test_there_are_six_decks_of_twelve_slides_whose_figures_the_chapters_have(book):
    assert [path.stem for path in DECKS] == [f"session-{number}" for number in range(1, 7)]
    for path in DECKS:
        text = path.read_text(encoding="utf-8")
        assert len(decks.slides(text, Writer(book), name=path.name)) == 12
        named = re.findall(r"!\[[^\]]+\]\(([\w-]+)/([\w-]+)\)", text)
        assert text.count("![") == len(named)
        for chapter, figure in named:
            assert figure in figures(ROOT / "notebooks" / f"{chapter}.ipynb")
    assert sum(path.read_text(encoding="utf-8").count("![") for path in DECKS) > 20


SLIDE = "# Title\n\n- One\n- Two\n\n![A pixel](regularisation/frontier)\n\n> Say this.\n"


def test_a_slide_has_a_title_points_a_picture_and_notes(book):
    (slide,) = decks.slides(SLIDE, Writer(book), name="deck")
    assert (slide.title, slide.kind) == ("Title", "wide")
    body = BeautifulSoup(slide.body, "html.parser")
    assert [item.get_text() for item in body.select("li")] == ["One", "Two"]
    assert body.img["alt"] == "What frontier shows."
    assert body.select_one(".caption").get_text() == "A pixel “Regularisation and modularity”"
    assert text_of(slide.notes) == "Say this."
    assert "Say this." not in slide.body
    (points,) = decks.slides(
        SLIDE.replace("![A pixel](regularisation/frontier)", "Text."), Writer(book), name="deck"
    )
    (picture,) = decks.slides(SLIDE.replace("- One\n- Two\n", ""), Writer(book), name="deck")
    assert (points.kind, picture.kind) == ("points", "picture")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# Title\n", "", "slide 1: it needs a heading"),
        ("> Say this.\n", "", "slide 1: it needs a heading and, as a quotation, what the speaker says"),
        ("- Two", "- Two\n- Three\n- Four\n- Five", "it has 5 points, and may have 4"),
        ("frontier)", "frontiers)", "no figure frontiers in regularisation"),
        ("regularisation/frontier)", "chance/frontier)", "no figure frontier in chance"),
        ("- One", "- {doc}`one`", "cannot hold the role"),
        ("- One", r"- $\nosuch$", "cannot write the equation"),
    ],
)
def test_faults_of_a_slide_are_told_with_its_number(book, old, new, fault):
    assert old in SLIDE
    with pytest.raises(BookError, match=re.escape(fault)):
        decks.slides(SLIDE.replace(old, new, 1), Writer(book), name="deck")


# --- the exam


def exam(asked=None, rubrics=None):
    asked = asked or (SOURCES / "exam.md").read_text(encoding="utf-8")
    return exams.questions(asked, rubrics or (SOURCES / "rubric.md").read_text(encoding="utf-8"))


def test_the_exam_is_worth_a_hundred_points_over_all_levels_and_each_question_says_how_to_vary_it():
    questions = exam()
    assert 12 <= len(questions) <= 16
    assert sum(question.points for question in questions) == 100
    assert {question.level for question in questions} == set(exams.LEVELS)
    assert all(question.rubric.count("*To vary:*") == 1 for question in questions)
    words = {12: "Twelve", 13: "Thirteen", 14: "Fourteen", 15: "Fifteen", 16: "Sixteen"}
    assert f"{words[len(questions)]} questions for two hours, a hundred points" in PAGE


ASKED = "## A sum\n\n*recall* · 3 points\n\nHow much is two and two?\n"
RUBRIC = "## A sum\n\n- 2 points: four.\n- 1 point: by counting.\n"


def test_a_question_has_a_level_points_and_a_rubric_that_gives_them():
    (question,) = exam(ASKED, RUBRIC)
    assert (question.level, question.points, question.text) == ("recall", 3, "How much is two and two?")
    assert "by counting" in question.rubric


@pytest.mark.parametrize(
    ("asked", "rubrics", "fault"),
    [
        (ASKED.replace("*recall*", "*guess*"), RUBRIC, "must begin with one of recall"),
        (ASKED.replace("3 points", "many points"), RUBRIC, "must begin with one of recall"),
        (ASKED.replace("3 points", "4 points"), RUBRIC, "is worth 4 points, and its rubric gives 3"),
        (ASKED, RUBRIC.replace("A sum", "A product"), "its rubric gives 0"),
        (ASKED, RUBRIC + "\n## Another\n\n- 1 point: five.\n", "no question is called 'Another'"),
    ],
)
def test_faults_of_the_exam_are_told(asked, rubrics, fault):
    with pytest.raises(BookError, match=re.escape(fault)):
        exam(asked, rubrics)


def test_rubrics_are_in_the_rubric_and_nowhere_else(pages):
    asked, marked = text_of(pages["exam.html"]), text_of(pages["rubric.html"])
    for question in exam():
        assert f"{question.points} points" in asked
        items = re.split(r"^- \d+ points?: ", question.rubric, flags=re.MULTILINE)[1:]
        for told in (sentences(item)[0] for item in items):
            assert told in marked
            assert told not in asked
            assert told not in PAGE
    assert "Rubric" not in asked


# --- handouts and keys


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_exercises_are_read_as_their_pages_have_them(path):
    groups = exercises.by_exercise(exercises.section(path))
    found = chapters.chapter(path).exercises
    assert [one.label for one in found] == [first.options["label"] for first, *_ in groups]
    for one, (first, *others) in zip(found, groups, strict=True):
        assert one.title == first.title
        assert first.body == f"{one.stars} · {one.minutes} minutes · *{one.tag}*\n\n{one.question}"
        assert [(name.lower(), text) for name, text in one.parts] == [
            (part.kind, part.body) for part in others
        ]


def sentences(markdown):
    """Return the stretches of a text that stand on a page as they are written, the longest first."""
    plain = re.sub(r"^```.*?^```", "\n", markdown, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"\{[\w:]+\}`[^`]*`|\$[^$]*\$|[`*]+|[\"']|\n\n", plain)
    return sorted((" ".join(part.split()) for part in parts), key=len, reverse=True)


def test_a_handout_holds_every_question_and_nothing_of_hints_answers_and_solutions(book, pages):
    """And the key holds all of it."""
    seen = 0
    for chapter in book.chapters.values():
        if not chapter.exercises:
            assert f"handouts/{chapter.name}.html" not in pages
            continue
        handout = text_of(pages[f"handouts/{chapter.name}.html"])
        key = text_of(pages[f"keys/{chapter.name}.html"])
        for one in chapter.exercises:
            question = sentences(one.question)[0]
            assert question in handout
            assert question in key
            for name, text in one.parts:
                telling = [part for part in sentences(text) if len(part) > 20][:3]
                assert [part for part in telling if part not in key] == [], (chapter.name, one.label)
                assert [part for part in telling if part in handout] == [], (chapter.name, one.label)
                assert name in key
                seen += len(telling)
            for code in re.findall(
                r"^```python\n(.*?)^```", one.parts[-1][1], flags=re.MULTILINE | re.DOTALL
            ):
                assert " ".join(code.split()) in key
                assert " ".join(code.split()) not in handout
        assert not re.search(r"\b(Hint|Answer|Solution)\b", handout)
    assert seen > 100


def test_a_sheet_shows_the_figures_and_equations_that_it_refers_to(pages):
    page = BeautifulSoup(pages["handouts/what-is-a-module.html"], "html.parser")
    (figure,) = page.select("figure")
    assert figure.img["alt"] == "What fig-triangles shows."
    assert figure.find_parent("section").h2.get_text() == "1. Q by hand"
    (equation,) = page.select(".equation")
    assert equation.find_parent("section").h2.get_text() == "4. Where the resolution limit sits"
    assert equation.span.get_text() == "Equation 1"
    assert "from Equation 1" in page.get_text()
    assert "∑" in equation.math.get_text()


def test_figures_have_the_same_numbers_in_handout_and_key(book, pages):
    for chapter in book.chapters.values():
        if chapter.exercises:
            names = [
                [
                    (f.img["alt"], f.b.get_text())
                    for f in BeautifulSoup(pages[name], "html.parser").select("figure")
                ]
                for name in (f"handouts/{chapter.name}.html", f"keys/{chapter.name}.html")
            ]
            assert set(names[0]) <= set(names[1])
            assert len({number for _, number in names[1]}) == len(names[1])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{num}`a.b[c].d:.2f`", "0.50"),
        ("{side}`a.b[c]`", "above zero"),
        ("{term}`units <unit>` and {term}`null`", "units and null"),
        ("{ref}`chapter-verdict`", "“The verdict”"),
        ("{ref}`the verdict <chapter-verdict>`", "the verdict"),
        ("{cite:p}`schuirmann1987comparison`", "(Schuirmann 1987)"),
        ("{cite:t}`lange2022clustering`", "Lange et al. 2022"),
        ('a < b, "so"', "a < b, “so”"),
    ],
)
def test_roles_are_written_out(book, text, written):
    assert text_of(Writer(book).html(text)) == written


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{eq}`eq-none`", "labelled eq-none"),
        ("{ref}`chapter-none`", "labelled chapter-none"),
        ("{numref}`fig-none`", "no figure fig-none in any chapter"),
        ("{cite:p}`nobody2000`", "no reference nobody2000"),
    ],
)
def test_what_refers_to_nothing_is_named(book, text, fault):
    writer = Writer(book)
    with pytest.raises(BookError, match=fault):
        writer.html(text), writer.due()


def test_a_number_that_no_page_cites_is_named(book):
    with pytest.raises(BookError, match=r"no number a\.b\.c: a page of the book must cite it"):
        Writer(Book(book.chapters, {}, {})).html("{num}`a.b.c`")


def test_a_caption_on_paper_does_not_ask_for_a_click():
    def caption(text):
        return Chart({"usermeta": {"caption": text}}, PNG, 1, 1).caption

    assert caption("Q. Choose the layer below; click a name.") == "Q."
    assert caption("Q by layer. Pointing at a cell gives z. Dashed: 5 %.") == "Q by layer. Dashed: 5 %."
    assert caption("The points are means.") == "The points are means."


# --- equations


def test_equations_are_mathml():
    def elements(formula):
        return [tag.name for tag in BeautifulSoup(mathml(formula), "html.parser").find_all(True)]

    assert elements(r"\frac12") == ["math", "mfrac", "mn", "mn"]
    accent = BeautifulSoup(mathml(r"\tilde S_{ij}"), "html.parser").msub
    assert accent.mover.get_text("", strip=True) == "S~"
    assert [tag.get_text("", strip=True) for tag in accent.find_all("mrow", recursive=False)][-1] == "ij"
    assert "mspace" in elements(r"\operatorname{diag} p")
    assert mathml("a", display=True).startswith(
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
    )


# --- pages that need nothing but themselves


def test_no_page_asks_for_anything_else(pages):
    assert len(pages) > 30
    for name, html in pages.items():
        page = BeautifulSoup(html, "html.parser")
        addresses = [
            tag[key]
            for tag in page.find_all(True)
            for key in ("src", "href", "srcset", "data")
            if tag.has_attr(key)
        ]
        assert all(address.startswith(("data:", "#")) for address in addresses), name
        assert not page.select("link, iframe, object, embed, base, script[src]"), name
        assert "@import" not in html, name
        assert "url(" not in html, name
        code = " ".join(script.get_text() for script in page.select("script"))
        assert not re.search(r"\b(fetch|XMLHttpRequest|import)\b", code), name


def test_the_template_of_slides_is_small():
    template = (ROOT / "modlib/book/teaching/deck.html.jinja").read_text(encoding="utf-8")
    assert len(template.splitlines()) <= 150


# --- made in a folder


def output(name):
    spec = {"description": "A chart.", "usermeta": {"caption": "Two points.", "name": name}}
    return {"data": {VEGALITE: spec, "image/png": PNG}, "metadata": {"image/png": {"width": 1, "height": 2}}}


SECTION = """
## Exercises

```{exercise} Two and two
:label: exercise-sum

★ · 5 minutes · *run*

How much is two and two, by {numref}`points`?
```

```{admonition} Hint
:class: dropdown hint

Count your fingers, all {num}`toy.all.fingers`.
```

````{solution} exercise-sum
:class: dropdown

Add them, or so:

```python
2 + 2
```
````
"""


@pytest.fixture
def small(tmp_path):
    """Return the folder of a book with one executed chapter."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/executed/toy\n")
    executed = tmp_path / "book" / "executed"
    executed.mkdir(parents=True)
    cells = [
        {"cell_type": "markdown", "source": ["(toy)=\n", "# A toy"]},
        {"cell_type": "code", "source": "draw()", "outputs": [output("points")]},
        {"cell_type": "markdown", "source": SECTION},
    ]
    (executed / "toy.ipynb").write_text(json.dumps({"cells": cells}))
    (executed / "numbers.json").write_text('{"profile": "quick", "toy.all.fingers": 10}')
    (tmp_path / "teaching").mkdir()
    slide = SLIDE.replace("regularisation/frontier", "toy/points")
    (tmp_path / "teaching" / "session-1.md").write_text(f"{slide}\n---\n\n{slide}")
    (tmp_path / "teaching" / "exam.md").write_text(ASKED)
    (tmp_path / "teaching" / "rubric.md").write_text(RUBRIC)
    return tmp_path


def test_the_kit_is_made_from_the_executed_book(small):
    written = make(small, pdfs=False)
    folder = small / "_build" / "teaching"
    names = [path.relative_to(folder).as_posix() for path in written]
    assert names == ["session-1.html", "handouts/toy.html", "keys/toy.html", "exam.html", "rubric.html"]
    handout = (folder / "handouts" / "toy.html").read_text()
    assert "by Figure 1?" in handout
    assert "Figure 1. Two points." in text_of(handout)
    assert base64.b64decode(BeautifulSoup(handout, "html.parser").img["src"].partition(",")[2])[1:4] == b"PNG"
    assert "Count your fingers, all 10." in text_of((folder / "keys" / "toy.html").read_text())
    assert (folder / "session-1.html").read_text().count('aria-roledescription="slide"') == 2


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("_toc.yml", r"no _toc\.yml in"),
        ("book/executed/toy.ipynb", "lacks toy: .* run  make book  first"),
        ("book/executed/numbers.json", r"lacks numbers\.json: run  make book  first"),
        ("teaching/rubric.md", r"there is no teaching/rubric\.md"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(small, gone, said):
    (small / gone).unlink()
    with pytest.raises(BookError, match=said):
        make(small, pdfs=False)
    assert not list((small / "_build").rglob("*.pdf"))


def test_the_command_says_what_was_made_and_that_there_is_no_chromium(small, monkeypatch):
    monkeypatch.chdir(small)
    monkeypatch.setattr(chromium, "find", lambda: None)
    result = CliRunner().invoke(cli.main, ["teach"])
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    assert first == "5 pages and 0 PDF files in _build/teaching"
    assert second.startswith(
        "No Chromium was found, so nothing was printed to PDF: install one or name it in CHROMIUM"
    )
    assert CliRunner().invoke(cli.main, ["teach", "--no-pdf"]).output.splitlines() == [first]
    (small / "book" / "executed" / "toy.ipynb").unlink()
    result = CliRunner().invoke(cli.main, ["teach"])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1


def test_a_browser_that_cannot_print_is_named(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<p>Text</p>")
    with pytest.raises(BookError, match=r"could not print page\.html"):
        chromium.to_pdf(page, str(tmp_path / "no-browser"))
    with pytest.raises(BookError, match=r"could not print page\.html"):
        chromium.to_pdf(page, sys.executable)


def test_a_chromium_that_is_named_comes_first(tmp_path, monkeypatch):
    named = tmp_path / "browser"
    named.touch(mode=0o755)
    monkeypatch.setenv("CHROMIUM", str(named))
    assert chromium.find() == str(named)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM")
    assert chromium.find() is None


# --- in a browser


@pytest.mark.browser
@pytest.mark.slow
def test_sheets_are_printed_to_pdf_where_there_is_a_chromium(small):
    if not (browser := chromium.find()):
        pytest.skip("no Chromium of the system")
    printed = [path for path in make(small) if path.suffix == ".pdf"]
    assert [path.stem for path in printed] == ["toy", "toy", "exam", "rubric"]
    for path in printed:
        assert path.read_bytes().startswith(b"%PDF-")
        assert path.stat().st_size > 5000
    assert subprocess.run([browser, "--version"], capture_output=True, check=False).returncode == 0


@pytest.mark.browser
@pytest.mark.slow
def test_a_printed_handout_shows_the_question_and_no_solution(pages, browser, tmp_path):
    for kind, held in (("handouts", False), ("keys", True)):
        page = browser.new_page()
        asked = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        (tmp_path / f"{kind}.html").write_text(pages[f"{kind}/what-is-a-module.html"], encoding="utf-8")
        page.goto((tmp_path / f"{kind}.html").as_uri())
        page.emulate_media(media="print")
        shown = " ".join(page.locator("body").inner_text().split())
        assert "Someone cuts the graph of Figure 1 into three pairs" in shown
        for text in (
            "Three edges lie inside, and both ends of each count",
            "Which three edges lie inside the pairs?",
        ):
            assert (text in shown) == held
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_deck_is_led_by_keys_and_clips_nothing(pages, browser, tmp_path):
    for number in range(1, 7):
        (tmp_path / f"{number}.html").write_text(pages[f"session-{number}.html"], encoding="utf-8")
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        faults = []
        page.on("pageerror", lambda error, faults=faults: faults.append(str(error)))
        page.goto((tmp_path / f"{number}.html").as_uri() + "#3")
        now = page.locator(".slide.current")
        assert now.get_attribute("aria-label") == "3 of 12"
        page.keyboard.press("Home")
        for at in range(1, 13):
            assert now.get_attribute("aria-label") == f"{at} of 12"
            assert page.evaluate(CLIPPED) == [], (number, at)
            page.keyboard.press("ArrowRight")
        assert now.get_attribute("aria-label") == "12 of 12"
        page.keyboard.press("ArrowLeft")
        assert page.url.endswith("#11")
        assert not now.locator(".notes").is_visible()
        page.keyboard.press("n")
        assert now.locator(".notes").is_visible()
        page.keyboard.press("o")
        assert page.locator(".face:visible").count() == 12
        assert faults == []
        page.close()


CLIPPED = """() => {
  const slide = document.querySelector(".slide.current");
  const face = slide.querySelector(".face").getBoundingClientRect();
  return [...slide.querySelectorAll(".face *")].filter((element) => {
    const box = element.getBoundingClientRect();
    const inside = box.top >= face.top && box.bottom <= face.bottom && box.left >= face.left;
    return box.width && !(inside && box.right <= face.right);
  }).map((element) => element.outerHTML.slice(0, 80));
}"""
