"""What adding a table, a measure or a null costs: one entry in its registry, and every table has it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tiny import TINY, run_in_one_go

from modlib.study import catalogue, project, schema, shard, workers
from modlib.study.store import read_results

TOY_MEASURE = """

def _add_toy(sums: list[Tensor], batch: Batch) -> None:
    for total, activations in zip(sums, batch.hidden, strict=True):
        total += _gram(activations.mT.contiguous())


MEASURES["toy"] = Measure("toy", "upstream", "toy measure", 2, _add_toy, _input_cov_of_model)
"""
TOY_NULL = """

def _draws_of_nothing(
    stack: MLPStack, x: Tensor, y: Tensor, S: dict[str, list[Tensor]], seed: int
) -> Iterator[Draw]:
    while True:
        yield [graphs(S, layer) for layer in range(stack.n_hidden)]


NULLS["toy"] = Null("toy", "toy null", _draws_of_nothing)
"""
RUN = """
import sys
from pathlib import Path
from tiny import run_in_one_go
run_in_one_go(Path(sys.argv[1]))
"""


@pytest.fixture
def tables_with(tmp_path):
    """Give the tables of a short run of a copy of the package, of which one file has more."""

    def run(name, more, before=""):
        shutil.copytree(
            project.PACKAGE, tmp_path / "modlib", ignore=shutil.ignore_patterns("__pycache__", "site")
        )
        path = tmp_path / "modlib" / name
        text = path.read_text()
        path.write_text(text.replace(before, more + before) if before else text + more)
        paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
        command = [sys.executable, "-c", RUN, str(tmp_path)]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path, check=True)
        return {path.stem: pd.read_parquet(path) for path in (tmp_path / "tiny-quick").glob("*.parquet")}

    return run


@pytest.mark.slow
def test_a_measure_costs_its_module_only(tables_with):
    found = tables_with("measures.py", TOY_MEASURE, before="UPSTREAM = tuple(")
    assert (found["modules"].measure == "toy").mean() == pytest.approx(1 / 5)
    assert (found["agreement"].measure_b == "toy").any()
    assert (found["nulls"].measure == "toy").any()
    assert (found["choices"].measure == "toy").any()


@pytest.mark.slow
def test_a_null_costs_its_module_only(tables_with):
    found = tables_with("nulls.py", TOY_NULL)
    assert (found["nulls"].null == "toy").mean() == pytest.approx(1 / (3 + 1))


def test_a_table_costs_its_schema_and_whoever_fills_it(tmp_path, monkeypatch):
    """Results stored before show it empty, and a run fills it."""
    columns = (schema.Column("network", "str", "name"), schema.Column("units", "int64", "how many"))
    monkeypatch.setitem(schema.TABLES, "toys", schema.Table("toys", "a network", columns))
    stored = read_results(catalogue.get("base", "paper"))
    assert (len(stored.more["toys"]), list(stored.more["toys"])) == (0, ["network", "units"])
    analyse = shard.analyse_shard

    def filling(experiment, one, trained, device, **options):
        found = analyse(experiment, one, trained, device, **options)
        found.tables["toys"] = pd.DataFrame({"network": trained.names, "units": sum(experiment.hidden)})
        return found

    monkeypatch.setattr(workers, "analyse_shard", filling)
    run_in_one_go(tmp_path)
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    results = read_results(TINY)
    assert results.more["toys"].network.tolist() == results.networks.network.tolist()
    assert set(results.more["toys"].units) == {16}
