"""From a model to a report: 256 channels of a residual network over pictures of 32 × 32.

Two things are measured. The input gradient of all units, exact and from random directions, is timed side by
side. And a whole report, from ``import modlib`` to its page, runs in a process of its own, with its memory:
``python -m benchmarks.report IMAGES`` runs one.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.project import ROOT
from benchmarks.residual import CLASSES, resnet18
from benchmarks.timing import race
from modlib.book.chapters.speed.estimates import quartiles, ratios

LAYER = "layer3"
PROBES = 8  # the error is then at most √(2 / 8,000), or .016, with 1,000 images
SIDE = 32  # pixels
EXACT, ESTIMATED = "exact", f"{PROBES} directions"
#: Ratio that is asked about.
RATIOS = ((EXACT, ESTIMATED),)


def measure(*, rounds: int = 3, few: int = 20, images: int = 1000) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Race the two ways to the input gradient over `few` pictures, and run whole reports over all `images`.

    Returns
    -------
    table
        `contestant` (exact, estimated, whole report), `round`, `seconds`.
    about
        How it was measured, the ratio, and the most `memory_gib` that a process with a report held.
    """
    import modlib

    model, (x, y) = resnet18(), pictures(few)

    def gradient(probes: int | None) -> object:
        return modlib.similarities(model, LAYER, x, y, measures="input_grad", probes=probes)

    raced = race({EXACT: lambda: gradient(None), ESTIMATED: lambda: gradient(PROBES)}, rounds=rounds)
    wholes = [_apart(images) for _ in range(rounds)]
    rows = [["whole report", number, whole["seconds"]] for number, whole in enumerate(wholes)]
    table = pd.concat([raced, pd.DataFrame(rows, columns=list(raced))], ignore_index=True)
    about = {
        "unit": "seconds",
        "few": few,
        "images": images,
        "channels": wholes[0]["channels"],
        "probes": PROBES,
        "memory_gib": max(whole["gib"] for whole in wholes),
        "ratios": {
            f"{slow} / {fast}": quartiles(ratios(raced, slow, fast))._asdict() for slow, fast in RATIOS
        },
    }
    return table, about


def pictures(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give pictures of noise, and labels."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 3, SIDE, SIDE, generator=generator)
    return x, torch.randint(CLASSES, (n,), generator=generator)


def _apart(images: int) -> dict[str, float]:
    """Run a whole report in a process of its own; the start of Python counts."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.report", str(images)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {"seconds": time.perf_counter() - start, **json.loads(done.stdout)}


def _whole(images: int) -> dict[str, float]:
    """Report on the layer and write the page; say how many channels there are and how much memory it took."""
    import modlib

    x, y = pictures(images)
    report = modlib.report(resnet18(), LAYER, x, y, probes=PROBES, permuted=False)
    with tempfile.TemporaryDirectory() as folder:
        report.save(Path(folder) / "report")
    # The most memory of a process is given in KiB on Linux, and in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"channels": len(report.modules.labels.iloc[0]), "gib": round(most / 2**30, 2)}


if __name__ == "__main__":
    print(json.dumps(_whole(int(sys.argv[1]))))
