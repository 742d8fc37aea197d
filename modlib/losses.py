"""Losses whose Hessian is taken: what each is for one sample, and what the labels must be."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from modlib import _checks

LOSSES = ("cross_entropy", "mse", "bce")  #: Losses known by name.
IGNORED = -100  #: The label of an output position that has none, as in torch.
OFF_ONE = 1e-3  #: How far from 1 a sum of probabilities may be.

Loss = str | Callable[[Any, Any], Any]


def checked(loss: Any) -> Loss:
    """Return a loss by name or as a function."""
    if not callable(loss) and (not isinstance(loss, str) or loss not in LOSSES):
        raise ValueError(f"loss must be one of {', '.join(LOSSES)} or a function, got {_checks.shown(loss)}")
    return cast(Loss, loss)


def total(loss: Loss, output: Tensor, y: Tensor | None) -> Tensor:
    """Sum the losses of some samples, each what torch's function of that name gives for the sample alone.

    Without labels the target is the model's own prediction, held fixed: its probabilities, or its output.
    """
    z = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
    if callable(loss):
        return _of_function(loss, z, y)
    if loss == "cross_entropy":
        return _cross_entropy(z, y)
    target = _like(z, y)
    if loss == "mse":
        each = (z - (z.detach() if target is None else target)) ** 2
    else:
        if target is not None and not bool(((target >= 0) & (target <= 1)).all()):
            raise ValueError("y must hold numbers from 0 to 1 for the loss bce")
        target = torch.sigmoid(z).detach() if target is None else target
        each = functional.binary_cross_entropy_with_logits(z, target, reduction="none")
    return each.flatten(1).mean(1).sum() if each.ndim > 1 else each.sum()


def curvature(loss: Loss, output: Tensor, y: Tensor | None) -> Tensor:
    """Return the Hessian of the loss of each sample by its output: ``(sample, number, number)``."""
    z = output.detach().requires_grad_()
    flat = z.reshape(len(z), -1)
    found = torch.zeros(*flat.shape, flat.shape[1], dtype=z.dtype, device=z.device)
    value = total(loss, flat.reshape(z.shape), y)
    if not value.requires_grad:
        return found
    (gradient,) = torch.autograd.grad(value, flat, create_graph=True)
    for number in range(flat.shape[1] if gradient.requires_grad else 0):
        (row,) = torch.autograd.grad(gradient[:, number].sum(), flat, retain_graph=True, allow_unused=True)
        if row is not None:
            found[:, number] = row
    return found


def check_logits(loss: Loss, output: Tensor) -> list[str]:
    """Refuse outputs that the loss does not take; what is odd, but not surely wrong, comes back in words."""
    if loss == "cross_entropy":
        if has_single_logit(output):
            raise ValueError(
                'loss must be "bce" for a model with a single logit (or "mse" for a regression): with one '
                "class the cross-entropy is 0 whatever the model does"
            )
        if are_probabilities(output):
            raise ValueError(
                "model must return logits for the loss cross_entropy, but it returns probabilities, rows "
                "that sum to 1: leave out its softmax, or name what is before it by output"
            )
        if bool((output <= 0).all()) and bool(((output.double().exp().sum(-1) - 1).abs() < OFF_ONE).all()):
            return ["the outputs are log-probabilities, and the output gradient is theirs, not the logits'"]
    if loss == "bce" and bool(((output >= 0) & (output <= 1)).all()):
        return ["all outputs lie between 0 and 1, where the loss bce takes logits, not probabilities"]
    return []


def has_single_logit(output: Tensor) -> bool:
    """Whether an output has one class only, so that its cross-entropy is always 0."""
    return output.ndim == 1 or output.shape[class_axis(output, None)[0]] == 1


def are_probabilities(output: Tensor) -> bool:
    """Whether an output is such as a softmax returns: nothing below 0, and all rows sum to 1."""
    z = output.double()
    sums = (z.sum(axis) for axis in {1, output.ndim - 1})
    return bool((z >= 0).all()) and any(bool(((total - 1).abs() < OFF_ONE).all()) for total in sums)


def class_axis(output: Tensor, y: Tensor | None) -> tuple[int, str | None]:
    """Find the axis of the classes, and say in words how it was chosen where that is in doubt.

    An output of more than two axes has its classes along the last (a model of text) or along axis 1 (one of
    pictures), which the shape of the labels shows. Without labels it is the last of three, and 1 of more.
    """
    if output.ndim < 3:
        return output.ndim - 1, None
    last = output.ndim - 1
    if y is not None and y.shape == output.shape:
        if bool(((y.double().sum(-1) - 1).abs() < OFF_ONE).all()):
            return last, None
        return 1, None
    if y is not None and y.ndim == output.ndim - 1:
        is_last, is_first = (
            y.shape == output.shape[:-1],
            y.shape == (*output.shape[:1], *output.shape[2:]),
        )
        if is_last != is_first:
            return (last if is_last else 1), None
    axis = last if output.ndim == 3 else 1
    return axis, f"axis {axis} of the output {tuple(output.shape[1:])} of a sample was taken for the classes"


def _cross_entropy(z: Tensor, y: Tensor | None) -> Tensor:
    axis, _ = class_axis(z, y)
    soft = y is not None and y.shape == z.shape and z.ndim > 1
    logits = z.movedim(axis, -1).reshape(len(z), -1, z.shape[axis])  # (sample, position, class)
    if y is None:
        target = logits.detach().softmax(-1)
    elif soft:
        target = y.movedim(axis, -1).reshape(logits.shape).to(logits.dtype)
        if not bool((target >= 0).all()) or not bool(((target.sum(-1) - 1).abs() < OFF_ONE).all()):
            raise ValueError("y must hold probabilities, rows that are not negative and sum to 1")
    else:
        return _of_classes(logits, y, z)
    return -(target * logits.log_softmax(-1)).sum(-1).mean(1).sum()


def _of_classes(logits: Tensor, y: Tensor, z: Tensor) -> Tensor:
    n_samples, n_positions, n_classes = logits.shape
    fits = y.numel() == n_samples * n_positions and y.ndim == z.ndim - 1
    if y.is_floating_point() or y.dtype == torch.bool or not fits:
        raise ValueError(
            f"y must hold classes as integers, one a sample, or probabilities {tuple(z.shape)}, for the loss "
            f"cross_entropy of an output {tuple(z.shape)}; got {y.dtype} of shape {tuple(y.shape)}"
        )
    classes = y.reshape(n_samples, n_positions).long()
    kept = classes != IGNORED
    if not bool(((classes >= 0) & (classes < n_classes))[kept].all()):
        raise ValueError(
            f"y must hold classes from 0 to {n_classes - 1}, got {int(y.min())} to {int(y.max())}"
        )
    each = functional.cross_entropy(
        logits.flatten(0, 1), classes.flatten(), reduction="none", ignore_index=IGNORED
    ).view(n_samples, n_positions)
    return (each.sum(1) / kept.sum(1).clamp(min=1)).sum()


def _like(z: Tensor, y: Tensor | None) -> Tensor | None:
    """Return labels in the shape of the output, which may lack the axis of a single output or have it."""
    if y is None:
        return None
    single = z.numel() == len(z) == y.numel()
    if y.shape != z.shape and not single:
        raise ValueError(f"y must have the shape {tuple(z.shape)} of the output, got {tuple(y.shape)}")
    return y.reshape(z.shape).to(z.dtype)


def _of_function(loss: Callable[[Any, Any], Any], z: Tensor, y: Tensor | None) -> Tensor:
    """Sum a user's loss over samples; one that gives a single number is called sample by sample."""

    def called(rows: slice) -> Tensor:
        value = loss(z[rows], None if y is None else y[rows])
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise TypeError(f"loss must return a tensor of numbers, got {_checks.shown(value)}")
        return value

    values = called(slice(None))
    if values.shape == (len(z),) and len(z) > 1:
        return values.sum()
    if values.numel() != 1:
        raise ValueError(
            f"loss must return one number, or one a sample ({len(z)}), got shape {tuple(values.shape)}"
        )
    if len(z) == 1:
        return values.sum()
    return torch.stack([called(slice(row, row + 1)).sum() for row in range(len(z))]).sum()
