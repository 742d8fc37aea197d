"""Build the book: run its notebooks, look up its numbers, render its pages.

A notebook is run by papermill in a scratch folder (`execution`) and moves to the book only when it succeeded,
without what differs from run to run (`cleaning`). What was made from the same sources, code, parameters and
results is kept for each profile (`cache`), so a build without changes only renders (`rendering`).
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import nbformat

from modlib import _checks
from modlib.book.builder import cited
from modlib.book.builder.cache import EXECUTED, Cache, as_json, chapters, results_digest, write_if_changed
from modlib.book.builder.errors import BookError, ChapterError, folder_named
from modlib.book.builder.execution import Notebook, execute, side_by_side
from modlib.book.builder.rendering import render
from modlib.study import files
from modlib.study.catalogue import PROFILES

__all__ = ["QUICK_EXPERIMENTS", "BookError", "ChapterError", "build", "compute_quick_tables", "notebook"]

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
    """Run the notebooks that changed and render the site.

    Parameters
    ----------
    profile
        ``"quick"`` (run live, small) or ``"paper"`` (read the stored tables).
    only
        Names of the chapters to run, for example ``["training"]``; by default all that ``_toc.yml`` lists.
    force
        Run also what has not changed.
    jobs
        Notebooks to run side by side; by default one a core, as far as there is memory for them.
    root
        The folder of ``_toc.yml`` and ``_config.yml``.
    out
        The folder in which ``_build/html`` is made; by default `root`.
    prepare
        Called with the profile before any notebook is run. By default it computes the tables of the profile
        ``"quick"``, if they are not stored, and leaves those of ``"paper"`` to ``modlib run``.

    Returns
    -------
    Path
        The folder of the rendered site, or of the executed notebooks where `only` left chapters without any.

    Raises
    ------
    ValueError
        If the profile, a chapter name or `jobs` is not allowed.
    BookError
        If a notebook is missing, takes no such parameter or fails, if rendering gives a warning, or if a
        folder cannot be written. What was built before stays as it is.
    """
    root = Path(root).resolve()
    _checks.one_of(profile, "profile", PROFILES)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    if not (root / "_toc.yml").is_file():
        raise BookError(f"no _toc.yml in {root.name}: call this in the root of the book")
    there = chapters(root)
    if unknown := sorted(set(only) - set(there)):
        raise ChapterError(f"only must name chapters out of {', '.join(there)}, not {', '.join(unknown)}")
    chosen = [notebook(root, name, profile) for name in there if not only or name in only]

    folder = root / "_build" / "executed" / profile
    alone = files.exclusive(root / "_build", lock_in=".")
    with folder_named(root / "_build"), alone, _stopped_by_termination():
        cache = Cache(folder, root)
        _update_notebooks(root, cache, profile, chosen, force=force, jobs=jobs, prepare=prepare)
        values = cited.numbers(root, cache, profile, force=force)
        _publish(cache, root / EXECUTED, there)
        write_if_changed(root / EXECUTED / "numbers.json", as_json({"profile": profile, **values}))
        missing = [name for name in there if not (root / EXECUTED / f"{name}.ipynb").is_file()]
        if missing:
            print(f"not rendered: {', '.join(missing)} not run yet; executed notebooks are in {EXECUTED}")
            return root / EXECUTED
        return render(root, Path(out).resolve() if out else root)


def notebook(root: Path, name: str, profile: str) -> Notebook:
    """Return a chapter's notebook, after checking that it is there and takes the parameters.

    Raises
    ------
    BookError
        If it is not, or does not: papermill itself would only log the name, and run on.
    """
    import papermill

    source = root / "notebooks" / f"{name}.ipynb"
    if not source.is_file():
        raise BookError(f"_toc.yml lists the chapter {name}, but there is no notebooks/{name}.ipynb")
    logging.getLogger("papermill").setLevel(logging.WARNING)  # it would name each notebook that it looks into
    if "profile" not in papermill.inspect_notebook(str(source)):
        raise BookError(f"notebooks/{name}.ipynb has no parameter named profile")
    return Notebook(name, source, {"profile": profile})


def _update_notebooks(
    root: Path,
    cache: Cache,
    profile: str,
    notebooks: Sequence[Notebook],
    *,
    force: bool,
    jobs: int | None,
    prepare: Callable[[str], object],
) -> None:
    """Run what changed; raise one error that tells of every notebook that failed."""
    results = results_digest(profile)
    stale = [one for one in notebooks if force or not cache.is_current(one.output, one.inputs, results)]
    if len(stale) < len(notebooks):
        print(f"{len(notebooks) - len(stale)} of {len(notebooks)} notebooks unchanged", flush=True)
    if not stale:
        return
    prepare(profile)
    seconds = cache.seconds()
    stale.sort(key=lambda one: -seconds.get(one.name, 0.0))  # the longest first, so that none runs on alone
    failures = []
    with closing(execute(stale, root, jobs=jobs or side_by_side(len(stale)))) as outcomes:
        for one, done in outcomes:
            if isinstance(done, BookError):
                failures.append(str(done))
                print(f"  {one.name:<24} failed", flush=True)
                continue
            cache.keep(
                one.output,
                nbformat.writes(done.notebook) + "\n",  # type: ignore[no-untyped-call]
                sources=one.inputs,
                results=results_digest(profile),
                imported=done.imported,
                seconds=done.seconds,
            )
            print(f"  {one.name:<24} {done.seconds:6.1f} s", flush=True)
    if failures:
        raise BookError("\n\n".join(failures))
    cache.accept_results([one.output for one in notebooks], results_digest(profile))


def _publish(cache: Cache, executed: Path, names: Sequence[str]) -> None:
    """Bring the sources of pages up to date, touching only those that changed."""
    for name in names:
        if (kept := cache.path(f"{name}.ipynb")).is_file():
            write_if_changed(executed / kept.name, kept.read_text(encoding="utf-8"))
    write_if_changed(executed / "timings.json", as_json(cache.seconds()))


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
