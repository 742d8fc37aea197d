"""How far the tables of one machine may lie from those of another: the same run with other instructions.

A processor that lacks some instructions is imitated by switching them off in the libraries that multiply
matrices; a switch for instructions that the machine lacks anyway changes nothing. The experiment `base` runs
at its quick profile once as the machine is and once for each set of switches, each time in processes of its
own, and the tables are compared row by row.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

EXPERIMENT = "base"
#: Environment variables that choose the instructions, by a name for the page.
SWITCHES: dict[str, dict[str, str]] = {
    "the same again": {},
    "other NumPy kernels": {"OPENBLAS_CORETYPE": "Haswell"},
    "at most AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "at most AVX": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "AVX",
        "ONEDNN_MAX_CPU_ISA": "AVX",
    },
}


def measure() -> tuple[pd.DataFrame, dict[str, object]]:
    """Run the experiment as the machine is and with every set of switches, and compare.

    Returns
    -------
    table
        `switches`; `quantity` (`test_accuracy` of a network, `q` of a graph); `rows` compared; `largest` and
        `median` absolute difference; `equal`, the share of rows that are the same to the last bit; and
        `partitions`, for `q`, the share of partitions that are the same unit by unit.
    about
        Experiment, profile and switches.
    """
    with tempfile.TemporaryDirectory(prefix="modlib-processors-") as scratch:
        own = _tables(Path(scratch) / "own", {})
        rows = []
        for number, (name, switches) in enumerate(SWITCHES.items()):
            other = _tables(Path(scratch) / str(number), switches)
            rows += [{"switches": name, **row} for row in compare(own, other)]
    return pd.DataFrame(rows), {"experiment": EXPERIMENT, "profile": "quick", "switches": SWITCHES}


def compare(own: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> list[dict[str, object]]:
    """Compare accuracies, Q and partitions of two runs of one experiment, row by row."""
    rows: list[dict[str, object]] = []
    for table, quantity in (("networks", "test_accuracy"), ("modules", "q")):
        a, b = (run[table][quantity].to_numpy(dtype=float) for run in (own, other))
        gap = np.abs(a - b)[~(np.isnan(a) & np.isnan(b))]  # a graph without edges has no Q in either
        rows.append(
            {
                "quantity": quantity,
                "rows": len(gap),
                "largest": float(gap.max()),
                "median": float(np.median(gap)),
                "equal": float((gap == 0).mean()),
                "partitions": np.nan,
            }
        )
    same = [np.array_equal(a, b) for a, b in zip(own["modules"].labels, other["modules"].labels, strict=True)]
    rows[-1]["partitions"] = float(np.mean(same))
    return rows


def _tables(results: Path, switches: dict[str, str]) -> dict[str, pd.DataFrame]:
    command = [sys.executable, "-m", "modlib", "run", EXPERIMENT, "--profile", "quick", "--device", "cpu"]
    environment = {**os.environ, **switches, "MODLIB_RESULTS": str(results)}
    subprocess.run(command, env=environment, check=True)
    folder = results / f"{EXPERIMENT}-quick"
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("networks", "modules")}
