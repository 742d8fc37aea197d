"""Similarity matrices as pictures: PNG of one hue, whose strength is the similarity."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Float, Int, UInt8

from modlib._checks import Labels, Matrix

MOST_PIXELS = 512  #: Width of a picture at most: a larger matrix is averaged over squares of units.
LEVELS = 255  #: Levels of strength, besides none.
FAINTEST = 0.02  #: Opacity of a similarity of zero, as on the book's pages: it shows where the matrix is.


def order_of(labels: Labels) -> Labels:
    """Give the units module by module, the largest module first, dead units last."""
    return np.lexsort((labels, labels < 0))


def cuts_of(labels: Labels) -> list[int]:
    """Give the places in `order_of` at which one module ends and the next begins."""
    return (np.flatnonzero(np.diff(labels[order_of(labels)])) + 1).tolist()


def matrix_picture(A: Matrix, order: Int[np.ndarray, " unit"], colour: str) -> str:
    """Draw a graph, its units in an order, as the address of a picture that holds all of its data.

    The largest weight has the full colour; the diagonal, which takes no part in Q, has none. The background
    shows through, so that the picture is right on white and on dark pages.
    """
    levels = _levels(A[np.ix_(order, order)])
    return "data:image/png;base64," + base64.b64encode(_png(levels, colour)).decode()


def _levels(A: Matrix) -> UInt8[np.ndarray, "row column"]:
    """Give the level of strength of each pixel, 1 to `LEVELS`, or 0 on the diagonal."""
    diagonal = np.eye(len(A), dtype=bool)
    if len(A) > MOST_PIXELS:
        starts = np.arange(MOST_PIXELS) * len(A) // MOST_PIXELS
        A, n_cells = _summed(A, starts), _summed(np.ones_like(A), starts)
        A, diagonal = A / n_cells, np.zeros((MOST_PIXELS, MOST_PIXELS), dtype=bool)
    top = A.max(initial=0.0)
    levels = 1 + np.rint((LEVELS - 1) * (A / top if top > 0 else A)).astype(np.uint8)
    levels[diagonal] = 0
    return np.asarray(levels)


def _summed(A: Matrix, starts: Int[np.ndarray, " pixel"]) -> Float[np.ndarray, "pixel pixel"]:
    return np.add.reduceat(np.add.reduceat(A, starts, axis=0), starts, axis=1)


def _png(levels: UInt8[np.ndarray, "row column"], colour: str) -> bytes:
    """Write levels as a PNG whose palette is one colour, from transparent to opaque."""
    height, width = levels.shape
    opacity = np.concatenate([[0.0], np.linspace(FAINTEST, 1, LEVELS)])
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), levels], axis=1
    )  # each begins with its filter: none
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),  # 8 bits a pixel, of a palette
        b"PLTE": bytes.fromhex(colour.removeprefix("#")) * (LEVELS + 1),
        b"tRNS": np.rint(255 * opacity).astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 9),
        b"IEND": b"",
    }
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
