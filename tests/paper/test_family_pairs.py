"""Agreement within and across families, on made-up results whose answers are known."""

import numpy as np
import pandas as pd
import pytest
import synthetic

from modlib.measures import VARIANTS, family
from modlib.paper import family_pairs
from modlib.study import accuracy_filter


def test_agreement_matrix_is_symmetric_and_right():
    table = family_pairs.agreement_matrix(synthetic.results())
    assert len(table) == 2 * 64
    value = table.set_index(["trained", *accuracy_filter.PAIR]).ecs
    for i, (a, na) in enumerate(VARIANTS):
        for b, nb in VARIANTS[i:]:
            pair = family(a) if family(a) == family(b) else "across"
            expected = 1.0 if (a, na) == (b, nb) else synthetic.ECS[pair]
            assert value[True, a, na, b, nb] == value[True, b, nb, a, na] == pytest.approx(expected)


def test_pairs_of_one_measure_are_left_out_everywhere():
    found = synthetic.results()
    before = [make(found) for make in MAKERS]
    same = found.agreement.measure_a == found.agreement.measure_b
    assert same.mean() == 4 / 28
    found.agreement.loc[same, "ecs"] = 9.0
    for table, make in zip(before, MAKERS, strict=True):
        pd.testing.assert_frame_equal(make(found), table)


MAKERS = (
    lambda found: family_pairs.family_agreement(found, "ecs"),
    lambda found: family_pairs.agreement_by_level(found, "ecs"),
    lambda found: family_pairs.families_by_seed(found.agreement, found.networks, "ecs"),
)


def test_agreement_by_level_is_that_of_its_networks():
    found = synthetic.results()
    table = family_pairs.agreement_by_level(found, "ecs")
    kept = accuracy_filter.kept_networks(found)
    levels = set(kept[accuracy_filter.LEVEL].itertuples(index=False, name=None))
    assert set(table[accuracy_filter.LEVEL].itertuples(index=False, name=None)) == levels
    level = ("dropout", 0.6)
    moved = kept[(kept.regularizer == level[0]) & (kept.strength == level[1])].network
    found.agreement.loc[found.agreement.network.isin(moved), "ecs"] += 0.2
    after = family_pairs.agreement_by_level(found, "ecs")
    here = (table.regularizer == level[0]) & (table.strength == level[1])
    np.testing.assert_allclose(after.ecs - table.ecs, np.where(here, 0.2, 0.0), atol=1e-12)


def test_family_agreement_by_layer():
    table = family_pairs.family_agreement(synthetic.results(), "ecs")
    assert set(table.layer) == {0, 1, 2}
    for row in table[table.trained].to_dict("records"):
        assert row["ecs"] == pytest.approx(synthetic.ECS[row["family_pair"]])
    untrained = table[~table.trained]
    np.testing.assert_allclose(untrained.ecs, untrained.family_pair.map(synthetic.ECS) - 0.1)


def test_the_order_of_rows_does_not_matter():
    a, b = (
        family_pairs.family_agreement(r, "ecs")
        for r in (synthetic.results(), synthetic.shuffled(synthetic.results()))
    )
    keys = [c for c in a.columns if a[c].dtype.kind != "f" or c == "strength"]
    a, b = (t.sort_values(keys).reset_index(drop=True) for t in (a, b))
    for column in a.select_dtypes("float"):
        np.testing.assert_allclose(a[column], b[column])


def test_agreement_of_families_by_seed():
    found = synthetic.results()
    kept = accuracy_filter.kept_networks(found)
    table = family_pairs.families_by_seed(found.agreement, kept[kept.trained], "ecs")
    assert len(table) == 2 * 3
    for row in table.to_dict("records"):
        for pair, value in synthetic.ECS.items():
            assert row[pair] == pytest.approx(value + synthetic.OFFSET[row["seed"]])
    whole = family_pairs.families_by_seed(found.agreement, kept[kept.trained], "ecs", by_layer=False)
    assert whole.seed.tolist() == [0, 1, 2]
    assert family_pairs.families_by_seed(found.agreement, kept[~kept.trained], "ecs").seed.nunique() == 4


def test_untrained_networks_of_the_seeds_that_were_trained_are_left_out():
    untrained = pd.DataFrame({"seed": [0, 1, 2, 3, 4], "network": list("abcde")})
    trained = pd.DataFrame({"seed": [0, 0, 2, 2, 7]})
    assert family_pairs.other_seeds(untrained, trained).network.to_list() == ["b", "d", "e"]
    assert family_pairs.other_seeds(untrained, trained[:0]).equals(untrained)
