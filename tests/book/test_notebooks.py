"""The book, built at the quick profile on reduced experiments, and what every notebook then shows.

The experiments keep their grids of settings and shrink otherwise. Notebooks get it from a start-up file of
IPython, so that neither they nor modlib know of tests; tables, training and charts are real. The code of the
solutions of its exercises runs at the end of each notebook.
"""

import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import exercises
import in_process
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from bs4 import BeautifulSoup

from modlib.book import builder
from modlib.book.builder import QUICK_EXPERIMENTS, execution
from modlib.book.builder.cache import EXECUTED, chapters
from modlib.book.builder.cleaning import tagged
from modlib.study.catalogue import EXPERIMENTS

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
VEGA_LITE = re.compile(r"application/vnd\.vegalite\.v\d+\+json")
REDUCE = """
def _reduce():
    from dataclasses import replace

    from modlib.study import catalogue

    for name in ("base", "close-up", "labels-kept", "labels-shuffled"):
        plan = catalogue.get(name, "quick")
        catalogue.EXPERIMENTS[name]["quick"] = replace(
            plan, untrained=min(plan.untrained, 4), train_samples=min(plan.train_samples, 6_000),
            test_samples=500, restarts=2, null_draws=min(plan.null_draws, 4), null_restarts=1,
            protocol=replace(plan.protocol, max_epochs=5),
        )

_reduce()
del _reduce  # nothing of this is left for a notebook to lean on
"""
SMALL = {
    "deviations": {"untrained": 2},
    "example-layer": {"shuffles": 20},
    "four-measures": {"epochs": 1, "samples": 50},
    "own-network": {"samples": 60, "draws": 2},
    "what-is-a-module": {"restarts": 2, "largest": 128, "repeats": 2},
}
# What the prose of a solution says of the value that its code ends with, by exercise.
SAID = {
    "ex-three": "value.modules.tolist() == [2, 2, 3, 3] and value['ECS with the truth'].eq(1).all() "
    "and (value.Q < [1 / 2, 1 / 2, 2 / 3, 2 / 3]).all()",
    "exercise-elsewhere-filter": "value[value['filter'] == 'scaled'].least.eq(0.8).all()",
    "exercise-holm-by-hand": "[round(float(p), 12) for p in value] == [0.044, 0.06, 0.06, 0.2]",
    "exercise-one-bit": "value[10] > 10 * 1e-4 and value[10] > value[3] > 1e-4",
    "exercise-own-seeds": "len(value) == 3 and all(0 < ami < 0.9 for ami in value)",
    "exercise-properties": "90 < value <= 100",
    "exercise-q-by-hand": "abs(value - 16 / 196) < 1e-12",
    "exercise-self-pairs": "value['across'] == 0 and (value.drop('across') > 0).all()",
    "exercise-shuffled-entries": "value[0] > value[1]",
    "exercise-wrong-eigenvector": "value[0].tolist() == [-2, 0, 0, 0] and value[2] == -0.5 "
    "and value[1][0] == value[1][2] != value[1][1] == value[1][3]",
}
SOLUTION = "solution"  # the tag of the cells that hold the code of solutions
# Charts: how many a notebook shows at least, so that a cell that shows nothing is missed.
CHARTS = {
    "agreement": 4,
    "certainty": 3,
    "chance": 6,
    "choices": 2,
    "deviations": 1,
    "elsewhere": 4,
    "example-layer": 1,
    "four-measures": 1,
    "index": 1,
    "own-network": 0,
    "regularisation": 3,
    "robustness": 2,
    "speed": 5,
    "training": 4,
    "verdict": 0,
    "what-is-a-module": 6,
}


def compute(_profile):
    """Compute the reduced experiments beforehand, in a process whose types are not checked."""
    code = (
        REDUCE + "\nimport modlib\nfrom modlib.book.builder import QUICK_EXPERIMENTS\n"
        "for name in QUICK_EXPERIMENTS:\n"
        "    modlib.run(name, profile='quick', device='cpu', workers=0, long=True)"
    )
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def smaller(found, root, name, profile):
    """Find a notebook and give it smaller parameters; none of them may be unknown to it."""
    one = found(root, name, profile)
    parameters = {**one.parameters, **SMALL.get(name, {})}
    assert set(parameters) <= set(papermill.inspect_notebook(str(one.source)))
    return replace(one, parameters=parameters)


def append_solutions(page):
    """Give a notebook a cell for each block of code in its solutions, and one for what is said of it."""
    notebook = nbformat.read(page, as_version=4)
    for label, code in exercises.solutions(page):
        said = f"value = Out[max(Out)]\nassert {SAID[label]}, value" if label in SAID else ""
        for source in filter(None, (code, said)):
            notebook.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": [SOLUTION]}))
    nbformat.write(notebook, page)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the quick book on the reduced experiments, in a copy, and return its folder."""
    folder = tmp_path_factory.mktemp("notebooks")
    root = folder / "book"
    for name in ("book", "notebooks", "teaching"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("executed"))
    for page in (root / "notebooks").glob("*.ipynb"):
        append_solutions(page)
    for name in ("_config.yml", "_toc.yml", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    for name in ("modlib", "results"):  # the logo is in the one, the paper's values in the other
        (root / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODLIB_RESULTS", str(folder / "results"))
        patch.setenv("OMP_NUM_THREADS", "1")
        in_process.patch(patch)
        for name in QUICK_EXPERIMENTS:  # this process looks up the numbers in prose
            patch.setitem(EXPERIMENTS, name, dict(EXPERIMENTS[name]))
        exec(REDUCE, {})
        startup = execution.NOTE_IMPORTS + REDUCE
        patch.setattr(builder, "notebook", partial(smaller, builder.notebook))
        patch.setattr(builder, "execute", partial(execution.execute, startup=startup))
        builder.build("quick", root=root, prepare=compute)
    return root


@pytest.fixture(scope="module")
def executed(built):
    """Return a function that reads a notebook as the book shows it, without the code of its solutions."""

    def read(name):
        notebook = nbformat.read(built / EXECUTED / f"{name}.ipynb", as_version=4)
        notebook.cells = [cell for cell in notebook.cells if not tagged(cell, SOLUTION)]
        return notebook

    return read


@pytest.fixture(scope="module")
def solved(built):
    """Return a function that reads the code of a notebook's solutions, as it was run."""

    def read(name):
        notebook = nbformat.read(built / EXECUTED / f"{name}.ipynb", as_version=4)
        notebook.cells = [cell for cell in notebook.cells if tagged(cell, SOLUTION)]
        return notebook

    return read


def outputs(notebook):
    return [(cell, output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def charts(notebook):
    """Specifications of all charts, each with the cell it stands below."""
    return [
        (cell, spec)
        for cell, output in outputs(notebook)
        for mime, spec in output.get("data", {}).items()
        if VEGA_LITE.fullmatch(mime)
    ]


def tables(notebook):
    """All tables, in order, read back from their HTML."""
    return [
        read_table(output.data["text/html"])
        for _, output in outputs(notebook)
        if "<table" in output.get("data", {}).get("text/html", "")
    ]


def read_table(html):
    """Read a table as pandas writes it; lines of a header are joined, the index is a column."""
    table = BeautifulSoup(html, "html.parser").table
    header, body = (spread(part.find_all("tr")) for part in (table.thead, table.tbody))
    names = [" ".join(filter(None, lines)) for lines in zip(*header, strict=True)]
    found = pd.DataFrame(body, columns=names)
    for name in found:
        number = pd.to_numeric(found[name], errors="coerce")
        found[name] = number if number.notna().all() else found[name]
    return found


def spread(rows):
    """Texts of the cells of rows, with a cell that spans several places in each of them."""
    grid = [{} for _ in rows]
    for line, row in enumerate(rows):
        place = 0
        for cell in row.find_all(["th", "td"]):
            while place in grid[line]:
                place += 1
            for down in range(int(cell.get("rowspan", 1))):
                for across in range(int(cell.get("colspan", 1))):
                    grid[line + down][place + across] = cell.get_text().strip()
    return [[line[place] for place in sorted(line)] for line in grid]


def printed(notebook):
    return "".join(o.text for _, o in outputs(notebook) if o.output_type == "stream" and o.name == "stdout")


def data_sets(spec):
    """Every list of rows in a specification, named or inline or the value of a parameter, at any depth."""
    if isinstance(spec, dict):
        yield from (p["value"] for p in spec.get("params", []) if isinstance(p.get("value"), (dict, list)))
        for key, value in spec.items():
            if key == "datasets":
                yield from value.values()
            elif key == "values" and isinstance(value, list) and value and isinstance(value[0], dict):
                yield value
            else:
                yield from data_sets(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from data_sets(value)


def values(thing):
    """All numbers and strings in nested lists and objects."""
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list):
        for part in thing:
            yield from values(part)
    else:
        yield thing


def test_every_notebook_is_listed_and_its_charts_are_counted():
    assert sorted(CHARTS) == NOTEBOOKS
    assert set(chapters(ROOT)) == set(NOTEBOOKS)


def test_what_is_said_of_solutions_is_of_solutions_with_code():
    with_code = [
        label for name in NOTEBOOKS for label, _ in exercises.solutions(ROOT / "notebooks" / f"{name}.ipynb")
    ]
    assert set(SAID) <= set(with_code)
    assert len(with_code) == len(set(with_code))  # one block each, so that it is clear which value is meant


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_shows_charts_with_data_and_full_tables_and_no_warnings(name, executed):
    notebook = executed(name)
    assert [o.text for _, o in outputs(notebook) if o.output_type == "stream" and o.name == "stderr"] == []
    assert [o for _, o in outputs(notebook) if o.output_type == "error"] == []
    shown = charts(notebook)
    assert len(shown) >= CHARTS[name]
    for cell, spec in shown:
        assert len(spec["description"].split()) >= 5, cell.source
        found = list(data_sets(spec))
        assert found, cell.source
        assert all(found), cell.source  # no data set is empty
        numbers = [v for v in values(found) if isinstance(v, (int, float)) and not isinstance(v, bool)]
        assert len(numbers) >= 4, cell.source
        assert all(math.isfinite(v) for v in numbers), cell.source
    for table in tables(notebook):
        assert table.size > 0, list(table.columns)
        assert (table.astype(str) != "").any(axis=None)
    if 'profile = "quick"' not in (source := "\n".join(cell.source for cell in notebook.cells)):
        pytest.fail(f"the profile was not set:\n{source[:500]}")


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_code_of_every_solution_runs(name, solved):
    """And gives what the prose says: a cell that fails, as one that denies it does, fails the build."""
    notebook = solved(name)
    blocks = exercises.solutions(ROOT / "notebooks" / f"{name}.ipynb")
    assert len(notebook.cells) == len(blocks) + sum(label in SAID for label, _ in blocks)
    assert [o for _, o in outputs(notebook) if o.output_type == "error" or o.get("name") == "stderr"] == []
    silent = [cell.source for cell in notebook.cells if not cell.outputs]
    assert all(source.startswith("value = Out[max(Out)]") for source in silent)  # all else ends with a value


@pytest.mark.slow
def test_every_page_is_rendered(built):
    """No warning was given, or the build would have failed."""
    pages = {path.stem for path in (built / "_build" / "html" / "book").rglob("*.html")}
    assert pages >= {*NOTEBOOKS, *(path.stem for path in (ROOT / "book").glob("*.md"))}


@pytest.mark.slow
def test_the_example_layers_are_those_that_are_stored(executed):
    table = tables(executed("example-layer"))[0]
    assert len(table) == 4
    assert (table.graphs == 16).all()  # 4 measures, raw and normalised, 2 layers
    assert (table.identical == table.graphs).all()
    assert (table.largest_q_gap < 1e-6).all()
    assert "4 networks, 784-64-64-10" in printed(executed("example-layer"))


@pytest.mark.slow
def test_closed_forms_are_automatic_differentiation_and_scales_only_matter_raw(executed):
    notebook = executed("four-measures")
    differences, rescaled = (
        table.set_index(table.columns[0]).astype(float) for table in tables(notebook)[:2]
    )
    assert differences.shape == (4, 2)
    assert (differences.to_numpy() < 1e-6).all()
    raw, normal = (rescaled.filter(like=f"the {which} graph").to_numpy() for which in ("raw", "normalised"))
    assert raw.shape == normal.shape == (4, 2)
    assert (raw > 0.1).all()
    assert (normal < 1e-6).all()
    assert float(re.search(r"largest change of a logit: (\S+)", printed(notebook))[1]) < 1e-9
    assert float(re.search(r"validation accuracy: ([\d.]+)", printed(notebook))[1]) > 0.8


@pytest.mark.slow
def test_each_module_of_the_transformer_costs_one_question(executed):
    notebook = executed("own-network")
    upstream, downstream = [t for t in tables(notebook) if "question 1" in t][:2]
    for table in (upstream, downstream):
        right = table.filter(like="question").to_numpy()
        assert (right[0] > 0.98).all()
        lost, at_random, always_no = right[0] - right[1:-2], right[0] - right[-2], right[-1]
        assert (at_random < 0.05).all()
        assert ((always_no > 0.6) & (always_no < 0.75)).all()
        assert sorted(lost.argmax(axis=1)) == [0, 1, 2, 3]
        assert (lost.max(axis=1) > 2 * np.sort(lost, axis=1)[:, -2]).all()
    (ami,) = [float(o.data["text/plain"]) for c, o in outputs(notebook) if "modlib.agreement(" in c.source]
    assert 0.2 < ami < 0.8


@pytest.mark.slow
def test_training_again_gives_a_verdict_on_every_stored_number(executed):
    found = next(t for t in tables(executed("training")) if "verdict" in t)
    assert len(found) == 3  # of the one network
    assert set(found.iloc[:, 1]) == {"test_accuracy", "val_loss", "epochs"}
    # Elsewhere sums may be rounded otherwise; here both ran on one machine, with one thread each.
    assert set(found.verdict) <= {"equal", "equal to rounding"}
    assert found.live.to_numpy() == pytest.approx(found.stored.to_numpy(), abs=1e-4)
    assert (found[found.iloc[:, 1] == "epochs"].live == 5).all()


@pytest.mark.slow
def test_modules_of_the_toys_are_those_that_were_planted(executed):
    notebook = executed("what-is-a-module")
    by_hand = tables(notebook)[0]
    assert by_hand["Q"].to_numpy() == pytest.approx(by_hand["Q by hand"].to_numpy(), abs=1e-4)
    assert len(by_hand) == 4
    assert "modules of units 1 to 6: [0 0 0 1 1 1]\nQ = 0.3571, 2 modules" in printed(notebook)
    agreement = next(t for t in tables(notebook) if {"ecs", "ami"} <= set(t.columns))
    agreement = agreement.set_index(agreement.columns[0])
    within = agreement[~agreement.index.str.contains("across")]
    assert (within == 1).all(axis=None)
    assert (agreement[agreement.index.str.contains("across")].ami < 0.2).all()


@pytest.mark.slow
def test_agreement_is_one_where_labels_only_differ_in_name(executed):
    text = [o.data["text/plain"] for _, o in outputs(executed("agreement")) if "'ecs'" in str(o.get("data"))]
    scores = [float(re.search(r"'ecs': ([\d.]+)", t)[1]) for t in text]
    assert scores == pytest.approx([1.0, 0.7593, 0.3333], abs=1e-4)


@pytest.mark.slow
def test_findings_are_about_every_layer_and_graph(executed):
    gains = next(t for t in tables(executed("regularisation")) if {"dropout", "L1, L2"} <= set(t.columns))
    assert len(gains) == 16
    assert (gains.difference - (gains.dropout - gains["L1, L2"])).abs().max() < 0.0021  # rounded to 3 digits
    assert (gains["from"] <= gains.difference).all()
    assert (gains.difference <= gains["to"]).all()


def test_the_checks_of_charts_see_what_is_wrong():
    """An empty data set and a number that is none are found, wherever they stand."""
    spec = {"hconcat": [{"data": {"values": [{"q": float("nan")}]}}], "datasets": {"a": []}}
    found = list(data_sets(spec))
    assert [] in found
    assert any(not math.isfinite(v) for v in values(found))


def test_tables_are_read_back_as_they_were():
    rows = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["net", "layer"])
    columns = pd.MultiIndex.from_product([["Q", "ecs"], ["found", "chance"]])
    table = pd.DataFrame([[i + 0.5 * j for j in range(4)] for i in range(4)], index=rows, columns=columns)
    found = read_table(table.to_html())
    assert list(found.iloc[:, 0]) == ["a", "a", "b", "b"]
    assert list(found.columns[2:]) == ["Q found", "Q chance", "ecs found", "ecs chance"]
    assert (found.iloc[:, 2:].to_numpy() == table.to_numpy()).all()
