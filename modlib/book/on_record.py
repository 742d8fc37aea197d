"""Whether the verdicts and numbers on record are still what the tables say.

Four files in ``results/verdicts``: ``claims.csv`` (items), ``verdicts.csv``, ``numbers.json`` (the numbers
that the prose of the book cites) and ``tables.json`` (SHA-256 of each manifest, which lists those of its
tables, and of the tables of simulations and of the paper's values).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from modlib.book import inputs
from modlib.book.numbers import numbers
from modlib.paper import judgement, verdicts
from modlib.study import catalogue, project, store

PROFILE = "paper"
#: Relative difference up to which two numbers are the same: another processor may add in another order.
RTOL = 1e-9
#: And the absolute one, for what is zero but for rounding.
ATOL = 1e-12
#: Numbers of the book as built in this checkout.
BOOK_NUMBERS = project.ROOT / "book" / "executed" / "numbers.json"

_WRITE_ANEW = "put on record what the tables say now: python -m modlib check --write"
_CLAIMS_KEY = ("claim", "experiment", "item")
_VERDICTS_KEY = ("claim", "experiment")


def folder() -> Path:
    """Where the verdicts on record are."""
    return project.results_folder() / "verdicts"


def write() -> list[Path]:
    """Put on record what the stored tables of the paper profile say now; return the files.

    Raises
    ------
    StoreError
        If stored tables are damaged.
    FileNotFoundError
        If the base experiment has no tables.
    """
    items, verdict, values = _recomputed()
    folder().mkdir(parents=True, exist_ok=True)
    content = {
        "claims.csv": items.to_csv(index=False, lineterminator="\n"),
        "verdicts.csv": verdict.to_csv(index=False, lineterminator="\n"),
        "numbers.json": _json(values),
        "tables.json": _json(_files()),
    }
    for name, text in content.items():
        (folder() / name).write_text(text, encoding="utf-8")
    return [folder() / name for name in content]


def problems(*, book: Path | None = None) -> list[str]:
    """Everything on record that the tables no longer say, a sentence each; none if all is well.

    Every stored table of the paper profile is verified against its manifest; the manifests, the tables of
    simulations and the paper's values against their check sums on record; items, verdicts and numbers are
    computed again and compared, numbers to a relative 1e-9. The numbers of the built book are compared too,
    if there is one at the paper profile.

    Parameters
    ----------
    book
        Numbers of the built book; by default `BOOK_NUMBERS`.
    """
    if not folder().is_dir():
        return [f"there is no {folder()}: nothing is on record"]
    unreadable = list(_unreadable_tables())
    if unreadable:  # there is nothing to compute from
        return unreadable
    try:
        items, verdict, values = _recomputed()
    except FileNotFoundError:
        return [f"{project.results_folder()} has no tables of base at the {PROFILE} profile"]
    return compare(items, verdict, values) + list(_compare_book(book or BOOK_NUMBERS, values))


def compare(items: pd.DataFrame, verdict: pd.DataFrame, values: Mapping[str, Any]) -> list[str]:
    """Everything on record that items, verdicts or numbers computed again do not say, a sentence each."""
    found = list(_compare_json("tables.json", _files()))
    found += _compare_csv("claims.csv", items, _CLAIMS_KEY)
    found += _compare_csv("verdicts.csv", verdict, _VERDICTS_KEY)
    found += _compare_json("numbers.json", values)
    return found


def summary() -> str:
    """Say in a sentence how much is on record."""
    tables = json.loads((folder() / "tables.json").read_text(encoding="utf-8"))
    values = json.loads((folder() / "numbers.json").read_text(encoding="utf-8"))
    verdict, items = (pd.read_csv(folder() / f"{name}.csv") for name in ("verdicts", "claims"))
    tables = [name for name in tables if "/" not in name]  # the others are of simulations, or published
    return (
        f"{len(verdict)} verdicts on {verdict.claim.nunique()} claims, from {len(items)} items, and "
        f"{len(values)} numbers are what the tables of {len(tables)} "
        f"experiment{'s' if len(tables) > 1 else ''} say"
    )


def _recomputed() -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    base = catalogue.get("base", PROFILE)
    if not store.is_stored(base):  # `numbers` would begin to compute it
        raise FileNotFoundError(store.folder_of(base) / "manifest.json")
    items = judgement.stored_items(PROFILE)
    return items, verdicts.by_claim(items), numbers(PROFILE, project.ROOT)


def _unreadable_tables() -> Iterator[str]:
    """Tables that are damaged, altered or of another configuration than this code asks for."""
    for name in catalogue.EXPERIMENTS:
        plan = catalogue.get(name, PROFILE)
        if (store.folder_of(plan) / "manifest.json").exists():
            try:
                store.read_results(plan)
            except ValueError as error:  # StoreError, or what a forged file makes its reader raise
                yield str(error)


def _files() -> dict[str, str]:
    """SHA-256 of every file that is relied on."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in inputs.files(PROFILE).items()
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _same(a: object, b: object) -> bool:
    if isinstance(a, bool) or isinstance(b, bool) or not (_is_number(a) and _is_number(b)):
        return type(a) is type(b) and a == b
    try:
        x, y = float(a), float(b)  # type: ignore[arg-type]
    except OverflowError:  # JSON can hold integers of any length
        return a == b
    return (math.isnan(x) and math.isnan(y)) or math.isclose(x, y, rel_tol=RTOL, abs_tol=ATOL)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _damaged(path: Path, error: Exception, remedy: str) -> str:
    return f"{path} is damaged ({type(error).__name__}: {error}); restore it, or {remedy}"


def _missing(path: Path) -> str:
    return f"{path} is missing"


def _read_json(path: Path) -> dict[str, Any]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(stored, dict):
        raise ValueError("not an object")
    return stored


def _compare_json(name: str, now: Mapping[str, Any]) -> Iterator[str]:
    path = folder() / name
    if not path.is_file():
        yield _missing(path)
        return
    try:
        stored = _read_json(path)
    except (ValueError, RecursionError) as error:  # brackets can be nested deeper than any stack
        yield _damaged(path, error, _WRITE_ANEW)
        return
    yield from _compare_values(str(path), stored, now)


def _compare_book(path: Path, now: Mapping[str, Any]) -> Iterator[str]:
    if not path.is_file():
        return
    try:
        built = _read_json(path)
        profile = built["profile"]
    except (ValueError, KeyError, RecursionError) as error:
        yield _damaged(path, error, "build the book again")
        return
    if profile == PROFILE:
        yield from _compare_values(str(path), built, now)


def _compare_values(where: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    missing, surplus = sorted(now.keys() - stored.keys()), sorted(stored.keys() - now.keys())
    if missing:
        yield f"{where}: {_listed(missing)} missing, which the tables give"
    if surplus:
        yield f"{where}: {_listed(surplus)} on record, which the tables no longer give"
    for key in sorted(stored.keys() & now.keys()):
        if not _same(stored[key], now[key]):
            yield f"{where}: {key} is on record as {stored[key]!r}, but the tables give {now[key]!r}"


def _listed(keys: list[str]) -> str:
    """Name some keys, and count the others: a record from before a chapter was written misses hundreds."""
    shown = ", ".join(keys[:3])
    if len(keys) > 3:
        shown += f" and {len(keys) - 3} more"
    return f"{shown} {'is' if len(keys) == 1 else 'are'}"


def _compare_csv(name: str, now: pd.DataFrame, key: tuple[str, ...]) -> Iterator[str]:
    path = folder() / name
    if not path.is_file():
        yield _missing(path)
        return
    where = str(path)
    try:
        stored = _parse(path.read_text(encoding="utf-8"))
        rows, expected = _rows(stored, key), _rows(_parse(now.to_csv(index=False)), key)
    except (ValueError, KeyError) as error:  # pandas' parser errors are ValueErrors
        yield _damaged(path, error, _WRITE_ANEW)
        return
    if list(stored.columns) != list(now.columns):
        yield f"{where} has the columns {', '.join(stored.columns)} and not {', '.join(now.columns)}"
        return
    if len(rows) < len(stored):
        yield f"{where} has {len(stored) - len(rows)} rows twice"
    for label in dict.fromkeys([*expected, *rows]):
        at = f"{where}, row {', '.join(label)}"
        if label not in rows:
            yield f"{at}: the row is missing"
        elif label not in expected:
            yield f"{at}: the row is on record, but the tables do not give it"
        else:
            yield from _compare_values(at, rows[label], expected[label])


def _parse(text: str) -> pd.DataFrame:
    """Read a table as it was written, only an empty cell as nan."""
    return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])


def _rows(table: pd.DataFrame, key: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Any]]:
    rest = [column for column in table.columns if column not in key]
    return {
        tuple(str(row[column]) for column in key): {column: row[column] for column in rest}
        for row in table.to_dict("records")
    }
