"""The analysis of a network by the method as published, written anew and made fast: modlib's opponent.

Lange, Rolnick & Kording 2022: Jacobians by automatic differentiation, row by row; modules by a spectral start
and 5,000 Monte Carlo moves (`modlib.algorithms`); partitions compared by element-centric similarity, reduced
mutual information, variation of information and greedy matching, each beside 5,000 shuffles of the labels,
and by rank correlation and transfer. Made fast without changing what is computed: a backward pass is over a
whole batch of images at once, single precision serves as in the paper, the Monte Carlo chain keeps its sums
up to date, and all shuffles of a pair are looked at together, in modlib's closed forms where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from modlib._contingency import METRICS as OF_TABLES  # noqa: PLC2701
from modlib._contingency import contingency_tables  # noqa: PLC2701
from modlib.algorithms import find_modules_by
from modlib.clustering import Partition, alive_units, modularity

SHUFFLES = 5000
METRICS = ("ecs", "rmi", "vi", "greedy")
IMAGES_AT_ONCE = 1000  # of a backward pass; fewer and more were slower


def similarities(net: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, list[Tensor]]:
    """All four measures of every hidden layer, (1, unit, unit) each, as `modlib.similarity` returns them.

    Parameters
    ----------
    net
        Linear layers with a ReLU after each but the last.
    x, y
        Images to average over, and their classes.
    """
    hidden = [place + 1 for place, layer in enumerate(net) if isinstance(layer, nn.ReLU)]
    cuts = [(net[:place], net[place:]) for place in hidden]
    measures: dict[str, Callable[[nn.Module, nn.Module], Tensor]] = {
        "input_cov": lambda encoder, _: _input_cov(encoder, x),
        "input_grad": lambda encoder, _: _input_grad(encoder, x),
        "output_grad": lambda encoder, decoder: _output_grad(encoder, decoder, x),
        "output_hess": lambda encoder, decoder: _output_hess(encoder, decoder, x, y),
    }
    return {
        name: [_symmetric(measure(*cut) / len(x))[None] for cut in cuts] for name, measure in measures.items()
    }


def _input_cov(encoder: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        h = encoder(x)
        centred = h - h.mean(0)
        return (centred.T @ centred).double()


def _input_grad(encoder: nn.Module, x: Tensor) -> Tensor:
    """Σ J Jᵀ, J = ∂h/∂x: one backward pass a unit."""
    total: Tensor | float = 0.0
    for part in x.split(IMAGES_AT_ONCE):
        part = part.detach().requires_grad_()
        rows = _rows(encoder(part), part).flatten(1)  # (unit, sample · feature)
        total = total + (rows @ rows.T).double()
    return torch.as_tensor(total)


def _output_grad(encoder: nn.Module, decoder: nn.Module, x: Tensor) -> Tensor:
    """Σ Jᵀ J, J = ∂z/∂h: one backward pass a class."""
    total: Tensor | float = 0.0
    for h in _hidden(encoder, x):
        rows = _rows(decoder(h), h).flatten(0, 1)  # (class · sample, unit)
        total = total + (rows.T @ rows).double()
    return torch.as_tensor(total)


def _output_hess(encoder: nn.Module, decoder: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Σ ∂²L/∂h∂h: a backward pass through the backward pass a unit."""
    total: Tensor | float = 0.0
    for h, classes in zip(_hidden(encoder, x), y.split(IMAGES_AT_ONCE), strict=True):
        loss = nn.functional.cross_entropy(decoder(h), classes, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, h, create_graph=True)
        total = total + _rows(gradient, h).sum(1).double()
    return torch.as_tensor(total)


def _hidden(encoder: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        parts = [encoder(part) for part in x.split(IMAGES_AT_ONCE)]
    return [part.requires_grad_() for part in parts]


def _rows(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Gradient of each output (sample, output) in the inputs: (output, sample, input)."""
    ones = torch.ones(len(outputs), device=outputs.device)
    return torch.stack(
        [torch.autograd.grad(column, inputs, ones, retain_graph=True)[0] for column in outputs.unbind(1)]
    )


def _symmetric(S: Tensor) -> Tensor:
    return (S + S.T) / 2


def partitions(graphs: np.ndarray, *, seed: int = 0) -> list[Partition]:
    """Modules of each graph by the spectral start and 5,000 Monte Carlo moves."""
    return [find_modules_by(A, "monte-carlo", seed=seed) for A in graphs]


def agreement(graphs: np.ndarray, labels: np.ndarray, pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Compare every pair of partitions and graphs: the metrics of partitions, transfer and rank correlation.

    Parameters
    ----------
    graphs, labels
        (variant, unit, unit) and (variant, unit), −1 for dead.
    pairs
        (pair, 2) row numbers.
    """
    found: dict[str, list[float]] = {}
    rows, columns = np.triu_indices(graphs.shape[1], k=1)
    alive = alive_units(graphs)
    for a, b in pairs:
        table = contingency_tables(labels[None, a], labels[None, b], int(labels.max()) + 1)
        of_pair = {name: float(value[0]) for name, value in of_tables(table).items()}
        of_pair["transfer_ab"] = modularity(graphs[a], labels[b])
        of_pair["transfer_ba"] = modularity(graphs[b], labels[a])
        both = (alive[a] & alive[b])[rows] & (alive[a] & alive[b])[columns]
        first, second = (graphs[i][rows, columns][both] for i in (a, b))
        of_pair["rank_correlation"] = float(spearmanr(first, second).statistic)
        for name, value in of_pair.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def chance(
    labels: np.ndarray, pairs: np.ndarray, *, shuffles: int = SHUFFLES, seed: int = 0
) -> dict[str, np.ndarray]:
    """Mean of each metric of partitions over shuffles of one side's labels, (pair,) each."""
    generator = np.random.default_rng(seed)
    means: dict[str, list[float]] = {name: [] for name in METRICS}
    for a, b in pairs:
        both = (labels[a] >= 0) & (labels[b] >= 0)
        fixed = np.broadcast_to(labels[a][both], (shuffles, both.sum()))
        shuffled = generator.permuted(np.broadcast_to(labels[b][both], fixed.shape), axis=1)
        tables = contingency_tables(fixed, shuffled, int(labels[[a, b]].max()) + 1)
        for name, values in of_tables(tables).items():
            means[name].append(float(values.mean()))
    return {name: np.array(values) for name, values in means.items()}


def of_tables(tables: np.ndarray) -> Mapping[str, np.ndarray]:
    """Compute the metrics of partitions from contingency tables (pair, module, module)."""
    return {name: OF_TABLES[name](tables) for name in ("ecs", "rmi", "vi")} | {"greedy": greedy(tables)}


def greedy(tables: np.ndarray) -> np.ndarray:
    """Share of units in a greedy one-to-one matching of modules: the largest overlap left, over and over."""
    left = tables.copy()
    every = np.arange(len(left))
    matched = np.zeros(len(left))
    for _ in range(min(left.shape[1:])):
        row, column = np.unravel_index(left.reshape(len(left), -1).argmax(1), left.shape[1:])
        matched += left[every, row, column]
        left[every, row, :] = left[every, :, column] = 0
    return np.asarray(matched / tables.sum(axis=(1, 2)))
