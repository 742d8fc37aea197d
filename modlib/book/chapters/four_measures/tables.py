"""How far two sets of similarity matrices lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor


def relative_differences(
    found: Mapping[str, Sequence[Tensor]], expected: Mapping[str, Sequence[Tensor]]
) -> pd.DataFrame:
    """Compare similarity matrices measure by measure and layer by layer.

    The largest ``|found - expected|`` of a layer's matrices, divided by its largest ``|expected|``.

    Parameters
    ----------
    found, expected
        For each measure one tensor a layer, as `modlib.similarity` returns them; measures and shapes agree.

    Returns
    -------
    DataFrame
        One row a measure, one column a layer; 0 where both are the same, nan where ``expected`` is zero
        throughout and ``found`` is too.

    Raises
    ------
    ValueError
        If measures, layers or shapes differ.

    Examples
    --------
    >>> import torch
    >>> S = {"input_cov": [torch.tensor([[[2.0, 1.0], [1.0, 4.0]]])]}
    >>> T = {"input_cov": [torch.tensor([[[2.0, 1.0], [1.0, 5.0]]])]}
    >>> relative_differences(T, S).loc["input_cov", "layer 1"].item()
    0.25
    """
    if set(found) != set(expected):
        raise ValueError(f"measures differ: {sorted(found)} and {sorted(expected)}")
    table: dict[str, dict[str, float]] = {}
    for measure, layers in expected.items():
        row = table[measure] = {}
        if len(layers) != len(found[measure]):
            raise ValueError(f"{measure}: {len(found[measure])} layers found, {len(layers)} expected")
        for layer, (a, b) in enumerate(zip(found[measure], layers, strict=True), start=1):
            if a.shape != b.shape:
                raise ValueError(f"{measure}, layer {layer}: shapes {tuple(a.shape)} and {tuple(b.shape)}")
            a, b = a.detach().double(), b.detach().double()
            gap, scale = (a - b).abs().max(), b.abs().max()
            row[f"layer {layer}"] = float(gap / scale)
    return pd.DataFrame(table).T
