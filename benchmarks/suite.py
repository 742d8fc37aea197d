"""The tests: what each tries, how often, how long it takes, and whether it passes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.project import ROOT

#: What is run, and the marks of its tests: `make test`, and what `make test-all` runs besides.
PARTS = {"test": "not long", "test-all": "long"}


def measure() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Run all tests, as many files at a time as there are cores.

    Returns
    -------
    table
        One row a test: `part` (a key of `PARTS`), `file`, `test`, `cases` (of a test with parameters),
        `failed`, `skipped`, and `seconds` of all cases together.
    about
        `wall`, the seconds that each part took as a whole, and `found`, the properties that a test recorded.
    """
    rows: list[dict[str, object]] = []
    about: dict[str, Any] = {"wall": {}, "found": {}}
    for part, marks in PARTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            report = Path(scratch) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadfile", "-m", marks]
            command += [f"--junitxml={report}"]
            start = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
            about["wall"][part] = time.perf_counter() - start
            if done.returncode not in (0, 1):  # 1: a test failed, and is counted
                raise RuntimeError(f"pytest ended with {done.returncode}: nothing was measured")
            cases, found = cases_of(report)
        rows += [{"part": part, **case} for case in cases]
        about["found"] |= found
    table = pd.DataFrame(rows)
    keys = ["part", "file", "test"]
    return table.groupby(keys, sort=False, as_index=False).sum(numeric_only=True).round({"seconds": 2}), about


def cases_of(report: Path) -> tuple[list[dict[str, object]], dict[str, dict[str, float]]]:
    """Read the cases of a report, a row each, and what tests recorded, by the test's name."""
    cases: list[dict[str, object]] = []
    found: dict[str, dict[str, float]] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        test = case.attrib["name"].partition("[")[0]
        kinds = {child.tag for child in case}
        cases.append(
            {"file": case.attrib["classname"].rpartition(".")[2], "test": test, "cases": 1,
             "failed": int(bool(kinds & {"failure", "error"})), "skipped": int("skipped" in kinds),
             "seconds": float(case.attrib["time"])}
        )  # fmt: skip
        for recorded in case.iter("property"):
            found.setdefault(test, {})[recorded.attrib["name"]] = float(recorded.attrib["value"])
    return cases, found
