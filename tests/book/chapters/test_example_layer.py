"""The pair of sorted matrices: what travels to the browser, and what the browser makes of it."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import vl_convert

import modlib
from modlib.analysis.chance import crossing
from modlib.book.chapters.example_layer import tables as example_layer
from modlib.book.chapters.example_layer.charts import sorted_matrices
from modlib.book.chapters.example_layer.payload import ALPHABET, VARIANT_NAMES, encode, order_of, payload
from modlib.book.chapters.example_layer.tables import OPENING, Layer, collect, crossings
from modlib.measures import VARIANTS
from modlib.study import recompute
from modlib.study.accuracy_filter import PAIR

UP = VARIANTS.index(OPENING["upstream"])
DOWN = VARIANTS.index(OPENING["downstream"])


def random_graph(n_units, seed, scale=1.0):
    A = scale * np.random.default_rng(seed).random((n_units, n_units)) ** 3
    A = (A + A.T) / 2
    np.fill_diagonal(A, 0)
    return A


def random_layer(n_units=7, seed=0):
    """Make a layer whose eight graphs and partitions all differ; a unit is dead in the opening one."""
    generator = np.random.default_rng(seed)
    graphs = np.stack([random_graph(n_units, 10 * seed + i, scale=10.0 ** (i - 4)) for i in range(8)])
    labels = generator.integers(0, 3, size=(8, n_units))
    labels[:, :3] = generator.permuted(np.tile(np.arange(3), (8, 1)), axis=1)  # every module has a member
    labels[UP, -1] = -1
    return Layer(graphs, labels)


def decode(text, top, n_units):
    """Read a graph back from its text, as the browser does."""
    A = np.zeros((n_units, n_units))
    A[np.triu_indices(n_units, k=1)] = [top * (ALPHABET.index(character) / 63) ** 2 for character in text]
    return A + A.T


# --- text


@pytest.mark.parametrize("n_units", [2, 3, 17, 64])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_a_graph_comes_back_from_its_text(n_units, scale):
    A = random_graph(n_units, seed=n_units, scale=scale)
    text, top = encode(A)
    back = decode(text, top, n_units)
    assert len(text) == n_units * (n_units - 1) / 2
    assert set(text) <= set(ALPHABET)
    # Half a level of the square root, which is at most sqrt(top)/126 away, spreads to sqrt(A top)/63.
    allowed = np.sqrt(A * top) / 63 + top / 126**2
    assert (np.abs(back - A) <= allowed * (1 + 1e-9)).all()
    assert top == A.max()
    assert back.max() == top


def test_small_weights_keep_levels_of_their_own():
    A = np.zeros((4, 4))
    A[0, 1], A[0, 2], A[0, 3] = 1.0, 0.001, 0.002
    A += A.T
    text, top = encode(A)
    back = decode(text, top, 4)
    assert back[0, 1] == 1
    assert 0 < back[0, 2] < back[0, 3] < 0.01
    assert back[1, 2] == 0


def test_renumbered_units_give_another_text_of_the_same_graph():
    A = random_graph(9, seed=1)
    order = np.random.default_rng(0).permutation(9)
    text, top = encode(A)
    other, _ = encode(A[np.ix_(order, order)])
    assert text != other
    np.testing.assert_array_equal(decode(text, top, 9)[np.ix_(order, order)], decode(other, top, 9))


def test_a_graph_without_edges_is_all_zeros():
    text, top = encode(np.zeros((5, 5)))
    assert top == 0
    assert set(text) == {"A"}
    assert not decode(text, top, 5).any()


# --- chance


def test_crossing_of_equal_independent_and_crossed_partitions():
    a = np.repeat([0, 1, 2, 3], 16)
    same = crossing(a, 3 - a)
    assert same["ecs"].found == same["ami"].found == 1
    assert same["ecs"].high < 0.5
    assert same["ami"].high < 0.2

    crossed = crossing(a, np.tile([0, 1, 2, 3], 16))
    assert crossed["ecs"].found == pytest.approx(0.25)
    assert crossed["ami"].found < 0
    assert crossed["ecs"].low >= 0.25  # even counts are the least that any table with these sums can have
    assert crossed["ecs"].low < crossed["ecs"].mean < crossed["ecs"].high
    assert abs(crossed["ami"].mean) < 0.01

    half = np.where(np.arange(64) % 4 < 2, a, np.random.default_rng(0).permutation(a))
    assert crossing(a, half)["ecs"].found > crossed["ecs"].high


def test_chance_is_fixed_by_its_seed_and_keeps_dead_units_out():
    generator = np.random.default_rng(1)
    a, b = generator.integers(0, 4, (2, 40))
    found = crossing(a, b, shuffles=50, seed=3)
    assert found == crossing(a, b, shuffles=50, seed=3)
    assert found != crossing(a, b, shuffles=50, seed=4)
    # Units that are dead on one side, wherever they stand, change nothing.
    longer_a = np.concatenate([[-1, -1], a, [2]])
    longer_b = np.concatenate([[0, 1], b, [-1]])
    assert found == crossing(longer_a, longer_b, shuffles=50, seed=3)


# --- what travels


def test_units_stand_module_by_module_and_the_dead_last():
    labels = np.array([1, -1, 0, 2, 0, -1, 1, 0])
    assert order_of(labels).tolist() == [2, 4, 7, 0, 6, 3, 1, 5]
    graphs = np.stack([random_graph(8, i) for i in range(8)])
    entry = payload({("net", 1): Layer(graphs, np.tile(labels, (8, 1)))}, shuffles=5)
    found = entry["net, layer 1"]
    key = VARIANT_NAMES[0]
    assert found["cuts"][key] == [3, 5, 6]
    assert found["middles"][key] == [1.5, 4, 5.5, 7]
    assert found["names"][key] == ["1", "2", "3", "dead"]


def test_payload_says_q_of_every_graph_under_every_partition():
    layer = random_layer()
    entry = payload({("net", 2): layer}, shuffles=5)["net, layer 2"]
    for i, graph in enumerate(VARIANT_NAMES):
        for j, partition in enumerate(VARIANT_NAMES):
            expected = modlib.modularity(layer.graphs[i], layer.labels[j])
            assert entry["q"][f"{graph} under {partition}"] == pytest.approx(expected, abs=5e-4)
    compared = entry["crossing"][f"{VARIANT_NAMES[UP]} x {VARIANT_NAMES[DOWN]}"]
    expected = modlib.agreement(layer.labels[UP], layer.labels[DOWN])
    assert [compared[0][0], compared[1][0]] == pytest.approx([expected["ecs"], expected["ami"]], abs=5e-4)
    assert len(entry["crossing"]) == 16


def test_layers_that_do_not_fit_are_named(as_a_user):
    layer = random_layer()
    with pytest.raises(ValueError, match="same number of units"):
        payload({("a", 1): layer, ("b", 1): random_layer(9)})
    with pytest.raises(ValueError, match="one or more"):
        payload({})
    with pytest.raises(ValueError, match="description"):
        sorted_matrices({("a", 1): layer}, description=" ", shuffles=2)


def test_graphs_and_partitions_are_put_together_by_network_and_layer():
    stack = modlib.MLPStack.initialise([6, 5, 4, 3], seeds=[0, 1])
    equal = modlib.MLPStack.initialise([6, 5, 5, 3], seeds=[0, 1])
    x = torch.rand(30, 6, generator=torch.Generator().manual_seed(0))
    for networks in (stack, equal):
        S = modlib.similarity(networks, x)
        partitions = recompute.partitions(S, ["one", "two"], restarts=2)
        layers = collect(S, partitions.sample(frac=1, random_state=0).sort_values("network"))
        assert set(layers) == {("one", 1), ("one", 2), ("two", 1), ("two", 2)}
        for (name, number), layer in layers.items():
            for v, (measure, normalized) in enumerate(VARIANTS):
                A = modlib.adjacency(S[measure][number - 1][int(name == "two")], normalized=normalized)
                np.testing.assert_allclose(layer.graphs[v], A.numpy(), rtol=1e-12)
                part = modlib.find_modules(A, restarts=2)
                np.testing.assert_array_equal(layer.labels[v], part.labels)
    with pytest.raises(KeyError, match="one"):
        collect(S, partitions.iloc[1:])
    with pytest.raises(ValueError, match="longer"):
        collect(S, partitions[partitions.network == "one"])


def test_table_of_crossings_compares_the_opening_partitions():
    layers = {("a", 1): random_layer(12, 0), ("a", 2): random_layer(12, 1)}
    table = crossings(layers, shuffles=20)
    for key, layer in layers.items():
        expected = modlib.agreement(layer.labels[UP], layer.labels[DOWN])
        assert table.loc[key, ("ECS", "found")] == pytest.approx(expected["ecs"], abs=5e-4)
        assert table.loc[key, ("AMI", "found")] == pytest.approx(expected["ami"], abs=5e-4)
        assert table.loc[key, ("ECS", "by chance")] == round(
            crossing(layer.labels[UP], layer.labels[DOWN], shuffles=20)["ecs"].mean, 3
        )


def test_agreement_in_the_tables_is_that_of_the_opening_partitions_of_kept_networks(monkeypatch):
    layer = random_layer(12, 0)
    a, b, other = (layer.labels[i] for i in (UP, DOWN, 0))
    right, wrong = modlib.agreement(a, b), modlib.agreement(other, b)
    assert right["ami"] != wrong["ami"]
    pairs = [
        ("one", 2, "input_grad", True, "output_grad", True, right["ecs"], right["ami"]),
        ("one", 2, "input_cov", False, "output_grad", True, wrong["ecs"], wrong["ami"]),
        ("one", 2, "input_grad", False, "output_grad", True, wrong["ecs"], wrong["ami"]),
        ("not kept", 2, "input_grad", True, "output_grad", True, wrong["ecs"], wrong["ami"]),
    ]
    results = SimpleNamespace(
        networks=pd.DataFrame({"network": ["one", "not kept"], "regularizer": ["l2", "l1"]}),
        agreement=pd.DataFrame(pairs, columns=["network", "layer", *PAIR, "ecs", "ami"]),
        kept={"one": None},
    )
    monkeypatch.setattr(example_layer, "run", lambda name, *, profile: results)
    table = example_layer.in_tables("paper")
    assert table[["network", "regularizer", "layer"]].to_numpy().tolist() == [["one", "l2", 2]]
    assert (table.ecs[0], table.ami[0]) == (right["ecs"], right["ami"])


# --- what the browser makes of it: drawn by Vega, read back from the drawing


def drawn(chart, **choices):
    """Rows of the drawing's cells as tooltips name them, panel by panel, after setting the controls."""
    spec = chart.to_dict()
    for param in spec["params"]:
        if param["name"] in choices:
            param["value"] = choices[param["name"]]
    svg = vl_convert.vegalite_to_svg(spec)
    fields = re.findall(r'aria-label="([^"]*similarity \(one of 64 levels\)[^"]*)"', svg)
    return svg, [dict(part.split(": ") for part in label.split("; ")) for label in fields]


@pytest.mark.parametrize("graph", [VARIANTS[UP], VARIANTS[0], VARIANTS[-1]])
@pytest.mark.parametrize("network", ["one", "two"])
def test_every_cell_is_drawn_in_its_place_with_its_value(graph, network):
    n = 7
    layers = {("one", 1): random_layer(n, 0), ("two", 1): random_layer(n, 1)}
    chart = sorted_matrices(layers, description="d", shuffles=2)
    _, cells = drawn(chart, network=network, shown=VARIANT_NAMES[VARIANTS.index(graph)])
    layer, v = layers[network, 1], VARIANTS.index(graph)
    assert len(cells) == 2 * n * (n - 1)
    text, top = encode(layer.graphs[v])
    shown = decode(text, top, n)
    for panel, partition in zip((cells[: n * (n - 1)], cells[n * (n - 1) :]), (UP, DOWN), strict=True):
        labels = layer.labels[partition]
        order = order_of(labels)
        for cell in panel:
            row, column = int(cell["row"]), int(cell["column"])
            i, j = order[row], order[column]
            assert (int(cell["unit"]), int(cell["other unit"])) == (i + 1, j + 1)
            value = float(cell["similarity (one of 64 levels)"].replace("−", "-"))
            assert value == pytest.approx(shown[i, j], rel=6e-3, abs=1e-12)  # three digits
            assert cell["its module"] == ("dead" if labels[i] < 0 else str(labels[i] + 1))


def test_controls_choose_the_partitions_that_sort():
    layer = random_layer(6, 3)
    chart = sorted_matrices({("one", 1): layer}, description="d", shuffles=2)
    other = VARIANTS.index(("input_cov", False))
    assert not np.array_equal(order_of(layer.labels[other]), order_of(layer.labels[UP]))
    svg, cells = drawn(chart, upstream=VARIANT_NAMES[other])
    order = order_of(layer.labels[other])
    for cell in cells[:30]:
        assert int(cell["unit"]) == order[int(cell["row"])] + 1
    q = modlib.modularity(layer.graphs[UP], layer.labels[other])
    assert f"Q under them: {q:.2f}".replace("-", "−") in svg


def test_table_of_shared_units_counts_them():
    layer = random_layer(30, 5)
    svg, _ = drawn(sorted_matrices({("one", 1): layer}, description="d", shuffles=2))
    labels = re.findall(r'aria-label="([^"]*units in both[^"]*)"', svg)
    found = {}
    for label in labels:
        cell = dict(part.split(": ") for part in label.split("; "))
        found[int(cell["upstream module"]), int(cell["downstream module"])] = int(cell["units in both"])
    up, down = layer.labels[UP], layer.labels[DOWN]
    alive = (up >= 0) & (down >= 0)
    pairs, counts = np.unique(np.stack([up[alive], down[alive]], axis=1) + 1, axis=0, return_counts=True)
    assert found == {tuple(map(int, pair)): int(count) for pair, count in zip(pairs, counts, strict=True)}


def test_a_paper_sized_figure_stays_light():
    layers = {(f"network {i}", layer): random_layer(64, 2 * i + layer) for i in range(4) for layer in (1, 2)}
    chart = sorted_matrices(layers, description="d", caption="c", name="fig-c", shuffles=2)
    spec = chart.to_dict()
    assert len(json.dumps(spec, separators=(",", ":"))) < 300_000
    assert spec["usermeta"] == {
        "caption": "c", "name": "fig-c", "embedOptions": {"renderer": "canvas"},
        "script": "modlib.book.chapters.example_layer.charts.sorted_matrices",
    }  # fmt: skip


def test_partitions_may_be_a_table_of_another_order():
    S = modlib.similarity(modlib.MLPStack.initialise([6, 5, 3], seeds=[0]), torch.rand(20, 6))
    partitions = recompute.partitions(S, ["one"], restarts=2)
    again = collect(S, partitions.iloc[::-1])
    assert isinstance(partitions, pd.DataFrame)
    np.testing.assert_array_equal(again["one", 1].labels, collect(S, partitions)["one", 1].labels)
