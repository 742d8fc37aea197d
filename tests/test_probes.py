"""The input gradient from random directions: exact where all are the same, and else as near as is said."""

import numpy as np
import pytest
import torch
from kinds import Opaque
from torch import nn

import modlib


class Spread(nn.Module):
    """Make an image of one number, so that the model has a single input."""

    def forward(self, x):
        """Give 5 × 5 pixels, each a sine."""
        return torch.sin(x[:, :, None, None] * torch.arange(1.0, 26.0).reshape(5, 5).to(x))


class ByOpaque(nn.Module):
    """A model of which torch knows only first derivatives in a part, beside which there is a plain one."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 9), nn.Linear(9, 3)

    def forward(self, x):
        """Add what passes through the opaque function to what goes around it."""
        h = self.first(x)
        return self.last(Opaque.apply(h) + h.tanh())


def seeded(make):
    torch.manual_seed(0)
    return make()


def images_of_one_number():
    return nn.Sequential(
        Spread(), nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 3 * 3, 3)
    ).double()


def input_gradient(model, layer, x, **options):
    return modlib.similarities(model, layer, x, measures="input_grad", **options)[layer]


@pytest.mark.parametrize("positions", ["mean", "each"])
def test_of_a_single_input_every_direction_gives_the_whole_gradient(positions):
    """A direction is ±1 there, and its square 1."""
    model, x = seeded(images_of_one_number), torch.linspace(-2, 2, 11, dtype=torch.float64)[:, None]
    exact = input_gradient(model, "2", x, positions=positions)["input_grad"]
    found = input_gradient(model, "2", x, positions=positions, probes=1, batch=4)
    assert float(exact.diagonal().min()) > 0
    torch.testing.assert_close(found["input_grad"], exact, rtol=1e-9, atol=1e-12)
    for half, other in zip(
        found.halves, input_gradient(model, "2", x, positions=positions).halves, strict=True
    ):
        torch.testing.assert_close(half["input_grad"], other["input_grad"], rtol=1e-9, atol=1e-12)


def test_errors_are_as_large_as_is_said_and_on_neither_side():
    model = seeded(lambda: nn.Sequential(nn.Linear(30, 48), nn.Tanh(), nn.Linear(48, 3)))
    x, probes = torch.randn(300, 30), 4
    exact, found = (input_gradient(model, "1", x, probes=k)["input_grad"] for k in (None, probes))
    scale = exact.diagonal().sqrt()
    errors = ((found - exact) / torch.outer(scale, scale)).numpy()
    bound = np.sqrt(2 / (probes * len(x)))
    assert 0.3 * bound < np.sqrt(np.mean(errors**2)) <= bound
    assert abs(errors.mean()) < 0.2 * bound


def test_an_estimate_says_so_comes_out_the_same_again_and_leaves_the_model_alone():
    model, x = seeded(lambda: nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 2))), torch.randn(40, 5)
    before, drawn = [p.clone() for p in model.parameters()], torch.get_rng_state()
    first, second = (input_gradient(model, "1", x, probes=2) for _ in range(2))
    assert torch.equal(first["input_grad"], second["input_grad"])
    assert "input_grad is an estimate, from 2 random directions a sample" in first.notes
    assert torch.equal(torch.get_rng_state(), drawn)
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
        assert parameter.grad is None


def test_as_many_directions_as_units_or_more_are_not_needed():
    model, x = seeded(lambda: nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 2))), torch.randn(40, 5)
    exact, found = input_gradient(model, "1", x), input_gradient(model, "1", x, probes=9)
    assert torch.equal(found["input_grad"], exact["input_grad"])
    assert not any("estimate" in note for note in found.notes)


def test_an_operation_whose_gradient_torch_cannot_follow_is_measured_exactly():
    model, x = seeded(ByOpaque), torch.randn(20, 4)
    modules = nn.Sequential(model, nn.Identity())
    exact, found = (input_gradient(modules, "0", x, probes=k) for k in (None, 1))
    assert torch.equal(found["input_grad"], exact["input_grad"])
    assert not any("estimate" in note for note in found.notes)
