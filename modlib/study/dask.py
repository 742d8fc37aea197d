"""Shards computed by the workers of a Dask cluster, which passes on what a lost worker was at.

Only plain values travel, so a scheduler need not have modlib. A worker must have the code and the packages of
the caller, and says so if it has not.
"""

import asyncio
import hashlib
import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import torch

from modlib.study import provenance, shard_files
from modlib.study.plan import Experiment, Shard
from modlib.study.progress import Progress, Report
from modlib.study.shard import analyse_shard, train_shard
from modlib.study.workers import take_one_thread

CONNECT_SECONDS = 20.0
RETRIES = 2  # of a shard that raises an error, on whichever worker


def check_address(scheduler: str) -> str:
    """Return the address of a Dask scheduler, such as ``tcp://host:8786``, if it is one."""
    if not isinstance(scheduler, str):
        raise TypeError(f"scheduler must be an address such as 'tcp://host:8786'; got {scheduler!r}")
    found = re.fullmatch(r"(?:tcp|tls)://(?:[\w.-]+|\[[\da-fA-F:]+\]):(\d{1,5})", scheduler)
    if not found or not 0 < int(found[1]) < 2**16:
        raise ValueError(
            f"scheduler must be an address such as tcp://host:8786 or tls://host:8786; got {scheduler!r}"
        )
    return scheduler


def threads(scheduler: str) -> int:
    """Count the threads that the workers of a cluster have now."""
    with _connected(scheduler) as client, _connection(scheduler):
        return sum(client.nthreads().values())


def compute(
    scheduler: str, experiment: Experiment, shards: Sequence[Shard], device: str, *, report: Report
) -> None:
    """Have the workers of a cluster compute shards, and keep each as it arrives.

    Dask gives the shard of a lost worker to another, and tries a shard that raises an error `RETRIES` times
    more. What remains is raised: the worker's error, an OSError if there is no scheduler at the address or
    the connection to it is lost, a RuntimeError if a shard has ended one worker after another, and a
    StoreError if one arrives damaged. `report` may be called in another thread.
    """
    from distributed import as_completed

    # Shards of one name are the same shard, whoever sends them out: Dask computes it once.
    same = json.dumps([experiment.digest, device, provenance.decisive()])
    run = "modlib-" + hashlib.sha256(same.encode()).hexdigest()[:16]
    ours = [shard.name for shard in shards]

    def heard(event: tuple[float, Sequence[Any]]) -> None:
        if (progress := Progress(*event[1])).shard in ours:
            report(progress)

    with _connected(scheduler) as client:
        with _connection(scheduler):
            client.subscribe_topic(run, heard)
            waiting = as_completed(loop=client.loop)
            for name in ours:
                order = (experiment.config, name, device, provenance.decisive(), run)
                waiting.add(client.submit(task(), *order, key=(run, name), retries=RETRIES, pure=False))
        for future in waiting:
            name = future.key[1]
            if future.status == "error":
                raise _explained(future.exception(), name)
            with _connection(scheduler):
                content = future.result()
            shard_files.keep_shard(experiment, name, content)
            report(Progress(name))


def task() -> Callable[..., bytes]:
    """Return what a worker calls.

    It is sent by value. A worker without modlib could not look up a function by its name and would end, and
    the run would wait for others; so the worker fails at its shard instead, and says why.
    """
    return lambda *order: import_module("modlib.study.dask").on_worker(*order)


def on_worker(
    config: Mapping[str, Any], shard: str, device: str, decisive: Mapping[str, str], topic: str
) -> bytes:
    """Compute a shard of an experiment on a worker, and return the bytes of its file.

    The worker must agree with the caller in what is decisive (`modlib.study.provenance.decisive`). Dask
    passes on progress under the topic.
    """
    from distributed import get_worker

    worker = get_worker()
    for what, here in provenance.decisive().items():
        if here != decisive[what]:
            raise _refusal(worker.address, f"{what} is {here[:12]}, the caller's {decisive[what][:12]}")
    if device == "cuda" and not torch.cuda.is_available():
        raise _refusal(worker.address, "torch sees no CUDA device there")
    if device == "cpu":
        take_one_thread()  # for good: other shards in this process may not get more threads back midway

    def progress(epoch: int, training: int, accuracy: float) -> None:
        worker.log_event(topic, (shard, epoch, training, accuracy))

    try:
        experiment = Experiment.from_config(config)
        (whole,) = (one for one in experiment.shards(device) if one.name == shard)
        trained = train_shard(experiment, whole, device, progress=progress)
        return shard_files.shard_content(experiment, shard, analyse_shard(experiment, whole, trained, device))
    except Exception as error:
        # As text: Dask loses an error whose traceback is too deep to be pickled, and the caller would wait.
        error.add_note(f"{shard} at the worker {worker.address}:\n{traceback.format_exc()}")
        raise error.with_traceback(None) from None


def _refusal(address: str, reason: str) -> RuntimeError:
    return RuntimeError(
        f"the worker at {address} cannot take part: {reason}; start workers where the caller's environment is"
    )


def _explained(error: BaseException, name: str) -> BaseException:
    from distributed.scheduler import KilledWorker

    if isinstance(error, ModuleNotFoundError):
        return RuntimeError(f"a worker cannot take part: {error}; start workers in the caller's environment")
    if isinstance(error, KilledWorker):
        return RuntimeError(
            f"{error.allowed_failures + 1} workers were lost one after the other with {name}, the last at "
            f"{error.last_worker.address}; see their logs (have they enough memory?), or let the scheduler "
            "allow more with DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"
        )
    return error


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise RuntimeError(f"a scheduler needs Dask ({error}): pip install 'modlib[cluster]'") from error
    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have a loop of its own, as in a notebook
            thread.submit(asyncio.run, _greeted(scheduler)).result()
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # whatever the answer of something else makes of Dask's protocol
        raise OSError(
            f"no Dask scheduler answers at {scheduler} ({str(error) or 'silence'}): start one there with "
            "`dask scheduler`, or correct the address"
        ) from error
    try:
        yield client
    finally:
        with suppress(OSError):  # nobody is there any more
            client.close()


async def _greeted(scheduler: str) -> None:
    """Raise an error unless a scheduler answers in time; a client would wait forever for its answer."""
    from distributed import Security
    from distributed.comm.core import connect

    arguments = Security().get_connection_args("client")
    opening = connect(scheduler, timeout=CONNECT_SECONDS, **arguments)
    comm = await asyncio.wait_for(opening, CONNECT_SECONDS + 1)
    await comm.close()


@contextmanager
def _connection(scheduler: str) -> Iterator[None]:
    """Tell a lost connection from everything else that can go wrong."""
    from distributed.client import ClosedClientError

    try:
        yield
    except (OSError, CancelledError, ClosedClientError) as error:
        raise OSError(
            f"the connection to the Dask scheduler at {scheduler} is lost ({' '.join(str(error).split())}). "
            "Finished shards are kept: start it again, and the same call continues with the others"
        ) from error
