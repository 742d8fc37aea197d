"""Build the book: run its notebooks, look up its numbers, render its pages.

A notebook is run by papermill in a scratch folder and moves to the book only when it succeeded, cleaned of
everything that differs from run to run. What was run from the same sources, parameters and results is kept,
one cache a profile, so a build without changes only renders.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from sphinx_external_toc.parsing import parse_toc_yaml

from modlib.study import project

__all__ = ["PROFILES", "BookError", "build", "clean"]

PROFILES = ("quick", "paper")
EXECUTED = Path("book/executed")  # where the pages of notebooks are rendered from
#: Computed for the book at the profile "quick"; pages say of the others that they are not stored.
QUICK_EXPERIMENTS = ("base", "close-up", "labels-kept", "labels-shuffled")
Numbers = Callable[[str], Mapping[str, float | str | None]]
Prepare = Callable[[str], object]

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class BookError(RuntimeError):
    """The book could not be built; the message says which part, and why."""


class ChapterError(ValueError):
    """There is no such chapter; the message says which there are."""


@dataclass(frozen=True)
class _Run:
    """One notebook to run: where it is, what goes in, and a hash of all that its output depends on."""

    name: str
    source: Path
    parameters: dict[str, Any]
    inputs: str


def build(
    profile: str,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    jobs: int | None = None,
    root: Path | str = ".",
    out: Path | str | None = None,
    numbers: Numbers | None = None,
    prepare: Prepare | None = None,
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
        Notebooks to run side by side; by default one a core.
    root
        The folder of ``_toc.yml`` and ``_config.yml``.
    out
        The folder in which ``_build/html`` is made; by default `root`.
    numbers
        Computes the numbers in prose, given the profile; by default `modlib.book.numbers.numbers`.
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
        If a notebook is missing, takes no such parameter or fails, or if rendering gives a warning. What was
        built before stays as it is.
    """
    root = Path(root).resolve()
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {profile!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    if not (root / "_toc.yml").is_file():
        raise BookError(f"no _toc.yml in {root.name}: call this in the root of the book")
    chapters = _chapters(root / "_toc.yml")
    unknown = sorted(set(only) - set(chapters))
    if unknown:
        raise ChapterError(f"only must name chapters out of {', '.join(chapters)}, not {', '.join(unknown)}")

    cache = root / "_build" / "executed" / profile
    cache.mkdir(parents=True, exist_ok=True)
    _run_notebooks(root, cache, profile, [c for c in chapters if not only or c in only], force, jobs, prepare)
    _write_numbers(root, cache, profile, force, numbers)
    _publish(cache, root / EXECUTED, chapters)

    missing = [name for name in chapters if not (root / EXECUTED / f"{name}.ipynb").is_file()]
    if missing:
        print(f"not rendered: {', '.join(missing)} not run yet; executed notebooks are in {EXECUTED}")
        return root / EXECUTED
    return _render(root, Path(out).resolve() if out else root)


# --- which notebooks, and whether they must run


def _chapters(toc: Path) -> list[str]:
    """Return the names of the notebooks that the table of contents lists, in its order."""
    folder = EXECUTED.as_posix() + "/"
    pages = [str(page) for page in parse_toc_yaml(toc)]
    return [page.removeprefix(folder).removesuffix(".ipynb") for page in pages if page.startswith(folder)]


def _sha256(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _code(root: Path) -> str:
    """Return a hash of everything but the notebook that its output follows from: code, versions, Python."""
    files = [*sorted((project.ROOT / "modlib").rglob("*.py")), root / "requirements.txt"]
    texts = [file.read_bytes() for file in files if file.is_file()]
    return _sha256([*texts, sys.version.encode()])


def _results(profile: str) -> str:
    """Return a hash of the results that a profile reads; a manifest holds the hashes of its tables."""
    from modlib.book import inputs as ground

    return _sha256(
        part for name, path in ground.files(profile).items() for part in (name.encode(), path.read_bytes())
    )


def _plan(root: Path, profile: str, name: str, code: str) -> _Run:
    """Return how to run a notebook, after checking that it is there and takes the parameters."""
    source = root / "notebooks" / f"{name}.ipynb"
    if not source.is_file():
        raise BookError(f"_toc.yml lists the chapter {name}, but there is no notebooks/{name}.ipynb")
    parameters = {"profile": profile}
    # papermill itself only logs a name that the notebook does not have, and runs on.
    unknown = sorted(set(parameters) - _declared(source))
    if unknown:
        raise BookError(f"notebooks/{name}.ipynb has no parameter named {', '.join(unknown)}")
    return _Run(
        name,
        source,
        parameters,
        _sha256([source.read_bytes(), json.dumps(parameters).encode(), code.encode()]),
    )


def _declared(source: Path) -> set[str]:
    """Return the names in a notebook's cell tagged ``parameters``."""
    import papermill

    return set(papermill.inspect_notebook(str(source)))


def _read(path: Path) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_if_changed(path: Path, text: str) -> bool:
    """Write `text` in one step, unless it is there already; an untouched file is not rendered again."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return True


# --- running


def _run_notebooks(
    root: Path,
    cache: Path,
    profile: str,
    names: list[str],
    force: bool,
    jobs: int | None,
    prepare: Prepare | None,
) -> None:
    """Run what changed; raise one error that tells of every notebook that failed."""
    code, results = _code(root), _results(profile)
    plans = [_plan(root, profile, name, code) for name in names]
    inputs, timings = _read_json(cache / "inputs.json"), _read_json(cache / "timings.json")

    def current(run: _Run) -> bool:
        return (cache / f"{run.name}.ipynb").is_file() and inputs.get(run.name) == [run.inputs, results]

    todo = [run for run in plans if force or not current(run)]
    if len(todo) < len(plans):
        print(f"{len(plans) - len(todo)} of {len(plans)} notebooks unchanged")
    if not todo:
        return
    (prepare or _prepare)(profile)
    todo.sort(key=lambda run: -timings.get(run.name, 0.0))  # the longest first, so that none runs on alone
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = min(jobs or cores, len(todo))
    failures, done = [], []
    with tempfile.TemporaryDirectory(prefix="modlib-book-") as scratch, ThreadPoolExecutor(jobs) as pool:
        environment = _kernel_environment(Path(scratch), threads=max(1, cores // jobs))
        running = {pool.submit(_run, root, Path(scratch), run, environment): run for run in todo}
        for future in as_completed(running):
            run = running[future]
            try:
                seconds, notebook = future.result()
            except BookError as error:
                failures.append(str(error))
                print(f"  {run.name:<24} failed", flush=True)
                continue
            text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
            _write_if_changed(cache / f"{run.name}.ipynb", text + "\n")
            timings[run.name] = round(seconds, 1)
            done.append(run)
            print(f"  {run.name:<24} {seconds:6.1f} s", flush=True)
    # Results are hashed again: a quick run stores its own tables, which would otherwise look like a change.
    results = _results(profile)
    inputs.update({run.name: [run.inputs, results] for run in done})
    if not failures:
        inputs.update({run.name: [run.inputs, results] for run in plans})
    _write_if_changed(cache / "inputs.json", json.dumps(inputs, indent=1, sort_keys=True) + "\n")
    _write_if_changed(cache / "timings.json", json.dumps(timings, indent=1, sort_keys=True) + "\n")
    if failures:
        raise BookError("\n\n".join(failures))


def _prepare(profile: str) -> None:
    """Compute the quick tables once, with all cores and a progress bar, before notebooks ask side by side."""
    if profile == "quick":
        from modlib.study.runner import run

        for experiment in QUICK_EXPERIMENTS:
            run(experiment, profile=profile, long=True)


def _kernel_environment(scratch: Path, *, threads: int) -> dict[str, str]:
    """Return the environment in which notebooks run: this interpreter, nobody's personal settings."""
    kernel = scratch / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return {
        "OMP_NUM_THREADS": str(threads),  # before os.environ: whoever set it knows better
        **os.environ,
        "JUPYTER_PATH": str(scratch),  # searched first, so a user's own kernel named python3 is not taken
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYTHONHASHSEED": "0",
        # pooch asks tqdm for a bar fit for notebooks, which then misses ipywidgets; the book wants none.
        "PYTHONWARNINGS": "ignore:IProgress not found",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _run(
    root: Path, scratch: Path, run: _Run, environment: dict[str, str]
) -> tuple[float, nbformat.NotebookNode]:
    """Run one notebook in a process of its own; return the seconds it took and its cleaned output."""
    output = scratch / f"{run.name}.ipynb"
    command = [sys.executable, "-m", "papermill", str(run.source), str(output), "--cwd", str(root)]
    command += ["--kernel", "python3", "--no-progress-bar", "--autosave-cell-every", "0"]
    command += ["--parameters_yaml", json.dumps(run.parameters)]
    start = time.perf_counter()
    process = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise BookError(f"notebooks/{run.name}.ipynb failed{_why(output, process.stderr)}")
    return seconds, clean(_read(output), run.parameters)


def _why(output: Path, stderr: str) -> str:
    """Return the traceback of the cell that failed, or else the last words of papermill."""
    if output.is_file():
        added = ("injected-parameters", "papermill-error-cell-tag")  # by papermill: not the author's to count
        cells = [cell for cell in _read(output).cells if not any(_tagged(cell, tag) for tag in added)]
        for number, cell in enumerate(cells, start=1):
            for error in cell.get("outputs", []):
                if error.output_type == "error":
                    traceback = _ANSI.sub("", "\n".join(error.traceback))
                    return f" in cell {number}:\n{cell.source}\n\n{traceback}"
    return ":\n" + "\n".join(_ANSI.sub("", stderr).splitlines()[-20:])


def clean(notebook: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Return an executed notebook without what differs from run to run or from machine to machine.

    Times, paths and random identifiers go; streams that arrived in pieces are joined; progress bars (text
    that moves the cursor back) go. The values that papermill wrote into a cell of its own are written into
    the cell tagged ``parameters``, so that the page shows what was run once, with its comments.

    Parameters
    ----------
    notebook
        As papermill wrote it; it is changed in place.
    parameters
        What papermill was given.
    """
    notebook.metadata.clear()
    notebook.metadata.update(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"},
    )
    cells = [cell for cell in notebook.cells if not _tagged(cell, "injected-parameters")]
    declared = next((cell for cell in cells if _tagged(cell, "parameters")), None)
    if declared is not None and all(_assign(declared, name, value) for name, value in parameters.items()):
        notebook.cells = cells
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _clean_outputs(cell.outputs)
    return notebook


def _tagged(cell: nbformat.NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def _assign(cell: nbformat.NotebookNode, name: str, value: Any) -> bool:
    """Give a parameter its value in the source of its cell; return whether it is assigned there."""
    pattern = re.compile(rf"^({name}\s*(?::[^=\n]+)?=\s*)([^#\n]*?)(\s*(?:#.*)?)$", re.MULTILINE)
    # Doubled quotes, because that is how the sources are formatted.
    text = json.dumps(value) if isinstance(value, str) else repr(value)
    cell.source, count = pattern.subn(lambda match: match[1] + text + match[3], cell.source, count=1)
    return count == 1


def _clean_outputs(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr" and ("\r" in output.text or not output.text.strip()):
                continue
            if kept and kept[-1].output_type == "stream" and kept[-1].name == output.name:
                kept[-1].text += output.text
                continue
        if output.output_type == "execute_result":
            output.execution_count = None
        kept.append(output)
    return kept


# --- numbers, and putting everything where the pages are rendered from


def _write_numbers(root: Path, cache: Path, profile: str, force: bool, numbers: Numbers | None) -> None:
    """Compute the numbers in prose, unless code and results are those they were computed from."""
    target = cache / "numbers.json"
    inputs = _read_json(cache / "inputs.json")
    state = [_code(root), _results(profile), _cited(root)]
    if target.is_file() and inputs.get("numbers.json") == state and not force:
        return
    if numbers is None:
        from modlib.book.numbers import numbers as found

        numbers = partial(found, root=root)
    _write_if_changed(
        target, json.dumps(dict(numbers(profile)), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )
    inputs["numbers.json"] = [_code(root), _results(profile), _cited(root)]
    _write_if_changed(cache / "inputs.json", json.dumps(inputs, indent=1, sort_keys=True) + "\n")


def _cited(root: Path) -> str:
    """Return a hash of what the pages cite."""
    from modlib.book.numbers import citations

    return _sha256(sorted({str(cell).encode() for _, cell in citations(root)}))


def _publish(cache: Path, executed: Path, chapters: list[str]) -> None:
    """Bring the pages' sources up to date, touching only those that changed."""
    for name in [*(f"{chapter}.ipynb" for chapter in chapters), "numbers.json", "timings.json"]:
        if (cache / name).is_file():
            _write_if_changed(executed / name, (cache / name).read_text(encoding="utf-8"))


# --- rendering


def _render(root: Path, out: Path) -> Path:
    """Call Jupyter Book, with every warning an error."""
    start = time.perf_counter()
    html = out / "_build" / "html"
    state = out / "_build" / "site.sha256"
    files = [
        root / "_toc.yml",
        root / "_config.yml",
        *sorted((Path(__file__).parent / "sphinx").rglob("*.*")),
    ]
    files.append(Path(__file__).with_name("number_format.py"))  # which the site formats numbers with
    wanted = _sha256(file.read_bytes() for file in files if file.suffix != ".pyc")
    # Sphinx does not see changes of its own extensions, nor keeps the menus of unchanged pages up to date.
    if not state.is_file() or state.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(out / "_build" / ".doctrees", ignore_errors=True)
        shutil.rmtree(html, ignore_errors=True)
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        ".",
        "-W",
        "-n",
        "--keep-going",
    ]
    command += ["--path-output", str(out)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}  # those of Jupyter Book's own dependencies
    process = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        # A warning is given once, when a page is read: without this, the next build would pass in silence.
        state.unlink(missing_ok=True)
        raise BookError("the pages could not be rendered:\n" + _complaints(process.stdout + process.stderr))
    _write_if_changed(state, wanted)
    where = os.path.relpath(html / "index.html")
    print(f"rendered in {time.perf_counter() - start:.1f} s: open {where}", flush=True)
    return html


def _complaints(log: str) -> str:
    """Return the warnings and errors in Sphinx's output, or its last lines where it names none."""
    lines = _ANSI.sub("", log).splitlines()
    told = [line for line in lines if "WARNING" in line or "ERROR" in line]
    return "\n".join(told or lines[-30:])
