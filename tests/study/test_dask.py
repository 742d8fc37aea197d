"""Shards on a real cluster of processes: whatever is lost on the way, the tables are those of a local run."""

import contextlib
import gc
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cloudpickle
import distributed
import pytest
from click.testing import CliRunner
from tiny import SHARDS, TABLES, TINY, assert_same_tables, copy_shards, run_in_one_go, shards_in

from modlib import __main__ as cli
from modlib.study import catalogue, dask, files, runner, shard_files
from modlib.study.files import StoreError

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
PATIENCE = 300.0
TRAINED = SHARDS[:2]
UNTRAINED = SHARDS[2]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", {"quick": TINY, "paper": TINY})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the results of one test are."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    return tmp_path / "tiny-quick"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Give a folder with the tables of a run in this process."""
    return run_in_one_go(tmp_path_factory.mktemp("here"))


def wait_until(condition, *, over=None):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        assert not (over and over.is_set()), "the run ended first"
        time.sleep(0.02)


class Orders:
    """A folder that workers look into (`dask_worker`), and the processes that do."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.give("begun")
        self.give("ended")

    def give(self, name, text=""):
        """Put a file there."""
        (self.folder / name).write_text(text)

    def lift(self, name):
        """Take a file away."""
        (self.folder / name).unlink(missing_ok=True)

    def begun(self, what="begun"):
        """List the shards that workers have begun, each with the process that did."""
        lines = (self.folder / what).read_text().splitlines()
        return [(name, int(pid)) for name, pid in (line.split() for line in lines)]

    def clear(self, address):
        """Take all away, and wait until workers have done what a lost client may have left them."""
        for path in self.folder.iterdir():
            if path.name not in ("begun", "ended"):
                path.unlink()
        with distributed.Client(address, set_as_default=False) as client:
            # Shards that are still to begin count too: they would be noted in the next test.
            wait_until(lambda: not any(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values()))
        wait_until(lambda: not self._at_work())
        self.give("begun")
        self.give("ended")

    def _at_work(self):
        alive = {process.pid for process in self.processes if process.poll() is None}
        return [pid for _, pid in Counter(self.begun()) - Counter(self.begun("ended")) if pid in alive]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Start a scheduler and three workers, one of them with two threads; give address and orders."""
    root, orders = tmp_path_factory.mktemp("dask"), Orders(tmp_path_factory.mktemp("orders"))
    contact = root / "scheduler.json"
    # Workers know neither the results of the caller nor the name of the experiment.
    environment = {key: value for key, value in os.environ.items() if key != "MODLIB_RESULTS"}
    environment |= {
        "MODLIB_TEST_ORDERS": str(orders.folder),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }
    processes = orders.processes

    def start(module, *words):
        with (root / f"{len(processes)}.log").open("w") as said:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *words, "--no-dashboard"]
            output = {"stdout": said, "stderr": subprocess.STDOUT}
            processes.append(subprocess.Popen(command, cwd=root, env=environment, **output))

    preload = str(Path(__file__).with_name("dask_worker.py"))
    try:
        # Which port is free, the scheduler finds out.
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(contact))
        wait_until(lambda: contact.exists() and contact.read_text().endswith("}"))
        address = json.loads(contact.read_text())["address"]
        for threads in (1, 1, 2):
            start("dask_worker", address, "--nthreads", str(threads), "--no-nanny", "--preload", preload)
        wait_until(lambda: dask.threads(address) == 4)
        yield address, orders
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def address(scheduler, folder):
    scheduler[1].clear(scheduler[0])
    return scheduler[0]


@pytest.fixture
def orders(scheduler, address):
    yield scheduler[1]
    scheduler[1].clear(scheduler[0])  # whatever is held goes on


@contextlib.contextmanager
def meanwhile(action, orders):
    """Do something else in another thread, then let go of what is held; an error there is one of the test."""
    over = threading.Event()

    def act():
        try:
            action(partial(wait_until, over=over))
        finally:
            for path in orders.folder.glob("hold *"):
                path.unlink()

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(act)
        try:
            yield
        finally:
            over.set()
        done.result()


class Proxy:
    """Pass bytes on to a port of this machine, until the connections are cut."""

    def __init__(self, port):
        self.port, self.sockets, self.accepted = port, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self.sockets += [near, far]
                self.accepted += 1
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source, target):
        with contextlib.suppress(OSError), source:
            while content := source.recv(1 << 16):
                target.sendall(content)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """End all connections; others can be made."""
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def close(self):
        """End all connections; no others can be made."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


@pytest.fixture
def proxy(address):
    proxy = Proxy(int(address.rsplit(":", 1)[1]))
    yield proxy
    with contextlib.suppress(OSError):
        proxy.close()
    with warnings.catch_warnings():  # Dask leaves the socket of a connection that it gave up unclosed
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# ---------------------------------------------------------------- all is well


@pytest.mark.slow
def test_tables_are_those_of_a_local_run_and_every_file_is_written_once(
    here, folder, address, orders, monkeypatch, caplog
):
    written, write = [], files.write
    monkeypatch.setattr(
        files, "write", lambda path, content: (written.append(path.name), write(path, content))
    )
    with caplog.at_level(logging.INFO, logger="modlib"):
        results = runner.run("tiny", scheduler=address)
    assert_same_tables(folder, here)
    assert {*(f"{name}.zip" for name in SHARDS), *TABLES, "manifest.json"} <= set(written)
    assert [name for name, times in Counter(written).items() if times > 1] == []
    assert sorted(name for name, _ in orders.begun()) == SHARDS
    assert len({pid for _, pid in orders.begun()} | {os.getpid()}) > 2  # several processes, and not this one
    assert results.manifest["device"] == "cpu (workers of a cluster)"
    assert f"9 of 9 networks to compute on cpu with 4 threads of workers at {address}, about" in caplog.text


@pytest.mark.slow
def test_what_workers_tell_feeds_the_progress_bar(folder, address, monkeypatch):
    told = []

    @contextlib.contextmanager
    def listening(missing, epochs, reports):
        monkeypatch.setattr(reports, "put", told.append)
        yield

    monkeypatch.setattr(runner, "progress_bar", listening)
    runner.run("tiny", scheduler=address)
    for name in TRAINED:
        assert [epoch for shard, epoch, *_ in told if shard == name] == [1, 2, None]
    assert [training for shard, epoch, training, _ in told if epoch == 1] == [3, 3]
    assert (UNTRAINED, None, 0) in [item[:3] for item in told]


@pytest.mark.slow
def test_only_what_is_missing_is_sent_out(here, folder, address, orders):
    copy_shards(here, folder, TRAINED)
    runner.run("tiny", scheduler=address)
    assert [name for name, _ in orders.begun()] == [UNTRAINED]
    assert_same_tables(folder, here)
    runner.run("tiny", scheduler="tcp://127.0.0.1:1")  # all is there: no cluster is asked


# ---------------------------------------------------------------- something is lost


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["cut", "close"])
def test_the_connection_or_the_scheduler_is_lost(here, folder, address, orders, proxy, monkeypatch, lost):
    """Two shards are kept and a worker is at the third; the next run computes no more than that one."""
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 2.0)
    orders.give(f"hold {UNTRAINED}")

    def lose(wait):
        wait(lambda: shards_in(folder) == TRAINED)
        getattr(proxy, lost)()

    message = f"the connection to the Dask scheduler at {proxy.address} is lost .*Finished shards are kept"
    with meanwhile(lose, orders), pytest.raises(OSError, match=message):
        runner.run("tiny", scheduler=proxy.address)
    assert shards_in(folder) == TRAINED
    assert not (folder / "manifest.json").exists()
    runner.run("tiny", scheduler=address)
    begun = Counter(name for name, _ in orders.begun())
    assert [begun[name] for name in TRAINED] == [1, 1]
    assert_same_tables(folder, here)


@pytest.mark.slow
def test_a_shard_that_raises(here, folder, address, orders):
    """The others are kept, and are not computed again when the cause has been removed."""
    orders.give(f"hold {UNTRAINED}")
    orders.give(f"fail {UNTRAINED}", "the twelfth image is upside down")

    def go_on(wait):
        wait(lambda: shards_in(folder) == TRAINED)

    with (
        meanwhile(go_on, orders),
        pytest.raises(ValueError, match="the twelfth image is upside down") as error,
    ):
        runner.run("tiny", scheduler=address)
    assert str(error.value) == "the twelfth image is upside down"
    (note,) = error.value.__notes__
    assert note.startswith(f"{UNTRAINED} at the worker tcp://")
    assert "in train_as_told" in note
    assert shards_in(folder) == TRAINED
    assert not (folder / "manifest.json").exists()
    orders.lift(f"fail {UNTRAINED}")
    runner.run("tiny", scheduler=address)
    begun = Counter(name for name, _ in orders.begun())
    assert begun == {TRAINED[0]: 1, TRAINED[1]: 1, UNTRAINED: 2 + dask.RETRIES}
    assert_same_tables(folder, here)


@pytest.mark.slow
def test_an_error_from_too_deep_arrives_all_the_same(folder, address, orders):
    orders.give(f"fall {UNTRAINED}")
    with pytest.raises(RecursionError):
        runner.run("tiny", scheduler=address)


@pytest.mark.slow
@pytest.mark.parametrize("times", [dask.RETRIES, dask.RETRIES + 1])
def test_a_worker_that_lacks_a_file_is_tried_again(here, folder, address, orders, times):
    orders.give(f"lack a file {SHARDS[0]}", str(times))
    enough = times <= dask.RETRIES
    with contextlib.nullcontext() if enough else pytest.raises(FileNotFoundError, match="on this worker"):
        runner.run("tiny", scheduler=address)
    assert Counter(name for name, _ in orders.begun())[SHARDS[0]] == 1 + dask.RETRIES
    if enough:
        assert_same_tables(folder, here)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["code", "torch", "numpy", "scipy", "igraph"])
def test_a_worker_that_differs_is_refused(folder, address, orders, what):
    orders.give("differ", json.dumps({what: "0.0"}))
    with pytest.raises(
        RuntimeError, match=f"the worker at tcp://.* cannot take part: {what} is 0.0, the caller's"
    ):
        runner.run("tiny", scheduler=address)
    assert orders.begun() == []
    assert shards_in(folder) == []


@pytest.mark.slow
def test_a_worker_without_the_device_is_refused(folder, address, orders):
    with pytest.raises(RuntimeError, match=r"the worker at tcp://.*: torch sees no CUDA device there"):
        runner.run("tiny", scheduler=address, device="cuda")
    assert orders.begun() == []


def test_a_worker_without_modlib_reads_what_it_is_sent_and_says_so(tmp_path):
    """Dask ends a worker that cannot read what it is sent, and the run would wait for another."""
    read = "import pickle, sys; pickle.load(sys.stdin.buffer)('')"
    path = Path(cloudpickle.__file__).parents[1]  # and, without `site`, nothing that is installed elsewhere
    process = subprocess.run(
        [sys.executable, "-S", "-c", read],
        input=cloudpickle.dumps(dask.task()),
        env={"PYTHONPATH": str(path)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = process.stderr.decode().splitlines()[-1]
    assert said == "ModuleNotFoundError: No module named 'modlib'"


@pytest.mark.slow
def test_what_arrives_damaged_is_not_kept(folder, address, monkeypatch):
    keep = shard_files.keep_shard
    monkeypatch.setattr(
        shard_files, "keep_shard", lambda experiment, name, content: keep(experiment, name, content[:-100])
    )
    with pytest.raises(StoreError, match=r"what a worker sent as .* is damaged"):
        runner.run("tiny", scheduler=address)
    assert shards_in(folder) == []


# ---------------------------------------------------------------- no cluster


ADDRESSES = ["foo", "", "tcp://", "tcp://host", "tcp://host:", "tcp://host:port", "tcp://host:0",
             "tcp://host:99999", "tcp://:8786", "tcp://me@host:8786", "tcp://host:8786/", "tcp://host:8786/x",
             "host:8786", "http://host:8786", "inproc://host:8786", " tcp://host:8786",
             "tcp://[::1"]  # fmt: skip


@pytest.mark.parametrize("scheduler", ADDRESSES)
def test_what_is_no_address(folder, scheduler):
    with pytest.raises(
        ValueError, match=f"scheduler must be an address .*; got {re.escape(repr(scheduler))}"
    ):
        runner.run("tiny", scheduler=scheduler)
    result = CliRunner().invoke(cli.main, ["run", "base", "--scheduler", scheduler])
    assert result.exit_code == 2
    assert f"got {scheduler!r}" in result.output.replace("\n", " ")


@pytest.mark.parametrize("scheduler", ["tcp://host:8786", "tls://10.0.0.1:1", "tcp://[::1]:65535"])
def test_what_is_an_address(scheduler):
    assert dask.check_address(scheduler) == scheduler


def test_where_dask_is_missing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeError, match=r"a scheduler needs Dask .*pip install 'modlib\[cluster\]'"):
        runner.run("tiny", scheduler="tcp://host:8786")


@pytest.mark.usefixtures("as_a_user")
def test_other_arguments_that_do_not_fit():
    with pytest.raises(TypeError, match="scheduler must be an address such as 'tcp://host:8786'; got 8786"):
        runner.run("tiny", scheduler=8786)
    with pytest.raises(ValueError, match="workers is 2, but a scheduler has workers of its own"):
        runner.run("tiny", scheduler="tcp://host:8786", workers=2)
    result = CliRunner().invoke(cli.main, ["run", "base", "--scheduler", "tcp://host:8786", "--workers", "2"])
    assert result.exit_code == 2
    assert "--workers" in result.output
    assert "--scheduler" in result.output


@pytest.mark.parametrize("silent", [False, True])
def test_nobody_is_there(folder, monkeypatch, silent):
    """Whether nothing listens, or something that never says a word."""
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 0.5)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(OSError, match=f"no Dask scheduler answers at {address} .*: start one there"):
            runner.run("tiny", scheduler=address)
        result = CliRunner().invoke(cli.main, ["run", "base", "--profile", "quick", "--scheduler", address])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: no Dask scheduler answers at {address}")
    assert len(result.output.splitlines()) == 1
    assert not folder.exists()


def test_the_command_line_passes_the_address_on(monkeypatch, tmp_path):
    asked = {}

    def run(experiment, **options):
        asked.update(options)
        raise OSError("far away")

    monkeypatch.setattr(runner, "run", run)
    result = CliRunner().invoke(cli.main, ["run", "base", "--scheduler", "tcp://host:8786"])
    assert (result.exit_code, result.output) == (1, "Error: far away\n")
    assert asked["scheduler"] == "tcp://host:8786"
    assert asked["workers"] is None


# ---------------------------------------------------------------- workers die: the last tests of this cluster


def kill_at(orders, name, *, times=1):
    """Kill so many workers one after the other, each as it is at a shard."""
    orders.give(f"hold {name}")

    def at_it():
        return [pid for shard, pid in orders.begun() if shard == name]

    def kill(wait):
        for n in range(times):
            wait(lambda n=n: len(at_it()) > n)
            os.kill(at_it()[n], signal.SIGKILL)

    return meanwhile(kill, orders)


@pytest.mark.slow
def test_a_worker_is_killed_in_mid_run(here, folder, address, orders):
    with kill_at(orders, TRAINED[0]):
        runner.run("tiny", scheduler=address)
    first, second = [pid for name, pid in orders.begun() if name == TRAINED[0]]
    assert first != second
    assert_same_tables(folder, here)


@pytest.mark.slow
def test_a_shard_that_ends_one_worker_after_another(here, folder, address, orders):
    copy_shards(here, folder, TRAINED)  # else another shard may be at the same workers
    expected = f"2 workers were lost one after the other with {UNTRAINED}, the last at tcp://"
    with kill_at(orders, UNTRAINED, times=2), pytest.raises(RuntimeError, match=expected):
        runner.run("tiny", scheduler=address)
    assert shards_in(folder) == TRAINED
