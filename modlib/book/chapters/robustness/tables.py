"""How hard modlib is to break: damaged files, killed runs, bad arguments, faults in the code."""

from typing import Any

import pandas as pd

from modlib.book import benchmark_records
from modlib.book.benchmark_records import read, read_if_there
from modlib.book.numbers import offered
from modlib.book.stored import there
from modlib.study import project

#: Test files whose tests try to break something, and what they try.
TRIALS = {
    "test_interruptions": "killed runs, full disk, no leave to write",
    "test_hostile_files": "damaged and hostile files",
    "test_arguments": "bad arguments, parameters and options",
    "test_properties": "properties that hold for any input",
    "test_dask": "workers killed, connections cut",
}
#: What the tests of properties say of themselves, written by a test.
PROPERTIES = project.ROOT / "results" / "properties.csv"
#: What can come of reading a damaged file, and the words for it.
READINGS = {"equal": "the right data", "refused": "refused", "wrong": "wrong data", "crashed": "no clear end"}
#: What tells one mutant from another. The line does not: it moves when code is added above.
MUTANT = ["module", "function", "kind", "before", "after"]


def hostile() -> pd.DataFrame:
    """Count damaged files by kind: `file`, `files`, and one column for each of `READINGS`."""
    table = read("hostile", "cpu").table
    return table.groupby("file", sort=False, as_index=False)[["files", *READINGS]].sum()


def trials() -> pd.DataFrame:
    """Count what was tried, by test file: `tried`, `tests`, `cases`, `failed`, `skipped`, `seconds`."""
    table = read("suite", "cpu").table
    file = table.file.replace("test_cluster", "test_dask")  # it had the former name when first measured
    groups = table.groupby(file.map(TRIALS).rename("tried"))
    counts = groups[["cases", "failed", "skipped", "seconds"]].sum()
    counts.insert(0, "tests", groups.size())
    return counts.reindex([tried for tried in TRIALS.values() if tried in counts.index]).reset_index()


def properties() -> pd.DataFrame:
    """Properties that were tried, by their `test`: each a sentence, the first that its test has."""
    table = read("suite", "cpu").table.query("file == 'test_properties'")
    said = pd.read_csv(project.of_checkout(PROPERTIES)).set_index("test").property
    return pd.DataFrame({"test": table.test.to_numpy(), "property": said[table.test].to_numpy()})


def mutants() -> pd.DataFrame:
    """Count faults put into the code: `module`, `mutants`, `caught`, `survived`, `percent` caught.

    Modules of a wing, ``wing/module``, are counted together.
    """
    table = read("mutation", "cpu").table
    table = table.assign(caught=table.outcome != "survived", module=table.module.str.split("/").str[0])
    counts = table.groupby("module", sort=False).caught
    found = counts.agg(mutants="size", caught="sum").reset_index()
    return found.assign(survived=found.mutants - found.caught, percent=100 * found.caught / found.mutants)


def survivors() -> pd.DataFrame:
    """Faults that no test noticed, and the reason that a person wrote beside the records, if there is one.

    Reasons of one kind share a `group`.
    """
    table = read("mutation", "cpu").table.fillna("")  # no function: the top of the module
    reasons = pd.read_csv(project.of_checkout(benchmark_records.FOLDER / "survivors.csv")).fillna("")
    return table.loc[table.outcome == "survived", MUTANT].merge(reasons, on=MUTANT, how="left")


def reasons() -> pd.DataFrame:
    """Count the faults that no test noticed by kind of reason, most frequent first: `reason`, `faults`."""
    return survivors().group.value_counts().rename_axis("reason").reset_index(name="faults")


# ---------------------------------------------------------------- numbers in prose


@offered()
def damaged(_profile: str) -> pd.DataFrame:
    """How many damaged files were read, of how many kinds, and what came of reading them."""
    there(read_if_there("hostile", "cpu"))
    table = hostile()
    return pd.DataFrame([{"kinds": len(table), **table[["files", *READINGS]].sum()}])


@offered()
def suite(_profile: str) -> pd.DataFrame:
    """Cases of all tests, of bad arguments and of properties; minutes of both suites; and kills of a run."""
    record = there(read_if_there("suite", "cpu"))
    table, minutes = record.table, {part: seconds / 60 for part, seconds in record.about["wall"].items()}
    killed: dict[str, Any] = next((found for found in record.about["found"].values() if "kills" in found), {})
    row = {
        "tests": table.cases.sum(), "failed": table.failed.sum(), "skipped": table.skipped.sum(),
        "argument_cases": table[table.file == "test_arguments"].cases.sum(),
        "properties": (table.file == "test_properties").sum(),
        "properties_failed": table[table.file == "test_properties"].failed.sum(),
        "minutes": minutes["test"], "minutes_long": minutes["test-all"],
        "kills": killed.get("kills"), "ends": killed.get("ends"),
    }  # fmt: skip
    return pd.DataFrame([row])


@offered()
def faults(_profile: str) -> pd.DataFrame:
    """How many faults were put into the code and caught, and the share caught (%), in all and at least."""
    there(read_if_there("mutation", "cpu"))
    table = mutants()
    row = table[["mutants", "caught", "survived"]].sum()
    percent = 100 * row.caught / row.mutants
    return pd.DataFrame([{**row, "percent": percent, "least_percent": table.percent.min()}])
