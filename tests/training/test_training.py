"""Training a stack: each network as if it were alone."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from modlib import training
from modlib.networks import MLPStack
from modlib.training import step as trainer
from modlib.training.loop import Protocol, stream_seed, train
from modlib.training.plateau import Plateau

WIDTHS = [20, 12, 8, 4]


@pytest.fixture(scope="module")
def task():
    """Noisy classes of a random linear teacher: (sample, 20) and (sample,)."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(600, WIDTHS[0], generator=generator)
    teacher = torch.randn(WIDTHS[0], WIDTHS[-1], generator=generator)
    noise = torch.randn(600, WIDTHS[-1], generator=generator)
    return x, ((x - 0.5) @ teacher + 0.3 * noise).argmax(1)


class SharedDropout(nn.Dropout):
    """Dropout that keeps a unit where the noise handed to it is below 1 − p."""

    def forward(self, h):  # noqa: D102
        return h * (self.noise < 1 - self.p) / (1 - self.p) if self.training else h


def alone(x, y, *, seed, l1, l2, p, epochs, batch, validation=0.1, widths=WIDTHS):
    """Train one network as one would: nn.Sequential, autograd, torch.optim.Adam, and the stack's batches."""
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), SharedDropout(p)]
    net = nn.Sequential(*layers[:-2])
    drops = [m for m in net if isinstance(m, SharedDropout)]
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    batches = torch.Generator().manual_seed(stream_seed(seed, "batches"))
    noise = torch.Generator().manual_seed(stream_seed(seed, "dropout"))
    part = torch.randperm(len(x), generator=batches)[round(validation * len(x)) :]
    for _ in range(epochs):
        order = part[torch.randperm(len(part), generator=batches)]
        for index in order.split(batch):
            for module, width in zip(drops, widths[1:-1], strict=True):
                module.noise = torch.rand(1, 1, len(index), width, generator=noise)[0, 0]
            loss = nn.functional.cross_entropy(net(x[index]), y[index])
            weights = [m.weight for m in net if isinstance(m, nn.Linear)]
            loss = loss + sum(l1 * w.abs().sum() + l2 * w.square().sum() for w in weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net


def distance(stack, net):
    """Largest relative difference (Frobenius) between the layers of a stack of one and a module."""
    other = MLPStack.from_modules([net])
    return max(
        float((a - b).norm() / b.norm())
        for a, b in zip(stack.weights + stack.biases, other.weights + other.biases, strict=True)
    )


SETTINGS = [
    {"l1": 0.0, "l2": 0.0, "p": 0.0},
    {"l1": 0.0, "l2": 1e-2, "p": 0.0},
    {"l1": 1e-3, "l2": 1e-5, "p": 0.0},
    {"l1": 0.0, "l2": 1e-5, "p": 0.5},
]


@pytest.fixture(scope="module")
def trained(task):
    """Every setting with one seed, trained together for 48 steps; batches of 50 and one of 40."""
    n = len(SETTINGS)
    return train(
        MLPStack.initialise(WIDTHS, seeds=[7] * n),
        *task,
        seeds=[7] * n,
        l1=[s["l1"] for s in SETTINGS],
        l2=[s["l2"] for s in SETTINGS],
        dropout=[s["p"] for s in SETTINGS],
        protocol=Protocol(max_epochs=4, decay=1.0, stop_after=None, keep="last", batch=50),
    )


@pytest.mark.parametrize("network", range(len(SETTINGS)))
def test_each_network_of_a_stack_trains_as_if_alone(task, trained, network):
    net = alone(*task, seed=7, **SETTINGS[network], epochs=4, batch=50)
    assert distance(trained.stack[network], net) < 2e-5


@pytest.mark.parametrize("network", range(1, len(SETTINGS)))
def test_each_setting_moves_the_weights_far_beyond_rounding(task, trained, network):
    net = alone(*task, seed=7, **SETTINGS[0], epochs=4, batch=50)
    assert distance(trained.stack[network], net) > 1e-2


@pytest.mark.usefixtures("one_thread")
def test_networks_of_the_papers_widths_take_the_steps_of_torch():
    """Here rows fill a processor's lanes, so that the fused kernel is used, and layer 1 is cut in pieces.

    The inputs are of sizes from 1 to 1e-9, so that some gradients are as small as Adam's eps.
    """
    widths, generator = [784, 64, 64, 10], torch.Generator().manual_seed(2)
    x = torch.rand(200, 784, generator=generator) * torch.logspace(0, -9, 784)
    y = torch.randint(10, (200,), generator=generator)
    n = len(SETTINGS)
    trained = train(
        MLPStack.initialise(widths, seeds=[7] * n),
        x,
        y,
        seeds=[7] * n,
        **{name: [s[key] for s in SETTINGS] for name, key in (("l1", "l1"), ("l2", "l2"), ("dropout", "p"))},
        protocol=Protocol(max_epochs=2, decay=1.0, stop_after=None, keep="last", batch=50),
    )
    start = MLPStack.initialise(widths, seeds=[7])
    for network, setting in enumerate(SETTINGS):
        other = MLPStack.from_modules([alone(x, y, seed=7, **setting, epochs=2, batch=50, widths=widths)])
        for name in ("weights", "biases"):
            for before, ours, theirs in zip(
                getattr(start, name), getattr(trained.stack, name), getattr(other, name), strict=True
            ):
                moved, apart = theirs[0] - before[0], ours[network] - theirs[0]
                assert apart.norm() < 2e-4 * moved.norm()


def test_batches_and_dropout_have_streams_of_their_own():
    assert len({stream_seed(seed, purpose) for seed in range(3) for purpose in ("batches", "dropout")}) == 6


def test_seeds_side_by_side_equal_seeds_apart(task):
    plan = Protocol(max_epochs=3, decay=1.0, stop_after=None, keep="last", batch=50)
    both = train(
        MLPStack.initialise(WIDTHS, seeds=[3, 3, 5, 5]),
        *task,
        seeds=[3, 3, 5, 5],
        l2=[1e-5, 1e-2] * 2,
        protocol=plan,
    )
    for i, seed in enumerate([3, 5]):
        one = train(
            MLPStack.initialise(WIDTHS, seeds=[seed] * 2),
            *task,
            seeds=[seed] * 2,
            l2=[1e-5, 1e-2],
            protocol=plan,
        )
        for a, b in zip(both.stack.weights, one.stack.weights, strict=True):
            torch.testing.assert_close(a[2 * i : 2 * i + 2], b, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both.stack.weights[0][0], both.stack.weights[0][2], atol=1e-3)


def test_finished_networks_leave_and_the_others_do_not_notice(task):
    """Networks that stop at different epochs, with and without company."""
    l2 = [1e-5, 3e-2, 0.3, 1e-3]
    plan = Protocol(max_epochs=60, patience=1, stop_after=2, batch=50, learning_rate=0.02)
    together = train(MLPStack.initialise(WIDTHS, seeds=[2] * 4), *task, seeds=[2] * 4, l2=l2, protocol=plan)
    assert len(set(together.epochs)) > 1
    for i, strength in enumerate(l2):
        one = train(MLPStack.initialise(WIDTHS, seeds=[2]), *task, seeds=[2], l2=strength, protocol=plan)
        assert one.epochs[0] == together.epochs[i]
        assert one.val_loss[0] == pytest.approx(together.val_loss[i], rel=1e-3)
        torch.testing.assert_close(one.stack.weights[0][0], together.stack.weights[0][i], rtol=0, atol=2e-3)


def test_best_weights_are_those_of_the_lowest_validation_loss(task):
    """The weights kept give the loss reported, and it is the lowest of all epochs, not the last."""
    x, y = task
    losses = []
    for epochs in range(1, 15):
        plan = Protocol(
            max_epochs=epochs, decay=1.0, stop_after=None, batch=50, learning_rate=0.05, keep="last"
        )
        losses.append(
            train(MLPStack.initialise(WIDTHS, seeds=[4]), x, y, seeds=[4], protocol=plan).val_loss[0]
        )
    plan = Protocol(max_epochs=14, decay=1.0, stop_after=None, batch=50, learning_rate=0.05, keep="best")
    best = train(MLPStack.initialise(WIDTHS, seeds=[4]), x, y, seeds=[4], protocol=plan)
    assert np.argmin(losses) < 13, "the task must overfit for this test to tell best from last"
    assert best.val_loss[0] == min(losses)
    held_out = torch.randperm(600, generator=torch.Generator().manual_seed(stream_seed(4, "batches")))[:60]
    logits = best.stack(x[held_out])[1][0]
    assert float(nn.functional.cross_entropy(logits, y[held_out])) == pytest.approx(min(losses), rel=1e-5)


def test_plateau_follows_torch():
    """Random walks of loss, many networks at once, against torch's scheduler one by one."""
    rng = np.random.default_rng(0)
    losses = 5 + np.linspace(0, 1, 12) * rng.normal(-0.1, 0.3, (30, 12)).cumsum(0)
    losses[:, 3] = 1.0  # never improves
    ours, theirs = Plateau(12, 1e-3, 0.25, 3), []
    for n in range(12):
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
        optimiser.step()
        theirs.append(torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.25, patience=3))
        for loss in losses[:, n]:
            theirs[-1].step(loss)
    for row in losses:
        ours.update(np.arange(12), row, None)
    expected = [t.get_last_lr()[0] for t in theirs]
    np.testing.assert_allclose(ours.rate, expected, rtol=1e-12)
    assert len(set(expected)) > 3


def test_stopping_counts_epochs_without_any_lower_loss():
    plateau = Plateau(1, 1e-3, 0.25, 3)
    losses = [1.0, 0.9, 0.89999, 0.95, 0.9, 0.91, 0.92]
    stops = [bool(plateau.update(np.array([0]), np.array([loss]), 3)[0]) for loss in losses]
    assert stops == [False] * 5 + [True, True]


def test_same_seed_same_bytes(task):
    def once():
        return train(
            MLPStack.initialise(WIDTHS, seeds=[1, 1]),
            *task,
            seeds=[1, 1],
            dropout=[0.0, 0.3],
            protocol=Protocol(max_epochs=2),
        ).stack

    for a, b in zip(once().weights, once().weights, strict=True):
        assert torch.equal(a, b)


def test_the_stack_given_is_left_as_it_was(task):
    stack = MLPStack.initialise(WIDTHS, seeds=[1])
    before = [w.clone() for w in stack.weights]
    train(stack, *task, seeds=[1], protocol=Protocol(max_epochs=1))
    assert all(torch.equal(a, b) for a, b in zip(before, stack.weights, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dropout": 1.0}, "dropout must be below 1, got 1.0"),
        ({"l1": -1.0}, "l1 must be finite and not negative"),
        ({"l2": [1.0, float("nan")]}, "l2 must be finite"),
        ({"l2": [1.0]}, r"l2 must be one number or one per network \(2\)"),
        ({"seeds": [1]}, "seeds must name one seed a network"),
        ({"protocol": "tmlr"}, "protocol must be one of"),
        ({"seeds": [1, 2.0]}, "each of seeds must be a whole number, got 2.0"),
    ],
)
def test_settings_that_do_not_fit_are_named(as_a_user, task, change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        train(MLPStack.initialise(WIDTHS, seeds=[1, 1]), *task, **{"seeds": [1, 1], **change})


def test_seeds_must_stand_together(task):
    with pytest.raises(ValueError, match="stand together"):
        train(MLPStack.initialise(WIDTHS, seeds=[1, 2, 1, 2]), *task, seeds=[1, 2, 1, 2])


@pytest.mark.parametrize("in_cache", [16, 100, 1000])
@pytest.mark.parametrize("width", [24, 32])  # one fills a processor's lanes, the other does not
def test_pieces_of_any_size_give_the_same_step(monkeypatch, in_cache, width):
    """Adam works through large layers in pieces; on real widths layer 1 is always cut."""
    rng = torch.Generator().manual_seed(0)

    def tensors():
        rng.manual_seed(0)
        shapes = [(2, 30, width)] * 4 + [(2, 1, width)] * 3
        return [torch.rand(shape, generator=rng) for shape in shapes]

    p, g, m, v, step, l2, l1 = tensors()
    trainer.adam(p, g, m, v, step, torch.tensor(1.3), l2, l1)
    q, g2, m2, v2, *_ = tensors()
    monkeypatch.setattr(trainer, "AT_ONCE", in_cache)
    trainer.adam_in_cache(q, g2, m2, v2, step, torch.tensor(1.3), l2, l1)
    assert all(torch.equal(a, b) for a, b in [(p, q), (m, m2), (v, v2)])
    assert not torch.equal(q, tensors()[0])


COMPILED = """
import functools, sys, warnings
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from modlib.networks import MLPStack
from modlib.training import Protocol, train

generator = torch.Generator().manual_seed(1)
x = torch.rand(600, 20, generator=generator)
y = ((x - 0.5) @ torch.randn(20, 4, generator=generator) + torch.randn(600, 4, generator=generator)).argmax(1)
settings = dict(
    seeds=[3] * 4 + [4] * 4, l1=[0.0, 1e-3, 0.0, 0.0] * 2, l2=[1e-5, 1e-5, 0.3, 1e-5] * 2,
    dropout=[0.0, 0.0, 0.0, 0.4] * 2,
    protocol=Protocol(max_epochs=12, patience=1, stop_after=1, batch=90, learning_rate=0.01),
)
stack = MLPStack.initialise([20, 12, 8, 4], seeds=settings["seeds"])
plain = train(stack, x, y, **settings, compile=False)
counter = CompileCounterWithBackend("aot_eager")
torch.compile = functools.partial(torch.compile, backend=counter)
compiled = train(stack, x, y, **settings, compile=True)
apart = max(float((a - b).abs().max()) for a, b in zip(plain.stack.weights, compiled.stack.weights))
print(len(set(plain.epochs)), plain.epochs.tolist() == compiled.epochs.tolist(), apart, counter.frame_count)
"""


def test_compiled_training_is_the_same_training():
    """The path that a GPU takes, with early leavers and two seeds, compiled without a code generator.

    In a process of its own: the checks of annotations wrap every function, and would be compiled with it.
    """
    ran = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True)
    distinct, same_epochs, apart, compiled = ran.stdout.split()
    assert int(distinct) > 1, "some networks must leave before others"
    assert same_epochs == "True"
    assert float(apart) < 1e-5
    assert 0 < int(compiled) <= 2, "compiled again and again"  # PyTorch begins a compilation twice


CODES = """
import functools
import torch
from modlib.networks import MLPStack
from modlib.training import Protocol, train

batches = []

def backend(graph, inputs):
    batches.append(set())
    of_this = batches[-1]
    def run(*inputs):
        of_this.update(t.shape[1] for t in inputs if hasattr(t, "shape") and t.ndim == 3 and t.shape[2] == 20)
        return graph(*inputs)
    return run

torch.compile = functools.partial(torch.compile, backend=backend)
x, y = torch.rand(250, 20), torch.randint(4, (250,))
for batch, width, n_seeds in ((90, 12, 2), (90, 12, 2), (50, 12, 2), (50, 16, 2), (50, 16, 1)):
    seeds = [seed for seed in range(n_seeds) for _ in range(2)]
    stack = MLPStack.initialise([20, width, 8, 4], seeds=seeds)
    protocol = Protocol(max_epochs=3, batch=batch)
    train(stack, x, y, seeds=seeds, dropout=[0.0, 0.5] * n_seeds, protocol=protocol, compile=True)
print(sorted(sorted(of_this) for of_this in batches))
"""


def test_every_size_has_a_code_of_its_own():
    """Were one for any size compiled at the second, the first would change codes midway, and so rounding."""
    ran = subprocess.run([sys.executable, "-c", CODES], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str([[25]] * 3 + [[45]] + [[50]] * 3 + [[90]])


def test_tiny_numbers_are_flushed_within_and_kept_after():
    tiny = torch.full((1,), 1e-40)
    with training.denormals_flushed():
        assert not bool((tiny * 1.0).any())
    assert bool((tiny * 1.0).any())
