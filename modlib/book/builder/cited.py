"""The numbers that pages cite, computed chapter by chapter."""

import json
from pathlib import Path

from modlib.book.builder.cache import Cache, loaded_for, results_digest
from modlib.book.numbers import Cell, Number, as_json, citations, gathering, value


def numbers(root: Path, cache: Cache, profile: str, *, force: bool) -> dict[str, Number]:
    """Return the profile and all numbers, computed where a chapter's code, citations or results changed."""
    cited: dict[str, set[Cell]] = {}
    for _, cell in citations(root):
        cited.setdefault(cell.chapter, set()).add(cell)
    found: dict[str, Number] = {"profile": profile}
    for chapter in sorted(cited):
        name, cells = f"numbers-{chapter}.json", sorted(cited[chapter], key=str)
        sources = [str(cell).encode() for cell in cells]
        if force or not cache.is_current(name, sources, results_digest(profile)):
            with gathering():
                text = as_json({str(cell): value(cell, profile) for cell in cells})
            results = results_digest(profile)  # once more: the first to ask may compute and store them
            cache.keep(name, text, sources, results, loaded_for(chapter))
        found |= json.loads(cache.path(name).read_text(encoding="utf-8"))
    return found
