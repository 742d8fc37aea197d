"""Whether the verdicts and numbers on record are still what the tables say.

Four files in ``results/verdicts``: ``claims.csv`` (items), ``verdicts.csv``, ``numbers.json`` (which the
prose of the book cites) and ``tables.json`` (SHA-256 of manifests and of what none of them lists).
"""

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from modlib.book import inputs
from modlib.book.numbers import as_json, numbers
from modlib.paper import judgement, verdicts
from modlib.study import catalogue, project, store

PROFILE = "paper"
#: Relative difference up to which two numbers are the same: another processor may add in another order.
RTOL = 1e-9
ATOL = 1e-12  # and the absolute one, for what is zero but for rounding
#: Numbers of the book as built in this checkout.
BOOK_NUMBERS = project.ROOT / "book" / "executed" / "numbers.json"

_WRITE_ANEW = "put on record what the tables say now: python -m modlib check --write"
#: Files of the record, each with the columns whose labels name a row; a JSON file is one row.
_KEYS: dict[str, tuple[str, ...]] = {
    "claims.csv": ("claim", "experiment", "item"),
    "verdicts.csv": ("claim", "experiment"),
    "numbers.json": (),
    "tables.json": (),
}
_DAMAGE = (ValueError, KeyError, RecursionError)  # what readers raise; pandas' own errors are ValueErrors
#: Rows of a file, each with its labels.
_Rows = list[tuple[tuple[str, ...], dict[str, Any]]]


def folder() -> Path:
    """Where the verdicts on record are."""
    return project.results_folder() / "verdicts"


def write() -> list[Path]:
    """Put on record what the stored tables of the paper profile say now; return the files.

    It raises a StoreError if stored tables are damaged, and a FileNotFoundError if there are none of base.
    """
    folder().mkdir(parents=True, exist_ok=True)
    texts = _texts(*recomputed())
    for name, text in texts.items():
        (folder() / name).write_text(text, encoding="utf-8")
    return [folder() / name for name in texts]


def problems(*, book: Path | None = None) -> list[str]:
    """Everything on record that the tables no longer say, a sentence each; none if all is well.

    Stored tables of the paper profile are verified against their manifests, and these against their check
    sums on record; items, verdicts and numbers are computed again and compared. The numbers of the built book
    are compared too, if they are there and of the paper profile.
    """
    if not folder().is_dir():
        return [f"there is no {folder()}: nothing is on record"]
    if unreadable := list(_unreadable_tables()):  # there is nothing to compute from
        return unreadable
    try:
        items, verdict, values = recomputed()
    except FileNotFoundError:
        return [f"{project.results_folder()} has no tables of base at the {PROFILE} profile"]
    return compare(items, verdict, values) + compare_book(book or BOOK_NUMBERS, values)


def compare(items: pd.DataFrame, verdict: pd.DataFrame, values: Mapping[str, Any]) -> list[str]:
    """Everything on record that items, verdicts or numbers computed again do not say, a sentence each."""
    texts = _texts(items, verdict, values)
    return [said for name in texts for said in _compare(folder() / name, _rows(name, texts[name]))]


def compare_book(path: Path, values: Mapping[str, Any]) -> list[str]:
    """Everything that a built book of the paper profile says otherwise than numbers computed again."""
    if not path.is_file():
        return []
    with suppress(*_DAMAGE, TypeError):  # of which the comparison tells
        if json.loads(path.read_text(encoding="utf-8"))["profile"] != PROFILE:
            return []
    return list(_compare(path, [((), dict(values))], "build the book again"))


def summary() -> str:
    """Say in a sentence how much is on record."""
    tables = json.loads((folder() / "tables.json").read_text(encoding="utf-8"))
    values = json.loads((folder() / "numbers.json").read_text(encoding="utf-8"))
    verdict, items = (pd.read_csv(folder() / f"{name}.csv") for name in ("verdicts", "claims"))
    tables = [name for name in tables if "/" not in name]  # the others are of simulations, or published
    experiments = f"{len(tables)} experiment{'s' if len(tables) > 1 else ''}"
    return (
        f"{len(verdict)} verdicts on {verdict.claim.nunique()} claims, from {len(items)} items, and "
        f"{len(values)} numbers are what the tables of {experiments} say"
    )


def recomputed() -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Compute items, verdicts and numbers of the book; a FileNotFoundError says that base has no tables."""
    base = catalogue.get("base", PROFILE)
    if not store.is_stored(base):  # `numbers` would begin to compute it
        raise FileNotFoundError(store.folder_of(base) / "manifest.json")
    items = judgement.stored_items(PROFILE)
    return items, verdicts.by_claim(items), numbers(PROFILE, project.ROOT)


def check_sums() -> dict[str, str]:
    """SHA-256 of every file that is relied on, by name."""
    found = inputs.files(PROFILE)
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}


def _unreadable_tables() -> Iterator[str]:
    """Tables that are damaged, altered or of another configuration than this code asks for."""
    for name in catalogue.EXPERIMENTS:
        plan = catalogue.get(name, PROFILE)
        if (store.folder_of(plan) / "manifest.json").exists():
            try:
                store.read_results(plan)
            except ValueError as error:  # StoreError, or what a forged file makes its reader raise
                yield str(error)


def _texts(items: pd.DataFrame, verdict: pd.DataFrame, values: Mapping[str, Any]) -> dict[str, str]:
    """Content of the files of a record, by name."""
    return {
        "claims.csv": items.to_csv(index=False, lineterminator="\n"),
        "verdicts.csv": verdict.to_csv(index=False, lineterminator="\n"),
        "numbers.json": as_json(values),
        "tables.json": as_json(check_sums()),
    }


def _rows(name: str, text: str) -> _Rows:
    """Read the rows of a file of the record; raise one of `_DAMAGE` if it is damaged."""
    if name.endswith(".json"):
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return [((), values)]
    table = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])
    labels = table[list(_KEYS[name])].astype(str).fillna("")
    rest: list[dict[str, Any]] = table.drop(columns=labels.columns).to_dict("records")  # type: ignore[assignment]
    return list(zip(labels.itertuples(index=False, name=None), rest, strict=True))


def _compare(path: Path, expected: _Rows, remedy: str = _WRITE_ANEW) -> Iterator[str]:
    if not path.is_file():
        yield f"{path} is missing"
        return
    try:
        found = _rows(path.name, path.read_text(encoding="utf-8"))
    except _DAMAGE as error:
        yield f"{path} is damaged ({type(error).__name__}: {error}); restore it, or {remedy}"
        return
    now, stored = dict(expected), dict(found)
    if len(stored) < len(found):
        yield f"{path} has {len(found) - len(stored)} rows twice"
    for label in dict.fromkeys([*now, *stored]):
        at = f"{path}, row {', '.join(label)}" if label else str(path)
        if label not in stored:
            yield f"{at}: the row is missing"
        elif label not in now:
            yield f"{at}: the row is on record, but the tables do not give it"
        else:
            yield from _compare_row(at, stored[label], now[label])


def _compare_row(where: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if missing := sorted(now.keys() - stored.keys()):
        yield f"{where}: {_listed(missing)} missing, which the tables give"
    if surplus := sorted(stored.keys() - now.keys()):
        yield f"{where}: {_listed(surplus)} on record, which the tables no longer give"
    for key in sorted(stored.keys() & now.keys()):
        if not _same(stored[key], now[key]):
            yield f"{where}: {key} is on record as {stored[key]!r}, but the tables give {now[key]!r}"


def _listed(keys: list[str]) -> str:
    """Name some keys, and count the others: a record from before a chapter was written misses hundreds."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{', '.join(keys[:3])}{more} {'is' if len(keys) == 1 else 'are'}"


def _same(a: object, b: object) -> bool:
    """Say whether two values are equal, numbers to the digits that another processor gives too."""
    if isinstance(a, bool) or isinstance(b, bool) or not isinstance(a, int | float | str):
        return type(a) is type(b) and a == b
    if isinstance(a, str) or not isinstance(b, int | float):
        return a == b
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=RTOL, abs_tol=ATOL)
