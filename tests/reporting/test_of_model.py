"""Reports on models: the similarities are those of the model, and the nulls those of its copies."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import modlib
from modlib.clustering import find_modules
from modlib.measures import MEASURES, adjacency
from modlib.nulls import null_test
from modlib.reporting import model_nulls
from modlib.reporting.of_model import report
from modlib.reporting.report import Report

QUICK = {"draws": 2, "restarts": 1, "null_restarts": 1, "shuffles": 5}
X = torch.rand(30, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randint(3, (30,), generator=torch.Generator().manual_seed(1))


def mlp():
    torch.manual_seed(0)
    first = nn.Linear(6, 10), nn.BatchNorm1d(10), nn.Dropout(0.5), nn.ReLU()
    return nn.Sequential(*first, nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 3))


def images():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7 * 16, 3))


# ---------------------------------------------------------------- the pieces, composed by hand


def test_a_report_is_that_of_the_models_similarities_and_of_its_permuted_copies():
    model = mlp()
    found = report(model, ["3", "5"], X, Y, seed=4, **QUICK)
    S = modlib.similarities(model, ["3", "5"], X, Y)
    copies = model_nulls.permuted(model, 4)
    drawn = [modlib.similarities(next(copies), ["3", "5"], X, Y) for _ in range(2)]
    by_hand = Report.of_similarities(S, name="Sequential", nulls={"weights-permuted": drawn}, seed=4, **QUICK)
    for name in ("modules", "agreement", "nulls", "units"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(by_hand, name), check_exact=True)
    assert found.nulls.null.unique().tolist() == ["similarity", "rotations", "weights-permuted"]
    rows = found.nulls[(found.nulls.null == "weights-permuted") & (found.nulls.layer == "5")]
    for row in rows.itertuples():
        q = [
            find_modules(adjacency(of["5"][row.measure], normalized=row.normalized), restarts=1).q
            for of in (S, *drawn)
        ]
        assert (row.q, row.mean) == (q[0], null_test(q[0], q[1:]).mean)
    assert (found.modules.reliability.notna()).all()


def test_the_page_tells_what_was_measured():
    found = report(mlp(), "3", X, None, loss=squared, permuted=False, name="my net", **QUICK)
    assert found.about["network"] == "my net"
    assert found.about["model"] == "Sequential"
    assert found.about["loss"] == "squared"
    page = found.to_html()
    for said in ("my net", "squared", "30 samples", found.layers[0].unit, *found.layers[0].notes):
        assert said in page
    assert found.nulls.null.unique().tolist() == ["similarity", "rotations"]


def squared(output, _):
    return (output**2).sum(-1)


def test_channels_are_units():
    x = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    found = report(images(), "1", x, permuted=False, unit_names=list("abcdefg"), **QUICK)
    assert found.units.groupby("name").size().to_dict() == dict.fromkeys("abcdefg", 8)
    assert "16 positions" in found.to_html()


def test_data_that_can_be_gone_through_once_serve_the_copies_too():
    """Also arrays, a list of which would be the arguments of the model."""
    for batches in ([(X[:15], Y[:15]), (X[15:], Y[15:])], [X[:15], X[15:]]):
        once = report(mlp(), "3", iter(batches), **QUICK)
        again = report(mlp(), "3", DataLoader(batches, batch_size=None), **QUICK)
        pd.testing.assert_frame_equal(once.nulls, again.nulls, check_exact=True)


# ---------------------------------------------------------------- copies


def test_permuted_copies_have_the_same_weights_elsewhere():
    model = mlp()
    copies = model_nulls.permuted(model, 0)
    first = copy.deepcopy(next(copies))
    second = next(copies)
    for (name, own), one, other in zip(
        model.named_parameters(), first.parameters(), second.parameters(), strict=True
    ):
        if own.ndim < 2:
            assert torch.equal(own, one)
            continue
        assert torch.equal(own.flatten().sort().values, one.flatten().sort().values), name
        assert torch.equal(own.flatten().sort().values, other.flatten().sort().values), name
        assert not torch.equal(own, one)
        assert not torch.equal(one, other)


def test_untrained_copies_are_what_the_model_was_before_training():
    torch.manual_seed(9)
    fresh = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Linear(10, 3))
    trained = copy.deepcopy(fresh)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1.0)
    trained.train()(X)  # which moves the running means
    copies = model_nulls.untrained(trained, 9)
    first = copy.deepcopy(next(copies).state_dict())
    second = next(copies).state_dict()
    # Modules are initialised last to first, as each is of its own; the distributions are those of torch.
    bound = 1 / np.sqrt(6)
    assert first["0.weight"].abs().max() <= bound
    assert first["0.weight"].abs().max() > 0.8 * bound
    assert torch.equal(first["1.weight"], torch.ones(10))
    assert torch.equal(first["1.running_mean"], torch.zeros(10))
    assert not torch.equal(first["0.weight"], second["0.weight"])
    assert not torch.equal(first["3.weight"], trained[3].weight)


def test_the_untrained_twin_is_drawn_on_request():
    model = mlp()
    found = report(model, "3", X, Y, untrained=True, permuted=False, seed=2, **QUICK)
    copies = model_nulls.untrained(model, 2)
    drawn = [modlib.similarities(next(copies), "3", X, Y)["3"] for _ in range(2)]
    rows = found.nulls[found.nulls.null == "untrained"]
    assert len(rows) == 8
    for row in rows.itertuples():
        q = [find_modules(adjacency(S[row.measure], normalized=row.normalized), restarts=1).q for S in drawn]
        assert row.mean == null_test(0.0, q).mean
    assert "untrained" in found.to_html()


# ---------------------------------------------------------------- the model stays as it was


@pytest.mark.parametrize("training", [True, False])
def test_the_model_and_the_random_generators_are_left_bit_for_bit(training):
    model = mlp().train(training)
    model[4].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[6].bias.requires_grad_(False)
    calls = []
    model[3].register_forward_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(model.state_dict())
    modes = [part.training for part in model.modules()]
    hooks = [dict(part._forward_hooks) for part in model.modules()]  # noqa: SLF001
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    report(model, "3", X, Y, untrained=True, **QUICK)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes
    assert [dict(part._forward_hooks) for part in model.modules()] == hooks  # noqa: SLF001
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert [p.grad is None for p in model.parameters()] == [False] + 7 * [True]
    assert [p.requires_grad for p in model.parameters()] == 7 * [True] + [False]


# ---------------------------------------------------------------- what is refused


class Scaled(nn.Module):
    """A module with a parameter of its own, and no way to initialise it."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):  # noqa: D102
        return self.scale * x


def test_a_twin_that_cannot_be_made_is_refused_and_named():
    model = nn.Sequential(nn.Linear(6, 8), Scaled(), nn.Linear(8, 3))
    with pytest.raises(ValueError, match=r"untrained must be False: the parameters of 1 \(Scaled\)"):
        report(model, "0", X, Y, untrained=True, **QUICK)
    with pytest.raises(ValueError, match="permuted must be False: model has no parameter of two axes"):
        report(nn.Sequential(Scaled()), "0", torch.rand(9, 8), **QUICK)


def test_a_model_that_cannot_be_copied_can_be_measured():
    model = mlp()
    model.lock = (value for value in ())  # a generator is never copied
    with pytest.raises(ValueError, match="permuted and untrained must be False: model cannot be copied"):
        report(model, "3", X, Y, **QUICK)
    assert len(report(model, "3", X, Y, permuted=False, **QUICK).modules) == 8


@pytest.mark.usefixtures("as_a_user")
def test_no_model_is_refused():
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module"):
        report(lambda x: x, "0", X, **QUICK)


def test_it_is_one_of_the_public_names():
    assert modlib.report is report
    assert set(MEASURES) == set(report(mlp(), "3", X, permuted=False, **QUICK).layers[0].S)
