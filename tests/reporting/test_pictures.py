"""Pictures of matrices, read back pixel by pixel, and the drawing of units that go from module to module."""

import base64
import re
import struct
import zlib

import numpy as np
import pytest

from modlib.reporting.alluvial import GAP, HEIGHT, alluvial
from modlib.reporting.pictures import MOST_PIXELS, cuts_of, matrix_picture, order_of


def pixels(address):
    """Read a picture of a palette: the colours of its palette, and the opacity of each pixel."""
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        chunks[kind] = content[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", content[at + 8 + size : at + 12 + size])
        assert check == zlib.crc32(kind + chunks[kind])
        at += 12 + size
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return palette, np.frombuffer(chunks[b"tRNS"], np.uint8)[rows[:, 1:]]


def graph(n, seed=0):
    A = np.abs(np.random.default_rng(seed).standard_normal((n, n)))
    np.fill_diagonal(A, 0)
    return A + A.T


def test_opacity_is_the_weight_in_the_order_asked_for():
    A, order = graph(7), np.array([3, 1, 0, 2, 6, 5, 4])
    palette, opacity = pixels(matrix_picture(A, order, "#1b6ca8"))
    assert (palette == [0x1B, 0x6C, 0xA8]).all()
    expected = 0.02 + 0.98 * A[np.ix_(order, order)] / A.max()
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(opacity / 255, expected, atol=0.004)


def test_a_graph_without_edges_is_faint_and_not_full():
    _, opacity = pixels(matrix_picture(np.zeros((3, 3)), np.arange(3), "#000000"))
    assert opacity.max() == 5
    assert not opacity.diagonal().any()


def test_a_large_matrix_is_averaged_and_not_sampled():
    n = 2 * MOST_PIXELS
    A = graph(n)
    _, opacity = pixels(matrix_picture(A, np.arange(n), "#000000"))
    squares = A.reshape(MOST_PIXELS, 2, MOST_PIXELS, 2).mean((1, 3))
    np.testing.assert_allclose(opacity / 255, 0.02 + 0.98 * squares / squares.max(), atol=0.004)


def test_units_are_sorted_by_module_with_the_dead_last_and_cut_between():
    labels = np.array([1, 0, -1, 0, 2, 1])
    assert order_of(labels).tolist() == [1, 3, 0, 5, 4, 2]
    assert cuts_of(labels) == [2, 4, 5]
    assert cuts_of(np.zeros(4, dtype=np.int64)) == []


A = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, -1])
B = np.array([0, 0, 1, 1, 1, 1, -1, 0, 0, -1])


def test_units_are_counted_and_none_is_lost():
    drawn = alluvial(A, B)
    assert [bar.module for bar in drawn.left] == [0, 1, 2, -1]
    assert [bar.module for bar in drawn.right] == [0, 1, -1]
    assert drawn.shared.tolist() == [[2, 2, 0], [0, 2, 1], [2, 0, 0], [0, 0, 1]]
    assert sum(band.n_units for band in drawn.bands) == len(A)


@pytest.mark.parametrize("side", ["left", "right"])
def test_bands_fill_their_bars(side):
    drawn = alluvial(A, B)
    used = {number: bar.top for number, bar in enumerate(getattr(drawn, side))}
    bars = getattr(drawn, side)
    for band in sorted(drawn.bands, key=lambda band: (band.left, band.right)):
        numbers = [float(text) for text in re.findall(r"-?[\d.]+", band.path)]
        _, y, _, _, _, _, _, z, bottom, *_ = numbers
        top = y if side == "left" else z
        number = getattr(band, side)
        assert top == pytest.approx(used[number], abs=0.01)
        assert bottom - z == pytest.approx(HEIGHT * band.n_units / len(A), abs=0.02)
        used[number] += HEIGHT * band.n_units / len(A)
    for number, bar in enumerate(bars):
        assert used[number] == pytest.approx(bar.top + bar.height, abs=0.02)
    ends = [bar.top + bar.height for bar in bars]
    assert [bar.top for bar in bars[1:]] == pytest.approx([end + GAP for end in ends[:-1]])
    assert drawn.height == pytest.approx(HEIGHT + 3 * GAP)
