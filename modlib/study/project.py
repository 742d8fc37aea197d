"""Where the project lies on the disk: the one place that knows how deep in it the package is."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
"""The folder of modlib itself."""

ROOT = PACKAGE.parent
"""The folder of ``_toc.yml`` where modlib is a checkout; else the folder above the package."""


def results_folder() -> Path:
    """`$MODLIB_RESULTS`, else ``results/`` of the project that modlib is installed from, else of here."""
    if named := os.environ.get("MODLIB_RESULTS"):
        return Path(named)
    return (ROOT if (ROOT / "_toc.yml").exists() else Path.cwd()) / "results"
