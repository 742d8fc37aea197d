"""Run an experiment: load what is stored, compute only what is missing, and continue where a run stopped."""

import logging
from collections.abc import Sequence
from queue import Queue
from typing import Any, Literal

import pandas as pd
import torch

from modlib import _checks, data
from modlib.analysis.versions import versions
from modlib.study import catalogue, dask, estimate, files, project, provenance, shard_files, store, workers
from modlib.study.files import StoreError
from modlib.study.plan import Experiment, Shard
from modlib.study.progress import Progress, progress_bar
from modlib.study.schema import TABLES
from modlib.study.store import Results

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
MINUTES_UNASKED = 5.0  # a call that would take longer than this needs `long=True`


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

    The work is cut into shards (a seed with all its settings, or a score of untrained networks), and each is
    kept in a file of its own when it is finished. An interrupted run continues where it stopped, and ends in
    the same tables.

    Parameters
    ----------
    experiment
        ``"base"``, for example; see `modlib.study.catalogue.EXPERIMENTS`.
    profile
        ``"quick"`` (a coarse grid, a minute or two on two cores) or ``"paper"`` (full scale).
    device
        ``"auto"`` takes a CUDA device if there is one. On a processor every shard uses one thread, so the
        tables do not depend on the number of workers.
    workers
        Processes at a time, by default one for each core. On a processor each computes a shard; beside a GPU,
        which trains all shards together, they share the search for modules. With 0, this process computes.
    scheduler
        Address of a Dask cluster, such as ``"tcp://host:8786"``, whose workers compute what is missing, on
        their processors unless `device` is ``"cuda"``. It implies `long` and excludes `workers`.
    long
        Compute even if that takes more than five minutes.

    Raises
    ------
    ValueError
        If there is no such experiment, profile or device, or the address is none.
    OSError
        If there is no scheduler at the address, or the connection to it is lost.
    RuntimeError
        If a worker was killed, or one of a cluster has other code or packages.
    LongRunError
        If nothing is stored, the run would take more than five minutes, and `long` is not set.
    StoreError
        If what is stored is damaged or belongs to another configuration.

    Examples
    --------
    >>> results = run("base", profile="paper")  # doctest: +SKIP
    >>> results.modules.query("measure == 'input_grad' and layer == 1").q.max()  # doctest: +SKIP
    """
    chosen = catalogue.get(experiment, profile)
    on_device = _checked_device(device, here=scheduler is None)
    n_workers = _checks.whole(workers, "workers") if workers is not None else provenance.cores()
    long = _checks.flag(long, "long")
    if scheduler is not None:
        dask.check_address(scheduler)
        if workers is not None:
            raise ValueError(f"workers is {workers}, but a scheduler has workers of its own: leave one out")
    if _is_stored(chosen):
        return store.read_results(chosen)
    shards = chosen.shards(on_device)
    if missing := _missing(chosen, shards):
        log.info("%s", _announcement(chosen, missing, on_device, n_workers, scheduler, long))
    with files.exclusive(store.folder_of(chosen)):
        if not _is_stored(chosen):  # else another process has finished the work while this one waited
            if missing := _missing(chosen, shards):
                data.load(chosen.dataset)  # fetched once, before many ask for it
                _compute(chosen, missing, on_device, n_workers, scheduler)
            here = scheduler is None
            on = provenance.described(on_device) if here else f"{on_device} (workers of a cluster)"
            _merge(chosen, shards, on)
        return store.read_results(chosen)


def _announcement(
    experiment: Experiment,
    missing: Sequence[Shard],
    device: str,
    n_workers: int,
    scheduler: str | None,
    long: bool,
) -> str:
    """Say what will be computed, by whom and for how long; raise `LongRunError` if that is too long."""
    todo = (
        f"{experiment.name} at profile {experiment.profile}: {sum(map(len, missing))} of "
        f"{experiment.n_networks} networks to compute on {device}"
    )
    if scheduler is not None:
        n_threads = dask.threads(scheduler)
        if not n_threads:
            return f"{todo} at {scheduler}, which has no workers yet"
        todo += f" with {n_threads} threads of workers at {scheduler}"
        if device != "cpu":
            return todo
        expected = estimate.seconds(experiment, missing, workers=n_threads)
        return f"{todo}, about {estimate.in_words(expected)} if each is as fast as this machine"
    expected = estimate.seconds(experiment, missing, device=device, workers=n_workers)
    todo += f" with {max(1, n_workers)} at work, about {estimate.in_words(expected)}"
    if expected <= 60 * MINUTES_UNASKED or long:
        return todo
    folder, advice = store.folder_of(experiment), ""
    if experiment.profile == "paper" and folder.parent == project.ROOT / "results" and not folder.exists():
        advice = f" If its tables were deleted, restore them: git checkout results/{folder.name}"
    raise LongRunError(
        f"{todo}. To start it: python -m modlib run {experiment.name} --profile {experiment.profile} "
        f"(it can be stopped and resumed), or pass long=True.{advice}"
    )


def _compute(
    experiment: Experiment, missing: Sequence[Shard], device: str, n_workers: int, scheduler: str | None
) -> None:
    epochs = estimate.expected_epochs(experiment.protocol)
    if scheduler is None:
        workers.compute(experiment, missing, device, n_workers, epochs)
        return
    reports: Queue[Progress] = Queue()
    with progress_bar(missing, epochs, reports):
        dask.compute(scheduler, experiment, missing, device, report=reports.put)


def _is_stored(experiment: Experiment) -> bool:
    """Whether there are tables. Those of a quick run count only for the code that made them."""
    if not (store.folder_of(experiment) / "manifest.json").exists():
        return False
    if experiment.profile != "quick":
        return True
    return store.read_results(experiment).manifest.get("code") == provenance.decisive()["code"]


def _missing(experiment: Experiment, shards: Sequence[Shard]) -> list[Shard]:
    """Give the shards without a file that can be read."""
    missing = []
    for shard in shards:
        try:
            shard_files.read_shard(experiment, shard.name)
        except (FileNotFoundError, StoreError) as error:
            if isinstance(error, StoreError):
                log.warning("computing again: %s", error)
            missing.append(shard)
    return missing


def _merge(experiment: Experiment, shards: Sequence[Shard], device: str) -> None:
    """Make the tables of all shards, in the order of the experiment, whoever computed them and when."""
    found = [shard_files.read_shard(experiment, shard.name) for shard in shards]
    tables = {}
    for name, table in TABLES.items():  # one without rows has no types
        filled = [shard.tables[name] for shard in found if len(shard.tables[name])]
        tables[name] = pd.concat(filled, ignore_index=True) if filled else table.empty()
    weights = {name: stack for shard in found for name, stack in shard.weights.items()}
    stages = sorted({stage for shard in found for stage in shard.seconds})
    manifest: dict[str, Any] = {
        "data_sha256": data.load(experiment.dataset).sha256,
        "commit": provenance.commit(),
        "code": provenance.decisive()["code"],
        "versions": versions(),
        "device": device,
        "threads": 1,
        "seconds": {stage: round(sum(s.seconds.get(stage, 0.0) for s in found), 2) for stage in stages},
    }
    store.write_results(experiment, tables, weights, manifest)


def _checked_device(device: str, *, here: bool) -> str:
    """Return a device of this machine, or else one that workers of a cluster are to have."""
    device = _checks.one_of(device, "device", ("auto", "cpu", "cuda"))
    if not here:  # the meaning of "auto" may not depend on the machine that asks
        return "cuda" if device == "cuda" else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch sees no CUDA device; use 'auto' or 'cpu'")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
