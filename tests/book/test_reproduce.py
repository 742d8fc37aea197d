"""What the page on reproducing says is true of the code."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import modlib
from modlib.data.sources import SOURCES
from modlib.study import catalogue, schema

PAGE = (Path(__file__).parents[2] / "book" / "reproduce.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Run a tiny experiment as a user would."""
    plan = replace(
        catalogue.get("base", "quick"),
        settings=catalogue.get("base", "quick").settings[:1],
        seeds=(0,),
        untrained=1,
        train_samples=300,
        test_samples=50,
        restarts=2,
        protocol=replace(catalogue.get("base", "quick").protocol, max_epochs=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODLIB_RESULTS", str(tmp_path_factory.mktemp("results")))
        patch.setitem(catalogue.EXPERIMENTS["base"], "quick", plan)
        return modlib.run("base", profile="quick", workers=0)


@pytest.mark.parametrize("table", schema.TABLES)
def test_every_column_is_described_and_every_described_column_is_there(quick, table):
    """The page shows the schema, and the schema describes what is stored."""
    assert "\n```{schema}\n" in PAGE
    assert [column.name for column in schema.TABLES[table].columns] == list(getattr(quick, table).columns)


def test_every_key_of_the_manifest_is_described(quick):
    section = PAGE.split("### `manifest.json`", 1)[1].split("\n## ")[0]
    named = [name for line in section.splitlines() if line.startswith("| `")
             for name in re.findall(r"`([^`]+)`", line.split("|")[1])]  # fmt: skip
    assert sorted(named) == sorted(quick.manifest)


def test_digests_of_the_data_are_the_ones_that_are_checked():
    listed = dict(re.findall(r"\| `([xy]_\w+)` \| `([0-9a-f]{64})` \|", PAGE))
    assert listed == SOURCES["mnist"].sha256


def test_profiles_are_as_described():
    rows = {}
    for line in PAGE.split("## Two profiles", 1)[1].split("\n## ")[0].splitlines():
        if line.startswith("|"):
            name, *values = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name] = dict(zip(("quick", "paper"), values, strict=True))
    for profile in catalogue.PROFILES:
        plan = catalogue.get("base", profile)
        levels = [sum(s.regularizer == r for s in plan.settings) for r in ("l2", "l1", "dropout")]
        n_trained = len(plan.settings) * len(plan.seeds)
        assert rows["levels of L2, L1, dropout"][profile] == ", ".join(map(str, levels))
        assert rows["seeds"][profile] == str(len(plan.seeds))
        assert rows["trained and untrained networks"][profile] == f"{n_trained} and {plan.untrained}"
        samples = f"{plan.train_samples:,} and {plan.test_samples:,}"
        assert rows["training and test images"][profile] == samples
        assert rows["epochs at most (protocol `final`)"][profile].startswith(str(plan.protocol.max_epochs))
        assert rows["Leiden restarts a graph"][profile] == str(plan.restarts)


def test_experiments_are_as_described():
    rows = {}
    for line in PAGE.split("| experiment | hidden layers |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]:
        names, hidden, data, _, varied, seeds, besides = (cell.strip() for cell in line.strip("|").split("|"))
        rows |= dict.fromkeys(re.findall(r"`([\w-]+)`", names), (hidden, data, varied, seeds, besides))
    assert set(rows) == set(catalogue.EXPERIMENTS)
    for name, (hidden, data, varied, seeds, besides) in rows.items():
        plan = catalogue.get(name, "paper")
        assert hidden == "-".join(map(str, plan.hidden))
        assert ("Fashion" in data) == (plan.dataset == "fashion_mnist")
        assert (f"{plan.train_samples:,} images" in data) == (plan.train_samples < 60_000)
        assert varied.startswith(f"{len(plan.settings)} ")
        assert seeds == str(len(plan.seeds))
        assert (f"{plan.untrained} untrained" in besides) == bool(plan.untrained)
        assert ("nulls" in besides) == bool(plan.null_draws)


def test_the_worked_example_runs_as_printed(capsys):
    example = PAGE.split("## Your own model", 1)[1]
    code = re.search(r"```python\n(.*?)```", example, re.DOTALL).group(1)
    names = {}
    exec(compile(code, "reproduce.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*modlib.MEASURES, "upstream"]
    for measure, part in names["found"].items():
        expected = modlib.similarity_of(
            names["encoder"], names["decoder"], names["x"], names["y"], measure=measure
        )
        A = modlib.adjacency(expected, normalized=True)
        assert part.q == pytest.approx(modlib.modularity(A, part.labels))


def test_commands_name_what_there_is():
    root = Path(__file__).parents[2]
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`", PAGE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for notebook in re.findall(r"notebooks/([\w-]+)\.ipynb", PAGE):
        assert (root / "notebooks" / f"{notebook}.ipynb").is_file()
