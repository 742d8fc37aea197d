"""Shards computed on this machine: one after the other, side by side in processes, or together on a GPU."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import connection, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from modlib.analysis.modules import Map
from modlib.study import shard_files
from modlib.study.files import StoreError
from modlib.study.plan import Experiment, Shard
from modlib.study.progress import Progress, Report, progress_bar
from modlib.study.shard import Trained, analyse_shard, train_shard

log = logging.getLogger(__name__)


class _Worker(SpawnProcess):
    """A process that does not run its caller's script again.

    Python does so in each process that it starts, in case the work is defined there. Ours never is, and a
    script that calls `modlib.run` outside of ``if __name__ == "__main__"`` would call it in every worker.
    """

    def start(self) -> None:
        script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class _Context(SpawnContext):
    """Processes are spawned, since forking after torch has started its threads can hang."""

    Process = _Worker


CONTEXT = _Context()
_reports: Any = None  # queue of a process of the pool, to the one that started it


def _unheard(_: Progress) -> None:
    """Report to nobody."""


def compute(experiment: Experiment, missing: Sequence[Shard], device: str, workers: int, epochs: int) -> None:
    """Compute shards and keep each as it is finished, with a progress bar on a terminal.

    On a processor each worker, a process, computes a shard; beside a GPU, which trains all shards together,
    they share the search for modules. With no workers, this process does everything, without a bar. The bar
    expects each network to train so many epochs.
    """
    if workers == 0:
        with torch_threads(1 if device == "cpu" else None):
            _compute_here(experiment, missing, device)
        return
    reports = CONTEXT.Queue()
    n = min(workers, len(missing)) if device == "cpu" else workers
    try:
        with (
            ProcessPoolExecutor(n, mp_context=CONTEXT, initializer=start_worker, initargs=(reports,)) as pool,
            progress_bar(missing, epochs, reports),
        ):
            if device != "cpu":
                _compute_here(experiment, missing, device, report=reports.put, map_=pool.map)
                return
            try:
                for future in as_completed([pool.submit(_compute_in_pool, experiment, s) for s in missing]):
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)  # after an error no other shard is begun
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"one of {n} worker processes was killed, perhaps because memory ran out: try fewer (--workers "
            "1, or workers=1). Finished shards are kept, and the next run continues with the others"
        ) from error


def _compute_here(
    experiment: Experiment,
    missing: Sequence[Shard],
    device: str,
    *,
    report: Report = _unheard,
    map_: Map = map,
) -> None:
    if device != "cpu":
        train_together(experiment, missing, device, report=report)
    for shard in missing:
        compute_shard(experiment, shard, device, report=report, map_=map_)


def _compute_in_pool(experiment: Experiment, shard: Shard) -> None:
    compute_shard(experiment, shard, "cpu", report=_reports.put)


def compute_shard(
    experiment: Experiment, shard: Shard, device: str, *, report: Report = _unheard, map_: Map = map
) -> None:
    """Train the networks of a shard unless that is done, analyse them, and keep the results in its file."""
    trained = _read_trained(experiment, shard)
    if trained is None:
        trained = train_shard(experiment, shard, device, progress=_reporting([shard], report))
        if shard.trained:
            shard_files.write_trained(experiment, shard.name, trained)
    results = analyse_shard(experiment, shard, trained, device, map_=map_)
    shard_files.write_shard(experiment, shard.name, results)
    shard_files.drop_trained(experiment, shard.name)
    report(Progress(shard.name))


def train_together(
    experiment: Experiment, shards: Sequence[Shard], device: str, *, report: Report = _unheard
) -> None:
    """Train all shards that are not trained yet as one stack, and keep each for `compute_shard`.

    One shard does not fill a GPU. (It fills a core, and other shards fill the other cores.)
    """
    todo = [shard for shard in shards if shard.trained and _read_trained(experiment, shard) is None]
    if not todo:
        return
    whole = replace(todo[0], name="together", seeds=tuple(seed for shard in todo for seed in shard.seeds))
    together = train_shard(experiment, whole, device, progress=_reporting(todo, report))
    seconds, size = round(together.seconds / len(todo), 2), len(todo[0])
    for number, shard in enumerate(todo):
        part = slice(number * size, (number + 1) * size)
        names, stack = together.names[part], together.stack[part]
        alone = Trained(names, stack, together.epochs[part], together.val_loss[part], seconds)
        shard_files.write_trained(experiment, shard.name, alone)


def _read_trained(experiment: Experiment, shard: Shard) -> Trained | None:
    """Return the networks of a shard if they are trained already."""
    try:
        return shard_files.read_trained(experiment, shard.name)
    except FileNotFoundError:
        return None
    except StoreError as error:
        log.warning("training again: %s", error)
        return None


def _reporting(shards: Sequence[Shard], report: Report) -> Callable[[int, int, float], None]:
    """Return what `modlib.train` is to call: it reports the progress of networks as that of their shards."""

    def progress(epoch: int, training: int, accuracy: float) -> None:
        for shard in shards:
            report(Progress(shard.name, epoch, training // len(shards), accuracy))

    return progress


def start_worker(reports: Any = None) -> None:
    """Prepare a process of its own: it has one thread, and ends with its parent, even if that is killed."""
    global _reports
    _reports = reports
    take_one_thread()
    if (parent := parent_process()) is not None:

        def follow() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def take_one_thread() -> None:
    """Let this process compute with one thread from now on."""
    torch.set_num_threads(1)
    threadpool_limits(1)  # the linear algebra of NumPy would start one thread per core in every worker


@contextmanager
def torch_threads(n: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while; with None, as many as it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
