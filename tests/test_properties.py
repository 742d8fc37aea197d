"""What holds for every graph, partition and network: properties, on examples that Hypothesis makes up.

The other tests hold values against known answers, on chosen examples; these ask only for what must or must
not change, on graphs and networks of any make: with dead units, ties, single units, weights of all sizes.
"""

from contextlib import nullcontext, suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from modlib.algorithms import OPTIMISERS, find_modules_by
from modlib.bounds import modularity_bound
from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement, agreement_pairs, rank_correlation, transfers
from modlib.measures import MEASURES, adjacency, normalise, similarity
from modlib.networks import MLPStack, concatenate
from modlib.two_parts import similarity_of

ROUNDING = 1e-12
DOUBLE = (
    1e-14  # distance of similarities that must be equal, relative to `made_of`; in 3,000 networks to 2e-15
)
SINGLE = 3e-6  # and of those in float32 from those in float64; in 3,000 networks up to 8e-7


def drawn(examples):
    """Let Hypothesis draw the same values every time, on whatever machine."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip


@st.composite
def graphs(draw, smallest=1):
    """Draw symmetric weights: few or many edges, equal or of many sizes; some units without any."""
    size = draw(st.integers(smallest, 9))
    pairs = size * (size - 1) // 2
    weight = st.sampled_from([0.0, 0.0, 1.0, 2.0]) | st.floats(0, 1) | st.floats(1e-9, 1e9)
    A = np.zeros((size, size))
    A[np.triu_indices(size, 1)] = draw(st.lists(weight, min_size=pairs, max_size=pairs))
    return A + A.T


@st.composite
def partitions(draw, size, *, lowest=-1):
    return np.array(draw(st.lists(st.integers(lowest, 4), min_size=size, max_size=size)), dtype=np.int64)


@st.composite
def graphs_with_partitions(draw):
    A = draw(graphs())
    return A, draw(partitions(len(A)))


@st.composite
def partitions_of_the_same(draw, count=2):
    size = draw(st.integers(0, 12))
    return [draw(partitions(size)) for _ in range(count)]


def renamed(labels, shift=7):
    """Give modules other names, in another order; the dead stay dead."""
    return np.where(labels < 0, -1, shift * (labels.max(initial=0) - labels) + 3)


def order_of(size, seed):
    return np.random.default_rng(seed).permutation(size)


def same_partition(a, b):
    return ((a[:, None] == a) == (b[:, None] == b)).all()


# ---------------------------------------------------------------- modularity


@drawn(150)
@given(graphs_with_partitions(), st.integers(-60, 60), st.integers(0, 99))
def test_q_depends_on_who_is_with_whom_only(problem, exponent, seed):
    """Q depends only on who is with whom."""
    A, labels = problem
    q, order = modularity(A, labels), order_of(len(A), seed)
    expected = pytest.approx(q, abs=ROUNDING, nan_ok=True)
    assert modularity(A, renamed(labels)) == expected
    assert modularity(A[np.ix_(order, order)], labels[order]) == expected
    scaled = A * 3.0**exponent
    if not (scaled[A > 0] < np.finfo(float).tiny).any():  # below it numbers lose digits, or vanish
        assert modularity(scaled, labels) == expected
    padded = np.pad(A, ((0, 1), (0, 1)))  # a unit without edges, wherever it is put
    for module in (-1, 0, 99):
        assert modularity(padded, np.append(labels, module)) == expected


@drawn(150)
@given(graphs_with_partitions())
def test_q_is_between_minus_a_half_and_one(problem):
    """Q is between minus a half and one."""
    A, labels = problem
    q = modularity(A, labels)
    assert np.isnan(q) or -0.5 - ROUNDING <= q < 1
    kept = labels >= 0
    if not np.isnan(q) and len(set(labels[kept])) == 1:
        assert abs(q) <= ROUNDING  # one module


@pytest.mark.parametrize("sides", [(1, 1), (3, 3), (2, 5)])
def test_q_reaches_minus_a_half_where_all_edges_run_between(sides):
    """Q is minus a half if all edges run between two modules, which is the worst that there is."""
    labels = np.repeat([0, 1], sides)
    A = (labels[:, None] != labels).astype(float)
    assert modularity(A, labels) == pytest.approx(-0.5, abs=1e-15)


@drawn(80)
@given(graphs(), st.integers(0, 99))
def test_the_partition_found_is_no_worse_than_any_at_hand(A, seed):
    """The partition that a search finds is no worse than any at hand, nor than with one unit moved."""
    part = find_modules(A, restarts=3, seed=seed)
    assert part.q == pytest.approx(modularity(A, part.labels), abs=ROUNDING, nan_ok=True)
    assert ((part.labels >= 0) == A.any(axis=1)).all()
    if not A.any():
        return
    size, everyone = len(A), np.arange(len(A))
    reach = np.linalg.matrix_power((A > 0) + np.eye(size), size) > 0
    at_hand = [np.zeros(size, int), everyone, reach.argmax(axis=1), A.argmax(axis=1), everyone % 2]
    assert part.q >= max(modularity(A, labels) for labels in at_hand) - ROUNDING
    assert part.q <= modularity_bound(A) + 1e-9
    for unit in np.flatnonzero(part.labels >= 0):  # no unit would rather be elsewhere, or alone
        for module in range(part.n_modules + 1):
            moved = part.labels.copy()
            moved[unit] = module
            assert modularity(A, moved) <= part.q + 1e-9


@drawn(60)
@given(graphs(), st.sampled_from(OPTIMISERS), st.integers(0, 99))
def test_whatever_the_optimiser_q_is_that_of_its_labels(A, optimiser, seed):
    """The Q that a search reports is that of its labels, whatever the optimiser."""
    part = find_modules_by(A, optimiser, seed=seed)
    assert part.q == pytest.approx(modularity(A, part.labels), abs=ROUNDING, nan_ok=True)
    assert ((part.labels >= 0) == A.any(axis=1)).all()
    sizes = np.bincount(part.labels[part.labels >= 0], minlength=1)
    assert (np.diff(sizes) <= 0).all()  # the largest module is 0
    if A.any():
        assert part.q >= -ROUNDING  # one module is always at hand
        assert 1 <= part.effective_modules <= part.n_modules + ROUNDING


# ---------------------------------------------------------------- agreement


@drawn(150)
@given(partitions_of_the_same(), st.integers(0, 99))
def test_agreement_is_the_same_both_ways_and_whatever_the_names_and_the_order(labels, seed):
    """Agreement does not depend on which partition comes first, on names, or on the order of units."""
    a, b = labels
    value, order = agreement(a, b), order_of(len(a), seed)
    expected = pytest.approx(value, abs=1e-11, nan_ok=True)
    assert agreement(b, a) == expected
    assert agreement(renamed(a), renamed(b, 10**12)) == expected
    assert agreement(a[order], b[order]) == expected
    alive = (a >= 0) & (b >= 0)
    assert agreement(a[alive], b[alive]) == expected


@drawn(150)
@given(partitions_of_the_same())
def test_agreement_is_full_for_equal_partitions_and_for_no_others(labels):
    """Agreement is full for equal partitions, and for no others."""
    a, b = labels
    value, alive = agreement(a, b), (a >= 0) & (b >= 0)
    assume(alive.sum() >= 2)
    full = {"ecs": 1, "ami": 1, "ari": 1, "matching": 1, "vi": 0}
    assert {name: agreement(a, a)[name] for name in full} == pytest.approx(full, abs=ROUNDING)
    equal = same_partition(a[alive], b[alive])
    for name, best in full.items():
        assert (abs(value[name] - best) < 1e-9) == equal, name
    assert 0 < value["ecs"] <= 1 + ROUNDING
    assert 0 < value["matching"] <= 1
    assert -ROUNDING <= value["vi"] <= np.log2(alive.sum()) + ROUNDING
    assert max(value["ami"], value["ari"]) <= 1 + ROUNDING
    itself = agreement(a[alive], a[alive])["rmi"], agreement(b[alive], b[alive])["rmi"]
    assert value["rmi"] <= max(itself) + 1e-9 or equal


@drawn(100)
@given(partitions_of_the_same(3))
def test_variation_of_information_is_a_distance(labels):
    """Variation of information is a distance: no detour is shorter than the direct way."""
    a, b, c = (np.maximum(x, 0) for x in labels)
    assume(len(a) >= 2)
    assert agreement(a, c)["vi"] <= agreement(a, b)["vi"] + agreement(b, c)["vi"] + ROUNDING


@drawn(20)
@given(partitions(30, lowest=0), partitions(30, lowest=0), st.integers(0, 99))
def test_chance_corrected_agreement_of_a_shuffled_partition_is_near_zero(a, b, seed):
    """Agreement that is corrected for chance is zero, on average, for shuffled partitions.

    On average over 200 shuffles, within four standard errors; and not so before they are shuffled.
    """
    assume(min(len(set(a)), len(set(b))) > 1)
    labels = [a, renamed(a), *(b[order_of(30, (seed, number))] for number in range(200))]
    pairs = [(0, other) for other in range(1, len(labels))]
    for values in agreement_pairs(labels, pairs, metrics=("ami", "ari")).values():
        itself, shuffled = values[0], values[1:]
        assert abs(shuffled.mean()) <= 4 * shuffled.std() / np.sqrt(200) + 1e-3
        assert itself == 1


@drawn(60)
@given(graphs(smallest=3), graphs(smallest=3), st.integers(0, 99))
def test_rank_correlation_is_symmetric_and_sees_the_order_of_entries_only(S, other, seed):
    """Rank correlation is symmetric, and depends only on the order of the entries."""
    size = min(len(S), len(other))
    S, other, order = S[:size, :size], other[:size, :size], order_of(size, seed)
    value = pytest.approx(rank_correlation(S, other), abs=1e-9, nan_ok=True)
    assert rank_correlation(other, S) == value
    assert rank_correlation(S[np.ix_(order, order)], other[np.ix_(order, order)]) == value
    assert rank_correlation(np.sqrt(S), 5 * other) == value  # 0 stays 0: a dead unit stays dead
    itself = rank_correlation(S, S)
    assert np.isnan(itself) or itself == pytest.approx(1, abs=ROUNDING)


@drawn(60)
@given(graphs(), st.integers(0, 99))
def test_transfers_of_a_graph_to_its_own_partition_is_its_q(A, seed):
    """The Q of a graph under its own partition, as transfers have it, is its Q."""
    part, order = find_modules(A, restarts=2), order_of(len(A), seed)
    table = transfers(np.stack([A, A[np.ix_(order, order)]]), np.stack([part.labels, part.labels[order]]))
    assert np.diag(table) == pytest.approx([part.q, part.q], abs=ROUNDING, nan_ok=True)


# ---------------------------------------------------------------- similarity


recipes = st.builds(
    dict,
    widths=st.lists(st.integers(1, 6), min_size=3, max_size=5),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=2),
    samples=st.integers(1, 12),
    scale=st.sampled_from([1e-3, 0.1, 1.0, 10.0, 1e3]),
    dead=st.sets(st.integers(0, 2)),
)


def made(recipe, dtype=torch.float64):
    """Make a stack of one or two networks, in some layers with a unit that never fires, and inputs for it."""
    widths = recipe["widths"]
    stack = MLPStack.initialise(widths, seeds=recipe["seeds"]).to(dtype=dtype)
    weights = [recipe["scale"] * w for w in stack.weights]
    for layer in recipe["dead"] & set(range(stack.n_hidden)):
        stack.biases[layer][:, 0] = -1e9
    generator = torch.Generator().manual_seed(recipe["seeds"][0])
    x = torch.randn(recipe["samples"], widths[0], dtype=dtype, generator=generator)
    return MLPStack(weights, stack.biases), x, torch.randint(widths[-1], (len(x),), generator=generator)


def measured(stack, x, y, **options):
    """Compute all similarities that a stack has: of one class there is no cross-entropy."""
    there = [measure for measure in MEASURES if measure != "output_hess" or stack.widths[-1] > 1]
    return similarity(stack, x, y, measures=there, **options)


def matrices(S):
    return [((measure, layer), s) for measure, layers in S.items() for layer, s in enumerate(layers)]


def made_of(stack, x):
    """Compute similarities from the sizes of all terms, none of which cancel: what rounding is relative to.

    A covariance is a difference of products of activations; the rounding of p, in a Hessian, grows with the
    logits. Dead units have no terms.
    """
    stack, x = stack.to(dtype=torch.float64), x.double()
    masks = [(h > 0).double() for h in stack(x)[0]]
    weights, size = [w.abs() for w in stack.weights], x.abs()
    up = torch.diag_embed(torch.ones_like(x)).expand(len(stack), -1, -1, -1)  # (network, sample, unit, input)
    found = {measure: [] for measure in MEASURES}
    for w, b, mask in zip(weights, stack.biases, masks, strict=False):
        size = mask * (size @ w + b.abs()[:, None])
        up = mask[..., None] * torch.einsum("nij,nsik->nsjk", w, up)
        found["input_cov"].append(size.mT @ size)
        found["input_grad"].append(torch.einsum("nsik,nsjk->nij", up, up))
    logits = (size @ weights[-1] + stack.biases[-1].abs()[:, None]).amax((1, 2))
    down = weights[-1].mT[:, None].expand(-1, len(x), -1, -1)  # (network, sample, class, unit)
    for w, mask in zip(weights[-2::-1], masks[::-1], strict=True):
        found["output_grad"].insert(0, torch.einsum("nsci,nscj->nij", down, down))
        down = torch.einsum("nscu,nsu,nvu->nscv", down, mask, w)
    found["output_hess"] = [(1 + logits)[:, None, None] * S for S in found["output_grad"]]
    return {measure: [S / len(x) for S in layers] for measure, layers in found.items()}


def assert_close(found, expected, where, stack, x, *, relative=DOUBLE):
    """Hold matrices against each other, relative to what they are made of."""
    apart = torch.linalg.matrix_norm(found - expected)
    assert (apart <= relative * torch.linalg.matrix_norm(made_of(stack, x)[where[0]][where[1]])).all(), where


@drawn(80)
@given(recipes)
def test_similarities_are_symmetric_and_positive_semidefinite(recipe):
    """Similarities are symmetric and positive semidefinite."""
    for where, s in matrices(measured(*made(recipe))):
        assert torch.equal(s, s.mT), where
        values = torch.linalg.eigvalsh(s)
        assert (values[..., 0] >= -1e-12 * values[..., -1].abs()).all(), where
        for normalized in (False, True):
            A = adjacency(s, normalized=normalized)
            assert torch.equal(A, A.mT)
            assert (A >= 0).all()
            assert not A.diagonal(dim1=1, dim2=2).any()
            assert torch.equal(adjacency(A), A)  # of a graph it is the graph
        assert (A <= 1 + 1e-9).all()
        ones = normalise(s).diagonal(dim1=1, dim2=2)
        assert (((ones - 1).abs() < 1e-12) | (ones == 0)).all()


@drawn(60)
@given(recipes, st.integers(0, 99))
def test_similarities_follow_the_units_of_every_layer_and_no_other(recipe, seed):
    """If the units of a layer change places, so do its similarities, and those of no other layer."""
    stack, x, y = made(recipe)
    before = measured(stack, x, y)
    for layer in range(stack.n_hidden):
        order = torch.from_numpy(order_of(stack.widths[layer + 1], seed))
        weights, biases = list(stack.weights), list(stack.biases)
        weights[layer], biases[layer] = weights[layer][:, :, order], biases[layer][:, order]
        weights[layer + 1] = weights[layer + 1][:, order]
        after = measured(MLPStack(weights, biases), x, y)
        for (where, s), (_, t) in zip(matrices(before), matrices(after), strict=True):
            expected = s[:, order][:, :, order] if where[1] == layer else s
            assert_close(t, expected, where, stack, x)


@drawn(60)
@given(recipes, st.integers(1, 5))
def test_a_stack_is_its_networks_one_by_one_in_batches_of_any_size(recipe, batch):
    """A stack is measured as its networks are one by one, in batches of any size."""
    stack, x, y = made(recipe)
    together = measured(stack, x, y)
    alone = [measured(stack[i], x, y, batch=batch) for i in range(len(stack))]
    for (where, s), *singles in zip(matrices(together), *map(matrices, alone), strict=True):
        assert_close(torch.cat([t for _, t in singles]), s, where, stack, x)
    again = measured(concatenate([stack[i] for i in range(len(stack))]), x, y)
    assert all(torch.equal(s, t) for (_, s), (_, t) in zip(matrices(together), matrices(again), strict=True))


@drawn(25)
@given(recipes, st.sampled_from(list(MEASURES)))
def test_the_closed_form_is_automatic_differentiation(recipe, measure):
    """Closed forms give what automatic differentiation gives."""
    assume(measure != "output_hess" or recipe["widths"][-1] > 1)  # of one class there is no cross-entropy
    stack, x, y = made(recipe)
    found = similarity(stack, x, y, measures=measure)[measure]
    net = stack.module(0)
    for layer, s in enumerate(found):
        cut = 2 * layer + 2
        # Where every sample lies where a ReLU rests, though not the same ones do, nothing is measured.
        with suppress(ValueError) if not s[:1].any() else nullcontext():
            expected = similarity_of(net[:cut], net[cut:], x, y, measure=measure)
            assert_close(s[:1], expected[None], (measure, layer), stack[:1], x)


@drawn(80)
@given(recipes)
def test_single_precision_is_within_its_bound_of_double(recipe):
    """Similarities in single precision lie within a bound of those in double precision.

    Where a unit's sign hangs on the last bit the two are of different networks: those are left out.
    """
    stack, x, y = made(recipe, torch.float32)
    exact, doubled = measured(stack.to(dtype=torch.float64), x.double(), y), stack.to(dtype=torch.float64)
    for h, g in zip(stack(x)[0], doubled(x.double())[0], strict=True):
        assume(torch.equal(h > 0, g > 0))
    for (where, s), (_, t) in zip(matrices(measured(stack, x, y)), matrices(exact), strict=True):
        assert_close(s, t, where, doubled, x.double(), relative=SINGLE)
