"""How far two sets of similarity matrices lie apart."""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor


def relative_differences(
    found: Mapping[str, Sequence[Tensor]], expected: Mapping[str, Sequence[Tensor]]
) -> pd.DataFrame:
    """Largest ``|found - expected|`` of a layer's matrices as a share of its largest ``|expected|``.

    Examples
    --------
    >>> import torch
    >>> S = {"input_cov": [torch.tensor([[[2.0, 1.0], [1.0, 4.0]]])]}
    >>> T = {"input_cov": [torch.tensor([[[2.0, 1.0], [1.0, 5.0]]])]}
    >>> relative_differences(T, S).loc["input_cov", "layer 1"].item()
    0.25
    """
    rows = {}
    for measure, layers in expected.items():
        pairs = zip(found[measure], layers, strict=True)
        doubles = [(a.detach().double(), b.detach().double()) for a, b in pairs]
        rows[measure] = [float((a - b).abs().max() / b.abs().max()) for a, b in doubles]
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename(columns=lambda layer: f"layer {layer + 1}")
