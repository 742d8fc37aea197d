"""Any torch model, split at its layers: what they give, and what the rest of the model makes of it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from modlib import _checks
from modlib.batches import Samples

Output = Callable[[Any], Any] | str | int | None

#: Layers whose units are channels, along axis 1 of ``(sample, channel, *space)``.
OF_CHANNELS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm,
)  # fmt: skip
#: Layers whose units are features, along the last axis.
OF_FEATURES = (nn.Linear, nn.Bilinear, nn.LayerNorm, nn.Embedding, nn.RNNBase, nn.MultiheadAttention)
#: Under which names these layers hold how many units they have.
WIDTHS = ("out_channels", "num_features", "num_channels", "out_features", "embedding_dim", "embed_dim")
#: How far the output for a sample may be off, relative to the largest, when other samples stand beside it.
BESIDE_OTHERS = {torch.float64: 1e-6, torch.float32: 1e-3}
BESIDE_OTHERS_HALF = 0.05
NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")  #: What torch says then.


@dataclass(frozen=True)
class Layout:
    """The axes of a layer's output that are samples and units; all others are positions."""

    samples: int
    units: int

    def rows(self, a: Tensor) -> Tensor:
        """Return ``(sample, position, unit)``; an output without positions has one."""
        moved = a.movedim((self.samples, self.units), (0, -1))
        return moved.reshape(len(moved), -1, moved.shape[-1])


class Tap:
    """A hook on a layer that keeps its output, and adds zeros to it by which the rest can be differentiated.

    `activations` is what the layer gave, `shift` the zeros. The sum of the two is what the model goes on
    with: a new tensor, so that an operation in place behind the layer changes neither.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.layout: Layout | None = None
        self.at_each = True  #: whether every position has a shift of its own, or all share one
        self.decided: nn.Module | None = None  #: the last layer run that shows where units are
        self.start()

    def start(self) -> None:
        """Get ready for a forward pass."""
        self.calls = 0
        self.done = False
        self.given: str | None = None  #: what the layer gave, if it was no tensor of floating-point numbers
        self.added: Tensor | None = None  #: what to add in place of zeros
        self.activations: Tensor | None = None
        self.shift: Tensor | None = None

    def __call__(self, _: nn.Module, __: object, output: Any) -> Any:
        """Take what the layer returns, and return what the model goes on with."""
        a = first_tensor(output)
        if not self.done:  # else a checkpoint computes again what it has not kept
            self.calls += 1
            if self.calls > 1:
                return output
            if a is None or not a.is_floating_point():
                self.given = _kind(output) if a is None else str(a.dtype)
                return output
            self.activations = a
            self.shift = self._zeros(a) if self.added is None else self.added.to(a)
        return with_first_tensor(output, cast(Tensor, a) + cast(Tensor, self.shift))

    def _zeros(self, a: Tensor) -> Tensor:
        kept = (self.layout.samples, self.layout.units) if self.layout and not self.at_each else None
        shape = [size if kept is None or axis in kept else 1 for axis, size in enumerate(a.shape)]
        return torch.zeros(shape, dtype=a.dtype, device=a.device, requires_grad=True)

    def check(self) -> None:
        """Refuse a layer that the last forward pass did not run, or ran several times."""
        if self.calls == 0:
            raise ValueError(
                f"layer {self.name!r} is not reached by the forward pass of the model on these data: name "
                "one that it calls as a module"
            )
        if self.calls > 1:
            raise ValueError(
                f"layer {self.name!r} is called {self.calls} times in a forward pass, so its units stand for "
                "several things: name a module that is called once, such as an nn.Identity put behind one of "
                "the calls"
            )
        if self.given is not None:
            raise ValueError(
                f"layer {self.name!r} must return a tensor of floating-point numbers, or a tuple that starts "
                f"with one, got {self.given}: name a layer in it that does"
            )

    @property
    def rows(self) -> Tensor:
        """The activations ``(sample, position, unit)``."""
        return cast(Layout, self.layout).rows(cast(Tensor, self.activations))


class Tapped:
    """A model with taps on some layers, and on the embedding that gradients are taken by if there is one."""

    def __init__(
        self,
        model: nn.Module,
        layers: list[str],
        *,
        embedding: str | None,
        output: Output,
        at_each: bool,
        unit_axis: int | None,
    ) -> None:
        self._model = model
        self._output = output
        self._unit_axis = unit_axis
        self.taps = {name: Tap(name) for name in layers}
        for tap in self.taps.values():
            tap.at_each = at_each
        self.embedding = embedding
        self._embedding = None if embedding is None else Tap(embedding)

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Hold the taps on their layers."""
        parts = dict(self._model.named_modules())
        taps = [*([self._embedding] if self._embedding else []), *self.taps.values()]
        with ExitStack() as stack:
            for part in parts.values():
                if isinstance(part, OF_CHANNELS + OF_FEATURES):
                    stack.callback(part.register_forward_hook(self._decide).remove)
            for tap in taps:
                stack.callback(parts[tap.name].register_forward_hook(tap).remove)
            yield

    def _decide(self, part: nn.Module, _: object, __: object) -> None:
        for tap in self.taps.values():
            if not tap.calls:
                tap.decided = part

    def run(
        self, samples: Samples, *, by_inputs: bool, added: dict[str, Tensor] | None = None
    ) -> tuple[Any, list[Tensor]]:
        """Call the model on samples, and return what it returns and the tensors it can be differentiated by.

        `by_inputs` asks for those of the inputs. In place of zeros, `added` is added to what layers give.
        """
        taps = [*([self._embedding] if self._embedding else []), *self.taps.values()]
        for tap in taps:
            tap.start()
        for name, value in (added or {}).items():
            self.taps[name].added = value
        leaves: list[Tensor] = []

        def fed(x: Tensor) -> Tensor:
            """Copy an input, which the model may overwrite."""
            if by_inputs and self._embedding is None and x.is_floating_point():
                leaves.append(x.detach().clone().requires_grad_())
                return leaves[-1].clone()
            return x.detach().clone()

        inputs = [fed(x) for x in samples.inputs]
        keywords = {name: fed(x) for name, x in samples.keywords.items()}
        with blamed("model could not be called on data", call=True):
            returned = self._model(*inputs, **keywords)
        for tap in taps:
            tap.done = True
            tap.check()
        if by_inputs and self._embedding is not None:
            leaves.append(cast(Tensor, self._embedding.shift))
        return returned, leaves

    def flat_source(self, gradient: Tensor) -> Tensor:
        """Return a gradient by one of the leaves of a run as ``(sample, number)``."""
        if self._embedding is not None:
            gradient = gradient.movedim(cast(Layout, self._embedding.layout).samples, 0)
        return gradient.flatten(1)

    def logits(self, returned: Any, n_samples: int) -> Tensor:
        """Pick the tensor that counts from what the model returned: one row a sample."""
        z = picked(returned, self._output)
        if not z.is_floating_point():
            raise ValueError(f"model must return floating-point numbers, got {z.dtype}")
        if z.ndim == 0 or len(z) != n_samples:
            raise ValueError(
                f"model must return one row a sample, samples along axis 0: for {n_samples} samples it "
                f"returns {tuple(z.shape)}"
            )
        if not torch.isfinite(z).all():
            raise ValueError("model must return finite numbers, got nan or inf")
        return z

    def probe(self, samples: Samples, *, by_inputs: bool, output: bool) -> tuple[int, list[str]]:
        """Run a few samples to find the axes of the layers; refuse samples that are not independent.

        Returned are the bytes that autograd keeps a sample, and remarks on what was found.
        """
        n_few = min(len(samples), 3)
        few, fewer = samples[:n_few], samples[: n_few - 1] if n_few > 1 else None
        kept: dict[tuple[int, int], int] = {}

        def pack(t: Tensor) -> Tensor:
            kept[t.data_ptr(), t.numel()] = t.numel() * t.element_size()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            returned, _ = self.run(few, by_inputs=by_inputs)
        of_parameters = {(p.data_ptr(), p.numel()) for p in self._model.parameters()}
        n_bytes = sum(size for key, size in kept.items() if key not in of_parameters)
        z = self.logits(returned, n_few).detach() if output else None
        taps = [*([self._embedding] if self._embedding else []), *self.taps.values()]
        first = {tap.name: cast(Tensor, tap.activations).detach() for tap in taps}
        decided = {tap.name: tap.decided for tap in taps}
        second: dict[str, Tensor] = {}
        if fewer is not None:
            returned, _ = self.run(fewer, by_inputs=False)
            second = {tap.name: cast(Tensor, tap.activations).detach() for tap in taps}
            if z is not None:
                check_alike(z[: len(fewer)], self.logits(returned, len(fewer)).detach(), "the output")
        notes: list[str] = []
        for tap in taps:
            name = tap.name
            one, other = first[name], second.get(name)
            axis = _sample_axis(tap.name, one, other, n_few, self._model.get_submodule(name))
            if other is not None:
                check_alike(one.narrow(axis, 0, n_few - 1), other, f"layer {name!r}")
            if tap is self._embedding:
                tap.layout = Layout(axis, one.ndim - 1)
                continue
            units, note = _unit_axis(name, one, axis, decided[name], self._unit_axis)
            tap.layout = Layout(axis, units)
            notes += [note] if note else []
        return n_bytes // n_few, notes


def found(model: nn.Module, layer: Any, name: str) -> list[str]:
    """Return the names of one or several layers of a model, as in its ``named_modules``."""
    names = [layer] if isinstance(layer, str) else _checks.listed(layer, name)
    if not names:
        raise ValueError(f"{name} must name a layer or more, got none")
    known = [known for known, _ in model.named_modules() if known]
    for one in names:
        if not isinstance(one, str):
            raise TypeError(f"{name} must be the name of a layer, got {_checks.shown(one)}")
        if one not in known:
            near = difflib.get_close_matches(one, known, n=3) or known[:6]
            hint = f"did you mean {', '.join(near)}?" if near else "the model has no layers"
            raise ValueError(f"{name} must be a name in the model's named_modules, got {one!r}; {hint}")
    return list(dict.fromkeys(names))


def plain(model: nn.Module) -> nn.Module:
    """Return the model that a compiled one was made of."""
    original = getattr(model, "_orig_mod", model)
    return original if isinstance(original, nn.Module) else model


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """Have torch run a model by operations that can be differentiated twice, uncompiled."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if any(isinstance(part, nn.RNNBase) for part in model.modules()):
            backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.mkldnn)
            for backend in backends:  # which have no second derivative of them
                stack.callback(setattr, backend, "enabled", backend.enabled)
                backend.enabled = False
        if "torch._dynamo" in sys.modules:  # loaded by whatever is compiled, and slow to load
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        fast = torch.backends.mha.get_fastpath_enabled()
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)  # it goes past the layers of an encoder
        yield


@contextmanager
def blamed(what: str, *, call: bool = False) -> Iterator[None]:
    """Turn errors of torch, or any error of a model that is called, into one that says what went wrong."""
    kinds: tuple[type[Exception], ...] = (Exception,) if call else (RuntimeError, NotImplementedError)
    try:
        yield
    except kinds as error:
        text = " ".join(str(error).split())
        if any(words in text for words in NO_MEMORY) or isinstance(
            error, torch.OutOfMemoryError | MemoryError
        ):
            raise MemoryError(f"{what}: memory ran out; choose fewer samples at a time by batch") from error
        raise ValueError(f"{what}: {text or type(error).__name__}") from error


def picked(returned: Any, output: Output) -> Tensor:
    """Pick a tensor from what a model returned, by a function, a key or an index, or by what is usual."""
    if callable(output):
        value = output(returned)
    elif output is not None:
        if isinstance(returned, Tensor):
            raise ValueError(
                f"output must be None or a function for a model that returns a tensor, got {output!r}"
            )
        try:
            value = getattr(returned, str(output)) if _has(returned, output) else returned[output]
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ValueError(
                f"output must name what the model returns, got {output!r} for {_kind(returned)}"
            ) from None
    else:
        value = _usual(returned)
    if not isinstance(value, Tensor):
        raise TypeError(
            "output must say how to get the tensor from what the model returns (a function, a key or an "
            f"index): the model returns {_kind(returned)}"
        )
    return value


def _has(returned: Any, output: str | int) -> bool:
    return isinstance(output, str) and not isinstance(returned, Mapping) and hasattr(returned, output)


def _usual(returned: Any) -> Any:
    if isinstance(returned, Tensor):
        return returned
    if hasattr(returned, "logits"):
        return returned.logits
    if isinstance(returned, Mapping):
        return returned.get("logits")
    if isinstance(returned, tuple | list) and returned:
        return returned[0]
    return None


def _kind(returned: Any) -> str:
    if isinstance(returned, Mapping):
        return f"a {type(returned).__name__} of {', '.join(map(str, returned))}"
    return f"a {type(returned).__name__}"


def first_tensor(output: Any) -> Tensor | None:
    """Return the tensor that a layer returns, or the first of a tuple."""
    if isinstance(output, tuple | list) and output and not hasattr(output, "batch_sizes"):
        output = output[0]
    return output if isinstance(output, Tensor) else None


def with_first_tensor(output: Any, a: Tensor) -> Any:
    """Put another tensor in the place of the one that `first_tensor` returns."""
    if isinstance(output, Tensor):
        return a
    changed = [a, *output[1:]]
    return type(output)(*changed) if hasattr(output, "_fields") else type(output)(changed)


def check_alike(one: Tensor, other: Tensor, what: str) -> None:
    """Refuse a sample's result that hangs on the samples beside it, or on chance."""
    size = float(one.abs().max()) if one.numel() else 0.0
    limit = BESIDE_OTHERS.get(one.dtype, BESIDE_OTHERS_HALF) * size
    if one.shape != other.shape or bool(((one - other).abs() > limit).any()):
        raise ValueError(
            f"model must treat each sample by itself and leave nothing to chance: {what} changes for a "
            "sample when another one beside it is left out"
        )


def _sample_axis(name: str, one: Tensor, other: Tensor | None, n_samples: int, part: nn.Module) -> int:
    """Find the axis of a layer's output that grew with the number of samples."""
    if other is None:  # of a single sample, axes that are 1 cannot be told apart
        second = isinstance(part, nn.RNNBase | nn.MultiheadAttention) and not part.batch_first
        axes = [1 if second else 0]
    elif one.ndim == other.ndim:
        sizes = list(zip(one.shape, other.shape, strict=True))
        axes = [axis for axis, (size, fewer) in enumerate(sizes) if size != fewer]
    else:
        axes = []
    if len(axes) != 1 or one.ndim < 2 or one.shape[axes[0]] != n_samples:
        raise ValueError(
            f"layer {name!r} must give an output with one axis of samples and one of units or more: for "
            f"{n_samples} samples it is {tuple(one.shape)}"
        )
    return axes[0]


def _unit_axis(
    name: str, a: Tensor, samples: int, decided: nn.Module | None, wanted: int | None
) -> tuple[int, str | None]:
    """Choose the axis of units, and say in words where the choice is in doubt."""
    others = [axis for axis in range(a.ndim) if axis != samples]
    if wanted is not None:
        axis = wanted + a.ndim if wanted < 0 else wanted
        if axis not in others:
            raise ValueError(
                f"unit_axis must be an axis of the output {tuple(a.shape)} of layer {name!r} other than that "
                f"of samples, {samples}; got {wanted}"
            )
        return axis, None
    first, last = others[0], others[-1]
    if first == last:
        return last, None
    if decided is not None:
        channels = isinstance(decided, OF_CHANNELS)
        width = _width(decided)
        likely, other = (first, last) if channels else (last, first)
        for axis in (likely, other):
            if a.shape[axis] == width:
                return axis, None
    else:
        channels = a.ndim > 3
    axis = first if channels else last
    return axis, (
        f"axis {axis} of the output of layer {name!r}, {tuple(a.shape)} for {a.shape[samples]} samples, was "
        "taken for its units; unit_axis says otherwise"
    )


def _width(part: nn.Module) -> int | None:
    """Return how many units a layer of a known kind has."""
    if isinstance(part, nn.RNNBase):
        return (part.proj_size or part.hidden_size) * (1 + part.bidirectional)
    if isinstance(part, nn.LayerNorm):
        return part.normalized_shape[-1]
    return next((int(getattr(part, name)) for name in WIDTHS if hasattr(part, name)), None)
