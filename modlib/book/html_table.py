"""A table whose cells are sentences: they wrap, where those of numbers do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import cycle

import pandas as pd
from IPython.display import HTML

_WRAPPED = "white-space: normal; text-align: left; vertical-align: top"
_PHONE = 22.0  # rem, what a phone of 390 pixels has room for


def text_table(table: pd.DataFrame, widths: Sequence[int | float]) -> HTML:
    """Show a table, without its index; on a phone that it is too wide for, each row as a paragraph.

    Parameters
    ----------
    table
        Texts and numbers; the first column names the row.
    widths
        Least width of each column, in rem.
    """
    classes = "modlib-paragraphs" if sum(widths) > _PHONE else ""
    with pd.option_context("display.max_colwidth", None):
        html = table.to_html(index=False, border=0, justify="left", escape=True, classes=classes)
    for width in widths:
        html = html.replace("<th>", f'<th scope="col" style="{_WRAPPED}; min-width: {width}rem">', 1)
    labels = cycle(table.columns)  # modlib.css shows them where there is no head
    html = re.sub("<td>", lambda _: f'<td data-label="{escape(next(labels))}" style="{_WRAPPED}">', html)
    return HTML(html)  # type: ignore[no-untyped-call]
