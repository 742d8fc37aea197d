"""Results on disk: what comes back is what was written, or an error that names the file."""

import errno
import fcntl
import hashlib
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from modlib._contingency import METRICS  # noqa: PLC2701
from modlib.networks import MLPStack, concatenate
from modlib.study import catalogue, packing, project, schema, store
from modlib.study.files import StoreError, exclusive
from modlib.study.plan import Experiment, Setting
from modlib.study.shard import ShardResults, Trained
from modlib.study.shard_files import (
    drop_trained,
    read_shard,
    read_trained,
    shard_file,
    write_shard,
    write_trained,
)
from modlib.study.store import folder_of, is_stored, read_results, write_results
from modlib.training import Protocol

EXPERIMENT = Experiment("tiny", "quick", (Setting("l2", 1e-5),), (0, 1), 3, Protocol())
FILES = (*(f"{table}.parquet" for table in schema.TABLES), "weights.npz", "manifest.sha256", "manifest.json")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Results of these tests are kept apart."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results" / "tiny-quick"


def results():
    """Tables with every kind of column that the real ones have, and two networks."""
    rng = np.random.default_rng(0)
    networks = pd.DataFrame(
        {
            "network": ["l2=1e-05,seed=0", "dropout=0.5,seed=1"],
            "strength": [1e-5, 0.1 + 0.2],
            "trained": [True, False],
            "epochs": [40, 0],
            "val_loss": [0.25, np.nan],
            "active_units": [[64, 3], [0, 127]],
        }
    )
    modules = pd.DataFrame(
        {
            "network": ["a"] * 3,
            "layer": [1, 2, 2],
            "q": [0.1, np.nan, -1e-300],
            "labels": [np.array([0, 1, -1], dtype=np.int16), np.full(2, -1, np.int16), np.zeros(0, np.int16)],
            "reliability": [0.5, np.nan, -0.1],
        }
    )
    columns = [*METRICS, "transfer_ab"]  # with all metrics, since what lacks one is given it when read
    agreement = pd.DataFrame(rng.random((50, len(columns))), columns=columns)
    nulls = pd.DataFrame({"null": ["similarity"], "draws": [19], "p": [0.05]})
    choices = pd.DataFrame(columns=["network", "choice", "q"])  # not every experiment has rows in each table
    few = pd.DataFrame({"choice": ["images=100"], "distinct": [True]})
    tables = {
        "networks": networks,
        "modules": modules,
        "agreement": agreement,
        "nulls": nulls,
        "choices": choices,
        "choices_agreement": few,
    }
    weights = {
        "l2=1e-05,seed=0": MLPStack.initialise([5, 4, 3], seeds=[0]),
        "a/b": MLPStack.initialise([5, 4, 3], seeds=[1]),
    }
    return tables, weights


def write_all():
    tables, weights = results()
    write_shard(EXPERIMENT, "seed-000", ShardResults(tables, weights, {"training": 1.5}))
    write_results(EXPERIMENT, tables, weights, {"commit": "é"})


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_tables_equal(tables):
    for name, expected in results()[0].items():
        found = tables[name] if isinstance(tables, dict) else getattr(tables, name)
        assert list(found.columns) == list(expected.columns)
        for column in expected:
            if expected[column].dtype == object:  # lists
                for a, b in zip(found[column], expected[column], strict=True):
                    np.testing.assert_array_equal(a, b)
            else:
                pd.testing.assert_series_equal(found[column], expected[column], check_exact=True)


def assert_weights_equal(kept):
    weights = results()[1]
    assert set(kept) == set(weights)
    for name, stack in weights.items():
        assert len(kept[name]) == 1
        for a, b in zip(kept[name].weights + kept[name].biases, stack.weights + stack.biases, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


# ---------------------------------------------------------------- what is written comes back


def test_shard_round_trip():
    write_all()
    back = read_shard(EXPERIMENT, "seed-000")
    assert_tables_equal(back.tables)
    assert_weights_equal(back.weights)
    assert back.seconds == {"training": 1.5}
    assert {labels.dtype for labels in back.tables["modules"].labels} == {np.dtype(np.int16)}


def test_results_round_trip():
    assert not is_stored(EXPERIMENT)
    write_all()
    assert is_stored(EXPERIMENT)
    back = read_results(EXPERIMENT)
    assert_tables_equal(back)
    assert_weights_equal(back.kept)
    assert back.manifest["commit"] == "é"
    assert back.manifest["config"] == EXPERIMENT.config
    assert {name: about.get("rows") for name, about in back.manifest["files"].items()} == {
        "networks.parquet": 2,
        "modules.parquet": 3,
        "agreement.parquet": 50,
        "nulls.parquet": 1,
        "choices.parquet": 0,
        "choices_agreement.parquet": 1,
        "weights.npz": None,
    }


def test_what_is_changed_after_reading_is_not_read_again():
    write_all()
    first = read_results(EXPERIMENT)
    name = min(first.kept)
    q, weight = first.modules.q.copy(), first.kept[name].weights[0].clone()
    first.modules["q"] = 0.0
    first.modules.loc[:, "layer"] = 7
    first.kept[name].weights[0].zero_()
    first.kept.pop(max(first.kept))
    again = read_results(EXPERIMENT)
    assert again.modules.q.equals(q)
    assert again.modules.layer.ne(7).all()
    assert torch.equal(again.kept[name].weights[0], weight)
    assert len(again.kept) > len(first.kept)
    with pytest.raises(ValueError, match="read-only"):
        again.modules.labels.iloc[0][0] = 1


def test_files_that_are_replaced_are_read_anew():
    write_all()
    before = read_results(EXPERIMENT)
    tables, weights = results()
    write_results(EXPERIMENT, {**tables, "modules": tables["modules"].assign(q=0.5)}, weights, {})
    assert read_results(EXPERIMENT).modules.q.eq(0.5).all()
    assert not before.modules.q.eq(0.5).any()


def test_trained_networks_wait_for_their_shard():
    stack = concatenate([MLPStack.initialise([5, 4, 3], seeds=[seed]) for seed in range(12)])
    names = tuple(f"network {seed}" for seed in range(12))  # "10" sorts before "2": the order must be kept
    trained = Trained(names, stack, list(range(12)), [0.1 * i for i in range(12)], 2.5)
    write_trained(EXPERIMENT, "seed-000", trained)
    back = read_trained(EXPERIMENT, "seed-000")
    assert (back.names, back.epochs, back.val_loss, back.seconds) == (
        names,
        trained.epochs,
        trained.val_loss,
        2.5,
    )
    for a, b in zip(back.stack.weights + back.stack.biases, stack.weights + stack.biases, strict=True):
        assert torch.equal(a, b)
    with pytest.raises(FileNotFoundError):
        read_shard(EXPERIMENT, "seed-000")  # trained is not finished
    drop_trained(EXPERIMENT, "seed-000")
    drop_trained(EXPERIMENT, "seed-000")  # gone already
    with pytest.raises(FileNotFoundError):
        read_trained(EXPERIMENT, "seed-000")


def test_no_network_need_be_kept():
    tables, _ = results()
    write_shard(EXPERIMENT, "seed-000", ShardResults(tables, {}, {}))
    assert read_shard(EXPERIMENT, "seed-000").weights == {}


def test_weights_are_plain_npz(folder):
    write_all()
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        assert arrays["a/b/weight/0"].shape == (5, 4)
        assert len(arrays.files) == 2 * 2 * 2


def test_weights_are_read_layer_by_layer_however_the_file_lists_them():
    stack = MLPStack.initialise([4] * 13, seeds=[0])  # layers 10 and 11 follow 9, not 1
    with zipfile.ZipFile(io.BytesIO(packing.networks({"a/b": stack}))) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    found = packing.read_networks(packing.archive(dict(reversed(members.items()))))["a/b"]
    for ours, theirs in zip(stack.weights + stack.biases, found.weights + found.biases, strict=True):
        assert torch.equal(ours, theirs)


def test_same_results_same_bytes(folder):
    write_all()
    before = contents(folder)
    assert {name.rsplit("/", 1)[-1] for name in before} == {*FILES, "seed-000.zip"}
    shutil.rmtree(folder)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_store; test_store.write_all()"
    command = [sys.executable, "-W", "error", "-c", code, str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Pacific/Auckland"}
    subprocess.run(command, env=environment, check=True)
    assert contents(folder) == before


def test_order_of_the_networks_kept_does_not_matter(folder):
    write_all()
    before = contents(folder)
    tables, weights = results()
    write_results(EXPERIMENT, tables, dict(reversed(weights.items())), {"commit": "é"})
    assert contents(folder) == before


def test_other_results_other_bytes(folder):
    write_all()
    before = contents(folder)
    tables, weights = results()
    tables["agreement"].loc[7, "ecs"] += 1e-12
    weights["a/b"].weights[0][0, 0, 0] += 1e-6
    write_results(EXPERIMENT, tables, weights, {"commit": "é"})
    changed = {name for name, content in contents(folder).items() if content != before[name]}
    assert changed == {"agreement.parquet", "weights.npz", "manifest.sha256", "manifest.json"}


# ---------------------------------------------------------------- damage


def flip(path, position=None, bit=0):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1 << bit
    path.write_bytes(content)


DAMAGE = {
    "bit flipped": flip,
    "last byte missing": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "half missing": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "something else": lambda path: path.write_bytes(b"<html>404</html>"),
    "more at the end": lambda path: path.write_bytes(path.read_bytes() + b"x"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES[:-2])
def test_damaged_tables_are_named_and_left_alone(folder, name, damage):
    write_all()
    DAMAGE[damage](folder / name)
    before = contents(folder)
    with pytest.raises(StoreError, match=name) as error:
        read_results(EXPERIMENT)
    assert str(folder / name) in str(error.value)
    assert contents(folder) == before


@pytest.mark.parametrize("name", FILES[:-2])
def test_missing_tables_are_named(folder, name):
    write_all()
    (folder / name).unlink()
    with pytest.raises(StoreError, match=f"{name} is missing"):
        read_results(EXPERIMENT)


def test_tables_cannot_be_swapped(folder):
    write_all()
    (folder / "networks.parquet").write_bytes((folder / "modules.parquet").read_bytes())
    with pytest.raises(StoreError, match=r"networks\.parquet is not the file that its manifest lists"):
        read_results(EXPERIMENT)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"not JSON", b'{"format": 1'],
)
def test_manifest_that_is_none_is_named(folder, content):
    write_all()
    (folder / "manifest.json").write_bytes(content)
    for read in (read_results, is_stored):
        with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
            read(EXPERIMENT)


def forge(folder, **changes):
    """Change a manifest and mend its check sum."""
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "manifest.sha256").write_bytes(store.check_sum_file((folder / "manifest.json").read_bytes()))


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256"])
def test_any_flipped_bit_of_a_manifest_or_its_check_sum_is_refused(folder, name):
    write_all()
    whole = (folder / name).read_bytes()
    for position in range(0, len(whole), 7):
        (folder / name).write_bytes(whole)
        flip(folder / name, position, bit=position % 7)
        for read in (read_results, is_stored):
            with pytest.raises(StoreError, match=r"manifest\.json"):
                read(EXPERIMENT)


def test_a_manifest_of_before_there_were_check_sums_is_read(folder):
    """A flipped bit is then an error, or sits where it says nothing about the tables (a commit, a date)."""
    write_all()
    (folder / "manifest.sha256").unlink()
    assert_tables_equal(read_results(EXPERIMENT))
    whole = (folder / "manifest.json").read_bytes()
    refused = 0
    for position in range(0, len(whole), 7):
        (folder / "manifest.json").write_bytes(whole)
        flip(folder / "manifest.json", position, bit=position % 7)
        try:
            assert_tables_equal(read_results(EXPERIMENT))
        except StoreError:
            refused += 1
    assert refused > 0.8 * len(whole) / 7


def test_the_check_sum_is_one_that_the_usual_tool_takes(folder):
    write_all()
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert (folder / "manifest.sha256").read_text() == f"{digest}  manifest.json\n"


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"digest": "0" * 64},
        {"config": {}},
        {"format": None},
    ],
)
def test_manifest_of_another_configuration(folder, change):
    write_all()
    forge(folder, **change)
    with pytest.raises(StoreError, match=rf"manifest\.json is of another .*{next(iter(change))} differs"):
        read_results(EXPERIMENT)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({}, r"\.parquet is not the file that its manifest lists"),
        ([], r"manifest\.json is damaged"),
        (None, r"manifest\.json is damaged"),
        ({"networks.parquet": 3}, r"manifest\.json is damaged"),
    ],
)
def test_manifest_that_lists_no_check_sums(folder, listed, message):
    write_all()
    forge(folder, files=listed)
    with pytest.raises(StoreError, match=message):
        read_results(EXPERIMENT)


def test_another_configuration_is_not_mistaken_for_this_one():
    write_all()
    other = replace(EXPERIMENT, restarts=21)
    assert folder_of(other) == folder_of(EXPERIMENT)
    assert not is_stored(other)
    with pytest.raises(StoreError, match="another configuration of 'tiny'"):
        read_results(other)
    with pytest.raises(FileNotFoundError):  # its shards have a folder of their own
        read_shard(other, "seed-000")


def test_nothing_there():
    with pytest.raises(FileNotFoundError):
        read_results(EXPERIMENT)
    with pytest.raises(FileNotFoundError):
        read_shard(EXPERIMENT, "seed-000")


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "more at the end"])
def test_damaged_shard(damage):
    write_all()
    path = shard_file(EXPERIMENT, "seed-000")
    DAMAGE[damage](path)
    with pytest.raises(StoreError) as error:
        read_shard(EXPERIMENT, "seed-000")
    assert str(path) in str(error.value)


def test_no_single_bit_of_a_shard_gives_other_results():
    write_all()
    path = shard_file(EXPERIMENT, "seed-000")
    whole, refused, tried = path.read_bytes(), 0, range(3, len(path.read_bytes()), 211)
    for position in tried:
        path.write_bytes(whole)
        flip(path, position, bit=position % 8)
        try:
            back = read_shard(EXPERIMENT, "seed-000")
        except StoreError:
            refused += 1
        else:  # a time stamp, say
            assert_tables_equal(back.tables)
            assert_weights_equal(back.weights)
    assert refused > len(tried) / 2


def test_shard_of_another_name_or_experiment():
    write_all()
    other = replace(EXPERIMENT, restarts=21)
    for experiment, name in ((EXPERIMENT, "seed-001"), (other, "seed-000")):
        target = shard_file(experiment, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(shard_file(EXPERIMENT, "seed-000").read_bytes())
        with pytest.raises(StoreError, match=f"{name}.zip belongs to another experiment or format"):
            read_shard(experiment, name)


class Bomb:
    """What unpickling would set off."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickles_are_refused(folder, tmp_path):
    write_all()
    fuse = tmp_path / "exploded"
    sink = io.BytesIO()
    np.savez(sink, **{"a/weight/0": np.array([Bomb(fuse)], dtype=object)})
    for content in (sink.getvalue(), pickle.dumps(Bomb(fuse))):
        (folder / "weights.npz").write_bytes(content)
        files = json.loads((folder / "manifest.json").read_text())["files"]
        files["weights.npz"]["sha256"] = hashlib.sha256(content).hexdigest()  # a forger would see to that
        forge(folder, files=files)
        with pytest.raises(StoreError, match=r"weights\.npz is damaged"):
            read_results(EXPERIMENT)
        path = shard_file(EXPERIMENT, "seed-000")
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, member in members.items():
                archive.writestr(name, content if name == "weights.npz" else member)
        with pytest.raises(StoreError, match=r"seed-000\.zip is damaged"):
            read_shard(EXPERIMENT, "seed-000")
    assert not fuse.exists()
    pickle.loads(content)
    assert fuse.exists()  # it was a live one


# ---------------------------------------------------------------- growth


@pytest.fixture
def toy(monkeypatch):
    """Give a function that registers a table until the test ends."""

    def register():
        columns = (
            schema.Column("network", "str", "name"),
            schema.Column("lesion", "float64", "what is lost"),
        )
        monkeypatch.setitem(schema.TABLES, "toys", schema.Table("toys", "a network", columns))

    return register


#: Experiments that have tables; those with new seeds are planned before they are computed.
STORED = [path.name.removesuffix("-paper") for path in sorted((project.ROOT / "results").glob("*-paper"))]


@pytest.mark.parametrize("name", STORED)
def test_results_stored_before_a_table_existed_show_it_empty(monkeypatch, toy, name):
    monkeypatch.delenv("MODLIB_RESULTS")
    before = read_results(catalogue.get(name, "paper"))
    toy()
    after = read_results(catalogue.get(name, "paper"))
    assert before.more == {}
    assert list(after.more) == ["toys"]
    assert (len(after.more["toys"]), list(after.more["toys"].columns)) == (0, ["network", "lesion"])
    pd.testing.assert_frame_equal(after.modules, before.modules)


def test_a_column_newer_than_a_table_is_nan_in_it():
    tables, weights = results()
    old = {**tables, "modules": tables["modules"].drop(columns="reliability")}
    write_results(EXPERIMENT, old, weights, {})
    found = read_results(EXPERIMENT).modules
    assert found.reliability.isna().all()
    assert found.q.equals(tables["modules"].q)


def test_a_shard_finished_before_a_table_existed_shows_it_empty(toy):
    write_all()
    toy()
    back = read_shard(EXPERIMENT, "seed-000").tables
    assert_tables_equal(back)
    assert (len(back["toys"]), list(back["toys"].columns)) == (0, ["network", "lesion"])


def test_a_new_table_comes_back(toy):
    toy()
    tables, weights = results()
    tables["toys"] = pd.DataFrame({"network": ["a"], "lesion": [0.5]})
    write_shard(EXPERIMENT, "seed-000", ShardResults(tables, weights, {}))
    write_results(EXPERIMENT, tables, weights, {})
    for found in (read_shard(EXPERIMENT, "seed-000").tables["toys"], read_results(EXPERIMENT).more["toys"]):
        pd.testing.assert_frame_equal(found, tables["toys"])


def test_a_table_that_is_there_but_not_listed_is_refused(folder):
    write_all()
    files = json.loads((folder / "manifest.json").read_text())["files"]
    forge(folder, files={name: about for name, about in files.items() if name != "nulls.parquet"})
    with pytest.raises(StoreError, match=r"nulls\.parquet is not the file that its manifest lists"):
        read_results(EXPERIMENT)


def test_a_table_that_only_newer_code_knows_is_passed_over(monkeypatch, toy):
    toy()
    tables, weights = results()
    tables["toys"] = pd.DataFrame({"network": ["a"], "lesion": [0.5]})
    write_results(EXPERIMENT, tables, weights, {})
    monkeypatch.delitem(schema.TABLES, "toys")
    back = read_results(EXPERIMENT)
    assert back.more == {}
    assert_tables_equal(back)


def kind(cells):
    """Name the type of a column as the schema does."""
    if cells.dtype != object:
        return str(cells.dtype)
    (inside,) = {np.asarray(cell).dtype for cell in cells}
    return f"list[{inside}]"


@pytest.mark.parametrize("name", STORED)
def test_stored_tables_are_as_the_schema_says(monkeypatch, name):
    monkeypatch.delenv("MODLIB_RESULTS")
    found = read_results(catalogue.get(name, "paper"))
    for table in schema.TABLES.values():
        rows = getattr(found, table.name)
        assert list(rows.columns) == table.names
        for column in table.columns if len(rows) else ():
            cells = rows[column.name]
            assert kind(cells) == column.kind, (table.name, column.name)
            if column.range is None:
                continue
            flat = np.concatenate(cells.to_list()) if column.kind.startswith("list") else cells.dropna()
            if column.kind == "str":
                assert set(flat) <= set(column.range), (table.name, column.name)
            elif len(flat):
                low, high = column.range
                assert low - 1e-9 <= min(flat) <= max(flat) <= high + 1e-9, (table.name, column.name)


def test_every_column_says_what_it_means():
    for name, table in schema.TABLES.items():
        assert table.name == name
        assert table.row_is
        assert len(set(table.names)) == len(table.names)
        for column in table.columns:
            assert column.meaning
            assert (column.range is None) <= (column.kind in ("str", "bool"))


def test_results_of_other_code_are_read():
    tables, weights = results()
    write_results(EXPERIMENT, tables, weights, {"code": "0" * 64})
    assert_tables_equal(read_results(EXPERIMENT))


# ---------------------------------------------------------------- interrupted writing


class PowerCutError(Exception):
    """Stands for whatever ends a process between two instructions."""


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("files_before", range(5))
def test_interrupted_writing_leaves_whole_files_only(folder, monkeypatch, where, files_before):
    write_all()
    expected = contents(folder)
    tables, weights = results()
    for name in FILES:  # older tables are there, of other content
        (folder / name).write_bytes(b"old")
    calls, real = 0, getattr(os, where)

    def fails(*arguments):
        nonlocal calls
        calls += 1
        if calls > files_before:
            raise PowerCutError
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, where, fails)
        with pytest.raises(PowerCutError):
            write_results(EXPERIMENT, tables, weights, {"commit": "é"})
    found = contents(folder)
    assert not [name for name in found if name.split("/")[-1].startswith(".")]
    for number, name in enumerate(FILES[:-1]):  # in the order of writing
        assert found[name] == (expected[name] if number < files_before else b"old")
    assert "manifest.json" not in found  # so nothing counts
    with pytest.raises(FileNotFoundError):
        read_results(EXPERIMENT)
    write_results(EXPERIMENT, tables, weights, {"commit": "é"})
    assert contents(folder) == expected


def test_interrupted_shard_is_not_there(monkeypatch):
    tables, weights = results()

    def fails(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="No space left"):
            write_shard(EXPERIMENT, "seed-000", ShardResults(tables, weights, {}))
    assert not list(shard_file(EXPERIMENT, "seed-000").parent.iterdir())


# ---------------------------------------------------------------- one at a time


def test_exclusive_makes_the_second_wait(caplog):
    order, inside, waiting = [], threading.Event(), threading.Event()

    def first():
        with exclusive(folder_of(EXPERIMENT)):
            inside.set()
            waiting.wait(10)
            order.append("first leaves")

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with caplog.at_level("INFO", logger="modlib.study.files"):
        threading.Timer(0.2, waiting.set).start()
        with exclusive(folder_of(EXPERIMENT)):
            order.append("second enters")
    thread.join()
    assert order == ["first leaves", "second enters"]
    assert "waiting for another process" in caplog.text


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_the_work_goes_on_with_a_warning(monkeypatch, caplog, reason):
    def no_locks(*_):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with exclusive(folder_of(EXPERIMENT)):
        write_all()
    assert_tables_equal(read_results(EXPERIMENT))
    assert f"{folder_of(EXPERIMENT)} cannot be locked" in caplog.text


def test_other_experiments_need_not_wait():
    with exclusive(folder_of(EXPERIMENT)), exclusive(folder_of(replace(EXPERIMENT, profile="paper"))):
        assert folder_of(EXPERIMENT).exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_a_killed_process_holds_nothing_and_leaves_no_scraps(folder):
    code = """
import sys, time, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_store as t
with t.exclusive(t.folder_of(t.EXPERIMENT)):
    t.write_all()
    for file in (t.shard_file(t.EXPERIMENT, "seed-001"), t.folder_of(t.EXPERIMENT) / "modules.parquet"):
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    print("ready", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert len(list(folder.rglob(".*.part"))) == 2
        process.send_signal(signal.SIGKILL)
    with exclusive(folder_of(EXPERIMENT)):
        assert not list(folder.rglob(".*.part"))
    assert_tables_equal(read_results(EXPERIMENT))  # and no more than scraps was removed
    assert_tables_equal(read_shard(EXPERIMENT, "seed-000").tables)


# ---------------------------------------------------------------- where


def test_where_results_are(monkeypatch, tmp_path):
    assert project.results_folder() == tmp_path / "results"
    monkeypatch.delenv("MODLIB_RESULTS")
    assert project.results_folder() == Path(store.__file__).parents[2] / "results"
    monkeypatch.setattr(project, "ROOT", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert project.results_folder() == tmp_path / "results"
    assert folder_of(catalogue.get("base-v1", "paper")) == tmp_path / "results" / "base-v1-paper"
