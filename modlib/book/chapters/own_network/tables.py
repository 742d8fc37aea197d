"""What becomes of answers when modules are silenced, and which kinds of model can be measured."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modlib.lesions import silenced
from modlib.models import first_tensor
from modlib.study import project

#: Written by the tests of any model: what becomes of each kind that they try.
KINDS = project.ROOT / "results" / "kinds.csv"


@torch.no_grad()
def lesions(
    model: nn.Module,
    layer: str,
    labels: Int[np.ndarray, " unit"],
    x: Tensor,
    y: Float[Tensor, "sample question"],
) -> pd.DataFrame:
    """Share of right answers to each question with one module after the other held at its mean activity.

    A row is a module, by its number and that of its units; the first row has none silenced.
    """
    means = _mean_activity(model, layer, x)
    rows = {"none": _right(model, x, y)}
    for module in range(int(labels.max()) + 1):
        units = np.flatnonzero(labels == module)
        with silenced(model, layer, units, value=means[units]):
            rows[f"{module} ({len(units)} units)"] = _right(model, x, y)
    questions = [f"question {number + 1}" for number in range(y.shape[1])]
    return pd.DataFrame(rows, index=questions).T.rename_axis("module silenced")


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


def kinds(outcome: str) -> pd.DataFrame:
    """List kinds of model that were tried, ``"measured"`` or ``"refused"``, as the tests put them on record.

    Those of which the same is said share a row.
    """
    table = pd.read_csv(project.of_checkout(KINDS), keep_default_na=False)
    said = {"measured": "what is measured", "refused": "the error says"}[outcome]
    rows = table[table.outcome == outcome].groupby("said", sort=False).kind.agg("; ".join)
    return rows.rename("kinds of model").rename_axis(said).reset_index()
