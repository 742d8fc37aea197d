"""Folders with the four files of a data set, which are read and verified, and the cache among them."""

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from modlib import _checks, extras
from modlib.data.idx import DataError, idx_gz, read_idx
from modlib.data.sources import FILES, SOURCES, Source

log = logging.getLogger("modlib.data")

Arrays = dict[str, UInt8[np.ndarray, "..."]]


def cache_folder() -> Path:
    """Give the user's cache folder, where downloads are kept in a subfolder for each data set."""
    extras.require("modlib.data", "study", "pooch")
    import pooch  # imported here, since it imports tqdm.auto, which warns in every notebook

    return Path(pooch.os_cache("modlib"))


def cached(source: Source) -> Path:
    """Give the folder of a data set in the cache."""
    return cache_folder() / source.folders[0]


def verified(source: Source, part: str, array: UInt8[np.ndarray, "*shape"], place: str | Path) -> Any:
    """Return an array if it has the known SHA-256, or else raise a DataError that names its place."""
    digest, known = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest(), source.sha256[part]
    if digest != known:
        raise DataError(f"{place}: damaged, or not {part}: SHA-256 of its array is {digest}, not {known}")
    return array


def read_folder(source: Source, folder: Path) -> Arrays | None:
    """Read and verify the four files in a folder, gzipped or plain; return None if it has none of them."""
    arrays, missing = {}, []
    for part, file in FILES.items():
        packed, plain = folder / f"{file}.gz", folder / file
        path = packed if packed.exists() else plain
        if path.exists():
            arrays[part] = verified(source, part, read_idx(path, source.shape(part)), path)
        else:
            missing.append(packed)
    if arrays and missing:
        raise DataError(f"{missing[0]}: missing, though others of the four files are there")
    return arrays or None


def read_own_folder(name: str, folder: str | Path | None) -> Arrays | None:
    """Read a data set from the user's own folder, if it is there; faults are left for the user to mend."""
    said = "MODLIB_DATA" if folder is None else "folder"
    chosen = os.environ.get("MODLIB_DATA", "") if folder is None else folder
    if not _checks.instance(chosen, said, (str, os.PathLike), "path"):
        return None
    root = Path(chosen)
    if not root.is_dir():
        raise DataError(f"{said}={str(chosen)!r}: no such folder; name one that exists, or leave {said} out")
    for place in (*(root / sub for sub in SOURCES[name].folders), root):
        try:
            arrays = read_folder(SOURCES[name], place)
        except DataError as error:
            if place == root and any(_holds(source, root) for source in SOURCES.values()):
                continue  # it is another data set
            raise DataError(
                f"{error}. {root} is yours, so nothing in it was changed: put a good copy there, "
                f"or leave {said} out to have {name} fetched."
            ) from error
        if arrays is not None:
            log.debug("%s: from %s", name, place)
            return arrays
    log.info("%s: not in %s", name, root)
    return None


def _holds(source: Source, folder: Path) -> bool:
    """Tell whether a folder has all files of a data set, undamaged."""
    try:
        return read_folder(source, folder) is not None
    except DataError:
        return False


def read_cache(source: Source, faults: list[str]) -> Arrays | None:
    """Read the cache; remove a damaged file, add it to the faults, and count the data set as missing."""
    arrays = {}
    for part, file in FILES.items():
        path = cached(source) / f"{file}.gz"
        if not path.exists():
            continue
        try:
            arrays[part] = verified(source, part, read_idx(path, source.shape(part)), path)
        except DataError as error:
            log.warning("%s; removed from the cache", error)
            faults.append(f"{error} (removed from the cache)")
            path.unlink(missing_ok=True)
    return arrays if len(arrays) == len(FILES) else None


def write_folder(folder: Path, arrays: Arrays) -> None:
    """Write the four gzipped files into a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for part, array in arrays.items():
            whole = Path(scratch) / f"{FILES[part]}.gz"
            whole.write_bytes(idx_gz(array))
            whole.replace(folder / whole.name)
    log.info("kept in %s", folder)
