"""A run that is killed, finds no room or may not write: nothing is torn or lost, the tables are the same."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from tiny import TINY, assert_same_tables, run_in_one_go, shards_in

from modlib.study import catalogue, runner, shard_files
from modlib.study.shard import train_shard

KILLS = 50
#: The command line, with the experiment of a second among those it knows.
COMMAND = """
from tiny import TINY
from modlib.study import catalogue
catalogue.EXPERIMENTS["tiny"] = {"quick": TINY, "paper": TINY}
from modlib.__main__ import main
main(["run", "tiny", "--profile", "quick", "--device", "cpu", "--workers", "0"])
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run_in_one_go(tmp_path_factory.mktemp("uninterrupted"))


def run_tiny(folder):
    """Go on with the run in a process of its own."""
    os.environ["MODLIB_RESULTS"] = folder
    catalogue.EXPERIMENTS["tiny"] = {"quick": TINY, "paper": TINY}
    runner.run("tiny", device="cpu", workers=0)


# --- killed


@pytest.mark.long
@pytest.mark.slow
def test_killed_at_fifty_random_moments_it_ends_in_the_same_tables(tmp_path, uninterrupted, record_property):
    """Each run goes on where the one before was killed; what is finished is checked and begun anew."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["modlib.study.runner", "test_interruptions"])
    folder, moments = tmp_path / "tiny-quick", random.Random(0)
    kills = ends = in_a_row = 0

    def left_alone():
        start = time.monotonic()
        process = context.Process(target=run_tiny, args=(str(tmp_path),))
        process.start()
        process.join(120)
        assert process.exitcode == 0
        assert_same_tables(folder, uninterrupted)
        return time.monotonic() - start

    for _ in range(2):  # the first waits for the server that all are forked from
        length = left_alone()
        shutil.rmtree(folder)
    while kills < KILLS:
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.zip") if path.is_file()}
        process = context.Process(target=run_tiny, args=(str(tmp_path),))
        process.start()
        process.join(moments.uniform(0, length))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
            in_a_row += 1
            if in_a_row % 15 == 0:  # the machine has become slower: no run would end any more
                length *= 2
        else:
            assert process.exitcode == 0
        if (folder / "manifest.json").exists():
            assert_same_tables(folder, uninterrupted)
            ends += 1
            in_a_row = 0
            shutil.rmtree(folder)
        else:  # shards that were there are there still, as they were
            finished = [path for path in before if not path.stem.endswith(".trained")]
            assert all(path.stat().st_mtime_ns == before[path] for path in finished)
    left_alone()
    assert not list(folder.rglob("*.part"))
    assert ends >= 3  # kills late enough that runs ended in between
    record_property("kills", kills)
    record_property("ends", ends)


# --- no room, no leave, in a file system of the test's own


def in_a_namespace(setup, folder):
    """Run the command with `setup` done to its view of the file system; give exit code and what it said."""
    script = f"{setup} && {sys.executable} -c '{COMMAND}'"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        env=os.environ | {"MODLIB_RESULTS": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def _namespaces():
    """Skip where the system lets nobody mount."""
    with contextlib.suppress(OSError):
        words = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return
    pytest.skip("no mount namespaces here")


@pytest.mark.slow
@pytest.mark.usefixtures("_namespaces")
def test_a_full_disk_stops_the_run_with_a_word_and_it_goes_on_when_there_is_room(
    tmp_path, uninterrupted, monkeypatch
):
    """Room for the first shard: it is kept whole, and of the one that finds no room nothing is."""
    results, kept = tmp_path / "results", tmp_path / "kept"
    results.mkdir()
    kept.mkdir()
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "measured"))
    shard = TINY.shards()[0].name  # whose weights lie beside its tables for a moment
    shard_files.write_trained(TINY, shard, train_shard(TINY, TINY.shards()[0], "cpu"))
    weights = shard_files.shard_file(TINY, f"{shard}.trained").stat().st_size
    room = weights + int(1.2 * next(uninterrupted.rglob(f"{shard}.zip")).stat().st_size)
    setup = f'mount -t tmpfs -o size={room} tmpfs {results} && trap "cp -r {results}/. {kept}" EXIT'
    code, said = in_a_namespace(setup, results)
    assert code == 1
    assert "No space left on device" in said.splitlines()[-1]
    assert "Traceback" not in said
    folder = kept / "tiny-quick"
    assert not list(folder.rglob("*.part"))
    assert not (folder / "manifest.json").exists()
    assert 1 <= len(shards_in(folder)) < 3
    whole = {path: path.read_bytes() for path in folder.rglob("*.zip") if ".trained" not in path.name}
    run = get_context("spawn").Process(target=run_tiny, args=(str(kept),))
    run.start()
    run.join(120)
    assert run.exitcode == 0
    assert all(path.read_bytes() == content for path, content in whole.items())
    assert_same_tables(folder, uninterrupted)


@pytest.mark.slow
@pytest.mark.usefixtures("_namespaces")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    setup = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    code, said = in_a_namespace(setup, tmp_path)
    assert code == 1
    last = said.splitlines()[-1]
    assert "Read-only file system" in last
    assert str(tmp_path) in last
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("_namespaces")
def test_what_is_stored_is_read_where_nothing_may_be_written(uninterrupted):
    root = uninterrupted.parent
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    setup = f"mount --bind {root} {root} && mount -o remount,bind,ro {root}"
    code, said = in_a_namespace(setup, root)
    assert code == 0, said
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
