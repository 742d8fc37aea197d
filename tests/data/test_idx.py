"""IDX files: what was written is read, and nothing else is."""

import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modlib.data.idx import DataError, idx_gz, idx_header, most_bytes, parse_idx, read_idx

SHAPE = (5, 4, 3)


def problem(shape=SHAPE, seed=0):
    """Give an array and the IDX file, written out by hand, that holds it."""
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return array, header + array.tobytes()


def peak_bytes(call):
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("shape", [SHAPE, (7,), (2, 28, 28)])
@pytest.mark.parametrize("form", ["plain", "gzip", "ours"])
def test_gives_back_the_array(shape, form, tmp_path):
    array, data = problem(shape)
    path = tmp_path / "file"
    path.write_bytes({"plain": data, "gzip": gzip.compress(data), "ours": idx_gz(array)}[form])
    read = read_idx(path, shape)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_our_gzip_holds_the_file_and_never_changes():
    array, data = problem()
    assert gzip.decompress(idx_gz(array)) == data
    assert idx_gz(array) == idx_gz(np.asfortranarray(array))
    assert idx_gz(array) != idx_gz(array[::-1])


def test_fair_files_are_within_the_limit_even_if_gzip_cannot_shrink_them():
    array, data = problem((50, 28, 28))
    noise = gzip.compress(data, 0)
    assert len(data) < len(noise) <= most_bytes(array.shape)


@pytest.mark.parametrize("form", [bytes, gzip.compress])
def test_cut_anywhere_is_refused(form):
    whole = form(problem()[1])
    for length in range(len(whole)):
        with pytest.raises(DataError, match="some-file"):
            parse_idx(whole[:length], SHAPE, file="some-file")


@pytest.mark.parametrize("extra", [b"\0", b"x", b"\0" * 600])
def test_bytes_left_over_are_refused(extra):
    data = problem()[1]
    for whole in (data + extra, gzip.compress(data + extra), gzip.compress(data) + extra):
        with pytest.raises(DataError, match="left over"):
            parse_idx(whole, SHAPE, file="some-file")


def test_any_flipped_bit_of_a_gzip_file_is_refused_or_harmless():
    # The gzip header has bytes that say nothing about the data: flags such as "this is text", the time, extra
    # flags, the operating system; and the last byte before the checksum ends in padding. Everywhere else a
    # flip must be seen.
    array, _ = problem()
    whole, harmless = idx_gz(array), set()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            np.testing.assert_array_equal(parse_idx(bytes(flipped), SHAPE, file="f"), array)
            harmless.add(bit // 8)
        except DataError:
            pass
    assert harmless <= {3, 4, 5, 6, 7, 8, 9, len(whole) - 9}
    assert len(whole) > 60


@given(bit=st.integers(0, 8 * 16 - 1))
def test_any_flipped_bit_of_a_header_is_refused(bit):
    _, data = problem()
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    for whole in (bytes(flipped), gzip.compress(bytes(flipped))):
        with pytest.raises(DataError, match="some-file"):
            parse_idx(whole, SHAPE, file="some-file")


@given(header=st.binary(max_size=20), body=st.binary(max_size=80))
def test_anything_else_is_refused(header, body):
    with pytest.raises(DataError):
        parse_idx(header + body, SHAPE, file="f")


@given(told=st.tuples(*[st.integers(0, 2**32 - 1)] * 3).filter(lambda told: told != SHAPE))
def test_a_header_is_never_believed(told):
    _, data = problem()
    lying = struct.pack(">4B3I", 0, 0, 8, 3, *told) + data[16:]

    def call():
        with pytest.raises(DataError, match=r"tells of shape"):
            parse_idx(lying, SHAPE, file="f")

    assert peak_bytes(call) < 2**20


def test_same_bytes_in_another_shape_are_refused():
    _, data = problem((5, 4, 3))
    with pytest.raises(DataError, match=r"\(5, 4, 3\), not of \(5, 3, 4\)"):
        parse_idx(data, (5, 3, 4), file="f")
    with pytest.raises(DataError, match="not an IDX file"):
        parse_idx(data, (60,), file="f")


def test_a_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(idx_header(SHAPE) + bytes(2**25))

    def call():
        with pytest.raises(DataError, match="left over"):
            parse_idx(bomb, SHAPE, file="f")

    assert peak_bytes(call) < 2**20
    assert peak_bytes(lambda: zlib.decompress(bomb, 31)) > 2**25  # what the limit saves us from


def test_a_file_far_too_long_is_not_read(tmp_path):
    path = tmp_path / "long"
    with path.open("wb") as stream:
        stream.write(problem()[1])
        stream.truncate(2**40)  # sparse: a terabyte that takes no room

    def call():
        with pytest.raises(DataError, match=r"long: far too long"):
            read_idx(path, SHAPE)

    assert peak_bytes(call) < 2**20


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone: cannot be read"):
        read_idx(tmp_path / "gone", SHAPE)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, SHAPE)
