"""Which networks take part."""

import pytest
import synthetic

from modlib.study.accuracy_filter import kept_networks


def test_networks_below_the_filter_are_dropped():
    found = synthetic.results(accuracy={("l2", 1e-2, 0): 0.79})
    kept = kept_networks(found)
    assert set(found.networks.network) - set(kept.network) == {"l2=0.01,seed=0"}


def test_a_level_goes_when_more_than_half_of_it_fails():
    found = synthetic.results(accuracy={("l2", 1e-2, 0): 0.5, ("l2", 1e-2, 1): 0.5})
    kept = kept_networks(found)
    assert not ((kept.regularizer == "l2") & (kept.strength == 1e-2)).any()
    assert len(kept) == len(found.networks) - 3


def test_untrained_networks_need_no_accuracy():
    kept = kept_networks(synthetic.results())
    assert (~kept.trained).sum() == 4


def test_another_threshold_draws_another_line():
    accuracy = {("l2", 1e-2, 0): 0.79, ("dropout", 0.6, 0): 0.9, ("dropout", 0.6, 1): 0.9}
    found = synthetic.results(accuracy=accuracy)
    for least, lost in ((0.0, 0), (0.79, 0), (0.8, 1), (0.9, 1), (0.91, 1 + 3), (1.0, 15)):
        assert len(kept_networks(found, min_accuracy=least)) == len(found.networks) - lost


@pytest.mark.parametrize("least", [-0.1, 80.0, float("nan")])
def test_a_threshold_that_is_no_accuracy_is_refused(least):
    with pytest.raises(ValueError, match="min_accuracy must be finite and at least 0 and at most 1, got"):
        kept_networks(synthetic.results(), min_accuracy=least)
