"""Where the project lies on the disk: the one place that knows how deep in it the package is."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
"""The folder of modlib itself."""

ROOT = PACKAGE.parent
"""The folder of ``_toc.yml`` where modlib is a checkout; else the folder above the package."""


def of_checkout(path: Path) -> Path:
    """Return the path of a file that a checkout holds and a wheel does not, or raise a FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: stored tables come with the project's repository, not with the installed "
            "package; clone the repository, and install modlib from there"
        )
    return path


def results_folder() -> Path:
    """`$MODLIB_RESULTS`, else ``results/`` of the project that modlib is installed from, else of here."""
    if named := os.environ.get("MODLIB_RESULTS"):
        return Path(named)
    return (ROOT if (ROOT / "_toc.yml").exists() else Path.cwd()) / "results"
