"""Training: the stack against one network at a time, and against its matrix products alone.

Everything is seconds per network and epoch of 60,000 images (54,000 trained on, 6,000 held out), of the whole
machine: on a processor, so many processes train at once that every core is busy, and each counts. The
networks are those of the experiment `base`, 784-64-64-10, with its thirty settings a seed.

- ``stack``: `modlib.train`, as a sweep runs it: a shard a core, one thread each; all shards at once on a GPU.
- ``loop``: `benchmarks.loop`, every so manyth setting of the grid, in all ways of running it that promise
  something; on a processor both as one process a core and as one process with all cores. The fastest counts.
- ``products``: nothing but the matrix products of the stack's steps, into memory that is there:
  forward, for the weights' gradients, and for the gradients of the layers below. By `torch.bmm`; on a
  processor also with layer 1 by oneDNN, and the faster counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from math import ceil
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks.crew import Crew
from benchmarks.loop import HOWS, How, train_alone
from benchmarks.timing import race
from modlib import data
from modlib.book.benchmark_records import Device
from modlib.book.chapters.speed.estimates import fastest, quartiles, ratios
from modlib.study import catalogue
from modlib.study.plan import Experiment, Setting, Shard
from modlib.study.provenance import cores
from modlib.study.shard import initialised
from modlib.training import train
from modlib.training.step import wide_product

IMAGES = 60_000  # of an epoch, to which seconds are scaled where fewer are used
#: Ratios that are asked about: seconds of the first over those of the second.
RATIOS = (("loop", "stack"), ("products", "stack"))


def measure(
    device: Device,
    *,
    images: int = IMAGES,
    epochs: int = 1,
    rounds: int = 7,
    stride: int = 3,
    tuned: bool = True,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Race stack, loop and products.

    Parameters
    ----------
    device
        ``"cpu"`` or ``"cuda"``.
    images, epochs
        Training images, and passes over them a call.
    rounds
        Calls of each contestant.
    stride
        The loop trains every so manyth of the thirty settings.
    tuned
        On a processor, try all ways to run the loop first (`benchmarks.loop.HOWS`) and take the fastest;
        else the first. (On a GPU all of them race.)

    Returns
    -------
    table
        `contestant`, `round`, `seconds`; see `benchmarks.timing.race`.
    about
        How it was measured, and on a processor what the tuning found.
    """
    data.load("mnist")  # fetched once, before many ask for it
    how, tried = _tuned(device) if tuned and device == "cpu" else (HOWS[device][0], {})
    trained = len(_settings(stride)) * epochs * images / IMAGES
    steps = epochs * ceil(images * (1 - _experiment().protocol.validation) / _experiment().protocol.batch)
    n_seeds, n_settings = len(_experiment().seeds), len(_experiment().settings)

    with ExitStack() as exit_stack:
        contestants: dict[str, Callable[[], object]] = {}
        work: dict[str, float] = {}

        def enter(name: str, run: Callable[[], object], networks_and_epochs: float) -> None:
            contestants[name], work[name] = run, networks_and_epochs

        if device == "cuda":
            whole = n_seeds * n_settings * epochs * images / IMAGES
            enter("stack (plain)", lambda: _stack(0, n_seeds, images, epochs, device, False), whole)
            enter("stack (compiled)", lambda: _stack(0, n_seeds, images, epochs, device, True), whole)
            for each in HOWS[device]:
                enter(f"loop ({each})", partial(_loop, 0, images, epochs, stride, each, device), trained)
            enter("products", lambda: multiply(0, n_seeds, steps, device), whole)
        else:
            n_cores = cores()
            sweep = exit_stack.enter_context(Crew(n_cores, 1))
            whole = n_cores * n_settings * epochs * images / IMAGES
            enter("stack", lambda: sweep(_stack, 1, images, epochs, device, False), whole)
            each = "loop" if n_cores == 1 else f"loop ({n_cores} × 1 thread)"
            enter(each, lambda: sweep(_loop, images, epochs, stride, how, device), n_cores * trained)
            if n_cores > 1:
                one = exit_stack.enter_context(Crew(1, n_cores))
                enter(
                    f"loop (1 × {n_cores} threads)",
                    lambda: one(_loop, images, epochs, stride, how, device),
                    trained,
                )
            enter("products (bmm)", lambda: sweep(multiply, 1, steps, device), whole)
            enter("products (oneDNN)", lambda: sweep(multiply, 1, steps, device, True), whole)
        table = race(contestants, rounds=rounds, work=work, device=device)
    about = {
        "unit": "seconds per network and epoch of 60,000 images, on the whole machine",
        "images": images,
        "epochs": epochs,
        "networks": {
            "stack": n_settings * (n_seeds if device == "cuda" else cores()),
            "loop": len(_settings(stride)),
        },
        "float32_products": torch.get_float32_matmul_precision(),  # "highest": no TF32
        **({"loop": {"how": how, "seconds_an_epoch_of_6000_images": tried}} if device == "cpu" else {}),
        "fastest": {name: fastest(table, name) for name in ("stack", "loop")},
        "ratios": {
            f"{slow} / {fast}": quartiles(ratios(table, slow, fast))._asdict() for slow, fast in RATIOS
        },
    }  # fmt: skip
    return table, about


def _tuned(device: Device) -> tuple[How, dict[How, float | str]]:
    """Return the fastest way to run the loop, and what was found: seconds, or why a way cannot be gone."""
    with Crew(1, 1) as crew:
        found = crew(_tuning, device)[0]
    seconds = {how: value for how, value in found.items() if isinstance(value, float)}
    return min(seconds, key=lambda how: seconds[how]), found


def _tuning(number: int, device: Device) -> dict[How, float | str]:
    """Race the ways to run the loop: seconds a network and epoch of 6,000 images, over a few settings."""
    images, stride = 6000, 6
    found: dict[How, float | str] = {}
    runs: dict[str, Callable[[], object]] = {}
    for how in HOWS[device]:
        try:
            _loop(number, images, 1, stride, how, device)
            runs[how] = partial(_loop, number, images, 1, stride, how, device)
        except Exception as error:  # no compiler, no CUDA graphs: whatever stands in its way
            found[how] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    work = dict.fromkeys(runs, float(len(_settings(stride))))
    medians = race(runs, rounds=7, work=work, device=device).groupby("contestant").seconds.median()
    return found | {how: float(medians[how]) for how in runs}


def _experiment() -> Experiment:
    return catalogue.get("base", "paper")


def _settings(stride: int) -> Sequence[Setting]:
    return _experiment().settings[::stride]


@cache
def _images(number: int, device: Device) -> tuple[Tensor, Tensor]:
    loaded = data.load("mnist")
    return loaded.x_train[:number].to(device), loaded.y_train[:number].to(device)


@cache
def _networks(seeds: tuple[int, ...], device: Device) -> tuple[Any, dict[str, Any]]:
    experiment = _experiment()
    stack, settings = initialised(experiment, Shard("benchmark", seeds, experiment.settings, trained=True))
    return stack.to(device), settings


def _stack(number: int, n_seeds: int, images: int, epochs: int, device: Device, compiled: bool) -> None:
    """Train all settings of some seeds as one stack; the process of this number has seeds of its own."""
    stack, settings = _networks(tuple(range(number * n_seeds, (number + 1) * n_seeds)), device)
    protocol = replace(_experiment().protocol, max_epochs=epochs)
    train(stack, *_images(images, device), **settings, protocol=protocol, compile=compiled)


def _loop(number: int, images: int, epochs: int, stride: int, how: How, device: Device) -> None:
    """Train some settings of a seed one after the other."""
    experiment = _experiment()
    for setting in _settings(stride):
        train_alone(
            [784, *experiment.hidden, 10],
            *_images(images, device),
            seed=number,
            l1=setting.l1,
            l2=setting.l2,
            dropout=setting.dropout,
            protocol=replace(experiment.protocol, max_epochs=epochs),
            how=how,
        )


def multiply(number: int, n_seeds: int, steps: int, device: Device, wide: bool = False) -> None:
    """Do the matrix products of so many steps, if `wide` those of layer 1 as `modlib.train` does."""
    for _ in range(steps):
        for layer, a, b, result in factors_of_a_step(n_seeds, device):
            if wide and layer == 0:
                wide_product(a, b.mT, result)
            else:
                torch.bmm(a, b, out=result)


@cache
def factors_of_a_step(n_seeds: int, device: Device) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    """Layer and both factors of each matrix product of a step, as the stack's, and where the product goes."""
    experiment = _experiment()
    n, batch = len(experiment.settings), experiment.protocol.batch
    widths = [784, *experiment.hidden, 10]
    found: list[tuple[int, Tensor, Tensor, Tensor]] = []

    def product(layer: int, a: Tensor, b: Tensor) -> None:
        found.append((layer, a, b, torch.empty(len(a), a.shape[1], b.shape[2], device=device)))

    for layer, (n_in, n_out) in enumerate(pairwise(widths)):
        groups = n_seeds if layer == 0 else n_seeds * n
        rows = n * n_out if layer == 0 else n_out  # layer 1 of a seed's networks is one wide matrix
        w = torch.rand(groups, rows, n_in, device=device)
        h = torch.rand(groups, batch, n_in, device=device).mT if layer == 0 else \
            torch.rand(groups, n_in, batch, device=device)  # fmt: skip
        d = torch.rand(groups, rows, batch, device=device)
        product(layer, w, h)  # forward
        product(layer, d, h.mT)  # the weights' gradient
        if layer > 0:
            product(layer, w.mT, d)  # the gradient of the layer below
    return found
