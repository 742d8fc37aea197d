"""From networks to the rows of the tables: modules of every layer and measure, and how they agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modlib.agreement import agreement_pairs, rank_correlations, transfers
from modlib.modularity import find_modules
from modlib.networks import MLPStack
from modlib.similarity import MEASURES, adjacency, family, similarity

#: The eight graphs of a layer: each measure raw, then normalised.
VARIANTS = tuple((measure, normalized) for measure in MEASURES for normalized in (False, True))
_PAIRS = np.array(list(combinations(range(len(VARIANTS)), 2)))


def describe(
    stack: MLPStack, x: Float[Tensor, "sample _in"], y: Int[Tensor, " sample"], names: Sequence[str]
) -> pd.DataFrame:
    """Test loss (nats) and accuracy, size of the weights and active units: one row a network.

    `sparsity` is the share of weights smaller than 10⁻³ in size; `active_units` counts, layer by layer, the
    units that at least one sample activates.
    """
    n = len(stack)
    loss, hits = torch.zeros(2, n, dtype=torch.float64, device=x.device)
    active = [torch.zeros(n, w, dtype=torch.bool, device=x.device) for w in stack.widths[1:-1]]
    for part, target in zip(x.split(1000), y.split(1000), strict=True):
        hidden, logits = stack(part)
        picked = logits.gather(-1, target.expand(n, -1)[..., None])[..., 0]
        loss += (logits.logsumexp(-1) - picked).double().sum(-1)
        hits += (logits.argmax(-1) == target).double().sum(-1)
        active = [a | (h > 0).any(1) for a, h in zip(active, hidden, strict=True)]
    weights = torch.cat([w.flatten(1) for w in stack.weights], 1).double()
    return pd.DataFrame(
        {
            "network": list(names),
            "test_loss": (loss / len(x)).cpu().numpy(),
            "test_accuracy": (hits / len(x)).cpu().numpy(),
            "weight_l1": weights.abs().sum(1).cpu().numpy(),
            "weight_l2": weights.square().sum(1).cpu().numpy(),
            "sparsity": (weights.abs() < 1e-3).double().mean(1).cpu().numpy(),
            "active_units": torch.stack([a.sum(1) for a in active], 1).tolist(),
        }
    )


def graphs(S: dict[str, list[Tensor]], layer: int) -> Float[np.ndarray, "network variant unit unit"]:
    """Stack the eight graphs of a hidden layer (counted from 0), in the order of `VARIANTS`."""
    stacked = [adjacency(S[measure][layer], normalized=normalized) for measure, normalized in VARIANTS]
    return torch.stack(stacked, 1).cpu().numpy()


def analyse(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    y: Int[Tensor, " sample"],
    names: Sequence[str],
    *,
    restarts: int = 20,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Modules of every network, layer and variant, and the agreement of every two variants of a layer.

    Similarities are computed in double precision. Layers count from 1.

    Returns
    -------
    modules, agreement
        The tables of that name; `transfer_ab` is Q of a's graph under b's partition.
    """
    S = similarity(stack.to(dtype=torch.float64), x, y)
    modules: list[dict[str, object]] = []
    agreement: list[pd.DataFrame] = []
    for layer in range(stack.n_hidden):
        for name, A in zip(names, graphs(S, layer), strict=True):
            parts = [find_modules(a, restarts=restarts, seed=seed) for a in A]
            for (measure, normalized), part in zip(VARIANTS, parts, strict=True):
                modules.append(
                    {
                        "network": name,
                        "layer": layer + 1,
                        "measure": measure,
                        "normalized": normalized,
                        "q": part.q,
                        "n_modules": part.n_modules,
                        "effective_modules": part.effective_modules,
                        "stability": part.stability,
                        "labels": part.labels.astype(np.int8),
                    }
                )
            agreement.append(_compare(A, np.stack([p.labels for p in parts]), name, layer + 1))
    return pd.DataFrame(modules), pd.concat(agreement, ignore_index=True)


def _compare(
    A: Float[np.ndarray, "variant unit unit"], labels: Int[np.ndarray, "variant unit"], name: str, layer: int
) -> pd.DataFrame:
    a, b = _PAIRS.T
    carried = transfers(A, labels)  # (graph, partition)
    measures = np.array([m for m, _ in VARIANTS])
    normalized = np.array([n for _, n in VARIANTS])
    families = [family(m) for m in measures]
    return pd.DataFrame(
        {
            "network": name,
            "layer": layer,
            "measure_a": measures[a],
            "normalized_a": normalized[a],
            "measure_b": measures[b],
            "normalized_b": normalized[b],
            "family_pair": [families[i] if families[i] == families[j] else "across" for i, j in _PAIRS],
            **agreement_pairs(labels, _PAIRS),
            "transfer_ab": carried[a, b],
            "transfer_ba": carried[b, a],
            "rank_correlation": rank_correlations(A)[a, b],
        }
    )
