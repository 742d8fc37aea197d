"""How hard modlib is to break: damaged files, killed runs, bad arguments, faults in the code."""

from __future__ import annotations

import pandas as pd

from modlib.book import benchmark_records

#: Test files whose tests try to break something, and what they try.
TRIALS = {
    "test_interruptions": "killed runs, full disk, no leave to write",
    "test_hostile_files": "damaged and hostile files",
    "test_arguments": "bad arguments, parameters and options",
    "test_properties": "properties that hold for any input",
    "test_cluster": "workers killed, connections cut",
}
#: What comes of a damaged file, and how a reader is told.
OUTCOMES = {
    "equal": "the right data",
    "refused": "refused",
    "wrong": "wrong data",
    "crashed": "no clear end",
}
#: What tells one mutant from another.
MUTANT = ["module", "function", "line", "kind", "before", "after"]


def hostile() -> pd.DataFrame:
    """Count damaged files by kind: `file`, `files`, and a column each of `OUTCOMES`."""
    table = benchmark_records.read("hostile", "cpu").table
    return table.groupby("file", sort=False, as_index=False)[["files", *OUTCOMES]].sum()


def trials() -> pd.DataFrame:
    """Count what was tried, by test file: `tried`, `tests`, `cases`, `failed`, `skipped`, `seconds`."""
    table = benchmark_records.read("suite", "cpu").table
    table = table[table.file.isin(TRIALS)]
    counts = table.groupby("file").agg(
        tests=("test", "size"), cases=("cases", "sum"), failed=("failed", "sum"), skipped=("skipped", "sum"),
        seconds=("seconds", "sum"),
    )  # fmt: skip
    counts = counts.reindex([file for file in TRIALS if file in counts.index])
    counts.insert(0, "tried", counts.index.map(TRIALS))
    return counts.reset_index(drop=True)


def properties() -> pd.DataFrame:
    """Properties as sentences, out of the names of their tests: `property`, `holds`."""
    table = benchmark_records.read("suite", "cpu").table
    table = table[table.file == "test_properties"]
    return pd.DataFrame(
        {
            "property": [_sentence(test) for test in table.test],
            "holds": table.failed.map({0: "yes"}).fillna("no"),
        }
    ).reset_index(drop=True)


def mutants() -> pd.DataFrame:
    """Count faults put into the code: `module`, `mutants`, `caught`, `survived`, `percent` caught."""
    table = benchmark_records.read("mutation", "cpu").table
    counts = table.assign(caught=table.outcome != "survived").groupby("module", sort=False).caught
    found = counts.agg(mutants="size", caught="sum").reset_index()
    return found.assign(survived=found.mutants - found.caught, percent=100 * found.caught / found.mutants)


def survivors() -> pd.DataFrame:
    """Faults that no test noticed, and why: the columns of `MUTANT` and `reason`.

    A reason is a person's, written beside the records; nan where there is none.
    """
    table = benchmark_records.read("mutation", "cpu").table.fillna("")  # no function: the top of the module
    reasons = pd.read_csv(benchmark_records.FOLDER / "survivors.csv").fillna("")
    keys = [key for key in MUTANT if key != "line"]  # lines move
    return table.loc[table.outcome == "survived", MUTANT].merge(reasons, on=keys, how="left")


def _sentence(test: str) -> str:
    words = test.removeprefix("test_").replace("_", " ")
    return words[0].upper() + words[1:]


#: Numbers that the page cites, None until they are on record.
KEYS = (
    "files", "equal", "refused", "wrong", "crashed", "kinds", "kills", "ends", "argument_cases", "properties",
    "mutants", "caught", "survived", "percent", "least_percent", "minutes_test", "minutes_long", "tests",
    "failed", "skipped",
)  # fmt: skip


def numbers(_profile: str) -> dict[str, float | int | str | None]:
    """Numbers that the page on robustness cites, ``robust_…``; the same at both profiles."""
    found: dict[str, float | int | str | None] = dict.fromkeys(KEYS)
    if benchmark_records.read_if_there("hostile", "cpu"):
        table = hostile()
        found |= {"files": int(table.files.sum()), "kinds": len(table)}
        found |= {outcome: int(table[outcome].sum()) for outcome in OUTCOMES}
    if suite := benchmark_records.read_if_there("suite", "cpu"):
        table = suite.table
        killed = suite.about["found"].get(
            "test_killed_at_fifty_random_moments_it_ends_in_the_same_tables", {}
        )
        found |= {
            "kills": killed.get("kills"), "ends": killed.get("ends"),
            "argument_cases": int(table[table.file == "test_arguments"].cases.sum()),
            "properties": int((table.file == "test_properties").sum()),
            "minutes_test": suite.about["wall"]["test"] / 60,
            "minutes_long": suite.about["wall"]["test-all"] / 60,
            "tests": int(table.cases.sum()), "failed": int(table.failed.sum()),
            "skipped": int(table.skipped.sum()),
        }  # fmt: skip
    if benchmark_records.read_if_there("mutation", "cpu"):
        table = mutants()
        found |= {name: int(table[name].sum()) for name in ("mutants", "caught", "survived")}
        found |= {
            "percent": 100 * float(table.caught.sum() / table.mutants.sum()),
            "least_percent": float(table.percent.min()),
        }
    return {f"robust_{key}": value for key, value in found.items()}
