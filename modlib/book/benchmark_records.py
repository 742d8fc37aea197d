"""What was measured, kept with a description of the machine it was measured on.

A record is two files in ``results/benchmarks``: ``<name>-<device>.csv``, a table, and beside it
``<name>-<device>.json``, which says how and on what machine it was measured and holds the table's SHA-256.
The second is written last and makes the first count.
"""

import hashlib
import io
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from modlib.study import files, project

Device = Literal["cpu", "cuda"]
FORMAT = 1
#: Where records are: with the code that they are of, whatever folder results are read from.
FOLDER = project.ROOT / "results" / "benchmarks"


class RecordError(ValueError):
    """A record is damaged; the message names the file and what to do."""


@dataclass(frozen=True, eq=False)
class Record:
    """What was measured, how, in plain values, and on what machine, as `machine` describes it."""

    table: pd.DataFrame
    about: dict[str, Any]
    machine: dict[str, Any]


def paths(name: str, device: Device) -> tuple[Path, Path]:
    """Table and description of a record."""
    return FOLDER / f"{name}-{device}.csv", FOLDER / f"{name}-{device}.json"


def machine(device: Device) -> dict[str, Any]:
    """Processor, cores, threads, memory (GiB), device, versions, commit, and how busy the machine is now."""
    from modlib.study import provenance

    return {
        "cpu": _processor(),
        "cores": provenance.cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("modlib", "torch", "numpy", "scipy", "igraph")}
        | {"python": platform.python_version()},
        "commit": provenance.commit(),
        "load": round(os.getloadavg()[0], 2),
    }


def write(name: str, device: Device, table: pd.DataFrame, about: Mapping[str, Any]) -> Path:
    """Keep what was measured, each file whole or not at all; return where the table is."""
    csv, sidecar = paths(name, device)
    content = table.to_csv(index=False, lineterminator="\n").encode()
    check_sum = hashlib.sha256(content).hexdigest()
    whole = {"format": FORMAT, "sha256": check_sum, "rows": len(table), "about": dict(about)}
    whole["machine"] = machine(device)
    sidecar.unlink(missing_ok=True)
    files.write(csv, content)
    files.write(sidecar, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())
    return csv


def read(name: str, device: Device) -> Record:
    """Read a record back, the table checked against its SHA-256.

    A FileNotFoundError says that there is none, a RecordError that a file of it is missing or another one.
    """
    csv, sidecar = paths(name, device)
    if not csv.exists() and not sidecar.exists():
        raise FileNotFoundError(f"there is no {csv}; {_measured_by(name, device)} measures it")
    remedy = f"restore it, or measure again with {_measured_by(name, device)}"
    try:
        whole = json.loads(sidecar.read_bytes())
        if whole["format"] != FORMAT:
            raise ValueError(f"format {whole['format']}, not {FORMAT}")
        about, where, sha256 = dict(whole["about"]), dict(whole["machine"]), whole["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{sidecar} is damaged ({type(error).__name__}: {error}); {remedy}") from error
    try:
        content = csv.read_bytes()
    except OSError as error:
        raise RecordError(f"{csv} cannot be read ({error}); {remedy}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RecordError(f"{csv} is not the table that {sidecar.name} describes (SHA-256 differs); {remedy}")
    return Record(pd.read_csv(io.BytesIO(content)), about, where)


def read_if_there(name: str, device: Device) -> Record | None:
    """Read a record, or return None if there is none."""
    return read(name, device) if any(path.exists() for path in paths(name, device)) else None


def _measured_by(name: str, device: Device) -> str:
    on_gpu = f"python -m benchmarks {name} --device {device}"
    return "make bench or make trials" if device == "cpu" else on_gpu


def _processor() -> str:
    """Name of the processor's model."""
    path = Path("/proc/cpuinfo")  # of Linux
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r"^model name\s*:(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()
