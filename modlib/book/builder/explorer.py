"""The files of the explorer's page, made again only where weights, results or code changed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sphinx_external_toc.parsing import parse_toc_yaml

from modlib.book.builder.cache import EXECUTED, Cache, loaded_for, results_digest, write_if_changed
from modlib.book.builder.errors import BookError
from modlib.book.numbers import as_json
from modlib.study import workers

PAGE = "book/explorer"
FOLDER = EXECUTED / "explorer"


@contextmanager
def being_made(root: Path, cache: Cache, profile: str, *, force: bool) -> Iterator[None]:
    """Make the files that the page needs, if the book has it, while the caller goes on with something else.

    They are there when the context ends. They take a minute of a processor, which is why they are made in a
    process of their own. A BookError says that there are no networks to show, or that the process was killed.
    """
    if PAGE not in map(str, parse_toc_yaml(root / "_toc.yml")):
        yield
        return
    name, results = "explorer.json", results_digest(profile)
    if not force and cache.is_current(name, [], results):
        yield
    else:
        receiver, sender = workers.CONTEXT.Pipe(duplex=False)
        process = workers.CONTEXT.Process(target=_send_scripts, args=(profile, sender))
        process.start()
        sender.close()  # the other end is the process's alone, so that its end is noticed here
        try:
            yield
            texts, loaded = _received(receiver)
        finally:
            process.kill()
            process.join()
        cache.keep(name, as_json(texts), [], results, loaded)
    texts = json.loads(cache.path(name).read_text(encoding="utf-8"))
    for file, text in texts.items():
        write_if_changed(root / FOLDER / file, text)
    for path in (root / FOLDER).iterdir():  # of a build with other seeds
        if path.name not in texts:
            path.unlink()


def _send_scripts(profile: str, sender: Any) -> None:
    """Send the texts of the page's files, by name, and the files of modlib behind them, or what failed."""
    workers.start_worker()
    from modlib.book.chapters.explorer.payload import scripts

    try:
        sender.send((scripts(profile), loaded_for("explorer")))
    except Exception as error:
        sender.send(error)


def _received(receiver: Any) -> tuple[dict[str, str], set[Path]]:
    """Wait for what `_send_scripts` sends."""
    from modlib.book.chapters.explorer.payload import NothingToShowError

    try:
        found = receiver.recv()
    except EOFError:
        reason = "its process was killed, perhaps because memory ran out"
        raise BookError(f"the explorer's files could not be made: {reason}") from None
    if isinstance(found, NothingToShowError):
        raise BookError(str(found)) from found
    if isinstance(found, Exception):
        raise found
    texts, loaded = found
    return texts, loaded
