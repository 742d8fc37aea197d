"""Similarities of any model's units: against derivatives of one sample at a time, without a hook."""

import random

import numpy as np
import pytest
import torch
from kinds import REFUSED, WORK, ByEmbedding
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.nn import functional

import modlib
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


@pytest.mark.parametrize("name", WORK)
def test_values_are_those_of_one_sample_at_a_time(name):
    made = WORK[name]()
    found = modlib.similarities(made.model, made.layer, made.x, made.y, batch=4, **made.options)[made.layer]
    assert set(found) == set(MEASURES) - set(made.left_out)
    expected = by_hand(made)
    for measure, S in found.items():
        assert S.dtype == torch.float64
        assert torch.equal(S, S.T)
        size = np.abs(expected[measure]).max()
        assert size > 0 or (measure, name) == ("input_cov", "one sample")
        np.testing.assert_allclose(S, expected[measure], rtol=0, atol=made.tolerance * size, err_msg=measure)


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_in_words(name):
    made = REFUSED[name]()
    with pytest.raises((ValueError, TypeError)) as error:
        modlib.similarities(made.model, made.layer, made.x, made.y, **made.options)
    assert made.refused in str(error.value)


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
