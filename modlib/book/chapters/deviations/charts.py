"""What deviations from the paper change: steps tried on networks at hand, and charts of a closer look."""

import altair as alt
import pandas as pd
from IPython.display import HTML

from modlib.book import theme
from modlib.book.against_paper import Comparison, ecs_like_for_like
from modlib.book.chapters.deviations import tables as deviations
from modlib.book.html_table import text_table
from modlib.book.number_format import format_number
from modlib.book.theme import FAMILY_COLOURS, described, estimate, panels, scale_of
from modlib.paper import distance_from_paper, family_pairs, graph_names
from modlib.study.accuracy_filter import LEVEL
from modlib.study.runner import run
from modlib.study.store import Results

SMALL = 1e-5  # what single precision may get wrong anywhere
ROUNDING = 1e-9  # and double precision


def tried(
    covariances: pd.DataFrame,
    hessians: pd.DataFrame,
    splits: pd.DataFrame,
    rescaled: float,
    untrained: pd.DataFrame,
) -> HTML:
    """Sum up what the functions of `modlib.paper.released_code` found in networks at hand, for reading."""
    losing = covariances[covariances.lost > 0]
    negative = splits[splits.negative]
    same = untrained.measure_a == untrained.measure_b
    searches = {"Leiden": "stored", "Monte Carlo": "other"}
    away = {name: (untrained[by] - untrained.paper).abs() for name, by in searches.items()}
    found: dict[str, dict[str, object]] = {
        "covariance": {
            "units of the kept networks": covariances.units.sum(),
            "of these, with a variance off by more than 1 %": covariances.poor.sum(),
            "of those, active for every image": covariances.always_on.sum(),
            "units that lose their variance": covariances.lost.sum(),
            "kept networks": covariances.network.nunique(),
            "of these, with units that lose it": losing.network.nunique(),
            "largest change of Q, normalised graphs": covariances.q_change.abs().max(),
        },
        "normalised Hessian": {
            "diagonal entries in the kept networks": hessians.units.sum(),
            "of 0 or less, closed form": hessians.closed_form.sum(),
            "of 0 or less, automatic differentiation": hessians.autograd.sum(),
        },
        "scale of the Hessian": {"largest change of Q": rescaled if rescaled > ROUNDING else "rounding only"},
        "first split": {
            "graphs of the kept networks": len(splits),
            "of these, largest eigenvalue in size negative": len(negative),
            "mean Q of these, by its vector": negative.q_absolute.mean(),
            "mean Q of these, by Newman's": negative.q_newman.mean(),
        },
        "search for modules": {
            f"distance of untrained ECS from the paper's, {pairs}: {name}": distance[chosen].mean()
            for pairs, chosen in (("different measures", ~same), ("a measure with itself", same))
            for name, distance in away.items()
        },
    }
    rows = [
        (deviation, measured, f"{value:.3f}" if isinstance(value, float) else str(value))
        for deviation, values in found.items()
        for measured, value in values.items()
    ]
    table = pd.DataFrame(rows, columns=["deviation", "measured", "value"])
    table["value"] = table.value.str.replace("-", "−").replace("nan", "n/a")
    return text_table(table, (6, 12, 4))


def pairs(untrained: pd.DataFrame, count: int = 8) -> pd.DataFrame:
    """Pairs of graphs of `released_code.untrained_agreement` that hang on the search most, for reading.

    Pairs of a measure with its own normalised form are left out.
    """
    untrained = family_pairs.distinct(untrained)
    step = (untrained.stored - untrained.other).abs()
    table = untrained.loc[step.nlargest(count).index]
    for side in ("a", "b"):
        keys = table[[f"measure_{side}", f"normalized_{side}"]].itertuples(index=False)
        table[f"graph {side}"] = [graph_names.variant_name(*key) for key in keys]
    columns = {"stored": "Leiden", "other": "Monte Carlo", "paper": "the paper"}
    return table.set_index(["graph a", "graph b"])[[*columns]].rename(columns=columns).round(3)


def digits(covariances: pd.DataFrame) -> pd.DataFrame:
    """`released_code.covariances` for reading: what is a matter of the last digits only says so."""
    table = covariances.set_index(["network", "layer"])
    error = [f"{value:.2g}" if value >= SMALL else "< 10⁻⁵" for value in table.largest_error]
    change = [format_number(value, "+.3f") if abs(value) >= SMALL else "0" for value in table.q_change]
    table = table.assign(largest_error=error, q=table.q.round(3), q_change=change)
    named = {"always_on": "always on", "largest_error": "largest error", "q": "Q", "q_change": "ΔQ"}
    return table.rename(columns=named)


def splits(first: pd.DataFrame) -> pd.DataFrame:
    """Graphs of `released_code.first_splits` that are split by an eigenvalue below zero, for reading."""
    table = graph_names.with_graph_names(first[first.negative]).drop(columns="negative")
    named = {"q_absolute": "Q, largest in size", "q_newman": "Q, most positive"}
    return table.set_index(["network", "graph"]).rename(columns=named).round(3)


def dead_units_of_figures(profile: str, *, name: str, caption: str) -> alt.FacetChart:
    """`dead_units` for the protocol of the paper's figures, or, until it is stored, for the final one."""
    like = distance_from_paper.has_like_for_like(profile)
    protocol = "arXiv v1 protocol, that of the paper's figures" if like else "final protocol"
    results = run("base-v1" if like else "base", profile=profile)
    return dead_units(results, name=name, caption=f"{caption} Networks by the {protocol}.".strip())


def ecs_by_their_rule(profile: str, *, name: str = "") -> Comparison:
    """Our element-centric similarity with all dead units in one module, against the paper's.

    Pairs of a measure with its own normalised form are left out.
    """

    def recomputed(results: Results) -> Results:
        return deviations.different_measures(deviations.with_shared_dead_units(results))

    rule = " of different measures, with all dead units in one module"
    return ecs_like_for_like(profile, recomputed, rule=rule, name=name)


@described(
    "Element-centric similarity within upstream, within downstream and across families against the strength "
    "of dropout, L1 and L2, once with dead units left out and once with all of them in one module."
)
def dead_units(results: Results) -> alt.FacetChart:
    """Element-centric similarity by level of regularisation, dead units left out or in a shared module."""
    rows = deviations.ecs_by_level(results).merge(deviations.dead_units(results), on=LEVEL)
    rows = theme.on_strength_axis(rows).drop(columns="regularizer")
    rows = rows.round({"ecs": 4, "low": 4, "high": 4, "dead": 2})
    colour = theme.family_colour()
    low = alt.Y("low:Q", title="ECS")
    y = alt.Y("ecs:Q", title="ECS", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4))
    base = alt.Chart().encode(x=theme.strength_axis())
    shared = "datum.rule == 'one shared module'"
    rule = base.mark_rule(strokeWidth=1.5).encode(y=low, y2="high:Q", color=colour)
    dash = alt.condition(shared, alt.value([4, 3]), alt.value([1, 0]))
    line = base.mark_line(strokeWidth=1.5).encode(y=y, color=colour, detail="rule:N", strokeDash=dash)
    shapes = scale_of(dict(zip(deviations.RULES, ("circle", "square"), strict=True)))
    point = base.mark_point(size=38, strokeWidth=1.3).encode(
        y=y,
        stroke=colour,
        shape=alt.Shape("rule:N", scale=shapes, legend=theme.rings("dead units")),
        tooltip=[
            *(theme.FAMILIES_TIP, alt.Tooltip("rule:N", title="dead units"), theme.REGULARIZER_TIP),
            *(theme.STRENGTH_TIP, *estimate("ecs", "ECS"), "seeds:Q"),
            alt.Tooltip("dead:Q", title="dead units a graph, upstream", format=".1f"),
        ],
    )
    return panels(
        *(rule, line, point),
        data=rows,
        size=(165, 110),
        independent="x",
        row=alt.Row("family_pair:N", sort=list(FAMILY_COLOURS), header=theme.HEADER),
        column=theme.BY_REGULARIZER,
        spacing=theme.GAPS,
    )
