"""What every stored table holds: its rows, and for each column the meaning, unit and range.

This is the one place that knows the tables. A new table is entered here and filled by whoever computes it;
results that were stored before it existed still load, and show it empty.
"""

from dataclasses import dataclass
from math import inf
from typing import Literal

import pandas as pd

from modlib._contingency import METRICS
from modlib.measures import MEASURES
from modlib.nulls import NULLS

Kind = Literal["str", "bool", "int64", "float64", "list[int16]", "list[int64]"]


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, the type of a cell, what a cell says, its unit and its range.

    The range is the words that may stand here, or the least and the greatest number, which may be infinite,
    and ``None`` for a truth value and for other words. A float may be nan where there is nothing to measure.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""  # of numbers; empty where they have none
    range: tuple[str, ...] | tuple[float, float] | None = None
    newer: bool = False  # whether tables were stored before it existed; read back, they have nan there


@dataclass(frozen=True)
class Table:
    """One table: its name, what a row of it is, and its columns in order."""

    name: str
    row_is: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]

    def empty(self) -> pd.DataFrame:
        """Return the table without rows."""
        return pd.DataFrame(columns=self.names)


_NETWORK = Column("network", "str", "name of the network, such as dropout=0.5,seed=3 or untrained,seed=0")
_LAYER = (_NETWORK, Column("layer", "int64", "hidden layer, counted from 1", range=(1.0, inf)))
_MEASURES = tuple(MEASURES)
_GRAPH = (
    Column("measure", "str", "measure of similarity that makes the graph", range=_MEASURES),
    Column("normalized", "bool", "whether the measure is normalised"),
)
_CHOICE = Column("choice", "str", "the other choice, such as images=100 or optimiser=spectral")
_FROM_0, _SHARE, _Q = (0.0, inf), (0.0, 1.0), (-0.5, 1.0)
_MODULES = (
    Column("n_modules", "int64", "modules of the partition", "modules", _FROM_0),
    Column("effective_modules", "float64", "equal modules with the same entropy", "modules", (1.0, inf)),
)
_PAIRS = ("upstream", "downstream", "across")
_FAMILIES = Column("family_pair", "str", "families of the two measures", range=_PAIRS)
_METRICS = {m.name: Column(m.name, "float64", m.meaning, m.unit, m.range) for m in METRICS.values()}

_TABLES = (
    Table(
        "networks",
        "a network",
        (
            _NETWORK,
            Column("experiment", "str", "name of the experiment"),
            Column("dataset", "str", "name of the data set"),
            Column("hidden", "str", "units of the hidden layers, such as 64-64"),
            Column("regularizer", "str", "what is varied", range=("l2", "l1", "dropout", "none")),
            Column("strength", "float64", "value of what is varied", range=_FROM_0),
            Column("l1", "float64", "L1 penalty in force", range=_FROM_0),
            Column("l2", "float64", "L2 penalty in force", range=_FROM_0),
            Column("dropout", "float64", "probability of dropout in force", range=_SHARE),
            Column("seed", "int64", "seed of initialisation, split, batches and dropout", range=_FROM_0),
            Column("trained", "bool", "whether the network was trained"),
            Column("epochs", "int64", "epochs of training", "epochs", _FROM_0),
            Column("val_loss", "float64", "held-out cross-entropy of the weights kept", "nats", _FROM_0),
            Column("test_loss", "float64", "cross-entropy on the test images", "nats", _FROM_0),
            Column("test_accuracy", "float64", "share of test images classified rightly", range=_SHARE),
            Column("weight_l1", "float64", "sum of the sizes of all weights", range=_FROM_0),
            Column("weight_l2", "float64", "sum of the squares of all weights", range=_FROM_0),
            Column("sparsity", "float64", "share of weights below 0.001 in size", range=_SHARE),
            Column(
                "active_units",
                "list[int64]",
                "for each hidden layer, the units that a test image or more activates",
                "units",
                _FROM_0,
            ),
            Column("train_accuracy", "float64", "accuracy on the first 10,000 training images", range=_SHARE),
        ),
    ),
    Table(
        "modules",
        "a network, layer and graph",
        (
            *_LAYER,
            *_GRAPH,
            Column("q", "float64", "modularity of the best partition found; nan without edges", range=_Q),
            *_MODULES,
            Column("stability", "float64", "how alike the near-best restarts are to the best", range=_SHARE),
            Column(
                "labels",
                "list[int16]",
                "for each unit its module: 0 is the largest, −1 marks a dead unit",
                range=(-1.0, inf),
            ),
            Column(
                "reliability",
                "float64",
                "adjusted mutual information of the partitions by two halves of the images",
                range=(-1.0, 1.0),
                newer=True,
            ),
        ),
    ),
    Table(
        "agreement",
        "a network, layer and pair of graphs",
        (
            *_LAYER,
            Column("measure_a", "str", "measure of the first graph", range=_MEASURES),
            Column("normalized_a", "bool", "whether the first measure is normalised"),
            Column("measure_b", "str", "measure of the second graph", range=_MEASURES),
            Column("normalized_b", "bool", "whether the second measure is normalised"),
            _FAMILIES,
            *_METRICS.values(),
            Column("transfer_ab", "float64", "Q of the first graph under the second partition", range=_Q),
            Column("transfer_ba", "float64", "Q of the second graph under the first partition", range=_Q),
            Column(
                "rank_correlation",
                "float64",
                "Spearman correlation of the two graphs' weights",
                range=(-1.0, 1.0),
            ),
        ),
    ),
    Table(
        "nulls",
        "a network, layer, graph and null",
        (
            *_LAYER,
            *_GRAPH,
            Column("null", "str", "the null that is drawn from", range=tuple(NULLS)),
            Column("draws", "int64", "draws of the null that had an edge", "draws", _FROM_0),
            Column("q", "float64", "the network's own Q, searched for as the draws' are", range=_Q),
            Column("mean", "float64", "mean of the draws' Q", range=_Q),
            Column("sd", "float64", "standard deviation of the draws' Q", range=_FROM_0),
            Column("z", "float64", "(q − mean) / sd", "standard deviations", (-inf, inf)),
            Column("p", "float64", "share of draws, and the network itself, that reach q", range=_SHARE),
        ),
    ),
    Table(
        "choices",
        "a network, layer, choice and graph",
        (
            *_LAYER,
            _CHOICE,
            *_GRAPH,
            Column("q", "float64", "modularity that the choice finds; nan without edges", range=_Q),
            *_MODULES,
        ),
    ),
    Table(
        "choices_agreement",
        "a network, layer, choice and pair of families",
        (
            *_LAYER,
            _CHOICE,
            _FAMILIES,
            Column("distinct", "bool", "whether a measure is never paired with its own normalised form"),
            _METRICS["ecs"],
            _METRICS["ami"],
        ),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
