"""What a report is made from: the similarities of a layer, checked, with the names of its units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modlib import _checks
from modlib._checks import Matrix
from modlib.measures import MEASURES


@dataclass(frozen=True, eq=False)
class Layer:
    """The similarities of one layer by measure, and what is known of the samples behind them."""

    name: str
    S: dict[str, Matrix]  #: in the order of `modlib.measures.MEASURES`
    halves: tuple[dict[str, Matrix], dict[str, Matrix]] | None  #: the same over two halves of the samples
    n_samples: int | None
    n_positions: int | None
    unit: str  #: what a unit is, in words
    notes: tuple[str, ...]
    units: tuple[str, ...]  #: names of the units


def read_layers(
    similarities: Mapping[str, Mapping[str, Any]],
    unit_names: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
) -> list[Layer]:
    """Check the similarities of every layer: one symmetric matrix a measure, of the same units."""
    if not isinstance(similarities, Mapping) or not similarities:
        raise TypeError(
            "similarities must be a mapping from layers to what modlib.similarities gives of each, "
            f"got {_checks.shown(similarities)}"
        )
    named = _names_by_layer(unit_names, list(similarities))
    return [_layer(name, given, named.get(name)) for name, given in similarities.items()]


def matrices(given: Any, name: str) -> dict[str, Matrix]:
    """Return the matrices of a layer by measure, in the book's order, or raise an error that names them."""
    if not isinstance(given, Mapping) or not given:
        raise TypeError(f"{name} must be a mapping from measures to matrices, got {_checks.shown(given)}")
    for measure in given:
        _checks.one_of(measure, f"each measure of {name}", MEASURES)
    found = {m: _checks.symmetric(given[m], f"{name}[{m!r}]") for m in MEASURES if m in given}
    sizes = {len(matrix) for matrix in found.values()}
    if len(sizes) > 1:
        raise ValueError(f"{name} must be matrices of the same units, got {sorted(sizes)} units")
    if 0 in sizes:
        raise ValueError(f"{name} must be matrices of one unit or more, got none")
    return found


def _layer(name: Any, given: Any, units: Sequence[str] | None) -> Layer:
    if not isinstance(name, str):
        raise TypeError(f"similarities must name each layer by a text, got {_checks.shown(name)}")
    called = f"similarities[{name!r}]"
    S = matrices(given, called)
    n_unit = len(next(iter(S.values())))
    if units is not None and len(units) != n_unit:
        raise ValueError(f"unit_names must name each unit of {name!r} ({n_unit}), got {len(units)} names")
    return Layer(
        name=name,
        S=S,
        halves=_halves(getattr(given, "halves", None), S, called),
        n_samples=getattr(given, "n_samples", None),
        n_positions=getattr(given, "n_positions", None),
        unit=getattr(given, "unit", "unit"),
        notes=tuple(getattr(given, "notes", ())),
        units=tuple(map(str, range(n_unit) if units is None else units)),
    )


def _halves(
    given: Any, S: Mapping[str, Matrix], name: str
) -> tuple[dict[str, Matrix], dict[str, Matrix]] | None:
    """Read the matrices over two halves; there are none where a half had no samples."""
    if given is None or any(np.isnan(_checks.floats(half[m], name)).all() for half in given for m in S):
        return None
    first, second = (matrices({m: half[m] for m in S}, f"{name}.halves") for half in given)
    return first, second


def _names_by_layer(given: Any, layers: list[str]) -> dict[str, list[str]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(layers) != 1:
            raise ValueError(f"unit_names must be a mapping from layers to names: there are {len(layers)}")
        given = {layers[0]: given}
    if unknown := [layer for layer in given if layer not in layers]:
        raise ValueError(f"unit_names must be of the layers {', '.join(layers)}; got {unknown[0]!r}")
    return {layer: _texts(names, layer) for layer, names in given.items()}


def _texts(names: Any, layer: str) -> list[str]:
    listed = _checks.listed(names, "unit_names")
    for name in listed:
        if not isinstance(name, str):
            raise TypeError(f"unit_names must be texts, got {_checks.shown(name)} for {layer!r}")
    return listed
