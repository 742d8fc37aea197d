"""Run an experiment: shard by shard, side by side, resumed where it stopped."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Literal

import pandas as pd
import torch
from tqdm import tqdm

from modlib import data, experiments, store
from modlib.analysis import analyse, describe
from modlib.experiments import Experiment, Shard
from modlib.networks import MLPStack
from modlib.store import Results, ShardResults, StoreError
from modlib.training import Protocol, denormals_flushed, train

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
MINUTES_UNASKED = 5.0  # a call that would take longer than this wants `long=True`
N_CLASSES = 10


class LongRunError(RuntimeError):
    """Nothing is stored, and computing it here would take long; the message says how long and what to do."""


def run(
    experiment: str,
    *,
    profile: str = "quick",
    device: Device = "auto",
    workers: int | None = None,
    long: bool = False,
) -> Results:
    """Return an experiment's tables: those that are stored, or, if there are none, computed now and stored.

    The work is cut into shards (a seed with all its settings, or a score of untrained networks), each kept in
    a file of its own when it is done: an interrupted run goes on where it was, and ends in the same tables.

    Parameters
    ----------
    experiment
        ``"base"`` or ``"base-v1"``; see `modlib.experiments.EXPERIMENTS`.
    profile
        ``"quick"`` (a coarse grid, a minute or two on two cores) or ``"paper"`` (full scale).
    device
        ``"auto"`` takes a CUDA device if there is one. On a CPU every shard uses one thread, so that the
        tables do not depend on the number of workers.
    workers
        Shards at a time: by default one a core on a CPU, one on a GPU; 0 works in this process.
    long
        Compute even if that takes more than five minutes.

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        If there is no such experiment, profile or device.
    LongRunError
        If nothing is stored, the run would take more than five minutes, and `long` is not set.
    StoreError
        If what is stored is damaged or belongs to another configuration.

    Examples
    --------
    >>> results = run("base", profile="paper")  # doctest: +SKIP
    >>> results.modules.query("measure == 'input_grad' and layer == 1").q.max()  # doctest: +SKIP
    """
    plan = experiments.get(experiment, profile)
    on = _device(device)
    n_workers = workers if workers is not None else (1 if on == "cuda" else _cores())
    if n_workers < 0:
        raise ValueError(f"workers must be 0 or more, got {workers}")
    if _is_stored(plan):
        return store.read_results(plan)

    # A GPU is filled by all seeds at once; a core by one, which leaves the other seeds to the other cores.
    shards = plan.shards(seeds_at_once=len(plan.seeds) if on == "cuda" else 1)
    if on != "cpu":  # another device rounds otherwise: its shards are never mixed with the processor's
        shards = [replace(shard, name=f"{on}-{shard.name}") for shard in shards]
    missing = [shard for shard in shards if not _is_finished(plan, shard)]
    if missing:
        seconds = estimate(plan, missing, device=on, workers=n_workers)
        words = (
            f"{plan.name} at profile {plan.profile}: {sum(map(len, missing))} of {plan.n_networks} networks "
            f"to compute on {on} with {max(1, n_workers)} at work, about {_duration(seconds)}"
        )
        if seconds > 60 * MINUTES_UNASKED and not long:
            raise LongRunError(
                f"{words}. To start it: python -m modlib run {plan.name} --profile {plan.profile} "
                "(it can be stopped and resumed), or pass long=True."
            )
        log.info("%s", words)
    with store.exclusive(plan):
        if not _is_stored(plan):  # else another process has finished the work while this one waited
            missing = [shard for shard in shards if not _is_finished(plan, shard)]
            if missing:
                _compute(plan, missing, on, n_workers)
            _merge(plan, shards, on)
        return store.read_results(plan)


def estimate(
    experiment: Experiment, shards: Sequence[Shard], *, device: str = "cpu", workers: int = 1
) -> float:
    """Seconds that shards will take here, from a few steps and one analysis of the first one (measured now).

    Epochs under early stopping are not known beforehand; 40 are reckoned with, which the base experiment
    needs on average. Workers do not help beyond one a shard.
    """
    trained = [shard for shard in shards if shard.trained]
    shard = (trained or list(shards))[0]
    plan = experiment.protocol
    steps, held_out = 10, 100
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((2 + steps) * plan.batch + held_out, 784, generator=generator).to(device)
    y = torch.randint(N_CLASSES, (len(x),), generator=generator).to(device)
    stack, settings = _initial(experiment, shard)
    stack = stack.to(device)

    def timed(steps: int) -> float:
        start = time.perf_counter()
        n = steps * plan.batch + held_out
        once = replace(plan, max_epochs=1, validation=held_out / n)
        train(stack, x[:n], y[:n], **settings, protocol=once, compile=False)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    with _threads(1 if device == "cpu" else None):
        per_step = 0.0
        if trained:
            timed(2)  # warms up
            per_step = max(0.0, timed(2 + steps) - timed(2)) / steps
        if device == "cuda":  # whose libraries take seconds to start
            analyse(stack[:1], x[:500], y[:500], ["trial"], restarts=experiment.restarts)
        start = time.perf_counter()
        analyse(stack[:1], x[:500], y[:500], ["trial"], restarts=experiment.restarts)
        per_network = (time.perf_counter() - start) * max(1.0, experiment.test_samples / 2000)
    training = (
        _expected_epochs(plan) * experiment.train_samples * (1 - plan.validation) / plan.batch * per_step
    )
    seconds = [s.trained * training * len(s) / len(shard) + len(s) * per_network for s in shards]
    return max(*seconds, sum(seconds) / max(1, workers))


def _expected_epochs(protocol: Protocol) -> int:
    """Epochs a network will train; under early stopping a guess, which the base experiment bears out."""
    return protocol.max_epochs if protocol.stop_after is None else min(40, protocol.max_epochs)


def _compute(plan: Experiment, missing: Sequence[Shard], device: str, workers: int) -> None:
    """Compute shards and keep each as it is finished, with a progress bar on a terminal."""
    data.load(plan.dataset)  # fetched once, before many ask for it
    if workers == 0:
        with _threads(1 if device == "cpu" else None):
            for shard in missing:
                compute_shard(plan, shard, device)
        return
    context = get_context("spawn")  # forking after torch has started its threads can hang
    news = context.Queue()
    with (
        ProcessPoolExecutor(
            min(workers, len(missing)), mp_context=context, initializer=_start_worker, initargs=(news,)
        ) as pool,
        _progress_bar(plan, missing, news),
    ):
        _submit(pool, plan, missing, device)


def _submit(pool: Executor, plan: Experiment, missing: Sequence[Shard], device: str) -> None:
    """Hand shards to an executor; what fails stops the rest that has not begun."""
    futures: list[Future[None]] = [pool.submit(compute_shard, plan, shard, device) for shard in missing]
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        for future in futures:
            future.cancel()
        raise


_news: Any = None  # in a worker: where it reports progress


def _start_worker(news: Any) -> None:
    """Prepare a worker: one thread, and an end as soon as its parent ends, killed or not."""
    global _news
    _news = news
    torch.set_num_threads(1)
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


@denormals_flushed()  # in the analysis as in training: no shard depends on what ran before it
def compute_shard(plan: Experiment, shard: Shard, device: str) -> None:
    """Train and analyse the networks of a shard, and keep the results in its file."""
    clock = _Clock()
    loaded = data.load(plan.dataset)
    x_test, y_test = (
        loaded.x_test[: plan.test_samples].to(device),
        loaded.y_test[: plan.test_samples].to(device),
    )
    stack, settings = _initial(plan, shard)
    stack = stack.to(device)
    clock.note("loading")
    epochs, val_loss = [0] * len(stack), [float("nan")] * len(stack)
    if shard.trained:
        trained = train(
            stack,
            loaded.x_train[: plan.train_samples].to(device),
            loaded.y_train[: plan.train_samples].to(device),
            **settings,
            protocol=plan.protocol,
            progress=lambda *state: _report(shard, *state),
        )
        stack, epochs, val_loss = trained.stack, trained.epochs.tolist(), trained.val_loss.tolist()
        clock.note("training")
    rows = [(seed, setting) for seed in shard.seeds for setting in shard.settings]
    names = [network_name(setting, seed) for seed, setting in rows]
    seen = describe(stack, x_test, y_test, names)
    networks = pd.DataFrame(
        {
            "network": names,
            "experiment": plan.name,
            "dataset": plan.dataset,
            "hidden": "-".join(map(str, plan.hidden)),
            "regularizer": [s.regularizer for _, s in rows],
            "strength": [s.strength for _, s in rows],
            "l1": [s.l1 for _, s in rows],
            "l2": [s.l2 for _, s in rows],
            "dropout": [s.dropout for _, s in rows],
            "seed": [seed for seed, _ in rows],
            "trained": shard.trained,
            "epochs": epochs,
            "val_loss": val_loss,
        }
    ).merge(seen, on="network", validate="one_to_one")
    modules, agreement = analyse(stack, x_test, y_test, names, restarts=plan.restarts)
    clock.note("analysis")
    keep = [
        i
        for i, (seed, setting) in enumerate(rows)
        if (setting in plan.kept and seed == plan.seeds[0]) or (not shard.trained and seed == 0)
    ]
    tables = {"networks": networks, "modules": modules, "agreement": agreement}
    weights = {names[i]: stack[i].to("cpu") for i in keep}
    store.write_shard(plan, shard.name, ShardResults(tables, weights, clock.seconds))
    _report(shard, None, 0, float("nan"))


def network_name(setting: experiments.Setting, seed: int) -> str:
    """Name a network for people and tables, such as ``dropout=0.5,seed=3``."""
    if setting.regularizer == "none":
        return f"untrained,seed={seed}"
    return f"{setting.regularizer}={setting.strength:g},seed={seed}"


def _initial(plan: Experiment, shard: Shard) -> tuple[MLPStack, dict[str, Any]]:
    """Networks of a shard as initialised, and the keyword arguments of `train` that go with them."""
    seeds = [seed for seed in shard.seeds for _ in shard.settings]
    rows = list(shard.settings) * len(shard.seeds)
    stack = MLPStack.initialise([784, *plan.hidden, N_CLASSES], seeds=seeds)
    penalties = {name: [getattr(s, name) for s in rows] for name in ("l1", "l2", "dropout")}
    return stack, {"seeds": seeds, **penalties}


def _is_stored(plan: Experiment) -> bool:
    """Whether there are tables. A quick run is live: its tables count for the code that made them only."""
    if not (store.folder_of(plan) / "manifest.json").exists():
        return False
    return plan.profile != "quick" or store.read_results(plan).manifest.get("code") == store.code_digest()


def _is_finished(plan: Experiment, shard: Shard) -> bool:
    try:
        store.read_shard(plan, shard.name)
    except FileNotFoundError:
        return False
    except StoreError as error:
        log.warning("computing again: %s", error)
        return False
    return True


def _merge(plan: Experiment, shards: Sequence[Shard], device: str) -> None:
    """Make the tables out of all shards, in the order of the experiment, whoever computed them and when."""
    found = [store.read_shard(plan, shard.name) for shard in shards]
    tables = {
        name: pd.concat([shard.tables[name] for shard in found], ignore_index=True) for name in store.TABLES
    }
    weights = {name: stack for shard in found for name, stack in shard.weights.items()}
    stages = sorted({stage for shard in found for stage in shard.seconds})
    manifest = {
        "data_sha256": data.load(plan.dataset).sha256,
        "commit": _commit(),
        "code": store.code_digest(),
        "versions": {name: version(name) for name in ("modlib", "torch", "numpy", "scipy", "igraph")}
        | {"python": platform.python_version()},
        "device": torch.cuda.get_device_name() if device == "cuda" else f"cpu ({platform.machine()})",
        "threads": 1,
        "seconds": {stage: round(sum(s.seconds.get(stage, 0.0) for s in found), 2) for stage in stages},
    }
    store.write_results(plan, tables, weights, manifest)


def _report(shard: Shard, epoch: int | None, training: int, accuracy: float) -> None:
    if _news is not None:
        _news.put((shard.name, epoch, training, accuracy))


@contextmanager
def _progress_bar(plan: Experiment, missing: Sequence[Shard], news: Any) -> Iterator[None]:
    """Show how much of the training is done, networks still in it and their accuracy, and the time left.

    Fed by what workers report. The unit is an epoch of a network; how many there will be is reckoned with
    `_expected_epochs` a network that has not finished.
    """
    epochs = _expected_epochs(plan.protocol)
    size = {shard.name: len(shard) * (epochs if shard.trained else 1) for shard in missing}
    done: Queue[None] = Queue()

    def follow() -> None:
        left, busy = dict(size), dict[str, tuple[int, float]]()
        bar = tqdm(total=sum(size.values()), unit="epoch", unit_scale=True, disable=None)
        while done.empty() or not news.empty():
            try:
                name, epoch, training, accuracy = news.get(timeout=0.2)
            except Empty:
                continue
            now = 0 if epoch is None else training * max(epochs - epoch, 1)
            bar.update(max(left[name] - now, 0))
            left[name] = min(left[name], now)
            busy[name] = (training, accuracy)
            at_work = sorted((a, n) for n, a in busy.values() if n)
            if at_work:
                middle = at_work[len(at_work) // 2][0]
                bar.set_postfix(training=sum(n for _, n in at_work), accuracy=f"{middle:.3f}", refresh=False)
        bar.close()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.put(None)
        thread.join(timeout=5)


class _Clock:
    """Seconds spent on each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 2)
        self._last = now


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if n is not None:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(device: str) -> str:
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda; got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str:
    """Commit that the code is at, marked if the code has changed since; empty outside a checkout."""
    root = Path(__file__).parents[1]

    def git(*words: str) -> str:
        found = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
        return found.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "modlib")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except OSError:
        return ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
