"""The versions of the packages that decide the numbers in tables."""

import platform
from importlib.metadata import version

PACKAGES = ("torch", "numpy", "scipy", "igraph")


def versions() -> dict[str, str]:
    """Give the versions of modlib, of the packages that decide the numbers, and of Python."""
    found = {name: version(name) for name in ("modlib", *PACKAGES)}
    return found | {"python": platform.python_version()}
