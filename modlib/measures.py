"""How alike two hidden units are: the measures, and their closed forms for stacks.

Each function raises a ValueError or TypeError that names the argument which is not as described, does not
fit the others, or holds a number that is not finite or so large that a similarity is not.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modlib import _checks
from modlib._checks import SYMMETRY_TOLERANCE
from modlib.derivatives import Batch, Model
from modlib.networks import MLPStack

IN_CACHE = 2**18  #: Numbers of the largest array on a processor: 2 MB.
ON_GPU = 2**27  #: Numbers of the largest array on a GPU.
LEAST_BATCH = 32  #: Samples at a time, at the least, of networks too wide for the cache.
DEAD = 1e-12  #: A unit is dead when its own similarity is at most this share of the layer's largest.

Matrices = Float[Tensor, "*stack unit unit"]


@dataclass(frozen=True)
class Measure:
    """A measure of how alike two hidden units are."""

    name: str  #: as in tables
    family: Literal["upstream", "downstream"]  #: whether it looks at what units read, or at what they drive
    label: str  #: as in charts and prose
    shade: int  #: its colour key: which shade of the family's hue it has, the darkest being 0
    #: Adds the sum over the samples of a `modlib.derivatives.Batch` to one float64 tensor a hidden layer,
    #: ``(network, unit, unit)``, in place.
    of_stack: Callable[[list[Tensor], Batch], None]
    #: Gives the sum over the samples of a `modlib.derivatives.Model`, ``(unit, unit)``.
    of_model: Callable[[Model], Tensor]


def _add_input_cov(sums: list[Tensor], batch: Batch) -> None:
    """Merge sums about the mean (Chan, Golub & LeVeque 1983); those of a dead unit stay exactly zero."""
    for total, mean, activations in zip(sums, batch.means, batch.hidden, strict=True):
        h = activations.mT  # (network, unit, sample)
        n = h.shape[2]
        centre = h.mean(2, keepdim=True, dtype=torch.float64)
        total += _gram((h - centre.to(h.dtype)).contiguous())
        shift = centre - mean
        total += shift * shift.mT * (batch.before * n / (batch.before + n))
        mean += shift * (n / (batch.before + n))


def _add_input_grad(sums: list[Tensor], batch: Batch) -> None:
    """Add Σ J Jᵀ, J = ∂h/∂x with the inputs rotated into the span of W₁."""
    r = batch.r
    first, *rest = batch.masks
    # Layer 1: J = diag(m) Rᵀ, so Σ J Jᵀ = (Rᵀ R) ∘ Σ m mᵀ.
    sums[0] += torch.bmm(r.mT, r) * torch.bmm(first.mT, first)
    if not rest:
        return
    n, n_samples, n_units = first.shape
    jacobian = first.mT[..., None] * r.mT[:, :, None]  # (network, unit, sample, rank)
    for total, w, mask in zip(sums[1:], batch.stack.weights[1:-1], rest, strict=True):
        jacobian = torch.bmm(w.mT, jacobian.reshape(n, n_units, -1))
        n_units = w.shape[2]
        jacobian = jacobian.view(n, n_units, n_samples, -1).mul_(mask.mT[..., None])
        total += _gram(jacobian.view(n, n_units, -1))


def _add_output_grad(sums: list[Tensor], batch: Batch) -> None:
    """Add Σ Jᵀ J, J = ∂z/∂h."""
    for total, jacobian in zip(sums, batch.output_jacobians, strict=True):
        total += _gram(jacobian.flatten(1, 2).mT)


def _add_output_hess(sums: list[Tensor], batch: Batch) -> None:
    """Add Σ Jᵀ (diag p − p pᵀ) J, where diag p − p pᵀ = Bᵀ B with B = diag(√p) (1 − 1 pᵀ)."""
    p = torch.softmax(batch.logits, dim=-1)[..., None]  # (network, sample, class, 1)
    for total, jacobian in zip(sums, batch.output_jacobians, strict=True):
        rows = p.sqrt() * (jacobian - (p * jacobian).sum(2, keepdim=True))
        total += _gram(rows.flatten(1, 2).mT)


def _gram(a: Tensor) -> Tensor:
    """Multiply every matrix (network, unit, number) by its own transpose: a aᵀ.

    NumPy sees that the factors are the same and computes half of the product; PyTorch does not.
    """
    if a.device.type == "cuda":
        return torch.bmm(a, a.mT)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused in the end
        return torch.stack([torch.from_numpy(one @ one.T) for one in a.numpy()])


def _input_cov_of_model(model: Model) -> Tensor:
    centred = model.hidden.double() - model.hidden.double().mean(0)
    return centred.T @ centred


def _input_grad_of_model(model: Model) -> Tensor:
    """Multiply (unit, sample · feature) by its transpose, a part of the samples at a time."""
    parts = (j.transpose(0, 1).flatten(1).double() for j in model.input_jacobians())
    return reduce(torch.add, (part @ part.T for part in parts))


def _output_grad_of_model(model: Model) -> Tensor:
    parts = (j.double().flatten(0, 1) for j in model.output_jacobians())  # (sample · class, unit)
    return reduce(torch.add, (part.T @ part for part in parts))


def _output_hess_of_model(model: Model) -> Tensor:
    return reduce(torch.add, (h.sum(0) for h in model.hessians()))


#: All measures, by name; charts, tables and checks look here for what they need to know of one.
MEASURES = {
    measure.name: measure
    for measure in (
        Measure("input_cov", "upstream", "input covariance", 0, _add_input_cov, _input_cov_of_model),
        Measure("input_grad", "upstream", "input gradient", 1, _add_input_grad, _input_grad_of_model),
        Measure("output_grad", "downstream", "output gradient", 0, _add_output_grad, _output_grad_of_model),
        Measure("output_hess", "downstream", "output Hessian", 1, _add_output_hess, _output_hess_of_model),
    )
}
FAMILIES = tuple(dict.fromkeys(measure.family for measure in MEASURES.values()))
UPSTREAM = tuple(name for name, measure in MEASURES.items() if measure.family == "upstream")
DOWNSTREAM = tuple(name for name, measure in MEASURES.items() if measure.family == "downstream")
#: The graphs of a layer: each measure raw, then normalised.
VARIANTS = tuple((name, normalized) for name in MEASURES for normalized in (False, True))


def family(measure: str) -> str:
    """Return ``"upstream"`` or ``"downstream"``; a ValueError if there is no such measure."""
    return MEASURES[_checks.one_of(measure, "measure", MEASURES)].family


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

    Parameters
    ----------
    stack
        The networks; dropout is off. With a single logit there is no `output_hess`, which is refused.
    x
        Inputs to average over (the paper uses test images).
    y
        Classes of the inputs, taken so that the call reads like that of `modlib.similarity_of`. No measure of
        a ReLU network depends on them, since the Hessian of the cross-entropy in the logits does not.
    measures
        Names of the measures to compute, or of one.
    batch
        Samples at a time; by default so many that the largest array, of 2¹⁸ numbers, stays in a processor's
        cache (on a GPU: 2²⁷), but 32 at the least.

    Returns
    -------
    dict
        For each measure one float64 tensor a hidden layer, ``(network, unit, unit)``: signed, positive
        semi-definite, exactly symmetric, the diagonal in place. Hand it to `adjacency` to get a graph. A unit
        that no sample activates has exact zeros for every measure that looks at its activity; `dead_units`
        says which count as dead.

    Notes
    -----
    A ReLU network is linear around almost every input, hence the closed forms. With the QR decomposition
    W₁ = QR, J of layer 1 may be replaced by diag(m) Rᵀ, m the 0/1 mask of active units, since only J Jᵀ is
    asked for: later layers then cost nothing that grows with the number of inputs. Products are formed in
    the stack's precision and added up in float64. Covariances come from activations centred batch by batch,
    because E[h hᵀ] − E[h] E[h]ᵀ cancels for units that hardly vary, dead or nearly constant (the authors'
    code loses three to four digits there).
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
    if "output_hess" in wanted and stack.widths[-1] == 1:
        raise ValueError(
            "stack must have two logits or more for output_hess: with one, the cross-entropy is always 0; "
            'name the other measures, or call modlib.similarities with loss="bce"'
        )
    if batch is not None:
        batch = _checks.whole(batch, "batch", least=1)
    if not all(bool(torch.isfinite(t).all()) for t in (*stack.weights, *stack.biases)):
        raise ValueError("stack must be finite")
    # On a processor a network at a time, its arrays in the cache; on a GPU all at once.
    at_once = len(stack) if x.device.type == "cuda" else 1
    parts = [_means(stack[i : i + at_once], x, wanted, batch) for i in range(0, len(stack), at_once)]
    return {
        measure: [torch.cat(layer) for layer in zip(*(part[measure] for part in parts), strict=True)]
        for measure in wanted
    }


def _means(stack: MLPStack, x: Tensor, wanted: list[str], size: int | None) -> dict[str, list[Tensor]]:
    """Average each measure over samples: for each layer (network, unit, unit)."""
    zeros = partial(torch.zeros, dtype=torch.float64, device=x.device)
    hidden = stack.widths[1:-1]
    sums = {measure: [zeros((len(stack), n_units, n_units)) for n_units in hidden] for measure in wanted}
    means = [zeros((len(stack), n_units, 1)) for n_units in hidden]
    r = torch.linalg.qr(stack.weights[0], mode="r").R
    size = size or batch_size(len(stack), stack.widths, x.device)
    for start in range(0, len(x), size):
        part = x[start : start + size].to(r.dtype)
        if not torch.isfinite(part).all():
            raise ValueError("x must be finite")
        samples = Batch(stack, r, part, start, means)
        for measure, layers in sums.items():
            MEASURES[measure].of_stack(layers, samples)
    for measure, layers in sums.items():
        if not all(torch.isfinite(total).all() for total in layers):
            raise ValueError(f"x or the weights of stack are so large that {measure} is not finite")
    return {m: [(total + total.mT) / (2 * len(x)) for total in layers] for m, layers in sums.items()}


def batch_size(n_network: int, widths: list[int], device: torch.device) -> int:
    """Find how many samples fit the memory; the largest array is (network, unit, sample, unit)."""
    widest = max(widths[1:])
    a_sample = n_network * widest * min(widest, widths[0])
    return max(1, ON_GPU // a_sample) if device.type == "cuda" else max(LEAST_BATCH, IN_CACHE // a_sample)


def dead_units(S: Matrices, *, share: float = DEAD) -> Bool[Tensor, "*stack unit"]:
    """Which units are dead for a measure: those whose similarities are next to nothing beside the largest.

    Unit i is dead when ``|Sᵢᵢ| ≤ share · maxⱼ |Sⱼⱼ|`` and ``|Sᵢⱼ| ≤ √share · max |S|`` for all j. In a
    positive semi-definite matrix the first condition implies the second, since Sᵢⱼ² ≤ Sᵢᵢ Sⱼⱼ. The second
    keeps a unit alive that has strong edges but no similarity of its own, as there may be in a Hessian of a
    network without ReLUs.

    Penalties shrink the weights of an idle unit towards zero without ever reaching it. Products of what is
    left, 1e-30 or less, are numbers like any other to `normalise`, which would make such a unit a full member
    of the graph, with edges of mere rounding. The code released by Lange et al. leaves such units in, and
    only takes a standard deviation below 1e-12 for 1e-12 when it divides by it.

    Parameters
    ----------
    S
        Similarity matrices as `similarity` or `modlib.similarity_of` return them, one or a stack of them.
    share
        From 0, where only zeros count as nothing, to 1. What hangs on it, little but under strong L1, is
        measured by `modlib.paper.simulations.dead_units`.

    Examples
    --------
    >>> dead_units(torch.diag(torch.tensor([4.0, 1.0, 1e-30]))).tolist()
    [False, False, True]
    """
    S = _matrices(S).abs()
    share = _checks.real(share, "share", least=0.0, most=1.0)
    if not S.numel():
        return torch.zeros(S.shape[:-1], dtype=torch.bool, device=S.device)
    own, row = torch.diagonal(S, dim1=-2, dim2=-1), S.amax(-1)
    little: Tensor = own <= share * own.amax(-1, keepdim=True)
    return little & (row <= math.sqrt(share) * row.amax(-1, keepdim=True))


def normalise(S: Matrices) -> Matrices:
    """Divide by the square roots of the diagonal: Sᵢⱼ / √(Sᵢᵢ Sⱼⱼ), the rows of dead units becoming zero.

    So do rows with Sᵢᵢ ≤ 0. The authors' code divides there too; the diagonal of an autograd Hessian can be
    ≤ 0, and theirs is then NaN.
    """
    S = _matrices(S)
    scale = torch.diagonal(S, dim1=-2, dim2=-1).clamp(min=0).rsqrt()
    scale = torch.where(torch.isfinite(scale) & ~dead_units(S), scale, 0.0)
    return S * scale[..., :, None] * scale[..., None, :]


def adjacency(S: Matrices, *, normalized: bool = False) -> Matrices:
    """Read similarities as a weighted graph: absolute values, zero diagonal, rows of `dead_units` zero.

    Parameters
    ----------
    S
        Similarity matrices as `similarity` or `modlib.similarity_of` return them, one or a stack of them:
        finite, and symmetric to 1e-6 of the largest entry of each.
    normalized
        Divide by the square roots of the diagonal first; entries then lie in [0, 1] where S is positive
        semi-definite, as every measure of a ReLU network is.
    """
    S, normalized = _matrices(S), _checks.flag(normalized, "normalized")
    if count := int((~torch.isfinite(S)).sum()):
        raise ValueError(f"S must be finite, got {count} nan or inf")
    apart, largest = ((S - S.mT).abs().amax((-2, -1)), S.abs().amax((-2, -1))) if S.numel() else (S, S)
    if (apart > SYMMETRY_TOLERANCE * largest).any():
        raise ValueError(
            f"S must be symmetric: |S_ij − S_ji| reaches {float((apart / largest).nan_to_num().max()):.2g} "
            f"of the largest entry, allowed is {SYMMETRY_TOLERANCE:g}"
        )
    if normalized:
        S = normalise(S)
    else:
        dead = dead_units(S)
        S = torch.where(dead[..., :, None] | dead[..., None, :], 0.0, S)
    A = S.abs()
    A = (A + A.mT) / 2
    return A - torch.diag_embed(torch.diagonal(A, dim1=-2, dim2=-1))


def graphs(S: dict[str, list[Tensor]], layer: int) -> Float[np.ndarray, "network variant unit unit"]:
    """Stack the graphs of a hidden layer (counted from 0), in the order of `VARIANTS`."""
    stacked = [adjacency(S[measure][layer], normalized=normalized) for measure, normalized in VARIANTS]
    return torch.stack(stacked, 1).cpu().numpy()


def _matrices(S: object) -> Tensor:
    """Return square matrices as a tensor of floating-point numbers; whole numbers become float64."""
    if not isinstance(S, Tensor):
        array = _checks.as_numpy(S, "S")
        S = torch.as_tensor(array if array.dtype == np.float32 else array.astype(np.float64))
    found = _checks.tensor(S, "S")
    if not found.is_floating_point():
        found = found.double()
    if found.ndim < 2 or found.shape[-1] != found.shape[-2]:
        raise ValueError(f"S must be (…, unit, unit), got {tuple(found.shape)}")
    return found
