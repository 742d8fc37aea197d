"""What makes a group of hidden units a module? Measures, clustering and experiments.

The names below are the public face: data in, networks, similarity of their units, modules, agreement.

>>> import modlib
>>> data = modlib.data.load("mnist")  # doctest: +SKIP
>>> stack = modlib.MLPStack.initialise([784, 64, 64, 10], seeds=[0])
>>> S = modlib.similarity(stack, data.x_test, data.y_test)  # doctest: +SKIP
>>> A = modlib.adjacency(S["input_grad"][0][0], normalized=True)  # doctest: +SKIP
>>> modlib.find_modules(A).q  # doctest: +SKIP
"""

# Functions named like the file they stand in (similarity, modularity, agreement) hide that file as an
# attribute of the package; `from modlib.similarity import ...` reaches into it all the same.
from modlib import data, experiments
from modlib.agreement import agreement, agreement_pairs
from modlib.bounds import modularity_bound
from modlib.modularity import Partition, find_modules, modularity
from modlib.networks import MLPStack
from modlib.similarity import MEASURES, adjacency, similarity, similarity_of
from modlib.store import Results
from modlib.sweep import run
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
