"""The colours of marks: they stand out on every page, and the colour-blind tell them apart."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from sight import DICHROMATS, contrast, lab

from modlib.book import theme, vega
from modlib.measures import FAMILIES, MEASURES
from modlib.reporting import colours

LEAST = 3.0  # of graphics, WCAG 2.2, success criterion 1.4.11
BOOK = Path(vega.__file__).parent
PALETTES = {
    "measures": colours.COLOURS,
    "shades": {f"{family} {i}": c for family in FAMILIES for i, c in enumerate(colours.SHADES[family])},
    "families": colours.FAMILIES,
    "series": dict(enumerate(colours.SERIES)),
    "grey": {"grey": colours.GREY},
}


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # as its examples have it


@pytest.mark.parametrize("page", colours.PAGES)
@pytest.mark.parametrize("palette", PALETTES)
def test_marks_stand_out_on_every_page(palette, page):
    ratios = {name: contrast(colour, colours.PAGES[page]) for name, colour in PALETTES[palette].items()}
    assert {name: ratio for name, ratio in ratios.items() if ratio < LEAST} == {}


def test_the_pages_are_those_of_the_book_and_of_the_report():
    theme_package = pytest.importorskip("sphinx_book_theme")
    (sheet,) = Path(theme_package.__file__).parent.rglob("sphinx-book-theme.css")
    dark = re.search(r"data-theme=dark\][^}]*--pst-color-background:\s*(#[0-9a-f]+)", sheet.read_text())
    assert dark[1] == colours.PAGES["dark"]
    report = (Path(colours.__file__).parent / "page.html.jinja").read_text()
    assert f"--back: {colours.PAGES['dark report']};" in report


def test_the_explorer_has_the_colours_of_the_charts():
    sheet = (BOOK / "sphinx/static/explorer/explorer.css").read_text()
    marks = "line|upstream|downstream|negative|excites|inhibits|accent"
    found = re.findall(rf"--explorer-({marks}): ([^;]+);", sheet)
    assert len(found) == marks.count("|") + 1  # each once, for both themes
    named = dict(found)
    assert named["line"] == colours.GREY
    assert {name: named[name] for name in FAMILIES} == {name: colours.FAMILIES[name] for name in FAMILIES}
    assert set(named.values()) <= {colours.GREY, *colours.FAMILIES.values(), *colours.SERIES}


@pytest.mark.parametrize("lacking", [None, *DICHROMATS])
def test_measures_are_told_apart_by_everybody(lacking):
    """By hue, of which even dichromats see much between the families, or by lightness within one."""
    seen = {measure.name: lab(colours.COLOURS[measure.name], lacking) for measure in MEASURES.values()}
    for a, b in combinations(MEASURES.values(), 2):
        distance = np.linalg.norm(seen[a.name] - seen[b.name])
        assert distance > (15 if a.family == b.family else 60), (a.name, b.name)
        if a.family == b.family:
            assert abs(seen[a.name][0] - seen[b.name][0]) > 12, (a.name, b.name)


@pytest.mark.parametrize("lacking", [None, *DICHROMATS])
def test_families_are_told_apart_by_everybody(lacking):
    seen = [lab(colour, lacking) for colour in colours.FAMILIES.values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 20


def test_white_text_is_legible_on_series():
    assert {colour for colour in colours.SERIES if contrast(colour, "#ffffff") < 4.5} == set()


#: Of lines and numbers in the cells of a matrix, which bring their own ground.
ON_CELLS = {"#ffffff", "#1b2029"}


def test_charts_write_no_colour_of_their_own():
    files = [*BOOK.rglob("*.py")]
    found = {
        (file.name, colour)
        for file in files
        for colour in re.findall(r"#[0-9a-fA-F]{6}\b", file.read_text(encoding="utf-8"))
    }
    assert len(files) > 40
    assert {(name, colour) for name, colour in found if colour not in ON_CELLS} == set()


def test_points_are_not_faint_unless_a_chart_says_so():
    theme.setup()
    import altair as alt

    config = alt.theme.get()()["config"]
    assert {config[mark]["opacity"] for mark in ("point", "circle", "square", "tick")} == {1}
