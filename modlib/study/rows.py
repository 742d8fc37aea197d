"""From networks to the rows of the tables: modules of every layer and measure, and how they agree."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modlib import _checks
from modlib.analysis.modules import Map, agreement_of_halves, layer_tables
from modlib.analysis.null_tests import null_rows, qualities, qualities_of_draws
from modlib.measures import VARIANTS, graphs, similarity
from modlib.networks import MLPStack
from modlib.nulls import NULLS
from modlib.study.plan import Choice
from modlib.study.schema import TABLES


def describe(
    stack: MLPStack, x: Float[Tensor, "sample _in"], y: Int[Tensor, " sample"], names: Sequence[str]
) -> pd.DataFrame:
    """Measure the loss, accuracy, weights and active units of every network, as in the table `networks`.

    A ValueError or TypeError is raised if x, y or the names do not fit the stack.
    """
    n = _checked_number(stack, names)
    x = _checks.tensor(x, "x", like=stack.weights[0])
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"x must be (sample, {stack.widths[0]}) with a sample or more, got {tuple(x.shape)}")
    y = _checks.classes(y, "y", n_sample=len(x), n_class=stack.widths[-1], like=x)
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


def analyse(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    y: Int[Tensor, " sample"],
    names: Sequence[str],
    *,
    restarts: int = 20,
    seed: int = 0,
    map_: Map = map,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the modules of every network, layer and variant, and how any two variants of a layer agree.

    The tables `modules` and `agreement` (`modlib.study.schema.TABLES`) are returned. Similarities are
    computed in double precision. A graph is found reliable if its partition is the same by every other image
    as by those in between; so there must be two images or more. `map_` is the built-in `map` or that of an
    executor. Errors are those of `modlib.similarity` and `modlib.find_modules`, and a ValueError if there is
    not one name a network.
    """
    _checked_number(stack, names)
    double = stack.to(dtype=torch.float64)
    begun = search_layers(similarity(double, x, y), names, map_, "leiden", restarts, seed)
    halves = [similarity(double, x[half::2], y[half::2]) for half in (0, 1)]
    layers = range(stack.n_hidden)
    reliable = [
        map_(agreement_of_halves, *(graphs(S, i) for S in halves), repeat(restarts), repeat(seed))
        for i in layers
    ]
    modules, agreement = zip(*begun, strict=True)
    return (
        pd.concat(modules, ignore_index=True).assign(reliability=np.concatenate([*chain(*reliable)])),
        pd.concat(agreement, ignore_index=True),
    )


def analyse_by(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    y: Int[Tensor, " sample"],
    names: Sequence[str],
    choices: Sequence[Choice],
    *,
    restarts: int = 20,
    seed: int = 0,
    map_: Map = map,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Analyse networks as `analyse` does, but by other choices, and summarise what is found.

    The tables `choices` and `choices_agreement` are returned. Agreement is averaged over the pairs of
    variants of two families. Where `distinct` is true, the pairs of a measure with its own normalised form
    are left out. Errors are those of `analyse`, and a ValueError or TypeError if `choices` are not one or
    more of `modlib.study.plan.Choice`.
    """
    _checked_number(stack, names)
    choices = [_checks.instance(c, "each of choices", Choice) for c in _checks.listed(choices, "choices")]
    if not choices:
        raise ValueError("choices must be one or more")
    double = stack.to(dtype=torch.float64)
    whole = similarity(double, x, y)
    begun = []  # in parallel, where `map_` is
    for choice in choices:
        S = whole if choice.images is None else similarity(double, x[: choice.images], y[: choice.images])
        begun.append((choice, search_layers(S, names, map_, choice.optimiser, restarts, seed)))
    modules: list[pd.DataFrame] = []
    agreement: list[pd.DataFrame] = []
    for choice, found in begun:
        for rows, pairs in found:
            modules.append(rows.assign(choice=choice.name))
            for distinct in (False, True):
                used = pairs[pairs.measure_a != pairs.measure_b] if distinct else pairs
                means = used.groupby(["network", "layer", "family_pair"], sort=False)[["ecs", "ami"]].mean()
                agreement.append(means.reset_index().assign(choice=choice.name, distinct=distinct))
    tables = (("choices", modules), ("choices_agreement", agreement))
    by_choice, of_families = (pd.concat(t, ignore_index=True)[TABLES[name].names] for name, t in tables)
    return by_choice, of_families


def against_nulls(
    stack: MLPStack,
    x: Float[Tensor, "sample _in"],
    y: Int[Tensor, " sample"],
    names: Sequence[str],
    *,
    draws: int,
    restarts: int = 5,
    seed: int = 0,
    map_: Map = map,
) -> pd.DataFrame:
    """Compare Q of every network, layer and variant with the Q of each draw of all nulls: the table `nulls`.

    Q is optimised in each draw, and anew for the network itself, by as many Leiden runs (`restarts`). The
    statistics are those of `modlib.nulls.null_test`. Errors are those of `analyse`, and a ValueError if there
    are fewer than 2 draws.
    """
    _checked_number(stack, names)
    draws, seed = _checks.whole(draws, "draws", least=2), _checks.seed(seed)
    x = _checks.tensor(x, "x", like=stack.weights[0])
    S = similarity(stack.to(dtype=torch.float64), x, y)
    layers = range(stack.n_hidden)
    own = [map_(qualities, graphs(S, layer), repeat(restarts)) for layer in layers]
    found = {
        name: qualities_of_draws(islice(null.draws(stack, x, y, S, seed), draws), restarts, map_)
        for name, null in NULLS.items()
    }
    rows = []
    for layer in layers:
        for number, (name, q) in enumerate(zip(names, own[layer], strict=True)):
            for null in NULLS:
                rows += null_rows(name, layer + 1, VARIANTS, null, q, found[null][layer][number])
    return pd.DataFrame(rows, columns=TABLES["nulls"].names)


def _checked_number(stack: MLPStack, names: Sequence[str]) -> int:
    """Count the networks, or raise an error if there is not one name for each."""
    n = len(_checks.instance(stack, "stack", MLPStack))
    if len(_checks.listed(names, "names")) != n:
        raise ValueError(f"names must be one for each network ({n}), got {len(names)}")
    return n


def search_layers(
    S: dict[str, list[Tensor]], names: Sequence[str], map_: Map, optimiser: str, restarts: int, seed: int
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Give modules and agreement of every layer and network; where `map_` is parallel, all begin at once."""
    n_layers = len(next(iter(S.values())))
    same = repeat(optimiser), repeat(restarts), repeat(seed)
    begun = [map_(layer_tables, graphs(S, i), names, repeat(i + 1), *same) for i in range(n_layers)]
    return chain.from_iterable(begun)
