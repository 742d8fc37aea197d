"""The tables and the chart of the verdict: words and marks, which need neither colour nor script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import altair as alt
import pandas as pd
from IPython.display import HTML

from modlib.book.chapters.verdict import tables as outcomes
from modlib.book.chapters.verdict.tables import NO_DATA
from modlib.book.theme import GREY, properties
from modlib.paper.claims import CLAIMS, ELSEWHERE, EXPERIMENTS, LABELS, Claim
from modlib.paper.verdicts import VERDICTS

MARKS = {"holds": "✓", "holds in part": "◐", "does not hold": "✗", "cannot be said": "?", NO_DATA: "…"}
OUTCOME_MARKS = {"supported": "✓", "contradicted": "✗", "undecided": "?", "no data": "…"}
ASKED = {
    "above": "more than {}",
    "below": "less than {}",
    "within": "within ±{}",
    "not above": "less than {}",
}
TOGETHER = "several together"
#: What stands in the column `experiment` for claims about several, in words.
NAMES = {ELSEWHERE: "all but base together", LABELS: "true labels against shuffled ones"}
#: How many of the items that speak against a claim in an experiment are named.
NAMED = 3
SERIES = {
    "base": "ours, final protocol",
    "base-v1": "ours, arXiv v1",
    "paper": "the paper's figures (arXiv v1)",
}
_COLOURS = dict(zip(SERIES.values(), ("#8b5fbf", "#b8579a", GREY), strict=True))
_SHAPES = dict(zip(SERIES.values(), ("circle", "square", "diamond"), strict=True))
_STATEMENTS = {claim.id: claim.statement for claim in CLAIMS}
_Row = dict[Any, Any]
_NBSP = "\N{NO-BREAK SPACE}"
_LEFT = ' style="text-align: left; white-space: normal"'
_HEAD = ' style="text-align: left; white-space: normal; min-width: 9rem"'
_NUMBERS = ' style="text-align: left; white-space: nowrap"'


def grid(items: pd.DataFrame) -> HTML:
    """Verdict on every claim in every experiment, with how many items are supported and contradicted."""
    each = outcomes.verdict_of_each(items)
    columns = [*EXPERIMENTS, "close-up", TOGETHER]
    each["column"] = each.experiment.where(~each.experiment.isin([ELSEWHERE, LABELS]), TOGETHER)
    cells = {(row["claim"], row["column"]): _verdict(row) for row in each.to_dict("records")}
    rows = [
        _row(claim.statement, [cells.get((claim.id, column), "–") for column in columns]) for claim in CLAIMS
    ]
    title = "Verdicts, with items for : against, of all"
    return _html(_table(title, ["claim", *columns], rows))


def in_short(items: pd.DataFrame) -> HTML:
    """Verdict on every claim in the base experiment, and where else it is which."""
    each = outcomes.verdict_of_each(items)
    rows = []
    for claim in CLAIMS:
        here = each[each.claim == claim.id]
        base, others = here[here.experiment == "base"], here[here.experiment != "base"]
        said = [
            f"{_marked(verdict)}: {', '.join(map(_named, others[others.verdict == verdict].experiment))}"
            for verdict in VERDICTS
            if (others.verdict == verdict).any()
        ]
        cells = [_marked(base.verdict.iloc[0]) if len(base) else "–", "<br>".join(said) or _marked(NO_DATA)]
        rows.append(_row(claim.statement, cells))
    return _html(_table("Verdicts in short", ["claim", "base", "elsewhere"], rows))


def against(items: pd.DataFrame, *, of_paper: bool) -> HTML:
    """Say what is contradicted of the paper's claims, or of ours: where, how much, and most plainly what."""
    found = outcomes.against(items, of_paper=of_paper)
    if found.empty:
        whose = "the paper's claims" if of_paper else "our own claims"
        return _html(f"<p>No item of {whose} is contradicted in the tables that are stored.</p>")
    each = outcomes.verdict_of_each(items).to_dict("records")
    verdicts = {(row["claim"], row["experiment"]): row for row in each}
    rows = []
    for (claim, experiment), group in found.groupby(["claim", "experiment"], sort=False):
        named = [
            f"{escape(row['item'])}: {_interval(row)}; claimed: {_asked(row)}"
            for row in group.head(NAMED).to_dict("records")
        ]
        if len(group) > NAMED:
            named.append(f"and {len(group) - NAMED} more")
        verdict = verdicts[claim, experiment]
        count = f"{len(group)} of {verdict['n_items']}"
        cells = [_named(verdict["experiment"]), _marked(verdict["verdict"]), count, "<br>".join(named)]
        rows.append(_row(_STATEMENTS[verdict["claim"]], cells))
    title = "What contradicts the paper" if of_paper else "What contradicts us"
    header = ["claim", "experiment", "verdict", "items against", "most plainly"]
    return _html(_table(title, header, rows))


def unsettled(items: pd.DataFrame) -> HTML:
    """Claims of which the tables say too little, and in which experiments."""
    each = outcomes.verdict_of_each(items)
    rows = []
    for row in each[each.verdict == "cannot be said"].to_dict("records"):
        decided = row["n_supported"] + row["n_contradicted"]
        cells = [_named(row["experiment"]), f"{decided} of {row['n_items']}"]
        cells += [str(row["n_supported"]), str(row["n_contradicted"])]
        rows.append(_row(_STATEMENTS[row["claim"]], cells))
    if not rows:
        return _html("<p>There is a verdict on every claim in every experiment that is stored.</p>")
    header = ["claim", "experiment", "items decided", "supported", "contradicted"]
    return _html(_table("What cannot be said", header, rows))


def details(items: pd.DataFrame) -> HTML:
    """Every item of every claim: ours with its interval, the paper's value, the outcome; folded by claim."""
    each = outcomes.verdict_of_each(items)
    return _html("\n".join(_details(claim, items[items.claim == claim.id], each) for claim in CLAIMS))


def beside_paper(
    items: pd.DataFrame, *, name: str = "", caption: str = ""
) -> alt.LayerChart | alt.FacetChart:
    """Items that the paper's figures have a value for, ours by both protocols beside it, claim by claim."""
    points = _points(outcomes.beside_paper(items))
    claims = list(points.claim.unique())
    picked = alt.param(
        name="verdict_claim",
        value=claims[0] if claims else "",
        bind=alt.binding_select(options=claims, name="Claim "),
    )
    shown = [said for said in SERIES.values() if said in set(points.series)]
    y = alt.Y(
        "item:N",
        sort=list(dict.fromkeys(points["item"])),
        title=None,
        axis=alt.Axis(labelExpr="split(datum.label, ', layer')[1] ? [split(datum.label, ', layer')[0], "
                      "'layer' + split(datum.label, ', layer')[1]] : datum.label", labelLimit=220),
    )  # fmt: skip
    offset = alt.YOffset("series:N", sort=shown)
    colours, shapes = (
        alt.Scale(domain=shown, range=[marks[said] for said in shown]) for marks in (_COLOURS, _SHAPES)
    )
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=260)
    base = alt.Chart(points).transform_filter("datum.claim == verdict_claim")
    colour = alt.Color("series:N", scale=colours, legend=legend)
    threshold = base.mark_rule(strokeDash=[3, 3]).encode(x="min(threshold):Q")
    span = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="value; dashed: the threshold or margin", axis=alt.Axis(tickCount=5)),
        x2="high:Q",
        y=y,
        yOffset=offset,
        color=colour,
    )
    dot = base.mark_point(filled=True, size=42, opacity=1).encode(
        x=alt.X("value:Q", scale=alt.Scale(zero=False, padding=8)),
        y=y,
        yOffset=offset,
        color=colour,
        shape=alt.Shape("series:N", scale=shapes, legend=legend),
        tooltip=[
            alt.Tooltip("item:N"),
            alt.Tooltip("series:N", title="whose"),
            alt.Tooltip("value:Q", format=".3f"),
            alt.Tooltip("low:Q", title="95 % from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("n:Q", title="seeds"),
            alt.Tooltip("outcome:N"),
        ],
    )
    return (
        alt.layer(threshold, span, dot)
        .add_params(picked)
        .properties(
            width=200,
            height=alt.Step(36, **{"for": "position"}),
            **properties(
                description="For one claim at a time, chosen from a list: each item with our value and 95 % "
                "interval by the final and by the arXiv v1 protocol, and the value that the paper's figures "
                "give, beside the threshold.",
                caption=caption,
                name=name,
            ),
        )
    )


def _points(both: pd.DataFrame) -> pd.DataFrame:
    """One row a value: ours by each protocol, then the paper's once."""
    both = both[both.experiment.isin(SERIES)]  # claims about several experiments have names of their own
    ours = both.assign(series=both.experiment.map(SERIES))
    theirs = both.drop_duplicates(["claim", "item"]).assign(series=SERIES["paper"], outcome="")
    theirs = theirs.assign(value=theirs.paper, low=theirs.paper, high=theirs.paper, n=float("nan"))
    points = pd.concat([ours.astype({"n": float}), theirs], ignore_index=True)
    points["claim"] = points.claim.map(_short_name)
    columns = ["claim", "item", "series", "value", "low", "high", "n", "threshold", "outcome"]
    return points[columns].round(4)


def _short_name(claim: str) -> str:
    """Name of a claim that fits a list on a telephone."""
    return claim.replace("-", " ").replace(" q", " Q")


def _details(claim: Claim, items: pd.DataFrame, each: pd.DataFrame) -> str:
    whose = "A claim of the paper" if claim.of_paper else "Ours"
    told = [f"<p>{whose}: {escape(claim.where)}.<br>Tested by: {escape(claim.statistic)}</p>"]
    for verdict in each[each.claim == claim.id].to_dict("records"):
        title = f"{_named(verdict['experiment'])}: {_marked(verdict['verdict'])}"
        if verdict["verdict"] == NO_DATA:
            told.append(f"<p>{title}</p>")
            continue
        group = items[items.experiment == verdict["experiment"]]
        rows = [
            _row(
                row["item"],
                [
                    _interval(row),
                    str(row["n"]),
                    _asked(row),
                    _number(row["paper"]),
                    _p(row["p_holm"]),
                    f"{OUTCOME_MARKS[row['outcome']]} {row['outcome']}",
                ],
                words=False,
            )
            for row in group.to_dict("records")
        ]
        header = ["item", "ours (95 %)", "seeds", "claimed", "the paper's", "p (Holm)", "outcome"]
        told.append(_table(f"{title} ({_counts(verdict)})", header, rows))
    return f"<details><summary>{escape(claim.statement)}</summary>\n" + "\n".join(told) + "\n</details>"


def _verdict(row: _Row) -> str:
    if row["verdict"] == NO_DATA:
        return _marked(NO_DATA)
    said = _marked(row["verdict"]).replace(" ", _NBSP, 1)  # the mark stays with the first word
    return f"{said}<br><small>{_short_counts(row)}</small>"


def _short_counts(row: _Row) -> str:
    """Items for : against, of all, as the caption of the table says."""
    missing = f", {row['n_no_data']} without data" if row["n_no_data"] else ""
    return f"{row['n_supported']}{_NBSP}:{_NBSP}{row['n_contradicted']} of{_NBSP}{row['n_items']}{missing}"


def _counts(row: _Row) -> str:
    counts = f"{row['n_supported']} for, {row['n_contradicted']} against, of {row['n_items']}"
    return f"{counts}; {row['n_no_data']} without data" if row["n_no_data"] else counts


def _named(experiment: str) -> str:
    return escape(NAMES.get(experiment, experiment))


def _marked(verdict: str) -> str:
    return f"{MARKS[verdict]} {verdict}"


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}".replace("-", "−")


def _interval(row: _Row) -> str:
    if pd.isna(row["low"]):
        return _number(row["value"])
    return f"{_number(row['value'])} ({_number(row['low'])} to {_number(row['high'])})"


def _asked(row: _Row) -> str:
    return ASKED[str(row["direction"])].format(f"{row['threshold']:.3g}")


def _p(value: float) -> str:
    return "–" if pd.isna(value) else "&lt;.001" if value < 0.001 else f"{value:.3f}"


def _row(head: str, cells: Iterable[str], *, words: bool = True) -> str:
    """Return a row of a table, of words, which wrap, or of numbers; `cells` are HTML, the head is text."""
    style = _LEFT if words else _NUMBERS
    body = "".join(f"<td{style}>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row"{_HEAD}>{escape(head)}</th>{body}</tr>'


def _table(title: str, header: Sequence[str], rows: Iterable[str]) -> str:
    """Return a table that scrolls by itself where it is wider than the page, by keyboard too."""
    heads = "".join(f'<th scope="col"{_LEFT}>{escape(name)}</th>' for name in header)
    return (
        f'<div role="region" tabindex="0" aria-label="{escape(title)}" style="overflow-x: auto">'
        f'<table class="dataframe"><caption style="caption-side: top; text-align: left">{escape(title)}'
        f"</caption><thead><tr>{heads}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>"
    )


def _html(content: str) -> HTML:
    return HTML(content)  # type: ignore[no-untyped-call]
