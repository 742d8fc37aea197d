"""Networks that stand for a reader's own: their tasks are what is said, and silencing costs what it must."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from modlib.book.chapters.own_network import networks, tables


def test_questions_about_texts_are_answered_by_counting():
    tokens, answers = networks.texts(50, seed=3)
    assert tokens.shape == (50, networks.LENGTH)
    for text, answer in zip(tokens.tolist(), answers.tolist(), strict=True):
        for number, said in enumerate(answer):
            assert said == (text.count(2 * number) > text.count(2 * number + 1))


def test_questions_about_pulses_are_answered_by_adding():
    pulses, answers = networks.pulse_trains(50, seed=3)
    assert pulses.shape == (50, networks.TIMES, networks.QUESTIONS)
    assert 0.5 < (pulses == 0).double().mean() < 0.9
    np.testing.assert_array_equal(answers, np.asarray(pulses).sum(axis=1) > 0)


@pytest.mark.parametrize("make", [networks.texts, networks.pulse_trains])
def test_data_are_the_same_for_the_same_seed_only(make):
    assert torch.equal(make(20, seed=1)[0], make(20, seed=1)[0])
    assert not torch.equal(make(20, seed=1)[0], make(20, seed=2)[0])


def test_training_lowers_the_loss_and_ends_in_evaluation_mode():
    x, y = networks.pulse_trains(400, seed=0)
    torch.manual_seed(0)
    model = networks.Counter(hidden=8)
    loss = networks.LOSSES["bce"]
    before = loss(model(x), y)
    networks.fit(model, x, y, epochs=5, loss="bce", seed=0)
    assert loss(model(x), y) < before
    assert not model.training


class Sum(nn.Module):
    """Two answers, each by two of the four units of a layer, which may have places."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, x):
        """Give the answers."""
        h = self.layer(x)
        h = h.mean(dim=1) if h.ndim == 3 else h
        return torch.stack([h[:, 0] + h[:, 1], h[:, 2] + h[:, 3]], dim=1)


@pytest.mark.parametrize("places", [(), (3,)])
def test_a_silenced_module_costs_the_answer_that_it_gives(places):
    x = torch.randn(400, *places, 4, generator=torch.Generator().manual_seed(0))
    model = Sum()
    y = (model(x) > 0).float()
    found = tables.lesions(model, "layer", np.array([0, 0, 1, 1]), x, y)
    assert found.index.tolist()[:3] == ["none", "0 (2 units)", "1 (2 units)"]
    assert (found.loc["none"] == 1).all()
    assert (np.diag(found.iloc[1:3]) < 0.65).all()  # the rest goes on with a constant
    assert found.iloc[1, 1] == found.iloc[2, 0] == 1
    assert not model.layer._forward_hooks  # noqa: SLF001


@pytest.mark.parametrize("seed", [0, 5])
def test_rows_to_compare_with_are_those_of_units_at_random_and_of_no(seed):
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(1)) + 0.3
    model = Sum()
    y = (model(x) > 0).float()
    labels = np.array([1, -1, 0, 0])  # unit 1 is dead: it belongs to no module, and is never drawn
    found = tables.lesions(model, "layer", labels, x, y, seed=seed)

    # Silencing is done by hand: every other unit goes on, and those drawn are at their mean in the inputs.
    rng = np.random.default_rng(seed)
    right = []
    for _ in range(10):
        order = rng.permutation([2, 3, 0])  # by module: two units, and one
        for units in (order[:2], order[2:]):
            held = np.asarray(x).copy()
            held[:, units] = held[:, units].mean(axis=0)
            answers = np.stack([held[:, 0] + held[:, 1], held[:, 2] + held[:, 3]], axis=1) > 0
            right.append((answers == np.asarray(y)).mean(axis=0))
    np.testing.assert_allclose(found.loc["as many units at random"], np.mean(right, axis=0), atol=1e-12)
    np.testing.assert_allclose(found.loc["always no"], 1 - np.asarray(y).mean(axis=0), atol=1e-6)
    assert found.index.tolist() == ["none", "0 (2 units)", "1 (1 units)", *found.index[-2:]]


def test_all_units_drawn_at_random_are_the_one_module():
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(2))
    model = Sum()
    found = tables.lesions(model, "layer", np.zeros(4, dtype=int), x, (model(x) > 0).float())
    np.testing.assert_allclose(found.loc["as many units at random"], found.loc["0 (4 units)"])


def test_every_kind_of_model_is_on_record_with_what_came_of_it():
    measured, refused = tables.kinds("measured"), tables.kinds("refused")
    record = pd.read_csv(tables.KINDS, keep_default_na=False)
    for outcome, groups in (("measured", measured), ("refused", refused)):
        listed = [(kind, outcome, said) for said, kinds in groups.items() for kind in kinds]
        rows = record[record.outcome == outcome].itertuples(index=False, name=None)
        assert sorted(listed) == sorted(rows)
    assert sum(map(len, measured.values())) >= 25
    assert sum(map(len, refused.values())) >= 15
    assert set(measured) >= {"all measures", "all but input_grad"}


def test_a_refusal_names_all_kinds_that_it_is_said_of():
    table = tables.refusals()
    assert table["the error says"].str.contains(" must |layer |model ", regex=True).all()
    groups = tables.kinds("refused")
    for row in table.itertuples(index=False):
        assert row[1].split("; ") == groups[row[0]]
    assert len(table) == len(groups)
