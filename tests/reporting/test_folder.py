"""A saved report: read back, verified, and never in place of somebody else's files."""

import hashlib
import json

import igraph
import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from similar import planted

from modlib.measures import VARIANTS, adjacency
from modlib.reporting.report import Report

QUICK = {"draws": 2, "restarts": 1, "null_restarts": 1, "shuffles": 5}
NAMES = [f"unit {number}" for number in range(24)]


@pytest.fixture(scope="module")
def report():
    return Report.of_similarities({"block/1": planted(dead=[2])}, name="net", unit_names=NAMES, **QUICK)


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    return report.save(tmp_path_factory.mktemp("there") / "deep" / "run1")


def test_the_manifest_lists_every_file_with_its_check_sum(report, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == there - {"manifest.json"}
    for name, about in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert about == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert manifest["digest"] == report.about["digest"]
    assert manifest["network"] == "net"
    assert manifest["settings"] == {**QUICK, "seed": 0}


@pytest.mark.parametrize("name", ["modules", "agreement", "nulls", "units"])
def test_tables_are_read_back(report, folder, name):
    table = getattr(report, name)
    found = pd.read_parquet(folder / f"{name}.parquet")
    text = pd.read_csv(folder / f"{name}.csv")
    assert list(found) == list(text) == list(table)
    if name == "modules":
        labels = [list(of_graph) for of_graph in table["labels"]]
        assert [list(of_graph) for of_graph in found["labels"]] == labels
        assert [[int(label) for label in cell.split()] for cell in text["labels"]] == labels
        found, text, table = (one.drop(columns="labels") for one in (found, text, table))
    for column in table:
        for read in (found, text):
            assert read[column].isna().tolist() == table[column].isna().tolist()
            assert read[column].dropna().tolist() == table[column].dropna().tolist()


def test_the_page_and_the_similarities_are_those_of_the_report(report, folder):
    assert (folder / "report.html").read_text(encoding="utf-8") == report.to_html()
    with np.load(folder / "similarities.npz") as found:
        assert set(found) == {f"block/1/{measure}" for measure in report.layers[0].S}
        for measure, S in report.layers[0].S.items():
            np.testing.assert_array_equal(found[f"block/1/{measure}"], S)


def test_graphs_are_read_by_others_with_weights_names_and_modules(report, folder):
    assert len(list((folder / "graphs").iterdir())) == len(VARIANTS)
    modules = report.modules.set_index(["measure", "normalized"])
    for measure, normalized in VARIANTS:
        file = folder / "graphs" / f"1-block_1-{measure}{'-normalised' if normalized else ''}.graphml"
        A = adjacency(torch.from_numpy(planted(dead=[2])[measure]), normalized=normalized).numpy()
        row = modules.loc[measure, normalized]
        graph = networkx.read_graphml(file)
        names = [graph.nodes[node]["name"] for node in graph]
        assert names == NAMES
        assert [graph.nodes[node]["module"] for node in graph] == list(row["labels"])
        np.testing.assert_allclose(networkx.to_numpy_array(graph), A, rtol=1e-12)
        assert graph.graph["q"] == pytest.approx(row.q, rel=1e-12)
        other = igraph.Graph.Read_GraphML(str(file))
        assert other["measure"] == measure
        assert other["layer"] == "block/1"
        assert other.vs["name"] == NAMES


def test_graphs_may_be_left_out(report, tmp_path):
    folder = report.save(tmp_path / "run", graphs=False)
    assert not (folder / "graphs").exists()
    assert "report.html" in json.loads((folder / "manifest.json").read_text())["files"]


def test_an_older_report_is_replaced_whole(report, tmp_path):
    folder = report.save(tmp_path / "run")
    other = Report.of_similarities({"other": {"input_cov": planted()["input_cov"]}}, **QUICK)
    other.save(folder)
    assert sorted(path.name for path in (folder / "graphs").iterdir()) == [
        "1-other-input_cov-normalised.graphml", "1-other-input_cov.graphml",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_empty_folder_is_filled(report, tmp_path):
    (tmp_path / "run").mkdir()
    assert (report.save(tmp_path / "run", graphs=False) / "report.html").exists()


@pytest.mark.parametrize("beside", ["notes.txt", "graphs/mine.graphml"])
@pytest.mark.parametrize("older", [False, True])
def test_other_files_are_never_touched(report, tmp_path, beside, older):
    folder = tmp_path / "run"
    if older:
        report.save(folder)
    (folder / beside).parent.mkdir(parents=True, exist_ok=True)
    (folder / beside).write_text("mine")
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match=f"to must be a new folder .* holds {beside}"):
        report.save(folder)
    assert sorted(folder.rglob("*")) == before
    assert (folder / beside).read_text() == "mine"


def test_a_manifest_of_another_kind_does_not_give_a_folder_away(report, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"a.txt": {}}}))
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(ValueError, match="to must be a new folder"):
        report.save(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_a_file_is_no_folder(report, tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ValueError, match="to must be a folder"):
        report.save(tmp_path / "run")


def test_a_save_that_fails_leaves_the_older_report(report, tmp_path, monkeypatch):
    folder = report.save(tmp_path / "run", graphs=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("modlib.reporting.folder._similarities", full)
    with pytest.raises(OSError, match="no space"):
        report.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
