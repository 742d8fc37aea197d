"""Shards on a Dask cluster: sent out, again if a worker or the connection is lost, and handed over once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from modlib.study.catalogue import Experiment, Shard
from modlib.study.remote import decisive, order

log = logging.getLogger(__name__)

CONNECT_SECONDS = 20.0
RECONNECT_SECONDS = 300.0  # so long is a scheduler sought that was there and is out of reach
LONGEST_PAUSE = 60.0
STEADY_SECONDS = 60.0  # a connection that held so long was a good one
RETRIES = 2  # of a shard whose worker lacked a file, a disk or a network
AHEAD = 10_000  # shards sent out at a time: a scheduler holds all of them in memory


class _ConnectionLostError(Exception):
    """The scheduler cannot be reached, or has forgotten what it was asked for."""


def check_address(scheduler: str) -> str:
    """Return the address of a Dask scheduler, such as ``tcp://host:8786``, if it is one.

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If it is another string.
    """
    if not isinstance(scheduler, str):
        raise TypeError(f"scheduler must be an address such as 'tcp://host:8786'; got {scheduler!r}")
    try:
        parts = urlsplit(scheduler)
        well = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and "@" not in parts.netloc
    except ValueError:  # a port that is no number, or too large
        well = False
    if not well or scheduler != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(
            f"scheduler must be an address such as tcp://host:8786 or tls://host:8786; got {scheduler!r}"
        )
    return scheduler


def threads(scheduler: str) -> int:
    """Count the threads that the workers of a cluster have now.

    Raises
    ------
    OSError
        If there is no scheduler at the address.
    """
    try:
        with _connected(scheduler) as client, _connection():
            return sum(client.nthreads().values())
    except _ConnectionLostError as error:
        raise _nobody(scheduler, error) from error


def compute(
    scheduler: str,
    work: Callable[..., bytes],
    plan: Experiment,
    shards: Sequence[Shard],
    device: str,
    *,
    keep: Callable[[Shard, bytes], None],
    tell: Callable[[Any], None],
) -> None:
    """Have the workers of a cluster compute shards, and hand each over once.

    Dask gives the shard of a lost worker to another. When the scheduler is lost, it is sought for
    `RECONNECT_SECONDS`, and shards that have not been handed over are sent out again.

    Parameters
    ----------
    scheduler
        Address of the scheduler.
    work
        A function of a module that workers have, called with `plan`, a shard, `device` and its own `tell`.
    plan, shards, device
        What is computed, and on what.
    keep
        Called with each shard and the bytes that `work` returned.
    tell
        Called, in another thread, with what workers tell: a tuple of plain values, the shard's name first.

    Raises
    ------
    OSError
        If there is no scheduler at the address, or none again after the connection was lost.
    RuntimeError
        If a worker has other code or packages or no such device, or a shard has ended one worker after
        another.
    Exception
        As `work` raised it; an `OSError` only after `RETRIES` further tries.
    """
    left = {shard.name: shard for shard in shards}
    reached, trouble, pause = False, None, 1.0
    while left:
        opened, n_left = None, len(left)
        try:
            with _connected(scheduler) as client:
                reached, opened = True, time.monotonic()
                for name, content in _arriving(client, work, plan, left, device, tell):
                    keep(left[name], content)
                    del left[name]
        except _ConnectionLostError as error:
            if not reached:
                raise _nobody(scheduler, error) from error
            now = time.monotonic()
            if len(left) < n_left or (opened and now - opened > STEADY_SECONDS):
                trouble, pause = None, 1.0
            trouble = trouble or now
            if now - trouble >= RECONNECT_SECONDS:
                raise OSError(
                    f"the scheduler at {scheduler} has been out of reach for "
                    f"{RECONNECT_SECONDS / 60:.0f} minutes ({error}). What is finished is kept: start it "
                    "again, and the same call goes on with the rest"
                ) from error
            log.warning("lost the connection to %s; %d shards to come, trying again", scheduler, len(left))
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _arriving(
    client: Any,
    work: Callable[..., bytes],
    plan: Experiment,
    left: Mapping[str, Shard],
    device: str,
    tell: Callable[[Any], None],
) -> Iterator[tuple[str, bytes]]:
    """Send shards out, and give their names and bytes as they come back."""
    from distributed import as_completed

    # Shards of one name are the same shard, whoever sends them out: Dask computes it once.
    same = json.dumps([plan.digest, device, decisive()])
    run = "modlib-" + hashlib.sha256(same.encode()).hexdigest()[:16]
    unsent, failures = iter(list(left.values())), Counter[str]()

    def heard(event: tuple[float, Sequence[Any]]) -> None:
        if event[1][0] in left:
            tell(tuple(event[1]))

    def send_one() -> None:
        shard = next(unsent, None)
        if shard is not None:
            text = order(work, plan, shard, device, run)
            with _connection():
                waiting.add(client.submit(_call(), text, key=(run, shard.name)))

    with _connection():
        client.subscribe_topic(run, heard)
    waiting = as_completed(loop=client.loop)
    for _ in range(AHEAD):
        send_one()
    for future in waiting:
        _, name = future.key
        if future.status == "error":
            error = future.exception()
            if not isinstance(error, OSError) or failures[name] == RETRIES:
                raise _explained(error, name)
            failures[name] += 1
            log.warning("%s: %s; trying again", name, error)
            with _connection():
                future.retry()
            waiting.add(future)
            continue
        with _connection():
            content = future.result()
        yield name, content
        send_one()


def _call() -> Callable[[str], Any]:
    """Return what a worker calls.

    It is sent as it stands. The name of a function would end a worker that cannot look it up, and the run
    would wait for others; so it fails at its shard, and says why.
    """
    return lambda text: import_module("modlib.study.remote").fulfil(text)


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
    with _connection():
        _greet(scheduler)
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    try:
        yield client
    finally:
        deadline = time.monotonic() + CONNECT_SECONDS
        while client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.05)  # it connects anew by itself after a loss; closed midway it leaves a socket open
        with suppress(OSError):  # nobody is there
            client.close()


def _greet(scheduler: str) -> None:
    """Raise an error unless a scheduler answers in time; a client would wait for ever for an answer."""
    from distributed import Security
    from distributed.comm.core import connect

    async def greet() -> None:
        arguments = Security().get_connection_args("client")
        comm = await connect(scheduler, timeout=CONNECT_SECONDS, **arguments)
        await comm.close()

    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have a loop of its own, as in a notebook
            thread.submit(asyncio.run, asyncio.wait_for(greet(), CONNECT_SECONDS + 1)).result()
    except Exception as error:  # whatever the answer of something else makes of Dask's protocol
        raise OSError(str(error) or f"no answer within {CONNECT_SECONDS:.0f} s") from error


@contextmanager
def _connection() -> Iterator[None]:
    """Tell a lost connection from all else that can go wrong."""
    from distributed.client import ClosedClientError

    try:
        yield
    except (OSError, CancelledError, ClosedClientError) as error:
        raise _ConnectionLostError(str(error)) from error


def _nobody(scheduler: str, error: Exception) -> OSError:
    return OSError(
        f"no Dask scheduler answers at {scheduler} ({error}): start one there with `dask scheduler`, or "
        "correct the address"
    )
