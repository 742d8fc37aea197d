"""Pages as PDF, printed by a Chromium where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from modlib.book.builder.errors import BookError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the path of a Chromium: that named in $CHROMIUM, or one of the system's, or None."""
    return next(
        (found for name in (os.environ.get("CHROMIUM"), *_NAMES) if (found := shutil.which(name or ""))), None
    )


def to_pdf(page: Path, browser: str) -> Path:
    """Print a page to a PDF beside it and return that; a BookError repeats what the browser says."""
    printed = page.with_suffix(".pdf")
    printed.unlink(missing_ok=True)
    # A browser that runs as root, as in a container, has no sandbox. The page is our own.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", *root, f"--user-data-dir={profile}"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BookError(f"{browser} could not print {page.name}: {error}") from error
    if done.returncode or not printed.is_file():
        raise BookError(f"{browser} could not print {page.name}: {done.stderr.strip()[-500:]}")
    return printed
