"""What goes into the charts of the training."""

import numpy as np
import pandas as pd
import pytest
import vl_convert

from modlib.book.chapters.training import charts as training_charts
from modlib.book.chapters.training import tables as training_tables
from modlib.measures import VARIANTS


@pytest.fixture
def networks():
    """Three regularisers of two levels and three seeds; accuracy and epochs follow from level and seed."""
    rows = []
    for r, regularizer in enumerate(("dropout", "l1", "l2")):
        for level, strength in enumerate((0.1, 0.5) if regularizer == "dropout" else (1e-4, 1e-2)):
            for seed in range(3):
                rows.append(
                    {
                        "network": f"{regularizer}={strength},seed={seed}",
                        "regularizer": regularizer,
                        "strength": strength,
                        "seed": seed,
                        "trained": True,
                        "test_accuracy": 0.9 - 0.3 * level + 0.01 * seed,
                        "epochs": 10 * (r + 1) + level + seed,
                        "active_units": np.array([60 - level, 50 - seed], dtype=np.int16),
                    }
                )
    untrained = {"network": "untrained,seed=0", "regularizer": "none", "strength": 0.0, "seed": 0}
    rows.append(
        untrained | {"trained": False, "test_accuracy": 0.1, "epochs": 0, "active_units": np.array([64, 64])}
    )
    return pd.DataFrame(rows)


@pytest.fixture
def published():
    return pd.DataFrame(
        {
            "regularizer": ["dropout", "dropout", "l1", "l2", "l2"],
            "strength": [0.1, 0.5, 1e-4, 1e-4, 1e-2],
            "test_acc": [0.98, 0.97, 0.96, 0.95, np.nan],
        }
    )


def rows_drawn(chart):
    """All rows of all datasets of a chart."""
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_mean_and_range_over_seeds(networks):
    table = training_tables.by_strength(networks, "test_accuracy").set_index(["regularizer", "strength"])
    assert len(table) == 6  # untrained networks are none of them
    weak, strong = table.loc[("l1", 1e-4)], table.loc[("l1", 1e-2)]
    assert weak[["mean", "low", "high", "networks"]].tolist() == pytest.approx([0.91, 0.9, 0.92, 3])
    assert strong[["mean", "low", "high", "networks"]].tolist() == pytest.approx([0.61, 0.6, 0.62, 3])


def test_order_of_rows_does_not_count(networks):
    shuffled = networks.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        training_tables.by_strength(networks, "epochs"), training_tables.by_strength(shuffled, "epochs")
    )


def test_active_units_get_a_column_a_layer(networks):
    found = training_tables.active_units(networks)
    assert found.active_1.tolist() == [int(units[0]) for units in networks.active_units]
    assert found.active_2.tolist() == [int(units[1]) for units in networks.active_units]
    networks.at[0, "active_units"] = np.array([1, 2, 3])
    with pytest.raises(ValueError, match="same number of layers"):
        training_tables.active_units(networks)


def test_stacks_shrink_as_networks_finish():
    epochs = {0: [3, 1, 3, 2], 1: [2, 2, 2, 2]}
    networks = pd.DataFrame(
        [{"seed": s, "epochs": e, "trained": True} for s, values in epochs.items() for e in values]
        + [{"seed": 0, "epochs": 0, "trained": False}]
    )
    table = training_tables.still_training(networks)
    found = {seed: group.networks.tolist() for seed, group in table.groupby("seed")}
    assert found == {0: [4, 3, 2, 0], 1: [4, 4, 0]}
    assert table[table.seed == 0].epoch.tolist() == [1, 2, 3, 4]
    # The area under a line is the number of epochs that its networks trained, summed.
    assert table.groupby("seed").networks.sum().to_dict() == {s: sum(v) for s, v in epochs.items()}


def test_accuracy_chart_holds_ours_and_the_papers_points(networks, published):
    chart = training_charts.accuracy(networks, published, threshold=0.75, description="d")
    rows = rows_drawn(chart)
    theirs = [row for row in rows if row.get("series") == training_charts.THEIRS]
    ours = [row for row in rows if row.get("series") == training_charts.OURS]
    assert {(row["regularizer"], row["strength"], row["mean"]) for row in theirs} == {
        ("dropout", 0.1, 0.98), ("dropout", 0.5, 0.97), ("l1", 1e-4, 0.96), ("l2", 1e-4, 0.95)
    }  # fmt: skip
    assert len(ours) == 6
    for row in ours:
        assert row["error"] == pytest.approx(1 - row["mean"], abs=1e-5)
        assert row["least"] == pytest.approx(1 - row["high"], abs=1e-5)
        assert row["least"] < row["error"] < row["most"]
    assert {"error": 0.25} in rows


def test_the_legend_shows_that_the_papers_points_are_open(networks, published):
    spec = training_charts.accuracy(networks, published, description="d").to_dict()
    vega = vl_convert.vegalite_to_vega(spec)
    (legend,) = vega["legends"]
    shown = [scale for scale in vega["scales"] if scale["name"] in ("fill", "stroke")]
    scales = {scale["name"]: dict(zip(scale["domain"], scale["range"], strict=True)) for scale in shown}
    assert (legend["fill"], legend["stroke"]) == ("fill", "stroke")
    ours, theirs = training_charts.OURS, training_charts.THEIRS
    assert scales["fill"] == {ours: training_charts.OUR_COLOUR, theirs: "transparent"}
    assert scales["stroke"] == {ours: training_charts.OUR_COLOUR, theirs: training_charts.THEIR_COLOUR}


def test_every_point_lies_within_its_axis(networks, published):
    networks.loc[3, "test_accuracy"] = 0.02  # worse than guessing
    spec = training_charts.accuracy(networks, published, description="d").to_dict()
    low, high = spec["hconcat"][0]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    errors = [
        row[key]
        for rows in spec["datasets"].values()
        for row in rows
        for key in ("error", "least", "most")
        if row.get(key) is not None
    ]
    assert low <= min(errors)
    assert max(errors) <= high


def test_a_row_a_quantity_and_a_column_a_regulariser(networks):
    chart = training_charts.against_strength(
        networks, {"epochs": "epochs trained", "test_accuracy": "accuracy"}, description="d"
    )
    spec = chart.to_dict()
    assert (len(spec["concat"]), spec["columns"]) == (6, 3)
    values = [
        sorted(row["mean"] for row in spec["datasets"][panel["layer"][0]["data"]["name"]])
        if "data" in panel["layer"][0]
        else sorted(row["mean"] for row in spec["datasets"][panel["data"]["name"]])
        for panel in spec["concat"]
    ]
    assert values[:3] == [[11, 12], [21, 22], [31, 32]]
    np.testing.assert_allclose(values[3:], [[0.61, 0.91]] * 3)


@pytest.mark.parametrize("network", ["a", "b"])
def test_there_is_something_to_choose_only_among_several_networks(network):
    row = {"layer": 1, "measure": "input_cov", "normalized": False, "kind": "live", "q": 0.2}
    table = pd.DataFrame([row | {"network": "a"}, row | {"network": network}])
    (shown,) = training_charts.live_against_stored(table, description="d").to_dict()["params"]
    assert shown["value"] == network
    assert shown.get("bind", {}).get("options") == (["a", "b"] if network == "b" else None)


def test_live_values_and_seeds_reach_the_chart():
    rows = [
        {"network": "a", "layer": layer, "measure": m, "normalized": n, "kind": kind, "q": q}
        for layer in (1, 2)
        for m, n in VARIANTS
        for kind, q in (("live", 0.1 * layer), ("stored", 0.25), ("other seeds", 0.3))
    ]
    spec = training_charts.live_against_stored(pd.DataFrame(rows), description="d").to_dict()
    found = [row for rows in spec["datasets"].values() for row in rows]
    assert len(found) == len(rows)
    assert len({row["graph"] for row in found}) == 8
    assert {(row["kind"], row["q"]) for row in found} == {
        ("live", 0.1),
        ("live", 0.2),
        ("stored", 0.25),
        ("other seeds", 0.3),
    }


def test_what_cannot_be_drawn_is_named(networks, published):
    with pytest.raises(ValueError, match="'accuracy'"):
        training_tables.by_strength(networks, "accuracy")
    with pytest.raises(ValueError, match="'accuracy'"):
        training_charts.against_strength(networks, {"accuracy": "accuracy"}, description="d")
    with pytest.raises(ValueError, match="a column or more"):
        training_charts.against_strength(networks, {}, description="d")
    with pytest.raises(ValueError, match="description"):
        training_charts.accuracy(networks, published, description="")
