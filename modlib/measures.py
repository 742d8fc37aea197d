"""How alike two hidden units are: the four measures, for stacks in closed form and for any torch model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import jacrev, vmap

from modlib import _checks
from modlib.networks import MLPStack

UPSTREAM = ("input_cov", "input_grad")
DOWNSTREAM = ("output_grad", "output_hess")
MEASURES = UPSTREAM + DOWNSTREAM


def family(measure: str) -> str:
    """Return ``"upstream"`` or ``"downstream"``; a ValueError if there is no such measure."""
    measure = _checks.one_of(measure, "measure", MEASURES)
    return "upstream" if measure in UPSTREAM else "downstream"


@torch.no_grad()
def similarity(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    y: Int[Tensor, " sample"] | None = None,
    *,
    measures: Iterable[str] = MEASURES,
    batch: int | None = None,
) -> dict[str, list[Float[Tensor, "network _unit _unit"]]]:
    r"""Similarity of all pairs of units of every hidden layer (Lange et al. 2022, table 1), in closed form.

    With h a hidden layer after its ReLU, z the logits, p their softmax and averages E over samples:

    - `input_cov`: cov(hᵢ, hⱼ), divided by the number of samples;
    - `input_grad`: E[J Jᵀ]ᵢⱼ with J = ∂h/∂x;
    - `output_grad`: E[Jᵀ J]ᵢⱼ with J = ∂z/∂h;
    - `output_hess`: E[∂²L/∂hᵢ∂hⱼ] = E[Jᵀ (diag p − p pᵀ) J]ᵢⱼ with J = ∂z/∂h and L the cross-entropy.

    All four matrices are positive semi-definite.

    Parameters
    ----------
    stack
        Networks to look at; dropout is off.
    x
        Inputs to average over (the paper uses test images).
    y
        Classes of the inputs. No measure of a ReLU network depends on them (the Hessian of the cross-entropy
        in the logits does not); taken so that the call reads like `similarity_of`'s.
    measures
        Which of the four to compute.
    batch
        Samples at a time; by default so many that the largest array stays in a processor's cache, 2¹⁸
        numbers (on a GPU: 2²⁷), but 32 at the least.

    Returns
    -------
    dict
        For each measure one float64 tensor a hidden layer, ``(network, unit, unit)``: signed, exactly
        symmetric, the diagonal in place. Hand it to `adjacency` to get a graph. A unit that no sample
        activates has exact zeros for every measure that looks at its activity.

    Raises
    ------
    ValueError
        If a measure is unknown, there is no sample or no hidden layer, shapes do not fit, or numbers are not
        finite, or so large that a similarity is not.
    TypeError
        If an argument is of another kind.

    Notes
    -----
    A ReLU network is linear around almost every input, hence the closed forms. With the QR decomposition
    W₁ = QR, J of layer 1 may be replaced by diag(m) Rᵀ, m the 0/1 mask of active units, since only J Jᵀ is
    asked for: later layers then cost nothing that grows with the number of inputs. Products are formed in
    the stack's precision and added up in float64; covariances from activations centred batch by batch and
    merged (Chan, Golub & LeVeque 1983), because E[h hᵀ] − E[h] E[h]ᵀ cancels for units that hardly
    vary, dead or nearly constant (the authors' code loses three to four digits there).
    """
    wanted = [measures] if isinstance(measures, str) else _checks.listed(measures, "measures")
    for measure in wanted:
        _checks.one_of(measure, "each of measures", MEASURES)
    _checks.instance(stack, "stack", MLPStack)
    x = _checks.tensor(x, "x", like=stack.weights[0])
    if x.ndim != 2 or len(x) == 0 or x.shape[1] != stack.widths[0]:
        raise ValueError(f"x must be (sample, {stack.widths[0]}) with a sample or more, got {tuple(x.shape)}")
    if y is not None:
        _checks.classes(y, "y", n_sample=len(x), like=x)
    if stack.n_hidden == 0:
        raise ValueError("stack must have a hidden layer")
    if batch is not None:
        batch = _checks.whole(batch, "batch", least=1)
    if not all(bool(torch.isfinite(t).all()) for t in (*stack.weights, *stack.biases)):
        raise ValueError("stack must be finite")
    new = partial(torch.empty, dtype=torch.float64, device=x.device)
    found = {measure: [new((len(stack), u, u)) for u in stack.widths[1:-1]] for measure in wanted}
    # On a processor a network at a time, its arrays in the cache; on a GPU all at once.
    at_once = len(stack) if x.device.type == "cuda" else 1
    for start in range(0, len(stack), at_once):
        some = slice(start, start + at_once)
        for measure, layers in _sums(stack[some], x, wanted, batch).items():
            for layer, total in enumerate(layers):
                if not torch.isfinite(total).all():
                    raise ValueError(f"x or the weights of stack are so large that {measure} is not finite")
                found[measure][layer][some] = (total + total.mT) / (2 * len(x))
    return found


def _sums(stack: MLPStack, x: Tensor, wanted: list[str], batch: int | None) -> dict[str, list[Tensor]]:
    """Sum each measure over samples: for each layer (network, unit, unit)."""
    shapes = [(len(stack), u) for u in stack.widths[1:-1]]
    zeros = partial(torch.zeros, dtype=torch.float64, device=x.device)
    sums = {measure: [zeros((*shape, shape[-1])) for shape in shapes] for measure in wanted}
    means, seen = [zeros((*shape, 1)) for shape in shapes], 0
    r = torch.linalg.qr(stack.weights[0], mode="r").R  # (network, rank, unit)
    size = batch or _batch_size(stack, x)
    for start in range(0, len(x), size):
        part = x[start : start + size].to(r.dtype)
        if not torch.isfinite(part).all():
            raise ValueError("x must be finite")
        hidden, logits = stack(part)
        masks = [(h > 0).to(part.dtype) for h in hidden]
        if "input_cov" in wanted:
            _add_input_cov(sums["input_cov"], means, seen, hidden)
            seen += len(part)
        if "input_grad" in wanted:
            _add_input_grad(sums["input_grad"], stack, r, masks)
        _add_downstream(sums, stack, masks, logits)
    return sums


def _add_input_cov(sums: list[Tensor], means: list[Tensor], seen: int, hidden: list[Tensor]) -> None:
    """Add a batch to the centred sums over `seen` samples and to the means, (network, unit, 1) a layer.

    A dead unit's mean is exactly zero throughout, and so are its covariances.
    """
    for total, mean, activations in zip(sums, means, hidden, strict=True):
        h = activations.mT  # (network, unit, sample)
        n = h.shape[2]
        centre = h.mean(2, keepdim=True, dtype=torch.float64)
        total += _gram((h - centre.to(h.dtype)).contiguous())
        shift = centre - mean
        total += shift * shift.mT * (seen * n / (seen + n))
        mean += shift * (n / (seen + n))


def _add_input_grad(sums: list[Tensor], stack: MLPStack, r: Tensor, masks: list[Tensor]) -> None:
    """Add Σ J Jᵀ over a batch, J = ∂h/∂x with the inputs rotated into the span of W₁."""
    first, *rest = masks
    # Layer 1: J = diag(m) Rᵀ, so Σ J Jᵀ = (Rᵀ R) ∘ Σ m mᵀ.
    sums[0] += torch.bmm(r.transpose(1, 2), r) * torch.bmm(first.transpose(1, 2), first)
    if not rest:
        return
    n, n_samples, n_units = first.shape
    jacobian = (
        first.transpose(1, 2)[..., None] * r.transpose(1, 2)[:, :, None]
    )  # (network, unit, sample, rank)
    for total, w, mask in zip(sums[1:], stack.weights[1:-1], rest, strict=True):
        jacobian = torch.bmm(w.transpose(1, 2), jacobian.reshape(n, n_units, -1))
        n_units = w.shape[2]
        jacobian = jacobian.view(n, n_units, n_samples, -1).mul_(mask.transpose(1, 2)[..., None])
        total += _gram(jacobian.view(n, n_units, -1))


def _add_downstream(
    sums: dict[str, list[Tensor]], stack: MLPStack, masks: list[Tensor], logits: Tensor
) -> None:
    """Add Σ Jᵀ J and Σ Jᵀ (diag p − p pᵀ) J over a batch, J = ∂z/∂h, from the last hidden layer back."""
    wanted = [measure for measure in DOWNSTREAM if measure in sums]
    if not wanted:
        return
    n, n_samples, n_classes = logits.shape
    p = torch.softmax(logits, dim=-1)[..., None]  # (network, sample, class, 1)
    jacobian = stack.weights[-1].transpose(1, 2)[:, None].expand(-1, n_samples, -1, -1)
    for layer in reversed(range(stack.n_hidden)):
        if layer < stack.n_hidden - 1:  # back through h_{l+1} = m ∘ (h_l W + b)
            masked = (jacobian * masks[layer + 1][:, :, None]).reshape(n, n_samples * n_classes, -1)
            jacobian = torch.bmm(masked, stack.weights[layer + 1].transpose(1, 2))
            jacobian = jacobian.view(n, n_samples, n_classes, -1)
        for measure in wanted:
            rows = jacobian
            if measure == "output_hess":  # diag p − p pᵀ = Bᵀ B with B = diag(√p) (1 − 1 pᵀ)
                rows = p.sqrt() * (jacobian - (p * jacobian).sum(2, keepdim=True))
            sums[measure][layer] += _gram(rows.reshape(n, n_samples * n_classes, -1).mT)


def _gram(a: Tensor) -> Tensor:
    """Multiply every matrix (network, unit, number) by its own transpose: a aᵀ.

    NumPy tells that the factors are the same and has half of the product computed; PyTorch does not.
    """
    if a.device.type == "cuda":
        return torch.bmm(a, a.mT)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused in the end
        return torch.stack([torch.from_numpy(one @ one.T) for one in a.numpy()])


def _batch_size(stack: MLPStack, x: Tensor) -> int:
    """Find how many samples fit working memory; the largest array is (network, unit, sample, unit)."""
    widest = max(stack.widths[1:])
    a_sample = len(stack) * widest * min(widest, stack.widths[0])
    return max(1, _ON_GPU // a_sample) if x.device.type == "cuda" else max(_LEAST, _IN_CACHE // a_sample)


_ON_GPU = 2**27  # numbers of the largest array
_IN_CACHE = 2**18  # likewise, on a processor: 2 MB
_LEAST = 32  # samples, of networks too wide for the cache


@torch.no_grad()  # of the parameters; torch.func differentiates what it is asked to all the same
def similarity_of(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor] | None,
    x: Float[Tensor, "sample ..."],
    y: Int[Tensor, " sample"] | None = None,
    *,
    measure: str,
    batch: int = 100,
) -> Float[Tensor, "unit unit"]:
    """Similarity of the units of one hidden layer of any torch model, by automatic differentiation.

    The definitions are `similarity`'s; the model need not be a ReLU network, and the Hessian is the full one.

    Parameters
    ----------
    encoder
        From inputs ``(sample, *features)`` to hidden activations ``(sample, unit)``.
    decoder
        From hidden activations to logits ``(sample, class)``; ``None`` will do for upstream measures.
    x
        Inputs to average over.
    y
        Classes, for `output_hess` only.
    measure
        One of `MEASURES`.
    batch
        Samples differentiated at a time.

    Returns
    -------
    Tensor
        Float64, signed, symmetric, the diagonal in place.

    Raises
    ------
    ValueError
        If the measure is unknown, or needs a decoder or classes that are not given, a shape does not fit, or
        a number is not finite.
    TypeError
        If an argument is of another kind.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU(), torch.nn.Linear(3, 2))
    >>> x, y = torch.rand(10, 4), torch.zeros(10, dtype=torch.int64)
    >>> similarity_of(net[:2], net[2:], x, y, measure="output_hess").shape
    torch.Size([3, 3])
    """
    measure = _checks.one_of(measure, "measure", MEASURES)
    if not callable(encoder):
        raise TypeError(f"encoder must be a function, got {_checks.shown(encoder)}")
    if decoder is not None and not callable(decoder):
        raise TypeError(f"decoder must be a function, got {_checks.shown(decoder)}")
    x = _checks.tensor(x, "x")
    if measure in DOWNSTREAM and decoder is None:
        raise ValueError(f"{measure} looks at the output: decoder must not be None")
    if measure == "output_hess" and y is None:
        raise ValueError("output_hess needs the classes y")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x must hold a sample or more, got shape {tuple(x.shape)}")
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise ValueError("x must be finite")
    if measure == "input_grad" and not x.is_floating_point():
        raise TypeError(f"x must hold floating-point numbers to be differentiated by, got {x.dtype}")
    if y is not None:
        y = _checks.classes(y, "y", n_sample=len(x), like=x)
    batch = _checks.whole(batch, "batch", least=1)
    hidden = _hidden(encoder, x, batch)
    if measure in DOWNSTREAM:
        n_class = _n_class(cast(Callable[[Tensor], Tensor], decoder), hidden)
        if measure == "output_hess":
            _checks.classes(y, "y", n_sample=len(x), n_class=n_class, like=x)
    total = torch.zeros(hidden.shape[1], hidden.shape[1], dtype=torch.float64, device=hidden.device)
    if measure == "input_cov":
        centred = hidden.double() - hidden.double().mean(0)
        total = centred.T @ centred
    elif measure == "input_grad":
        jacobian = vmap(jacrev(lambda a: encoder(a[None])[0]), randomness="error")
        for part in x.split(batch):
            j = jacobian(part).flatten(2).double()  # (sample, unit, feature)
            total += torch.einsum("sif,sjf->ij", j, j)
    elif measure == "output_grad":
        read = cast(Callable[[Tensor], Tensor], decoder)
        jacobian = vmap(jacrev(lambda h: read(h[None])[0]))
        for part in hidden.split(batch):
            j = jacobian(part).double()  # (sample, class, unit)
            total += torch.einsum("sci,scj->ij", j, j)
    else:
        read = cast(Callable[[Tensor], Tensor], decoder)

        def loss(h: Tensor, label: Tensor) -> Tensor:
            return torch.nn.functional.cross_entropy(read(h[None]), label[None])

        second = vmap(jacrev(jacrev(loss)))  # forward mode would be no faster, and loads for two seconds
        for part, labels in zip(hidden.split(batch), cast(Tensor, y).split(batch), strict=True):
            total += second(part, labels).double().sum(0)
    total = total.detach()  # the model may have weights that ask for gradients
    if not torch.isfinite(total).all():
        raise ValueError(f"encoder or decoder is such that {measure} is not finite")
    return (total + total.T) / (2 * len(x))


def _hidden(encoder: Callable[[Tensor], Tensor], x: Tensor, batch: int) -> Tensor:
    """Hidden activations, (sample, unit), of an encoder that is seen to give them."""
    parts = [_checks.tensor(encoder(part), "what encoder returns") for part in x.split(batch)]
    shapes = {tuple(part.shape[1:]) for part in parts}
    rows = [len(part) if part.ndim else 0 for part in parts]
    if len(shapes) > 1 or len(min(shapes)) != 1 or rows != [len(part) for part in x.split(batch)]:
        raise ValueError(f"encoder must return (sample, unit), got {tuple(parts[0].shape)}")
    return torch.cat(parts).detach()


def _n_class(decoder: Callable[[Tensor], Tensor], hidden: Tensor) -> int:
    """Classes of a decoder that is seen to give logits."""
    logits = _checks.tensor(decoder(hidden[:1]), "what decoder returns")
    if logits.ndim != 2 or len(logits) != 1:
        raise ValueError(f"decoder must return (sample, class), got {tuple(logits.shape)}")
    return int(logits.shape[1])


def normalise(S: Float[Tensor, "*stack unit unit"]) -> Float[Tensor, "*stack unit unit"]:
    """Divide by the square roots of the diagonal: Sᵢⱼ / √(Sᵢᵢ Sⱼⱼ), rows with Sᵢᵢ ≤ 0 becoming zero.

    The authors' code divides there too; an autograd Hessian's diagonal can be ≤ 0, and theirs is then NaN.

    Raises
    ------
    ValueError, TypeError
        If S is no tensor of square matrices.
    """
    S = _matrices(S)
    scale = torch.diagonal(S, dim1=-2, dim2=-1).clamp(min=0).rsqrt()
    scale = torch.where(torch.isfinite(scale), scale, 0.0)
    return S * scale[..., :, None] * scale[..., None, :]


def adjacency(
    S: Float[Tensor, "*stack unit unit"], *, normalized: bool = False
) -> Float[Tensor, "*stack unit unit"]:
    """Read similarities as a weighted graph: absolute values, zero diagonal, dead rows zero.

    Parameters
    ----------
    S
        Similarity matrices as `similarity` or `similarity_of` return them, one or a stack of them.
    normalized
        Divide by the square roots of the diagonal first; weights then lie in [0, 1] where S is positive
        semi-definite, as every measure of a ReLU network is.

    Raises
    ------
    ValueError
        If a matrix is not square, not symmetric to 1e-6 of its own largest entry, or not finite, or beyond
        half of the largest number.
    TypeError
        If S is no tensor or array of real numbers, or `normalized` is not True or False.
    """
    S, normalized = _matrices(S), _checks.flag(normalized, "normalized")
    if not torch.isfinite(S).all():
        raise ValueError("S holds a value that is not finite")
    if S.numel() and S.abs().max() > torch.finfo(S.dtype).max / 2:  # the mean of two would not be finite
        raise ValueError(f"S holds a value of {S.abs().max().item():g}, too large to be added to another")
    if S.numel() and ((S - S.mT).abs().amax((-2, -1)) > 1e-6 * S.abs().amax((-2, -1))).any():
        raise ValueError("S is not symmetric")
    A = (normalise(S) if normalized else S).abs()
    A = (A + A.mT) / 2
    return A - torch.diag_embed(torch.diagonal(A, dim1=-2, dim2=-1))


def _matrices(S: object) -> Tensor:
    """Tensor of floating-point numbers of square matrices; whole numbers become float64."""
    if not isinstance(S, Tensor):
        array = _checks.as_numpy(S, "S")
        S = torch.as_tensor(array if array.dtype == np.float32 else array.astype(np.float64))
    found = _checks.tensor(S, "S")
    if not found.is_floating_point():
        found = found.double()
    if found.ndim < 2 or found.shape[-1] != found.shape[-2]:
        raise ValueError(f"S must be (…, unit, unit), got {tuple(found.shape)}")
    return found
