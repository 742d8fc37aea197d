"""Copies of a model without what training gave it: its weights permuted, or initialised anew."""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn

from modlib import _checks

#: What modules call the method that initialises their own parameters.
INITIALISERS = ("reset_parameters", "_reset_parameters")


def check_can_be_permuted(model: nn.Module) -> None:
    """Raise a ValueError if a model has no weights to permute."""
    if not any(parameter.ndim >= 2 for parameter in model.parameters()):
        raise ValueError("permuted must be False: model has no parameter of two axes or more")


def check_can_be_initialised(model: nn.Module) -> None:
    """Raise a ValueError that names a submodule whose parameters cannot be initialised anew."""
    for name, part in model.named_modules():
        if next(part.parameters(recurse=False), None) is not None and _initialiser(part) is None:
            called = f"{name or 'itself'} ({type(part).__name__})"
            raise ValueError(
                f"untrained must be False: the parameters of {called} cannot be initialised anew, as it has "
                "no method reset_parameters"
            )


def permuted(model: nn.Module, seed: int) -> Iterator[nn.Module]:
    """Give copies without end whose weights are shuffled within each tensor (Filan et al. 2021, sec. 4).

    Each parameter of two axes or more is shuffled among itself: the weights of all layers, before and after
    those that are measured. What stays is the distribution of each tensor's weights; what goes is which
    weight stands where. Parameters of one axis (biases, gains) and buffers (running means) stay in place.

    The same copy is given every time, with other weights.
    """
    made = _copied(model)
    generator = torch.Generator().manual_seed(seed)
    while True:
        with torch.no_grad():
            for own, shuffled in zip(model.parameters(), made.parameters(), strict=True):
                if own.ndim >= 2:
                    order = torch.randperm(own.numel(), generator=generator).to(own.device)
                    shuffled.copy_(own.flatten()[order].view(own.shape))
        yield made


def untrained(model: nn.Module, seed: int) -> Iterator[nn.Module]:
    """Give copies without end whose submodules are initialised anew, each by its `reset_parameters`.

    Submodules come before the modules that hold them, as when a model is made. The random generators of torch
    are left as they were. The same copy is given every time, with other parameters.
    """
    made = _copied(model)
    devices = sorted({p.get_device() for p in model.parameters() if p.is_cuda})
    number = 0
    while True:
        with torch.random.fork_rng(devices):
            torch.manual_seed((seed + number) % (_checks.MOST_SEED + 1))
            for part in reversed(list(made.modules())):
                if (initialise := _initialiser(part)) is not None:
                    initialise()
        number += 1
        yield made


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a module that cannot be copied raises
        raise ValueError(f"permuted and untrained must be False: model cannot be copied ({error})") from error


def _initialiser(part: nn.Module) -> Callable[[], object] | None:
    found = (getattr(part, name, None) for name in INITIALISERS)
    return next((method for method in found if callable(method)), None)
