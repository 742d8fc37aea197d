"""Tables of sentences: every cell says which column it is of, for where no head is shown."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from modlib.book.html_table import text_table

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
