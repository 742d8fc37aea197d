"""Running an experiment: the same tables however it is run, resumed anywhere, no long run unawares."""

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import SHARDS, TABLES, TINY, assert_same_tables, copy_shards, run_in_one_go, shards_in

from modlib import data
from modlib.measures import VARIANTS
from modlib.networks import MLPStack
from modlib.study import catalogue, estimate, files, project, runner, schema, shard, shard_files, workers
from modlib.study.files import StoreError
from modlib.study.rows import analyse
from modlib.training import Protocol, train

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": TINY, "paper": TINY})
    monkeypatch.setattr(data, "load", load)


load = cache(data.load)  # in this process: half a second a shard


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the results of one test are."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    return tmp_path / "tiny-quick"


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """Give a folder with the results of a run in one process and in one go."""
    return run_in_one_go(tmp_path_factory.mktemp("uninterrupted"))


def tables_of(folder):
    return {name: (folder / name).read_bytes() for name in TABLES}


@pytest.fixture
def computed(monkeypatch):
    """List the shards that this process computes."""
    names, compute = [], workers.compute_shard

    def counting(experiment, shard, device, **options):
        names.append(shard.name)
        compute(experiment, shard, device, **options)

    monkeypatch.setattr(workers, "compute_shard", counting)
    return names


# ---------------------------------------------------------------- what the tables hold


@pytest.mark.usefixtures("one_thread")
def test_tables_are_what_training_and_analysis_give(uninterrupted, monkeypatch):
    """Seed 7 once more, by hand."""
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    results = runner.run("tiny")
    mnist = data.load("mnist")
    stack = MLPStack.initialise([784, 8, 8, 10], seeds=[7] * 3)
    trained = train(
        stack,
        mnist.x_train[:400],
        mnist.y_train[:400],
        seeds=[7] * 3,
        l1=[0.0, 1e-4, 0.0],
        l2=[1e-3, 1e-5, 1e-5],
        dropout=[0.0, 0.0, 0.25],
        protocol=TINY.protocol,
    )
    names = ["l2=0.001,seed=7", "l1=0.0001,seed=7", "dropout=0.25,seed=7"]
    x, y = mnist.x_test[:200], mnist.y_test[:200]
    modules, agreement = analyse(trained.stack, x, y, names, restarts=2)
    for table, expected in ((results.modules, modules), (results.agreement, agreement)):
        found = table[table.network.isin(names)].reset_index(drop=True)
        assert len(found) == len(expected)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)
    rows = results.networks.set_index("network").loc[names]
    np.testing.assert_allclose(rows.val_loss, trained.val_loss, rtol=1e-6)
    assert rows.epochs.tolist() == trained.epochs.tolist() == [2, 2, 2]
    with torch.no_grad():
        hits = [(trained.stack.module(i)(x).argmax(1) == y).double().mean() for i in range(3)]
    assert rows.test_accuracy.tolist() == pytest.approx([float(h) for h in hits])
    assert rows.seed.tolist() == [7] * 3
    assert rows[["regularizer", "strength", "l1", "l2", "dropout"]].to_numpy().tolist() == [
        ["l2", 1e-3, 0, 1e-3, 0],
        ["l1", 1e-4, 1e-4, 1e-5, 0],
        ["dropout", 0.25, 0, 1e-5, 0.25],
    ]


def test_every_network_is_there_once_and_in_order(uninterrupted, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    results = runner.run("tiny")
    settings = ["l2=0.001", "l1=0.0001", "dropout=0.25"]
    names = [f"{s},seed={seed}" for seed in (4, 7) for s in settings]
    names += [f"untrained,seed={seed}" for seed in range(3)]
    assert results.networks.network.tolist() == names
    assert results.networks.trained.tolist() == [True] * 6 + [False] * 3
    assert set(results.networks.experiment) == {"tiny"}
    assert set(results.networks.hidden) == {"8-8"}
    assert results.networks.val_loss.isna().tolist() == [False] * 6 + [True] * 3
    for table, per_layer in ((results.modules, len(VARIANTS)), (results.agreement, 28)):
        assert table.groupby("network").size().to_dict() == dict.fromkeys(names, 2 * per_layer)


def test_kept_networks_are_those_of_the_first_seed(uninterrupted, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    results = runner.run("tiny")
    assert set(results.kept) == {"dropout=0.25,seed=4", "untrained,seed=0"}
    initial = MLPStack.initialise([784, 8, 8, 10], seeds=[0])
    assert torch.equal(results.kept["untrained,seed=0"].weights[0], initial.weights[0])
    mnist = data.load("mnist")
    x, y = mnist.x_test[:200], mnist.y_test[:200]
    for name, stack in results.kept.items():
        hits = (stack(x)[1][0].argmax(1) == y).double().mean()
        row = results.networks.set_index("network").loc[name]
        assert row.test_accuracy == pytest.approx(float(hits))


def test_manifest_says_what_was_run(uninterrupted, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    manifest = runner.run("tiny").manifest
    assert manifest["config"] == TINY.config
    assert manifest["digest"] == TINY.digest
    assert manifest["data_sha256"] == data.load("mnist").sha256
    assert manifest["versions"]["torch"] == version("torch")
    assert set(manifest["seconds"]) == {"training", "analysis", "nulls", "choices"}
    assert all(seconds > 0 for seconds in manifest["seconds"].values())


# ---------------------------------------------------------------- however it is run


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_tables_do_not_depend_on_the_workers(uninterrupted, folder, workers):
    runner.run("tiny", device="cpu", workers=workers)
    assert_same_tables(folder, uninterrupted)


def test_tables_do_not_depend_on_torchs_threads(uninterrupted, folder):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        runner.run("tiny", device="cpu", workers=0)
        assert torch.get_num_threads() == before + 1  # as it was found
    finally:
        torch.set_num_threads(before)
    assert_same_tables(folder, uninterrupted)


def test_tables_do_depend_on_the_configuration(uninterrupted, folder, monkeypatch):
    """Else the comparisons here would say nothing."""
    other = replace(TINY, protocol=replace(TINY.protocol, learning_rate=1.01e-3))
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": other})
    runner.run("tiny", device="cpu", workers=0)
    for name in TABLES:
        assert (folder / name).read_bytes() != (uninterrupted / name).read_bytes()


def test_second_call_computes_nothing(uninterrupted, monkeypatch, computed):
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in uninterrupted.rglob("*") if p.is_file()}
    monkeypatch.setattr(estimate, "seconds", lambda *_, **__: pytest.fail("nothing to estimate"))
    first, second = runner.run("tiny"), runner.run("tiny", profile="quick", workers=0)
    pd.testing.assert_frame_equal(first.agreement, second.agreement)
    assert computed == []
    after = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in uninterrupted.rglob("*") if p.is_file()}
    assert after == before


@pytest.mark.parametrize("there", [SHARDS[:1], SHARDS[1:], SHARDS])
def test_only_missing_shards_are_computed(uninterrupted, folder, computed, there):
    copy_shards(uninterrupted, folder, there)
    runner.run("tiny", device="cpu", workers=0)
    assert computed == [name for name in SHARDS if name not in there]
    assert_same_tables(folder, uninterrupted)


@pytest.mark.parametrize("damage", ["flipped", "cut short"])
def test_a_damaged_shard_is_computed_again(uninterrupted, folder, computed, caplog, damage):
    copy_shards(uninterrupted, folder, SHARDS)
    path = next(folder.rglob("untrained-000.zip"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, logger="modlib"):
        runner.run("tiny", device="cpu", workers=0)
    assert computed == ["untrained-000"]
    assert str(path) in caplog.text
    assert_same_tables(folder, uninterrupted)


def test_shards_of_another_configuration_are_not_used(uninterrupted, folder, computed, monkeypatch):
    copy_shards(uninterrupted, folder, SHARDS)
    other = replace(TINY, restarts=3, seeds=(4,), untrained=1)
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": other})
    runner.run("tiny", device="cpu", workers=0)
    assert computed == ["seed-004", "untrained-000"]


@pytest.mark.parametrize("name", [*TABLES, "manifest.json"])
def test_damaged_results_are_an_error_and_left_as_they_are(uninterrupted, folder, computed, name):
    for file in (*TABLES, "manifest.json"):
        folder.mkdir(exist_ok=True)
        (folder / file).write_bytes((uninterrupted / file).read_bytes())
    content = bytearray((folder / name).read_bytes())
    content[0] ^= 1
    (folder / name).write_bytes(content)
    before = {p: p.read_bytes() for p in folder.rglob("*")}
    with pytest.raises(StoreError, match=name):
        runner.run("tiny", workers=0, long=True)
    assert {p: p.read_bytes() for p in folder.rglob("*")} == before
    assert computed == []


def test_results_of_another_configuration_are_not_overwritten(uninterrupted, monkeypatch, computed):
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": replace(TINY, restarts=3)})
    before = tables_of(uninterrupted)
    with pytest.raises(StoreError, match="another configuration of 'tiny'"):
        runner.run("tiny", workers=0)
    assert tables_of(uninterrupted) == before
    assert computed == []


@pytest.mark.slow
def test_an_error_in_a_worker_reaches_the_caller(folder, monkeypatch):
    broken = replace(TINY, dataset="no-such-data")
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": broken})
    with pytest.raises(ValueError, match="no-such-data"):
        runner.run("tiny", device="cpu", workers=1)
    assert not (folder / "manifest.json").exists()


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once_and_its_workers_do_the_rest(tmp_path):
    """Python would run it again in each process that it spawns, and each would wait for the first."""
    (tmp_path / "script.py").write_text(
        "from tiny import TINY\n"
        "from modlib.study import catalogue, runner\n\n"
        "with open('started', 'a') as file:\n    file.write('once ')\n"
        "catalogue.EXPERIMENTS['tiny'] = {'quick': TINY}\n"
        "print(len(runner.run('tiny', device='cpu', workers=2).networks), __name__)\n"
    )
    paths = os.pathsep.join([str(project.ROOT), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"MODLIB_RESULTS": str(tmp_path / "results"), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["9", "__main__"]
    assert (tmp_path / "started").read_text() == "once "


def test_a_killed_worker_is_told_with_what_can_be_done(folder, monkeypatch):
    class Pool(ProcessPoolExecutor):
        def submit(self, *_):
            raise BrokenProcessPool("a process was terminated abruptly")

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    with pytest.raises(RuntimeError, match=r"worker processes was killed, .* memory .*--workers 1.* kept"):
        runner.run("tiny", device="cpu", workers=2, long=True)


# ---------------------------------------------------------------- as on a GPU


@pytest.fixture
def pool():
    context = get_context("spawn")
    with ProcessPoolExecutor(
        2, mp_context=context, initializer=workers.start_worker, initargs=(context.Queue(),)
    ) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_way_of_a_gpu_gives_the_same_tables(uninterrupted, folder, pool):
    """Shards trained as one stack, then looked at side by side: equal but for rounding in the training."""
    shards = TINY.shards()
    workers.train_together(TINY, shards, "cpu")
    together = [shard_files.read_trained(TINY, shard.name).stack for shard in shards[:2]]
    for one, stack in zip(shards, together, strict=False):
        alone = shard.train_shard(TINY, one, "cpu").stack
        for a, b in zip(stack.weights, alone.weights, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    for one in shards[:2]:  # the very same weights, so that what is compared is the analysis
        shard_files.write_trained(TINY, one.name, shard.train_shard(TINY, one, "cpu"))
    for one in shards:
        workers.compute_shard(TINY, one, "cpu", map_=pool.map)
    assert shards_in(folder) == SHARDS
    assert not list(folder.rglob("*.trained.zip"))
    runner.run("tiny", device="cpu", workers=0)  # which finds all shards and makes the tables
    assert_same_tables(folder, uninterrupted)


def test_what_is_trained_is_not_trained_again(uninterrupted, folder, monkeypatch):
    """A run that was stopped while it looked at its networks goes on with the looking."""
    first = TINY.shards()[0]
    shard_files.write_trained(TINY, first.name, shard.train_shard(TINY, first, "cpu"))
    monkeypatch.setattr(shard, "train", lambda *_, **__: pytest.fail("trained again"))
    with workers.torch_threads(1):
        workers.compute_shard(TINY, first, "cpu")
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    expected = shard_files.read_shard(TINY, first.name).tables
    monkeypatch.setenv("MODLIB_RESULTS", str(folder.parent))
    found = shard_files.read_shard(TINY, first.name).tables
    for name in schema.TABLES:
        pd.testing.assert_frame_equal(found[name], expected[name], rtol=1e-4)


def test_shuffled_labels_are_the_same_labels_in_one_order_for_all():
    true, shuffled = (shard.training_data(replace(TINY, labels=labels)) for labels in ("true", "shuffled"))
    assert torch.equal(true[0], shuffled[0])
    assert torch.equal(true[1].bincount(), shuffled[1].bincount())
    assert (true[1] == shuffled[1]).float().mean() < 0.2  # a tenth by chance
    assert torch.equal(shuffled[1], shard.training_data(replace(TINY, labels="shuffled", seeds=(9,)))[1])


def test_nulls_and_choices_have_a_row_for_each_network_layer_and_graph(uninterrupted, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(uninterrupted.parent))
    results = runner.run("tiny")
    dropped = [f"dropout=0.25,seed={seed}" for seed in (4, 7)]
    assert results.nulls.groupby("network").size().to_dict() == dict.fromkeys(dropped, 2 * 8 * 3)
    trained = results.networks[results.networks.trained].network
    assert results.choices.groupby("network").size().to_dict() == dict.fromkeys(trained, 2 * 2 * 8)
    pairs = results.choices_agreement.groupby(["network", "choice"]).size()
    assert set(pairs) == {2 * 3 * 2}  # layers, pairs of families, with and without a measure's own form
    spectral = results.choices[results.choices.choice == "optimiser=spectral"]
    both = spectral.merge(results.modules, on=["network", "layer", "measure", "normalized"])
    assert len(both) == 6 * 2 * 8
    assert (both.q_x.isna() == both.q_y.isna()).all()  # a layer may be dead
    assert both.q_x.mean() < both.q_y.mean()
    assert np.isclose(both.q_x, both.q_y, rtol=1e-9).any()


# ---------------------------------------------------------------- interrupted


class PowerCutError(Exception):
    """Stands for whatever ends a process between two instructions."""


@pytest.mark.parametrize("file", range(11))
def test_interrupted_at_any_file_a_run_ends_in_the_same_tables(
    uninterrupted, folder, computed, monkeypatch, file
):
    """The files of a run in order: three shards, six tables, the weights, the manifest, its check sum."""
    copy_shards(uninterrupted, folder, SHARDS[:file])
    left, write = max(0, file - len(SHARDS)), files.write

    def fails(path, content):
        nonlocal left
        if not left:
            raise PowerCutError
        left -= 1
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", fails)
        with pytest.raises(PowerCutError):
            runner.run("tiny", device="cpu", workers=0)
    assert not (folder / "manifest.json").exists()
    assert len([name for name in TABLES if (folder / name).exists()]) == max(0, file - len(SHARDS))
    del computed[:]
    runner.run("tiny", device="cpu", workers=0)
    assert computed == SHARDS[file:]
    assert_same_tables(folder, uninterrupted)


RUN = """
import os, pickle, signal, sys
from modlib.study import catalogue, files, runner
experiment = pickle.loads(bytes.fromhex(sys.argv[1]))
catalogue.EXPERIMENTS["tiny"] = {"quick": experiment, "paper": experiment}
fatal, workers = int(sys.argv[2]), int(sys.argv[3])
written, write = 0, files.write
def dying(path, content):
    global written
    written += 1
    if written == fatal:  # half of the file is on the disk
        (path.parent / f".{path.name}.half.part").write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
files.write = dying
print("starting", flush=True)
runner.run("tiny", device="cpu", workers=workers)
print(f"finished, {written} files", flush=True)
"""


@pytest.fixture
def start(folder):
    """Run the experiment in a process group of its own, killed as it writes file number `fatal`."""
    started = []

    def start(*, fatal=0, workers=0):
        command = [sys.executable, "-c", RUN, pickle.dumps(TINY).hex(), str(fatal), str(workers)]
        environment = {**os.environ, "MODLIB_RESULTS": str(folder.parent), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, env=environment, start_new_session=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):  # the rule: all of the group have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def end(process):
    """Wait until every process that shares the pipe has ended; give what they said."""
    try:
        return process.communicate(timeout=120)[0].decode()
    except subprocess.TimeoutExpired:
        pytest.fail("two minutes later there is still a process at work, or waiting")


def children(pid):
    """Count the processes that a process has started (Linux)."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found += int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid
        except (OSError, IndexError):  # it has just ended
            continue
    return found


@needs_kill
@pytest.mark.long
def test_killed_again_and_again_a_run_ends_in_the_same_tables(uninterrupted, folder, start):
    """Die as the second shard is kept; then, two shards and two tables later, within the third table."""
    for fatal, shards, n_tables in ((4, SHARDS[:1], 0), (5, SHARDS, 2)):
        process = start(fatal=fatal)
        said = end(process)
        assert process.returncode == -signal.SIGKILL, said
        assert shards_in(folder) == shards
        assert [name for name in TABLES if (folder / name).exists()] == TABLES[:n_tables]
        assert not (folder / "manifest.json").exists()
        assert len(list(folder.rglob(".*.part"))) == 1
    process = start()
    assert "finished, 9 files" in end(process)
    assert process.returncode == 0
    assert_same_tables(folder, uninterrupted)
    assert not list(folder.rglob(".*.part"))


@needs_kill
@pytest.mark.long
@pytest.mark.parametrize(
    ("victim", "workers", "shards"), [("parent", 2, 0), ("parent", 1, 1), ("group", 1, 2)]
)
def test_killed_with_workers_at_work(uninterrupted, folder, start, victim, workers, shards):
    """Kill after so many shards; no worker is left behind, even where only the parent was killed."""
    process = start(workers=workers)
    deadline = time.monotonic() + 100
    # Wait for the workers and the process that multiprocessing cleans up with, too.
    while len(shards_in(folder)) < shards or (not shards and children(process.pid) < workers + 1):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    (os.kill if victim == "parent" else os.killpg)(process.pid, signal.SIGKILL)
    killed = time.monotonic()
    end(process)  # returns when the last process that holds the pipe is gone
    assert time.monotonic() - killed < 30
    assert process.returncode == -signal.SIGKILL
    runner.run("tiny", device="cpu", workers=0)
    assert_same_tables(folder, uninterrupted)


@pytest.mark.slow
def test_two_processes_at_once_share_the_work(uninterrupted, folder, start):
    """As notebooks do that are run side by side: the second waits, and computes and writes nothing."""
    both = [start(), start()]
    said = [end(process) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(words.split("finished, ")[1] for words in said) == ["0 files\n", "14 files\n"]
    assert_same_tables(folder, uninterrupted)


# ---------------------------------------------------------------- no long run unawares


def test_a_long_run_is_announced_and_not_started(tmp_path, monkeypatch):
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "results"))
    networks, steps = [], []
    train, analyse = estimate.train, estimate.analyse

    def trained(stack, x, y, *, protocol, **settings):
        steps.append(protocol.max_epochs * (len(x) // protocol.batch))
        return train(stack, x, y, protocol=protocol, **settings)

    def analysed(stack, *rest, **options):
        networks.append(len(stack))
        return analyse(stack, *rest, **options)

    monkeypatch.setattr(estimate, "train", trained)
    monkeypatch.setattr(estimate, "analyse", analysed)
    with pytest.raises(runner.LongRunError) as error:
        runner.run("base-v1", profile="paper", device="cpu", workers=2)
    assert networks == [1, 1]  # the trial is a matter of seconds
    assert sum(steps) <= 100
    message = str(error.value)
    assert "python -m modlib run base-v1 --profile paper" in message
    assert "370 of 370 networks to compute on cpu with 2 at work, about" in message
    assert "long=True" in message
    assert not (tmp_path / "results").exists()


def test_tables_of_the_project_that_were_deleted_can_be_restored(tmp_path, monkeypatch):
    monkeypatch.delenv("MODLIB_RESULTS", raising=False)
    monkeypatch.setattr(project, "ROOT", tmp_path)
    (tmp_path / "_toc.yml").touch()
    monkeypatch.setattr(estimate, "seconds", lambda *_, **__: 1e6)
    with pytest.raises(runner.LongRunError, match=r"restore them: git checkout results/base-paper$"):
        runner.run("base", profile="paper", device="cpu", workers=2)


@pytest.mark.parametrize(
    ("seconds", "long", "runs"), [(299, False, True), (301, False, False), (1e6, True, True)]
)
def test_five_minutes_are_the_limit(folder, monkeypatch, caplog, seconds, long, runs):
    def compute(experiment, missing, device, workers, epochs):
        assert [shard.name for shard in missing] == SHARDS
        raise PowerCutError

    monkeypatch.setattr(estimate, "seconds", lambda *_, **__: float(seconds))
    monkeypatch.setattr(workers, "compute", compute)
    expected = PowerCutError if runs else runner.LongRunError
    with caplog.at_level(logging.INFO, logger="modlib"), pytest.raises(expected):
        runner.run("tiny", device="cpu", workers=0, long=long)
    assert ("9 of 9 networks to compute on cpu" in caplog.text) == runs
    assert folder.exists() == runs


@pytest.mark.usefixtures("one_thread")
def test_estimate_is_of_the_right_size(folder, monkeypatch):
    """Within a factor of five, on a machine that may be busy with something else."""
    experiment = replace(
        TINY,
        seeds=(0,),
        hidden=(32, 32),
        untrained=2,
        train_samples=4000,
        test_samples=1000,
        protocol=Protocol(max_epochs=4),
    )
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": experiment})
    expected = estimate.seconds(experiment, experiment.shards())
    seconds = runner.run("tiny", device="cpu", workers=0).manifest["seconds"]
    measured = sum(seconds.values())
    assert measured / 5 < expected < 5 * measured


@pytest.fixture
def fake_clock(monkeypatch):
    """Let a step of training take 10 ms and the analysis of a network 200 ms."""
    now = [0.0]

    def train(stack, x, y, *, protocol, **_):
        training_part = len(x) - round(protocol.validation * len(x))
        now[0] += 0.5 + 0.01 * np.ceil(training_part / protocol.batch) * protocol.max_epochs

    def analyse(stack, x, y, names, *, restarts):
        now[0] += 0.2

    def repeat(run, *, repeat, number):
        spent = []
        for _ in range(repeat):
            start = now[0]
            for _ in range(number):
                run()
            spent.append(now[0] - start)
        return spent

    monkeypatch.setattr(estimate, "train", train)
    monkeypatch.setattr(estimate, "analyse", analyse)
    monkeypatch.setattr(estimate, "timeit", SimpleNamespace(repeat=repeat))


@pytest.mark.usefixtures("fake_clock")
@pytest.mark.parametrize(
    ("name", "profile", "workers", "seconds"),
    [
        ("base", "paper", 0, 9 * 40 * 270 * 0.01 + 370 * 0.2 * 5),
        ("base", "paper", 1, 9 * 40 * 270 * 0.01 + 370 * 0.2 * 5),
        ("base", "paper", 2, (9 * 40 * 270 * 0.01 + 370 * 0.2 * 5) / 2),
        # 18 networks with 39 draws, each three searches with a quarter of the runs, and the images again.
        ("base-v1", "paper", 1, 9 * 500 * 270 * 0.01 + (370 + 18 * 39 * (3 / 4 + 0.3)) * 0.2 * 5),
        # However many the workers, the longest shard takes its time.
        ("base", "paper", 64, 40 * 270 * 0.01 + 30 * 0.2 * 5),
        ("base", "quick", 1, 3 * 20 * 90 * 0.01 + 53 * 0.2),
    ],
)
def test_estimate_adds_up(name, profile, workers, seconds):
    experiment = catalogue.get(name, profile)
    assert estimate.seconds(experiment, experiment.shards(), workers=workers) == pytest.approx(
        seconds, rel=1e-9
    )


@pytest.mark.usefixtures("fake_clock")
def test_estimate_of_what_is_left():
    experiment = catalogue.get("base", "paper")
    *_, last = trained = [shard for shard in experiment.shards() if shard.trained]
    untrained = [shard for shard in experiment.shards() if not shard.trained]
    assert estimate.seconds(experiment, untrained[:2]) == pytest.approx(40 * 0.2 * 5)
    assert estimate.seconds(experiment, [last]) == pytest.approx(40 * 270 * 0.01 + 30 * 0.2 * 5)
    assert len(trained) == 9


@pytest.mark.usefixtures("fake_clock")
@pytest.mark.parametrize("batch", [1, 20, 50, 200, 1000])
def test_estimate_takes_any_batch(batch):
    experiment = replace(TINY, protocol=replace(TINY.protocol, batch=batch))
    looks = 9 + 6 * 2 + 2 * 2 * (3 / 2 + 0.3)  # by itself, by two choices, and two draws of three nulls
    expected = 2 * 2 * 360 / batch * 0.01 + looks * 0.2
    assert estimate.seconds(experiment, experiment.shards()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.4, "3 s"), (89, "89 s"), (91, "2 min"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations_are_words(seconds, words):
    assert estimate.in_words(float(seconds)) == words


# ---------------------------------------------------------------- arguments


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"experiment": "huge"}, "experiment must be one of base, .*base-v1.*; got 'huge'"),
        ({"profile": "full"}, "profile must be one of quick, paper; got 'full'"),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda; got 'gpu'"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
    ],
)
def test_bad_arguments(uninterrupted, monkeypatch, arguments, message):
    """Whether there is something to compute or not."""
    for root in (uninterrupted.parent, uninterrupted.parent / "nowhere"):
        monkeypatch.setenv("MODLIB_RESULTS", str(root))
        with pytest.raises(ValueError, match=message):
            runner.run(**{"experiment": "tiny", **arguments})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(folder):
    with pytest.raises(ValueError, match="torch sees no CUDA device; use 'auto' or 'cpu'"):
        runner.run("tiny", device="cuda")
    assert not folder.exists()


# --- another process, another day

ELSEWHERE = """
import random, sys, time
day = 400 * 86_400
time.time, now = lambda: now() + day, time.time
random.seed(99)
import numpy, torch
numpy.random.seed(99), torch.manual_seed(99)
from pathlib import Path
from tiny import run_in_one_go
run_in_one_go(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_another_process_on_another_day_gives_the_same_tables(tmp_path, uninterrupted):
    """With other hashes of texts, another clock, language and folder, and generators in use by others."""
    changed = {"PYTHONHASHSEED": "99", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    environment = {**os.environ, **changed, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_tables(tmp_path / "tiny-quick", uninterrupted)
