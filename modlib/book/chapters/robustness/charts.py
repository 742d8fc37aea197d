"""What comes of damaged files, and which faults in the code the tests notice."""

from __future__ import annotations

import altair as alt
import pandas as pd
from IPython.display import HTML

from modlib.book import benchmark_records
from modlib.book.chapters.robustness import tables as robustness
from modlib.book.html_table import text_table
from modlib.book.theme import GREY, properties

_GOOD, _REFUSED, _BAD = "#1b6ca8", "#4fb3d9", "#d95f02"


def hostile(*, name: str = "", caption: str = "") -> alt.Chart:
    """Damaged files of each kind by what came of reading them."""
    table = robustness.hostile()
    kinds = table.file.tolist()
    rows = table.melt(["file", "files"], list(robustness.OUTCOMES), "outcome", "number")
    rows = rows.assign(said=rows.outcome.map(robustness.OUTCOMES), share=rows.number / rows.files)
    order = list(robustness.OUTCOMES.values())
    chart: alt.Chart = (
        alt.Chart(rows.assign(rank=rows.said.map(order.index)).round(4))
        .mark_bar()
        .encode(
            x=alt.X("number:Q", title="damaged files", stack="zero"),
            y=alt.Y("file:N", sort=kinds, title=None, axis=alt.Axis(labelLimit=200)),
            color=alt.Color(
                "said:N",
                scale=alt.Scale(domain=order, range=[_GOOD, _REFUSED, _BAD, GREY]),
                legend=alt.Legend(title=None, orient="top", columns=2),
            ),
            order="rank:Q",
            tooltip=[
                "file:N",
                alt.Tooltip("said:N", title="outcome"),
                alt.Tooltip("number:Q", title="files", format=","),
                alt.Tooltip("share:Q", title="share", format=".1%"),
            ],
        )
        .properties(
            width="container",
            height=alt.Step(22),
            **properties(
                description="Damaged files of each kind that gave the right data all the same, were "
                "refused with a reason, gave wrong data, or ended without a clear reason.",
                caption=caption,
                name=name,
            ),
        )
    )
    return chart


def properties_tried() -> HTML:
    """Properties that hold for any input, for reading."""
    return text_table(robustness.properties(), (16, 4))


def survivors() -> HTML:
    """Faults that no test noticed, those of a function with the same reason in one row."""
    found = robustness.survivors()
    found["fault"] = found.before + " → " + found.after
    rows = found.groupby(["module", "function", "reason"], sort=False, dropna=False).fault.agg(" · ".join)
    table = rows.reset_index()
    table.insert(0, "where", table.module + "." + table.function.where(table.function != "", "(top)"))
    named = table.rename(columns={"reason": "why it makes no difference"})
    return text_table(named[["where", "fault", "why it makes no difference"]], (8, 10, 11))


def mutants(*, name: str = "", caption: str = "") -> alt.HConcatChart:
    """Faults put into the code, by module and kind, caught or not."""
    table = benchmark_records.read("mutation", "cpu").table
    table = table.assign(outcome=table.outcome.replace({"caught by time": "caught"}))
    rows = pd.DataFrame(table.groupby(["module", "kind", "outcome"]).size().rename("number")).reset_index()
    kinds = table.kind.value_counts().index.tolist()
    most = int(rows.groupby(["module", "kind"]).number.sum().max())
    panels = [
        alt.Chart(rows, title=module)
        .transform_filter(alt.FieldEqualPredicate(field="module", equal=module))
        .mark_bar()
        .encode(
            x=alt.X(
                "number:Q",
                title="faults",
                scale=alt.Scale(domain=[0, most]),
                axis=alt.Axis(tickMinStep=1, tickCount=4),
            ),
            y=alt.Y("kind:N", scale=alt.Scale(domain=kinds), title=None),
            color=alt.Color(
                "outcome:N",
                scale=alt.Scale(domain=["caught", "survived"], range=[_GOOD, _BAD]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=["module:N", "kind:N", "outcome:N", alt.Tooltip("number:Q", title="faults")],
        )
        .properties(width=130, height=alt.Step(20))
        for module in table.module.unique()
    ]
    chart: alt.HConcatChart = alt.hconcat(*panels, spacing=14).properties(
        **properties(
            description="Faults put into three modules, by kind, and how many of them the tests caught.",
            caption=caption,
            name=name,
        )
    )
    return chart
