"""What is on record must follow from the tables: whatever is altered, on either side, is found and named."""

import hashlib
import json
import shutil

import pandas as pd
import pytest
import worlds

from modlib.book import on_record
from modlib.book.chapters.regularisation import tables as regularisation
from modlib.book.chapters.training import tables as training
from modlib.paper import published
from modlib.paper.simulations import rejections
from modlib.study import catalogue, schema, store

PLAN = catalogue.get("base", "paper")
_RECOMPUTED = {}


def some_numbers(profile, _root):
    """Numbers of a few tables by the names of their cells, computed anew at each call."""
    found = {"profile": profile}
    for name, row in training.networks(profile).iloc[0].items():
        found[f"training.networks.{name}"] = int(row)
    found["regularisation.matched.accuracy"] = float(regularisation.matched(profile).accuracy[0])
    for row in regularisation.best_levels(profile).query("experiment == 'base'").to_dict("records"):
        cell = f"regularisation.best_levels[{row['levels']}, {row['measure']}, {row['normalized']}]"
        found |= {f"{cell}.{column}": row[column] for column in ("plain", "dropout", "weights")}
    return found


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Make a results folder whose record is in order."""
    folder = tmp_path_factory.mktemp("original") / "results"
    found = worlds.results("true", layers=(1,), seeds=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODLIB_RESULTS", str(folder))
        patch.setattr(on_record, "numbers", some_numbers)
        tables = {name: getattr(found, name) for name in schema.TABLES}
        store.write_results(PLAN, tables, {}, {"seconds": {"training": 60.0}})
        written = on_record.write()
    assert [path.name for path in written] == ["claims.csv", "verdicts.csv", "numbers.json", "tables.json"]
    return folder


@pytest.fixture(autouse=True)
def few_numbers(monkeypatch):
    """Those of a few tables will do: what the others give is not asked here."""
    monkeypatch.setattr(on_record, "numbers", some_numbers)


@pytest.fixture
def folder(original, tmp_path, monkeypatch):
    """Copy it, to be altered."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "results"))
    shutil.copytree(original, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def same_tables(original, monkeypatch):
    """Compute what the tables say once for all tests that leave them as they are; it takes a second."""
    if original not in _RECOMPUTED:
        monkeypatch.setenv("MODLIB_RESULTS", str(original))
        _RECOMPUTED[original] = on_record.recomputed()
    monkeypatch.setattr(on_record, "recomputed", lambda: _RECOMPUTED[original])


def problems(tmp_path, book=None):
    if book is not None:
        (tmp_path / "book.json").write_text(json.dumps(book))
    return on_record.problems(book=tmp_path / "book.json")


def edit_csv(path, change):
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(table).to_csv(path, index=False)


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def alter_a_cell(folder, *, forge):
    """Raise one Q by .2 in the stored table, and, for a forger, mend the check sums of the manifest."""
    path = folder / "base-paper" / "modules.parquet"
    table = pd.read_parquet(path)
    row = table.index[(table.network == "dropout=0.6,seed=1") & (table.measure == "input_grad")][0]
    table.loc[row, "q"] += 0.2
    table.to_parquet(path)
    if forge:
        manifest = json.loads((path.parent / "manifest.json").read_text())
        manifest["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (path.parent / "manifest.json").write_text(json.dumps(manifest))
        mended = store.check_sum_file((path.parent / "manifest.json").read_bytes())
        (path.parent / "manifest.sha256").write_bytes(mended)


def test_untouched(folder, tmp_path):
    assert problems(tmp_path) == []
    numbers = json.loads((folder / "verdicts" / "numbers.json").read_text())
    assert problems(tmp_path, book=numbers) == []


def test_written_again_it_is_the_same(folder):
    before = {path.name: path.read_bytes() for path in (folder / "verdicts").iterdir()}
    on_record.write()
    assert {path.name: path.read_bytes() for path in (folder / "verdicts").iterdir()} == before


def test_an_altered_cell_is_found(folder, tmp_path):
    alter_a_cell(folder, forge=False)
    found = problems(tmp_path)
    assert len(found) == 1
    assert "modules.parquet is not the file that its manifest lists" in found[0]


def test_an_altered_cell_is_found_though_the_check_sum_is_mended(folder, tmp_path):
    alter_a_cell(folder, forge=True)
    found = problems(tmp_path)
    assert any("tables.json: base-paper is on record as" in sentence for sentence in found)
    graph = "dropout-raises-upstream, base, upstream: value is on record as 0."
    assert any(graph in sentence for sentence in found)
    edit_json(folder / "verdicts" / "tables.json", **on_record.check_sums())  # mended as well
    found = problems(tmp_path)
    assert any(graph in sentence for sentence in found)
    assert any("numbers.json: " in sentence for sentence in found)


@pytest.mark.parametrize("name", ["FOLDER of calibration", "FOLDER of published"])
def test_an_altered_cell_of_a_simulation_or_of_the_paper_is_found(
    same_tables, folder, tmp_path, monkeypatch, name
):
    """These tables have no manifest: the record holds their check sums."""
    module = rejections if "calibration" in name else published
    copy = tmp_path / module.FOLDER.name
    shutil.copytree(module.FOLDER, copy)
    for path in sorted(copy.glob("*.csv")):
        edit_csv(path, one_digit_more)
    monkeypatch.setattr(module, "FOLDER", copy)
    found = problems(tmp_path)
    assert len(found) == len(list(copy.glob("*.csv")))
    for sentence, path in zip(found, sorted(copy.glob("*.csv")), strict=True):
        assert f"tables.json: {copy.name}/{path.name} is on record as" in sentence


def one_digit_more(table):
    table.iloc[0, -1] += "1"
    return table


def test_an_altered_verdict_is_found(same_tables, folder, tmp_path):
    def change(table):
        table.loc[(table.claim == "across-agrees-little"), "verdict"] = "does not hold"
        return table

    edit_csv(folder / "verdicts" / "verdicts.csv", change)
    assert problems(tmp_path) == [
        f"{folder / 'verdicts' / 'verdicts.csv'}, row across-agrees-little, base: verdict is on record as "
        "'does not hold', but the tables give 'holds'"
    ]


@pytest.mark.parametrize("name", ["claims.csv", "verdicts.csv"])
def test_a_deleted_row_and_an_invented_one_are_found(same_tables, folder, tmp_path, name):
    path = folder / "verdicts" / name
    edit_csv(path, lambda table: table[table.claim != "accurate-where-modular"])
    (sentence,) = problems(tmp_path)
    assert sentence.startswith(f"{path}, row accurate-where-modular, base")
    assert sentence.endswith("the row is missing")
    on_record.write()
    edit_csv(path, lambda table: pd.concat([table, table.iloc[[0]].assign(claim="new")]))
    (sentence,) = problems(tmp_path)
    assert sentence.startswith(f"{path}, row new, base")
    on_record.write()
    edit_csv(path, lambda table: pd.concat([table, table.iloc[[0]]]))
    assert problems(tmp_path) == [f"{path} has 1 rows twice"]


def test_numbers_are_compared_to_nine_digits(same_tables, folder, tmp_path):
    def multiply(factor):
        def change(table):
            table.loc[0, "low"] = repr(float(table.loc[0, "low"]) * factor)
            return table

        return change

    path = folder / "verdicts" / "claims.csv"
    edit_csv(path, multiply(1 + 1e-11))
    assert problems(tmp_path) == []
    edit_csv(path, multiply(1 + 1e-7))
    (sentence,) = problems(tmp_path)
    assert ": low is on record as " in sentence


def test_an_emptied_cell_is_found(same_tables, folder, tmp_path):
    def change(table):
        table.loc[0, "value"] = ""
        return table

    edit_csv(folder / "verdicts" / "claims.csv", change)
    (sentence,) = problems(tmp_path)
    assert "value is on record as nan" in sentence


def test_a_number_of_the_record_and_of_the_book(same_tables, folder, tmp_path):
    numbers = json.loads((folder / "verdicts" / "numbers.json").read_text())
    wrong = numbers | {"training.networks.kept": numbers["training.networks.kept"] + 1, "invented": 1.0}
    del wrong["training.networks.seeds"]
    found = problems(tmp_path, book=wrong)
    book = tmp_path / "book.json"
    assert found[0] == f"{book}: training.networks.seeds is missing, which the tables give"
    assert found[1] == f"{tmp_path / 'book.json'}: invented is on record, which the tables no longer give"
    assert "book.json: training.networks.kept is on record as " in found[2]
    assert len(found) == 3
    assert problems(tmp_path, book=wrong | {"profile": "quick"}) == []  # a quick book has other numbers
    assert len(problems(tmp_path, book=["not numbers"])) == 1
    (tmp_path / "book.json").unlink()
    edit_json(folder / "verdicts" / "numbers.json", **{"regularisation.matched.accuracy": 0.5})
    (sentence,) = problems(tmp_path)
    said = "regularisation.matched.accuracy is on record as 0.5, but the tables give 0.9"
    assert f"numbers.json: {said}" in sentence


@pytest.mark.parametrize("name", ["claims.csv", "verdicts.csv", "numbers.json", "tables.json"])
def test_missing_and_damaged_records(same_tables, folder, tmp_path, name):
    path = folder / "verdicts" / name
    for content in (b"", b"\x00\x01", b"[1, 2"):
        path.write_bytes(content)
        found = problems(tmp_path)
        assert found
        assert all(str(path) in sentence for sentence in found)
    path.unlink()
    assert problems(tmp_path) == [f"{path} is missing"]


def test_new_tables_and_tables_that_are_gone(folder, tmp_path):
    found = worlds.results("false", layers=(1,), seeds=3)
    tables = {name: getattr(found, name) for name in schema.TABLES}
    store.write_results(catalogue.get("base-v1", "paper"), tables, {}, {"seconds": {"training": 60.0}})
    sentences = problems(tmp_path)
    assert any("tables.json: base-v1-paper is missing, which" in sentence for sentence in sentences)
    row = "row dropout-raises-upstream, base-v1"
    assert any(f"{row}: the row is missing" in sentence for sentence in sentences)
    on_record.write()
    assert problems(tmp_path) == []
    shutil.rmtree(folder / "base-v1-paper")
    sentences = problems(tmp_path)
    assert any("tables.json: base-v1-paper is on record, which" in sentence for sentence in sentences)
    assert any(f"{row}: the row is on record" in sentence for sentence in sentences)
    shutil.rmtree(folder / "base-paper")
    assert problems(tmp_path) == [f"{folder} has no tables of base at the paper profile"]


def test_a_record_of_before_a_chapter_is_not_told_key_by_key(same_tables, folder, tmp_path):
    numbers = json.loads((folder / "verdicts" / "numbers.json").read_text())
    gone = sorted(numbers.keys() - {"profile"})[:-10]
    left = {key: value for key, value in numbers.items() if key not in gone}
    (sentence,) = problems(tmp_path, book=left)
    assert sentence.endswith(
        f"{', '.join(gone[:3])} and {len(gone) - 3} more are missing, which the tables give"
    )


def test_without_a_record_there_is_one_thing_to_say(folder, tmp_path):
    shutil.rmtree(folder / "verdicts")
    assert problems(tmp_path) == [f"there is no {folder / 'verdicts'}: nothing is on record"]


def test_summary_counts_what_is_on_record(folder):
    verdict, items = (pd.read_csv(folder / "verdicts" / f"{name}.csv") for name in ("verdicts", "claims"))
    numbers = json.loads((folder / "verdicts" / "numbers.json").read_text())
    said = on_record.summary()
    assert said.startswith(
        f"{len(verdict)} verdicts on {verdict.claim.nunique()} claims, from {len(items)} items"
    )
    assert f"{len(numbers)} numbers" in said
    assert said.endswith("the tables of 1 experiment say")
