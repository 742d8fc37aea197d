"""A progress bar, fed by those who compute shards."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from typing import Any, NamedTuple

from tqdm import tqdm

from modlib.study.plan import Shard


class Progress(NamedTuple):
    """How far a shard is: its epoch (None when finished), networks still in training, and their accuracy."""

    shard: str
    epoch: int | None = None
    training: int = 0
    accuracy: float = float("nan")


Report = Callable[[Progress], None]


@contextmanager
def progress_bar(missing: Sequence[Shard], epochs: int, reports: Any) -> Iterator[None]:
    """Show how much of the training is done, the networks in training with their accuracy, and the time left.

    The unit of the bar is one epoch of one network, which is expected to train so many epochs. `reports` is a
    queue of `Progress`, of threads or of processes.
    """
    left = {shard.name: len(shard) * (epochs if shard.trained else 1) for shard in missing}
    ended = threading.Event()

    def follow() -> None:
        running = dict[str, tuple[float, int]]()
        bar = tqdm(total=sum(left.values()), unit="epoch", unit_scale=True, disable=None)
        while not ended.is_set() or not reports.empty():
            try:
                name, epoch, training, accuracy = reports.get(timeout=0.2)
            except Empty:
                continue
            now = 0 if epoch is None else training * max(epochs - epoch, 1)
            bar.update(max(left[name] - now, 0))
            left[name] = min(left[name], now)
            running[name] = (accuracy, training)
            if accuracies := sorted((accuracy, n) for accuracy, n in running.values() if n):
                middle, networks = accuracies[len(accuracies) // 2][0], sum(n for _, n in accuracies)
                bar.set_postfix(training=networks, accuracy=f"{middle:.3f}", refresh=False)
        bar.close()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)
