"""The wheel alone, without the checkout: what README says of one's own model works, and errors are clear."""

import os
import re
import shutil
import subprocess
import sys
import venv
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest

from modlib import extras

ROOT = Path(__file__).parents[1]
LINES, STEPS = re.findall(
    r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
)
BUILD = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
MODEL = """
import torch

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
"""
SAMPLES = "import numpy as np; np.savez('x.npz', x=np.random.rand(20, 4).astype('f'), y=np.arange(20) % 3)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the sources, by what builds it for pip, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    shutil.copytree(ROOT / "modlib", sources / "modlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text.md"):
        shutil.copy(ROOT / name, sources)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=sources, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Give a Python whose environment holds the wheel, unpacked as pip does, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    return folder / "bin" / "python"


def run(python, folder, *words, without=()):
    """Run Python in a folder, with links to the packages that are installed here, but for some of them."""
    packages = folder.with_name(f"{folder.name} packages")
    packages.mkdir(exist_ok=True)
    for path in chain(*(Path(place).iterdir() for place in sys.path if place.endswith("site-packages"))):
        if path.suffix != ".pth" and path.stem not in {*without, "modlib"}:
            link = packages / path.name
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MODLIB"))
    }
    return subprocess.run(
        [python, *words],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(packages), "HOME": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


#: Of the book, of experiments and of the bound, none of which a report needs.
OTHERS = sorted({name for of in extras.EXTRAS.values() for name in of} - set(extras.EXTRAS["report"]))


def test_the_lines_in_readme_work(installed, tmp_path):
    code = f"import modlib\nassert {str(installed.parents[1])!r} in modlib.__file__\n{LINES}"
    done = run(installed, tmp_path, "-c", code, without=OTHERS)
    assert done.returncode == 0, done.stderr
    assert "layer 1: 32 units, 200 samples" in done.stdout
    assert {"report.html", "modules.csv", "graphs"} <= {path.name for path in (tmp_path / "run1").iterdir()}


def test_the_steps_in_readme_need_no_extra(installed, tmp_path):
    everything = {name for of in extras.EXTRAS.values() for name in of}
    done = run(installed, tmp_path, "-c", LINES.split("report =")[0] + STEPS, without=sorted(everything))
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:2]] == ["input_grad", "output_grad"]


def test_the_command_that_reports_works(installed, tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    assert run(installed, tmp_path, "-c", SAMPLES).returncode == 0
    words = "-m modlib report model.py:build --layer 1 --data x.npz --save run1 --draws 2 --restarts 1"
    done = run(installed, tmp_path, *words.split(), without=OTHERS)
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "run1" / "report.html").read_text(encoding="utf-8")


ASKED = """
import runpy, modlib
from modlib.paper import new_seeds, published
from modlib.paper.simulations import coverage, rejections
for read in (published.q, published.accuracy, lambda: new_seeds.frozen_levels("wide"), coverage.stored,
             lambda: rejections.read("size")):
    try:
        read()
    except FileNotFoundError as error:
        print(error)
for command in ("book", "check"):
    sys.argv[1:] = [command]
    try:
        runpy.run_module("modlib", run_name="__main__")
    except SystemExit as end:
        print(end.code)
"""


def test_what_belongs_to_the_checkout_is_said_to_be_missing_and_how_to_get_it(installed, tmp_path):
    done = run(installed, tmp_path, "-W", "ignore", "-c", "import sys" + ASKED)
    *lacking, book, problem, check = done.stdout.splitlines()
    assert len(lacking) == 5, done.stderr
    for line, file in zip(
        lacking, ("q.csv", "accuracy.csv", "levels.csv", "coverage.csv", "size.csv"), strict=True
    ):
        assert re.match(rf"there is no \S+{file}: stored tables come with the project's repository", line)
    assert [book, check] == ["1", "1"]
    assert done.stderr.startswith("Error: no _toc.yml in ")
    assert problem.endswith("/results/verdicts: nothing is on record")
    assert "Traceback" not in done.stderr
