"""How long `import modlib` takes, beside the libraries that it cannot do without.

Each import runs in an interpreter of its own, whose start counts as well. Every contestant
runs once before any is timed, so that the system has the files in its cache.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pandas as pd

from benchmarks.project import ROOT
from benchmarks.timing import race
from modlib.book.chapters.speed.estimates import quartiles, ratios

STATEMENTS = {"modlib": "import modlib", "libraries": "import torch, numpy, igraph"}
#: Ratio that is asked about: at most 1.6.
RATIOS = (("modlib", "libraries"),)


def measure(*, rounds: int = 9) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Race the imports; return a table of `benchmarks.timing.race`, and how it was measured."""
    contestants = {name: partial(_run, statement) for name, statement in STATEMENTS.items()}
    table = race(contestants, rounds=rounds)
    found = {f"{slow} / {fast}": quartiles(ratios(table, slow, fast))._asdict() for slow, fast in RATIOS}
    return table, {"unit": "seconds", "statements": STATEMENTS, "ratios": found}


def _run(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], cwd=ROOT, check=True)
