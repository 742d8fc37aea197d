"""Stages of an analysis beside other packages that do the same work; what is not installed is left out.

Similarity of any model is held against plain autograd, which asks for one row of a Jacobian after another,
against `torch.func` as its documentation uses it, and against JAX. Agreement is held against scikit-learn and
clusim. The search for modules has a benchmark of its own (`benchmarks.search`), since there it matters first
how good the result is.

Before anything is timed, all must have given the same numbers. Everything runs on one thread.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import hessian, jacrev, vmap

from benchmarks.timing import race
from modlib import MLPStack, data
from modlib.analysis.modules import PAIRS
from modlib.book.chapters.speed.estimates import quartiles, ratios
from modlib.comparison import agreement_pairs
from modlib.measures import similarity
from modlib.two_parts import similarity_of

IMAGES = 1000
AT_ONCE = 100  # images that opponents differentiate at a time
AGREE = 1e-5  # relative difference up to which similarities are the same: some are in single precision
OURS = "modlib"

Contestants = dict[str, Callable[[], np.ndarray]]


def measure(*, rounds: int = 5, images: int = IMAGES) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Race modlib against what is installed, stage by stage.

    Returns
    -------
    table
        `stage`, `contestant`, `round`, `seconds`.
    about
        How it was measured, and for each stage and opponent the quartiles of its seconds over modlib's.

    Raises
    ------
    RuntimeError
        If an opponent finds other numbers.
    """
    stack = MLPStack.initialise([784, 64, 64, 10], seeds=[0])
    loaded = data.load("mnist")
    x, y = loaded.x_test[:images], loaded.y_test[:images]
    tables, about = [], {"unit": "seconds", "threads": 1, "images": images, "ratios": {}}
    for stage, contestants in stages(stack, x, y).items():
        for name, run in contestants.items():
            apart = _apart(contestants[OURS](), run())
            if not apart <= AGREE:
                raise RuntimeError(f"{stage}: numbers of {name} differ from modlib's by {apart:.1e}")
        table = race(contestants, rounds=rounds)
        about["ratios"][stage] = {
            name: quartiles(ratios(table, name, OURS))._asdict() for name in contestants if name != OURS
        }
        tables.append(table.assign(stage=stage))
    return pd.concat(tables, ignore_index=True)[["stage", "contestant", "round", "seconds"]], about


def stages(stack: MLPStack, x: Tensor, y: Tensor) -> dict[str, Contestants]:
    """Name the stages and what runs each: upstream of the second hidden layer, downstream of the first."""
    net = stack.module(0)
    encoder, first, decoder = net[:4], net[:2], net[2:]
    labels = np.random.default_rng(0).integers(0, 5, (8, 64))

    def ours(measure: str) -> Callable[[], np.ndarray]:
        parts = (encoder, None) if measure == "input_grad" else (first, decoder)
        return lambda: similarity_of(*parts, x, y, measure=measure).numpy()

    @torch.no_grad()
    def h() -> Tensor:
        return first(x)  # type: ignore[no-any-return]

    found: dict[str, Contestants] = {
        "input gradient, any model": {
            OURS: ours("input_grad"),
            "autograd": lambda: _rows_by_autograd(encoder, x, upstream=True),
            "torch.func": lambda: _by_vmap(encoder, x, "sif,sjf->ij"),
        },
        "output gradient, any model": {
            OURS: ours("output_grad"),
            "autograd": lambda: _rows_by_autograd(decoder, h(), upstream=False),
            "torch.func": lambda: _by_vmap(decoder, h(), "sci,scj->ij"),
        },
        "output Hessian, any model": {
            OURS: ours("output_hess"),
            "autograd": lambda: _hessian_by_autograd(decoder, h(), y),
            "torch.func": lambda: _hessian_by_vmap(decoder, h(), y),
        },
        "all three, ReLU network": {
            OURS: lambda: _closed_form(stack, x, y),
            "torch.func": lambda: np.stack(
                [
                    _by_vmap(encoder, x, "sif,sjf->ij"),
                    _by_vmap(decoder, h(), "sci,scj->ij"),
                    _hessian_by_vmap(decoder, h(), y),
                ]
            ),
        },
        "agreement of 28 pairs (AMI, ECS)": {
            OURS: lambda: np.stack([*agreement_pairs(labels, PAIRS, metrics=["ami", "ecs"]).values()])
        },
    }
    if importlib.util.find_spec("jax"):
        for stage, run in _by_jax(stack, x, y).items():
            found[stage]["jax"] = run
    if importlib.util.find_spec("sklearn") and importlib.util.find_spec("clusim"):
        found["agreement of 28 pairs (AMI, ECS)"]["scikit-learn, clusim"] = lambda: _by_clusim(labels)
    return found


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest relative distance of two matrices, or of those of a stack of them."""
    axes = (-2, -1) if ours.ndim > 1 else None
    return float(np.max(np.linalg.norm(ours - theirs, axis=axes) / np.linalg.norm(ours, axis=axes)))


def _closed_form(stack: MLPStack, x: Tensor, y: Tensor) -> np.ndarray:
    """Form all three for both layers, and return those that the others form."""
    S = similarity(stack, x, y, measures=["input_grad", "output_grad", "output_hess"])
    return np.stack([S["input_grad"][1][0], S["output_grad"][0][0], S["output_hess"][0][0]])


def _rows_by_autograd(f: Callable[[Tensor], Tensor], x: Tensor, *, upstream: bool) -> np.ndarray:
    """Ask for the gradient of one output after another, for a batch of samples at a time."""
    total: Tensor | None = None
    for part in x.split(AT_ONCE):
        leaf = part.clone().requires_grad_(True)
        out = f(leaf)
        rows = [torch.autograd.grad(out[:, i].sum(), leaf, retain_graph=True)[0] for i in range(out.shape[1])]
        jacobian = torch.stack(rows).double()  # (output, sample, input)
        flat = jacobian.flatten(1) if upstream else jacobian.flatten(0, 1).T
        total = flat @ flat.T if total is None else total + flat @ flat.T
    assert total is not None
    return (total / len(x)).numpy()


def _by_vmap(f: Callable[[Tensor], Tensor], x: Tensor, sums: str) -> np.ndarray:
    jacobian = vmap(jacrev(lambda a: f(a[None])[0]))
    with torch.no_grad():
        parts = (jacobian(part).double() for part in x.split(AT_ONCE))
        return (sum(torch.einsum(sums, part, part) for part in parts) / len(x)).numpy()


def _loss(decoder: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda h, y: torch.nn.functional.cross_entropy(decoder(h[None]), y[None])


def _hessian_by_autograd(decoder: Callable[[Tensor], Tensor], h: Tensor, y: Tensor) -> np.ndarray:
    loss = _loss(decoder)
    total = sum(
        torch.autograd.functional.hessian(lambda a, label=label: loss(a, label), one).double()
        for one, label in zip(h, y, strict=True)
    )
    return (total / len(h)).numpy()


def _hessian_by_vmap(decoder: Callable[[Tensor], Tensor], h: Tensor, y: Tensor) -> np.ndarray:
    second = vmap(hessian(_loss(decoder)))
    with torch.no_grad():
        parts = zip(h.split(AT_ONCE), y.split(AT_ONCE), strict=True)
        return (sum(second(a, label).double().sum(0) for a, label in parts) / len(h)).numpy()


def _by_jax(stack: MLPStack, x: Tensor, y: Tensor) -> Contestants:
    """Differentiate with JAX, compiled; compiling is not timed."""
    import jax
    import jax.numpy as jnp

    weights = [w[0].numpy() for w in stack.weights]
    biases = [b[0].numpy() for b in stack.biases]
    images, labels = x.numpy(), y.numpy()

    def first(a: Any) -> Any:
        return jax.nn.relu(a @ weights[0] + biases[0])

    def second(h: Any) -> Any:
        return jax.nn.relu(h @ weights[1] + biases[1])

    def encode(a: Any) -> Any:
        return second(first(a))

    def decode(h: Any) -> Any:
        return second(h) @ weights[2] + biases[2]

    def loss(h: Any, label: Any) -> Any:
        return -jax.nn.log_softmax(decode(h))[label]

    def gradient(a: Any) -> Any:
        jacobian = jax.vmap(jax.jacrev(encode))(a)
        return jnp.einsum("sif,sjf->ij", jacobian, jacobian)

    def outputs(a: Any) -> Any:
        jacobian = jax.vmap(jax.jacrev(decode))(first(a))
        return jnp.einsum("sci,scj->ij", jacobian, jacobian)

    def curvature(a: Any, label: Any) -> Any:
        return jax.vmap(jax.hessian(loss))(first(a), label).sum(0)

    def mean(f: Any, *arrays: np.ndarray) -> Callable[[], np.ndarray]:
        compiled, starts = jax.jit(f), range(0, len(images), AT_ONCE)

        def run() -> np.ndarray:
            parts = (compiled(*(a[start : start + AT_ONCE] for a in arrays)) for start in starts)
            return np.asarray(sum(np.asarray(part, dtype=np.float64) for part in parts) / len(images))

        return run

    runs = mean(gradient, images), mean(outputs, images), mean(curvature, images, labels)
    return {
        "input gradient, any model": runs[0],
        "output gradient, any model": runs[1],
        "output Hessian, any model": runs[2],
        "all three, ReLU network": lambda: np.stack([run() for run in runs]),
    }


def _by_clusim(labels: np.ndarray) -> np.ndarray:
    """Take adjusted mutual information from scikit-learn, and element-centric similarity from clusim."""
    from clusim.clustering import Clustering
    from clusim.sim import element_sim
    from sklearn.metrics import adjusted_mutual_info_score

    named = [Clustering().from_membership_list(part.tolist()) for part in labels]
    return np.array(
        [
            [adjusted_mutual_info_score(labels[a], labels[b]) for a, b in PAIRS],
            [element_sim(named[a], named[b], alpha=0.9) for a, b in PAIRS],
        ]
    )
