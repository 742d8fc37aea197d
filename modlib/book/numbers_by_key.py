"""Numbers of chapters that do not offer tables yet, by key: on its way out, see `modlib.book.numbers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modlib.book.chapters.chance import tables as chance
from modlib.book.chapters.choices import tables as choices
from modlib.book.chapters.deviations import tables as deviations

Number = int | float | str | None

#: Whose numbers the book cites; each chapter's keys begin with its name.
SOURCES: tuple[Callable[[str], Mapping[str, Number]], ...] = (
    chance.numbers,
    choices.numbers,
    deviations.numbers,
)


def numbers(profile: str) -> dict[str, Number]:
    """Every number that the prose of the book cites, by name; see the ``num`` role.

    Parameters
    ----------
    profile
        ``"quick"`` or ``"paper"``.

    Returns
    -------
    dict
        Plain numbers and texts, the same keys at both profiles. None, shown as "n/a", where the tables that
        a number rests on are not stored, or where they leave it undefined (nan).

    Raises
    ------
    ValueError
        If two chapters give a number of the same name, or one is infinite.
    """
    found: dict[str, Number] = {}
    for source in SOURCES:
        for key, value in source(profile).items():
            if key in found:
                raise ValueError(f"{source.__module__}.numbers gives {key!r}, which another module gives too")
            found[key] = _plain(key, value)
    return found


def _plain(key: str, value: Number | np.generic) -> Number:
    """Return values out of NumPy and pandas as the plain numbers that they are."""
    plain: Number = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and math.isnan(plain):
        return None
    if isinstance(plain, float) and math.isinf(plain):
        raise ValueError(f"{key} must be finite, got {plain}")
    return plain
