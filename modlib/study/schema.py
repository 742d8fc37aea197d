"""What every stored table holds: its rows, and for each column the meaning, unit and range.

This is the one place that knows all tables; those that reports have too are described in
`modlib.analysis.schema`. A new table is entered here and filled by whoever computes it; results that were
stored before it existed still load, and show it empty.
"""

from modlib.analysis.schema import (
    AGREEMENT,
    AGREEMENT_METRICS,
    FAMILY_PAIR,
    FROM_0,
    GRAPH,
    LAYER,
    MODULES,
    NETWORK,
    NULL_TESTS,
    PARTITION,
    SHARE,
    Column,
    Q,
    Table,
)  # fmt: skip

_CHOICE = Column("choice", "str", "the other choice, such as images=100 or optimiser=spectral")
_TABLES = (
    Table(
        "networks",
        "a network",
        (
            NETWORK,
            Column("experiment", "str", "name of the experiment"),
            Column("dataset", "str", "name of the data set"),
            Column("hidden", "str", "units of the hidden layers, such as 64-64"),
            Column("regularizer", "str", "what is varied", range=("l2", "l1", "dropout", "none")),
            Column("strength", "float64", "value of what is varied", range=FROM_0),
            Column("l1", "float64", "L1 penalty in force", range=FROM_0),
            Column("l2", "float64", "L2 penalty in force", range=FROM_0),
            Column("dropout", "float64", "probability of dropout in force", range=SHARE),
            Column("seed", "int64", "seed of initialisation, split, batches and dropout", range=FROM_0),
            Column("trained", "bool", "whether the network was trained"),
            Column("epochs", "int64", "epochs of training", "epochs", FROM_0),
            Column("val_loss", "float64", "held-out cross-entropy of the weights kept", "nats", FROM_0),
            Column("test_loss", "float64", "cross-entropy on the test images", "nats", FROM_0),
            Column("test_accuracy", "float64", "share of test images classified rightly", range=SHARE),
            Column("weight_l1", "float64", "sum of the sizes of all weights", range=FROM_0),
            Column("weight_l2", "float64", "sum of the squares of all weights", range=FROM_0),
            Column("sparsity", "float64", "share of weights below 0.001 in size", range=SHARE),
            Column(
                "active_units",
                "list[int64]",
                "for each hidden layer, the units that a test image or more activates",
                "units",
                FROM_0,
            ),
            Column("train_accuracy", "float64", "accuracy on the first 10,000 training images", range=SHARE),
        ),
    ),
    MODULES,
    AGREEMENT,
    NULL_TESTS,
    Table(
        "choices",
        "a network, layer, choice and graph",
        (
            *LAYER,
            _CHOICE,
            *GRAPH,
            Column("q", "float64", "modularity that the choice finds; nan without edges", range=Q),
            *PARTITION,
        ),
    ),
    Table(
        "choices_agreement",
        "a network, layer, choice and pair of families",
        (
            *LAYER,
            _CHOICE,
            FAMILY_PAIR,
            Column("distinct", "bool", "whether a measure is never paired with its own normalised form"),
            AGREEMENT_METRICS["ecs"],
            AGREEMENT_METRICS["ami"],
        ),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
