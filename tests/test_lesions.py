"""Units that are held still: what the model makes of it, worked out by hand; nothing else changes."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from modlib.lesions import silenced


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).eval()


def test_the_rest_of_the_model_goes_on_with_what_is_held(net):
    x = torch.randn(4, 3)
    h = net[1](net[0](x))
    h[:, [1, 4]] = torch.tensor([0.5, -2.0])
    with silenced(net, "1", [1, 4], value=torch.tensor([0.5, -2.0])):
        assert torch.allclose(net(x), net[2](h))
    h[:, [1, 4]] = 0
    with silenced(net, "1", torch.tensor([1, 4])):
        assert torch.allclose(net(x), net[2](h))


def test_afterwards_all_is_as_before_even_after_an_error(net):
    x = torch.randn(4, 3)
    before = net(x)
    with pytest.raises(KeyError), silenced(net, "1", [0]):
        raise KeyError
    assert torch.equal(net(x), before)
    assert not net[1]._forward_hooks  # noqa: SLF001


def test_no_units_change_nothing_and_lesions_can_be_nested(net):
    x = torch.randn(4, 3)
    with silenced(net, "1", []):
        assert torch.equal(net(x), net[2](net[1](net[0](x))))
    with silenced(net, "1", [0, 3]):
        both = net(x)
    with silenced(net, "1", [0]), silenced(net, "1", [3]):
        assert torch.equal(net(x), both)


def test_channels_are_held_at_every_place():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    with silenced(net, "1", [2], unit_axis=1, value=7.0):
        out = net(torch.randn(2, 1, 6, 6))
    assert (out[:, 2] == 7).all()
    assert (out[:, [0, 1, 3]] != 7).all()


def test_of_a_tuple_the_first_tensor_is_held():
    gru = nn.GRU(3, 4, batch_first=True)
    net = nn.Sequential(gru)
    x = torch.randn(2, 5, 3)
    kept = gru(x)
    with silenced(net, "0", [1]):
        out, last = net(x)
    assert (out[..., 1] == 0).all()
    assert torch.equal(out[..., [0, 2, 3]], kept[0][..., [0, 2, 3]])
    assert torch.equal(last, kept[1])  # what is carried on is left alone


def test_a_named_tuple_stays_one():
    pair = namedtuple("pair", "a b")

    class Two(nn.Module):
        def forward(self, x):
            return pair(x, x)

    net = nn.Sequential(Two())
    with silenced(net, "0", [0], value=9.0):
        found = net(torch.zeros(2, 3))
    assert found.a.tolist() == [[9, 0, 0]] * 2
    assert found.b.tolist() == [[0, 0, 0]] * 2


def test_a_compiled_model_is_silenced_by_the_one_it_was_made_of(net):
    compiled = torch.compile(net, backend="eager")
    x = torch.randn(4, 3)
    with silenced(net, "1", [0]):
        expected = net(x)
    with silenced(compiled, "1", [0]):
        assert torch.allclose(net(x), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"layer": "2", "units": [2]},
            "units must be from 0 to 1, since layer '2' has 2 along axis -1, got 2",
        ),
        ({"unit_axis": 0}, "unit_axis must be an axis of the output .* other than the first, got 0"),
        ({"unit_axis": 2}, "unit_axis must be an axis of the output .* other than the first, got 2"),
        ({"unit_axis": -2}, "unit_axis must be an axis of the output .* other than the first, got -2"),
    ],
)
def test_what_the_layer_does_not_have_is_named(net, arguments, message):
    arguments = {"layer": "1", "units": [0], **arguments}
    with pytest.raises(ValueError, match=message), silenced(net, **arguments):
        net(torch.randn(4, 3))


def test_a_misspelt_layer_is_corrected(net):
    with pytest.raises(ValueError, match="layer must be a name in the model's named_modules, got '11'"):
        silenced(net, "11", [0]).__enter__()
