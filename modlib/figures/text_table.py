"""A table whose cells are sentences: they wrap, where those of numbers do not."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML

_WRAPPED = "white-space: normal; text-align: left; vertical-align: top"


def text_table(table: pd.DataFrame, widths: Sequence[str]) -> HTML:
    """Show a table, without its index.

    Parameters
    ----------
    table
        Texts and numbers.
    widths
        Least width of each column, ``"8rem"`` for example.
    """
    with pd.option_context("display.max_colwidth", None):
        html = table.to_html(index=False, border=0, justify="left", escape=True)
    for cell in ("th", "td"):
        html = html.replace(f"<{cell}>", f'<{cell} style="{_WRAPPED}">')
    for width in widths:
        html = html.replace(
            f'<th style="{_WRAPPED}">', f'<th scope="col" style="{_WRAPPED}; min-width: {width}">', 1
        )
    return HTML(html)  # type: ignore[no-untyped-call]
