"""Run an experiment: shard by shard, side by side, resumed where it stopped."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from importlib.metadata import version
from multiprocessing import connection, get_context, parent_process
from queue import Empty, Queue
from typing import Any, Literal

import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from tqdm import tqdm

from modlib import _checks, data
from modlib.networks import MLPStack
from modlib.study import catalogue, dask, project, store
from modlib.study.catalogue import Experiment, Shard
from modlib.study.rows import Each, against_nulls, analyse, analyse_by, describe
from modlib.study.schema import TABLES
from modlib.study.store import Results, ShardResults, StoreError, Trained
from modlib.training import Protocol, denormals_flushed, train

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
MINUTES_UNASKED = 5.0  # a call that would take longer than this wants `long=True`
N_CLASSES = 10
TRAIN_ACCURACY_ON = 10_000  # training images, the first so many: a held-out tenth among them


class LongRunError(RuntimeError):
    """Nothing is stored, and computing it here would take long; the message says how long and what to do."""


def run(
    experiment: str,
    *,
    profile: str = "quick",
    device: Device = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    long: bool = False,
) -> Results:
    """Return an experiment's tables: those that are stored, or, if there are none, computed now and stored.

    The work is cut into shards (a seed with all its settings, or a score of untrained networks), each kept in
    a file of its own when it is done: an interrupted run goes on where it was, and ends in the same tables.

    Parameters
    ----------
    experiment
        ``"base"``, for example; see `modlib.study.catalogue.EXPERIMENTS`.
    profile
        ``"quick"`` (a coarse grid, a minute or two on two cores) or ``"paper"`` (full scale).
    device
        ``"auto"`` takes a CUDA device if there is one. On a CPU every shard uses one thread, so that the
        tables do not depend on the number of workers.
    workers
        Processes at a time, by default one a core: on a CPU each trains and looks at a shard, beside a GPU,
        which trains all shards together, each looks for modules; 0 works in this process.
    scheduler
        Address of a Dask cluster, such as ``"tcp://host:8786"``, whose workers compute what is missing, on
        their processors unless `device` is ``"cuda"``. Naming one implies `long`, and leaves no say on
        `workers`.
    long
        Compute even if that takes more than five minutes.

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        If there is no such experiment, profile or device, or the address is none.
    OSError
        If there is no scheduler at the address, or the connection to it is lost for good.
    RuntimeError
        If a worker of the cluster has other code or packages, or a shard ends one worker after another.
    LongRunError
        If nothing is stored, the run would take more than five minutes, and `long` is not set.
    StoreError
        If what is stored is damaged or belongs to another configuration.

    Examples
    --------
    >>> results = run("base", profile="paper")  # doctest: +SKIP
    >>> results.modules.query("measure == 'input_grad' and layer == 1").q.max()  # doctest: +SKIP
    """
    plan = catalogue.get(experiment, profile)
    on = _device(device, here=scheduler is None)
    n_workers = _checks.whole(workers, "workers") if workers is not None else _cores()
    long = _checks.flag(long, "long")
    if scheduler is not None:
        dask.check_address(scheduler)
        if workers is not None:
            raise ValueError(f"workers is {workers}, but a scheduler has workers of its own: leave one out")
    if _is_stored(plan):
        return store.read_results(plan)

    shards = plan.shards()
    if on != "cpu":  # another device rounds otherwise: its shards are never mixed with the processor's
        shards = [replace(shard, name=f"{on}-{shard.name}") for shard in shards]
    missing = [shard for shard in shards if not _is_finished(plan, shard)]
    if missing:
        todo = (
            f"{plan.name} at profile {plan.profile}: {sum(map(len, missing))} of {plan.n_networks} networks "
            f"to compute on {on}"
        )
    if missing and scheduler is not None:
        log.info("%s %s", todo, _at_work(plan, missing, on, scheduler))
    elif missing:
        seconds = estimate(plan, missing, device=on, workers=n_workers)
        words = f"{todo} with {max(1, n_workers)} at work, about {_duration(seconds)}"
        if seconds > 60 * MINUTES_UNASKED and not long:
            raise LongRunError(
                f"{words}. To start it: python -m modlib run {plan.name} --profile {plan.profile} "
                "(it can be stopped and resumed), or pass long=True."
            )
        log.info("%s", words)
    with store.exclusive(plan):
        if not _is_stored(plan):  # else another process has finished the work while this one waited
            missing = [shard for shard in shards if not _is_finished(plan, shard)]
            if missing and scheduler is not None:
                _compute_far(plan, missing, on, scheduler)
            elif missing:
                _compute(plan, missing, on, n_workers)
            _merge(plan, shards, _described(on, here=scheduler is None))
        return store.read_results(plan)


def estimate(
    experiment: Experiment, shards: Sequence[Shard], *, device: str = "cpu", workers: int = 1
) -> float:
    """Seconds that shards will take here, from a few steps and one analysis of the first one (measured now).

    Epochs under early stopping are not known beforehand; 40 are reckoned with, which the base experiment
    needs on average. On a CPU workers do not help beyond one a shard; beside a GPU they share the analysis.
    """
    trained = [shard for shard in shards if shard.trained]
    shard = (trained or list(shards))[0]
    plan = experiment.protocol
    steps, held_out = 10, 100
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(steps * plan.batch + held_out, 784, generator=generator).to(device)
    y = torch.randint(N_CLASSES, (len(x),), generator=generator).to(device)
    stack, settings = _initial(experiment, shard)
    stack = stack.to(device)

    def train_some(epochs: int) -> None:
        few = replace(plan, max_epochs=epochs, stop_after=None, validation=held_out / len(x))
        train(stack, x, y, **settings, protocol=few, compile=False)
        if device == "cuda":
            torch.cuda.synchronize()

    def look_at_one() -> None:
        analyse(stack[:1], x[:500], y[:500], ["trial"], restarts=experiment.restarts)

    with _threads(1 if device == "cpu" else None):
        per_step = 0.0
        if trained:  # by an epoch after others: a GPU records in the second what it replays in the third
            first = 1 if device == "cpu" else 2
            train_some(first)  # warms up
            per_step = max(0.0, _least(train_some, first + 1) - _least(train_some, first)) / steps
        if device == "cuda":  # whose libraries take seconds to start
            look_at_one()
        look = _least(look_at_one) * max(1.0, experiment.test_samples / 2000)
    training = (
        _expected_epochs(plan) * experiment.train_samples * (1 - plan.validation) / plan.batch * per_step
    )
    # Two nulls, each draw searched less than the network itself; and one null's draws pass the images again.
    draw = 2 * experiment.null_restarts / experiment.restarts + 0.3
    looks = {
        shard.name: len(shard) * (1 + shard.trained * len(experiment.choices))
        + len(shard.seeds)
        * sum(s in experiment.null_settings for s in shard.settings)
        * experiment.null_draws
        * draw
        for shard in shards
    }
    teaching = [s.trained * training * len(s) / len(shard) for s in shards]
    looking = [look * looks[s.name] for s in shards]
    if device == "cuda":
        return sum(teaching) + sum(looking) / max(1, workers)
    seconds = [a + b for a, b in zip(teaching, looking, strict=True)]
    return max(*seconds, sum(seconds) / max(1, workers))


def _least(run: Callable[..., None], *given: int) -> float:
    """Seconds of the quicker of two calls: the machine may be busy with something else."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        run(*given)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _expected_epochs(protocol: Protocol) -> int:
    """Epochs a network will train; under early stopping a guess, which the base experiment bears out."""
    return protocol.max_epochs if protocol.stop_after is None else min(40, protocol.max_epochs)


def _compute(plan: Experiment, missing: Sequence[Shard], device: str, workers: int) -> None:
    """Compute shards and keep each as it is finished, with a progress bar on a terminal."""
    data.load(plan.dataset)  # fetched once, before many ask for it
    if workers == 0:
        with _threads(1 if device == "cpu" else None):
            if device != "cpu":
                _train_together(plan, missing, device)
            for shard in missing:
                compute_shard(plan, shard, device)
        return
    context = get_context("spawn")  # forking after torch has started its threads can hang
    news = context.Queue()
    with (
        ProcessPoolExecutor(
            min(workers, len(missing)) if device == "cpu" else workers,
            mp_context=context,
            initializer=_start_worker,
            initargs=(news,),
        ) as pool,
        _progress_bar(plan, missing, news),
    ):
        if device == "cpu":
            _submit(pool, plan, missing, device)
        else:
            _tell.set(news.put)
            _train_together(plan, missing, device)
            for shard in missing:
                compute_shard(plan, shard, device, each=pool.map)


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


def _at_work(plan: Experiment, missing: Sequence[Shard], device: str, scheduler: str) -> str:
    """Say who is at work on a cluster, and how long it will take if this machine is one like theirs."""
    n_threads = dask.threads(scheduler)
    if not n_threads:
        return f"at {scheduler}, which has no workers yet"
    words = f"with {n_threads} threads of workers at {scheduler}"
    if device == "cpu":
        seconds = estimate(plan, missing, workers=n_threads)
        words += f", about {_duration(seconds)} if each is as fast as this machine"
    return words


def _compute_far(plan: Experiment, missing: Sequence[Shard], device: str, scheduler: str) -> None:
    """Let the workers of a cluster compute shards, and keep each as it arrives."""
    data.load(plan.dataset)  # what the tables are said to rest on; better missed now than at the end
    news: Queue[News] = Queue()

    def keep(shard: Shard, content: bytes) -> None:
        store.keep_shard(plan, shard.name, content)
        news.put(_finished(shard))

    with _progress_bar(plan, missing, news):
        dask.compute(scheduler, shard_content, plan, missing, device, keep=keep, tell=news.put)


News = tuple[str, int | None, int, float]  # shard; epoch, None when finished; networks in it; their accuracy
_tell: ContextVar[Callable[[News], None] | None] = ContextVar("tell", default=None)  # one a thread


def _start_worker(news: Any) -> None:
    """Prepare a worker: one thread, and an end as soon as its parent ends, killed or not."""
    _tell.set(news.put)
    _take_one_thread()
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def _take_one_thread() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's library of linear algebra would start a thread a core in every worker


def _train_together(plan: Experiment, shards: Sequence[Shard], device: str) -> None:
    """Fill a GPU: train all shards that are not trained yet as one stack, and keep each for `compute_shard`.

    (A core is filled by one shard, and the other cores by the other shards.)
    """
    todo = [shard for shard in shards if shard.trained and _trained(plan, shard) is None]
    if not todo:
        return
    whole = replace(todo[0], name="together", seeds=tuple(seed for shard in todo for seed in shard.seeds))
    together = _train(plan, whole, device, reported_as=todo)
    size = len(todo[0])
    for number, shard in enumerate(todo):
        part = slice(number * size, (number + 1) * size)
        store.write_trained(
            plan,
            shard.name,
            Trained(
                together.names[part],
                together.stack[part],
                together.epochs[part],
                together.val_loss[part],
                round(together.seconds / len(todo), 2),
            ),
        )


def _trained(plan: Experiment, shard: Shard) -> Trained | None:
    """Return a shard's networks if they are trained already."""
    try:
        return store.read_trained(plan, shard.name)
    except FileNotFoundError:
        return None
    except StoreError as error:
        log.warning("training again: %s", error)
        return None


def _train(
    plan: Experiment, shard: Shard, device: str, *, reported_as: Sequence[Shard] | None = None
) -> Trained:
    """Train the networks of a shard, or leave them as initialised."""
    shown = reported_as or [shard]

    def progress(epoch: int, training: int, accuracy: float) -> None:
        for one in shown:
            _report((one.name, epoch, training // len(shown), accuracy))

    stack, settings = _initial(plan, shard)
    names = tuple(network_name(setting, seed) for seed in shard.seeds for setting in shard.settings)
    if not shard.trained:
        return Trained(names, stack, [0] * len(stack), [float("nan")] * len(stack), 0.0)
    x, y = _training_data(plan)
    start = time.perf_counter()
    trained = train(
        stack.to(device),
        x.to(device),
        y.to(device),
        **settings,
        protocol=plan.protocol,
        progress=progress,
    )
    return Trained(
        names,
        trained.stack.to("cpu"),
        trained.epochs.tolist(),
        trained.val_loss.tolist(),
        round(time.perf_counter() - start, 2),
    )


def _training_data(plan: Experiment) -> tuple[Tensor, Tensor]:
    """Training images and labels, shuffled where the experiment says so: one order for all seeds."""
    loaded = data.load(plan.dataset)
    x, y = loaded.x_train[: plan.train_samples], loaded.y_train[: plan.train_samples]
    if plan.labels == "shuffled":
        y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    return x, y


def compute_shard(plan: Experiment, shard: Shard, device: str, *, each: Each = map) -> None:
    """Train the networks of a shard, unless that is done, look at them, and keep the results in its file."""
    trained = _trained(plan, shard)
    if trained is None:
        trained = _train(plan, shard, device)
        if shard.trained:
            store.write_trained(plan, shard.name, trained)
    store.write_shard(plan, shard.name, _look(plan, shard, trained, device, each=each))
    store.drop_trained(plan, shard.name)
    _report(_finished(shard))


def shard_content(plan: Experiment, shard: Shard, device: str, *, tell: Callable[[News], None]) -> bytes:
    """Compute a shard where nothing is kept, on a worker of a cluster, and return the bytes of its file."""
    _tell.set(tell)
    if device == "cpu":
        _take_one_thread()  # for good: other shards at work in this process may not get more back midway
    return store.shard_content(plan, shard.name, _look(plan, shard, _train(plan, shard, device), device))


@denormals_flushed()  # in the analysis as in training: no shard depends on what ran before it
def _look(plan: Experiment, shard: Shard, trained: Trained, device: str, *, each: Each = map) -> ShardResults:
    """Look at the networks of a shard."""
    clock = _Clock()
    stack, names = trained.stack.to(device), trained.names
    loaded = data.load(plan.dataset)
    x, y = (t[: plan.test_samples].to(device) for t in (loaded.x_test, loaded.y_test))
    seen = describe(stack, x, y, names)
    x_train, y_train = (t[:TRAIN_ACCURACY_ON].to(device) for t in _training_data(plan))
    seen["train_accuracy"] = describe(stack, x_train, y_train, names).test_accuracy
    rows = [(seed, setting) for seed in shard.seeds for setting in shard.settings]
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
            "epochs": trained.epochs,
            "val_loss": trained.val_loss,
        }
    ).merge(seen, on="network", validate="one_to_one")
    modules, agreement = analyse(stack, x, y, names, restarts=plan.restarts, each=each)
    clock.note("analysis")
    tables = {name: table.empty() for name, table in TABLES.items()}  # which not every experiment fills
    tables |= {"networks": networks, "modules": modules, "agreement": agreement}
    some = [i for i, (_, setting) in enumerate(rows) if setting in plan.null_settings]
    if some and plan.null_draws:
        tables["nulls"] = against_nulls(
            stack[some],
            x,
            y,
            [names[i] for i in some],
            draws=plan.null_draws,
            restarts=plan.null_restarts,
            seed=shard.seeds[0],
            each=each,
        )
        clock.note("nulls")
    if shard.trained and plan.choices:
        tables["choices"], tables["choices_agreement"] = analyse_by(
            stack, x, y, names, plan.choices, restarts=plan.restarts, each=each
        )
        clock.note("choices")
    keep = [
        i
        for i, (seed, setting) in enumerate(rows)
        if (setting in plan.kept and seed == plan.seeds[0]) or (plan.kept and not shard.trained and seed == 0)
    ]
    weights = {names[i]: stack[i].to("cpu") for i in keep}
    seconds = {**({"training": trained.seconds} if shard.trained else {}), **clock.seconds}
    return ShardResults(tables, weights, seconds)


def network_name(setting: catalogue.Setting, seed: int) -> str:
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
    tables = {}
    for name in TABLES:
        parts = [shard.tables[name] for shard in found]
        filled = [part for part in parts if len(part)]  # a table without rows knows no types
        tables[name] = pd.concat(filled, ignore_index=True) if filled else parts[0]
    weights = {name: stack for shard in found for name, stack in shard.weights.items()}
    stages = sorted({stage for shard in found for stage in shard.seconds})
    manifest = {
        "data_sha256": data.load(plan.dataset).sha256,
        "commit": _commit(),
        "code": store.code_digest(),
        "versions": {name: version(name) for name in ("modlib", *store.PACKAGES)}
        | {"python": platform.python_version()},
        "device": device,
        "threads": 1,
        "seconds": {stage: round(sum(s.seconds.get(stage, 0.0) for s in found), 2) for stage in stages},
    }
    store.write_results(plan, tables, weights, manifest)


def _report(news: News) -> None:
    tell = _tell.get()
    if tell is not None:
        tell(news)


def _finished(shard: Shard) -> News:
    return shard.name, None, 0, float("nan")


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


def _device(device: str, *, here: bool = True) -> str:
    """Take a device of this machine, or else one that workers elsewhere are to have."""
    device = _checks.one_of(device, "device", ("auto", "cpu", "cuda"))
    if not here:  # what "auto" means may not hang on the machine that asks
        return "cuda" if device == "cuda" else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _described(device: str, *, here: bool) -> str:
    if not here:
        return f"{device} (workers of a cluster)"
    return torch.cuda.get_device_name() if device == "cuda" else f"cpu ({platform.machine()})"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str:
    """Commit of the code, marked if it has changed since; $MODLIB_COMMIT names it for a mere copy."""
    if named := os.environ.get("MODLIB_COMMIT"):
        return named

    def git(*words: str) -> str:
        found = subprocess.run(["git", *words], cwd=project.ROOT, capture_output=True, text=True, check=False)
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
