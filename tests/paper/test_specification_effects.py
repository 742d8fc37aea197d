"""Effects of made-up tables are those that were put in, and whatever reverses them is named."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from modlib.measures import VARIANTS
from modlib.paper import specification_effects
from modlib.paper.multiverse import AGREEMENT_EFFECT
from modlib.paper.simulations import specifications
from modlib.paper.simulations.specifications import LEVELS, SPECIFICATION
from modlib.paper.specification_effects import ACROSS, LEAD, beside_default, effects, reversals

SEEDS = 5
#: Q less its null of upstream graphs; of downstream ones it is half as much.
EXCESS = {
    ("l2", 1e-5): 0.02, ("l2", 1e-3): 0.06, ("l2", 1e-2): 0.9, ("l1", 1e-3): 0.10,
    ("dropout", 0.5): 0.20, ("dropout", 0.7): 0.30,
}  # fmt: skip
ACCURACY = {("l2", 1e-2): 0.90, ("dropout", 0.7): 0.95}  # of the others .98: L2 1e-2 is out of the match
OFFSET = 0.01 * (np.arange(SEEDS) - 2)  # of the seeds, mean 0
AMI = {"upstream": 0.6, "downstream": 0.4, "across": 0.1}
DEFAULT, OTHER = ("modularity", "absolute", 1.0), ("modularity", "signed", 2.0)


def tables(factor=1.0, *, specification=DEFAULT, experiment="fashion", noise=0.0):
    """Modules, agreement and networks; `factor` multiplies all that should be found."""
    rng = np.random.default_rng(0)
    modules, agreement, networks = [], [], []
    head = dict(zip(SPECIFICATION, specification, strict=True)) | {"experiment": experiment}
    for level, seed in product(LEVELS, range(SEEDS)):
        name, key = level.network_name(seed), (level.regularizer, level.strength)
        networks.append(
            {"experiment": experiment, "network": name, "regularizer": key[0], "strength": key[1]}
            | {"seed": seed, "trained": True, "test_accuracy": ACCURACY.get(key, 0.98)}
        )
        for layer in (1, 2):
            place = head | {"network": name, "layer": layer}
            for measure, normalized in VARIANTS:
                half = 1.0 if measure.startswith("input") else 0.5
                null = 0.1 + 0.5 * EXCESS[key]  # so that Q alone would not do
                q = null + factor * half * EXCESS[key] + OFFSET[seed] + noise * rng.standard_normal()
                graph = {"measure": measure, "normalized": normalized, "q": q, "null_q": null}
                one = layer == 2 and seed == 0 and measure == "input_cov"
                modules.append(place | graph | {"units": 64, "n_modules": 1 if one else 4})
            for pair, ami in AMI.items():
                value = factor * (ami + (0.1 if key == ("dropout", 0.7) and pair == "across" else 0.0))
                value += OFFSET[seed] + noise * rng.standard_normal() + 0.05 * (layer - 1.5)
                agreement.append(place | {"family_pair": pair, "ami": value, "compared": 4, "pairs": 4})
    return tuple(map(pd.DataFrame, (modules, agreement, networks)))


def joined(*worlds):
    modules, agreement, networks = (pd.concat(t, ignore_index=True) for t in zip(*worlds, strict=True))
    return modules, agreement, networks.drop_duplicates()


def found_in(table):
    return table.set_index(["effect", "at"])


def test_what_was_put_in_is_found():
    found = found_in(effects(*tables()))
    # The best penalty as accurate as dropout is L1; seeds differ in level, which the difference is free of.
    assert found.value[LEAD, "upstream"] == pytest.approx(0.30 - 0.10)
    assert found.value[LEAD, "downstream"] == pytest.approx((0.30 - 0.10) / 2)
    for at in ("plain", "dropout .5"):
        assert found.value[ACROSS, at] == pytest.approx(0.1)
        assert found.value[AGREEMENT_EFFECT, at] == pytest.approx(0.4)
    assert found.value[ACROSS, "dropout .7"] == pytest.approx(0.2)
    assert found.value[AGREEMENT_EFFECT, "dropout .7"] == pytest.approx(0.3)
    assert (found.n == SEEDS).all()
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    half = 2.7764 * np.std(OFFSET, ddof=1) / np.sqrt(SEEDS)  # Student's t with 4 degrees of freedom
    assert found.high[ACROSS, "plain"] == pytest.approx(0.1 + half, abs=1e-4)


def test_levels_that_are_less_accurate_than_dropout_are_out_unless_dropout_is_as_bad():
    modules, agreement, networks = tables()
    networks.loc[networks.strength == 0.7, "test_accuracy"] = 0.9
    found = found_in(effects(modules, agreement, networks))
    assert found.value[LEAD, "upstream"] == pytest.approx(0.30 - 0.90)


def test_graphs_in_one_module_are_counted():
    found = found_in(effects(*tables()))
    assert found.one_module[LEAD, "upstream"] == pytest.approx(1 / 5 / 4)
    assert found.one_module[LEAD, "downstream"] == 0
    assert found.one_module[ACROSS, "plain"] == pytest.approx(1 / 5 / 8)
    assert found.n_modules[LEAD, "downstream"] == 4
    assert (found.single_units == 0).all()


def test_layers_and_seeds_without_agreement_are_left_out():
    modules, agreement, networks = tables()
    gone = (agreement.family_pair == "upstream") & (agreement.layer == 1)
    agreement.loc[gone, "ami"] = np.nan
    found = found_in(effects(modules, agreement, networks))
    assert found.value[AGREEMENT_EFFECT, "plain"] == pytest.approx(0.4)  # of layer 2 alone, on both sides
    first = agreement.network.str.endswith("seed=0")
    agreement.loc[first, "ami"] = np.nan
    found = found_in(effects(modules, agreement, networks))
    assert found.n[ACROSS, "plain"] == SEEDS - 1
    agreement["ami"] = np.nan
    found = found_in(effects(modules, agreement, networks))
    assert found.n[ACROSS, "plain"] == 0
    assert np.isnan(found.value[ACROSS, "plain"])


def test_networks_that_do_not_take_part_do_not_count():
    modules, agreement, networks = tables()
    found = found_in(effects(modules, agreement, networks[networks.seed > 1]))
    assert (found.n == SEEDS - 2).all()
    without = found_in(effects(modules, agreement, networks[networks.strength != 0.7]))
    assert without.value[LEAD, "upstream"] == pytest.approx(0.20 - 0.10)
    assert without.n[ACROSS, "dropout .7"] == 0


def test_experiments_and_specifications_are_kept_apart():
    whole = effects(*joined(tables(), tables(0.5, specification=OTHER), tables(2.0, experiment="close-up")))
    q = whole[(whole.effect == LEAD) & (whole["at"] == "upstream")].set_index(["experiment", "setting"])
    assert q.value["fashion", 1.0] == pytest.approx(0.2)
    assert q.value["fashion", 2.0] == pytest.approx(0.1)
    assert q.value["close-up", 1.0] == pytest.approx(0.4)


def test_the_specifications_that_reverse_an_effect_are_named():
    reversed_one = tables(-1.0, specification=OTHER)
    found = effects(*joined(tables(), reversed_one, tables(experiment="close-up")))
    named = reversals(found)
    assert set(named.experiment) == {"fashion"}
    assert set(named[SPECIFICATION].itertuples(index=False, name=None)) == {OTHER}
    # At −1 every effect is reversed; the best of the reversed levels are other ones.
    assert set(named[named.effect == ACROSS]["at"]) == {"plain", "dropout .5", "dropout .7"}
    row = named[(named.effect == ACROSS) & (named["at"] == "plain")].iloc[0]
    assert row.value == pytest.approx(-0.1)
    assert row.default == pytest.approx(0.1)
    assert row.default_low < row.default < row.default_high


def test_a_sign_that_is_not_clear_reverses_nothing():
    found = effects(*joined(tables(), tables(-0.1, specification=OTHER, noise=0.3)))
    across = found[(found.effect == ACROSS) & (found["at"] == "plain") & (found.sign == "signed")]
    assert (across.low < 0).all()
    assert (across.high > 0).all()
    named = reversals(found)
    assert ACROSS not in set(named[named["at"] == "plain"].effect)


def test_a_default_whose_sign_is_not_clear_cannot_be_reversed():
    """Both of these worlds differ clearly from 0 by the other way, and only one of the defaults does."""
    key = {"effect": LEAD, "at": "downstream", "n": 9, "p": 0.01}
    rows = [
        # default: −.01, within ± .02 of which 0 lies; the other way leads clearly
        ("close-up", *DEFAULT, -0.01, -0.03, 0.01), ("close-up", *OTHER, 0.05, 0.03, 0.07),
        ("fashion", *DEFAULT, -0.05, -0.07, -0.03), ("fashion", *OTHER, 0.05, 0.03, 0.07),
    ]  # fmt: skip
    found = pd.DataFrame(rows, columns=["experiment", *SPECIFICATION, "value", "low", "high"]).assign(**key)
    named = reversals(found)
    assert list(named.experiment) == ["fashion"]
    assert (named.default.item(), named.default_low.item(), named.default_high.item()) == (
        -0.05,
        -0.07,
        -0.03,
    )
    assert list(beside_default(found).experiment) == ["fashion"]  # of the other ways, that alone can reverse
    touching = found.assign(high=found.high.where(found.value != -0.05, 0.0))  # an interval that ends at 0
    assert reversals(touching).empty


def test_written_effects_are_read_again(tmp_path, monkeypatch):
    modules, agreement, networks = tables()
    both = {"modules": modules, "agreement": agreement}
    monkeypatch.setattr(specifications, "read", lambda name, folder: both[name])
    specification_effects.write(tmp_path, networks)
    expected = effects(modules, agreement, networks)
    found = specification_effects.read(tmp_path).astype(expected.dtypes)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-12)
