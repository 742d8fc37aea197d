"""Where the units of each module go in another partition: bars on two sides, and bands between them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int

from modlib._checks import Labels

HEIGHT, GAP = 300.0, 6.0  #: Height of a side without its gaps, and a gap between modules, in pixels.
LEFT, RIGHT = 34.0, 66.0  #: Where the bands begin and end, in per cent of the width.


@dataclass(frozen=True)
class Bar:
    """One module on one side."""

    module: int  #: −1 for dead units
    n_units: int
    top: float
    height: float


@dataclass(frozen=True)
class Band:
    """The units that a module of the left side shares with one of the right side."""

    left: int  #: number of the bar
    right: int
    n_units: int
    path: str  #: outline, as SVG writes it


@dataclass(frozen=True)
class Alluvial:
    """Two partitions side by side."""

    left: list[Bar]
    right: list[Bar]
    bands: list[Band]
    shared: Int[np.ndarray, "left right"]  #: units in both a module of the left side and one of the right
    height: float


def alluvial(a: Labels, b: Labels) -> Alluvial:
    """Lay out the modules of two partitions and the units that they share; dead units (−1) stand last.

    Examples
    --------
    >>> drawn = alluvial(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    >>> drawn.shared.tolist()
    [[2, 1], [0, 1]]
    >>> [bar.height for bar in drawn.left]
    [225.0, 75.0]
    """
    rows, columns = (_modules(labels) for labels in (a, b))
    shared = np.array([[np.count_nonzero((a == i) & (b == j)) for j in columns] for i in rows])
    scale = HEIGHT / len(a)
    left, right = _bars(rows, shared.sum(1), scale), _bars(columns, shared.sum(0), scale)
    used = [bar.top for bar in left], [bar.top for bar in right]  # down to where each bar has its bands
    bands = []
    for i, j in zip(*np.nonzero(shared), strict=True):
        n_units = int(shared[i, j])
        y, z, thick = used[0][i], used[1][j], scale * n_units
        used[0][i] += thick
        used[1][j] += thick
        bands.append(Band(int(i), int(j), n_units, _path(y, z, thick)))
    return Alluvial(left, right, bands, shared, max(side[-1].top + side[-1].height for side in (left, right)))


def _modules(labels: Labels) -> list[int]:
    found: list[int] = np.unique(labels[labels >= 0]).tolist()
    return found + [-1] * bool((labels < 0).any())


def _bars(modules: list[int], sizes: Int[np.ndarray, " module"], scale: float) -> list[Bar]:
    ends = np.concatenate([[0.0], np.cumsum(sizes * scale + GAP)])
    return [
        Bar(module, int(size), float(top), float(end - top - GAP))
        for module, size, (top, end) in zip(modules, sizes, pairwise(ends), strict=True)
    ]


def _path(y: float, z: float, thick: float) -> str:
    """Draw a band that leaves one side and meets the other level."""
    middle = (LEFT + RIGHT) / 2
    return (
        f"M{LEFT:g} {y:.2f}C{middle:g} {y:.2f} {middle:g} {z:.2f} {RIGHT:g} {z:.2f}"
        f"V{z + thick:.2f}C{middle:g} {z + thick:.2f} {middle:g} {y + thick:.2f} {LEFT:g} {y + thick:.2f}Z"
    )
