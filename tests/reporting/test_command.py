"""The command `report`: from files to a folder, and one line where something is amiss."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from modlib import __main__ as cli

MODEL = """
import torch

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
"""
QUICK = ["--draws", "2", "--restarts", "1"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.random((20, 4), dtype=np.float32), y=rng.integers(3, size=20))
    return tmp_path


def call(*words):
    return CliRunner().invoke(cli.main, ["report", *words])


def test_a_model_in_a_file_is_reported_on(files):
    done = call("model.py:build", "--layer", "1", "--data", "x.npz", "--save", "run1", *QUICK)
    assert done.exit_code == 0, done.output
    assert "layer 1: 6 units, 20 samples" in done.output
    assert done.output.rstrip().endswith(str(files / "run1" / "report.html"))
    manifest = json.loads((files / "run1" / "manifest.json").read_text())
    assert manifest["settings"]["draws"] == 2
    assert manifest["model"] == "Sequential"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["model.py:make", "--layer", "1", "--data", "x.npz", "--save", "run1"], 1, "which has no make"),
        (["model.py:build", "--layer", "first", "--data", "x.npz", "--save", "run1"], 1, "first"),
        (["model.py:build", "--layer", "1", "--data", "y.npz", "--save", "run1"], 2, "y.npz"),
        (["model.py:build", "--layer", "1", "--data", "model.py", "--save", "run1"], 1, ".npz or .pt"),
        (["model.py:build", "--layer", "1", "--data", "x.npz", "--save", "."], 1, "to must be a new folder"),
        (["model.py:build", "--data", "x.npz", "--save", "run1"], 2, "--layer"),
    ],
)
def test_what_is_amiss_takes_one_line(files, words, code, said):
    done = call(*words, *QUICK)
    assert done.exit_code == code
    line = done.output.splitlines()[-1]
    assert line.startswith("Error: ")
    assert said in line
    assert not (files / "run1").exists()
