"""Files that are written whole or not at all, read with errors that name them, and a lock on their folder."""

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: runs of one experiment at a time are then up to the user
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class StoreError(ValueError):
    """Stored results are damaged or are not what was asked for; the message names the file and the remedy."""


@contextmanager
def damage_named(source: str | Path, remedy: str) -> Iterator[None]:
    """Turn whatever error damaged bytes cause in a reader into one that names their file."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__  # one line, for the command line
        raise StoreError(f"{source} is damaged ({reason}); {remedy}") from error


def write(path: Path, content: bytes) -> None:
    """Write a file whole: under another name beside it, flushed to the disk, and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def exclusive(folder: Path, lock_in: str = "shards") -> Iterator[None]:
    """Let one process at a time work in a folder while others wait; a killed process loses its lock.

    The lock is a file in the subfolder `lock_in`. Where the file system has no locks, a warning says so.
    """
    lock_file = folder / lock_in / ".lock"
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            if fcntl is not None:
                _lock(lock.fileno(), folder)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning("%s cannot be locked (%s): start no other run of it meanwhile", folder, error)
        for left_over in folder.rglob(".*.part"):  # by a process that was killed while it wrote
            left_over.unlink(missing_ok=True)
        yield


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("waiting for another process that works on %s", folder)
        fcntl.flock(handle, fcntl.LOCK_EX)
