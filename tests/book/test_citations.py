"""Citations in the text of a page, built by Sphinx."""

import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

CONF = """
extensions = ["sphinxcontrib.bibtex", "modlib.book.sphinx.citations"]
html_theme = "basic"
bibtex_bibfiles = ["works.bib"]
bibtex_reference_style = "author_year_letter"
"""
PAGE = """
Works
=====

Two of a year :cite:p:`second,first`; one in the sentence, by :cite:t:`first`; alone :cite:p:`other`.

.. bibliography::
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("works")
    works = {"first": ("Ode, Ann", 2006), "second": ("Ode, Ann", 2006), "other": ("Ode, Ann", 2016)}
    entries = [
        f"@article{{{key}, author={{{author}}}, title={{The {key}}}, journal={{J}}, year={{{year}}}}}"
        for key, (author, year) in works.items()
    ]
    (folder / "works.bib").write_text("\n".join(entries))
    (folder / "conf.py").write_text(CONF)
    (folder / "index.rst").write_text(PAGE)
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(folder), str(folder / "html")]
    subprocess.run(command, check=True)
    return BeautifulSoup((folder / "html" / "index.html").read_text(), "html.parser")


def test_two_works_of_one_year_are_told_apart_by_their_letters_in_the_bibliography(page):
    entries = {entry.select_one(".label").get_text(): entry for entry in page.select(".citation")}
    assert list(entries) == ["[Ode06a]", "[Ode06b]", "[Ode16]"]
    assert "The first." in entries["[Ode06a]"].get_text()
    said = page.select_one("section > p").get_text()
    assert said.startswith("Two of a year [Ode, 2006a, Ode, 2006b];")
    assert "by Ode [2006a]; alone [Ode, 2016]." in said
    where = {link.get_text(): link["href"] for link in page.select("section > p a")}
    assert where["2006a"] == f"#{entries['[Ode06a]']['id']}"


def test_entries_have_no_roles_of_a_list(page):
    assert page.select(".citation")
    assert not page.select('[role="list"], [role="doc-biblioentry"]')
