"""What the parameters of the notebooks may be: checked before anything is computed, not an hour into it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from modlib import _checks
from modlib.study.catalogue import PROFILES

#: What each may be, whatever the notebook.
PARAMETERS: dict[str, Callable[[Any, str], object]] = {
    "profile": partial(_checks.one_of, allowed=PROFILES),
    "again": partial(_checks.one_of, allowed=("dropout", "l1", "l2", "all")),
    "seed": _checks.seed,
    "epochs": partial(_checks.whole, least=1),
    "dropout": partial(_checks.real, least=0.0, below=1.0),
    "samples": partial(_checks.whole, least=1, most=10_000),
    "shuffles": partial(_checks.whole, least=2),
    "restarts": partial(_checks.whole, least=1),
    "largest": partial(_checks.whole, least=32),
    "repeats": partial(_checks.whole, least=1),
    "draws": partial(_checks.whole, least=2),
}


def check(**parameters: Any) -> None:
    """Check parameters of a notebook, given by their names: a ValueError or TypeError says what is wrong."""
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise TypeError(f"there is no parameter {name}; there are {', '.join(PARAMETERS)}")
        PARAMETERS[name](value, name)
