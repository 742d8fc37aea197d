"""A shard as an order: what is sent to a worker of a cluster, and what the worker does with it.

An order is text. No object of modlib travels, so whoever passes it on need not have modlib.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch

from modlib.study import store
from modlib.study.catalogue import Choice, Experiment, Setting, Shard
from modlib.training import Protocol


def order(work: Callable[..., bytes], plan: Experiment, shard: Shard, device: str, topic: str) -> str:
    """Write down what a worker shall do, and what it must have in common with this process.

    Parameters
    ----------
    work
        A function of a module: called with `plan`, `shard`, `device` and the keyword `tell`, which takes a
        list or tuple of plain values.
    plan, shard, device
        Its arguments.
    topic
        Under which Dask passes on what is told.

    Returns
    -------
    str
        For `fulfil`.
    """
    return json.dumps(
        {
            "work": (work.__module__, work.__name__),
            "plan": plan.config,
            "shard": asdict(shard),
            "device": device,
            "topic": topic,
            "decisive": decisive(),
            "digest": plan.digest,
        }
    )


def decisive() -> dict[str, str]:
    """Return what decides the numbers besides the configuration: the code, and versions of packages."""
    return {"code": store.code_digest(), **{name: version(name) for name in store.PACKAGES}}


def fulfil(text: str) -> bytes:
    """Do what an order says, on a worker that is like the process that wrote it.

    Raises
    ------
    RuntimeError
        If the worker differs in what is decisive, or has no such device.
    Exception
        As the work raises it.
    """
    from distributed import get_worker

    worker = get_worker()
    asked, here = json.loads(text), decisive()
    for what, there in asked["decisive"].items():
        if here[what] != there:
            raise _refusal(worker.address, f"{what} is {here[what][:12]}, the caller's {there[:12]}")
    plan, shard = _plan(asked["plan"]), _shard(asked["shard"])
    if plan.digest != asked["digest"]:
        raise _refusal(worker.address, "it reads another configuration")
    if asked["device"] == "cuda" and not torch.cuda.is_available():
        raise _refusal(worker.address, "torch sees no CUDA device there")
    module, name = asked["work"]
    work: Callable[..., bytes] = getattr(import_module(module), name)

    def tell(news: Any) -> None:
        worker.log_event(asked["topic"], news)

    try:
        return work(plan, shard, asked["device"], tell=tell)
    except Exception as error:
        # As text: Dask loses an error with a traceback too deep to be pickled, and the caller waits for ever.
        error.add_note(f"{shard.name} at the worker {worker.address}:\n{traceback.format_exc()}")
        raise error.with_traceback(None) from None


def _refusal(address: str, reason: str) -> RuntimeError:
    return RuntimeError(
        f"the worker at {address} cannot take part: {reason}; start workers where the caller's environment is"
    )


def _plan(config: Mapping[str, Any]) -> Experiment:
    """Make an experiment of its `config`; a field that is not written there has its default."""
    many = {"settings": Setting, "kept": Setting, "null_settings": Setting, "choices": Choice}
    found: dict[str, Any] = {
        n: tuple(value) if isinstance(value, list) else value for n, value in config.items()
    }
    found |= {name: tuple(kind(**values) for values in config[name]) for name, kind in many.items()}
    return Experiment(**found | {"protocol": Protocol(**config["protocol"])})


def _shard(values: Mapping[str, Any]) -> Shard:
    settings = tuple(Setting(**one) for one in values["settings"])
    return Shard(**{**values, "seeds": tuple(values["seeds"]), "settings": settings})
