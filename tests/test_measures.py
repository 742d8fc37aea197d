"""The four measures: reference values, autograd, sums by hand, and what must or must not change them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from modlib import data, measures
from modlib.measures import (
    DOWNSTREAM,
    MEASURES,
    UPSTREAM,
    adjacency,
    dead_units,
    family,
    normalise,
    similarity,
)
from modlib.networks import MLPStack
from modlib.training import PROTOCOLS, train
from modlib.two_parts import similarity_of as by_autograd

REFERENCE = Path(__file__).parent / "reference"
THEIR_NAME = {
    "input_cov": "forward_cov",
    "input_grad": "forward_jac",
    "output_grad": "backward_jac",
    "output_hess": "backward_hess",
}
SHAPES = [[6, 5, 3], [4, 9, 3], [7, 5, 6, 4], [7, 5, 6, 4, 3], [3, 6, 8, 5, 4]]


def with_one(tensor, value):
    """Put a value into the middle of a tensor; return it."""
    tensor.view(-1)[tensor.numel() // 2] = value
    return tensor


def problem(widths, *, n=2, samples=40, seed=0, dtype=torch.float64):
    """Networks whose units all fire, each on its own share of the samples; inputs; classes."""
    generator = torch.Generator().manual_seed(seed)
    stack = MLPStack.initialise(widths, seeds=range(seed, seed + n)).to(dtype=dtype)
    x = torch.randn(samples, widths[0], dtype=dtype, generator=generator)
    h = x
    for w, b in zip(stack.weights[:-1], stack.biases[:-1], strict=True):
        w *= 3
        z = h @ w  # (network, sample, unit)
        for unit, share in enumerate(torch.linspace(0.25, 0.75, w.shape[2]).tolist()):
            b[:, unit] = -z[:, :, unit].quantile(share, dim=1)
        h = torch.relu(z + b[:, None])
    return stack, x, torch.randint(widths[-1], (samples,), generator=generator)


def relative(a, b):
    """Relative distance in the Frobenius norm."""
    return float(torch.linalg.norm(a.double() - b.double()) / torch.linalg.norm(b.double()))


def each(S):
    """Name every matrix of a result: (measure, layer), (network, unit, unit)."""
    return [((measure, layer), s) for measure, layers in S.items() for layer, s in enumerate(layers)]


# ---------------------------------------------------------------- reference values


class Reference:
    """A network that the paper's authors' code was run on, and what that code computed."""

    def __init__(self, name):
        self.values = np.load(REFERENCE / f"networks_{name}.npz")
        if name == "untrained":
            stack = MLPStack.initialise([784, 64, 64, 10], seeds=[3])
        else:
            layers = ("fc.0", "fc.1", "proj")
            stack = MLPStack.from_arrays(
                [self.values[f"{layer}.weight"].T[None] for layer in layers],
                [self.values[f"{layer}.bias"][None] for layer in layers],
            )
        mnist = data.load("mnist")
        self.x, self.y = mnist.x_test[:1000].double(), mnist.y_test[:1000]
        self.stack = stack.to(dtype=torch.float64)
        self.ours = similarity(self.stack, self.x, self.y)

    def theirs(self, measure, layer, normalized):
        """Their matrix, absolute, the diagonal in place."""
        full = np.zeros((64, 64))
        full[np.triu_indices(64)] = self.values[f"{THEIR_NAME[measure]}{'_norm' * normalized}/{layer}"]
        if measure == "output_hess" and not normalized:
            full *= 100  # their loss is the mean over a batch of 100
        return torch.from_numpy(np.triu(full) + np.triu(full, 1).T)


@pytest.fixture(scope="module", params=["drop03", "l1_1e-3", "untrained"])
def reference(request):
    return request.param, Reference(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [False, True], ids=["raw", "normalised"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("measure", MEASURES)
def test_reference_values(reference, measure, layer, normalized):
    name, known = reference
    tolerance = 1e-6
    if (name, measure, normalized) == ("l1_1e-3", "input_cov", True):
        tolerance = 4e-3  # float32 covariances of nearly dead units, there
    if (name, measure, layer) == ("untrained", "input_cov", 1):
        tolerance = 2e-6  # float32 cancellation there too: see the next test
    S = known.ours[measure][layer]
    ours = (normalise(S) if normalized else S)[0].abs()
    assert relative(ours, known.theirs(measure, layer, normalized)) < tolerance


@pytest.mark.slow
def test_the_covariance_that_is_off_is_off_by_cancellation():
    """E[h hᵀ] − E[h] E[h]ᵀ in float32, batches of 100, strays from float64 as far as the reference does."""
    known = Reference("untrained")
    exact, theirs = known.ours["input_cov"][1][0], known.theirs("input_cov", 1, False)
    h = known.stack(known.x)[0][1][0]  # (sample, unit)

    def from_moments(h):
        batches = h.split(100)
        mean = sum(part.sum(0) for part in batches) / len(h)
        return sum(part.T @ part for part in batches) / len(h) - torch.outer(mean, mean)

    alive = h.mean(0) > 0
    assert 3 < float((h.mean(0)[alive] ** 2).sum() / exact.diagonal()[alive].sum()) < 5
    assert relative(from_moments(h), exact) < 1e-13  # the formula is right,
    in_float32 = relative(from_moments(h.float()), exact)
    off = relative(exact.abs(), theirs)
    assert in_float32 > 7e-7  # and float32 is what spoils it:
    assert 1e-6 < off < 2 * in_float32
    ours = similarity(known.stack.to(dtype=torch.float32), known.x.float(), measures="input_cov")
    assert relative(ours["input_cov"][1][0], exact) < in_float32 / 3  # centring first does not


# ---------------------------------------------------------------- autograd, and by hand


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("widths", SHAPES, ids=lambda widths: "-".join(map(str, widths)))
def test_closed_form_is_autograd(widths, measure):
    stack, x, y = problem(widths)
    S = similarity(stack, x, y, measures=[measure])
    assert list(S) == [measure]
    for network in range(len(stack)):
        module = stack.module(network)
        for layer, s in enumerate(S[measure]):
            cut = 2 * layer + 2
            expected = by_autograd(module[:cut], module[cut:], x, y, measure=measure, batch=17)
            assert relative(s[network], expected) < 1e-10
            assert s[network].count_nonzero() > s[network].numel() / 2


def test_small_enough_to_do_by_hand():
    """Two inputs, h = (relu x₁, relu(x₁ + x₂)), two classes; the second unit is off for the second sample."""
    stack = MLPStack.from_arrays(
        [[[[1.0, 1.0], [0.0, 1.0]]], [[[1.0, 0.0], [2.0, -1.0]]]], [[[0.0, 0.0]], [[0.0, 8.0]]]
    )
    x = torch.tensor([[1.0, 2.0], [3.0, -4.0]])  # h = (1, 3), (3, 0); z₁ − z₂ = 10 − 8, 3 − 8
    S = {measure: layers[0][0] for measure, layers in similarity(stack, x, torch.tensor([0, 1])).items()}

    def both(a):  # p₁ p₂ at z₁ − z₂ = a
        return 1 / (2 + np.exp(a) + np.exp(-a))

    curvature = (both(2.0) + both(-5.0)) / 2
    expected = {
        "input_cov": [[1.0, -1.5], [-1.5, 2.25]],
        "input_grad": [[1.0, 0.5], [0.5, 1.0]],
        "output_grad": [[1.0, 2.0], [2.0, 5.0]],
        "output_hess": [[curvature, 3 * curvature], [3 * curvature, 9 * curvature]],
    }
    for measure, matrix in expected.items():
        np.testing.assert_allclose(S[measure], matrix, rtol=1e-6)


def test_hessian_does_not_depend_on_the_classes():
    stack, x, y = problem([7, 5, 6, 4, 3])
    S = similarity(stack, x, measures=["output_hess"])["output_hess"]
    generator = torch.Generator().manual_seed(5)
    for classes in (y, torch.zeros_like(y), torch.randint(3, y.shape, generator=generator)):
        module = stack.module(1)
        expected = by_autograd(module[:4], module[4:], x, classes, measure="output_hess")
        assert relative(S[1][1], expected) < 1e-10
        assert torch.equal(similarity(stack, x, classes)["output_hess"][1], S[1])


def gelu_problem():
    """Convolution and GELU before and after the hidden layer, which has 6 units; 3 classes."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), nn.GELU(), nn.Linear(12, 6), nn.Tanh())
    decoder = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3))
    x = torch.randn(9, 2, 3, 3, dtype=torch.float64)
    return encoder.double(), decoder.double(), x, torch.randint(3, (9,))


def explicit(encoder, decoder, x, y, measure):
    """Compute the definitions, one sample at a time, through `torch.autograd.functional`."""
    jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
    h = torch.stack([encoder(a[None])[0] for a in x]).detach()
    if measure == "input_cov":
        return torch.from_numpy(np.cov(h.T, bias=True))
    total = 0
    for a, unit, label in zip(x, h, y, strict=True):
        if measure == "input_grad":
            j = jacobian(lambda a: encoder(a[None])[0], a).flatten(1)
            total = total + j @ j.T
        elif measure == "output_grad":
            j = jacobian(lambda u: decoder(u[None])[0], unit)
            total = total + j.T @ j
        else:

            def loss(u, label=label):
                return -decoder(u[None])[0].log_softmax(0)[label]

            total = total + hessian(loss, unit)
    return total / len(x)


@pytest.mark.parametrize("measure", MEASURES)
def test_any_model_will_do(measure):
    encoder, decoder, x, y = gelu_problem()
    expected = explicit(encoder, decoder, x, y, measure)
    for batch in (1, 4, 100):
        S = by_autograd(encoder, decoder, x, y, measure=measure, batch=batch)
        assert S.dtype == torch.float64
        assert not S.requires_grad  # else every caller would have to detach it
        assert torch.equal(S, S.T)
        assert relative(S, expected) < 1e-12


class Recurrent(nn.Module):
    """The last state of a recurrent layer that reads the pixels of a picture one by one."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer(2, 6, batch_first=True, dtype=torch.float64)

    def forward(self, x):
        """Run the layer."""
        return self.layer(x.flatten(2).mT)[0][:, -1]


class Attending(nn.Module):
    """Two tokens of three numbers each, which see each other.

    With two numbers each, the norms of the layer would leave ±1, and gradients of nothing but rounding.
    """

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(3, 1, 4, dropout=0.5, batch_first=True, dtype=torch.float64)
        self.last = nn.Linear(6, 3, dtype=torch.float64)

    def forward(self, h):
        """Run the layer, which is in training mode unless it is told otherwise."""
        return self.last(self.layer(h.unflatten(1, (2, 3))).flatten(1))


class Branching(nn.Module):
    """Another way for every sign of the first unit."""

    def forward(self, h):
        """Take one way or the other, sample by sample."""
        return torch.stack([torch.tanh(row[:3]) if row[0] > 0 else row[3:] ** 2 for row in h])


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out, dtype=torch.float64)


def in_place(x):
    """Begin with an operation that changes what it is given."""
    return x.mul_(2).flatten(1)[:, :6].sin()


def checkpointed(h):
    """Forget activations on the way, and compute them again on the way back."""
    return checkpoint(lambda a: torch.tanh(a[:, :3] * a[:, 3:]), h, use_reentrant=False)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param({"encoder": Recurrent(nn.LSTM)}, id="LSTM"),
        pytest.param({"encoder": Recurrent(nn.GRU)}, id="GRU"),
        pytest.param({"encoder": in_place}, id="in place, first"),
        pytest.param({"decoder": nn.Sequential(nn.ReLU(inplace=True), linear(6, 3))}, id="in place"),
        pytest.param({"decoder": Attending()}, id="attention"),
        pytest.param({"decoder": Branching()}, id="branch"),
        pytest.param({"decoder": checkpointed}, id="checkpoint"),
        pytest.param(
            {"encoder": nn.Sequential(nn.Flatten(), nn.BatchNorm1d(18).double(), linear(18, 6))},
            id="batch norm",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("measure", MEASURES)
def test_models_that_cannot_be_vectorised_are_measured_all_the_same(part, measure):
    encoder, decoder, x, y = gelu_problem()
    parts = {"encoder": encoder, "decoder": decoder, **part}
    modules = nn.ModuleList(part for part in parts.values() if isinstance(part, nn.Module))
    given, before = x.clone(), {name: value.clone() for name, value in modules.state_dict().items()}
    S = by_autograd(*parts.values(), x, y, measure=measure)
    assert torch.equal(x, given)
    assert all(module.training for module in modules.modules())
    assert all(torch.equal(value, before[name]) for name, value in modules.state_dict().items())
    modules.eval()
    with sdpa_kernel(SDPBackend.MATH):  # the only one with second derivatives
        copies = (lambda a: parts["encoder"](a.clone()), lambda h: parts["decoder"](h.clone()))
        expected = explicit(*copies, x, y, measure)
    modules.train()
    assert S.dtype == torch.float64
    assert relative(S, expected) < 1e-10


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("part", "measure", "message"),
    [
        ({"encoder": lambda x: x.flatten(1)[:, :6].sign()}, "input_grad", "^encoder has a gradient of"),
        ({"encoder": lambda x: x.flatten(1)[:, :6].detach()}, "input_grad", "^encoder has a gradient of"),
        ({"decoder": lambda h: h[:, :3].round()}, "output_grad", "^decoder has a gradient of exactly 0"),
        ({"decoder": lambda h: h[:, :3].detach()}, "output_hess", "^decoder has a gradient of exactly 0"),
        ({"decoder": lambda h: h.softmax(1)}, "output_hess", "decoder must return logits for output_hess"),
        ({"decoder": lambda h: h[:, :1]}, "output_hess", "decoder must return two classes or more"),
        ({"encoder": lambda x: x.flatten(1)[:, :6] - x.mean()}, "input_cov", "each sample by itself"),
        ({"decoder": lambda h: h - h.mean()}, "output_grad", "each sample by itself"),
        ({"decoder": lambda h: functional.dropout(h)}, "output_grad", "leave nothing to chance"),
    ],
)  # fmt: skip
def test_models_that_would_be_measured_wrongly_are_refused(part, measure, message):
    encoder, decoder, x, _ = gelu_problem()
    arguments = {"encoder": encoder, "decoder": decoder, "measure": measure, **part}
    with pytest.raises(ValueError, match=message):
        by_autograd(x=x, y=torch.zeros(9, dtype=torch.int64), **arguments)


def test_a_gradient_of_zero_is_right_where_nothing_changes():
    encoder, decoder, x, y = gelu_problem()
    constant = by_autograd(lambda a: 0 * a.flatten(1)[:, :6] + 1, decoder, x, y, measure="input_grad")
    assert not constant.any()
    apart = torch.tensor([1, 0, -1], dtype=torch.float64)
    sure = by_autograd(encoder, lambda h: 1e6 * (2 + h[:, :3]) * apart, x, y, measure="output_hess")
    assert not sure.any()  # the softmax is 0 and 1 there, to the last digit


def test_gradients_are_finite_differences():
    encoder, _, x, _ = gelu_problem()
    step = 1e-5
    columns = []
    with torch.no_grad():
        for feature in range(18):
            nudge = torch.zeros(18, dtype=torch.float64)
            nudge[feature] = step
            nudge = nudge.view(1, 2, 3, 3)
            columns.append((encoder(x + nudge) - encoder(x - nudge)) / (2 * step))
    J = torch.stack(columns, -1)  # (sample, unit, feature)
    expected = torch.einsum("sif,sjf->ij", J, J) / len(x)
    assert relative(by_autograd(encoder, None, x, measure="input_grad"), expected) < 1e-8


def test_the_hessian_of_a_curved_model_is_the_full_one():
    """E[Jᵀ (diag p − p pᵀ) J], all there is for ReLU networks, is not enough where the decoder bends."""
    encoder, decoder, x, y = gelu_problem()
    full = by_autograd(encoder, decoder, x, y, measure="output_hess")
    h = encoder(x).detach()
    part = torch.zeros_like(full)
    for unit in h:
        j = torch.autograd.functional.jacobian(lambda u: decoder(u[None])[0], unit)
        p = decoder(unit[None])[0].softmax(0).detach()
        part += j.T @ (p.diag() - torch.outer(p, p)) @ j / len(h)
    assert relative(part, full) > 0.01


# ---------------------------------------------------------------- batches and precision


@pytest.mark.parametrize("batch", [1, 7, 40, 1000])
def test_batch_size_does_not_matter(batch):
    stack, x, y = problem([7, 5, 6, 4, 3])
    for (_, a), (_, b) in zip(
        each(similarity(stack, x, y)), each(similarity(stack, x, y, batch=batch)), strict=True
    ):
        assert relative(b, a) < 1e-13


def test_samples_are_averaged():
    """The same samples twice change nothing; other samples do."""
    stack, x, y = problem([7, 5, 6, 4])
    _, other, _ = problem([7, 5, 6, 4], seed=1)
    once, twice, others = (
        similarity(stack, a, b) for a, b in [(x, y), (x.repeat(2, 1), y.repeat(2)), (other, y)]
    )
    for (key, a), (_, b), (_, c) in zip(each(once), each(twice), each(others), strict=True):
        assert relative(b, a) < 1e-13
        if key != ("output_grad", 1):  # W_out W_outᵀ, whatever the data
            assert relative(c, a) > 1e-3


def test_networks_of_a_stack_do_not_mix():
    stack, x, y = problem([7, 5, 6, 4], n=3)
    together, alone = similarity(stack, x, y), similarity(stack[1], x, y)
    for (_, a), (_, b) in zip(each(together), each(alone), strict=True):
        assert relative(a[1:2], b) < 1e-13
        assert relative(a[2:], b) > 1e-2


@pytest.mark.slow
def test_single_precision_is_close(reference):
    _, known = reference
    S = similarity(known.stack.to(dtype=torch.float32), known.x.float(), known.y)
    for (_, single), (_, double) in zip(each(S), each(known.ours), strict=True):
        assert single.dtype == torch.float64
        assert relative(single, double) < 3e-6  # sums of up to 10,000 products, in float32


@pytest.mark.slow
def test_matrices_are_exactly_symmetric_and_positive_semidefinite(reference):
    _, known = reference
    for _, s in each(known.ours):
        assert torch.equal(s, s.mT)
        eigenvalues = torch.linalg.eigvalsh(s[0])
        assert eigenvalues[0] > -1e-12 * eigenvalues[-1]


def test_a_unit_that_fires_once_has_an_accurate_covariance_in_float32():
    """Unit 0 fires on one sample of 1,000; unit 1 has a mean of 512 and a spread of about 1/8."""
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(1000, 2)
    x[417, 0] = 0.75
    x[:, 1] = 512 + torch.randint(-256, 257, (1000,), generator=generator) / 1024  # exact in float32
    stack = MLPStack.from_arrays([torch.eye(2)[None], torch.ones(1, 2, 2)], [torch.zeros(1, 2)] * 2)
    S = similarity(stack, x, measures="input_cov", batch=100)["input_cov"][0][0]
    exact = torch.from_numpy(np.cov(x.double().T, bias=True))
    scale = exact.diagonal().sqrt()
    assert ((S - exact) / torch.outer(scale, scale)).abs().max() < 1e-5
    mean = x.mean(0)
    naive = x.T @ x / len(x) - torch.outer(mean, mean)
    assert ((naive - exact) / torch.outer(scale, scale)).abs().max() > 1e-2  # what centring spares us


# ---------------------------------------------------------------- what must or must not change them


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_permuting_units_permutes_matrices(layer):
    stack, x, y = problem([7, 5, 6, 4, 3])
    order = torch.randperm(stack.widths[layer + 1], generator=torch.Generator().manual_seed(layer))
    weights, biases = list(stack.weights), list(stack.biases)
    weights[layer], biases[layer] = weights[layer][:, :, order], biases[layer][:, order]
    weights[layer + 1] = weights[layer + 1][:, order]
    after = similarity(MLPStack(weights, biases), x, y)
    for ((_, where), a), (_, b) in zip(each(similarity(stack, x, y)), each(after), strict=True):
        if where == layer:
            assert relative(b, a[:, order][:, :, order]) < 1e-13
            assert relative(b, a) > 1e-2
        else:
            assert relative(b, a) < 1e-13


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_rescaling_a_unit_scales_raw_measures_and_leaves_normalised_ones(layer):
    """A unit times c > 0, its outgoing weights over c, is the same function."""
    stack, x, y = problem([7, 5, 6, 4, 3])
    c = torch.linspace(0.3, 3, stack.widths[layer + 1], dtype=torch.float64)
    weights, biases = list(stack.weights), list(stack.biases)
    weights[layer], biases[layer] = weights[layer] * c, biases[layer] * c
    weights[layer + 1] = weights[layer + 1] / c[:, None]
    rescaled = MLPStack(weights, biases)
    torch.testing.assert_close(rescaled(x)[1], stack(x)[1], rtol=1e-12, atol=1e-12)
    before, after = similarity(stack, x, y), similarity(rescaled, x, y)
    for ((measure, where), a), (_, b) in zip(each(before), each(after), strict=True):
        if where == layer:
            factor = torch.outer(c, c) if measure in UPSTREAM else 1 / torch.outer(c, c)
            assert relative(b, a * factor) < 1e-12
            assert relative(b, a) > 1e-2
        else:
            assert relative(b, a) < 1e-12
        assert relative(normalise(b), normalise(a)) < 1e-12


def test_transforms_that_change_the_function_change_the_matrices():
    """Incoming weights scaled without the outgoing ones; hidden units rotated before their ReLU."""
    stack, x, y = problem([7, 5, 6, 4])
    weights, biases = stack.weights, stack.biases
    c = torch.linspace(0.3, 3, 5, dtype=torch.float64)
    scaled = MLPStack([weights[0] * c, *weights[1:]], [biases[0] * c, *biases[1:]])
    Q = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
    rotated = MLPStack([weights[0] @ Q, Q.T @ weights[1], weights[2]], [biases[0] @ Q, *biases[1:]])
    before = similarity(stack, x, y)
    for (key, a), (_, b), (_, r) in zip(
        each(before), each(similarity(scaled, x, y)), each(similarity(rotated, x, y)), strict=True
    ):
        measure, layer = key
        if key != ("output_grad", 1):  # W_out W_outᵀ, whatever comes before
            assert relative(normalise(r), normalise(a)) > 1e-2
            if not (layer == 0 and measure in UPSTREAM):  # there the scale divides out
                assert relative(normalise(b), normalise(a)) > 1e-3


def test_last_layers_output_gradient_is_the_readout_whatever_the_data():
    stack, x, y = problem([7, 5, 6, 4])
    W = stack.weights[-1]
    S = similarity(stack, x, y)["output_grad"]
    assert relative(S[1], W @ W.mT) < 1e-14
    assert torch.linalg.matrix_rank(S[1][0]) == 4  # at most the number of classes


# ---------------------------------------------------------------- dead units


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dead_units_have_exact_zeros_upstream(layer, dtype):
    stack, x, y = problem([7, 5, 6, 4], dtype=dtype)
    stack.biases[layer][:, 2] = -1000
    S = similarity(stack, x, y)
    alive = torch.arange(stack.widths[layer + 1]) != 2
    for measure in UPSTREAM:
        s = S[measure][layer]
        assert not s[:, 2].any()
        assert not s[:, :, 2].any()
        assert (s.diagonal(dim1=1, dim2=2)[:, alive] > 0).all()
        A = adjacency(s, normalized=True)
        assert not A[:, 2].any()
        assert A[:, alive].any(2).all()
    for measure in DOWNSTREAM:  # asks what a change of the unit would do, which needs no activity
        assert (S[measure][layer][:, 2, 2] > 0).all()


def test_units_without_a_way_to_the_output_have_exact_zeros_downstream():
    stack, x, y = problem([7, 5, 6, 4])
    stack.biases[1][:, 3:] = -1000  # dead in layer 2,
    stack.weights[1][:, 1, :3] = 0  # and all that unit 1 of layer 1 feeds;
    stack.weights[2][:, 0] = 0  # unit 0 of layer 2 is not read
    S = similarity(stack, x, y)
    for layer, unit in ((0, 1), (1, 0)):
        for measure in DOWNSTREAM:
            s = S[measure][layer]
            assert not s[:, unit].any()
            assert not s[:, :, unit].any()
            assert (s.diagonal(dim1=1, dim2=2) > 0).sum() == len(stack) * (s.shape[1] - 1)
        for measure in UPSTREAM:
            assert (S[measure][layer][:, unit, unit] > 0).all()


@pytest.fixture(scope="module")
def decayed():
    """Train a network under L2 of .1, whose idle units have weights that shrink without end; and images."""
    images = data.load("mnist")
    start = MLPStack.initialise([784, 64, 64, 10], seeds=[0])
    protocol = replace(PROTOCOLS["v1"], max_epochs=120)
    trained = train(start, images.x_train[:1280], images.y_train[:1280], seeds=[0], l2=0.1, protocol=protocol)
    return trained.stack, images.x_test[:500]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_units_that_a_penalty_has_shrunk_to_nothing_are_dead_downstream_as_upstream(decayed, dtype):
    stack, x = decayed
    S = similarity(stack.to(dtype=dtype), x.to(dtype))
    for layer in (0, 1):
        silent = torch.diagonal(S["input_grad"][layer][0]) == 0
        assert silent.any()
        for measure in DOWNSTREAM:
            s = S[measure][layer][0]
            own = torch.diagonal(s)
            assert (own > 0).all()  # none is dead to the last bit
            assert dead_units(s).tolist() == silent.tolist()
            assert own[~silent].min() > 1e-8 * own.max()  # a gap that any share would find
            assert own[silent].max() < 1e-18 * own.max()
            for normalized in (False, True):
                A = adjacency(s, normalized=normalized)
                assert A.any(1).tolist() == (~silent).tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("shrunk", "is_dead"), [(0.9e-6, True), (1.1e-6, False)])
def test_a_unit_is_dead_at_a_millionth_of_the_millionth_of_the_largest_similarity(dtype, shrunk, is_dead):
    S = torch.tensor([[4.0, 1, 2], [1, 1, 0.5], [2, 0.5, 4]], dtype=dtype)
    scale = torch.tensor([1, 2 * shrunk, 1], dtype=dtype)
    S = scale[:, None] * S * scale
    for scaled in (S, S * 1e-12, torch.stack([S, torch.eye(3, dtype=dtype)])[0]):
        assert dead_units(scaled).tolist() == [False, is_dead, False]
    assert normalise(S)[1, 0].item() == pytest.approx(0.0 if is_dead else 0.5, rel=1e-6)
    for normalized in (False, True):
        A = adjacency(S, normalized=normalized)
        assert A.any(1).tolist() == [True, not is_dead, True]
        assert A[0, 2] == (0.5 if normalized else 2)


def test_layers_of_a_stack_have_their_own_largest_similarity():
    S = torch.stack(
        [torch.eye(3), 1e-20 * torch.eye(3), torch.zeros(3, 3), torch.diag(torch.tensor([1.0, 1e-20, 0]))]
    )
    assert dead_units(S).tolist() == [[False] * 3, [False] * 3, [True] * 3, [False, True, True]]
    assert dead_units(torch.zeros(2, 0, 0)).shape == (2, 0)


def test_strong_edges_keep_a_unit_alive_that_has_no_similarity_of_its_own():
    """In a Hessian, or where somebody has set the diagonal to zero."""
    S = torch.tensor([[1.0, 0.5, 0.2], [0.5, 0.0, 0.3], [0.2, 0.3, 4.0]])
    assert not dead_units(S).any()
    assert not dead_units(S - torch.diag(torch.diagonal(S))).any()


# ---------------------------------------------------------------- graphs


def test_normalise_and_adjacency_values():
    S = torch.tensor([[4.0, -3.0, 1.0], [-3.0, 9.0, 0.0], [1.0, 0.0, 0.25]])
    N = torch.tensor([[1.0, -0.5, 1.0], [-0.5, 1.0, 0.0], [1.0, 0.0, 1.0]])
    torch.testing.assert_close(normalise(S), N)
    torch.testing.assert_close(adjacency(S), torch.tensor([[0.0, 3, 1], [3, 0, 0], [1, 0, 0]]))
    normal = adjacency(torch.stack([S, 7 * S]), normalized=True)
    torch.testing.assert_close(normal[0], torch.tensor([[0.0, 0.5, 1], [0.5, 0, 0], [1, 0, 0]]))
    torch.testing.assert_close(normal[1], normal[0])
    assert not torch.equal(adjacency(7 * S), adjacency(S))


@pytest.mark.parametrize("diagonal", [0.0, -2.0])
def test_a_diagonal_that_is_not_positive_gives_a_zero_row(diagonal):
    S = torch.tensor([[1.0, 0.5, 0.2], [0.5, diagonal, 0.3], [0.2, 0.3, 4.0]])
    assert normalise(S).isfinite().all()
    A = adjacency(S, normalized=True)
    torch.testing.assert_close(A, torch.tensor([[0.0, 0, 0.1], [0, 0, 0], [0.1, 0, 0]]))
    assert adjacency(S)[1].tolist() == pytest.approx([0.5, 0, 0.3])


def test_rounding_sized_asymmetry_is_averaged_out():
    S = torch.tensor([[1.0, 0.5], [0.5 * (1 + 4e-7), 1.0]], dtype=torch.float64)
    A = adjacency(S)
    assert torch.equal(A, A.T)
    assert A[0, 1].item() == pytest.approx(0.5 * (1 + 2e-7), rel=1e-12)


@pytest.mark.parametrize(("gap", "refused"), [(0.7e-6, False), (1.5e-6, True)])
def test_asymmetry_up_to_a_millionth_of_the_largest_is_rounding(gap, refused):
    S = torch.tensor([[0.0, 4, 0], [4, 2, 1], [0, 1 + 4 * gap, 0]], dtype=torch.float64)
    if refused:
        with pytest.raises(
            ValueError,
            match=r"^S must be symmetric: .* 1\.5e-06 of the .*, allowed is 1e-06",
        ):
            adjacency(S)
    else:
        assert adjacency(S)[1, 2].item() == pytest.approx(1 + 2 * gap, rel=1e-12)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("S", "message"),
    [
        (torch.tensor([[1.0, 0.5], [0.4, 1.0]]), "^S must be symmetric"),
        (torch.stack([1e-9 * torch.tensor([[1.0, 0.5], [0.4, 1.0]]), torch.eye(2)]), "^S must be symmetric"),
        (torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]]), "^S must be finite, got [12] nan or inf"),
        (torch.tensor([[torch.inf, 0.0], [0.0, 1.0]]), "^S must be finite, got [12] nan or inf"),
        (torch.zeros(2, 3), r"S must be \(…, unit, unit\), got \(2, 3\)"),
        (torch.zeros(3), r"S must be \(…, unit, unit\), got \(3,\)"),
    ],
)
def test_matrices_that_are_no_similarity_are_refused(S, message):
    for normalized in (False, True):
        with pytest.raises(ValueError, match=message):
            adjacency(S, normalized=normalized)


# ---------------------------------------------------------------- arguments


def test_measures_come_alone_or_together():
    stack, x, y = problem([7, 5, 6, 4])
    everything = similarity(stack, x, y)
    assert list(everything) == ["input_cov", "input_grad", "output_grad", "output_hess"]
    for wanted in (["output_hess", "input_cov"], ["output_grad"], "input_grad"):
        some = similarity(stack, x, y, measures=wanted)
        assert list(some) == ([wanted] if isinstance(wanted, str) else wanted)
        for (measure, layer), s in each(some):
            assert torch.equal(s, everything[measure][layer])


def test_a_single_logit_has_every_measure_but_the_hessian():
    stack, x, _ = problem([7, 5, 1])
    rest = [measure for measure in MEASURES if measure != "output_hess"]
    assert all((S[0] != 0).any() for S in similarity(stack, x, measures=rest).values())


def test_families():
    assert [family(measure) for measure in MEASURES] == ["upstream"] * 2 + ["downstream"] * 2


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": ["forward_cov"]}, "must be one of input_cov, .*, output_hess; got 'forward_cov'"),
        ({"x": torch.zeros(0, 7)}, r"x must be \(sample, 7\) with a sample or more, got \(0, 7\)"),
        ({"x": torch.zeros(5, 6)}, r"got \(5, 6\)"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, r"one class a sample \(40\), got shape \(3,\)"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"stack": MLPStack.initialise([7, 4], seeds=[0])}, "stack must have a hidden layer"),
        ({"stack": MLPStack.initialise([7, 5, 1], seeds=[0])}, "two logits or more for output_hess"),
        ({"x": torch.zeros(5, 7, device="meta")}, "x must be on the device cpu, got meta"),
        ({"x": with_one(torch.ones(40, 7), torch.nan)}, "^x must be finite"),
    ],
)
def test_bad_arguments_of_similarity(change, message):
    stack, x, y = problem([7, 5, 4])
    arguments = {"stack": stack, "x": x, "y": y, **change}
    if "x" in change:
        arguments["y"] = None
    with pytest.raises(ValueError, match=message):
        similarity(**arguments)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("widths", "networks", "device", "samples"),
    [
        ([784, 64, 64, 10], 1, "cpu", 2**18 // 64**2),
        ([784, 16, 64, 10], 1, "cpu", 2**18 // 64**2),
        ([10, 64, 64, 8], 1, "cpu", 2**18 // (64 * 10)),
        ([784, 1024, 1024, 10], 1, "cpu", 32),
        ([784, 64, 64, 10], 30, "cuda", 2**27 // (30 * 64**2)),
        ([784, 4096, 4096, 10], 100, "cuda", 1),
    ],
)
def test_a_batch_is_what_fits_a_processors_cache_or_a_gpus_memory(widths, networks, device, samples):
    assert measures.batch_size(networks, widths, torch.device(device)) == samples


@pytest.mark.parametrize(
    "units", [lambda a: len(a), lambda a: 5 if len(a) == 4 else 6], ids=["another number", "by batch"]
)
def test_units_that_change_from_batch_to_batch_are_refused(units):
    _, decoder, x, y = gelu_problem()  # nine samples: batches of five and of four
    with pytest.raises(ValueError, match=r"encoder must return \(sample, unit\)"):
        by_autograd(lambda a: a.flatten(1)[:, : units(a)], decoder, x, y, measure="input_cov", batch=5)
    with pytest.raises(ValueError, match=r"encoder must return \(sample, unit\)"):
        by_autograd(lambda a: a.flatten(1)[1:], decoder, x, y, measure="input_cov", batch=5)


@pytest.mark.usefixtures("as_a_user")
def test_single_numbers_of_any_model_are_looked_at():
    encoder, decoder, x, y = gelu_problem()
    with pytest.raises(ValueError, match=r"^x must be finite"):
        by_autograd(encoder, decoder, with_one(x.clone(), torch.nan), y, measure="input_cov")
    with pytest.raises(TypeError, match=r"^x must hold floating-point numbers to be differentiated by"):
        by_autograd(lambda a: encoder(a.double()), decoder, x.long(), y, measure="input_grad")
    whole = by_autograd(lambda a: encoder(a.double()), decoder, x.long(), y, measure="input_cov")
    assert torch.isfinite(whole).all()
    one_large = torch.tensor([1e200, 1, 1, 1, 1, 1], dtype=torch.float64)
    with pytest.raises(ValueError, match="encoder or decoder is such that input_cov is not finite"):
        by_autograd(lambda a: encoder(a) * one_large, decoder, x, y, measure="input_cov")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize(("kind", "layer"), [("weights", 0), ("weights", 1), ("biases", 1)])
def test_a_single_weight_that_is_not_finite_is_refused(kind, layer, value):
    stack, x, _ = problem([7, 5, 4])
    tensors = {name: [t.clone() for t in getattr(stack, name)] for name in ("weights", "biases")}
    with_one(tensors[kind][layer], value)
    with pytest.raises(ValueError, match=r"^stack must be finite"):
        similarity(MLPStack(**tensors), x)


@pytest.mark.parametrize("measure", ["input_cov", "input_grad", "output_grad"])  # large logits: no Hessian
def test_a_similarity_too_large_to_be_a_number_is_refused_by_name(measure):
    """In one layer only: the second one upstream, the first one downstream."""
    stack, x, _ = problem([7, 5, 6, 4])
    large = 1 if family(measure) == "upstream" else 2
    weights = [w * 1e170 if layer == large else w for layer, w in enumerate(stack.weights)]
    with pytest.raises(ValueError, match=f"so large that {measure} is not finite"):
        similarity(MLPStack(weights, stack.biases), x, measures=measure)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "hessian"}, "must be one of input_cov, .*; got 'hessian'"),
        ({"decoder": None}, "output_hess looks at the output: decoder must not be None"),
        ({"decoder": None, "measure": "output_grad"}, "output_grad looks at the output"),
        ({"y": None}, "^y must hold the classes"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, "one class a sample"),
        ({"x": torch.zeros(0, 2, 3, 3).double(), "y": torch.zeros(0, dtype=torch.int64)}, "a sample or more"),
        ({"encoder": lambda x: x}, r"encoder must return \(sample, unit\), got \(9, 2, 3, 3\)"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
    ],
)
def test_bad_arguments_of_similarity_of(change, message):
    encoder, decoder, x, y = gelu_problem()
    arguments = {"encoder": encoder, "decoder": decoder, "x": x, "y": y, "measure": "output_hess", **change}
    with pytest.raises(ValueError, match=message):
        by_autograd(**arguments)


def test_family_of_an_unknown_measure():
    with pytest.raises(ValueError, match="must be one of"):
        family("sideways")
