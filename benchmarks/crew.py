"""Several processes that do the same at once, as the shards of a sweep do: what a whole machine gets done."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from threadpoolctl import threadpool_limits


class Crew:
    """Processes of so many threads each, started once; call it with a function and what it takes.

    The function is called once in every process, with the number of the process first, and must be one that
    another process can import. What it keeps (with `functools.cache`) is there in the next call.
    """

    def __init__(self, processes: int, threads: int) -> None:
        self.processes, self.threads = processes, threads
        self._pool = start(processes, threads)

    def __call__(self, task: Callable[..., object], *arguments: Any) -> list[Any]:
        """Wait until every process has done the task; return what it returned in each."""
        begun = [self._pool.submit(task, number, *arguments) for number in range(self.processes)]
        return [future.result() for future in begun]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def start(processes: int, threads: int) -> ProcessPoolExecutor:
    """Start processes of so many threads each, which have nothing of this one's."""
    return ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_prepare, initargs=(threads,)
    )


def _prepare(threads: int) -> None:
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    gc.collect()
    gc.freeze()
