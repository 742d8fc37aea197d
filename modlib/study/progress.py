"""A progress bar, fed by those who compute shards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, Queue
from typing import Any, NamedTuple

from tqdm import tqdm

from modlib.study.plan import Shard


class Progress(NamedTuple):
    """How far a shard is: its epoch (None when finished), networks still in training, and their accuracy."""

    shard: str
    epoch: int | None
    training: int
    accuracy: float


Report = Callable[[Progress], None]


def finished(shard: Shard) -> Progress:
    """Report that a shard is finished."""
    return Progress(shard.name, None, 0, float("nan"))


@contextmanager
def progress_bar(missing: Sequence[Shard], epochs: int, reports: Any) -> Iterator[None]:
    """Show how much of the training is done, the networks in training with their accuracy, and the time left.

    The unit of the bar is one epoch of one network, which is expected to train so many epochs. `reports` is a
    queue of `Progress`, of threads or of processes.
    """
    left = {shard.name: len(shard) * (epochs if shard.trained else 1) for shard in missing}
    ended: Queue[None] = Queue()

    def follow() -> None:
        running = dict[str, tuple[int, float]]()
        bar = tqdm(total=sum(left.values()), unit="epoch", unit_scale=True, disable=None)
        while ended.empty() or not reports.empty():
            try:
                name, epoch, training, accuracy = reports.get(timeout=0.2)
            except Empty:
                continue
            now = 0 if epoch is None else training * max(epochs - epoch, 1)
            bar.update(max(left[name] - now, 0))
            left[name] = min(left[name], now)
            running[name] = (training, accuracy)
            accuracies = sorted((accuracy, n) for n, accuracy in running.values() if n)
            if accuracies:
                middle = accuracies[len(accuracies) // 2][0]
                networks = sum(n for _, n in accuracies)
                bar.set_postfix(training=networks, accuracy=f"{middle:.3f}", refresh=False)
        bar.close()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.put(None)
        thread.join(timeout=5)
