"""Every deviation from the paper, in words, with the numbers that say what it changes."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from modlib.book.chapters.choices import tables as choices
from modlib.book.chapters.deviations import tables as deviations
from modlib.book.chapters.deviations.tables import Numbers
from modlib.book.number_format import format_number
from modlib.paper.released_code import Tried


@dataclass(frozen=True)
class Deviation:
    """A deviation; `change` names numbers of the chapter's `tables` (without their prefix) in braces."""

    what: str
    theirs: str
    ours: str
    change: str


DEVIATIONS = (
    Deviation(
        "training protocol",
        "The figures show arXiv v1: 500 epochs at a constant rate, weights of the last epoch.",
        "The final version's by default: the rate falls, training stops, the best weights are kept. "
        "base-v1 trains by theirs.",
        "Half of our Q lie within {q_distance_v1:.3f} of the figures by arXiv v1, within "
        "{q_distance_final:.3f} by the final protocol. arXiv v1 less final changes mean Q by "
        "{q_change_dropout_protocol:+.3f} under dropout, {q_change_l1_protocol:+.3f} under L1 and "
        "{q_change_l2_protocol:+.3f} under L2.",
    ),
    Deviation(
        "noise of dropout",
        "What the generator gives each network.",
        "One noise for all networks of a seed, each with its own threshold.",
        "No mean. Over seeds, Q at two levels of dropout correlates by {noise_dropout_final:.2f}, at two "
        "levels of one weight penalty by {noise_weights_final:.2f}, at one of each by "
        "{noise_between_final:.2f} (final protocol).",
    ),
    Deviation(
        "random numbers",
        "Streams of their own.",
        "Streams of our own.",
        "Networks cannot be compared one by one, only means over seeds. Not measurable.",
    ),
    Deviation(
        "seeds of the wide and the deep networks",
        "3 of each.",
        "{seeds_wide} of the wide, {seeds_deep} of the deep.",
        "With three seeds, the interval of the gain in Q would be {q_wider_wide:.1f} times as long for the "
        "wide networks, and that of agreement within less across {agreement_wider_wide:.1f} times.",
    ),
    Deviation(
        "untrained networks",
        "500 in arXiv v1, 100 in the final version.",
        "{untrained_final:.0f} beside base and base-v1, fewer beside other experiments.",
        "Standard error of a mean Q: {untrained_error_paper_final:.4f} with theirs, for the difference "
        "between theirs and ours {untrained_error_final:.4f}. The difference itself: "
        "{untrained_difference_final:+.4f} on average, {untrained_largest_final:.4f} at most.",
    ),
    Deviation(
        "convolutional networks on CIFAR-10",
        "In the final version.",
        "Not done.",
        "Not measured. Nothing in this book speaks of convolutional networks.",
    ),
    Deviation(
        "modules of both layers together",
        "A variant whose code clusters the matrix of a single layer by mistake.",
        "Not reproduced.",
        "Not measured.",
    ),
    Deviation(
        "covariance",
        "E[hhᵀ] − E[h]E[h]ᵀ in single precision.",
        "Centred activations in double precision.",
        "Of {live_units} units of the kept networks {live_poor} have a variance off by more than 1 %, "
        "{live_always_on} of them active for every image; {live_lost} lose it altogether, in "
        "{live_lost_networks} of {live_networks} networks. Q of the normalised graph changes by "
        "{live_covariance_q:.3f} at most.",
    ),
    Deviation(
        "diagonal of the normalised Hessian",
        "By automatic differentiation; divides by the root of whatever is there.",
        "A closed form that cannot be negative.",
        "Of {live_hessian_units} entries in the kept networks {live_hessian_closed} are 0 or less by the "
        "closed form, {live_hessian_autograd} by automatic differentiation in single precision.",
    ),
    Deviation(
        "scale of the Hessian",
        "A hundredth, its loss being a mean over batches of 100.",
        "Per image.",
        "Q does not depend on scale: it changes by {live_rescaled}.",
    ),
    Deviation(
        "Hessian in the figures",
        "Left out in the final version, not in arXiv v1.",
        "Kept.",
        "Leaving it out changes ECS within downstream from {ecs_downstream_final:.2f} to "
        "{ecs_downstream_no_hessian_final:.2f} (one pair of graphs is left) and across families from "
        "{ecs_across_final:.2f} to {ecs_across_no_hessian_final:.2f} (final protocol); the gain of "
        "dropout over weight penalties in Q from {q_effect_final:.3f} to {q_effect_no_hessian_final:.3f}.",
    ),
    Deviation(
        "first split of the search",
        "By the eigenvector of the largest eigenvalue in size, without the correction for subgroups.",
        "Not used; as an optimiser of its own, Newman's.",
        "The largest eigenvalue in size is negative for {live_negative} of {live_graphs} graphs of the "
        "kept networks. Splitting these by its vector gives Q of {live_q_absolute:.3f} on average, by "
        "Newman's {live_q_newman:.3f}.",
    ),
    Deviation(
        "search for modules",
        "That start, then one Monte Carlo chain of 5,000 moves.",
        "Best of 20 Leiden runs and 19 kicked ones.",
        "Monte Carlo's Q (from Newman's start) is {choices_q_percent_monte_carlo:+.1f} % of ours away, "
        "and reaches ours for {choices_equal_or_better_monte_carlo:.0f} % of graphs. ECS by it is "
        "{choices_ecs_upstream_monte_carlo:.2f} within upstream, {choices_ecs_downstream_monte_carlo:.2f} "
        "within downstream and {choices_ecs_across_monte_carlo:.2f} across, by Leiden "
        "{choices_ecs_upstream_default:.2f}, {choices_ecs_downstream_default:.2f} and "
        "{choices_ecs_across_default:.2f} (close-up). For {live_untrained_networks} untrained networks, "
        "ECS lies {live_untrained_leiden:.3f} from the paper's by Leiden, "
        "{live_untrained_monte_carlo:.3f} by Monte Carlo.",
    ),
    Deviation(
        "dead units",
        "All in one module, which measures share.",
        "Left out of every comparison.",
        "By arXiv v1, our ECS of trained networks lies {ecs_distance_v1:.3f} from the figures on average, "
        "and {ecs_distance_shared_v1:.3f} by their rule. Their rule changes ECS within upstream from "
        "{ecs_upstream_v1:.2f} to {ecs_upstream_shared_v1:.2f}, across from {ecs_across_v1:.2f} to "
        "{ecs_across_shared_v1:.2f}, and the difference within less across from {agreement_effect_v1:.2f} "
        "to {agreement_effect_shared_v1:.2f}. Final protocol: {agreement_effect_final:.2f} to "
        "{agreement_effect_shared_final:.2f}.",
    ),
    Deviation(
        "matching of modules",
        "Greedy.",
        "Exact.",
        "Ours is larger for {matching_differs_percent_final:.0f} % of pairs, by "
        "{matching_excess_final:.4f} on average over all and {matching_largest_final:.2f} at most (final "
        "protocol).",
    ),
    Deviation(
        "permutation tests",
        "p is the share of draws that reach the value.",
        "The value itself counts as a draw: the +1 (Phipson & Smyth 2010).",
        "Of our {p_tests_base_v1} tests against nulls (base-v1, {p_draws_base_v1:.0f} draws) "
        "{p_zero_percent_base_v1:.0f} % would read p = 0; they read {p_least_base_v1:.3f}.",
    ),
)


def table(profile: str, tried: Tried) -> pd.DataFrame:
    """Deviations in words: `what`, `theirs`, `ours`, and `change` with its numbers filled in.

    Parameters
    ----------
    profile
        ``"quick"`` or ``"paper"``.
    tried
        Quirks of the released code, as `modlib.paper.released_code.try_all` measured them.
    """
    found = {key.removeprefix("deviations_"): value for key, value in deviations.numbers(profile).items()}
    return filled({**found, **choices.numbers(profile), **live(tried)})


def live(tried: Tried) -> Numbers:
    """Numbers of what was tried, by the names that `DEVIATIONS` uses."""
    covariance, hessian, agreement = tried.covariances, tried.hessians, tried.untrained
    rescaled = "rounding only" if tried.rescaled < choices.EQUAL else f"{tried.rescaled:.1g} at most"
    negative = tried.splits[tried.splits.negative]
    return {
        "live_networks": int(covariance.network.nunique()),
        "live_units": int(covariance.units.sum()),
        "live_lost": int(covariance.lost.sum()),
        "live_poor": int(covariance.poor.sum()),
        "live_always_on": int(covariance.always_on.sum()),
        "live_lost_networks": int(covariance[covariance.lost > 0].network.nunique()),
        "live_covariance_q": float(covariance.q_change.abs().max()),
        "live_hessian_units": int(hessian.units.sum()),
        "live_hessian_closed": int(hessian.closed_form.sum()),
        "live_hessian_autograd": int(hessian.autograd.sum()),
        "live_rescaled": rescaled,
        "live_graphs": len(tried.splits),
        "live_negative": len(negative),
        "live_q_absolute": float(negative.q_absolute.mean()) if len(negative) else None,
        "live_q_newman": float(negative.q_newman.mean()) if len(negative) else None,
        "live_untrained_networks": tried.untrained_networks,
        "live_untrained_leiden": float((agreement.stored - agreement.paper).abs().mean()),
        "live_untrained_monte_carlo": float((agreement.other - agreement.paper).abs().mean()),
    }


def filled(numbers: Mapping[str, float | int | str | None]) -> pd.DataFrame:
    """Fill numbers into `DEVIATIONS`; a number that is None, or not there, reads ``n/a``."""
    form = _Form()
    rows = [
        (d.what, d.theirs, form.vformat(d.ours, (), numbers), form.vformat(d.change, (), numbers))
        for d in DEVIATIONS
    ]
    return pd.DataFrame(rows, columns=["what", "theirs", "ours", "change"])


class _Form(string.Formatter):
    """Format numbers as the prose does, one that is missing as ``n/a``."""

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        return kwargs.get(key)

    def format_field(self, value: Any, format_spec: str) -> str:
        return format_number(value, format_spec)
