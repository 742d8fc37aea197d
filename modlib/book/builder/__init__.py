"""Build the book: run its notebooks, look up its numbers, render its pages.

A notebook is run by papermill in a scratch folder (`execution`) and moves to the book only when it succeeded,
without what differs from run to run (`cleaning`). What was made from the same sources, code, parameters and
results is kept for each profile (`cache`), so a build without changes only renders (`rendering`).
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import nbformat

from modlib import _checks
from modlib.book.builder import cited, explorer
from modlib.book.builder.cache import EXECUTED, Cache, chapters, results_digest, write_if_changed
from modlib.book.builder.errors import BookError, ChapterError, folder_named
from modlib.book.builder.execution import Notebook, execute, side_by_side
from modlib.book.builder.rendering import render
from modlib.book.numbers import as_json
from modlib.study import files
from modlib.study.catalogue import PROFILES

__all__ = [
    "QUICK_EXPERIMENTS",
    "BookError",
    "ChapterError",
    "build",
    "compute_quick_tables",
    "notebook",
    "run_chapter",
]

#: Seconds of the chapters that train or search on their page, as long as no build has measured them.
LONG = {"own-network": 55.0, "training": 45.0, "deviations": 40.0, "example-layer": 30.0}
#: Computed for the book at the profile "quick"; pages say of the others that they are not stored.
QUICK_EXPERIMENTS = ("base", "close-up", "labels-kept", "labels-shuffled")


def compute_quick_tables(profile: str) -> None:
    """Compute the quick tables once, with all cores and a progress bar, before notebooks ask side by side."""
    if profile == "quick":
        from modlib.study.runner import run

        for experiment in QUICK_EXPERIMENTS:
            run(experiment, profile=profile, long=True)


def build(
    profile: str,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    jobs: int | None = None,
    root: Path | str = ".",
    out: Path | str | None = None,
    prepare: Callable[[str], object] = compute_quick_tables,
) -> Path:
    """Run the notebooks that changed, render the site and return its folder.

    It is the folder of the executed notebooks where `only` left chapters without any. A ValueError says that
    an argument is not allowed. A BookError says that a notebook is missing, takes no such parameter or fails,
    that rendering gives a warning, or that a folder cannot be written; what was built before then stays.

    By default all chapters that ``_toc.yml``, in the folder `root`, lists are run, unless nothing changed
    (`force`): one notebook a core, as far as there is memory (`jobs`), after `prepare` was called with the
    profile. The site is made in ``_build/html`` of the folder `out`, by default `root`.
    """
    root = Path(root).resolve()
    _checks.one_of(profile, "profile", PROFILES)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    there = _listed(root, only)
    chosen = [notebook(root, name, profile) for name in there if not only or name in only]

    folder = root / "_build" / "executed" / profile
    alone = files.exclusive(root / "_build", lock_in=".")
    with folder_named(root / "_build"), alone, _stopped_by_termination():
        cache = Cache(folder, root)
        results = results_digest(profile)
        stale = [one for one in chosen if force or not cache.is_current(one.output, one.inputs, results)]
        if len(stale) < len(chosen):
            print(f"{len(chosen) - len(stale)} of {len(chosen)} notebooks unchanged", flush=True)
        if stale:
            prepare(profile)
            _run_stale(root, cache, profile, stale, jobs)
            cache.accept_results([one.output for one in chosen], results_digest(profile))
        with explorer.being_made(root, cache, profile, force=force):
            values = cited.numbers(root, cache, profile, force=force)
        executed = root / EXECUTED
        for name in there:
            if (kept := cache.path(f"{name}.ipynb")).is_file():
                write_if_changed(executed / kept.name, kept.read_text(encoding="utf-8"))
        write_if_changed(executed / "timings.json", as_json(cache.seconds()))
        write_if_changed(executed / "numbers.json", as_json(values))
        if missing := [name for name in there if not (executed / f"{name}.ipynb").is_file()]:
            print(f"not rendered: {', '.join(missing)} not run yet; executed notebooks are in {EXECUTED}")
            return executed
        return render(root, Path(out).resolve() if out else root)


def run_chapter(name: str, to: Path, parameters: Mapping[str, Any], *, root: Path | str = ".") -> None:
    """Run one notebook in the folder `root` with parameters of its own, and write the executed copy.

    A ChapterError or a BookError says that there is no such chapter, that its notebook takes no such
    parameter, that the copy cannot be put there, or in which cell it failed; then nothing is written.
    """
    root = Path(root).resolve()
    if to.exists():
        raise BookError(f"{to} is there already: name a new file")
    if not to.parent.is_dir():
        raise BookError(f"{to.parent} is not a folder")
    _listed(root, [name])
    one = _with_parameters(root, name, parameters)
    with _stopped_by_termination(), closing(execute([one], root, jobs=1)) as outcomes:
        ((_, done),) = outcomes
    if isinstance(done, BookError):
        raise done
    to.write_text(nbformat.writes(done.notebook) + "\n", encoding="utf-8")  # type: ignore[no-untyped-call]


def _listed(root: Path, only: Sequence[str]) -> list[str]:
    """List the chapters of a book that have notebooks; a ChapterError says which of `only` are not there."""
    if not (root / "_toc.yml").is_file():
        raise BookError(f"no _toc.yml in {root.name}: call this in the root of the book")
    there = chapters(root)
    if unknown := sorted(set(only) - set(there)):
        raise ChapterError(f"there is no chapter {', '.join(unknown)}; there are {', '.join(there)}")
    return there


def notebook(root: Path, name: str, profile: str) -> Notebook:
    """Return a chapter's notebook; a BookError says that it is not there or does not take a profile."""
    return _with_parameters(root, name, {"profile": profile})


def _with_parameters(root: Path, name: str, parameters: Mapping[str, Any]) -> Notebook:
    import papermill

    source = root / "notebooks" / f"{name}.ipynb"
    if not source.is_file():
        raise BookError(f"_toc.yml lists the chapter {name}, but there is no notebooks/{name}.ipynb")
    logging.getLogger("papermill").setLevel(logging.WARNING)  # it would name each notebook that it looks into
    # Papermill itself would only log the name of a parameter that the notebook does not take, and run on.
    there = papermill.inspect_notebook(str(source))
    if unknown := [one for one in parameters if one not in there]:
        raise BookError(
            f"notebooks/{name}.ipynb has no parameter named {unknown[0]}; it has {', '.join(there) or 'none'}"
        )
    return Notebook(name, source, parameters)


def _run_stale(root: Path, cache: Cache, profile: str, stale: Sequence[Notebook], jobs: int | None) -> None:
    """Run notebooks, the longest first; raise one error that tells of every one that failed."""
    seconds = LONG | cache.seconds()
    ordered = sorted(stale, key=lambda one: -seconds.get(one.name, 0.0))  # so that none runs on alone
    failures = []
    with closing(execute(ordered, root, jobs=jobs or side_by_side(len(ordered)))) as outcomes:
        for one, done in outcomes:
            if isinstance(done, BookError):
                failures.append(str(done))
                print(f"  {one.name:<24} failed", flush=True)
                continue
            text = nbformat.writes(done.notebook) + "\n"  # type: ignore[no-untyped-call]
            cache.keep(one.output, text, one.inputs, results_digest(profile), done.imported, done.seconds)
            print(f"  {one.name:<24} {done.seconds:6.1f} s", flush=True)
    if failures:
        raise BookError("\n\n".join(failures))


@contextmanager
def _stopped_by_termination() -> Iterator[None]:
    """Let a build that is told to terminate end its kernels first, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
