"""What units of a layer are for: hold them still, and see what the model can no longer do."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from modlib import _checks
from modlib.models import first_tensor, found, plain, with_first_tensor


@contextmanager
def silenced(
    model: nn.Module,
    layer: str,
    units: Iterable[int] | Int[np.ndarray, " hurt"] | Int[Tensor, " hurt"],
    *,
    unit_axis: int = -1,
    value: float | Tensor = 0.0,
) -> Iterator[None]:
    """Hold units of a layer at a fixed value for as long as the block lasts, whatever the inputs.

    In the output of the layer the given units are replaced, at every position; the model goes on with that.
    Afterwards the layer gives again what it gave before. Nothing else of the model is changed, not even its
    mode: call ``model.eval()`` first, as for any measurement.

    Parameters
    ----------
    model, layer
        Any module, and the name of a layer as in ``model.named_modules()``. Of a tuple that the layer returns
        the first tensor counts. What a recurrent layer carries on from one time to the next is left alone.
    units
        Numbers of the units, from 0.
    unit_axis
        The axis of the layer's output that is units: the last one, or 1 for channels of a convolution.
    value
        What the units are held at: one number, or a tensor with one for each of the units given, such as
        their means over the data. A unit that is held at its mean tells the rest of the model nothing, and
        disturbs it less than one that is held at 0, where it may never have been.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; within the block, if the layer has no such unit or axis.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> with silenced(net, "1", [0, 2]):
    ...     (net(torch.rand(4, 2)) > 0).any(dim=0)[[0, 2]].tolist()
    [False, False]
    """
    model = plain(_checks.instance(model, "model", nn.Module, "torch.nn.Module"))
    (name,) = found(model, _checks.instance(layer, "layer", str, "the name of a layer"), "layer")
    numbers = _checks.wholes(units, "units")
    axis = _checks.whole(unit_axis, "unit_axis", least=None)
    held = _held(value, len(numbers))

    def hold(_: nn.Module, __: object, output: Any) -> Any:
        a = first_tensor(output)
        if a is None or not a.is_floating_point():
            raise ValueError(f"layer {name!r} must return a tensor of floating-point numbers")
        if not -a.ndim <= axis < a.ndim or axis % a.ndim == 0:
            raise ValueError(
                f"unit_axis must be an axis of the output {tuple(a.shape)} of layer {name!r} other than the "
                f"first, got {axis}"
            )
        moved = a.movedim(axis, -1).clone()
        n_units = moved.shape[-1]
        if numbers and max(numbers) >= n_units:
            raise ValueError(
                f"units must be from 0 to {n_units - 1}, since layer {name!r} has {n_units} along axis "
                f"{axis}, got {max(numbers)}"
            )
        moved[..., numbers] = held.to(moved)
        return with_first_tensor(output, moved.movedim(-1, axis))

    hook = model.get_submodule(name).register_forward_hook(hold)
    try:
        yield
    finally:
        hook.remove()


def _held(value: Any, n_units: int) -> Tensor:
    """Return what units are held at: one number, or one for each."""
    if not isinstance(value, Tensor):
        return torch.tensor(_checks.real(value, "value"))
    held = _checks.tensor(value, "value").detach()
    if held.shape not in ((), (n_units,)):
        raise ValueError(
            f"value must be one number, or one for each of {n_units} units, got shape {tuple(held.shape)}"
        )
    if not torch.isfinite(held).all():
        raise ValueError("value must be finite, got nan or inf")
    return held
