"""The similarities of a layer's units: what comes of many samples, and the sums on the way there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Matrix = Float[Tensor, "unit unit"]


@dataclass(frozen=True, eq=False)
class LayerSimilarity(Mapping[str, Tensor]):
    """Similarities of all pairs of units of a layer: a mapping from measures to ``(unit, unit)``, float64.

    Attributes
    ----------
    matrices
        The matrices by measure; the object itself is a mapping to them too.
    halves
        The same over either of two halves of the samples, drawn at random: what the two have in common is
        reliable. A half without samples has nan.
    n_samples, n_positions
        How many samples there were, and how many positions each has, at the most: 1 unless the layer gives
        a unit several numbers a sample, as a convolution does.
    unit
        What a unit is, in words.
    notes
        What a reader of the matrices has to know: what was left out, and what was assumed.
    """

    matrices: Mapping[str, Tensor]
    halves: tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
    n_samples: int
    n_positions: int
    unit: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, measure: str) -> Matrix:
        return self.matrices[measure]

    def __iter__(self) -> Iterator[str]:
        return iter(self.matrices)

    def __len__(self) -> int:
        return len(self.matrices)

    def __repr__(self) -> str:
        n_units = len(next(iter(self.values()))) if self else 0
        return (
            f"LayerSimilarity({', '.join(self)}: {n_units} units, {self.n_samples} samples, "
            f"{self.n_positions} positions)"
        )


class LayerSums:
    """Sums over the samples of a layer, of each half apart; a unit's activations are centred as they come."""

    def __init__(self, measures: list[str], n_units: int, device: torch.device) -> None:
        self.n_positions = 0
        self.n_samples = 0
        self._counts = [0, 0]  # of entries: samples, or positions of samples
        self._means = torch.zeros(2, n_units, dtype=torch.float64, device=device)
        self._variances = torch.zeros(2, n_units, dtype=torch.float64, device=device)
        self._sums = {
            m: torch.zeros(2, n_units, n_units, dtype=torch.float64, device=device) for m in measures
        }

    def add_activations(self, half: int, h: Float[Tensor, "entry unit"]) -> None:
        """Merge sums about the mean (Chan, Golub & LeVeque 1983); those of a dead unit stay exactly zero."""
        n, before = len(h), self._counts[half]
        if not n:
            return
        centre = h.mean(0)
        centred = h - centre
        shift, share = centre - self._means[half], before * n / (before + n)
        self._variances[half] += (centred**2).sum(0) + shift**2 * share
        if "input_cov" in self._sums:
            self._sums["input_cov"][half] += gram(centred.T) + torch.outer(shift, shift) * share
        self._means[half] += shift * (n / (before + n))
        self._counts[half] += n

    def add(self, measure: str, half: int, matrix: Matrix) -> None:
        """Add a sum over some samples of a half."""
        self._sums[measure][half] += matrix

    def add_row(self, measure: str, half: int, unit: int, row: Float[Tensor, " unit"]) -> None:
        """Add a sum over some samples of a half to the row of a unit."""
        self._sums[measure][half, unit] += row

    def varies(self) -> bool:
        """Whether the activation of any unit changes from sample to sample."""
        apart = (self._means[0] - self._means[1]).abs() if all(self._counts) else 0.0
        return bool((self._variances.sum(0) + apart > 0).any())

    def is_zero(self, measure: str) -> bool:
        """Whether all that was added for a measure is exactly zero."""
        return not bool(self._sums[measure].any())

    def result(self, layer: str, unit: str, notes: list[str]) -> LayerSimilarity:
        """Return the means over samples."""
        whole, halves = {}, ({}, {})
        n = sum(self._counts)
        for measure, sums in self._sums.items():
            total = sums.sum(0)
            if measure == "input_cov" and all(self._counts):
                shift = self._means[0] - self._means[1]
                total = total + torch.outer(shift, shift) * (self._counts[0] * self._counts[1] / n)
            if not torch.isfinite(total).all():
                raise ValueError(f"model is such that {measure} of layer {layer!r} is not finite")
            whole[measure] = _mean(total, n)
            for half, found in enumerate(halves):
                found[measure] = _mean(sums[half], self._counts[half])
        views = MappingProxyType(halves[0]), MappingProxyType(halves[1])
        return LayerSimilarity(
            MappingProxyType(whole), views, self.n_samples, self.n_positions, unit, tuple(notes)
        )


def gram(a: Tensor) -> Tensor:
    """Multiply a matrix by its own transpose: a aᵀ, of which NumPy computes half on a processor."""
    if a.device.type != "cpu":
        return a @ a.T
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused in the end
        array = a.contiguous().numpy()
        return torch.from_numpy(array @ array.T)


def _mean(total: Tensor, n: int) -> Tensor:
    if not n:
        return torch.full_like(total, torch.nan, device="cpu")
    return ((total + total.T) / (2 * n)).cpu()
