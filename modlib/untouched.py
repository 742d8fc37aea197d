"""Leave a model as it was: what is done to it within a block is undone at its end."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, its parameters without gradients, and in the end back as it was.

    Put back bit for bit are parameters, buffers and other tensors that a module holds, their ``grad`` and
    ``requires_grad``, every attribute of every submodule (its mode and its hooks among them), and the state
    of the random generators of torch, NumPy and Python. One copy of the model's tensors is held meanwhile.
    """
    parts = list(model.modules())
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"model must be called once before: its {name} has no shape yet")
    attributes = [_attributes(part) for part in parts]
    tensors = _tensors(model, parts)
    devices = sorted({tensor.get_device() for tensor in tensors if tensor.is_cuda})
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    values = [(t, t.detach().clone(), t.grad, t.requires_grad and t.is_leaf) for t in tensors]
    try:
        with torch.random.fork_rng(devices):
            for part in parts:
                part.training = False
            for tensor, _, _, learns in values:
                if learns:
                    tensor.requires_grad_(False)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for part, before in zip(parts, attributes, strict=True):
            _restore(part, before)
        for tensor, value, grad, learns in values:
            if not torch.equal(tensor.detach(), value):
                with torch.no_grad():
                    tensor.copy_(value)
            if tensor.is_leaf:
                tensor.requires_grad_(learns)
                if tensor.grad is not grad:
                    tensor.grad = grad


def _tensors(model: nn.Module, parts: list[nn.Module]) -> list[Tensor]:
    """Find every tensor that a model holds, once each."""
    others = (value for part in parts for value in vars(part).values() if isinstance(value, Tensor))
    return list({id(t): t for t in (*model.parameters(), *model.buffers(), *others)}.values())


def _attributes(part: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Note each attribute of a module, and what is in it where it is a collection."""
    return {
        name: (value, value.copy() if isinstance(value, dict | list | set) else None)
        for name, value in vars(part).items()
    }


def _restore(part: nn.Module, before: dict[str, tuple[Any, Any]]) -> None:
    now = vars(part)
    for name in now.keys() - before.keys():
        del now[name]
    for name, (value, content) in before.items():
        now[name] = value
        if isinstance(value, list):
            value[:] = content
        elif isinstance(value, dict | set):
            value.clear()
            value.update(content)
