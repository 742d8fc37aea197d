"""The files of the explorer's page, made again only where weights, results or code changed."""

import json
from pathlib import Path

from sphinx_external_toc.parsing import parse_toc_yaml

from modlib.book.builder.cache import EXECUTED, Cache, loaded_for, results_digest, write_if_changed
from modlib.book.builder.errors import BookError
from modlib.book.numbers import as_json
from modlib.study.workers import torch_threads

PAGE = "book/explorer"
FOLDER = EXECUTED / "explorer"


def write(root: Path, cache: Cache, profile: str, *, force: bool) -> None:
    """Write the files that the page needs, if the book has it; a BookError says that there are none."""
    if PAGE not in map(str, parse_toc_yaml(root / "_toc.yml")):
        return
    name, results = "explorer.json", results_digest(profile)
    if force or not cache.is_current(name, [], results):
        from modlib.book.chapters.explorer.payload import NothingToShowError, scripts

        try:
            with torch_threads(1):  # on a busy machine two wait for each other, for ten times as long
                texts = scripts(profile)
        except NothingToShowError as error:
            raise BookError(str(error)) from error
        cache.keep(name, as_json(texts), [], results, loaded_for("explorer"))
    texts = json.loads(cache.path(name).read_text(encoding="utf-8"))
    for file, text in texts.items():
        write_if_changed(root / FOLDER / file, text)
    for path in (root / FOLDER).iterdir():  # of a build with other seeds
        if path.name not in texts:
            path.unlink()
