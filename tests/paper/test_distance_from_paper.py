"""The distance from the paper's figures."""

import pytest
import synthetic

from modlib.paper import distance_from_paper, published


def test_the_papers_values_are_joined_to_ours_by_level():
    """Ours set to the paper's value plus a constant: every point is found, and the constant comes back."""
    found = synthetic.results()
    theirs = published.q()
    row = theirs[(theirs.regularizer == "l1") & (theirs.strength == 1e-3)].iloc[0]
    here = (found.modules.layer == row.layer) & (found.modules.measure == row.measure)
    here &= (found.modules.normalized == row.normalized) & found.modules.network.str.startswith("l1=0.001,")
    found.modules.loc[here, "q"] = row.q + 0.25
    both = distance_from_paper.q_beside_paper(found)
    point = both[
        (both.layer == row.layer)
        & (both.measure == row.measure)
        & (both.normalized == row.normalized)
        & (both.regularizer == "l1")
    ]
    assert point.difference.to_list() == pytest.approx([0.25])
    assert len(both) == 16 * 5  # the paper has a point for each of our five levels
