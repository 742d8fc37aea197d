"""The IDX file format of MNIST and Fashion-MNIST, plain or gzipped."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8


class DataError(ValueError):
    """A data file is damaged, incomplete or nowhere to be found; the message names it and says what to do."""


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Give the header of an IDX file of unsigned bytes.

    It holds two zero bytes, type code 8 (unsigned byte), the number of axes, and each axis as a big-endian
    uint32 (LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section on file formats).

    >>> idx_header((10000,)).hex(" ", 4)
    '00000801 00002710'
    """
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


def read_idx(path: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "*shape"]:
    """Read an IDX file, plain or gzipped; raise a DataError unless it holds an array of this shape."""
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):  # what every gzip stream starts with
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    header = idx_header(shape)
    if not data.startswith(header) or len(data) != len(header) + math.prod(shape):
        raise DataError(f"{path}: cut short, too long, or not an IDX file of shape {shape}")
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape)


def idx_gz(array: UInt8[np.ndarray, "*shape"]) -> bytes:
    """Give the gzipped IDX file of an array, always the same bytes for the same array."""
    return gzip.compress(idx_header(array.shape) + array.tobytes(), compresslevel=6, mtime=0)
