"""The Sphinx extension: small real projects, built strictly, and what stands in their pages."""

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils.core import publish_doctree

from modlib.book.sphinx import foot
from modlib.book.sphinx.api import public_modules
from modlib.book.sphinx.explorer import SCRIPTS
from modlib.book.sphinx.reading import minutes
from modlib.book.vega import DARK, LIGHT, render

CONF = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import toy.tables

project = "small"
html_title = "A small book"
extensions = ["sphinx_thebe", "myst_nb", "sphinx.ext.autodoc", "modlib.book.sphinx"]
html_theme = "basic"
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"
numfig = True
modlib_numbers = "numbers.json"
modlib_timings = "timings.json"
modlib_explorer = "explorer"
exclude_patterns = ["_build", "toy"]
thebe_config = {}
nitpick_ignore_regex = [("py:.*", "numpy.*")]
"""
ARRAYS = """
from numpy.typing import ArrayLike

def joined(a: ArrayLike, b: ArrayLike | None = None) -> float:
    \"\"\"Join two arrays.\"\"\"
"""
TABLES = """
from modlib.book.numbers import offered

@offered("experiment", "graph")
def effects(profile):
    \"\"\"What a wider layer changes.\"\"\"

@offered()
def whole(profile):
    \"\"\"How much there is in all.\"\"\"
"""
NUMBERS = {
    "toy.effects[wide, raw].value": -0.25,
    "toy.effects[wide, raw].low": -0.3,
    "toy.effects[wide, raw].high": -0.2,
    "toy.effects[deep & narrow, raw].value": 0.123456789,
    "toy.effects[deep & narrow, raw].low": -0.1,
    "toy.effects[deep & narrow, raw].high": 0.2,
    "toy.effects[deep & narrow, raw].nearest": "neither",
    "toy.whole.networks": 270,
    "toy.whole.q": 0.4967,
    "toy.whole.share": 0.981,
    "toy.whole.measure": "input_grad",
    "toy.whole.loss": -1.5,
}
WORDS = """# Words

```{glossary}
module
  A group of *hidden* units
  that function "alike".

  See [](plain.md)

null
  What {term}`modules <module>` are held against.
```
"""
# 2 + 5 + 12 + 400 + 4 + 2 words to read, and a table and an equation to look at.
LONG = f"""(chapter-long)=
# Long chapter

**The question.** What is it?

**The answer in short.** It is `<b>` & 'c'. It has {{num}}`toy.whole.networks` networks.

{"word " * 400}

```python
{"code " * 1000}
```

- four words
- in items

| a | b |
|---|---|
| 1 | 2 |

$$
x^2
$$

## The end

## Exercises

{"word " * 1000}
"""
EXPLORER = {
    "networks": [{"name": "</script>", "regularizer": "none", "strength": "none", "seeds": [0], "layers": 1}],
    "measures": [],
    "wanted": 24,
}
SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.4.0.json",
    "description": "Points that say </script> and <b>",
    "usermeta": {"caption": "Three points, Q = {num}`toy.whole.q:.2f`.", "name": "fig-points"},
    "data": {"values": [{"x": 1, "y": 2}, {"x": 2, "y": 1}, {"x": 3, "y": 5}]},
    "params": [{"name": "layer", "value": 1, "bind": {"input": "select", "options": [1, 2]}}],
    "mark": "point",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}},
    "width": 200,
    "height": 100,
}


def chart_notebook(spec):
    """Return a notebook that shows `spec`, as if it had been run."""
    data, metadata = render(spec)
    output = nbformat.v4.new_output("execute_result", data=data, metadata=metadata)
    cells = [
        nbformat.v4.new_markdown_cell("# A chart\n\nSee {numref}`fig-points`."),
        nbformat.v4.new_code_cell("chart", outputs=[output]),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.validate(notebook)
    return notebook


def write_project(folder, spec=SPEC):
    folder.mkdir(parents=True)
    (folder / "conf.py").write_text(CONF)
    (folder / "toy").mkdir()
    (folder / "toy" / "tables.py").write_text(TABLES)
    (folder / "toy" / "arrays.py").write_text(ARRAYS)
    (folder / "numbers.json").write_text(json.dumps(NUMBERS))
    (folder / "timings.json").write_text(json.dumps({"chart": 12.4, "index": 3.0, "plain": 0.6}))
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters: [{file: plain}, {file: chart}]\n"
    )
    (folder / "index.md").write_text(
        "# Start\n\nQ is {num}`toy.whole.q:.2f`, {num}`toy.whole.share:.1%` of {num}`toy.whole.networks:d`; "
        "loss {num}`toy.whole.loss`, {word}`toy.whole.measure`.\n\n"
        "```{toctree}\nplain\nchart\nsub/cells\nsub/play\nsources\ninterface\nwords\nlong\n```\n"
    )
    (folder / "sub").mkdir()
    (folder / "sub" / "cells.md").write_text(
        "# Cells\n\n"
        "It rises by {num}`toy.effects[wide, raw].value:.2f` ({side}`toy.effects[wide, raw]`), and by "
        "{num}`toy.effects[deep & narrow, raw].value:+.1%` ({side}`toy.effects[deep & narrow, raw]`, "
        "nearest to {word}`toy.effects[deep & narrow, raw].nearest`), of {num}`toy.whole.networks`.\n\n"
        "More {term}`modules <module>` than by {term}`null`.\n"
    )
    (folder / "words.md").write_text(WORDS)
    (folder / "long.md").write_text(LONG)
    (folder / "explorer").mkdir()
    (folder / "explorer" / "index.json").write_text(json.dumps(EXPLORER))
    (folder / "explorer" / "seed-0.js").write_text("modlibExplorer.receive(0, {});\n")
    (folder / "sub" / "play.md").write_text("# Play\n\n## Explore\n\n```{explorer}\n```\n")
    (folder / "interface.md").write_text("# Interface\n\n```{modules} toy\n```\n")
    (folder / "sources.md").write_text("# Sources\n\n```{sources}\n```\n")
    (folder / "plain.md").write_text("# Plain\n\nSome $x^2$ here.\n\n```{runtimes}\n```\n")
    nbformat.write(chart_notebook(spec), folder / "chart.ipynb")
    return folder


def sphinx(folder, expect=0):
    """Build a project with warnings as errors; return the folder of pages and the log."""
    pages = folder / "_build" / "html"
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-b", "html", "-d"]
    command += [str(folder / "_build" / "doctrees"), str(folder), str(pages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    assert (done.returncode != 0) == bool(expect), log
    return pages, log


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("site") / "project")
    sphinx(folder)
    return folder


@pytest.fixture
def copy(project, tmp_path):
    """Return a copy of the built project: a page that did not change is not built again."""
    return Path(shutil.copytree(project, tmp_path / "project"))


def page(folder, name):
    return (folder / "_build" / "html" / f"{name}.html").read_text()


# --- numbers


def numbers_of(folder, name):
    """Return the numbers of a page as they are shown."""
    return [link.get_text() for link in BeautifulSoup(page(folder, name), "html.parser").select("a.num")]


def test_numbers_stand_in_the_page_as_their_formats_say(project):
    assert numbers_of(project, "index") == ["0.50", "98.1%", "270", "−1.5", "input_grad"]


SHOWN = {  # by what follows the dot of its row on the page of sources
    "toy-effects-wide-raw": ["−0.25", "below zero"],
    "toy-effects-deep___narrow-raw": ["+12.3%", "not clearly different from zero", "neither"],
    "toy-whole": ["270"],
}


def test_every_number_of_a_cell_links_to_its_row_and_names_the_function_that_made_it(project):
    cells, sources = (BeautifulSoup(page(project, name), "html.parser") for name in ("sub/cells", "sources"))
    links = cells.select("a.num")
    assert [link.get_text() for link in links] == [
        "−0.25", "below zero", "+12.3%", "not clearly different from zero", "neither", "270"
    ]  # fmt: skip
    for anchor, texts in SHOWN.items():
        found = [link.get_text() for link in links if link["href"] == f"../sources.html#{anchor}"]
        assert found == texts
        assert sources.find("tr", id=anchor)
    said = [link["data-source"] for link in links]
    assert said[0] == "toy.tables.effects(), row wide, raw, column value"
    assert said[1] == "toy.tables.effects(), row wide, raw, columns low and high"
    assert said[5] == "toy.tables.whole(), column networks"
    # Words may break in two lines, numbers may not.
    assert [link.get_text() for link in cells.select("a.num:not(.num-words)")] == ["−0.25", "+12.3%", "270"]


def test_the_page_of_sources_shows_every_cited_cell_under_the_function_that_made_it(project):
    sources = BeautifulSoup(page(project, "sources"), "html.parser")
    headings = [heading.get_text().rstrip("#¶") for heading in sources.select(".body :is(h2, h3)")]
    assert headings == ["toy", "toy.effects", "toy.whole"]
    text = " ".join(sources.get_text().split())
    assert "What a wider layer changes. Made by toy.tables.effects." in text
    effects, whole = sources.select("table")
    assert [th.get_text() for th in effects.select("thead th")] == ["experiment", "graph", "high", "low",
                                                                    "nearest", "value"]  # fmt: skip
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in effects.select("tbody tr")]
    assert rows == [
        ["deep & narrow", "raw", "0.2", "−0.1", "neither", "0.123457"],
        ["wide", "raw", "−0.2", "−0.3", "", "−0.25"],  # nobody cites what it is nearest to
    ]
    labels = [cell.get_text() for cell in effects.select('tbody th[scope="row"]')]
    assert labels == ["deep & narrow", "raw", "wide", "raw"]
    assert [th.get_text() for th in whole.select("thead th")] == ["loss", "measure", "networks", "q", "share"]
    assert [td.get_text() for td in whole.select("td")] == ["−1.5", "input_grad", "270", "0.4967", "0.981"]


def test_what_a_table_says_of_itself_reaches_the_page_of_sources_when_it_changes(copy):
    sphinx(copy)
    (copy / "toy" / "tables.py").write_text(TABLES.replace("How much there is in all.", "How many."))
    sphinx(copy)
    assert "How many. Made by" in page(copy, "sources")


def test_a_citation_that_names_no_number_fails_the_build_and_says_why(copy):
    mistakes = {
        "{num}`toy.effects[wide, raw].median`": "unknown number 'toy.effects[wide, raw].median'",
        "{num}`toy.effects[high, raw].value`": "unknown number 'toy.effects[high, raw].value'",
        "{num}`toy.effects[wide, raw].value:d`": "number 'toy.effects[wide, raw].value' with format 'd'",
        "{num}`toy.effects[wide.value`": "is no cell: write chapter.table",
        "{side}`toy.whole`": "unknown number 'toy.whole.low'",
        "{num}`toy.effects[deep & narrow, raw].nearest`": "is the word 'neither': cite it with {word}",
        "{word}`toy.whole.networks`": "is the number 270: cite it with {num}",
    }
    text = (copy / "sub" / "cells.md").read_text()
    (copy / "sub" / "cells.md").write_text(text + "".join(f"\nAnd {role}.\n" for role in mistakes))
    _, log = sphinx(copy, expect=1)
    for complaint in mistakes.values():
        assert re.search(rf"cells\.md:\d+: WARNING: .*{re.escape(complaint)}", log), (complaint, log)


def test_a_number_of_a_table_that_is_not_offered_fails_the_page_of_sources(copy):
    (copy / "numbers.json").write_text(json.dumps({**NUMBERS, "toy.sizes.value": 1.0}))
    _, log = sphinx(copy, expect=1)
    assert re.search(r"sources\.md:\d+: ERROR: toy\.sizes\.value: toy offers effects, whole", log), log


def test_every_mistake_fails_the_build_and_is_named_with_its_place(copy):
    bare = {key: value for key, value in SPEC.items() if key != "description"}
    nbformat.write(chart_notebook(bare), copy / "chart.ipynb")
    (copy / "timings.json").unlink()
    _, log = sphinx(copy, expect=1)
    for complaint in (
        r"chart\.ipynb:\d+: WARNING: chart without a description",
        r"plain\.md:\d+: ERROR: no file timings\.json",
    ):
        assert re.search(complaint, log), (complaint, log)


def test_nothing_is_read_again_where_nothing_changed(copy):
    sphinx(copy)  # the copy's files have new times
    _, log = sphinx(copy)
    assert "0 added, 0 changed, 0 removed" in log


def test_a_missing_numbers_file_fails_the_build(copy):
    (copy / "numbers.json").unlink()
    _, log = sphinx(copy, expect=1)
    assert "no numbers file numbers.json" in log


def test_a_changed_number_reaches_every_page_that_shows_it_and_no_other(copy):
    sphinx(copy)  # the copy's files have new times
    before = (copy / "_build" / "html" / "plain.html").stat().st_mtime_ns
    (copy / "numbers.json").write_text(json.dumps({**NUMBERS, "toy.whole.q": 0.1234}))
    sphinx(copy)
    assert numbers_of(copy, "index")[0] == "0.12"
    assert numbers_of(copy, "chart") == ["0.12"]  # in the caption
    assert (copy / "_build" / "html" / "plain.html").stat().st_mtime_ns == before


# --- terms


def terms_of(folder, name):
    """Return text, address and definition of the terms of a page."""
    links = BeautifulSoup(page(folder, name), "html.parser").select("a.term")
    return [(link.get_text(), link["href"], link["data-definition"]) for link in links]


def test_a_term_links_to_its_entry_and_carries_the_first_paragraph_of_it(project):
    module = "A group of hidden units that function “alike”."
    assert terms_of(project, "sub/cells") == [
        ("modules", "../words.html#term-module", module),
        ("null", "../words.html#term-null", "What modules are held against."),
    ]
    assert terms_of(project, "words") == [("modules", "#term-module", module)]
    assert BeautifulSoup(page(project, "words"), "html.parser").find("dt", id="term-module")


def test_a_changed_definition_reaches_the_pages_that_use_its_term(copy):
    sphinx(copy)  # the copy's files have new times
    (copy / "words.md").write_text(WORDS.replace("hidden* units", "hidden* cells"))
    sphinx(copy)
    assert terms_of(copy, "sub/cells")[0][2] == "A group of hidden cells that function “alike”."
    before = (copy / "_build" / "html" / "plain.html").stat().st_mtime_ns
    (copy / "words.md").write_text((copy / "words.md").read_text() + "\nThat is all.\n")
    sphinx(copy)
    assert (copy / "_build" / "html" / "plain.html").stat().st_mtime_ns == before


def test_a_term_without_an_entry_fails_the_build(copy):
    (copy / "plain.md").write_text("# Plain\n\nSome {term}`moduls`.\n")
    _, log = sphinx(copy, expect=1)
    assert re.search(r"plain\.md:\d+: WARNING: term not in glossary: 'moduls'", log), log


# --- the time to read


def test_a_chapter_tells_how_long_it_takes_to_read_and_other_pages_do_not(project):
    told = BeautifulSoup(page(project, "long"), "html.parser").select("h1 + p.modlib-reading")
    assert [line.get_text() for line in told] == ["About 6 minutes to read, the exercises aside."]
    assert "modlib-reading" not in page(project, "plain")


@pytest.mark.parametrize(("words", "expected"), [(1, 1), (120, 1), (700, 6), (1200, 10), (1600, 15)])
def test_long_times_are_rounded_to_five_minutes(words, expected):
    doctree = publish_doctree("word " * words)
    assert minutes(doctree) == expected


# --- head and foot


def head_of(folder, name):
    """Return the description, the properties and the canonical address of a page."""
    html = BeautifulSoup(page(folder, name), "html.parser")
    found = {meta["property"]: meta["content"] for meta in html.select("meta[property]")}
    found |= {meta["name"]: meta["content"] for meta in html.select('meta[name="description"]')}
    return found | {link["rel"][0]: link["href"] for link in html.select('link[rel="canonical"]')}


def test_a_page_is_described_by_its_answer_and_has_no_address_before_one_is_named(project):
    assert head_of(project, "long") == {
        "description": "It is <b> & ‘c’. It has 270 networks.",
        "og:type": "article",
        "og:site_name": "A small book",
        "og:title": "Long chapter",
        "og:description": "It is <b> & ‘c’. It has 270 networks.",
    }
    assert head_of(project, "index")["og:type"] == "website"
    assert head_of(project, "index")["description"].startswith("Q is 0.50, 98.1% of 270;")
    assert not (project / "_build" / "html" / "sitemap.xml").exists()
    assert "<base" not in page(project, "404")


def test_with_an_address_there_are_canonical_ones_pictures_and_a_site_map(copy):
    more = 'html_baseurl = "https://example.org/modules"\nmodlib_picture = "drawing.svg"\n'
    (copy / "conf.py").write_text(CONF + more)
    (copy / "drawing.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    )
    pages, _ = sphinx(copy)
    chart, cells = head_of(copy, "chart"), head_of(copy, "sub/cells")
    home = "https://example.org/modules/"
    assert chart["canonical"] == chart["og:url"] == f"{home}chart.html"
    assert cells["canonical"] == f"{home}sub/cells.html"
    picture = chart["og:image"].removeprefix(home)
    assert picture.startswith("_images/")
    assert (pages / picture).read_bytes()[:4] == b"\x89PNG"
    assert (pages / cells["og:image"].removeprefix(home)).read_bytes()[:4] == b"\x89PNG"
    listed = re.findall("<loc>(.*?)</loc>", (pages / "sitemap.xml").read_text())
    assert {f"{home}index.html", f"{home}chart.html", f"{home}sub/cells.html"} <= set(listed)
    assert not [address for address in listed if not (pages / address.removeprefix(home)).is_file()]
    assert f'<base href="{home}" />' in page(copy, "404")


def test_a_first_page_that_lies_deeper_is_reached_from_the_top_by_a_page_with_a_title(tmp_path):
    conf = 'html_title = "A small book"\nroot_doc = "deep/start"\nextensions = ["modlib.book.sphinx.head"]\n'
    (tmp_path / "conf.py").write_text(conf)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "start.rst").write_text("Start\n=====\n")
    pages, _ = sphinx(tmp_path)
    top = BeautifulSoup((pages / "index.html").read_text(), "html.parser")
    assert top.title.get_text() == "A small book"
    assert top.html["lang"] == "en"
    assert top.select_one("meta[http-equiv=refresh]")["content"] == "0; url=deep/start.html"


MADE = {"commit": "0123456789abcdef", "date": "2026-11-30", "tables": "fedcba9876543210"}


def test_the_foot_names_the_edition_and_says_how_to_cite_the_page():
    made = foot.foot(
        MADE,
        page="Do <they> agree?",
        book="Modules",
        author="the authors",
        address="https://example.org/a.html",
    )
    html = BeautifulSoup(made, "html.parser")
    edition, text = (" ".join(part.get_text().split()) for part in html.select("p"))
    assert edition == "commit 0123456789ab · 2026-11-30 · tables fedcba987654"
    assert text == (
        "The authors (2026). “Do <they> agree?”, in Modules. Commit 0123456789ab. https://example.org/a.html."
    )
    assert html.pre.get_text().splitlines() == [
        "@incollection{modlib,",
        "  author = {{the authors}},",
        "  title = {Do <they> agree?},",
        "  booktitle = {Modules},",
        "  year = {2026},",
        "  url = {https://example.org/a.html},",
        "  note = {Commit 0123456789ab},",
        "}",
    ]
    assert not html.select("a")


def test_the_foot_says_less_where_less_is_known_and_links_to_a_repository_that_is_named():
    nothing = {"commit": "", "date": "", "tables": ""}
    made = foot.foot(nothing, page="M", book="M", author="us", repository="https://example.org/m/")
    html = BeautifulSoup(made, "html.parser")
    assert [part.get_text() for part in html.select("p")] == ["Us. M.", "Tell of a mistake"]
    assert html.a["href"] == "https://example.org/m/issues/new"
    assert html.pre.get_text().startswith("@misc{modlib,\n  author = {{us}},\n  title = {M},\n}")


def test_an_edition_is_the_same_for_the_same_commit_and_another_for_other_tables(tmp_path, monkeypatch):
    monkeypatch.delenv("MODLIB_COMMIT", raising=False)

    def git(*words):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *names, *words], cwd=first, check=True, capture_output=True)

    first = tmp_path / "first"
    for experiment in ("base-paper", "base-quick"):
        (first / "results" / experiment).mkdir(parents=True)
        (first / "results" / experiment / "manifest.json").write_text("{}")
    git("init", "-q")
    git("add", "results/base-paper")
    git("commit", "-q", "-m", "tables", "--date", "2026-01-02T00:00:00")
    made = foot.edition(first)
    assert re.fullmatch("[0-9a-f]{40}", made["commit"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made["date"])
    (first / "results" / "base-quick" / "manifest.json").write_text("[]")
    second = shutil.copytree(first, tmp_path / "second")
    assert foot.edition(second) == foot.edition(first) == made
    (first / "results" / "base-paper" / "manifest.json").write_text("[]")
    changed = foot.edition(first)
    assert changed["tables"] != made["tables"]
    assert changed["commit"] == f"{made['commit']} with changes"
    assert foot.edition(tmp_path) == {"commit": "", "date": "", "tables": ""}


# --- the search


@pytest.fixture
def searchable(tmp_path):
    """Return a function that builds a project of one page with given keywords."""

    def build(keywords, expect=0):
        conf = f'extensions = ["modlib.book.sphinx.search"]\nmodlib_keywords = {keywords!r}\n'
        (tmp_path / "conf.py").write_text(conf)
        (tmp_path / "index.rst").write_text('Start\n=====\n\nSome "words"\nof </script>.\n\n::\n\n   code\n')
        return sphinx(tmp_path, expect)

    return build


def test_the_search_knows_what_pages_are_about_and_has_their_text_in_scripts(searchable):
    pages, _ = searchable({"index": ["a </script>"]})
    found = (pages / "search.html").read_text()
    assert 'window.modlibKeywords = {"index": ["a \\u003c/script>"]};' in found
    assert "modlib/search.js" in found
    script = (pages / "_static" / "modlib" / "excerpts" / "index.js").read_text()
    assert script == 'modlibExcerpts("index", "Some “words” of </script>.");\n'
    assert "modlibKeywords" not in (pages / "index.html").read_text()


@pytest.mark.parametrize(
    ("keywords", "complaint"),
    [
        ({"nowhere": ["a"]}, "modlib_keywords names pages that there are not: nowhere"),
        ({"index": ["a", None]}, "modlib_keywords of index must be texts, not None"),
    ],
)
def test_keywords_that_can_mean_nothing_fail_the_build(searchable, keywords, complaint):
    _, log = searchable(keywords, expect=1)
    assert complaint in log


# --- charts


def test_the_page_holds_the_specification_once_and_it_reads_back(project):
    html = page(project, "chart")
    scripts = re.findall(r'<script type="application/json">(.*?)</script>', html, flags=re.DOTALL)
    assert [json.loads(script) for script in scripts] == [SPEC]
    assert html.count('class="modlib-chart"') == 1


def test_the_image_stays_for_readers_without_javascript(project):
    html = page(project, "chart")
    images = [tag for tag in re.findall(r"<img [^>]*>", html) if "_images/" in tag]
    assert len(images) == 1
    alt = re.search(r'alt="([^"]*)"', images[0])
    assert unescape(alt[1]) == SPEC["description"]
    source = re.search(r'src="([^"]*)"', images[0])[1]
    assert (project / "_build" / "html" / source).is_file()
    height = render(SPEC)[1]["image/png"]["height"]
    assert f"--chart-height:{height}px;--chart-controls:1" in html  # room for the image and one drop-down


def test_a_captioned_chart_is_a_numbered_figure_that_can_be_cited(project):
    html = page(project, "chart")
    assert 'id="fig-points"' in html
    assert re.search(r'<span class="caption-number">Fig\. 1 ?</span>', html)
    assert re.search(r'href="#fig-points"><span class="std std-numref">Fig\. 1</span>', html)
    assert numbers_of(project, "chart") == ["0.50"]


# --- the explorer


def test_the_explorer_is_in_the_page_with_its_networks_beside_its_scripts(project):
    html = BeautifulSoup(page(project, "sub/play"), "html.parser")
    index = html.select_one("#modlib-explorer script")
    assert json.loads(index.get_text()) == EXPLORER
    assert "1 of 24 networks" in html.select_one("#modlib-explorer").get_text()
    scripts = [script["src"].split("?")[0] for script in html.select("script[src*=explorer]")]
    assert scripts == [f"../_static/modlib/explorer/{name}.js" for name in SCRIPTS]
    folder = project / "_build" / "html" / "_static" / "modlib" / "explorer"
    assert {path.name for path in folder.iterdir()} == {
        "explorer.css", "seed-0.js", *(f"{name}.js" for name in SCRIPTS),
    }  # fmt: skip
    assert html.select('link[href*="explorer.css"]')
    assert not re.search(r"explorer/\w+\.(js|css)", page(project, "plain"))


def test_an_explorer_without_files_fails_the_build(copy):
    (copy / "explorer" / "index.json").unlink()
    _, log = sphinx(copy, expect=1)
    assert re.search(r"play\.md:\d+: ERROR: no file explorer/index\.json", log), log


# --- what pages load


class Assets(HTMLParser):
    """Collect everything that a browser fetches with a page."""

    def __init__(self, html):
        super().__init__()
        self.urls, self.inline = [], []
        self._script = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):  # noqa: D102
        values = dict(attrs)
        self._script = tag == "script" and "src" not in values
        if tag in ("script", "img", "iframe", "source", "video") and values.get("src"):
            self.urls.append(values["src"])
        if tag == "link" and values.get("rel") not in ("next", "prev", "search", "index", "canonical"):
            self.urls.append(values["href"])

    def handle_data(self, data):  # noqa: D102
        if self._script:
            self.inline.append(data)


def test_no_page_fetches_anything_from_another_site(project):
    pages = list((project / "_build" / "html").glob("*.html"))
    assert {"index.html", "plain.html", "chart.html"} <= {path.name for path in pages}
    for path in pages:
        assets = Assets(path.read_text())
        assert assets.urls
        for url in assets.urls:
            assert not re.match(r"(https?:)?//", url), (path.name, url)
            assert (path.parent / url.split("?")[0]).is_file(), (path.name, url)


def test_the_chart_library_is_loaded_only_where_there_is_a_chart(project):
    for name, wanted in (("index", False), ("plain", False), ("chart", True)):
        urls = [url.split("?")[0] for url in Assets(page(project, name)).urls]
        assert ("_static/modlib/vega.js" in urls) is wanted, name
        assert ("_static/modlib/narrow.js" in urls) is wanted, name
        assert ("_static/modlib/charts.js" in urls) is wanted, name


def test_mathematics_is_typeset_by_a_file_of_the_book_and_only_where_there_is_some(project):
    for name, wanted in (("plain", True), ("chart", False)):
        urls = [url.split("?")[0] for url in Assets(page(project, name)).urls]
        assert ("_static/modlib/mathjax.js" in urls) is wanted, name


def test_thebe_is_silent(project):
    for name in ("index", "chart"):
        assert not [script for script in Assets(page(project, name)).inline if "thebe" in script.lower()]


def test_the_chart_library_leaks_no_short_names(project):
    """Two scripts that declare the same top-level const would be an error in the browser."""
    script = (project / "_build" / "html" / "_static" / "modlib" / "vega.js").read_text()
    _, themes, opening = script.split("\n", 3)[:3]
    assert json.loads(themes.removeprefix("window.modlibThemes=").rstrip(";")) == {
        "light": LIGHT,
        "dark": DARK,
    }
    assert opening == "(function(){"
    assert script.rstrip().endswith("})();")


# --- the reference, and the run times


def test_modules_are_listed_in_the_given_order_then_the_others(tmp_path, monkeypatch):
    package = tmp_path / "small_package"
    package.mkdir()
    for name in ("__init__", "b", "a", "c", "hidden", "_private"):
        (package / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    names = public_modules("small_package", first=["c", "not_there", "b"], without=["hidden"])
    assert names == ["c", "b", "a"]


def test_what_numpy_takes_for_an_array_has_its_name_in_signatures(project):
    signature = BeautifulSoup(page(project, "interface"), "html.parser").find(id="toy.arrays.joined")
    said = signature.get_text().strip().removesuffix("¶")
    assert said == "toy.arrays.joined(a: ArrayLike, b: ArrayLike | None = None) → float"


def test_run_times_link_to_their_chapters_in_the_order_of_the_book(project):
    rows = re.findall(r"<tr.*?</tr>", page(project, "plain"), flags=re.DOTALL)[1:]
    told = [re.sub(r"<[^>]*>", "", row).split() for row in rows]
    assert told == [["Start", "3", "s"], ["Plain", "1", "s"], ["A", "chart", "12", "s"]]
    assert 'href="chart.html"' in rows[2]
