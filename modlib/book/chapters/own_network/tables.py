"""What becomes of answers when modules are silenced, and which kinds of model can be measured."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modlib.lesions import silenced
from modlib.models import first_tensor
from modlib.study import project

#: How often units are drawn at random, to be silenced in place of the modules.
DRAWS = 10
#: Written by the tests of any model: what becomes of each kind that they try.
KINDS = project.ROOT / "results" / "kinds.csv"


@torch.no_grad()
def lesions(
    model: nn.Module,
    layer: str,
    labels: Int[np.ndarray, " unit"],
    x: Tensor,
    y: Float[Tensor, "sample question"],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of right answers to each question with one module after the other held at its mean activity.

    A row is a module, by its number and that of its units; the first row has none silenced. Two rows follow
    to compare with: the share for units drawn at random, in groups of the sizes of the modules (the mean over
    `DRAWS` draws of all groups), and the share of samples whose answer is no.
    """
    means = _mean_activity(model, layer, x)

    def without(units: Int[np.ndarray, " _"]) -> list[float]:
        with silenced(model, layer, units, value=means[units]):
            return _right(model, x, y)

    modules = [np.flatnonzero(labels == module) for module in range(int(labels.max()) + 1)]
    rows = {"none": _right(model, x, y)}
    rows |= {f"{module} ({len(units)} units)": without(units) for module, units in enumerate(modules)}
    drawn = [without(units) for units in _drawn(modules, seed=seed)]
    rows["as many units at random"] = list(np.mean(drawn, axis=0))
    rows["always no"] = list((y == 0).double().mean(dim=0).tolist())
    questions = [f"question {number + 1}" for number in range(y.shape[1])]
    return pd.DataFrame(rows, index=questions).T.rename_axis("module silenced")


def _drawn(modules: list[Int[np.ndarray, " _"]], *, seed: int) -> Iterator[Int[np.ndarray, " _"]]:
    """Share the units of all modules out at random, `DRAWS` times, among groups of the same sizes."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum([len(units) for units in modules])[:-1]
    for _ in range(DRAWS):
        yield from np.split(rng.permutation(np.concatenate(modules)), ends)


def _right(model: nn.Module, x: Tensor, y: Tensor) -> list[float]:
    return list(((model(x) > 0) == (y > 0)).double().mean(dim=0).tolist())


def _mean_activity(model: nn.Module, layer: str, x: Tensor) -> Float[Tensor, " unit"]:
    """Return the mean of each unit over samples and positions; units are along the last axis."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: object) -> None:
        if (a := first_tensor(output)) is not None:
            kept.append(a.flatten(end_dim=-2).mean(dim=0))

    hook = model.get_submodule(layer).register_forward_hook(keep)
    try:
        model(x)
    finally:
        hook.remove()
    (means,) = kept
    return means


def kinds(outcome: str) -> dict[str, list[str]]:
    """List kinds of model that were tried, ``"measured"`` or ``"refused"``, by what is said of them.

    They are as the tests put them on record, in their order.
    """
    table = pd.read_csv(project.of_checkout(KINDS), keep_default_na=False)
    groups = table[table.outcome == outcome].groupby("said", sort=False)
    return {str(said): group.kind.tolist() for said, group in groups}


def refusals() -> pd.DataFrame:
    """Set the words with which models are refused beside the kinds of model that they are said of."""
    said = {words: "; ".join(kinds) for words, kinds in kinds("refused").items()}
    return pd.DataFrame({"the error says": list(said), "kinds of model": list(said.values())})
