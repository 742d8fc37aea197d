"""The IDX file format of MNIST and Fashion-MNIST, read so that a lying file costs neither memory nor time."""

import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_GZIP_MAGIC = b"\x1f\x8b"
_UBYTE = 0x08  # IDX's type code of unsigned bytes, the only one the two data sets use


class DataError(ValueError):
    """A data file is damaged, incomplete or not to be had; the message names it and says what to do."""


def idx_header(shape: tuple[int, ...]) -> bytes:
    """
    Give the header that an IDX file of unsigned bytes with this shape starts with.

    Two zero bytes, type code 0x08, number of axes, then each axis as a big-endian uint32 (LeCun, Cortes and
    Burges, "The MNIST database of handwritten digits", section on file formats).

    Examples
    --------
    >>> idx_header((10000,)).hex(" ", 4)
    '00000801 00002710'
    """
    return struct.pack(f">HBB{len(shape)}I", 0, _UBYTE, len(shape), *shape)


def most_bytes(shape: tuple[int, ...]) -> int:
    """Give the most bytes that a fair file of this shape can take, plain or gzipped."""
    plain = len(idx_header(shape)) + math.prod(shape)
    return plain + plain // 100 + 4096  # gzip grows what it cannot shrink by far less than 1 %


def parse_idx(data: bytes, shape: tuple[int, ...], *, file: str | Path) -> UInt8[np.ndarray, "*shape"]:
    """
    Turn the bytes of an IDX file, plain or gzipped, into the array it must hold.

    The header is compared with the one that `shape` demands and is never believed: nothing is allocated on
    its word, and of a gzip stream no more than the demanded size and one byte is unpacked.

    Parameters
    ----------
    data : bytes
        The whole file.
    shape : tuple of int
        The shape that the array must have.
    file : str or Path
        Name for the error messages.

    Returns
    -------
    array of uint8, of that shape
        Read-only view of the unpacked bytes.

    Raises
    ------
    DataError
        If the gzip stream is damaged, the header differs, bytes are missing or bytes are left over.
    """
    header = idx_header(shape)
    size = len(header) + math.prod(shape)
    if data.startswith(_GZIP_MAGIC):
        data = _gunzip(data, size + 1, file)
    if data[:4] != header[:4]:
        raise DataError(
            f"{file}: not an IDX file of unsigned bytes with {len(shape)} axes "
            f"(it starts with {data[:4].hex() or 'nothing'}, not {header[:4].hex()})"
        )
    if len(data) < len(header):
        raise DataError(f"{file}: cut short inside the header")
    if data[: len(header)] != header:
        told = struct.unpack(f">{len(shape)}I", data[4 : len(header)])
        raise DataError(f"{file}: its header tells of shape {told}, not of {shape}")
    if len(data) < size:
        raise DataError(f"{file}: cut short, {size - len(data)} of {size} bytes are missing")
    if len(data) > size:
        raise DataError(f"{file}: bytes are left over after the {size} that it should have")
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape)


def read_idx(path: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "*shape"]:
    """
    Read an IDX file, plain or gzipped, that must hold an array of this shape; see `parse_idx`.

    Raises
    ------
    DataError
        As `parse_idx`, and if the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size  # a buffer of what is asked for is made beforehand
            data = stream.read(min(size, most_bytes(shape)) + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) > most_bytes(shape):
        raise DataError(f"{path}: far too long for an array of shape {shape}")
    return parse_idx(data, shape, file=path)


def idx_gz(array: UInt8[np.ndarray, "*shape"]) -> bytes:
    """Give the gzipped IDX file of an array, always the same bytes for the same array (no time, no name)."""
    pack = zlib.compressobj(level=6, wbits=31)  # 31: with a gzip header and checksum
    return pack.compress(idx_header(array.shape)) + pack.compress(array.tobytes()) + pack.flush()


def _gunzip(data: bytes, limit: int, file: str | Path) -> bytes:
    """Unpack one gzip stream to at most `limit` bytes; damaged, cut or followed by other bytes: DataError."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(data, limit)
    except zlib.error as error:
        raise DataError(f"{file}: damaged gzip stream ({error})") from error
    if len(plain) < limit:  # else the caller finds it too long
        if not unpack.eof:
            raise DataError(f"{file}: the gzip stream is cut short")
        if unpack.unused_data:
            raise DataError(f"{file}: bytes are left over after the gzip stream")
    return plain
