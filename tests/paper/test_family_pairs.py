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


def test_pairs_of_one_measure_can_be_left_out():
    found = synthetic.results()
    same = found.agreement.measure_a == found.agreement.measure_b
    found.agreement.loc[same, "ecs"] += 0.3
    both = [
        family_pairs.family_agreement(found, distinct=d).query("trained and layer == 0")
        for d in (False, True)
    ]
    every, distinct = (t.set_index("family_pair").ecs for t in both)
    for pair in ("upstream", "downstream"):
        assert distinct[pair] == pytest.approx(synthetic.ECS[pair])
        assert every[pair] == pytest.approx(synthetic.ECS[pair] + 0.1)  # two pairs of six
    assert every["across"] == distinct["across"]


def test_family_agreement_by_layer():
    table = family_pairs.family_agreement(synthetic.results())
    assert set(table.layer) == {0, 1, 2}
    for row in table[table.trained].to_dict("records"):
        assert row["ecs"] == pytest.approx(synthetic.ECS[row["family_pair"]])
    untrained = table[~table.trained]
    np.testing.assert_allclose(untrained.ecs, untrained.family_pair.map(synthetic.ECS) - 0.1)


def test_the_order_of_rows_does_not_matter():
    a, b = (
        family_pairs.family_agreement(r)
        for r in (synthetic.results(), synthetic.shuffled(synthetic.results()))
    )
    keys = [c for c in a.columns if a[c].dtype.kind != "f" or c == "strength"]
    a, b = (t.sort_values(keys).reset_index(drop=True) for t in (a, b))
    for column in a.select_dtypes("float"):
        np.testing.assert_allclose(a[column], b[column])


def test_agreement_of_families_by_seed():
    found = synthetic.results()
    kept = accuracy_filter.kept_networks(found)
    table = family_pairs.families_by_seed(found.agreement, kept[kept.trained])
    assert len(table) == 2 * 3
    for row in table.to_dict("records"):
        for pair, value in synthetic.ECS.items():
            assert row[pair] == pytest.approx(value + synthetic.OFFSET[row["seed"]])
    whole = family_pairs.families_by_seed(found.agreement, kept[kept.trained], by_layer=False)
    assert whole.seed.tolist() == [0, 1, 2]
    assert family_pairs.families_by_seed(found.agreement, kept[~kept.trained]).seed.nunique() == 4


def test_untrained_networks_of_the_seeds_that_were_trained_are_left_out():
    untrained = pd.DataFrame({"seed": [0, 1, 2, 3, 4], "network": list("abcde")})
    trained = pd.DataFrame({"seed": [0, 0, 2, 2, 7]})
    assert family_pairs.other_seeds(untrained, trained).network.to_list() == ["b", "d", "e"]
    assert family_pairs.other_seeds(untrained, trained[:0]).equals(untrained)
