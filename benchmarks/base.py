"""The experiment `base` stage by stage: seconds for all its trained networks together.

- ``training``: `modlib.train` of all networks as one stack, compiled, from the first weights to the last,
  with its random numbers, validation and early stopping.
- ``similarity``: the four measures over all test images, in double precision.
- ``modules``: modules of every layer and variant and their agreement, a process a core, their start included.

The first call of a stage compiles and wakes libraries; its seconds are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks import crew
from benchmarks.timing import race
from modlib import data
from modlib.book.benchmark_records import Device
from modlib.measures import VARIANTS, similarity
from modlib.study import catalogue
from modlib.study.plan import Shard
from modlib.study.provenance import cores
from modlib.study.rows import search_layers
from modlib.study.shard import initialised, training_data
from modlib.training import Training, train


def measure(device: Device, *, rounds: int = 3) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Time the stages of `base`.

    Parameters
    ----------
    device
        Where networks are trained and similarities formed; modules are found on the processor.
    rounds
        Calls of each stage that are timed.

    Returns
    -------
    table
        `stage`, `round`, `seconds`.
    about
        Sizes, and seconds of the first call of each stage.
    """
    experiment = catalogue.get("base", "paper")
    shard = Shard("benchmark", experiment.seeds, experiment.settings, trained=True)
    stack, settings = initialised(experiment, shard)
    x, y = (t.to(device) for t in training_data(experiment))
    loaded = data.load(experiment.dataset)
    x_test, y_test = (t[: experiment.test_samples].to(device) for t in (loaded.x_test, loaded.y_test))
    stack = stack.to(device)
    kept: dict[str, Any] = {}

    def training() -> None:
        kept["training"] = train(stack, x, y, **settings, protocol=experiment.protocol, compile=True)

    def similarities() -> None:
        found: Training = kept["training"]
        kept["S"] = similarity(found.stack.to(dtype=torch.float64), x_test, y_test)

    def modules() -> None:
        S: dict[str, list[Tensor]] = kept["S"]
        names = [str(number) for number in range(len(stack))]
        with crew.start(cores(), 1) as pool:  # as a sweep does beside a GPU
            kept["modules"] = list(search_layers(S, names, pool.map, "leiden", experiment.restarts, 0))

    stages: dict[str, Callable[[], None]] = {
        "training": training,
        "similarity": similarities,
        "modules": modules,
    }
    tables: list[pd.DataFrame] = []
    first: dict[str, float] = {}
    for stage, run in stages.items():  # one after the other: each needs what the one before found
        first[stage] = float(race({stage: run}, rounds=1, warm_up=0, device=device).seconds[0])
        tables.append(race({stage: run}, rounds=rounds, warm_up=0, device=device))
    epochs = kept["training"].epochs
    about = {
        "unit": "seconds",
        "networks": len(stack),
        "epochs": {"mean": float(epochs.mean()), "most": int(epochs.max())},
        "images": {"training": len(x), "test": len(x_test)},
        "graphs": len(stack) * stack.n_hidden * len(VARIANTS),
        "restarts": experiment.restarts,
        "processes": cores(),
        "first": first,
        "float32_products": torch.get_float32_matmul_precision(),  # "highest": no TF32
    }
    return pd.concat(tables, ignore_index=True).rename(columns={"contestant": "stage"}), about
