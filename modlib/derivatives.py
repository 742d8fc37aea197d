"""Derivatives of networks on samples: of stacks in closed form, of any torch model by autograd."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from modlib import _checks, losses
from modlib.models import check_alike
from modlib.networks import MLPStack

Function = Callable[[Tensor], Tensor]

AT_ONCE = 2**21  #: Derivatives formed at a time, unless it is said of how many samples: 8 MB, for the cache.
MOST_SAMPLES = 500  #: Samples at a time then, at the most.
FORWARD = 100  #: Samples at a time on the way to the hidden units.


class Batch:
    """Samples on their way through a stack, and the derivatives of its layers on them.

    `r` is R of the QR decomposition of W₁, ``(network, rank, unit)``. Per hidden layer, `masks` are 1 where a
    unit is active and 0 elsewhere, and `means` is each unit's mean, ``(network, unit, 1)``, over the `before`
    samples that went before; `input_cov` updates it.
    """

    def __init__(self, stack: MLPStack, r: Tensor, x: Tensor, before: int, means: list[Tensor]) -> None:
        self.stack, self.r, self.before, self.means = stack, r, before, means
        self.hidden, self.logits = stack(x)
        self.masks = [(h > 0).to(x.dtype) for h in self.hidden]

    @cached_property
    def output_jacobians(self) -> list[Float[Tensor, "network sample _class _unit"]]:
        """Derivatives of the logits by every hidden layer."""
        n, n_samples, n_classes = self.logits.shape
        jacobian = self.stack.weights[-1].mT[:, None].expand(-1, n_samples, -1, -1)
        found = [jacobian]
        for w, mask in zip(self.stack.weights[-2:0:-1], self.masks[:0:-1], strict=True):
            # back through h_{l+1} = m ∘ (h_l W + b)
            masked = (jacobian * mask[:, :, None]).reshape(n, n_samples * n_classes, -1)
            jacobian = torch.bmm(masked, w.mT).view(n, n_samples, n_classes, -1)
            found.append(jacobian)
        return found[::-1]


class Model:
    """A model in two parts, the samples it is given, and what its hidden units do on them.

    The arguments are those of `modlib.similarity_of`, checked one by one; here it is checked whether they fit
    together. `hidden` are the activations of the hidden layer, ``(sample, unit)``.
    """

    def __init__(
        self, encoder: Function, decoder: Function | None, x: Tensor, y: Tensor | None, batch: int | None
    ) -> None:
        self._encoder, self._decoder = encoder, cast(Function, decoder)
        self._x, self._y, self._batch = x, y, batch
        inputs: tuple[Tensor, ...] = x.split(batch or FORWARD)
        # Copies, since a model may begin with an operation in place.
        parts = [_checks.tensor(encoder(part.clone()), "what encoder returns") for part in inputs]
        rows = [len(part) if part.ndim else 0 for part in parts]
        shapes = {tuple(part.shape[1:]) for part in parts}
        if len(shapes) > 1 or len(min(shapes)) != 1 or rows != [len(part) for part in inputs]:
            raise ValueError(f"encoder must return (sample, unit), got {tuple(parts[0].shape)}")
        self.hidden: Float[Tensor, "sample unit"] = torch.cat(parts).detach()
        check_alike(self.hidden[:1], encoder(x[:1].clone()).detach(), "what encoder returns")

    def check_followed(self, measure: str, total: Tensor) -> None:
        """Refuse a measure that is exactly 0 because a gradient is cut, and not because nothing changes.

        Rounding, comparing, detaching and leaving torch have a gradient of 0, or none, where they are not
        constant.
        """
        if measure == "input_cov" or bool(total.any()):
            return
        other, same = self.hidden.roll(1, 0), self.hidden.clone()
        if measure == "input_grad":
            name, changes = "encoder", not torch.equal(other, same)
        elif measure == "output_hess" and any(bool(j.any()) for j in self.output_jacobians()):
            return  # logits that lie far apart leave nothing of their softmax's second derivative
        else:
            name, changes = "decoder", not torch.equal(self._decoder(other), self._decoder(same))
        if changes:
            raise ValueError(
                f"{name} has a gradient of exactly 0, though what it returns changes with what it is given: "
                "an operation such as sign, round, a comparison, detach or no_grad cuts the gradient, or no "
                "sample lies where a small step makes a difference"
            )

    def input_jacobians(self) -> Iterator[Float[Tensor, "part unit feature"]]:
        """Give the derivatives of the hidden units by the inputs, a batch at a time."""
        if not self._x.is_floating_point():
            raise TypeError(
                f"x must hold floating-point numbers to be differentiated by, got {self._x.dtype}"
            )
        jacobian = vmap(jacrev(lambda a: self._encoder(a[None])[0]), randomness="error")
        for part in self._x.split(self._size(self.hidden.shape[1] * self._x[0].numel())):
            yield jacobian(part).flatten(2)

    def output_jacobians(self) -> Iterator[Float[Tensor, "part _class unit"]]:
        """Give the derivatives of the logits by the hidden units, a batch at a time."""
        size = self._size(self.hidden.shape[1] * self._n_class())
        jacobian = vmap(jacrev(lambda h: self._decoder(h[None])[0]))
        for part in self.hidden.split(size):
            yield jacobian(part)

    def hessians(self) -> Iterator[Float[Tensor, "part unit unit"]]:
        """Give the Hessian of the cross-entropy in the hidden units, float64, a batch at a time."""
        if self._y is None:
            raise ValueError("y must hold the classes, without which there is no cross-entropy; got None")
        y = _checks.classes(self._y, "y", n_sample=len(self._x), n_class=self._n_class(), like=self._x)
        self._check_logits()

        def loss(h: Tensor, label: Tensor) -> Tensor:
            return torch.nn.functional.cross_entropy(self._decoder(h[None]), label[None])

        second = vmap(jacrev(jacrev(loss)))  # forward mode would be no faster, and loads for two seconds
        size = self._size(self.hidden.shape[1] ** 2)
        for part, labels in zip(self.hidden.split(size), y.split(size), strict=True):
            yield second(part, labels).double()

    def _size(self, derivatives: int) -> int:
        """Return how many samples to differentiate at a time, if each has so many derivatives."""
        return self._batch or min(max(AT_ONCE // max(derivatives, 1), 1), MOST_SAMPLES)

    def _n_class(self) -> int:
        """Return the number of classes, once the decoder is seen to give them sample by sample."""
        logits = self._few_logits(1)
        if logits.ndim != 2 or len(logits) != 1:
            raise ValueError(f"decoder must return (sample, class), got {tuple(logits.shape)}")
        check_alike(logits, self._few_logits(3)[:1], "what decoder returns")
        return int(logits.shape[1])

    def _few_logits(self, n: int) -> Tensor:
        return _checks.tensor(self._decoder(self.hidden[:n].clone()), "what decoder returns")

    def _check_logits(self) -> None:
        """Refuse what has no cross-entropy, or another one than meant."""
        logits = self._few_logits(3)
        if losses.has_single_logit(logits):
            raise ValueError(
                "decoder must return two classes or more for output_hess, got one: the cross-entropy is then "
                "0 whatever the model does"
            )
        if losses.are_probabilities(logits):
            raise ValueError(
                "decoder must return logits for output_hess, but it returns probabilities, rows that sum to "
                "1: leave out its softmax"
            )
