"""The tables and the chart of the verdict: words and marks, which need neither colour nor script."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from IPython.display import HTML
from jinja2 import Environment
from markupsafe import Markup

from modlib.book.chapters.verdict.tables import (
    NO_DATA,
    changed,
    contradicted,
    every_verdict,
    on_new_seeds,
    with_paper_value,
)
from modlib.book.theme import (
    GREY,
    INTERVAL_TIP,
    SERIES_COLOURS,
    VALUE_TIP,
    Layered,
    described,
    scale_of,
    with_interval,
)
from modlib.paper.claims import BOTH_LABELS, CLAIMS, CLOSE_UP, PRIMARY, TESTED_IN, Claim
from modlib.paper.new_seeds import NEW_SEEDS

MARKS = {"holds": "✓", "holds in part": "◐", "does not hold": "✗", "cannot be said": "?", NO_DATA: "…"}
OUTCOME_MARKS = {"supported": "✓", "contradicted": "✗", "undecided": "?", "no data": "…"}
#: Outcomes in the order in which those on new seeds are reported (the plan asks for it).
_REPORTED = ("contradicted", "undecided", "supported", "no data")
CLAIMED = {
    "above": "more than {:.3g}",
    "below": "less than {:.3g}",
    "within": "within ±{:.3g}",
    "not above": "less than {:.3g}",
}
#: What stands for an experiment in the claim about two of them, in words.
NAMES = {BOTH_LABELS: "true labels against shuffled ones"}
#: Experiments about which few claims are, which have a table of verdicts to themselves.
OTHER_TABLES = (CLOSE_UP, BOTH_LABELS)
#: How many of the items that contradict a claim in an experiment are named.
NAMED = 3
SERIES = {
    "base": "ours, final protocol",
    "base-v1": "ours, arXiv v1",
    "paper": "the paper's figures (arXiv v1)",
}
_COLOURS = dict(zip(SERIES.values(), (SERIES_COLOURS[0], SERIES_COLOURS[2], GREY), strict=True))
_SHAPES = dict(zip(SERIES.values(), ("circle", "square", "diamond"), strict=True))
#: What the axis of the chart beside the paper says, by whether an effect is one of agreement.
UNITS = {False: "difference in Q", True: "element-centric similarity"}
#: Effects that have one value in the paper's figures, in words of two lines.
_EFFECTS = {
    "dropout-raises-upstream": "dropout less none,|upstream",
    "dropout-raises-downstream": "dropout less none,|downstream",
    "penalties-raise-upstream": "best penalty less none,|upstream",
    "penalties-raise-downstream": "best penalty less none,|downstream",
    "dropout-leads-upstream": "dropout less penalty,|as accurate, upstream",
    "dropout-leads-downstream": "dropout less penalty,|as accurate, downstream",
    "dropout-leads-upstream-anywhere": "dropout less penalty,|all levels, upstream",
    "dropout-leads-downstream-anywhere": "dropout less penalty,|all levels, downstream",
    "upstream-agrees-well": "agreement within|upstream",
    "downstream-agrees-well": "agreement within|downstream",
    "across-agrees-little": "agreement across|families",
}
_STATEMENTS = {claim.id: claim.statement for claim in CLAIMS}
_NBSP = "\N{NO-BREAK SPACE}"
_BREAK = Markup("<br>")
#: A table that scrolls by itself, by keyboard too, where it is wider than the page.
_TABLE = Environment(autoescape=True).from_string(
    """\
{% set left = 'text-align: left; white-space: normal' -%}
<div role="region" tabindex="0" aria-label="{{ title }}" style="overflow-x: auto">\
<table class="dataframe"><caption style="caption-side: top; text-align: left">{{ title }}</caption>\
<thead><tr>{% for name in header %}<th scope="col" style="{{ left }}">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows -%}
<tr><th scope="row" style="{{ left }}; min-width: 9rem">{{ row[0] }}</th>\
{% for cell in row[1:] -%}
<td{% if cell == '–' %} class="modlib-none"{% endif %} style="{{ left }}">{{ cell }}</td>
{%- endfor %}</tr>
{% endfor %}</tbody></table></div>"""
)


def grid(items: pd.DataFrame) -> HTML:
    """Verdict on every claim in every experiment, on its old seeds and, where there are any, on new ones."""
    cells = _cells(items)
    of_others = [claim for claim in CLAIMS if {*OTHER_TABLES} & {*claim.experiments}]
    parts = [
        _table(
            title,
            ["claim", *map(_named, experiments)],
            [
                [claim.statement, *(_old_and_new(cells, claim, name) for name in experiments)]
                for claim in asked
            ],
        )
        for title, experiments, asked in (
            ("Verdicts, with the effect, or the items for : against, of all", TESTED_IN, CLAIMS),
            ("Claims asked of other tables", OTHER_TABLES, of_others),
        )
    ]
    return _html(Markup("\n").join(parts))


def in_short(items: pd.DataFrame) -> HTML:
    """Verdicts on the claims that both findings rest on, in base and elsewhere."""
    cells = _cells(items)
    header = ["claim", "base", *(name for name in TESTED_IN if name != "base")]
    rows = [
        [claim.statement, *(_old_and_new(cells, claim, name) for name in header[1:])]
        for claim in CLAIMS
        if claim.id in PRIMARY
    ]
    return _html(_table("Verdicts in short", header, rows))


def _cells(items: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Verdict on every claim in every experiment, with the effect, or the counts of its items."""
    single = items.groupby(["claim", "experiment"]).filter(lambda group: len(group) == 1)
    effects = {(row.claim, row.experiment): _interval(row) for row in _rows(single)}
    return {
        (row.claim, row.experiment): _verdict(row, effects.get((row.claim, row.experiment)))
        for row in _rows(every_verdict(items))
    }


def _old_and_new(cells: Mapping[tuple[str, str], str], claim: Claim, experiment: str) -> str:
    """Verdict in an experiment, and below it that on new seeds, once there is one; a dash if not asked."""
    old = cells.get((claim.id, experiment), "–")
    new = cells.get((claim.id, NEW_SEEDS.get(experiment, "")), _marked(NO_DATA))
    return old if new == _marked(NO_DATA) else Markup("{}<br>new seeds: {}").format(old, new)


def against(items: pd.DataFrame, *, of_paper: bool) -> HTML:
    """Say what is contradicted of the paper's claims, or of ours: where, how much, and most plainly what."""
    found = contradicted(items, of_paper=of_paper)
    if found.empty:
        whose = "the paper's claims" if of_paper else "our own claims"
        return _html(f"<p>No item of {whose} is contradicted in the tables that are stored.</p>")
    verdicts = every_verdict(items).set_index(["claim", "experiment"])
    rows = []
    where: Any
    for where, group in found.groupby(["claim", "experiment"], sort=False):
        (claim, experiment), verdict = where, verdicts.loc[where]
        named = [f"{_item(row)}: {_interval(row)}; claimed: {_claimed(row)}" for row in _rows(group[:NAMED])]
        if len(group) > NAMED:
            named.append(f"and {len(group) - NAMED} more")
        words = [_STATEMENTS[claim], _named(experiment), _marked(verdict.verdict)]
        rows.append([*words, f"{len(group)} of {verdict.n_items}", _BREAK.join(named)])
    title = "What contradicts the paper" if of_paper else "What contradicts us"
    return _html(_table(title, ["claim", "experiment", "verdict", "items against", "most plainly"], rows))


def predicted(items: pd.DataFrame) -> HTML:
    """Items of the claims that both findings rest on, on old seeds and on new; then others that differ.

    What new seeds contradict comes first, and what they leave undecided next.
    """
    both = on_new_seeds(items)
    if both.empty:
        return _html("<p>No experiment with new seeds has been computed to its last seed yet.</p>")
    both = both.sort_values("outcome_new", key=lambda column: column.map(_REPORTED.index), kind="stable")
    first = both.claim.isin(PRIMARY)
    parts = [_predictions("The claims that both findings rest on, on new seeds", both[first])]
    if len(others := both[~first & (both.outcome != both.outcome_new)]):
        parts.append(_predictions("Other items whose outcome is another on new seeds", others))
    return _html(Markup("\n").join(parts))


def _predictions(title: str, both: pd.DataFrame) -> Markup:
    rows: list[list[object]] = []
    for row in _rows(both):
        named = f"{_STATEMENTS[row.claim]} ({row.experiment}, {_item(row)})"
        rows.append([named, _on_seeds(row, ""), _on_seeds(row, "_new")])
    return _table(title, ["claim, experiment and item", "old seeds", "new seeds"], rows)


def _on_seeds(row: Any, side: str) -> Markup:
    """Outcome of an item on one side, with its value, interval and number of seeds."""
    outcome = getattr(row, f"outcome{side}")
    marked = Markup("{} {}").format(OUTCOME_MARKS[outcome], outcome)
    if outcome == "no data":
        return marked
    seeds = getattr(row, f"n{side}")
    return Markup("{}<br><small>{}, {:.0f} seeds</small>").format(marked, _interval(row, side), seeds)


def old_and_new(items: pd.DataFrame, profile: str) -> HTML:
    """Verdicts that the tables made anew have changed, or whose items they have, at the full scale."""
    if profile != "paper":
        return _html("<p>Verdicts before and now are compared at the full scale only.</p>")
    rows: list[list[object]] = []
    for row in _rows(changed(items)):
        counts = "{} ({:.0f} for, {:.0f} against, of {:.0f})"
        before = (row.verdict_before, row.n_supported_before, row.n_contradicted_before, row.n_items_before)
        now = (row.verdict, row.n_supported, row.n_contradicted, row.n_items)
        verdicts = [
            counts.format(_marked(verdict), *numbers) if numbers[-1] else "not asked"
            for verdict, *numbers in (before, now)
        ]
        rows.append([_STATEMENTS[row.claim], _named(row.experiment), *verdicts])
    if not rows:
        return _html("<p>No verdict has changed.</p>")
    return _html(_table("Verdicts before and now", ["claim", "experiment", "before", "now"], rows))


def unsettled(items: pd.DataFrame) -> HTML:
    """Claims of which the tables say too little, and in which experiments."""
    rows: list[list[object]] = []
    for row in _rows(every_verdict(items).query("verdict == 'cannot be said'")):
        decided = f"{row.n_supported + row.n_contradicted} of {row.n_items}"
        words = [_STATEMENTS[row.claim], _named(row.experiment), decided]
        rows.append([*words, row.n_supported, row.n_contradicted])
    if not rows:
        return _html("<p>There is a verdict on every claim in every experiment that is stored.</p>")
    header = ["claim", "experiment", "items decided", "supported", "contradicted"]
    return _html(_table("What cannot be said", header, rows))


def details(items: pd.DataFrame) -> HTML:
    """Every item of every claim: ours with its interval, the paper's value, the outcome; folded by claim."""
    verdicts = every_verdict(items)
    return _html(Markup("\n").join(_folded(claim, items, verdicts) for claim in CLAIMS))


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    """Give the rows of a table, a cell an attribute."""
    return iter(table.itertuples())


def _folded(claim: Claim, items: pd.DataFrame, verdicts: pd.DataFrame) -> Markup:
    """One claim with the tables of its items, one an experiment."""
    whose = "A claim of the paper" if claim.of_paper else "Ours"
    parts = [Markup("<p>{}: {}.<br>Tested by: {}</p>").format(whose, claim.where, claim.statistic)]
    header = ["item", "ours (95 %)", "seeds", "claimed", "the paper's", "p (Holm)", "outcome"]
    for verdict in _rows(verdicts[verdicts.claim == claim.id]):
        title = f"{_named(verdict.experiment)}: {_marked(verdict.verdict)}"
        if verdict.verdict == NO_DATA:
            parts.append(Markup("<p>{}</p>").format(title))
            continue
        rows: list[list[object]] = []
        for row in _rows(items[(items.claim == claim.id) & (items.experiment == verdict.experiment)]):
            ours, outcome = [_item(row), _interval(row), row.n], f"{OUTCOME_MARKS[row.outcome]} {row.outcome}"
            rows.append([*ours, _claimed(row), _number(row.paper), _p(row.p_holm), outcome])
        missing = f"; {verdict.n_no_data} without data" if verdict.n_no_data else ""
        counts = f"{verdict.n_supported} for, {verdict.n_contradicted} against, of {verdict.n_items}{missing}"
        parts.append(_table(f"{title} ({counts})", header, rows))
    fold = Markup("<details><summary>{}</summary>\n{}\n</details>")
    return fold.format(claim.statement, Markup("\n").join(parts))


@described(
    "For each effect that the paper's figures give a value for, ours with its 95 % interval by the final "
    "and by the arXiv v1 protocol, and the paper's. Above, differences of Q; below, agreement."
)
def beside_paper(items: pd.DataFrame) -> alt.VConcatChart:
    """Effects that the paper's figures have a value for, ours by both protocols beside it."""
    points = _points(with_paper_value(items))
    shown = [said for said in SERIES.values() if said in set(points.series)]
    panels = [
        _panel(points[points.unit == unit], unit, shown)
        for unit in UNITS.values()
        if unit in set(points.unit)
    ]
    return alt.vconcat(*panels, spacing=14)


def _panel(points: pd.DataFrame, unit: str, shown: Sequence[str]) -> Layered:
    """Draw the effects that are measured in one unit."""
    axis = alt.Axis(labelExpr="split(datum.label, '|')", labelLimit=190)
    colours, shapes = (scale_of({said: looks[said] for said in shown}) for looks in (_COLOURS, _SHAPES))
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=260)
    ours = alt.Chart(points).encode(
        y=alt.Y("effect:N", sort=list(dict.fromkeys(points.effect)), title=None, axis=axis),
        yOffset=alt.YOffset("series:N", sort=list(shown)),
        color=alt.Color("series:N", scale=colours, legend=legend),
    )
    low = alt.X("low:Q", title=unit, axis=alt.Axis(tickCount=5))
    span = ours.mark_rule(strokeWidth=2).encode(x=low, x2="high:Q")
    dot = (
        with_interval(ours, "none, read off a figure")
        .mark_point(filled=True, size=42, opacity=1)
        .encode(
            x="value:Q",
            shape=alt.Shape("series:N", scale=shapes, legend=legend),
            tooltip=[
                *(alt.Tooltip("said:N", title="effect"), alt.Tooltip("series:N", title="whose"), VALUE_TIP),
                INTERVAL_TIP,
                *(alt.Tooltip("n:Q", title="seeds"), "outcome:N"),
            ],
        )
    )
    zero = alt.Chart().mark_rule(strokeDash=[3, 3]).encode(x=alt.datum(0))
    height = alt.Step(38, **{"for": "position"})
    return alt.layer(zero, span, dot).properties(width=420, height=height)


def _points(both: pd.DataFrame) -> pd.DataFrame:
    """One row a value: ours by each protocol, then the paper's once. The paper's has no interval."""
    both = both[both.experiment.isin(SERIES) & both.claim.isin(_EFFECTS)]
    ours = both.assign(series=both.experiment.map(SERIES)).astype({"n": float})
    theirs = both.drop_duplicates("claim")
    theirs = theirs.assign(series=SERIES["paper"], outcome="", n=float("nan"), value=theirs.paper)
    theirs[["low", "high"]] = float("nan")
    points = pd.concat([ours, theirs], ignore_index=True)
    points["effect"] = points.claim.map(_EFFECTS)
    points["said"] = points.effect.str.replace("|", " ")
    points["unit"] = points.claim.map(lambda claim: UNITS["agrees" in claim])
    points["value"] = points.value.astype(float)
    columns = ["effect", "said", "unit", "series", "value", "low", "high", "n", "outcome"]
    order = {claim: number for number, claim in enumerate(_EFFECTS)}
    found = points.assign(order=points.claim.map(order)).sort_values("order", kind="stable")
    return found[columns].round(4)


def _verdict(row: Any, effect: str | None) -> str:
    """Return a verdict with the effect of its single item, or its items for : against, of all.

    A dagger marks one that would be another without one of its items.
    """
    if row.verdict == NO_DATA:
        return _marked(NO_DATA)
    missing = f", {row.n_no_data} without data" if row.n_no_data else ""
    counts = f"{row.n_supported}{_NBSP}:{_NBSP}{row.n_contradicted} of{_NBSP}{row.n_items}{missing}"
    marked = _marked(row.verdict).replace(" ", _NBSP, 1) + ("†" if row.hangs_on else "")
    return Markup("{}<br><small>{}</small>").format(marked, effect or counts)


def _named(experiment: object) -> str:
    return NAMES.get(str(experiment), str(experiment))


def _marked(verdict: str) -> str:
    return f"{MARKS[verdict]} {verdict}"


def _item(row: Any) -> str:
    """Name the item of a row, its level to three digits: 0.0316228 is a power of ten, rounded."""
    return re.sub(r"\d+\.\d{5,}", lambda level: f"{float(level[0]):.3g}", row.item)


def _number(value: float) -> str:
    """Write a number with three decimals, or with as many as show on which side of zero it lies."""
    if pd.isna(value):
        return "–"
    decimals = next((n for n in range(3, 9) if value == 0 or round(value, n)), 3)
    return f"{value:.{decimals}f}".replace("-", "−")


def _interval(row: Any, side: str = "") -> str:
    """Write a value with its interval, if it has one; its columns may end in the name of a `side`."""
    value, low, high = (getattr(row, f"{name}{side}") for name in ("value", "low", "high"))
    return _number(value) + ("" if pd.isna(low) else f" ({_number(low)} to {_number(high)})")


def _claimed(row: Any) -> str:
    return CLAIMED[row.direction].format(row.threshold)


def _p(value: float) -> str:
    return "–" if pd.isna(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table whose cells wrap; the first cell of a row is its head."""
    return Markup(_TABLE.render(title=title, header=header, rows=list(rows)))


def _html(content: str) -> HTML:
    return HTML(content)  # type: ignore[no-untyped-call]
