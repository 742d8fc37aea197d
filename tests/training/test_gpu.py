"""What a GPU does is what a processor does; skipped where there is none."""

import pytest
import torch

from modlib.measures import MEASURES, graphs, similarity
from modlib.networks import MLPStack
from modlib.training import Protocol, step, train
from modlib.training.cuda_graph import Recorded

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
SEEDS = [3] * 6 + [4] * 6
PENALTIES = {"seeds": SEEDS, "l1": [0.0, 1e-3, 0.0, 0.0, 0.0, 0.0] * 2, "l2": 1e-5}
DROPOUT = [0.0, 0.0, 0.3, 0.5, 0.6, 0.7] * 2
PROTOCOL = Protocol(max_epochs=12, patience=1, stop_after=1, learning_rate=0.002, batch=90)


@pytest.fixture(scope="module")
def task():
    """Classes that can be learnt in part; 2,050 samples, so that the last batch is a smaller one."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(2050, 784, generator=generator)
    noise = torch.randn(2050, 10, generator=generator)
    return x, ((x - 0.5) @ torch.randn(784, 10, generator=generator) + noise).argmax(1)


def trained(task, device, **changes):
    stack = MLPStack.initialise([784, 64, 64, 10], seeds=SEEDS).to(device)
    x, y = (t.to(device) for t in task)
    return train(stack, x, y, **{**PENALTIES, "protocol": PROTOCOL, "compile": False, **changes})


def parameters(training):
    return [t.cpu() for t in (*training.stack.weights, *training.stack.biases)]


@pytest.mark.parametrize("compiled", [False, True])
def test_replayed_launches_are_those_that_were_recorded(task, compiled, monkeypatch):
    replayed = trained(task, "cuda", dropout=DROPOUT, compile=compiled)
    monkeypatch.setattr(step, "Recorded", lambda function: function)
    asked_for = trained(task, "cuda", dropout=DROPOUT, compile=compiled)
    assert len(set(replayed.epochs)) > 1, "some networks must leave before others"
    assert replayed.epochs.tolist() == asked_for.epochs.tolist()
    assert all(torch.equal(a, b) for a, b in zip(parameters(replayed), parameters(asked_for), strict=True))


def test_a_recorded_function_takes_inputs_of_several_shapes():
    total = torch.zeros((), device="cuda")
    add = Recorded(lambda t: total.add_(t.sum()))
    sizes = [3, 3, 3, 5, 5, 3, 5]
    for value, n in enumerate(sizes):
        add(torch.full((n,), float(value), device="cuda"))
    assert total.item() == sum(value * n for value, n in enumerate(sizes))


@pytest.mark.parametrize("compiled", [False, True])
def test_the_same_bytes_twice_in_a_process(task, compiled):
    one, other = (trained(task, "cuda", dropout=DROPOUT, compile=compiled) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(parameters(one), parameters(other), strict=True))


def moments(task, device, *, dropout, compiled=False):
    """Adam's moments after a step: a tenth of the gradients, and a thousandth of their squares."""
    x, y = (t.to(device) for t in task)
    stack = MLPStack.initialise([784, 64, 64, 10], seeds=SEEDS).to(device)
    numbers = {"l1": PENALTIES["l1"], "l2": [PENALTIES["l2"]] * 12, "dropout": dropout}
    settings = {name: torch.tensor(value, device=device) for name, value in numbers.items()}
    one = step.Trainer(stack, x, y, settings, 2, compile=compiled)
    generators = [torch.Generator(device).manual_seed(seed) for seed in (3, 4)]
    rate = torch.full((2, 6), 1e-3, device=device)
    one.epoch(torch.arange(400, device=device).view(2, 200), 200, rate, generators)
    return [t.cpu() for t in (*one.m, *one.v)]


def assert_alike(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def test_a_compiled_step_is_the_same_step(task):
    plain, compiled = (moments(task, "cuda", dropout=DROPOUT, compiled=c) for c in (False, True))
    assert_alike(compiled, plain)


def test_a_gpu_makes_the_step_of_a_processor(task):
    """Without dropout, whose numbers are others on another device."""
    here, there = (moments(task, device, dropout=[0.0] * 12) for device in ("cpu", "cuda"))
    assert_alike(there, here)


def far(a, b):
    """Distance of weights after training, in parts of the way that they went; Adam enlarges rounding."""
    start = MLPStack.initialise([784, 64, 64, 10], seeds=SEEDS)
    for p, q, begin in zip(a.stack.weights, b.stack.weights, start.weights, strict=True):
        yield float((p.cpu() - q.cpu()).norm() / (q.cpu() - begin).norm())


def test_many_steps_of_a_gpu_are_those_of_a_processor(task):
    """Replayed ones too: an epoch is two requests of ten steps and one of a smaller batch."""
    few = Protocol(max_epochs=4, stop_after=None, batch=90, keep="last")
    here, there, compiled = (
        trained(task, device, protocol=few, compile=c)
        for device, c in (("cpu", False), ("cuda", False), ("cuda", True))
    )
    assert max(*far(there, here), *far(compiled, here)) < 0.05


def test_a_gpu_drops_as_many_units_as_a_processor_does(task):
    """Dropout's numbers differ, what it does to the loss does not."""
    short = Protocol(max_epochs=8, stop_after=None, batch=90, keep="last")
    here, there = (trained(task, device, dropout=DROPOUT, protocol=short) for device in ("cpu", "cuda"))
    assert here.val_loss == pytest.approx(there.val_loss, rel=0.1)


def test_a_gpu_forms_the_same_similarities(task):
    stack = MLPStack.initialise([784, 64, 64, 10], seeds=SEEDS).to(dtype=torch.float64)
    x, y = task[0][:500].double(), task[1][:500]
    here = similarity(stack, x, y)
    there = similarity(stack.to("cuda"), x.cuda(), y.cuda())
    for measure in MEASURES:
        for a, b in zip(here[measure], there[measure], strict=True):
            torch.testing.assert_close(b.cpu(), a, rtol=1e-10, atol=1e-12 * float(a.abs().max()))
    assert graphs(there, 0).shape == (12, 8, 64, 64)
