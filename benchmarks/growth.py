"""How time and memory grow: with units, with images, with networks; and what faster ways cost in error.

Every point is measured in a process of its own, so that its memory is its own: the most that it held beyond
its inputs and the libraries (anonymous memory; pages of files that the system may drop do not count).
``python -m benchmarks.growth WHAT SIZE`` measures one point and prints it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from modlib import data
from modlib.analysis.modules import PAIRS
from modlib.bounds import modularity_bound
from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement_pairs, rank_correlations, transfers
from modlib.measures import VARIANTS, graphs, similarity
from modlib.networks import MLPStack
from modlib.study import catalogue, store
from modlib.training import Protocol, train

UNITS = (64, 128, 256, 512, 1024, 2048, 4096)
FEW_UNITS = (16, 32, 48, 64)  # as far as the bound can be had in minutes
SIZES: dict[str, tuple[int, ...]] = {
    "similarity by units": UNITS,
    "one restart by units": UNITS,
    "20 restarts by units": UNITS[:4],
    "agreement by units": UNITS,
    "bound by units": FEW_UNITS,
    "similarity by images": (1_000, 10_000, 100_000, 1_000_000),
    "training by networks": (1, 10, 100, 1_000, 10_000),
    "similarity by networks": (1, 10, 100, 1_000, 10_000),
}
SPARSE_UNITS = 2048
NEIGHBOURS = (8, 32, 128, 512)  # strongest edges a unit, kept in a sparsified graph
IMAGES = (30, 100, 300, 1000, 3000)  # of the 10,000, for similarities
DRAWS = 5
TIMEOUT = 1200  # seconds of a point; one that takes longer is left out, and so are larger ones
SAMPLED = 0.01  # seconds between two looks at the memory


def measure(sizes: dict[str, tuple[int, ...]] | None = None) -> pd.DataFrame:
    """Measure all points.

    Parameters
    ----------
    sizes
        What to measure and at which sizes, by default `SIZES`.

    Returns
    -------
    DataFrame
        One row a point: `what`, `size`, `seconds`, `mib` (nan both where a point took too long or too much).
    """
    rows = []
    for what, points in (SIZES if sizes is None else sizes).items():
        beyond = False
        for size in points:
            found = {"seconds": np.nan, "mib": np.nan} if beyond else measure_apart(what, size)
            beyond = beyond or bool(np.isnan(found["seconds"]))
            rows.append({"what": what, "size": size, **found})
    return pd.DataFrame(rows)


def sparsified(n_unit: int = SPARSE_UNITS, neighbours: tuple[int, ...] = NEIGHBOURS) -> pd.DataFrame:
    """Search a graph that keeps each unit's strongest edges only, and score what is found on the whole graph.

    Returns
    -------
    DataFrame
        One row a number of `neighbours` (0: all edges): `seconds` of one restart, `q` on the whole graph,
        and `lost`, the share of the whole graph's Q that is given up.
    """
    A = overlapping_groups(n_unit)
    rows = []
    for k in (0, *neighbours):
        B = A if k == 0 else strongest_edges(A, k)
        start = time.perf_counter()
        labels = find_modules(B, restarts=1).labels
        seconds = time.perf_counter() - start
        rows.append({"units": n_unit, "neighbours": k, "seconds": seconds, "q": modularity(A, labels)})
    table = pd.DataFrame(rows)
    return table.assign(lost=1 - table.q / table.q.iloc[0])


def subsampled(
    images: tuple[int, ...] = IMAGES, *, draws: int = DRAWS, networks: int | None = None
) -> pd.DataFrame:
    """Form similarities from some of the 10,000 test images, and score the modules found on the whole graph.

    Parameters
    ----------
    images
        How many to draw, without replacement.
    draws
        How often, a network.
    networks
        How many of the networks that `base` keeps, by default all.

    Returns
    -------
    DataFrame
        One row a `network`, number of `images`, `draw` and graph (`layer`, `measure`, `normalized`):
        `seconds` of all similarities of the network, the same for its 16 graphs; `error`, the distance of the
        graph from the whole one (Frobenius), relative to the latter; `q` of the modules found, on the whole
        graph; and `lost`, the share of Q given up.
    """
    experiment = catalogue.get("base", "paper")
    loaded = data.load("mnist")
    rows: list[dict[str, object]] = []
    for name, stack in list(store.read_results(experiment).kept.items())[:networks]:
        double = stack.to(dtype=torch.float64)
        S = similarity(double, loaded.x_test)
        whole = [graphs(S, layer)[0] for layer in range(stack.n_hidden)]
        best = [[find_modules(A, restarts=experiment.restarts).q for A in layer] for layer in whole]
        for n in images:
            for draw in range(draws):
                chosen = np.random.default_rng([n, draw]).permutation(len(loaded.x_test))[:n]
                x = loaded.x_test[torch.from_numpy(chosen)]
                start = time.perf_counter()
                S = similarity(double, x)
                seconds = time.perf_counter() - start
                for layer, found in enumerate(graphs(S, layer)[0] for layer in range(stack.n_hidden)):
                    for (measure, normalized), A, B, q in zip(
                        VARIANTS, whole[layer], found, best[layer], strict=True
                    ):
                        there = modularity(A, find_modules(B, restarts=experiment.restarts).labels)
                        rows.append(
                            {"network": name, "images": n, "draw": draw, "layer": layer + 1,
                             "measure": measure, "normalized": normalized, "seconds": seconds,
                             "error": np.linalg.norm(A - B) / np.linalg.norm(A), "q": there,
                             "lost": 1 - there / q}
                        )  # fmt: skip
    return pd.DataFrame(rows)


def strongest_edges(A: np.ndarray, k: int) -> np.ndarray:
    """Keep an edge that is among the k strongest of either of its units."""
    threshold = -np.partition(-A, k - 1, axis=1)[:, k - 1]
    return np.where((threshold[:, None] <= A) | (threshold[None] <= A), A, 0.0)


def overlapping_groups(n_unit: int) -> np.ndarray:
    """Absolute correlations of units in eight overlapping groups, in 32 dimensions."""
    rng = np.random.default_rng(n_unit)
    centres = rng.standard_normal((8, 32))
    vectors = centres[np.arange(n_unit) % 8] * 0.5 + rng.standard_normal((n_unit, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    A = np.abs(vectors @ vectors.T)
    np.fill_diagonal(A, 0)
    return np.asarray((A + A.T) / 2)


def _labels(n_unit: int) -> np.ndarray:
    return np.random.default_rng(n_unit).integers(0, 8, (len(VARIANTS), n_unit))


def _prepare(what: str, size: int, scratch: Path) -> Callable[[], object]:
    """Make the inputs of a point, and return what is to be timed."""
    x = torch.rand(1000, 784, generator=torch.Generator().manual_seed(0))
    y = torch.randint(10, (1000,), generator=torch.Generator().manual_seed(1))
    if what == "similarity by units":
        wide = MLPStack.initialise([784, size, size, 10], seeds=[0]).to(dtype=torch.float64)
        return lambda: similarity(wide, x[:100].double(), y[:100])
    if what == "one restart by units":
        A = overlapping_groups(size)
        return lambda: find_modules(A, restarts=1)
    if what == "20 restarts by units":
        A = overlapping_groups(size)
        return lambda: find_modules(A)
    if what == "agreement by units":
        labels, A = _labels(size), overlapping_groups(size)
        graphs = np.stack([A] * len(VARIANTS))
        return lambda: (agreement_pairs(labels, PAIRS), transfers(graphs, labels), rank_correlations(graphs))
    if what == "bound by units":
        A = overlapping_groups(size)
        return lambda: modularity_bound(A)
    if what == "similarity by images":
        stack = MLPStack.initialise([784, 64, 64, 10], seeds=[0])
        images = np.memmap(scratch / "images", dtype=np.float32, mode="w+", shape=(size, 784))
        for start in range(0, size, 1000):
            images[start : start + 1000] = x[: min(1000, size - start)].numpy()
        return lambda: similarity(stack, torch.from_numpy(images))
    stack = MLPStack.initialise([784, 64, 64, 10], seeds=[0] * size)
    if what == "training by networks":
        once = Protocol(max_epochs=1, validation=0.1, keep="last", stop_after=None, decay=1.0)
        return lambda: train(
            stack, x, y, seeds=[0] * size, l2=1e-5, dropout=0.2, protocol=once, compile=False
        )
    if what == "similarity by networks":
        return lambda: similarity(stack, x[:200])
    raise ValueError(f"what must be one of {', '.join(SIZES)}; got {what!r}")


class PeakMemory(threading.Thread):
    """A thread that notes the most anonymous memory held, in MiB beyond what was held at the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.start_mib = self.most = self._now()

    def run(self) -> None:
        """Look at the memory until told to stop."""
        while not self.done.wait(SAMPLED):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> float:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("RssAnon:")[2].split()[0]) / 1024

    def stop(self) -> float:
        """Stop looking, and return the most there was."""
        self.done.set()
        self.join()
        return max(self.most, self._now()) - self.start_mib


def measure_apart(what: str, size: int) -> dict[str, float]:
    """Measure a point in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", what, str(size)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return {"seconds": np.nan, "mib": np.nan}
    if done.returncode < 0 or "MemoryError" in done.stderr or "not enough memory" in done.stderr:
        return {"seconds": np.nan, "mib": np.nan}  # killed, or refused, for want of memory
    if done.returncode:
        raise RuntimeError(f"{what} at {size}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {name: float(found[name]) for name in ("seconds", "mib")}


def _point(what: str, size: int) -> dict[str, float]:
    """Time one point: the best of three calls if they are short, and the memory of the first."""
    with tempfile.TemporaryDirectory() as scratch:
        run = _prepare(what, size, Path(scratch))
        peak = PeakMemory()
        peak.start()
        start = time.perf_counter()
        run()
        seconds = [time.perf_counter() - start]
        mib = peak.stop()
        while sum(seconds) < 3 and len(seconds) < 3:
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "mib": mib}


if __name__ == "__main__":
    torch.set_num_threads(1)
    threadpool_limits(1)
    print(json.dumps(_point(sys.argv[1], int(sys.argv[2]))))
