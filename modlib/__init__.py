"""What makes a group of hidden units a module? The method: measures, clustering, nulls and agreement.

The names below are the public face: data in, networks, similarity of their units, modules, agreement. Those
that are more than the method needs (`data`, `exercises`, `train`, `run`, `Results`, `report`, `Report`) are
imported when first used; `run`, `Results`, `report` and `Report` need an extra, such as ``modlib[report]``.
Every function raises a ValueError or TypeError that names the argument which is not as its description says.

>>> import modlib
>>> data = modlib.data.load("mnist")  # doctest: +SKIP
>>> stack = modlib.MLPStack.initialise([784, 64, 64, 10], seeds=[0])
>>> S = modlib.similarity(stack, data.x_test, data.y_test)  # doctest: +SKIP
>>> A = modlib.adjacency(S["input_grad"][0][0], normalized=True)  # doctest: +SKIP
>>> modlib.find_modules(A).q  # doctest: +SKIP
"""

from pkgutil import resolve_name as _resolve_name
from typing import TYPE_CHECKING
from typing import Any as _Any

from modlib import extras as _extras
from modlib.any_model import similarities
from modlib.bounds import modularity_bound
from modlib.clustering import Partition, find_modules, modularity
from modlib.comparison import agreement, agreement_pairs
from modlib.layer_similarity import LayerSimilarity
from modlib.measures import MEASURES, adjacency, similarity
from modlib.networks import MLPStack
from modlib.optimum import Optimum, modularity_optimum
from modlib.two_parts import similarity_of

if TYPE_CHECKING:
    from modlib import data, exercises
    from modlib.reporting.of_model import report
    from modlib.reporting.report import Report
    from modlib.study import catalogue as experiments
    from modlib.study.runner import run
    from modlib.study.store import Results
    from modlib.training import train

__all__ = [
    "MEASURES",
    "LayerSimilarity",
    "MLPStack",
    "Optimum",
    "Partition",
    "Report",
    "Results",
    "adjacency",
    "agreement",
    "agreement_pairs",
    "data",
    "exercises",
    "experiments",
    "find_modules",
    "modularity",
    "modularity_bound",
    "modularity_optimum",
    "report",
    "run",
    "similarities",
    "similarity",
    "similarity_of",
    "train",
]

#: Where each name is found that is loaded when first used, and the extra that brings what it needs, if any.
_LOADED_WHEN_USED = {
    "data": ("modlib.data:", None),
    "exercises": ("modlib.exercises:", None),
    "experiments": ("modlib.study.catalogue:", None),
    "report": ("modlib.reporting.of_model:report", "report"),
    "run": ("modlib.study.runner:run", "study"),
    "Report": ("modlib.reporting.report:Report", "report"),
    "Results": ("modlib.study.store:Results", "study"),
    "train": ("modlib.training:train", None),
}


def __getattr__(name: str) -> _Any:
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place, extra = _LOADED_WHEN_USED[name]
    if extra is not None:
        _extras.require(f"modlib.{name}", extra)
    value = globals()[name] = _resolve_name(place)  # so that this function is asked once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
