"""Names of graphs."""

import pandas as pd

from modlib.paper import graph_names
from modlib.study.accuracy_filter import GRAPH


def test_names_of_graphs_stand_where_their_keys_were():
    table = pd.DataFrame(
        {"experiment": ["base"], "layer": [2], "measure": ["input_grad"], "normalized": [True], "q": [0.5]}
    )
    found = graph_names.with_graph_names(table)
    assert found.to_dict("list") == {
        "experiment": ["base"],
        "graph": ["input gradient, normalised, layer 2"],
        "q": [0.5],
    }
    assert list(table.columns) == ["experiment", *GRAPH, "q"]


def test_names_of_graphs():
    assert graph_names.variant_name("input_cov", False) == "input covariance, raw"
    assert graph_names.graph_name(2, "output_hess", True) == "output Hessian, normalised, layer 2"
    assert graph_names.graph_name(1, "input_grad", False) == "input gradient, raw, layer 1"
