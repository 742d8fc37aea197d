"""Reliability of partitions and the ceiling that it puts on agreement, on made-up tables."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic

from modlib.measures import VARIANTS
from modlib.paper import reliability

OF_MEASURE = {"input_cov": 0.64, "input_grad": 0.36, "output_grad": 0.25, "output_hess": -0.1}


@pytest.fixture
def results():
    """Make results whose reliability is that of the measure, and half as high again at strong dropout."""
    found = synthetic.results(accuracy={("l1", 1e-3, seed): 0.3 for seed in range(3)})
    strong = found.modules.network.str.startswith("dropout=0.6")
    values = found.modules.measure.map(OF_MEASURE) * np.where(strong, 1.5, 1.0)
    return replace(found, modules=found.modules.assign(reliability=values))


def test_reliability_is_a_mean_by_level_and_measure(results):
    table = reliability.by_measure(results).set_index(["regularizer", "strength", "measure"])
    assert table.reliability["l2", 1e-5, "input_cov"] == pytest.approx(0.64)
    assert table.reliability["dropout", 0.6, "input_grad"] == pytest.approx(0.54)
    assert table.seeds["l2", 1e-5, "input_cov"] == 3
    assert ("l1", 1e-3, "input_cov") not in table.index  # networks that did not learn take no part


def test_a_ceiling_is_the_geometric_mean_of_two_reliabilities_of_different_measures(results):
    table = reliability.ceilings(results).set_index(["regularizer", "strength", "family_pair", "seed"])
    plain = table.loc["l2", 1e-5]
    assert plain.ceiling["upstream", 0] == pytest.approx(0.8 * 0.6)
    assert plain.ceiling["downstream", 0] == 0  # what agrees less than chance leaves no room
    # across: two measures with the output gradient, and two with the Hessian, which leave no room
    assert plain.ceiling["across", 0] == pytest.approx((0.8 * 0.5 + 0.6 * 0.5 + 0 + 0) / 4)
    assert table.loc["dropout", 0.6].ceiling["upstream", 2] == pytest.approx(0.8 * 0.6 * 1.5)
    for seed, offset in synthetic.OFFSET.items():
        agreement = synthetic.ECS["upstream"] + offset
        assert plain.ami["upstream", seed] == pytest.approx(agreement)
        assert plain.ratio["upstream", seed] == pytest.approx(agreement / 0.48)


def test_raw_and_normalised_graphs_have_ceilings_of_their_own(results):
    modules = results.modules
    raised = np.where(modules.normalized, modules.reliability, 0.81)
    table = reliability.ceilings(replace(results, modules=modules.assign(reliability=raised)))
    found = table.set_index(["regularizer", "strength", "family_pair", "seed"]).ceiling
    pairs = [0.9 * 0.9, 0.9 * 0.6, 0.8 * 0.9, 0.8 * 0.6]  # raw or normalised on either side
    assert found["l2", 1e-5, "upstream", 1] == pytest.approx(np.mean(pairs))


def test_tables_without_reliabilities_give_no_rows(results):
    older = replace(results, modules=results.modules.assign(reliability=np.nan))
    assert reliability.by_measure(older).empty
    assert reliability.ceilings(older).empty
    assert len(reliability.by_measure(results)) == 5 * len({measure for measure, _ in VARIANTS})
