"""IDX files: what was written is read, and nothing else is."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modlib.data.idx import DataError, idx_gz, read_idx

SHAPE = (5, 4, 3)


def problem(shape=SHAPE, seed=0):
    """Give an array and the IDX file, written out by hand, that holds it."""
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return array, header + array.tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "some-file"


@pytest.mark.parametrize("shape", [SHAPE, (7,), (2, 28, 28)])
@pytest.mark.parametrize("form", ["plain", "gzip", "ours"])
def test_gives_back_the_array(shape, form, path):
    array, data = problem(shape)
    path.write_bytes({"plain": data, "gzip": gzip.compress(data), "ours": idx_gz(array)}[form])
    read = read_idx(path, shape)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_our_gzip_holds_the_file_and_never_changes():
    array, data = problem()
    assert gzip.decompress(idx_gz(array)) == data
    assert idx_gz(array) == idx_gz(np.asfortranarray(array))
    assert idx_gz(array) != idx_gz(array[::-1])


@pytest.mark.parametrize("form", [bytes, gzip.compress])
def test_cut_anywhere_is_refused(form, path):
    whole = form(problem()[1])
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="some-file"):
            read_idx(path, SHAPE)


@pytest.mark.parametrize("extra", [b"\0", b"x", b"\0" * 600])
def test_bytes_left_over_are_refused(extra, path):
    for whole in (problem()[1] + extra, gzip.compress(problem()[1] + extra)):
        path.write_bytes(whole)
        with pytest.raises(DataError, match="too long"):
            read_idx(path, SHAPE)


@given(bit=st.integers(0, 8 * 16 - 1))
def test_any_flipped_bit_of_a_header_is_refused(bit, path):
    flipped = bytearray(problem()[1])
    flipped[bit // 8] ^= 1 << bit % 8
    for whole in (bytes(flipped), gzip.compress(bytes(flipped))):
        path.write_bytes(whole)
        with pytest.raises(DataError, match="some-file"):
            read_idx(path, SHAPE)


def test_same_bytes_in_another_shape_are_refused(path):
    path.write_bytes(problem((5, 4, 3))[1])
    for shape in ((5, 3, 4), (60,)):
        with pytest.raises(DataError, match="not an IDX file of shape"):
            read_idx(path, shape)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone: cannot be read"):
        read_idx(tmp_path / "gone", SHAPE)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, SHAPE)
