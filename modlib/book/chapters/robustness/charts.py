"""What comes of damaged files, and which faults in the code the tests notice."""

import altair as alt
from IPython.display import HTML

from modlib.book.benchmark_records import read
from modlib.book.chapters.robustness import tables
from modlib.book.html_table import text_table
from modlib.book.theme import COLOURS, GREY, TOP_LEGEND, described, formatted, scale_of

_GOOD, _REFUSED, _BAD = tuple(COLOURS.values())[:3]


@described(
    "Damaged files of each kind that gave the right data all the same, were refused with a reason, gave "
    "wrong data, or ended without a clear reason."
)
def hostile() -> alt.Chart:
    """Show what came of reading damaged files, kind by kind."""
    table = tables.hostile()
    outcomes = list(tables.READINGS.values())
    rows = table.melt(["file", "files"], list(tables.READINGS), "outcome", "number")
    rows = rows.assign(said=rows.outcome.map(tables.READINGS), share=rows.number / rows.files)
    rows["rank"] = rows.said.map(outcomes.index)
    colours = alt.Scale(domain=outcomes, range=[_GOOD, _REFUSED, _BAD, GREY])
    legend = alt.Legend(title=None, orient="top", columns=2)
    return (
        alt.Chart(rows.round(4))
        .mark_bar()
        .encode(
            x=alt.X("number:Q", title="damaged files", stack="zero"),
            y=alt.Y("file:N", sort=table.file.tolist(), title=None, axis=alt.Axis(labelLimit=200)),
            color=alt.Color("said:N", scale=colours, legend=legend),
            order="rank:Q",
            tooltip=[
                *("file:N", alt.Tooltip("said:N", title="outcome")),
                *(*formatted(",", number="files"), *formatted(".1%", share="share")),
            ],
        )
        .properties(width=520, height=alt.Step(22))
    )


def properties_tried() -> HTML:
    """List the properties that hold for any input."""
    return text_table(tables.properties()[["property"]], (16,))


def reasons() -> HTML:
    """Count the faults that no test noticed, by kind of reason."""
    return text_table(tables.reasons(), (16, 4))


def survivors() -> HTML:
    """Faults that no test noticed, folded; those in one function with the same reason share a row."""
    why = "why it makes no difference"
    found = tables.survivors().rename(columns={"reason": why})
    found["where"] = found.module + "." + found.function.replace("", "(top)")
    found["fault"] = found.before + " → " + found.after
    rows = found.groupby(["where", why], sort=False, dropna=False).fault.agg(" · ".join).reset_index()
    table = text_table(rows[["where", "fault", why]], (8, 10, 11)).data
    folded = f"<details><summary>Each of the {len(found)}, with its reason</summary>\n{table}\n</details>"
    return HTML(folded)  # type: ignore[no-untyped-call]


@described("Faults put into three modules, by kind, and how many of them the tests caught.")
def mutants() -> alt.HConcatChart:
    """Faults put into the code, by module and kind, caught or not."""
    table = read("mutation", "cpu").table.replace({"outcome": {"caught by time": "caught"}})
    table["module"] = table.module.str.split("/").str[0]  # those of a wing together
    rows = table.groupby(["module", "kind", "outcome"]).size().reset_index(name="number")
    kinds = alt.Scale(domain=table.kind.value_counts().index.tolist())
    most = alt.Scale(domain=[0, int(table.groupby(["module", "kind"]).size().max())])
    outcomes = scale_of({"caught": _GOOD, "survived": _BAD})
    panels = [
        alt.Chart(rows, title=module)
        .transform_filter(alt.FieldEqualPredicate(field="module", equal=module))
        .mark_bar()
        .encode(
            x=alt.X("number:Q", title="faults", scale=most, axis=alt.Axis(tickMinStep=1, tickCount=4)),
            y=alt.Y("kind:N", scale=kinds, title=None),
            color=alt.Color("outcome:N", scale=outcomes, legend=TOP_LEGEND),
            tooltip=["module:N", "kind:N", "outcome:N", alt.Tooltip("number:Q", title="faults")],
        )
        .properties(width=130, height=alt.Step(20))
        for module in table.module.unique()
    ]
    return alt.hconcat(*panels, spacing=14)
