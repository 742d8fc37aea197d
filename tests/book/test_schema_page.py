"""The page of stored tables says of every column what the schema says of it."""

import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

from modlib.study.schema import TABLES


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the page of a project that holds nothing but the directive."""
    folder = tmp_path_factory.mktemp("schema")
    (folder / "conf.py").write_text('extensions = ["sphinx_thebe", "myst_nb", "modlib.book.sphinx"]\n')
    (folder / "index.md").write_text("# Tables\n\n## All\n\n```{schema}\n```\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    command += [str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return BeautifulSoup((folder / "html" / "index.html").read_text(encoding="utf-8"), "html.parser")


def test_every_table_has_a_section_and_every_column_a_row(page):
    sections = {section.h3.code.text: section for section in page.find_all("section") if section.h3}
    assert list(sections) == list(TABLES)
    for name, section in sections.items():
        rows = [[cell.text for cell in row.find_all("td")] for row in section.tbody.find_all("tr")]
        assert [row[0] for row in rows] == TABLES[name].names
        meanings = [column.meaning.replace("'", "’") for column in TABLES[name].columns]
        assert all(meaning in row[1] for meaning, row in zip(meanings, rows, strict=True))


@pytest.mark.parametrize(
    ("table", "column", "meaning", "limits"),
    [
        ("networks", "test_loss", "cross-entropy on the test images (nats)", "at least 0"),
        ("networks", "trained", "whether the network was trained", "true or false"),
        ("modules", "q", "modularity of the best partition found; nan without edges", "−0.5 to 1"),
        ("agreement", "ami", "adjusted mutual information, 0 as expected by chance", "at most 1"),
        ("agreement", "family_pair", "families of the two measures", "upstream, downstream, across"),
        ("nulls", "z", "(q − mean) / sd (standard deviations)", ""),
    ],
)
def test_units_and_ranges_are_written_for_readers(page, table, column, meaning, limits):
    section = next(s for s in page.find_all("section") if s.h3 and s.h3.code.text == table)
    row = next(r for r in section.tbody.find_all("tr") if r.td.text == column)
    assert [cell.text for cell in row.find_all("td")][1:] == [meaning, limits]
