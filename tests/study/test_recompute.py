"""Computing a slice again and holding it against what is stored."""

import numpy as np
import pandas as pd
import pytest
import torch

import modlib
from modlib.measures import VARIANTS
from modlib.study import catalogue, recompute
from modlib.study.rows import analyse, describe
from modlib.study.store import Results

LEVELS = {"l2": 1e-5, "dropout": 0.5}


@pytest.fixture
def stored():
    """Results of two levels and three seeds: Q of seed s is 0.1·(s+1) in every graph, ×2 with dropout."""
    networks, modules = [], []
    for regularizer, strength in LEVELS.items():
        for seed in range(3):
            name = f"{regularizer},seed={seed}"
            factor = 2 if regularizer == "dropout" else 1
            networks.append((name, regularizer, strength, seed, 0.9 + 0.01 * factor * seed, 10 + seed))
            for layer in (1, 2):
                for measure, normalized in VARIANTS:
                    labels = np.array([0, 0, 1, 1, -1], dtype=np.int8)
                    modules.append((name, layer, measure, normalized, 0.1 * factor * (seed + 1), labels))
    return Results(
        networks=pd.DataFrame(
            networks, columns=["network", "regularizer", "strength", "seed", "test_accuracy", "epochs"]
        ),
        modules=pd.DataFrame(modules, columns=["network", "layer", "measure", "normalized", "q", "labels"]),
        agreement=pd.DataFrame(),
        manifest={},
        kept={},
    )


def rows_of(stored, name):
    return stored.modules[stored.modules.network == name].copy()


def test_partitions_are_those_of_the_tables():
    stack = modlib.MLPStack.initialise([9, 8, 7, 3], seeds=[0, 1])
    x = torch.rand(50, 9, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(50, dtype=torch.int64)
    names = ["a", "b"]
    expected, _ = analyse(stack, x, y, names, restarts=3)
    S = modlib.similarity(stack.to(dtype=torch.float64), x)
    found = recompute.partitions(S, names, restarts=3)
    keys = ["network", "layer", "measure", "normalized"]
    pd.testing.assert_frame_equal(found[[*keys, "q"]], expected[[*keys, "q"]])
    for a, b in zip(found.labels, expected.labels, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="one for each network"):
        recompute.partitions(S, ["a"])


def test_equal_numbers_are_called_equal(stored):
    table = recompute.compare(stored, rows_of(stored, "l2,seed=1"), ["q"])
    assert len(table) == 16
    assert set(table.verdict) == {"equal"}
    assert (table.gap == 0).all()
    summary = recompute.summary(table).iloc[0]
    assert summary.tolist() == [16, 16, 0, 0]


@pytest.mark.parametrize(("name", "sd"), [("l2,seed=1", 0.1), ("dropout,seed=1", 0.2)])
def test_gaps_count_in_the_spread_of_their_own_level(stored, name, sd):
    again = rows_of(stored, name)
    again["q"] += np.where((again.layer == 2) & (again.measure == "input_grad"), 0.05, 0.0)
    table = recompute.compare(stored, again, ["q"])
    moved = table[table.verdict == "differs"]
    assert len(moved) == 2
    assert set(zip(moved.layer, moved.measure, strict=True)) == {(2, "input_grad")}
    np.testing.assert_allclose(moved.gap, 0.05 / sd)
    np.testing.assert_allclose(table.seed_sd, sd)
    summary = recompute.summary(table).iloc[0]
    assert summary["equal"] == 14
    assert summary["median_gap"] == 0
    assert summary["largest_gap"] == pytest.approx(0.05 / sd)


def test_rounding_is_told_from_a_difference(stored):
    again = rows_of(stored, "l2,seed=0")
    again["q"] *= 1 + 1e-13
    assert set(recompute.compare(stored, again, ["q"]).verdict) == {"equal to rounding"}
    again["q"] *= 1 + 1e-6
    assert set(recompute.compare(stored, again, ["q"]).verdict) == {"differs"}


def test_networks_are_compared_quantity_by_quantity(stored):
    again = pd.DataFrame({"network": ["dropout,seed=2"], "test_accuracy": [0.92], "epochs": [12]})
    table = recompute.compare(stored, again, ["test_accuracy", "epochs"]).set_index("quantity")
    assert table.loc["epochs", "verdict"] == "equal"
    assert table.loc["test_accuracy", "gap"] == pytest.approx(-1.0)  # 0.92 against 0.94, sd 0.02


def test_what_is_not_stored_is_named(stored):
    again = rows_of(stored, "l2,seed=0").assign(network="l2,seed=7")
    for compare in (
        lambda: recompute.compare(stored, again, ["q"]),
        lambda: recompute.compare_labels(stored, again),
        lambda: recompute.seeds_beside(stored, again),
    ):
        with pytest.raises(ValueError, match="l2,seed=7"):
            compare()
    with pytest.raises(ValueError, match="'Q'"):
        recompute.compare(stored, rows_of(stored, "l2,seed=0"), ["Q"])


def test_labels_are_compared_unit_by_unit_and_by_agreement(stored):
    again = rows_of(stored, "l2,seed=0")
    assert recompute.compare_labels(stored, again).iloc[0].tolist() == [16, 16, 1.0, 1.0, 0.0]

    # Two modules swap their names: other labels, the same partition.
    renamed = again.assign(labels=[np.array([1, 1, 0, 0, -1])] * 16)
    found = recompute.compare_labels(stored, renamed).iloc[0]
    assert found[["identical", "same_label", "lowest_ecs"]].tolist() == pytest.approx([0, 0.2, 1.0])

    # One of the sixteen puts a unit elsewhere.
    again.iat[3, again.columns.get_loc("labels")] = np.array([0, 1, 1, 1, -1])
    found = recompute.compare_labels(stored, again).iloc[0]
    assert found["identical"] == 15
    assert found["same_label"] == pytest.approx(1 - 1 / 80)
    assert found["lowest_ecs"] == pytest.approx((1 / 2 + 1 / 3 + 2 * 2 / 3 + 1) / 5)

    # A unit that comes to life is a difference too.
    alive = rows_of(stored, "l2,seed=0").assign(labels=[np.array([0, 0, 1, 1, 1])] * 16)
    assert recompute.compare_labels(stored, alive).iloc[0]["lowest_ecs"] < 1


def test_weights_are_equal_bit_by_bit_or_not():
    stack = modlib.MLPStack.initialise([5, 4, 3], seeds=[0, 1])
    kept = {"a": stack[0], "b": stack[1]}
    table = recompute.compare_weights(kept, stack, ["a", "b"])
    assert table.equal.all()
    np.testing.assert_allclose(table.correlation, 1)

    nudged = modlib.MLPStack([w.clone() for w in stack.weights], [b.clone() for b in stack.biases])
    nudged.biases[1][1, 0] += 1e-6
    table = recompute.compare_weights(kept, nudged, ["a", "b"])
    assert table.equal.tolist() == [True, False]
    assert table.largest_gap.tolist() == pytest.approx([0, 1e-6], rel=0.1)
    swapped = recompute.compare_weights(kept, stack, ["b", "a"])
    assert not swapped.equal.any()
    assert (swapped.correlation.abs() < 0.9).all()
    with pytest.raises(ValueError, match="no weights of 'c'"):
        recompute.compare_weights(kept, stack, ["a", "c"])
    with pytest.raises(ValueError, match="one for each network"):
        recompute.compare_weights(kept, stack, ["a"])


def test_other_seeds_are_those_of_the_same_level(stored):
    table = recompute.seeds_beside(stored, rows_of(stored, "dropout,seed=1").assign(q=0.7))
    counts = table.kind.value_counts().to_dict()
    assert counts == {"live": 16, "stored": 16, "other seeds": 32}
    assert set(table.network) == {"dropout,seed=1"}
    found = {kind: sorted(set(group.q.round(6))) for kind, group in table.groupby("kind")}
    assert found == {"live": [0.7], "stored": [0.4], "other seeds": [0.2, 0.6]}


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_a_stored_network_trained_again_is_the_stored_one_up_to_rounding():
    """Another processor rounds differently, but initial weights, batches and steps of Adam are the same."""
    experiment = catalogue.get("base", "paper")
    results = modlib.run("base", profile="paper")
    setting, name = experiment.kept[0], experiment.kept[0].network_name(0)
    assert setting.dropout == setting.l1 == 0
    data = modlib.data.load("mnist")
    trained = modlib.train(
        modlib.MLPStack.initialise([784, *experiment.hidden, 10], seeds=[0]),
        data.x_train,
        data.y_train,
        seeds=[0],
        l2=[setting.l2],
        protocol=experiment.protocol,
    )
    assert recompute.compare_weights(results.kept, trained.stack, [name]).correlation[name] > 0.99
    again = describe(trained.stack, data.x_test, data.y_test, [name])
    again = again.assign(epochs=trained.epochs, val_loss=trained.val_loss)
    gaps = recompute.compare(results, again, ["test_accuracy", "val_loss", "epochs", "weight_l2"]).gap
    assert gaps.abs().max() < 1  # standard deviation over seeds
    S = modlib.similarity(trained.stack.to(dtype=torch.float64), data.x_test)
    modules = recompute.partitions(S, [name], restarts=experiment.restarts)
    found = recompute.summary(recompute.compare(results, modules, ["q"])).iloc[0]
    assert found.numbers == 16
    assert found.median_gap < 0.5
    assert found.largest_gap < 1
