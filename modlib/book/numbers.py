"""Numbers in prose: each is one cell of a table that a chapter offers.

A chapter's ``tables.py`` offers tidy tables by name (`offered`), and prose cites a cell of one, as in
``{num}`training.strongest[dropout].accuracy:.2f```: the chapter, the table, the labels that name the row, and
the column. Only what pages cite is computed and put on record.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from modlib.book.stored import NotStoredError

Number = int | float | str | None
Maker = Callable[[str], pd.DataFrame]

_CELL = re.compile(r"(?P<chapter>\w+)\.(?P<table>\w+)(?:\[(?P<row>[^\]]*)\])?\.(?P<column>\w+)")
_CITED = re.compile(r"\{(?P<role>num|word|side)\}`(?P<text>[^`]+)`")


class CellError(ValueError):
    """A citation names no cell; the message says which part of it is wrong, and what there is."""


@dataclass(frozen=True)
class Cell:
    """Where a number stands, ``chapter.table[label, label].column``; no brackets in a table of one row."""

    chapter: str
    table: str
    row: tuple[str, ...]
    column: str

    def __str__(self) -> str:
        labels = f"[{', '.join(self.row)}]" if self.row else ""
        return f"{self.chapter}.{self.table}{labels}.{self.column}"

    @classmethod
    def parse(cls, text: str) -> "Cell":
        """Read a cell's name; a CellError says that it is none.

        >>> Cell.parse("elsewhere.effects[wide, matched].value").row
        ('wide', 'matched')
        """
        found = _CELL.fullmatch(text.strip())
        if not found:
            raise CellError(f"{text!r} is no cell: write chapter.table[row labels].column")
        row = tuple(label.strip() for label in (found["row"] or "").split(",") if label.strip())
        return cls(found["chapter"], found["table"], row, found["column"])


@dataclass(frozen=True)
class Offered:
    """A table that a chapter offers to prose."""

    make: Maker  # makes it, given the profile
    by: tuple[str, ...]  # columns whose labels, in this order, name a row; none for a table of one row

    @property
    def function(self) -> str:
        """Dotted name of the function, for readers who want to know where a number comes from."""
        return f"{self.make.__module__}.{self.make.__name__}"

    @property
    def about(self) -> str:
        """What the table is, in one sentence."""
        return (self.make.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


Made = TypeVar("Made", bound=Callable[..., Any])
_KEPT: ContextVar[dict[tuple[object, tuple[Any, ...]], Any] | None] = ContextVar("kept", default=None)
#: Every table offered by the chapters that are loaded, by chapter and name.
OFFERED: dict[tuple[str, str], Offered] = {}


def once(make: Made) -> Made:
    """Let a function answer the same call once only while the numbers of a book are gathered (`gathering`).

    Tables that prose cites follow from one another. At other times stored results may change.
    """

    @wraps(make)
    def made(*arguments: Any) -> Any:
        kept = _KEPT.get()
        if kept is None:
            return make(*arguments)
        if (make, arguments) not in kept:
            kept[make, arguments] = make(*arguments)
        return kept[make, arguments]

    return cast("Made", made)


@contextmanager
def gathering() -> Iterator[None]:
    """Keep what functions under `once` return for as long as this lasts."""
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def offered(*by: str) -> Callable[[Made], Made]:
    """Offer the table that a function of ``tables.py`` makes to prose, under the function's name.

    The function takes the profile and returns a tidy table. Columns in `by` name its rows; their labels are
    written as they are (text), with ``%g`` (numbers), or as ``raw`` and ``normalised`` (the truth value
    ``normalized``). What is not stored (`modlib.book.stored.there`) has no rows.

    Examples
    --------
    >>> @offered("experiment")
    ... def sizes(profile):
    ...     '''How many networks there are.'''
    ...     return pd.DataFrame({"experiment": ["base"], "networks": [370]})
    >>> value(Cell.parse("numbers.sizes[base].networks"), "paper")
    370
    """

    def register(make: Made) -> Made:
        @wraps(make)
        def table(*arguments: Any, **options: Any) -> pd.DataFrame:
            try:
                found: pd.DataFrame = make(*arguments, **options)
            except NotStoredError:
                return pd.DataFrame()
            return found

        parts = make.__module__.split(".")  # modlib.book.chapters.<chapter>.tables
        OFFERED[parts[-2] if parts[-1] == "tables" else parts[-1], make.__name__] = Offered(table, by)
        return cast("Made", table)

    return register


def find(cell: Cell) -> Offered:
    """Return the table of a cell; a CellError names those that there are, if it is none of them."""
    key = (cell.chapter, cell.table)
    if key not in OFFERED:
        module = f"modlib.book.chapters.{cell.chapter}.tables"
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise
    if key not in OFFERED:
        there = ", ".join(sorted(table for chapter, table in OFFERED if chapter == cell.chapter))
        raise CellError(f"{cell}: {f'{cell.chapter} offers {there}' if there else 'no such chapter'}")
    return OFFERED[key]


def value(cell: Cell, profile: str) -> Number:
    """Return what stands in a cell, as a plain number or text.

    It is None, shown as "n/a", where the table leaves the cell undefined (nan), and at the profile ``quick``
    also where it lacks the row: fewer experiments and levels are computed there. A CellError says that there
    is no such table, row or column, that labels name several rows, or that the number is infinite.
    """
    table = _indexed(find(cell), profile)
    if cell.row not in table:
        if profile == "quick":
            return None
        raise CellError(f"{cell}: no such row; there are {_listed(', '.join(row) for row in table)}")
    rows = table[cell.row]
    if len(rows) > 1:
        raise CellError(f"{cell}: {len(rows)} rows have these labels")
    if cell.column not in rows[0]:
        raise CellError(f"{cell}: no such column; there are {', '.join(rows[0])}")
    return _plain(cell, rows[0][cell.column])


@lru_cache(maxsize=256)
def _indexed(table: Offered, profile: str) -> dict[tuple[str, ...], list[dict[str, object]]]:
    """Rows of a table by their labels."""
    found: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for row in table.make(profile).to_dict("records"):
        labels = tuple(_label(name, row[name]) for name in table.by)
        found.setdefault(labels, []).append({str(name): cell for name, cell in row.items()})
    return found


def _label(column: str, value: object) -> str:
    if column.startswith("normalized"):
        return "normalised" if value else "raw"
    return value if isinstance(value, str) else f"{value:g}"


def _listed(names: Iterable[str]) -> str:
    some = sorted(names)
    return "; ".join(some[:12]) + (f"; and {len(some) - 12} more" if len(some) > 12 else "") or "none"


def _plain(cell: Cell, value: object) -> Number:
    """Return values out of NumPy and pandas as the plain numbers that they are."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain is pd.NA or (isinstance(plain, float) and math.isnan(plain)):
        return None
    if isinstance(plain, bool) or not isinstance(plain, int | float | str):
        raise CellError(f"{cell} must hold a number or a text, got {plain!r}")
    if isinstance(plain, float) and math.isinf(plain):
        raise CellError(f"{cell} must be finite, got {plain}")
    return plain


def cells_of(role: str, text: str) -> tuple[list[Cell], str]:
    """Return the cells that a citation reads, and its format; a CellError says that the text names none.

    ``{num}`` and ``{word}`` read one cell; ``{side}`` names a row and reads its `low` and `high`.
    """
    name, _, spec = text.partition(":")
    if role == "side":
        return [Cell.parse(f"{name.strip()}.{end}") for end in ("low", "high")], ""
    return [Cell.parse(name)], spec.strip()


def citations(root: Path) -> Iterator[tuple[str, Cell]]:
    """Give every cell that a page of the book in the folder `root` cites, with the page's name."""
    for path in sorted((*(root / "notebooks").glob("*.ipynb"), *(root / "book").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        for found in _CITED.finditer(text):
            for cell in cells_of(found["role"], found["text"])[0]:
                yield path.stem, cell


def as_json(values: Mapping[str, Any]) -> str:
    """Write values as the project's JSON files have them."""
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def numbers(profile: str, root: Path) -> dict[str, Number]:
    """Compute every number that the pages of the book cite, by the names of their cells, and the profile."""
    cited = sorted({cell for _, cell in citations(root)}, key=str)
    with gathering():
        return {"profile": profile, **{str(cell): value(cell, profile) for cell in cited}}
