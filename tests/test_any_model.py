"""Similarities of any model's units: against derivatives of one sample at a time, without a hook."""

import doctest
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from kinds import REFUSED, WORK, ByEmbedding
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import modlib
from modlib import any_model
from modlib.measures import MEASURES


def losses_by_hand(loss, z, y):
    """Compute the loss of one sample, ``z`` with a batch of one, by torch's own functions."""
    if callable(loss):
        return loss(z, y).sum()
    if loss == "cross_entropy":
        if y is None:
            return -(z.detach().softmax(-1) * z.log_softmax(-1)).sum()
        if y.ndim == 2 and z.ndim == 3:
            return functional.cross_entropy(z[0], y[0])
        return functional.cross_entropy(z, y)
    if loss == "bce":
        return functional.binary_cross_entropy_with_logits(z, y.to(z.dtype))
    return functional.mse_loss(
        z.squeeze(-1) if y is not None and y.ndim < z.ndim else z, z.detach() if y is None else y
    )


def by_hand(made):
    """Compute all measures sample by sample, from the three parts of the model in double precision."""
    made.model.eval()
    parts = (made.parts or made.model).double().eval()
    positions, loss = made.options.get("positions", "mean"), made.options.get("loss", "cross_entropy")
    inputs = (
        made.x
        if isinstance(made.x, tuple)
        else tuple(made.x.values())
        if isinstance(made.x, dict)
        else (made.x,)
    )
    if isinstance(parts, ByEmbedding):
        inputs = (parts.model.embedding(inputs[0]).detach(),)

    def rows(a):  # (position, unit) of one sample
        return a.movedim((made.samples, made.units), (0, -1)).reshape(-1, a.shape[made.units])

    activations, sums, n = [], dict.fromkeys(MEASURES, 0), 0
    for i in range(len(inputs[0])):
        x = tuple(v[i : i + 1] for v in inputs)
        a = parts.activations(*x).detach()
        n_positions = len(rows(a))
        y = None if made.y is None else made.y[i : i + 1]
        for p in range(n_positions) if positions == "each" else (None,):

            def read(a, p=p):
                return rows(a).mean(0) if p is None else rows(a)[p]

            def shifted(shift, a=a, x=x, p=p, n_positions=n_positions):
                """Add a number a unit at one position, or at all."""
                at = torch.ones(n_positions, 1) if p is None else torch.eye(n_positions)[:, p : p + 1]
                full = (at.double() * shift).reshape(a.movedim((made.samples, made.units), (0, -1)).shape)
                return parts.after(a + full.movedim((0, -1), (made.samples, made.units)), *x)

            zero = torch.zeros(a.shape[made.units], dtype=torch.float64)
            activations.append(read(a))
            if "input_grad" not in made.left_out:
                jacobians = jacobian(lambda *x: read(parts.activations(*x)), x)
                J = torch.cat([j.flatten(1) for j in jacobians], 1)
                sums["input_grad"] = sums["input_grad"] + J @ J.T
            J = jacobian(lambda shift: shifted(shift).flatten(), zero)
            sums["output_grad"] = sums["output_grad"] + J.T @ J
            H = hessian(lambda shift: losses_by_hand(loss, shifted(shift), y), zero)  # noqa: B023
            sums["output_hess"] = sums["output_hess"] + H
            n += 1
    h = torch.stack(activations).numpy()
    found = {
        measure: np.asarray(total) / n for measure, total in sums.items() if measure not in made.left_out
    }
    return found | {"input_cov": np.cov(h.T, bias=True).reshape(h.shape[1], h.shape[1])}


def state(model):
    """Return all of a model that a user could find changed."""
    kept = {}
    for name, part in model.named_modules():
        kept[name, "mode"] = part.training
        kept[name, "hooks"] = len(part._forward_hooks), len(part._forward_pre_hooks)  # noqa: SLF001
        kept[name, "attributes"] = sorted(vars(part))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not isinstance(tensor, nn.parameter.UninitializedParameter):
            kept[name, "value"] = (
                tensor.detach().numpy(force=True).tobytes()
                if tensor.dtype != torch.bfloat16
                else tensor.detach().float().numpy().tobytes()
            )
        kept[name, "grad"] = tensor.grad, tensor.requires_grad
    kept["random"] = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    return kept


def test_there_are_enough_kinds():
    assert len(WORK) >= 25
    assert len(REFUSED) >= 15


_MEASURED = {}


def measured(name):
    """Return what is made of a kind of model: the similarities of its layer, or why there are none.

    It is kept for the test that asks again, which forgets it: that of a wide layer takes gigabytes.
    """
    if name not in _MEASURED:
        made = (WORK | REFUSED)[name]()
        try:
            found = modlib.similarities(made.model, made.layer, made.x, made.y, batch=4, **made.options)
            _MEASURED[name] = found[made.layer]
        except (ValueError, TypeError) as error:
            _MEASURED[name] = str(error)
    return _MEASURED[name]


def said(name):
    """Say in words what is made of a kind of model."""
    found = measured(name)
    if isinstance(found, str):
        return found
    left_out = [measure for measure in MEASURES if measure not in found]
    return "all but " + ", ".join(left_out) if left_out else "all measures"


def test_the_book_lists_what_is_made_of_every_kind(request):
    """To write the list anew: ``pytest tests/test_any_model.py -k book_lists --record``."""
    rows = [(name, "measured", said(name)) for name in WORK]
    rows += [(name, "refused", said(name)) for name in REFUSED]
    table = pd.DataFrame(rows, columns=["kind", "outcome", "said"])
    file = Path(__file__).parents[1] / "results" / "kinds.csv"
    if request.config.getoption("--record"):
        table.to_csv(file, index=False, lineterminator="\n")
    pd.testing.assert_frame_equal(pd.read_csv(file), table)


@pytest.mark.parametrize("name", WORK)
def test_values_are_those_of_one_sample_at_a_time(name):
    found, made = measured(name), WORK[name]()
    assert set(found) == set(MEASURES) - set(made.left_out)
    expected = by_hand(made)
    for measure, S in found.items():
        assert S.dtype == torch.float64
        assert torch.equal(S, S.T)
        size = np.abs(expected[measure]).max()
        assert size > 0 or (measure, name) == ("input_cov", "one sample")
        np.testing.assert_allclose(S, expected[measure], rtol=0, atol=made.tolerance * size, err_msg=measure)
    del _MEASURED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_in_words(name):
    assert isinstance(measured(name), str)
    assert REFUSED[name]().refused in measured(name)


@pytest.mark.usefixtures("as_a_user")  # for the checks of annotations draw random numbers
@pytest.mark.parametrize("name", WORK | REFUSED)
def test_the_model_is_left_as_it_was(name):
    made = (WORK | REFUSED)[name]()
    before = state(made.model)
    try:
        modlib.similarities(made.model, made.layer, made.x, made.y, **made.options)
    except (ValueError, TypeError):
        assert made.refused
    assert state(made.model) == before


# ---------------------------------------------------------------- Hessians of ReLUs


def passes(model, monkeypatch, **options):
    """Count the backward passes that the similarities of a layer take, and return them too."""
    counted, grad = [], torch.autograd.grad
    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "grad", lambda *a, **k: counted.append(1) or grad(*a, **k))
        x, y = torch.randn(20, 5, dtype=torch.float64), torch.arange(20) % 3
        found = modlib.similarities(model, "0", x, y, batch=20, **options)["0"]
    return len(counted), found


def of_width(n, activation):
    torch.manual_seed(n)
    layers = [nn.Linear(5, n), activation(), nn.Linear(n, 7), activation(), nn.Linear(7, 3)]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("measures", [None, "output_hess"])
def test_a_hessian_takes_a_pass_a_unit_only_where_the_rest_is_curved(monkeypatch, measures):
    straight = [passes(of_width(n, nn.ReLU), monkeypatch, measures=measures)[0] for n in (20, 50)]
    curved = [passes(of_width(n, nn.GELU), monkeypatch, measures=measures)[0] for n in (20, 50)]
    by_input = 30 if measures is None else 0
    assert straight[1] - straight[0] == by_input
    assert curved[1] - curved[0] == by_input + 30


class Bent(nn.Module):
    """A ReLU that is a little curved as well, for one sample in twenty only."""

    def __init__(self, much):
        super().__init__()
        self.much = much

    def forward(self, h):
        """Bend the sample whose first unit is the largest."""
        return h.relu() + self.much * h**2 * (h.detach()[:, :1] > h.detach()[:, :1].topk(2, dim=0)[0][-1])


@pytest.mark.parametrize("much", [1.0, 1e-3, 1e-6])
def test_a_curve_however_small_is_seen(monkeypatch, much):
    """Against the Hessian of one sample after another."""
    model = of_width(20, nn.ReLU)
    bent = nn.Sequential(*model[:2], model[2], Bent(much), model[4])
    x, y = torch.randn(20, 5, dtype=torch.float64), torch.arange(20) % 3
    with torch.no_grad():
        kept = bent[2](bent[1](bent[0](x)))
    chosen = (kept[:, :1] > kept[:, :1].topk(2, dim=0)[0][-1])[:, 0]
    assert chosen.sum() == 1

    def rest(h, bend):
        a = model[2](h.relu())
        return model[4](a.relu() + (much * a**2 if bend else 0))

    expected = sum(
        hessian(lambda h: functional.cross_entropy(rest(h, bend), label), row)  # noqa: B023
        for row, label, bend in zip(bent[0](x).detach(), y, chosen, strict=True)
    )
    # Samples see each other here only in which of them is bent, so the model has to be taken as it is.
    monkeypatch.setattr("modlib.models.check_alike", lambda *_: None)
    found = modlib.similarities(bent, "0", x, y, batch=20)["0"]["output_hess"]
    size = expected.abs().max() / 20
    np.testing.assert_allclose(found, expected / 20, rtol=0, atol=1e-9 * size)


# ---------------------------------------------------------------- one pass


def plain():
    """Give a small model of 5 inputs, 6 units and 3 classes, and samples."""
    made = WORK["MLP with ReLU"]()
    return made.model, made.x, made.y


def assert_same(found, expected, tolerance=1e-12):
    assert set(found) == set(expected)
    for measure, S in expected.items():
        torch.testing.assert_close(found[measure], S, rtol=0, atol=tolerance * float(S.abs().max()))


def test_several_layers_are_each_as_alone():
    model, x, y = plain()
    names = ["layer.0", "layer", "last.1"]
    together = modlib.similarities(model, names, x, y)
    assert list(together) == names
    for name in names:
        assert_same(together[name], modlib.similarities(model, name, x, y)[name])


def test_a_relu_network_is_as_in_closed_form():
    stack = modlib.MLPStack.initialise([7, 6, 5, 3], seeds=[0]).to(dtype=torch.float64)
    x, y = torch.randn(20, 7, dtype=torch.float64), torch.randint(3, (20,))
    expected = modlib.similarity(stack, x, y)
    found = modlib.similarities(stack.module(0), ["1", "3"], x, y)
    for layer, name in enumerate(["1", "3"]):
        assert_same(found[name], {measure: layers[layer][0] for measure, layers in expected.items()}, 1e-10)


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_the_size_of_a_batch_changes_nothing(batch):
    model, x, y = plain()
    found, expected = (
        modlib.similarities(model, "layer", x, y, batch=size)["layer"] for size in (batch, None)
    )
    assert_same(found, expected)
    for half, other in zip(found.halves, expected.halves, strict=True):
        assert_same(half, other)


def test_halves_are_those_of_half_of_the_samples():
    model, x, y = plain()
    found = modlib.similarities(model, "layer", x, y)["layer"]
    coins = np.random.default_rng(0)
    second = np.array([coins.random() < 0.5 for _ in range(5)])
    side = np.column_stack([second, ~second]).ravel()[: len(x)]
    assert 4 <= side.sum() <= 5
    for half, rows in zip(found.halves, (~side, side), strict=True):
        rows = torch.from_numpy(rows)
        assert_same(half, modlib.similarities(model, "layer", x[rows], y[rows])["layer"])
    alone = modlib.similarities(model, "layer", x[:1], y[:1])["layer"]
    assert sorted(bool(half["output_grad"].isnan().all()) for half in alone.halves) == [False, True]


def test_what_is_said_of_a_layer():
    made = WORK["CNN"]()
    found = modlib.similarities(made.model, "layer", made.x, made.y)["layer"]
    assert (found.n_samples, found.n_positions, len(found)) == (7, 20, 4)
    assert found.unit == "channel (axis 1 of 4), averaged over positions"
    assert found.notes == ()
    assert repr(found).startswith(
        "LayerSimilarity(input_cov, input_grad, output_grad, output_hess: 4 units, 7 "
    )
    with pytest.raises(TypeError):
        found.matrices["input_cov"] = 0
    made = WORK["tokens"]()
    found = modlib.similarities(made.model, "layer", made.x)["layer"]
    assert [note.split(",")[0] for note in found.notes] == ["input_grad is left out", "without labels"]
    assert found.unit == "feature (axis 2 of 3), averaged over positions"


def test_a_layer_that_does_nothing_has_zeros_and_says_so():
    model, x, y = plain()
    with torch.no_grad():
        model.last[0].weight.zero_()
    found = modlib.similarities(model, "layer", x, y)["layer"]
    assert not found["output_grad"].any()
    assert found.notes == ("the output changes with no unit of the layer, so its downstream measures are 0",)


def test_a_hessian_that_misses_a_path_says_so():
    made = WORK["more outputs than units, some of a gradient computed without torch"]()
    found = modlib.similarities(made.model, "layer", made.x, made.y, loss="mse")["layer"]
    assert [note.split(" up to ")[0] for note in found.notes] == ["output_hess is symmetric only"]


# ---------------------------------------------------------------- data in any form


FORMS = {
    "NumPy": lambda x, y: ((x.numpy(), y.numpy()), {}),
    "NumPy, by column": lambda x, y: ((np.asfortranarray(x.numpy())[:, ::-1][:, ::-1], y.tolist()), {}),
    "big-endian": lambda x, y: ((x.numpy().astype(">f8"), y.numpy().astype(np.uint16)), {}),
    "pandas": lambda x, y: ((pd.DataFrame(x.numpy()), pd.Series(y.numpy())), {}),
    "a tuple of one": lambda x, y: (((x,), y), {}),
    "a list of one": lambda x, y: (([x], y), {}),
    "a data set": lambda x, y: ((TensorDataset(x, y),), {}),
    "a loader": lambda x, y: ((DataLoader(TensorDataset(x, y), batch_size=4),), {}),
    "a loader of single samples": lambda x, y: ((DataLoader(TensorDataset(x, y), batch_size=1),), {}),
    "batches": lambda x, y: (([(x[:4], y[:4]), (x[4:], y[4:])],), {}),
    "batches that come one by one": lambda x, y: ((zip(x.split(2), y.split(2), strict=True),), {}),
    "batches of named inputs": lambda x, y: (
        ([{"x": x[:4], "labels": y[:4]}, {"x": x[4:], "labels": y[4:]}],), {},
    ),
    "named inputs": lambda x, y: (({"x": x, "labels": y},), {}),
    "unpacked": lambda x, y: (([(0, y, x)],), {"unpack": lambda batch: (batch[2], batch[1])}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_data_in_any_form_are_the_same_data(form):
    model, x, y = plain()
    arguments, options = FORMS[form](x, y)
    found = modlib.similarities(model, "layer", *arguments, **options)["layer"]
    assert_same(found, modlib.similarities(model, "layer", x, y)["layer"])


def test_labels_beside_a_loader_are_refused():
    model, x, y = plain()
    with pytest.raises(ValueError, match="y must be None where data is a loader"):
        modlib.similarities(model, "layer", DataLoader(TensorDataset(x, y)), y)


def test_a_shuffled_loader_leaves_the_random_state_alone():
    model, x, y = plain()
    before = torch.get_rng_state()
    modlib.similarities(
        model, "layer", DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True), progress=True
    )
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_users_context_changes_nothing(context):
    model, x, y = plain()
    expected = modlib.similarities(model, "layer", x, y)["layer"]
    with context():
        assert_same(modlib.similarities(model, "layer", x, y)["layer"], expected, 0)


def test_a_gradient_that_was_there_stays():
    model, x, y = plain()
    model(x).sum().backward()
    before = {name: (p.grad, p.grad.clone()) for name, p in model.named_parameters()}
    modlib.similarities(model, "layer", x, y)
    for name, p in model.named_parameters():
        assert p.grad is before[name][0]
        assert torch.equal(p.grad, before[name][1])


class Remembering(nn.Module):
    """A layer that keeps what it has seen, in every way that a module can."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 6, dtype=torch.float64)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("last", torch.ones(2))
        self.scaled = self.linear.weight * 2  # is no leaf
        self.plain, self.seen, self.named = torch.zeros(3), [], {"calls": 0}

    def forward(self, x):  # noqa: D102
        torch.randn(1), np.random.rand(), random.random()  # noqa: NPY002
        self.count += 1
        self.plain += 1
        self.last, self.new = x.mean(0), 3
        self.seen.append(x)
        self.named["calls"] += 1
        return self.linear(x).tanh()


@pytest.mark.usefixtures("as_a_user")
def test_what_a_model_remembers_is_forgotten():
    torch.manual_seed(0)
    model = nn.Sequential(Remembering(), nn.Linear(6, 3, dtype=torch.float64))
    layer = model[0]
    x, y = torch.randn(9, 5), torch.randint(3, (9,))
    before, last, scaled = state(model), layer.last, layer.scaled
    modlib.similarities(model, "0", x, y)
    assert state(model) == before
    assert layer.last is last
    assert layer.scaled is scaled
    assert (layer.plain.tolist(), layer.seen, layer.named) == ([0, 0, 0], [], {"calls": 0})


def test_examples():
    assert doctest.testmod(any_model).failed == 0
    assert doctest.testmod(any_model).attempted >= 3
