"""Stacks of networks: PyTorch's own initialisation and forward pass, and errors that name the culprit."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from modlib.networks import MLPStack, concatenate


def torch_network(widths, seed):
    """Build a network as anyone would in PyTorch."""
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_is(stack, number, module):
    """Network `number` of the stack is the torch module, bit for bit."""
    linear = [m for m in module if isinstance(m, nn.Linear)]
    assert len(linear) == len(stack.weights)
    for layer, w, b in zip(linear, stack.weights, stack.biases, strict=True):
        assert torch.equal(w[number].T, layer.weight)
        assert torch.equal(b[number], layer.bias)


# ---------------------------------------------------------------- making stacks


@pytest.mark.parametrize("widths", [[784, 64, 64, 10], [7, 5, 6, 4, 3], [4, 9, 2], [3, 2], [1, 1]])
def test_initialise_is_torchs_own(widths):
    seeds = [5, 0, 2**40]
    stack = MLPStack.initialise(widths, seeds=seeds)
    for number, seed in enumerate(seeds):
        assert_is(stack, number, torch_network(widths, seed))


def test_initialise_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    MLPStack.initialise([4, 3, 2], seeds=[9])
    assert torch.equal(torch.rand(3), expected)


def test_modules_round_trip():
    modules = [torch_network([6, 4, 5, 3], seed) for seed in (0, 1, 2)]
    stack = MLPStack.from_modules(modules)
    for number, module in enumerate(modules):
        assert_is(stack, number, module)
        assert_is(MLPStack.from_modules([stack.module(number)]), 0, module)
        assert [type(m) for m in stack.module(number)] == [type(m) for m in module]


def test_stack_and_modules_share_no_memory():
    module = torch_network([3, 4, 2], 0)
    before = module[0].weight.detach().clone()
    stack = MLPStack.from_modules([module])
    copy = stack.module(0)
    with torch.no_grad():
        module[0].weight.zero_()
        copy[0].weight.fill_(7)
    assert torch.equal(stack.weights[0][0].T, before)


def test_from_arrays_takes_arrays_lists_and_parameters():
    w, b = np.arange(6).reshape(1, 3, 2), np.array([[0.5, -1.0]])
    module = torch_network([2, 2], 0)
    stack = MLPStack.from_arrays([w], [b.tolist()])
    assert stack.weights[0].dtype == torch.float32  # integers are no weights
    assert stack.weights[0].tolist() == w.tolist()
    assert stack.biases[0].tolist() == b.tolist()
    assert MLPStack.from_arrays([w.astype(float)], [b]).weights[0].dtype == torch.float64
    parameters = MLPStack.from_arrays([module[0].weight.T[None]], [module[0].bias[None]])
    assert not parameters.weights[0].requires_grad
    assert_is(parameters, 0, module)


# ---------------------------------------------------------------- modules that a stack may be made of


class Custom(nn.Module):
    """A network 6-6-6-3 with a forward pass of its own, its layers registered in an order of choice."""

    def __init__(self, forward, order=("first", "second", "last")):
        super().__init__()
        torch.manual_seed(0)
        widths = {"first": (6, 6), "second": (6, 6), "last": (6, 3)}
        for name in order:
            self.add_module(name, nn.Linear(*widths[name]))
        self.add_module("act", nn.ReLU())
        self.compute = forward

    def forward(self, x):  # noqa: D102
        return self.compute(self, x)


def through(act):
    return lambda net, x: net.last(act(net.second(act(net.first(x)))))


def sequence(*between):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(6, 6), *between, nn.Identity(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)
    )


ACCEPTED = {
    "a Dropout": lambda: sequence(nn.ReLU(), nn.Dropout(0.5)),
    "two ReLUs in a row": lambda: sequence(nn.ReLU(), nn.ReLU(inplace=True)),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), nn.Linear(6, 3)),
    "one ReLU for all, registered last": lambda: Custom(lambda net, x: through(net.act)(net, x)),
    "functional ReLU": lambda: Custom(through(nn.functional.relu)),
    "functional dropout": lambda: Custom(
        lambda net, x: through(lambda h: nn.functional.dropout(h.relu(), 0.5, net.training))(net, x)
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("which", ACCEPTED)
def test_modules_that_compute_what_the_stack_does_are_accepted(which, dtype):
    module = ACCEPTED[which]().to(dtype)
    stack = MLPStack.from_modules([module])
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        assert (stack(x)[1][0] - module.eval()(x)).abs().max() < 10 * torch.finfo(dtype).eps


KINDS = r"module 1 must be made of Linear, ReLU, .* only, got {}"
DIFFERS = r"module 1 must be its linear layers .*: on random inputs its logits differ .* by up to \d"
REFUSED = {
    "GELU": (lambda: sequence(nn.GELU()), KINDS.format("GELU")),
    "Tanh": (lambda: sequence(nn.Tanh()), KINDS.format("Tanh")),
    "LeakyReLU": (lambda: sequence(nn.LeakyReLU()), KINDS.format("LeakyReLU")),
    "BatchNorm1d": (lambda: sequence(nn.BatchNorm1d(6), nn.ReLU()), KINDS.format("BatchNorm1d")),
    "functional GELU": (lambda: Custom(through(nn.functional.gelu)), DIFFERS),
    "functional leaky ReLU": (lambda: Custom(through(nn.functional.leaky_relu)), DIFFERS),
    "functional ReLU6": (lambda: Custom(through(nn.functional.relu6)), DIFFERS),
    "no ReLU": (lambda: sequence(), DIFFERS),
    "a ReLU before": (lambda: nn.Sequential(nn.ReLU(), *sequence(nn.ReLU())), DIFFERS),
    "a ReLU behind": (lambda: nn.Sequential(*sequence(nn.ReLU()), nn.ReLU()), DIFFERS),
    "a skip connection": (
        lambda: Custom(lambda net, x: net.last((h := net.first(x).relu()) + net.second(h).relu())),
        DIFFERS,
    ),
    "another order": (
        lambda: Custom(through(nn.functional.relu), order=("second", "first", "last")),
        DIFFERS,
    ),
    "an output that is no logits": (
        lambda: Custom(lambda net, x: through(net.act)(net, x).log_softmax(-1)),
        DIFFERS,
    ),
    "dropout that never rests": (
        lambda: Custom(through(lambda h: nn.functional.dropout(h.relu(), 0.5))),
        DIFFERS,
    ),
    "two outputs": (
        lambda: Custom(lambda net, x: (x, through(net.act)(net, x))),
        r"module 1 must return logits \(64, 3\), got",
    ),
    "images": (
        lambda: Custom(lambda net, x: net.last(x.reshape(-1, 2, 7))),
        r"module 1 must take inputs \(64, 6\): ",
    ),
}


def mode(module):
    return [part.training for part in module.modules()]


@pytest.mark.parametrize("which", REFUSED)
def test_modules_that_compute_something_else_are_refused_and_left_as_they_were(which):
    make, message = REFUSED[which]
    module, well = make(), sequence(nn.ReLU())
    next(iter(module.children())).eval()
    modes, weights = mode(module), [p.clone() for p in module.parameters()]
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=message):
        MLPStack.from_modules([well, module])
    assert torch.equal(torch.get_rng_state(), state)
    assert mode(module) == modes
    assert all(torch.equal(p, before) for p, before in zip(module.parameters(), weights, strict=True))


def test_modules_that_are_accepted_are_left_as_they_were():
    module = sequence(nn.ReLU(), nn.Dropout(0.5))
    module[1].eval()
    state, modes = torch.get_rng_state(), mode(module)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    MLPStack.from_modules([module])
    assert torch.equal(torch.get_rng_state(), state)
    assert mode(module) == modes
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in module.parameters())


# ---------------------------------------------------------------- computing


@pytest.mark.parametrize("widths", [[784, 64, 64, 10], [7, 5, 6, 4, 3], [4, 9, 2], [3, 2]])
def test_forward_is_each_modules(widths):
    stack = MLPStack.initialise(widths, seeds=[0, 1, 2]).to(dtype=torch.float64)
    x = torch.randn(11, widths[0], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    hidden, logits = stack(x)
    assert [tuple(h.shape) for h in hidden] == [(3, 11, width) for width in widths[1:-1]]
    for number in range(3):
        module = stack.module(number)
        with torch.no_grad():
            torch.testing.assert_close(logits[number], module(x), rtol=1e-12, atol=1e-14)
            for layer, h in enumerate(hidden):
                expected = module[: 2 * layer + 2](x)
                torch.testing.assert_close(h[number], expected, rtol=1e-12, atol=1e-14)
                assert (h == 0).any()  # the ReLU had something to do
                assert (h > 0).any()


# ---------------------------------------------------------------- indexing


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (1, [1]),
        (-1, [3]),
        (np.int64(2), [2]),  # what a table of networks is indexed by
        (slice(1, 3), [1, 2]),
        ([3, 0, 3], [3, 0, 3]),
        (torch.tensor([2, 1]), [2, 1]),
    ],
)
def test_indexing_gives_a_stack(index, expected):
    stack = MLPStack.initialise([4, 3, 2], seeds=range(4))
    part = stack[index]
    assert len(part) == len(expected)
    assert part.widths == stack.widths
    for row, number in enumerate(expected):
        for mine, all_ in zip(part.weights + part.biases, stack.weights + stack.biases, strict=True):
            assert torch.equal(mine[row], all_[number])


def test_concatenate_undoes_slicing():
    stack = MLPStack.initialise([4, 3, 2], seeds=range(5))
    whole = concatenate([stack[:2], stack[2:]])
    assert len(whole) == 5
    for mine, all_ in zip(whole.weights + whole.biases, stack.weights + stack.biases, strict=True):
        assert torch.equal(mine, all_)


def test_describes_itself():
    stack = MLPStack.initialise([784, 64, 32, 10], seeds=[0, 1])
    assert repr(stack) == "MLPStack(2 networks, 784-64-32-10)"
    assert (len(stack), stack.widths, stack.n_hidden) == (2, [784, 64, 32, 10], 2)


def test_stacks_can_be_compared_and_hashed():
    """Stacks are equal when they are the same object: tensors have no single truth value to compare by."""
    a, b = (MLPStack.initialise([4, 3, 2], seeds=[0]) for _ in range(2))
    assert a == a
    assert a != b
    assert len({a, b}) == 2


def test_precision_changes_and_the_original_does_not():
    stack = MLPStack.initialise([4, 3, 2], seeds=[0])
    double = stack.to(dtype=torch.float64)
    assert {t.dtype for t in double.weights + double.biases} == {torch.float64}
    assert {t.dtype for t in stack.weights + stack.biases} == {torch.float32}
    assert torch.equal(double.weights[0].float(), stack.weights[0])


# ---------------------------------------------------------------- errors


def zeros(*shapes):
    return [np.zeros(shape, dtype=np.float32) for shape in shapes]


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        (zeros(), zeros(), "0 weights and 0 biases"),
        (zeros((1, 4, 3), (1, 3, 2)), zeros((1, 3)), "2 weights and 1 biases"),
        (zeros((4, 3)), zeros((3,)), r"layer 1: .* got \(4, 3\) and \(3,\)"),
        (zeros((1, 4, 3), (1, 3, 2)), zeros((1, 3), (1, 3)), r"layer 2: .* got \(1, 3, 2\) and \(1, 3\)"),
        (zeros((1, 4, 3), (1, 5, 2)), zeros((1, 3), (1, 2)), "layer 1 has 3 units, but layer 2 takes 5"),
        (zeros((2, 4, 3), (1, 3, 2)), zeros((2, 3), (1, 2)), "layer 2 holds 1 networks, layer 1 holds 2"),
        ([np.full((1, 4, 3), np.nan)], zeros((1, 3)), "weights of layer 1 hold a value that is not finite"),
        (
            zeros((1, 4, 3), (1, 3, 2)),
            [np.zeros((1, 3)), np.array([[0, np.inf]])],
            "biases of layer 2 hold a value that is not finite",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(weights, biases, message):
    with pytest.raises(ValueError, match=message):
        MLPStack.from_arrays(weights, biases)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([torch_network([4, 3, 2], 0), torch_network([4, 5, 2], 0)], "module 1 differs in shape"),
        ([torch_network([4, 3, 2], 0), torch_network([4, 3, 3, 2], 0)], "module 1 differs in shape"),
        ([torch_network([4, 3, 2], 0), nn.ReLU()], "module 1 must have linear layers"),
        ([nn.Sequential(nn.Linear(4, 3, bias=False))], "module 0 must have linear layers, all with a bias"),
        ([], "modules must name at least one network"),
    ],
)
def test_modules_that_do_not_stack_are_named(modules, message):
    with pytest.raises(ValueError, match=message):
        MLPStack.from_modules(modules)


@pytest.mark.parametrize("widths", [[784], [], [4, 0, 2], [4, -1]])
def test_widths_must_be_positive(widths):
    with pytest.raises(ValueError, match="widths must be at least two positive numbers"):
        MLPStack.initialise(widths, seeds=[0])


def test_seeds_must_not_be_empty():
    with pytest.raises(ValueError, match="seeds must name at least one network"):
        MLPStack.initialise([4, 2], seeds=[])


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("shape", [(5, 3), (4,), (2, 5, 4)])
def test_inputs_must_fit(shape):
    stack = MLPStack.initialise([4, 3, 2], seeds=[0])
    with pytest.raises(ValueError, match=r"x must be \(sample, 4\), got"):
        stack(torch.zeros(shape))
