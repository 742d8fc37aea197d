"""Specifications find planted modules beside their own nulls, and what is written can be taken up again."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from modlib.clustering import find_modules
from modlib.comparison import agreement
from modlib.measures import MEASURES, VARIANTS, adjacency, normalise, similarity
from modlib.networks import MLPStack
from modlib.paper.simulations import specifications
from modlib.paper.simulations.specifications import (
    DEFAULT,
    EXPERIMENTS,
    LEVELS,
    SPECIFICATION,
    SPECIFICATIONS,
    Specification,
    agreement_of,
    modules_of,
    rotated_graphs,
    signed_graph,
)
from modlib.planted import crossed_network
from modlib.study import catalogue
from modlib.study.files import StoreError
from modlib.study.shard import Trained

SOME = (
    DEFAULT,
    Specification("modularity", "signed", 1.0),
    Specification("constant Potts", "absolute", 1.0),
    Specification("average linkage", "absolute", 4.0),
    Specification("block model", "absolute", 4.0),
)


@pytest.fixture(scope="module")
def planted():
    """Make a network with four upstream and four downstream modules that cross each other."""
    net = crossed_network(read_groups=4, drive_groups=4, copies=3, noise=0.05, samples=400)
    stack = MLPStack.from_arrays(net.weights, net.biases)
    return net, stack, torch.from_numpy(net.x)


@pytest.fixture(scope="module")
def table(planted):
    return modules_of(*planted[1:], "planted", draws=2, specifications=SOME)


def layer_of(rng, n_unit=12, dead=()):
    vectors = 0.2 + rng.standard_normal((n_unit, 5))
    vectors[list(dead)] = 0
    return torch.from_numpy(vectors @ vectors.T)


# ---------------------------------------------------------------- what is compared


def test_there_are_all_signs_and_resolutions_and_the_other_algorithms():
    assert len(set(SPECIFICATIONS)) == len(SPECIFICATIONS) == 18 + 3 + 1 + 1
    assert DEFAULT in SPECIFICATIONS
    kinds = pd.Series([s.algorithm for s in SPECIFICATIONS]).value_counts()
    assert kinds.to_dict() == {
        "modularity": 18, "constant Potts": 3, "average linkage": 1, "block model": 1,
    }  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_experiments_have_the_levels(experiment):
    assert set(LEVELS) <= set(catalogue.get(experiment, "paper").settings)
    assert len(catalogue.get(experiment, "paper").seeds) == 9


# ---------------------------------------------------------------- graphs


@pytest.mark.parametrize("normalized", [False, True])
def test_a_signed_graph_is_the_usual_one_with_signs(normalized):
    S = layer_of(np.random.default_rng(0), dead=[3])
    found = signed_graph(S, normalized)
    np.testing.assert_array_equal(np.abs(found), adjacency(S, normalized=normalized).numpy())
    off_diagonal = ~np.eye(12, dtype=bool)
    np.testing.assert_array_equal(np.sign(found)[off_diagonal], np.sign(S.numpy())[off_diagonal])
    assert (found < 0).any()
    assert not found[3].any()
    np.testing.assert_array_equal(found, found.T)


def test_rotations_are_of_units_alive_and_the_raw_one_has_their_sizes():
    S = layer_of(np.random.default_rng(1), dead=[0, 7])
    raw, normalised = rotated_graphs(S, np.random.default_rng(0))
    assert raw.shape == normalised.shape == (10, 10)
    size = np.sqrt(np.delete(np.diagonal(S.numpy()), [0, 7]))
    np.testing.assert_allclose(raw, normalised * np.outer(size, size))
    assert not np.diagonal(normalised).any()
    assert (normalised < 0).any()
    R = np.delete(np.delete(normalise(S).numpy(), [0, 7], 0), [0, 7], 1)
    assert (normalised + np.eye(10)).mean() == pytest.approx(R.mean(), abs=0.05)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(normalised + np.eye(10))[:5], 0, atol=1e-10
    )  # there are five dimensions


def test_too_few_units_give_rotations_without_edges():
    S = layer_of(np.random.default_rng(1), 4, dead=[0, 1])
    for graph in rotated_graphs(S, np.random.default_rng(0)):
        assert not graph.any()
    (found,) = {
        float(q)
        for q in specifications._modules_of_matrix(S, (0,), 2, (DEFAULT,)).null_q.fillna(-9)  # noqa: SLF001
    }
    assert found == -9


# ---------------------------------------------------------------- one network


def test_every_graph_has_a_row_a_specification(table):
    keys = ["layer", "measure", "normalized", *SPECIFICATION]
    assert len(table) == len(VARIANTS) * len(SOME)
    assert not table.duplicated(keys).any()
    assert set(zip(table.measure, table.normalized, strict=True)) == set(VARIANTS)
    assert (table.n_modules == table.labels.map(max) + 1).all()
    assert (table.units == 48).all()


def test_planted_modules_are_found_by_every_specification_and_are_above_its_null(planted, table):
    net = planted[0]
    normalised = table[table.normalized]
    for row in normalised.itertuples():
        truth = net.upstream if row.measure in ("input_cov", "input_grad") else net.downstream
        assert agreement(np.array(row.labels), truth)["ami"] > 0.6, (row.measure, row.algorithm)
        assert row.q > row.null_q + 0.05, (row.measure, row.algorithm)


def test_the_default_is_what_the_main_search_finds(planted, table):
    S = similarity(planted[1], planted[2])
    rows = table[(table[SPECIFICATION] == ["modularity", "absolute", 1.0]).all(axis=1)]
    for row in rows.itertuples():
        A = adjacency(S[row.measure][0][0], normalized=row.normalized).numpy()
        assert row.q == pytest.approx(find_modules(A).q, abs=1e-4)


def test_a_table_is_the_same_again_and_another_network_has_other_rotations(planted, table):
    again = modules_of(*planted[1:], "planted", draws=2, specifications=SOME[:1])
    same = table[(table[SPECIFICATION] == ["modularity", "absolute", 1.0]).all(axis=1)]
    assert again.q.tolist() == same.q.tolist()
    assert again.null_q.tolist() == same.null_q.tolist()
    other = modules_of(*planted[1:], "another", draws=2, specifications=SOME[:1])
    assert other.q.tolist() == again.q.tolist()
    assert (other.null_q != again.null_q).all()


def test_more_than_one_network_is_refused():
    stack = MLPStack.initialise([4, 5, 3], seeds=[0, 1])
    with pytest.raises(ValueError, match="stack must hold one network, got 2"):
        modules_of(stack, torch.zeros(3, 4), "two")


# ---------------------------------------------------------------- agreement


def rows_of(labels, name="a"):
    """Rows of one layer by the default, from labels by measure and whether normalised."""
    head = {"network": name, "layer": 1, "algorithm": "modularity", "sign": "absolute", "setting": 1.0}
    return pd.DataFrame(
        [head | {"measure": m, "normalized": n, "labels": np.array(labels(m, n))} for m, n in VARIANTS]
    )


def by_pair(table):
    return agreement_of(table).set_index("family_pair")


def test_agreement_is_averaged_over_pairs_of_different_measures():
    rng = np.random.default_rng(0)
    labels = {graph: rng.integers(3, size=30) for graph in VARIANTS}
    found = by_pair(rows_of(lambda *graph: labels[graph]))
    assert found.pairs.to_dict() == found.compared.to_dict() == {"upstream": 4, "downstream": 4, "across": 16}

    def mean(first, second):
        return np.mean(
            [agreement(labels[a, n], labels[b, m])["ami"]
             for a in first for b in second for n in (False, True) for m in (False, True)]
        )  # fmt: skip

    cov, grad, out, hess = MEASURES
    assert found.ami["upstream"] == pytest.approx(mean([cov], [grad]))
    assert found.ami["downstream"] == pytest.approx(mean([out], [hess]))
    assert found.ami["across"] == pytest.approx(mean([cov, grad], [out, hess]))


def test_a_measure_is_never_compared_with_its_own_normalised_form():
    rng = np.random.default_rng(0)
    labels = {measure: rng.integers(3, size=60) for measure in MEASURES}
    found = by_pair(rows_of(lambda measure, _: labels[measure]))
    assert (found.ami < 0.2).all()


@pytest.mark.parametrize("trivial", [np.zeros(30, dtype=int), np.arange(30)], ids=["one module", "singles"])
def test_partitions_that_say_nothing_are_left_out_and_agree_with_none(trivial):
    modules = np.arange(30) % 3
    found = by_pair(rows_of(lambda m, n: trivial if m == "input_cov" and not n else modules))
    assert found.compared.to_dict() == {"upstream": 2, "downstream": 4, "across": 12}
    assert (found.ami == 1).all()
    found = by_pair(rows_of(lambda m, n: trivial if m.startswith("input") else modules))
    assert found.compared.to_dict() == {"upstream": 0, "downstream": 4, "across": 0}
    assert np.isnan(found.ami["upstream"])
    assert np.isnan(found.ami["across"])
    found = by_pair(rows_of(lambda m, n: trivial))
    assert found.ami.isna().all()


def test_units_dead_on_one_side_do_not_make_a_partition_say_something():
    """Two modules, of which one is dead in all downstream graphs."""
    halves = np.repeat([0, 1], 10)
    dead = np.where(halves, -1, np.arange(20) % 2)
    found = by_pair(rows_of(lambda m, n: halves if m.startswith("input") else dead))
    assert found.compared.to_dict() == {"upstream": 4, "downstream": 4, "across": 0}


def test_the_order_of_rows_does_not_matter(table):
    shuffled = table.iloc[np.random.default_rng(0).permutation(len(table))]
    key = ["algorithm", "sign", "family_pair"]
    expected = agreement_of(table).set_index(key).ami
    pd.testing.assert_series_equal(agreement_of(shuffled).set_index(key).ami.loc[expected.index], expected)


def test_planted_families_agree_within_and_not_across(table):
    found = agreement_of(table).pivot_table(index="algorithm", columns="family_pair", values="ami")
    assert (found.upstream > found.across + 0.3).all()
    assert (found.downstream > found.across + 0.3).all()


# ---------------------------------------------------------------- on disk


@pytest.fixture
def small(monkeypatch):
    """Two tiny networks, few specifications, and images for them."""
    few = SOME[:2]
    monkeypatch.setattr(specifications, "SPECIFICATIONS", few)
    monkeypatch.setattr(specifications, "modules_of", partial(modules_of, draws=1, specifications=few))
    x = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))

    class Images:
        x_test = x

    monkeypatch.setattr(specifications.data, "load", lambda name: Images if name == "fashion_mnist" else None)
    stack = MLPStack.initialise([6, 8, 8, 3], seeds=[0, 1])
    return {"l2=1e-05,seed=0": stack[0], "dropout=0.5,seed=0": stack[1]}, x


class Breaking(dict):
    """Networks of which some cannot be had."""

    def __getitem__(self, name):
        if super().__getitem__(name) is None:
            raise RuntimeError("stopped")
        return super().__getitem__(name)


@pytest.mark.usefixtures("as_a_user")  # the checks of annotations look into the networks themselves
def test_interrupted_work_is_taken_up_where_it_stopped(small, tmp_path):
    networks, x = small
    first, second = networks
    with pytest.raises(RuntimeError, match="stopped"):
        specifications.analyse(tmp_path, "fashion", Breaking(networks | {second: None}))
    names = [path.stem for path in (tmp_path / "specifications" / "fashion").iterdir()]
    assert names == [first]
    specifications.analyse(tmp_path, "fashion", Breaking(networks | {first: None}))  # it is not asked for
    specifications.write(tmp_path)
    modules = specifications.read("modules", tmp_path)
    expected = pd.concat([specifications.modules_of(stack, x, name) for name, stack in networks.items()])
    key = ["network", "layer", "measure", "normalized", *SPECIFICATION]
    pd.testing.assert_frame_equal(
        modules.drop(columns="experiment").sort_values(key, ignore_index=True),
        expected.drop(columns="labels").sort_values(key, ignore_index=True),
    )
    assert set(modules.experiment) == {"fashion"}
    pairs = specifications.read("agreement", tmp_path)
    assert len(pairs) == 2 * 2 * 2 * 3  # networks, layers, specifications, pairs of families
    assert set(pairs.experiment) == {"fashion"}


def test_files_of_other_specifications_and_no_files_are_refused(small, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no files of networks in"):
        specifications.write(tmp_path)
    specifications.analyse(tmp_path, "fashion", small[0])
    monkeypatch.setattr(specifications, "SPECIFICATIONS", SOME)
    with pytest.raises(StoreError, match=r"seed=0.parquet is of other specifications; delete it"):
        specifications.write(tmp_path)


def test_networks_are_those_kept_or_else_trained_with_their_seed(monkeypatch):
    trained = []

    stack = MLPStack.initialise([3, 4, 2], seeds=range(6))

    class Stored:
        kept = {level.network_name(3): stack[i] for i, level in enumerate(LEVELS)}  # noqa: RUF012

    def train(experiment, shard, device):
        trained.append((experiment.dataset, experiment.protocol, shard.networks, device))
        names = tuple(setting.network_name(seed) for seed, setting in shard.networks)
        return Trained(names, stack, [1] * 6, [0.1] * 6, 1.0)

    monkeypatch.setattr(specifications, "train_shard", train)
    monkeypatch.setattr(specifications.store, "read_if_stored", lambda _: Stored)
    assert specifications.networks_of("fashion", 3) == Stored.kept
    assert not trained
    found = specifications.networks_of("fashion", 4)
    assert list(found) == [level.network_name(4) for level in LEVELS]
    assert torch.equal(found["dropout=0.5,seed=4"].weights[0], stack[4].weights[0])
    fashion = catalogue.get("fashion", "paper")
    assert trained == [("fashion_mnist", fashion.protocol, [(4, level) for level in LEVELS], "cpu")]
