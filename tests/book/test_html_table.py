"""Tables of sentences, whose cells say which column they are of, and tables of numbers."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from modlib.book.html_table import frame, show_frames, text_lists, text_table

TABLE = pd.DataFrame({"what": ["a <b> & c", "d"], "why": ["it is so", "or not"], 'how "much"': [1, 2]})


class Cells(HTMLParser):
    """The classes of a table, its heads and its cells, each with its attributes."""

    def __init__(self):
        super().__init__()
        self.classes, self.heads, self.cells, self.into = [], [], [], None

    def handle_starttag(self, tag, attrs):  # noqa: D102
        attrs = dict(attrs)
        if tag == "table":
            self.classes = attrs["class"].split()
        if tag in ("th", "td"):
            self.into = self.heads if tag == "th" else self.cells
            self.into.append((attrs, []))

    def handle_data(self, data):  # noqa: D102
        if self.into and data.strip():
            self.into[-1][1].append(data)


def cells_of(widths):
    found = Cells()
    found.feed(text_table(TABLE, widths).data)
    return found


def test_every_cell_names_its_column():
    found = cells_of((5, 6.5, 7))
    assert [attrs["data-label"] for attrs, _ in found.cells] == list(TABLE.columns) * 2
    assert ["".join(text) for _, text in found.cells] == ["a <b> & c", "it is so", "1", "d", "or not", "2"]


def test_columns_have_their_least_widths():
    found = cells_of((5, 6.5, 7))
    assert ["".join(text) for _, text in found.heads] == list(TABLE.columns)
    assert [attrs["style"].split("min-width: ")[1] for attrs, _ in found.heads] == ["5rem", "6.5rem", "7rem"]
    assert {attrs["scope"] for attrs, _ in found.heads} == {"col"}


@pytest.mark.parametrize(("widths", "paragraphs"), [((8, 4, 4), False), ((8, 8, 8), True)])
def test_rows_become_paragraphs_only_where_a_phone_is_too_narrow(widths, paragraphs):
    assert ("modlib-paragraphs" in cells_of(widths).classes) == paragraphs


def test_lists_stand_under_their_heads_in_columns():
    shown = text_lists({"most <all>": ["a & b", "c"], "few": ["d"]}, width=12.5).data
    assert re.findall(r"<strong>(.*?)</strong>", shown) == ["most &lt;all&gt;", "few"]
    first, second = (part.split("</ul>")[0] for part in shown.split("<ul ")[1:])
    assert re.findall(r"<li[^>]*>(.*?)</li>", first) == ["a &amp; b", "c"]
    assert re.findall(r"<li[^>]*>(.*?)</li>", second) == ["d"]
    assert shown.count("columns: 12.5rem") == 2


def test_a_table_of_pandas_shows_no_index_that_only_counts_and_no_p_of_nought():
    table = pd.DataFrame({"Q": [0.25, 0.5], "p": [0.0, 0.0432], "p_holm": [float("nan"), 1.0]}, index=[7, 9])
    shown = frame(table)
    assert "7" not in shown
    assert re.findall(r"<td>([^<]*)</td>", shown) == [
        *("0.25", "&lt;.001", "–"),
        *("0.50", "0.043", "1.000"),
    ]
    written = frame(pd.DataFrame({"p": ["< .001", "n/a"]}))
    assert re.findall(r"<td>([^<]*)</td>", written) == ["&lt; .001", "n/a"]
    named = frame(table.rename_axis("seed"))
    assert re.findall(r"<th>(seed|7|9)</th>", named) == ["seed", "7", "9"]


def test_a_notebook_shows_tables_so():
    shell = InteractiveShell()
    show_frames(shell)
    data, _ = shell.display_formatter.format(pd.DataFrame({"p": [0.0]}))
    assert "&lt;.001" in data["text/html"]
