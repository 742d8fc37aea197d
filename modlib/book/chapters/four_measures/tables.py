"""How far two sets of similarity matrices lie apart."""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor


def relative_differences(
    found: Mapping[str, Sequence[Tensor]], expected: Mapping[str, Sequence[Tensor]]
) -> pd.DataFrame:
    """Compare similarity matrices measure by measure and layer by layer.

    Each difference is the largest ``|found - expected|`` of a layer's matrices, divided by its largest
    ``|expected|``: 0 where both are the same, nan where both are zero throughout.

    Examples
    --------
    >>> import torch
    >>> S = {"input_cov": [torch.tensor([[[2.0, 1.0], [1.0, 4.0]]])]}
    >>> T = {"input_cov": [torch.tensor([[[2.0, 1.0], [1.0, 5.0]]])]}
    >>> relative_differences(T, S).loc["input_cov", "layer 1"].item()
    0.25
    """
    table = {
        measure: {
            f"layer {layer}": _relative_difference(a.detach().double(), b.detach().double())
            for layer, (a, b) in enumerate(zip(found[measure], layers, strict=True), start=1)
        }
        for measure, layers in expected.items()
    }
    return pd.DataFrame(table).T


def _relative_difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())
