"""Q against closed forms and other libraries; the search against exact optima and the reference Q."""

import doctest
import itertools
import random

import authors
import igraph
import leidenalg
import networkx as nx
import numpy as np
import pytest
import torch

from benchmarks import best_known
from modlib import clustering
from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement


def separate_cliques(sizes, weights=None):
    """Cliques with no edge between them, their labels, and their Q = 1 − Σ (share of the weight)²."""
    weights = np.ones(len(sizes)) if weights is None else np.asarray(weights, dtype=float)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    A = (labels[:, None] == labels) * weights[labels]
    np.fill_diagonal(A, 0)
    clique = weights * np.asarray(sizes) * (np.asarray(sizes) - 1)
    return A, labels, 1 - np.sum((clique / clique.sum()) ** 2)


def ring_of_cliques(count, size):
    """Cliques joined to a ring by single edges, with the closed form of their Q."""
    A, labels, _ = separate_cliques([size] * count)
    for c in range(count):
        i, j = c * size, ((c + 1) % count) * size + 1
        A[i, j] = A[j, i] = 1
    return A, labels, 1 - 1 / (size * (size - 1) / 2 + 1) - 1 / count


def planted(generator, n_unit, n_module, contrast):
    """Dense random weights, larger by `contrast` within modules: like a similarity matrix."""
    labels = np.sort(generator.integers(0, n_module, n_unit))
    A = generator.random((n_unit, n_unit)) + contrast * (labels[:, None] == labels)
    A = np.triu(A, 1)
    return A + A.T, labels


def sparse(generator, n_unit, density):
    A = np.triu(generator.random((n_unit, n_unit)) * (generator.random((n_unit, n_unit)) < density), 1)
    return A + A.T


def as_igraph(A):
    return igraph.Graph.Weighted_Adjacency(A, mode="undirected", loops=False)


def modules_of(labels):
    return [set(np.flatnonzero(labels == c).tolist()) for c in np.unique(labels[labels >= 0])]


# ---------------------------------------------------------------- Q


@pytest.mark.parametrize(
    ("A", "labels", "expected"),
    [
        separate_cliques([4, 4]),
        separate_cliques([3, 5, 8, 2]),
        separate_cliques([3, 5, 4], weights=[0.1, 7.0, 1.0]),
        ring_of_cliques(5, 4),
        ring_of_cliques(9, 3),
    ],
)
def test_q_equals_closed_form(A, labels, expected):
    assert modularity(A, labels) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("resolution", [1.0, 0.4, 2.5])
def test_q_agrees_with_networkx_and_leidenalg(resolution):
    generator = np.random.default_rng(0)
    for n_unit, density in itertools.product([5, 17, 40], [0.3, 1.0]):
        A = sparse(generator, n_unit, density)
        labels = generator.integers(0, 4, n_unit)
        q = modularity(A, labels, resolution=resolution)
        graph = nx.from_numpy_array(A)
        assert q == pytest.approx(
            nx.community.modularity(graph, modules_of(labels), resolution=resolution), abs=1e-12
        )
        partition = leidenalg.RBConfigurationVertexPartition(
            as_igraph(A), np.unique(labels, return_inverse=True)[1].tolist(), "weight",
            resolution_parameter=resolution,
        )  # fmt: skip
        assert q == pytest.approx(partition.quality() / A.sum(), abs=1e-12)


def test_q_ignores_names_order_and_scale_but_not_who_is_where():
    generator = np.random.default_rng(1)
    A, labels = planted(generator, 30, 3, 1.0)
    q = modularity(A, labels)
    order = generator.permutation(30)
    assert modularity(A, np.array([7, 0, 4])[labels]) == pytest.approx(q, abs=1e-14)
    assert modularity(A[np.ix_(order, order)], labels[order]) == pytest.approx(q, abs=1e-14)
    assert modularity(A * 1e-50, labels) == pytest.approx(q, abs=1e-13)
    assert modularity(A * 3e8, labels) == pytest.approx(q, abs=1e-13)
    assert modularity(A, labels[order]) < q - 0.1
    assert modularity(A[np.ix_(order, order)], labels) < q - 0.1
    assert abs(modularity(A + (1 - np.eye(30)), labels) - q) > 0.02  # a shift is no change of scale


def test_units_labelled_dead_are_removed_with_their_edges():
    generator = np.random.default_rng(2)
    A, labels = planted(generator, 24, 3, 1.0)
    removed = generator.random(24) < 0.3
    kept = np.flatnonzero(~removed)
    assert modularity(A, np.where(removed, -1, labels)) == modularity(A[np.ix_(kept, kept)], labels[kept])
    assert modularity(A, np.where(removed, -1, labels)) != pytest.approx(modularity(A, labels), abs=1e-3)


def test_units_without_edges_weigh_nothing_wherever_they_are_put():
    A, labels = planted(np.random.default_rng(3), 20, 3, 1.0)
    padded = np.zeros((23, 23))
    padded[:20, :20] = A
    for dead in ([-1, -1, -1], [0, 0, 1], [5, 6, 7]):
        assert modularity(padded, np.append(labels, dead)) == pytest.approx(modularity(A, labels), abs=1e-14)


@pytest.mark.parametrize("labels", [[-1, -1, -1], [0, -1, -1], [0, 1, -1]])
def test_no_edge_left_is_nan(labels):
    A = np.zeros((3, 3))
    A[0, 2] = A[2, 0] = 1
    assert np.isnan(modularity(A, labels))


def test_torch_lists_and_small_integers_are_welcome():
    A, labels, expected = separate_cliques([3, 4])
    assert modularity(torch.tensor(A, dtype=torch.float32, requires_grad=True), labels.astype(np.int8)) == (
        pytest.approx(expected, abs=1e-14)
    )
    assert modularity(A.astype(int).tolist(), torch.tensor(labels)) == pytest.approx(expected, abs=1e-14)
    assert find_modules(torch.tensor(A)).labels.tolist() == [1, 1, 1, 0, 0, 0, 0]


def broken(change):
    A, labels, _ = separate_cliques([3, 3])
    return change(A, labels)


def put(A, where, value):
    A[where] = value
    return A


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda A, c: (put(A, (0, 1), 1.001), c), ValueError, "symmetric"),
        (lambda A, c: (put(put(A, (0, 1), -1), (1, 0), -1), c), ValueError, "negative"),
        (lambda A, c: (put(A, (0, 1), np.nan), c), ValueError, "finite"),
        (lambda A, c: (put(A, (0, 1), np.inf), c), ValueError, "finite"),
        (lambda A, c: (put(A, (2, 2), 0.5), c), ValueError, "diagonal"),
        (lambda A, c: (A[:4], c), ValueError, r"square.*\(4, 6\)"),
        (lambda A, c: (A[None], c), ValueError, "square"),
        (lambda A, c: (A, c[:5]), ValueError, r"\(6,\), got \(5,\)"),
        (lambda A, c: (A, c[None]), ValueError, "labels"),
        (lambda A, c: (A, c - 2), ValueError, "at least −1 .*-2"),
        (lambda A, c: (A, c * 1.0), TypeError, "integers, got float64"),
    ],
)
def test_wrong_input_is_refused_by_name(arguments, error, message):
    A, labels = broken(arguments)
    with pytest.raises(error, match=message):
        modularity(A, labels)
    if labels.shape == (6,) and labels.min() == 0 and labels.dtype.kind == "i":
        with pytest.raises(error, match=message):
            find_modules(A)


@pytest.mark.parametrize("resolution", [0.0, -1.0, np.nan, np.inf])
def test_wrong_resolution_is_refused(resolution):
    A, labels, _ = separate_cliques([3, 3])
    with pytest.raises(ValueError, match="resolution"):
        modularity(A, labels, resolution=resolution)
    with pytest.raises(ValueError, match="resolution"):
        find_modules(A, resolution=resolution)


def test_no_restart_is_refused():
    with pytest.raises(ValueError, match="restarts must be at least 1, got 0"):
        find_modules(separate_cliques([3, 3])[0], restarts=0)


def test_rounding_sized_asymmetry_is_averaged_out():
    A, labels = planted(np.random.default_rng(4), 20, 2, 1.0)
    lopsided = A * (1 + 2e-7 * np.random.default_rng(5).standard_normal(A.shape))
    assert (lopsided != lopsided.T).any()
    symmetric = (lopsided + lopsided.T) / 2
    assert modularity(lopsided, labels) == modularity(symmetric, labels)
    assert find_modules(lopsided).q == find_modules(symmetric).q


# ---------------------------------------------------------------- the search


@pytest.mark.parametrize(
    ("A", "labels", "q"),
    [separate_cliques([6, 4, 2]), separate_cliques([5, 5, 5, 5]), ring_of_cliques(6, 5)],
)
def test_known_modules_are_found(A, labels, q):
    shuffle = np.random.default_rng(6).permutation(len(A))
    part = find_modules(A[np.ix_(shuffle, shuffle)])
    assert part.q == pytest.approx(q, abs=1e-12)
    assert agreement(part.labels, labels[shuffle])["ecs"] == 1
    assert part.n_modules == labels.max() + 1
    assert part.stability == 1
    assert part.labels.dtype == np.int64


def test_labels_go_by_size_then_by_first_member():
    A, _, _ = separate_cliques([2, 3, 4, 3])
    labels = find_modules(A).labels
    assert labels.tolist() == [3] * 2 + [1] * 3 + [0] * 4 + [2] * 3
    assert find_modules(A[::-1, ::-1].copy()).labels.tolist() == [1] * 3 + [0] * 4 + [2] * 3 + [3] * 2


def test_optimum_is_reached_on_small_graphs():
    generator = np.random.default_rng(7)
    graphs = [sparse(generator, n, density) for n in (6, 9, 12) for density in (0.4, 1.0)]
    graphs += [planted(generator, 12, 3, contrast)[0] for contrast in (0.2, 1.0)]
    for A in graphs:
        graph = as_igraph(A)
        optimum = graph.modularity(graph.community_optimal_modularity(weights="weight"), weights="weight")
        assert find_modules(A).q == pytest.approx(optimum, abs=1e-9)


def test_karate_club_reaches_its_published_optimum():
    graph = igraph.Graph.Famous("Zachary")
    A = np.array(graph.get_adjacency().data, dtype=float)
    part = find_modules(A)
    assert part.q == pytest.approx(0.4198, abs=5e-5)  # Brandes et al. 2008, table 1: .4198, 4 modules
    assert part.n_modules == 4


def test_never_below_leidenalg_and_louvain():
    generator = np.random.default_rng(8)
    for A in [sparse(generator, 50, 0.15), sparse(generator, 40, 1.0), planted(generator, 64, 4, 0.2)[0]]:
        q = find_modules(A).q
        graph, network = as_igraph(A), nx.from_numpy_array(A)
        for seed in range(5):
            other = leidenalg.find_partition(
                graph, leidenalg.ModularityVertexPartition, weights="weight", n_iterations=-1, seed=seed
            )
            assert q >= other.modularity - 1e-9
            louvain = nx.community.louvain_communities(network, seed=seed)
            assert q >= nx.community.modularity(network, louvain) - 1e-9


def test_never_below_the_authors_monte_carlo():
    """On every one of the 48 graphs: three networks, two layers, eight graphs a layer."""
    values = authors.partitions()
    assert len(values["names"]) == 48
    for name, labels, mc_q in zip(values["names"], values["labels"], values["mc_q"], strict=True):
        A = authors.graph(name)
        part = find_modules(A, restarts=5)
        assert modularity(A, labels) == pytest.approx(mc_q, abs=5e-7), name  # theirs is in float32
        assert part.q >= modularity(A, labels), name
        assert ((part.labels < 0) == (labels < 0)).all(), name


def test_q_is_the_modularity_of_the_labels():
    A = sparse(np.random.default_rng(9), 40, 0.5)
    for resolution in (0.5, 1.0, 2.0):
        part = find_modules(A, resolution=resolution)
        assert part.q == modularity(A, part.labels, resolution=resolution)
        assert part.q >= part.restarts_q.max()
        assert part.restarts_q.shape == (20,)


def test_one_restart_is_plain_leiden_and_more_do_better():
    generator = np.random.default_rng(10)
    gains = []
    for _ in range(4):
        A = sparse(generator, 64, 1.0)
        one, many = find_modules(A, restarts=1, seed=3), find_modules(A, restarts=10, seed=3)
        assert one.q == one.restarts_q[0] == many.restarts_q[0]
        gains.append(many.q - one.q)
    assert min(gains) >= 0
    assert max(gains) > 1e-4


def test_higher_resolution_gives_more_modules():
    A, labels, _ = ring_of_cliques(30, 3)
    coarse, fine = find_modules(A), find_modules(A, resolution=4.0)
    # Fortunato & Barthélemy 2007: at γ = 1 cliques merge once there are more than about √(2 m) of them.
    assert coarse.n_modules < 30
    assert agreement(fine.labels, labels)["ecs"] == 1


@pytest.mark.parametrize("sizes", [[4, 4, 4], [9, 3], [8, 4, 2, 2]])
def test_effective_modules_is_exp_entropy(sizes):
    p = np.array(sizes) / sum(sizes)
    part = find_modules(separate_cliques(sizes)[0])
    assert part.effective_modules == pytest.approx(np.prod(p**-p), abs=1e-12)


def test_stability_tells_clear_modules_from_noise():
    generator = np.random.default_rng(11)
    assert find_modules(planted(generator, 64, 4, 2.0)[0]).stability == 1
    noise = [find_modules(sparse(generator, 64, 1.0)).stability for _ in range(5)]
    assert max(noise) < 0.8
    assert min(noise) > 1 / 64


def test_stability_is_the_mean_similarity_of_near_best_restarts(monkeypatch):
    A, labels, q = separate_cliques([4] * 20)
    near, far = labels.copy(), labels.copy()
    near[0], far[:8] = 1, 0
    # One unit in the wrong clique costs more than two cliques taken for one.
    assert q * 0.97 < modularity(A, near) < q * 0.98 < modularity(A, far) < q * 0.998

    def stability(runs, share):
        qs = np.array([modularity(A, run) for run in runs])
        monkeypatch.setattr(clustering, "leiden_runs", lambda *_: (np.stack(runs), qs))
        monkeypatch.setattr(clustering, "NEAR_BEST", share)
        return find_modules(A, restarts=len(runs)).stability

    alike = agreement(labels, near)["ecs"]
    unlike = agreement(labels, far)["ecs"]
    good = [labels] * 5
    assert stability([*good, near, near], 0.03) == pytest.approx((5 + 2 * alike) / 7, abs=1e-12)
    assert stability([*good, near, near], 0.02) == 1
    # A best restart that stands alone is compared with the next four.
    alone = stability([near, far, labels, near, far, far, near], 1e-6)
    assert alone == pytest.approx((1 + 3 * unlike + alike) / 5, abs=1e-12)


def test_twenty_restarts_with_seed_0_unless_told_otherwise():
    A = sparse(np.random.default_rng(21), 48, 1.0)
    plain, told = find_modules(A), find_modules(A, restarts=20, seed=0, resolution=1.0)
    assert plain.restarts_q.tolist() == told.restarts_q.tolist()
    assert plain.restarts_q.tolist() != find_modules(A, seed=1).restarts_q.tolist()


def test_every_run_goes_on_until_an_iteration_raises_nothing(monkeypatch):
    """After twenty restarts, eight annealed and nineteen kicked runs; none ends before."""
    runs = []

    class Watched(igraph.GraphBase):
        @staticmethod
        def community_leiden(graph, *, initial_membership, n_iterations, **options):
            assert n_iterations == 1
            membership, quality = igraph.Graph.__base__.community_leiden(
                graph, initial_membership=initial_membership, n_iterations=n_iterations, **options
            )
            if not runs or runs[-1][-1] <= max(runs[-1][:-1]) + 1e-12:  # the one before has ended
                runs.append([-np.inf])
            runs[-1].append(quality)
            return membership, quality

    monkeypatch.setattr(clustering.igraph, "GraphBase", Watched)
    find_modules(sparse(np.random.default_rng(23), 64, 1.0))
    assert len(runs) == 20 + 8 + 19
    assert all(run[-1] <= max(run[:-1]) + 1e-12 for run in runs)
    assert max(map(len, runs)) > 3


def test_leiden_is_given_every_edge_once_with_its_weight_and_no_others():
    generator = np.random.default_rng(24)
    for density in (0.3, 1.0):
        A = sparse(generator, 12, density)
        graph = clustering.weighted_graph(A)
        rows, columns = np.triu(A).nonzero()
        assert graph.vcount() == 12
        assert graph.get_edgelist() == list(zip(rows, columns, strict=True))
        assert graph.es["weight"] == pytest.approx(A[rows, columns] / A[rows, columns].mean(), rel=1e-14)


def test_never_below_the_best_known_q():
    """On 64 graphs that other searches ran on for long; `python -m benchmarks search` has ten seeds each."""
    for graph, seed in zip(best_known.graphs(), itertools.cycle(range(10)), strict=False):
        part = find_modules(graph.A, seed=seed)
        assert part.q >= graph.best_known_q - 1e-9, graph.name
        assert part.q <= graph.upper_bound * (1 + 2e-6), graph.name


def test_sparse_disconnected_graphs_keep_their_many_modules():
    A, labels, q = separate_cliques([2] * 40 + [3] * 10)
    for restarts in (2, 20):
        part = find_modules(A, restarts=restarts)
        assert part.q == pytest.approx(q, abs=1e-12)
        assert agreement(part.labels, labels)["ecs"] == 1


@pytest.mark.parametrize("sizes", [[40, 30, 20], [5] * 24])
def test_large_graphs_are_annealed_copy_by_copy(monkeypatch, sizes):
    """The second has more modules than are tried first."""
    monkeypatch.setattr(clustering, "LARGE", 50)
    monkeypatch.setattr(clustering, "leiden_runs", None)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    A = np.random.default_rng(25).random((len(labels), len(labels))) / 50 + (labels[:, None] == labels)
    A = np.triu(A, 1) + np.triu(A, 1).T
    part, again = (find_modules(A, restarts=6, seed=3) for _ in range(2))
    assert part.labels.tolist() == again.labels.tolist()
    assert part.restarts_q.shape == (6,)
    assert part.q == part.restarts_q.max() == modularity(A, part.labels)
    assert agreement(part.labels, labels)["ecs"] > 0.9
    assert part.n_modules >= len(sizes) - 1
    assert find_modules(A, restarts=6, seed=4).restarts_q.tolist() != part.restarts_q.tolist() or (
        part.restarts_q.min() == part.restarts_q.max()
    )


def test_large_but_sparse_graphs_are_left_to_leiden(monkeypatch):
    monkeypatch.setattr(clustering, "LARGE", 50)
    monkeypatch.setattr(clustering, "annealed_runs", None)
    A, _, q = separate_cliques([4] * 20)
    assert find_modules(A, restarts=2).q == pytest.approx(q, abs=1e-12)


def test_a_unit_is_alive_if_it_has_an_edge_to_another():
    A = np.zeros((2, 4, 4))
    A[0, 0, 1] = A[0, 1, 0] = -1.0
    A[:, 2, 2] = 5.0  # no edge
    expected = np.array([[True, True, False, False], [False] * 4])
    np.testing.assert_array_equal(clustering.alive_units(A), expected)
    np.testing.assert_array_equal(clustering.alive_units(A[0]), expected[0])


def test_errors_begin_with_the_name_of_the_argument():
    A = sparse(np.random.default_rng(22), 6, 1.0)
    with pytest.raises(ValueError, match=r"^A must not be negative"):
        find_modules(-A)
    with pytest.raises(ValueError, match=r"^A must not be negative"):
        modularity(-A, np.zeros(6, int))
    with pytest.raises(ValueError, match=r"^labels must be at least"):
        modularity(A, np.full(6, -2))


def test_near_best_is_within_a_hundredth_of_the_best_and_no_further(monkeypatch):
    A, labels, q = separate_cliques([4] * 20)
    one, two = labels.copy(), labels.copy()
    one[:8] = two[:8] = 0  # two cliques taken for one
    two[8:16] = 2  # and two more
    assert q * 0.99 < modularity(A, one)
    assert q * 0.985 < modularity(A, two) < q * 0.99
    for run, expected in ((one, (5 + agreement(labels, one)["ecs"]) / 6), (two, 1.0)):
        runs = np.stack([labels] * 5 + [run])
        qs = np.array([modularity(A, run) for run in runs])
        monkeypatch.setattr(clustering, "leiden_runs", lambda *_, found=(runs, qs): found)
        assert find_modules(A, restarts=6).stability == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_kick_moves_a_share_of_the_units_to_any_module_and_a_new_one(share):
    generator, labels = random.Random(0), np.repeat(np.arange(4), 1000)
    kicked = np.array(clustering.kicked(labels, share, generator))
    assert sorted(set(kicked.tolist())) == [0, 1, 2, 3, 4]
    # A fifth of those that are moved come back: the names go by first appearance.
    homes = [np.bincount(kicked[labels == module], minlength=5) for module in range(4)]
    assert [home.max() / 1000 for home in homes] == pytest.approx([1 - 0.8 * share] * 4, abs=0.05)
    assert [home.min() / 1000 for home in homes] == pytest.approx([share / 5] * 4, abs=0.03)
    assert len({int(home.argmax()) for home in homes}) == 4


def test_kicks_take_the_shares_in_turn_and_start_from_distinct_good_partitions(monkeypatch):
    started = []
    kick = clustering.kicked

    def watched(labels, share, generator):
        started.append((labels.tobytes(), share))
        return kick(labels, share, generator)

    monkeypatch.setattr(clustering, "kicked", watched)
    find_modules(sparse(np.random.default_rng(26), 64, 1.0))
    assert [share for _, share in started] == [0.2, 0.35, 0.5] * 6 + [0.2]
    assert 4 < len({labels for labels, _ in started}) < 19


def test_distinct_partitions_come_once_and_in_order():
    a, b, c = np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0, 1, 2])
    assert [x.tolist() for x in clustering.distinct(iter([a, b, a.copy(), c]), 8)] == [
        a.tolist(), b.tolist(), c.tolist(),
    ]  # fmt: skip
    assert [x.tolist() for x in clustering.distinct([a, a, b, c], 2)] == [a.tolist(), b.tolist()]


@pytest.mark.parametrize(("gap", "refused"), [(0.7e-6, False), (1.5e-6, True)])
def test_asymmetry_up_to_a_millionth_of_the_largest_is_rounding(gap, refused):
    A = np.array([[0, 4.0, 0], [4.0, 0, 1.0], [0, 1.0 + 4 * gap, 0]])
    if refused:
        with pytest.raises(ValueError, match=r"^A must be symmetric"):
            modularity(A, [0, 0, 1])
    else:
        assert modularity(A, [0, 0, 1]) == pytest.approx(modularity((A + A.T) / 2, [0, 0, 1]), abs=1e-12)


def test_same_seed_same_result_whatever_happened_before():
    A = sparse(np.random.default_rng(12), 64, 1.0)
    first = find_modules(A, restarts=3, seed=5)
    random.seed(0)
    as_igraph(A).community_leiden(weights="weight", objective_function="modularity")
    again = find_modules(A, restarts=3, seed=5)
    assert first.labels.tolist() == again.labels.tolist()
    assert first.restarts_q.tolist() == again.restarts_q.tolist()
    others = [find_modules(A, restarts=3, seed=seed).restarts_q.tolist() for seed in range(5, 9)]
    assert others[0] == first.restarts_q.tolist()
    assert all(other != others[0] for other in others[1:])


@pytest.mark.usefixtures("as_a_user")  # the checks of annotations draw from `random` themselves
def test_global_generators_are_left_as_they_were():
    A = sparse(np.random.default_rng(13), 30, 1.0)
    random.seed(1)
    state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn = igraph.Graph.Erdos_Renyi(30, 0.5).get_edgelist()
    random.seed(1)
    find_modules(A)
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert igraph.Graph.Erdos_Renyi(30, 0.5).get_edgelist() == drawn  # igraph draws from `random` again


def test_generator_is_given_back_after_an_error(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("interrupted")

    monkeypatch.setattr(clustering.igraph, "GraphBase", type("Failing", (), {"community_leiden": fail}))
    with pytest.raises(RuntimeError, match="interrupted"):
        find_modules(separate_cliques([3, 3])[0])
    random.seed(1)
    drawn = igraph.Graph.Erdos_Renyi(30, 0.5).get_edgelist()
    random.seed(1)
    assert igraph.Graph.Erdos_Renyi(30, 0.5).get_edgelist() == drawn


def test_search_follows_the_units_and_ignores_scale():
    generator = np.random.default_rng(14)
    A, _ = planted(generator, 40, 4, 1.0)
    part = find_modules(A)
    order = generator.permutation(40)
    permuted = find_modules(A[np.ix_(order, order)])
    assert permuted.q == pytest.approx(part.q, abs=1e-12)
    assert agreement(permuted.labels, part.labels[order])["ecs"] == 1
    assert agreement(permuted.labels, part.labels)["ecs"] < 0.6
    for scale in (2.0**-40, 2.0**60):  # exact in binary, so even the draws are the same
        scaled = find_modules(A * scale)
        assert scaled.labels.tolist() == part.labels.tolist()
        assert scaled.restarts_q.tolist() == part.restarts_q.tolist()


def test_dead_units_change_nothing():
    A, _ = planted(np.random.default_rng(15), 30, 3, 0.3)
    part = find_modules(A)
    where = np.array([0, 7, 20, 30])
    padded = np.insert(np.insert(A, where, 0, axis=0), where, 0, axis=1)
    with_dead = find_modules(padded)
    assert with_dead.labels.tolist() == np.insert(part.labels, where, -1).tolist()
    assert (with_dead.q, with_dead.stability) == (part.q, part.stability)
    assert with_dead.effective_modules == part.effective_modules


@pytest.mark.parametrize("n_unit", [0, 1, 5])
def test_all_dead(n_unit):
    part = find_modules(np.zeros((n_unit, n_unit)), restarts=4)
    assert part.labels.tolist() == [-1] * n_unit
    assert part.n_modules == 0
    assert np.isnan([part.q, part.effective_modules, part.stability, *part.restarts_q]).all()
    assert part.restarts_q.shape == (4,)


def test_complete_graph_is_one_module():
    part = find_modules(1 - np.eye(8))
    assert part.labels.tolist() == [0] * 8
    assert part.q == pytest.approx(0, abs=1e-15)
    assert part.effective_modules == 1


def test_element_centric_similarity_is_that_of_agreement():
    generator = np.random.default_rng(16)
    for _ in range(20):
        a, b = generator.integers(0, 5, (2, 30))
        expected = agreement(a, b)["ecs"]
        assert clustering.element_centric(a, b) == pytest.approx(expected, abs=1e-14)


def test_examples_in_docstrings():
    assert doctest.testmod(clustering).failed == 0
    assert doctest.testmod(clustering).attempted > 5
