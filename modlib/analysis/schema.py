"""What the tables of a layer hold: its modules, how they agree, and Q beside its nulls.

Experiments and reports have these tables in common. For each column the schema says what it means, its unit
and its range. The tables that experiments have besides are in `modlib.study.schema`.
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


#: Columns and ranges that several tables have.
NETWORK = Column("network", "str", "name of the network, such as dropout=0.5,seed=3 or untrained,seed=0")
LAYER = (NETWORK, Column("layer", "int64", "hidden layer, counted from 1", range=(1.0, inf)))
_MEASURES = tuple(MEASURES)
GRAPH = (
    Column("measure", "str", "measure of similarity that makes the graph", range=_MEASURES),
    Column("normalized", "bool", "whether the measure is normalised"),
)
FROM_0, SHARE, Q = (0.0, inf), (0.0, 1.0), (-0.5, 1.0)
PARTITION = (
    Column("n_modules", "int64", "modules of the partition", "modules", FROM_0),
    Column("effective_modules", "float64", "equal modules with the same entropy", "modules", (1.0, inf)),
)
_PAIRS = ("upstream", "downstream", "across")
FAMILY_PAIR = Column("family_pair", "str", "families of the two measures", range=_PAIRS)
AGREEMENT_METRICS = {m.name: Column(m.name, "float64", m.meaning, m.unit, m.range) for m in METRICS.values()}

MODULES = Table(
    "modules",
    "a network, layer and graph",
    (
        *LAYER,
        *GRAPH,
        Column("q", "float64", "modularity of the best partition found; nan without edges", range=Q),
        *PARTITION,
        Column("stability", "float64", "how alike the near-best restarts are to the best", range=SHARE),
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
)
AGREEMENT = Table(
    "agreement",
    "a network, layer and pair of graphs",
    (
        *LAYER,
        Column("measure_a", "str", "measure of the first graph", range=_MEASURES),
        Column("normalized_a", "bool", "whether the first measure is normalised"),
        Column("measure_b", "str", "measure of the second graph", range=_MEASURES),
        Column("normalized_b", "bool", "whether the second measure is normalised"),
        FAMILY_PAIR,
        *AGREEMENT_METRICS.values(),
        Column("transfer_ab", "float64", "Q of the first graph under the second partition", range=Q),
        Column("transfer_ba", "float64", "Q of the second graph under the first partition", range=Q),
        Column(
            "rank_correlation",
            "float64",
            "Spearman correlation of the two graphs' weights",
            range=(-1.0, 1.0),
        ),
    ),
)
NULL_TESTS = Table(
    "nulls",
    "a network, layer, graph and null",
    (
        *LAYER,
        *GRAPH,
        Column("null", "str", "the null that is drawn from", range=tuple(NULLS)),
        Column("draws", "int64", "draws of the null that had an edge", "draws", FROM_0),
        Column("q", "float64", "the network's own Q, searched for as the draws' are", range=Q),
        Column("mean", "float64", "mean of the draws' Q", range=Q),
        Column("sd", "float64", "standard deviation of the draws' Q", range=FROM_0),
        Column("z", "float64", "(q − mean) / sd", "standard deviations", (-inf, inf)),
        Column("p", "float64", "share of draws, and the network itself, that reach q", range=SHARE),
    ),
)
