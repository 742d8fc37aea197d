"""What was made for the book and what it was made from, so that only what changed is made again."""

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sphinx_external_toc.parsing import parse_toc_yaml

from modlib.book import inputs
from modlib.book.numbers import as_json
from modlib.study import files

EXECUTED = Path("book/executed")  # where the pages of notebooks are rendered from


def chapters(root: Path) -> list[str]:
    """Return the names of the notebooks that the table of contents lists, in its order."""
    folder = EXECUTED.as_posix() + "/"
    pages = [str(page) for page in parse_toc_yaml(root / "_toc.yml")]
    return [page.removeprefix(folder).removesuffix(".ipynb") for page in pages if page.startswith(folder)]


def results_digest(profile: str) -> str:
    """Return a hash of the results that a profile reads; a manifest holds the hashes of its tables."""
    found = inputs.files(profile)
    return sha256(part for name, path in found.items() for part in (name.encode(), path.read_bytes()))


def sha256(parts: Iterable[bytes]) -> str:
    """Return a hash of a sequence of texts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def write_if_changed(path: Path, text: str) -> None:
    """Write a text in one step, unless it is there already: Sphinx reads every page that was written."""
    if not path.is_file() or path.read_bytes() != text.encode():
        files.write(path, text.encode())


def loaded_for(chapter: str) -> set[Path]:
    """Return the files of modlib that are loaded, but those of other chapters and of the builder."""
    chapters, package = "modlib.book.chapters.", __name__.rpartition(".")[0]
    return {
        Path(file)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "modlib" and (file := getattr(module, "__file__", None))
        if not name.startswith(package)
        if not name.startswith(chapters) or name.split(".")[3] == chapter
    }


class Cache:
    """Executed notebooks and numbers of one profile, each with a record of what it was made from."""

    def __init__(self, folder: Path, root: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._root = folder, root
        pinned = root / "requirements.txt"
        self._versions = [pinned.read_bytes() if pinned.is_file() else b"", sys.version.encode()]
        self._records: dict[str, dict[str, Any]] = {}
        try:
            found = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
            self._records = {name: record for name, record in found.items() if isinstance(record, dict)}
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # there is none, or it is damaged: everything is made again

    def path(self, name: str) -> Path:
        """Return where a file of the cache is, or would be."""
        return self._folder / name

    def is_current(self, name: str, sources: Sequence[bytes], results: str) -> bool:
        """Say whether a file is whole, and what the same sources, imported code and results would give."""
        record = self._records.get(name, {})
        try:
            return bool(
                record["results"] == results
                and record["inputs"] == self._inputs(sources, record["imported"])
                and record["output"] == sha256([self.path(name).read_bytes()])
            )
        except (OSError, KeyError, TypeError):
            return False

    def keep(
        self,
        name: str,
        text: str,
        sources: Sequence[bytes],
        results: str,
        imported: Iterable[Path] | None,
        seconds: float = 0.0,
    ) -> None:
        """Keep a file and what it was made from; it never counts as current if `imported` is not known."""
        write_if_changed(self.path(name), text)
        relative = None if imported is None else sorted(map(self._relative, imported))
        self._records[name] = {
            "inputs": self._inputs(sources, relative or ()),
            "imported": relative,
            "results": results,
            "output": sha256([text.encode()]),
            "seconds": round(seconds, 1),
        }
        self._write()

    def accept_results(self, names: Iterable[str], results: str) -> None:
        """Let files be made from the results as they are now, which making them may itself have stored."""
        for name in names:
            self._records[name]["results"] = results
        self._write()

    def seconds(self) -> dict[str, float]:
        """Return how long it took to run each notebook."""
        notebooks = [name for name in self._records if name.endswith(".ipynb")]
        return {name.removesuffix(".ipynb"): self._records[name].get("seconds", 0.0) for name in notebooks}

    def _relative(self, path: Path) -> str:
        """Write a path so that it is still right when the folder of the book moves, if it is in there."""
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)

    def _inputs(self, sources: Sequence[bytes], imported: Sequence[str]) -> str:
        code = (part for name in imported for part in (name.encode(), _code(self._root / name)))
        return sha256([*self._versions, *sources, *code])

    def _write(self) -> None:
        write_if_changed(self.path("inputs.json"), as_json(self._records))


def _code(path: Path) -> bytes:
    """Return a module's source and the data that lie beside it, or nothing where the module is gone."""
    if not path.is_file():
        return b""
    beside = [other for other in path.parent.iterdir() if other.is_file() and other.suffix != ".py"]
    return sha256(file.read_bytes() for file in (path, *sorted(beside))).encode()
