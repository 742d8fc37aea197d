"""Models and samples from files: what is read, and what is refused in one line."""

import pickle
import re

import numpy as np
import pytest
import torch

from modlib.reporting.from_files import load_model, load_samples

MODEL = """
from dataclasses import dataclass
import torch
from helper import WIDTH

@dataclass
class Size:
    width: int = WIDTH

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, Size().width), torch.nn.ReLU(), torch.nn.Linear(6, 3))

def number():
    return 3

word = "build"
"""


@pytest.fixture
def model_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)  # and takes away what is added
    (tmp_path / "helper.py").write_text("WIDTH = 6")
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path / "model.py"


def test_the_function_of_a_file_makes_the_model(model_file):
    model = load_model(f"{model_file}:build")
    assert [type(part).__name__ for part in model] == ["Linear", "ReLU", "Linear"]
    assert model[0].out_features == 6


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (":number", "must return a torch.nn.Module, got int"),
        (":word", "which has no word"),
        (":biuld", "which has no biuld"),
        (":", "must name a Python file and a function"),
        ("", "must name a Python file and a function"),
        (":build()", "must name a Python file and a function"),
    ],
)
def test_what_makes_no_model_is_refused(model_file, function, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        load_model(f"{model_file}{function}")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must name a Python file"):
        load_model(f"{tmp_path / 'model.py'}:build")


X, Y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 1])


@pytest.mark.parametrize("labels", [True, False])
def test_arrays_are_read(tmp_path, labels):
    np.savez(tmp_path / "a.npz", x=X, **({"y": Y} if labels else {}))
    x, y = load_samples(tmp_path / "a.npz")
    np.testing.assert_array_equal(x, X)
    assert (y is None) is not labels
    assert not labels or y.tolist() == Y.tolist()


@pytest.mark.parametrize("form", [lambda x, y: {"x": x, "y": y}, lambda x, y: (x, y), lambda x, _: x])
def test_tensors_are_read(tmp_path, form):
    torch.save(form(torch.tensor(X), torch.tensor(Y)), tmp_path / "a.pt")
    x, y = load_samples(tmp_path / "a.pt")
    assert torch.equal(x, torch.tensor(X))
    assert y is None or torch.equal(y, torch.tensor(Y))


class Trap:
    """Something that runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([Trap()], dtype=object))
    torch.save({"x": Trap()}, tmp_path / "a.pt")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    for name, said in (
        ("a.npz", "an archive of arrays"),
        ("a.pt", "a file of tensors"),
        ("b.npz", "an archive"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            load_samples(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("write", "name", "said"),
    [
        (lambda path: np.savez(path, inputs=X), "a.npz", "holds inputs"),
        (lambda path: np.savez(path, x=X, z=Y), "a.npz", "holds x, z"),
        (lambda path: np.savez(path), "a.npz", "holds nothing"),
        (lambda path: torch.save(torch.nn.Linear(2, 2).state_dict(), path), "a.pt", "holds weight, bias"),
        (lambda path: torch.save(3, path), "a.pt", "holds a int"),
        (lambda path: path.write_bytes(b""), "a.pt", "a file of tensors"),
        (lambda path: path.write_bytes(b""), "a.npz", "an archive of arrays"),
        (lambda path: path.write_text("x,y"), "a.csv", "ends in .npz or .pt"),
    ],
)
def test_other_files_are_refused(tmp_path, write, name, said):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=said):
        load_samples(tmp_path / name)
