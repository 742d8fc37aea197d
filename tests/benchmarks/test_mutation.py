"""Faults are put where code is and nowhere else, one at a time; what tests make of them is told apart."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import mutation, project, suite
from modlib.book import benchmark_records

SOURCE = '''"""A module."""
import math

LIMIT = 3


def f(a: "x", b=1.5):
    """Do something."""
    if a < b and not math.isnan(a):
        raise ValueError(f"a must be {b} at least")
    for _ in range(2):
        a += 1
    return max(a, b, key=abs)
'''


def changes(source):
    return {tuple(fault)[1:] for fault in mutation.mutants("m", source).values()}


def test_all_faults_of_a_small_module():
    condition = "a < b and (not math.isnan(a))"
    assert changes(SOURCE) == {
        ("", 4, "constant", "3", "4"),
        ("f", 7, "constant", "1.5", "3.0"),
        ("f", 9, "condition", f"if {condition}:", f"if not ({condition}):"),
        ("f", 9, "operator", condition, "a < b or not math.isnan(a)"),
        ("f", 9, "comparison", "a < b", "a <= b"),
        ("f", 9, "operator", "not math.isnan(a)", "math.isnan(a)"),
        ("f", 10, "statement", "raise ValueError(f'a must be {b} at least')", "pass"),
        ("f", 11, "constant", "2", "3"),
        ("f", 12, "operator", "a += 1", "a -= 1"),
        ("f", 12, "statement", "a += 1", "pass"),
        ("f", 12, "constant", "1", "2"),
        ("f", 13, "statement", "return max(a, b, key=abs)", "return None"),
        ("f", 13, "function", "max(a, b, key=abs)", "min(a, b, key=abs)"),
        ("f", 13, "argument", "max(…, key=abs)", "left out"),
    }


@pytest.mark.long
@pytest.mark.parametrize("module", mutation.CORE)
def test_every_mutant_is_a_module_that_differs_from_all_others(module):
    source = (project.ROOT / "modlib" / f"{module}.py").read_text()
    sources = list(mutation.mutants(module, source))
    assert len(sources) > 100
    assert ast.unparse(ast.parse(source)) not in sources
    for text in sources[::40]:
        compile(text, module, "exec")


def test_what_was_caught_before_or_has_a_reason_is_not_tried_again():
    faults = list(mutation.mutants("m", SOURCE).values())
    earlier = pd.DataFrame(faults).assign(outcome=["survived", "survived", *["caught"] * (len(faults) - 2)])
    reasons = pd.DataFrame(faults[1:2]).assign(line=99, reason="it makes no difference")
    known = mutation.settled(faults, earlier, reasons)
    assert list(known) == faults[1:]
    assert known[faults[1]] == {**faults[1]._asdict(), "outcome": "survived"}
    assert list(mutation.settled(faults, earlier, None)) == faults[2:]
    with pytest.raises(ValueError, match="m is no longer what was tried before"):
        mutation.settled(faults[1:], earlier, reasons)


def test_every_module_of_the_wings_is_tried_but_those_that_need_a_gpu():
    wings = {
        f"{file.parent.name}/{file.stem}"
        for wing in mutation.WINGS
        for file in (project.ROOT / "modlib" / wing).glob("[!_]*.py")
    }
    assert set(mutation.TESTS) == set(mutation.CORE) | wings - mutation.NEEDS_A_GPU
    for tests in mutation.TESTS.values():
        assert all((project.ROOT / "tests" / f"{name}.py").exists() for name in tests)
    assert mutation.TESTS["stats/selection"][0] == "stats/test_selection"


def test_a_larger_sample_of_a_wing_holds_the_smaller_one(monkeypatch):
    modules = ("stats/power", "stats/selection")
    monkeypatch.setattr(mutation, "TESTS", dict.fromkeys(modules, ()))
    samples = []
    for size in (10, 40, 10**6):
        monkeypatch.setattr(mutation, "SAMPLE", size)
        samples.append({fault for found in mutation.chosen(modules).values() for fault in found.values()})
    assert [len(sample) for sample in samples[:2]] == [10, 40]
    assert samples[0] < samples[1] < samples[2]
    sources = {module: (project.ROOT / "modlib" / f"{module}.py").read_text() for module in modules}
    assert samples[2] == {f for m, text in sources.items() for f in mutation.mutants(m, text).values()}
    assert len({fault.module for fault in samples[1]}) > 1


def test_all_faults_outside_the_wings_are_tried(monkeypatch):
    monkeypatch.setattr(mutation, "SAMPLE", 1)
    monkeypatch.setattr(mutation, "TESTS", {"_ranks": ()})
    source = (project.ROOT / "modlib" / "_ranks.py").read_text()
    assert mutation.chosen(["_ranks"]) == {"_ranks": mutation.mutants("_ranks", source)}


def test_names_in_checks_of_arguments_are_left_alone():
    source = 'def f(a):\n    return _checks.whole(a, "a", least=1)\n'
    assert "text" not in {kind for _, _, kind, _, _ in changes(source)}
    assert "constant" in {kind for _, _, kind, _, _ in changes(source)}


def test_a_part_takes_the_place_of_its_rows_on_record(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_records, "FOLDER", tmp_path / "results" / "benchmarks")
    monkeypatch.setattr(project, "ROOT", tmp_path)

    def rows(module, *outcomes):
        fault = mutation.Fault(module, "", 1, "constant", "0", "1")
        return pd.DataFrame([{**fault._asdict(), "outcome": outcome, "seconds": 1.0} for outcome in outcomes])

    mutation.put_on_record("stats", rows("stats/power", "caught", "survived"))
    mutation.put_on_record("measures", rows("measures", "caught"))
    mutation.put_on_record("stats", rows("stats/selection", "caught"))
    record = benchmark_records.read("mutation", "cpu")
    assert record.table.module.tolist() == ["measures", "stats/selection"]
    assert set(record.about["commits"]) == {"measures", "stats"}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("assert True", "survived"),
        ("import time; time.sleep(60)", "caught by time"),
        ("import os; os._exit(3)", "caught"),
        ("syntax error", "caught"),
    ],
)
def test_outcomes(tmp_path, body, outcome):
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {body}\n")
    shutil.copyfile(project.ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    code = (
        "from pathlib import Path; from benchmarks.mutation import outcome_of; "
        f"print(outcome_of(Path({str(tmp_path)!r}), ['test_it.py'], 8.0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == outcome


def test_a_copy_holds_what_git_knows_and_the_results_as_a_link(tmp_path):
    place = project.copy(tmp_path / "copy")
    assert (place / "modlib" / "measures.py").read_bytes() == Path("modlib/measures.py").read_bytes()
    assert (place / "results").resolve() == project.ROOT / "results"
    assert not (place / ".venv").exists()


def test_a_report_of_tests_is_read_case_by_case(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.test_a" name="test_x[1-b]" time="0.5"/>'
        '<testcase classname="tests.test_a" name="test_x[2-b]" time="1.5"><failure/></testcase>'
        '<testcase classname="tests.test_b" name="test_y" time="2"><skipped/><properties>'
        '<property name="kills" value="50"/></properties></testcase>'
        "</testsuite></testsuites>"
    )
    cases, found = suite.cases_of(report)
    assert [case["test"] for case in cases] == ["test_x", "test_x", "test_y"]
    assert [(case["failed"], case["skipped"]) for case in cases] == [(0, 0), (1, 0), (0, 1)]
    assert found == {"test_y": {"kills": 50.0}}
