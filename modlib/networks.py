"""Many ReLU networks of one shape, held as one stack of tensors.

Whatever is called raises a ValueError or TypeError that names the argument which is not as described.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modlib import _checks

KINDS = (nn.Linear, nn.ReLU, nn.Dropout, nn.Identity, nn.Flatten)  #: What modules of a stack are made of.


@dataclass(frozen=True, eq=False)
class MLPStack:
    """Multi-layer perceptrons of one shape with ReLU hidden layers, computed side by side.

    Each network is ``h₀ = x``, ``h_l = relu(h_{l-1} W_l + b_l)``, ``logits = h_L W_{L+1} + b_{L+1}``.
    Weights are stored input-first, the transpose of ``torch.nn.Linear``'s.

    Attributes
    ----------
    weights, biases
        One tensor per layer, ``(network, in, out)`` and ``(network, out)``; the last is the output layer.

    Examples
    --------
    >>> stack = MLPStack.initialise([784, 64, 64, 10], seeds=[0, 1, 2])
    >>> stack
    MLPStack(3 networks, 784-64-64-10)
    >>> hidden, logits = stack(torch.rand(5, 784))
    >>> [tuple(h.shape) for h in hidden], tuple(logits.shape)
    ([(3, 5, 64), (3, 5, 64)], (3, 5, 10))
    """

    weights: list[Float[Tensor, "network _in _out"]]
    biases: list[Float[Tensor, "network _out"]]

    def __post_init__(self) -> None:
        for name, tensors in (("weights", self.weights), ("biases", self.biases)):
            _checks.instance(tensors, name, (list, tuple))
            for layer, value in enumerate(tensors, start=1):
                _check_parameter(value, f"{name} of layer {layer}", like=(*self.weights, value)[0])
        if not self.weights or len(self.weights) != len(self.biases):
            raise ValueError(
                "weights and biases must be lists of equal length, one tensor per layer; "
                f"got {len(self.weights)} weights and {len(self.biases)} biases"
            )
        for layer, (w, b) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            if w.ndim != 3 or b.shape != (w.shape[0], w.shape[2]):
                raise ValueError(
                    f"layer {layer}: weights must be (network, in, out) and biases (network, out); "
                    f"got {tuple(w.shape)} and {tuple(b.shape)}"
                )
            if not w.numel():
                raise ValueError(f"weights of layer {layer} must not be empty, got {tuple(w.shape)}")
        for layer, (w, after) in enumerate(pairwise(self.weights), start=1):
            if w.shape[0] != after.shape[0]:
                raise ValueError(
                    f"layer {layer + 1} holds {after.shape[0]} networks, layer {layer} holds {w.shape[0]}"
                )
            if w.shape[2] != after.shape[1]:
                raise ValueError(
                    f"layer {layer} has {w.shape[2]} units, but layer {layer + 1} takes {after.shape[1]}"
                )

    @classmethod
    def from_arrays(cls, weights: Sequence[object], biases: Sequence[object]) -> MLPStack:
        """Make a stack from anything ``torch.as_tensor`` takes; integers become float32.

        The arrays are finite and, per layer, ``(network, in, out)`` and ``(network, out)``; the last is the
        output layer.
        """

        def tensors(name: str, arrays: Sequence[object]) -> list[Tensor]:
            found = []
            for layer, array in enumerate(_checks.listed(arrays, name), start=1):
                tensor = _as_tensor(array, f"{name} of layer {layer}").detach()
                if not torch.isfinite(tensor).all():
                    raise ValueError(f"{name} of layer {layer} hold a value that is not finite")
                found.append(tensor if tensor.is_floating_point() else tensor.float())
            return found

        return cls(tensors("weights", weights), tensors("biases", biases))

    @classmethod
    def from_modules(cls, modules: Sequence[nn.Module]) -> MLPStack:
        """Stack the ``nn.Linear`` layers of torch modules, in the order in which they are registered.

        There are one or more networks of one shape that give logits, made of linear layers with a bias and of
        a ReLU (a module or a function) after each but the last. ``Dropout``, ``Identity`` and ``Flatten``
        count as nothing; other kinds of layers are refused. Each module is called once on random inputs, in
        evaluation mode, and must give the logits that the stack gives. It is left as it was.
        """
        modules = [_checks.instance(m, "each of modules", nn.Module) for m in _several(modules, "modules")]
        linear = [[m for m in module.modules() if isinstance(m, nn.Linear)] for module in modules]
        for number, (module, layers_of_one) in enumerate(zip(modules, linear, strict=True)):
            for part in module.modules():
                if not list(part.children()) and not isinstance(part, KINDS):
                    names = ", ".join(kind.__name__ for kind in KINDS)
                    shown = _checks.shown(part)
                    raise ValueError(f"module {number} must be made of {names} only, got {shown}")
            shapes = [(m.in_features, m.out_features) for m in layers_of_one]
            if not shapes or any(m.bias is None for m in layers_of_one):
                raise ValueError(f"module {number} must have linear layers, all with a bias")
            if shapes != [(m.in_features, m.out_features) for m in linear[0]]:
                raise ValueError(f"module {number} differs in shape from module 0: its layers are {shapes}")
        layers = list(zip(*linear, strict=True))
        stack = cls(
            [torch.stack([m.weight.detach().T for m in layer]) for layer in layers],
            [torch.stack([m.bias.detach() for m in layer]) for layer in layers],
        )
        for number, module in enumerate(modules):
            _check_logits(module, number, stack[number])
        return stack

    @classmethod
    def initialise(cls, widths: Sequence[int], *, seeds: Sequence[int]) -> MLPStack:
        """Draw PyTorch's default initialisation, one network a seed.

        The `widths` are inputs, hidden units per layer and classes, for example ``[784, 64, 64, 10]``.
        Weights and biases are uniform on ±1/√in. A seed, 0 or more, gives the very numbers that
        ``torch.manual_seed(seed)`` followed by ``nn.Linear`` layers in order would give.
        """
        widths = _checks.wholes(widths, "widths", least=None)
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths must be at least two positive numbers, got {widths}")
        shapes = [(n_in, shape) for n_in, n_out in pairwise(widths) for shape in ((n_out, n_in), (n_out,))]
        networks = []
        for seed in [_checks.seed(seed, "each of seeds") for seed in _several(seeds, "seeds")]:
            draw = partial(Tensor.uniform_, generator=torch.Generator().manual_seed(seed))
            networks.append([draw(torch.empty(shape), -(n_in**-0.5), n_in**-0.5) for n_in, shape in shapes])
        stacked = [torch.stack(same) for same in zip(*networks, strict=True)]
        return cls([w.mT.contiguous() for w in stacked[::2]], stacked[1::2])

    def __call__(
        self, x: Float[Tensor, "sample _in"]
    ) -> tuple[list[Float[Tensor, "network sample _unit"]], Float[Tensor, "network sample _class"]]:
        """Hidden activations after the ReLU, layer by layer, and logits; no dropout.

        The inputs must have the stack's precision and be on its device.
        """
        x = _checks.tensor(x, "x", like=self.weights[0])
        if x.dtype != self.weights[0].dtype:
            raise TypeError(f"x must be {self.weights[0].dtype} as the stack is, got {x.dtype}")
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(f"x must be (sample, {self.widths[0]}), got {tuple(x.shape)}")
        hidden: list[Tensor] = []
        h = x
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = torch.relu(torch.matmul(h, w) + b[:, None])
            hidden.append(h)
        return hidden, torch.matmul(h, self.weights[-1]) + self.biases[-1][:, None]

    def __len__(self) -> int:
        return self.weights[0].shape[0]

    def __getitem__(self, index: int | np.integer | slice | Sequence[int] | Int[Tensor, " kept"]) -> MLPStack:
        """Return the stack of some of the networks (a single number gives a stack of one)."""
        rows: object = [int(index)] if isinstance(index, (int, np.integer)) else index
        return MLPStack([w[rows] for w in self.weights], [b[rows] for b in self.biases])  # type: ignore[index]

    def __repr__(self) -> str:
        return f"MLPStack({len(self)} networks, {'-'.join(map(str, self.widths))})"

    @property
    def widths(self) -> list[int]:
        """Inputs, hidden units per layer, classes."""
        return [self.weights[0].shape[1], *(w.shape[2] for w in self.weights)]

    @property
    def n_hidden(self) -> int:
        """The number of hidden layers."""
        return len(self.weights) - 1

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> MLPStack:
        """Return the stack on another device or in another floating-point precision."""
        if device is not None:
            try:
                torch.empty(0, device=device)
            except (AssertionError, RuntimeError, TypeError, ValueError) as error:
                raise ValueError(f"device must be one that torch has, got {device!r}: {error}") from error
        if dtype is not None and not _checks.instance(dtype, "dtype", torch.dtype).is_floating_point:
            raise TypeError(f"dtype must be of floating-point numbers, got {dtype}")
        return MLPStack(
            [w.to(device=device, dtype=dtype) for w in self.weights],
            [b.to(device=device, dtype=dtype) for b in self.biases],
        )

    def module(self, network: int) -> nn.Sequential:
        """Copy a network, counted from 0, into a plain ``nn.Sequential`` of ``Linear`` and ``ReLU``."""
        network = _checks.whole(network, "network", most=len(self) - 1)
        layers: list[nn.Module] = []
        for w, b in zip(self.weights, self.biases, strict=True):
            linear = nn.Linear(w.shape[1], w.shape[2], device=w.device, dtype=w.dtype)
            with torch.no_grad():
                linear.weight.copy_(w[network].T)
                linear.bias.copy_(b[network])
            layers += [linear, nn.ReLU()]
        return nn.Sequential(*layers[:-1])


def concatenate(stacks: Sequence[MLPStack]) -> MLPStack:
    """Put one or more stacks of one shape, device and precision behind each other."""
    stacks = [_checks.instance(s, "each of stacks", MLPStack) for s in _several(stacks, "stacks")]
    for number, stack in enumerate(stacks):
        if stack.widths != (first := stacks[0].widths):
            raise ValueError(f"stacks must have one shape: {number} is {stack.widths}, 0 is {first}")
    return MLPStack(
        [torch.cat(layer) for layer in zip(*(s.weights for s in stacks), strict=True)],
        [torch.cat(layer) for layer in zip(*(s.biases for s in stacks), strict=True)],
    )


def _several(values: Sequence[object], name: str) -> list[Any]:
    found = _checks.listed(values, name)
    if not found:
        raise ValueError(f"{name} must name at least one network")
    return found


def _as_tensor(value: object, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return _checks.tensor(value, name)
    _checks.as_numpy(value, name)
    try:
        return torch.as_tensor(value)  # which makes float32 of a list, unlike NumPy
    except (TypeError, ValueError, RuntimeError) as error:  # of floats or integers that are too long
        raise TypeError(f"{name} must hold numbers that torch has: {error}") from error


def _check_logits(module: nn.Module, number: int, stack: MLPStack) -> None:
    """Refuse a module that computes something else than the stack made of its layers.

    The inputs are of sizes from 0.1 to 100, so that units are active and inactive whatever their biases. Half
    of the digits of the precision must agree, relative to the largest logit of an input.
    """
    first = stack.weights[0]
    generator = torch.Generator(device="cpu").manual_seed(0)
    x = torch.randn(64, first.shape[1], generator=generator, device="cpu")
    x *= torch.logspace(-1, 2, len(x), device="cpu")[:, None]
    x = x.to(first)
    with torch.no_grad():
        expected = stack(x)[1][0]
        with _in_evaluation(module), torch.random.fork_rng([first.device] if first.is_cuda else []):
            try:
                logits = module(x)
            except Exception as error:
                raise ValueError(f"module {number} must take inputs {tuple(x.shape)}: {error}") from error
        if not isinstance(logits, Tensor) or logits.shape != expected.shape:
            raise ValueError(
                f"module {number} must return logits {tuple(expected.shape)}, got {_checks.shown(logits)}"
            )
        apart = (logits - expected).abs()
        alike = apart <= torch.finfo(first.dtype).eps ** 0.5 * expected.abs().amax(1, keepdim=True)
        if not (alike | (logits == expected) | (logits.isnan() & expected.isnan())).all():
            raise ValueError(
                f"module {number} must be its linear layers in order of registration, with a ReLU after each "
                f"but the last: on random inputs its logits differ from what those give by up to "
                f"{float(apart.max()):.3g}, where they are up to {float(expected.abs().max()):.3g}"
            )


@contextmanager
def _in_evaluation(module: nn.Module) -> Iterator[None]:
    """Put a module and its parts into evaluation mode, and then each back into the mode it was in."""
    before = [(part, part.training) for part in module.modules()]
    try:
        for part, _ in before:
            part.training = False
        yield
    finally:
        for part, training in before:
            part.training = training


def _check_parameter(value: object, name: str, *, like: Tensor) -> None:
    found = _checks.tensor(value, name)
    if found.device != like.device:
        raise ValueError(f"{name} must be on {like.device} as the weights of layer 1, got {found.device}")
    if not found.is_floating_point() or found.dtype != like.dtype:
        raise TypeError(f"{name} must hold floating-point numbers of one precision, got {found.dtype}")
