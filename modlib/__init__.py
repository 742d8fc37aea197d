"""What makes a group of hidden units a module? The method: measures, clustering, nulls and agreement.

The names below are the public face: data in, networks, similarity of their units, modules, agreement. Those
that load more than the method needs (`data`, `train`, `run`, `Results`) are imported when first used.

>>> import modlib
>>> data = modlib.data.load("mnist")  # doctest: +SKIP
>>> stack = modlib.MLPStack.initialise([784, 64, 64, 10], seeds=[0])
>>> S = modlib.similarity(stack, data.x_test, data.y_test)  # doctest: +SKIP
>>> A = modlib.adjacency(S["input_grad"][0][0], normalized=True)  # doctest: +SKIP
>>> modlib.find_modules(A).q  # doctest: +SKIP
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

from modlib.bounds import modularity_bound
from modlib.clustering import Partition, find_modules, modularity
from modlib.comparison import agreement, agreement_pairs
from modlib.measures import MEASURES, adjacency, similarity, similarity_of
from modlib.networks import MLPStack

if TYPE_CHECKING:
    from modlib import data
    from modlib.study import catalogue as experiments
    from modlib.study.runner import run
    from modlib.study.store import Results
    from modlib.training import train

__all__ = [
    "MEASURES",
    "MLPStack",
    "Partition",
    "Results",
    "adjacency",
    "agreement",
    "agreement_pairs",
    "data",
    "experiments",
    "find_modules",
    "modularity",
    "modularity_bound",
    "run",
    "similarity",
    "similarity_of",
    "train",
]

#: Module and attribute (None: the module itself) of each name that is loaded when first used.
_LOADED_WHEN_USED = {
    "data": ("modlib.data", None),
    "experiments": ("modlib.study.catalogue", None),
    "run": ("modlib.study.runner", "run"),
    "Results": ("modlib.study.store", "Results"),
    "train": ("modlib.training", "train"),
}


def __getattr__(name: str) -> _Any:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LOADED_WHEN_USED[name]
    loaded = _import_module(module)
    value = loaded if attribute is None else getattr(loaded, attribute)
    globals()[name] = value  # so that this function is asked once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
