"""What keeps the book from being built, told in words of the person who builds it."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Errors of a disk that the person who builds the book can mend.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


class BookError(RuntimeError):
    """The book could not be built; the message says which part, and why."""


def without_colours(log: str) -> str:
    """Return text without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log)


class ChapterError(ValueError):
    """There is no such chapter; the message says which there are."""


@contextmanager
def folder_named(folder: Path) -> Iterator[None]:
    """Turn the error of a full or read-only disk, which may not say where it arose, into one that does."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise BookError(f"{error.filename or folder}: {error.strerror}") from error
