"""What tables were made with: the commit and the digest of the code, and the device."""

import os
import platform
import subprocess
from importlib.metadata import version

import torch

from modlib.analysis.versions import PACKAGES
from modlib.study import project
from modlib.study.code_digest import digest_of_code


def decisive() -> dict[str, str]:
    """Give what decides the numbers besides the configuration: digest of the code, versions of packages."""
    return {"code": digest_of_code(), **{name: version(name) for name in PACKAGES}}


def commit() -> str:
    """Give the commit of the code, marked if it has changed since; $MODLIB_COMMIT names it for a copy."""
    if named := os.environ.get("MODLIB_COMMIT"):
        return named

    def git(*words: str) -> str:
        found = subprocess.run(["git", *words], cwd=project.ROOT, capture_output=True, text=True, check=False)
        return found.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "modlib")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except OSError:  # there is no git
        return ""


def described(device: str) -> str:
    """Name the processor or GPU of this machine that computes on a device."""
    return torch.cuda.get_device_name() if device == "cuda" else f"cpu ({platform.machine()})"


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
