"""Pages as PDF, printed by a Chromium where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from modlib.book.builder.errors import BookError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of a Chromium: that named in $CHROMIUM, or one of the system's, or None."""
    return next(
        (found for name in (os.environ.get("CHROMIUM"), *_NAMES) if (found := shutil.which(name or ""))), None
    )


def to_pdf(page: Path, browser: str, *, to: Path | None = None, drawing: int = 0) -> Path:
    """Print a page to a PDF, by default beside it, and return that; a BookError says why it cannot be.

    A page whose scripts draw is given so many seconds of its own clock for it, which pass faster than ours.
    """
    printed = page.with_suffix(".pdf") if to is None else to
    printed.unlink(missing_ok=True)
    # A browser that runs as root, as in a container, has no sandbox. The page is our own.
    options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    options += [f"--virtual-time-budget={1000 * drawing}"] if drawing else []
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", *options, f"--user-data-dir={profile}"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BookError(f"{browser} could not print {page.name}: {error}") from error
    if done.returncode or not printed.is_file():
        raise BookError(f"{browser} could not print {page.name}: {done.stderr.strip()[-500:]}")
    return printed
