"""Gzipped IDX files from public mirrors, downloaded and verified by pooch."""

import contextlib
import sys
import threading
from pathlib import Path
from typing import Any

from modlib.data.folders import Arrays, read_folder
from modlib.data.idx import DataError
from modlib.data.sources import Source

CONNECT_SECONDS, READ_SECONDS = 3.0, 20.0  # for one connection
ANSWER_SECONDS = 6.0  # for a mirror, which may have many addresses, or a name that is never resolved


def from_mirror(source: Source, mirror: str, folder: Path) -> Arrays | None:
    """Download the files of a data set from a mirror into a folder, each whole or not at all, and read them.

    Files that the folder has already, with the known SHA-256, are not downloaded again. A DataError is raised
    if the mirror is silent, or if a file cannot be downloaded or kept or has another SHA-256.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the caller logs what it tries
    files = pooch.create(folder, base_url=mirror, registry=source.registry)
    http = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=(CONNECT_SECONDS, READ_SECONDS)
    )
    if not _answers(files, next(iter(source.registry)), http):
        raise DataError(f"{mirror}: no answer")
    for file in source.registry:
        try:
            files.fetch(file, downloader=http)
        except OSError as error:  # every error of requests is an OSError
            raise DataError(f"{mirror}{file}: {error.strerror or type(error).__name__}") from error
        except ValueError as error:
            raise DataError(f"{mirror}{file}: not the known file, its SHA-256 is another") from error
    return read_folder(source, folder)


def _answers(files: Any, file: str, http: Any) -> bool:
    """Tell whether a mirror says in time that it has a file."""
    answer = []

    def ask() -> None:
        with contextlib.suppress(OSError, ValueError):
            answer.append(files.is_available(file, http))

    thread = threading.Thread(target=ask, daemon=True)  # one that hangs must not keep the program from ending
    thread.start()
    thread.join(ANSWER_SECONDS)
    return answer == [True]
