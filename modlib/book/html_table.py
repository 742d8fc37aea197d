"""Tables as HTML: of sentences, whose cells wrap, and of numbers that pages cite; and lists in columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd
from IPython.display import HTML
from pandas.api.types import is_integer_dtype, is_numeric_dtype

#: Names of columns of p-values, which are never nought.
P_VALUES = ("p", "p_holm", "p (Holm)")
_PHONE = 22.0  # rem, what a phone of 390 pixels has room for
_TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""
<table class="{{ classes }}">
  <thead>
    <tr>
    {% for column in columns %}
      <th scope="col"{% if widths %} style="{{ style }}; min-width: {{ widths[loop.index0] }}rem"{% endif %}>
        {{- column -}}
      </th>
    {% endfor %}
    </tr>
  </thead>
  <tbody>
  {% for row in rows %}
    <tr{% if ids %} id="{{ ids[loop.index0] }}"{% endif %}>
    {% for cell in row %}
      {% if loop.index <= labels %}
      <th scope="row">{{ cell }}</th>
      {% else %}
      <td data-label="{{ columns[loop.index0] }}"{% if style %} style="{{ style }}"{% endif %}>{{ cell }}</td>
      {% endif %}
    {% endfor %}
    </tr>
  {% endfor %}
  </tbody>
</table>
""")


_LISTS = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""
{% for head, entries in lists %}
<p><strong>{{ head }}</strong></p>
<ul style="columns: {{ width }}rem">
{% for entry in entries %}
  <li style="break-inside: avoid">{{ entry }}</li>
{% endfor %}
</ul>
{% endfor %}
""")


def text_lists(lists: Mapping[str, Sequence[str]], *, width: float) -> HTML:
    """Show lists of words, each under its head, in columns of a `width` (in rem), as many as have room."""
    return HTML(_LISTS.render(lists=lists.items(), width=width))  # type: ignore[no-untyped-call]


def text_table(table: pd.DataFrame, widths: Sequence[int | float]) -> HTML:
    """Show a table of sentences, without its index; on a phone it is too wide for, each row as a paragraph.

    The `widths` are the least ones of its columns, in rem.
    """
    classes = "dataframe modlib-paragraphs" if sum(widths) > _PHONE else "dataframe"
    style = "white-space: normal; text-align: left; vertical-align: top"
    columns, rows = list(table.columns), table.to_numpy().tolist()
    html = _TEMPLATE.render(classes=classes, columns=columns, rows=rows, labels=0, widths=widths, style=style)
    return HTML(html)  # type: ignore[no-untyped-call]


def frame(table: pd.DataFrame) -> str:
    """Write a table as HTML as pandas does, but without an index that only counts and without p-values of 0.

    Examples
    --------
    >>> html = frame(pd.DataFrame({"Q": [0.25], "p": [0.0]}, index=[7]))
    >>> "&lt;.001" in html, "7" in html
    (True, False)
    """
    counts = table.index.nlevels == 1 and table.index.name is None and is_integer_dtype(table.index)
    numbers = [
        name for name, kind in table.dtypes.items() if is_numeric_dtype(kind)
    ]  # others are text already
    formatters: Any = {name: _p_value for name in numbers if name in P_VALUES}
    most = pd.get_option("display.max_rows")
    shown: str = table.to_html(index=not counts, formatters=formatters, max_rows=most, na_rep="–")
    return shown


def _p_value(value: float) -> str:
    return "–" if pd.isna(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def show_frames(shell: Any) -> None:
    """Let a notebook show all tables of pandas by `frame`."""
    shell.display_formatter.formatters["text/html"].for_type(pd.DataFrame, frame)


def cited_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, labels: int, ids: Sequence[str]
) -> str:
    """Write rows, named by their first columns, as many as `labels`, as HTML, each with an identifier."""
    return _TEMPLATE.render(classes="table", columns=columns, rows=rows, labels=labels, ids=ids)
