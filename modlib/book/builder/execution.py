"""Notebooks run side by side, each by papermill in a process of its own, with a kernel of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil

from modlib.book.builder.cleaning import clean, tagged
from modlib.book.builder.errors import BookError, without_colours
from modlib.study.provenance import cores

MEMORY = 1.2 * 2**30  # bytes that a notebook takes at most, with its kernel
LONGEST_SOCKET = 100  # bytes of the path of a socket; macOS allows 104 and Linux 108
REASON = "modlib could not go on: "  # begins the line of a log that alone says why a notebook failed
PAPERMILL_PROCESS = Path(__file__).with_name("papermill_process.py")
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB")
#: Run in each kernel before the notebook: notes after each cell which files of modlib are loaded.
NOTE_IMPORTS = """
def _note_imports(*_):
    import os, sys
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "modlib"]
    files = sorted({module.__file__ for module in loaded if getattr(module, "__file__", None)})
    with open(os.environ["MODLIB_IMPORTED"], "w") as file:
        file.write("\\n".join(files))

get_ipython().events.register("post_run_cell", _note_imports)
del _note_imports
"""


@dataclass(frozen=True)
class Notebook:
    """A notebook to run: the name of its chapter, its source, and what goes into it."""

    name: str
    source: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The name of the file that it becomes."""
        return f"{self.name}.ipynb"

    @property
    def inputs(self) -> list[bytes]:
        """What, besides code and results, the output follows from."""
        return [self.source.read_bytes(), json.dumps(dict(self.parameters)).encode()]


@dataclass(frozen=True)
class Executed:
    """A notebook that was run: as it is published, how long it took, and the files of modlib it imported."""

    notebook: nbformat.NotebookNode
    seconds: float
    imported: list[Path] | None  # None where the kernel left no word of it


def side_by_side(notebooks: int) -> int:
    """Return how many notebooks run at a time: one a core, and no more than there is memory for."""
    return max(1, min(notebooks, cores(), int(psutil.virtual_memory().available // MEMORY)))


def execute(
    notebooks: Sequence[Notebook], root: Path, *, jobs: int, startup: str = NOTE_IMPORTS
) -> Generator[tuple[Notebook, Executed | BookError], None, None]:
    """Run notebooks in the folder `root`, so many at a time, and give each as soon as it is done.

    Closing the iterator kills what still runs, the kernels and their children too. `startup` is Python that
    each kernel runs before its notebook.
    """
    with tempfile.TemporaryDirectory(prefix="modlib-book-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        environment = _kernel_environment(scratch, startup)
        waiting = list(enumerate(notebooks))
        running: list[_Process] = []
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    number, notebook = waiting.pop(0)
                    running.append(_Process(notebook, scratch / f"{number}", root, environment))
                time.sleep(0.05)
                for process in [one for one in running if one.has_ended()]:
                    running.remove(process)
                    yield process.notebook, process.outcome()
        finally:
            for process in running:
                process.kill()


def _kernel_environment(folder: Path, startup: str) -> dict[str, str]:
    """Return the environment in which notebooks run, without personal settings; its files lie in `folder`."""
    kernel, startups = folder / "kernels" / "python3", folder / "ipython" / "profile_default" / "startup"
    for made in (kernel, startups):
        made.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    (startups / "00-book.py").write_text(startup, encoding="utf-8")
    return {
        # Before os.environ: whoever set it knows better. Side by side, more threads only wait for each other.
        **{f"{library}_NUM_THREADS": "1" for library in THREADS},
        **os.environ,
        "JUPYTER_PATH": str(folder),  # searched first, so a user's own kernel named python3 is not taken
        "JUPYTER_RUNTIME_DIR": str(folder),
        "TMPDIR": str(folder),  # what a kernel leaves there goes with the folder
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONHASHSEED": "0",
        # pooch asks tqdm for a bar fit for notebooks, which then misses ipywidgets; the book wants none.
        "PYTHONWARNINGS": "ignore:IProgress not found",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


class _Process:
    """One notebook in a process of its own, with a folder of its own for what it leaves."""

    def __init__(self, notebook: Notebook, folder: Path, root: Path, environment: Mapping[str, str]):
        self.notebook = notebook
        ends = (".ipynb", ".log", ".txt")
        self._output, self._log, self._imported = (folder.with_suffix(end) for end in ends)
        # A kernel can be spoken to through files whose paths begin so if they are short, else through ports.
        short = os.name == "posix" and len(os.fsencode(f"{folder}-1")) <= LONGEST_SOCKET
        options = {
            "input_path": str(notebook.source),
            "output_path": str(self._output),
            "parameters": dict(notebook.parameters),
            "kernel_name": "python3",
            "cwd": str(root),
            "sockets": str(folder) if short else "",
            "reason": REASON,
        }
        self._start = time.perf_counter()
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", str(PAPERMILL_PROCESS), json.dumps(options)],
                env={**environment, "MODLIB_IMPORTED": str(self._imported)},
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the builder, which then kills this
            )

    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def outcome(self) -> Executed | BookError:
        """Return the notebook, or why there is none."""
        seconds = time.perf_counter() - self._start
        notebook = _read(self._output)
        if self._popen.returncode or notebook is None:
            log = self._log.read_text(encoding="utf-8", errors="replace")
            return BookError(f"notebooks/{self.notebook.name}.ipynb failed{_reason(notebook, log)}")
        imported = None
        if self._imported.is_file():
            imported = [Path(line) for line in self._imported.read_text(encoding="utf-8").splitlines()]
        return Executed(clean(notebook, self.notebook.parameters), seconds, imported)

    def kill(self) -> None:
        """End the process and all that came of it: its kernel, which has a session of its own, and so on."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._popen.pid)
            family = [process, *process.children(recursive=True)]
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(family[1:], timeout=2)
        self._popen.wait()


def _read(path: Path) -> nbformat.NotebookNode | None:
    """Read a notebook, or return None if none was written, or only a part of one."""
    try:
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        return notebook
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return None


def _reason(notebook: nbformat.NotebookNode | None, log: str) -> str:
    """Return the traceback of the cell that failed, or else the last words of papermill."""
    added = ("injected-parameters", "papermill-error-cell-tag")  # by papermill: not the author's to count
    cells = [] if notebook is None else notebook.cells
    cells = [cell for cell in cells if not any(tagged(cell, tag) for tag in added)]
    for number, cell in enumerate(cells, start=1):
        for error in cell.get("outputs", []):
            if error.output_type == "error":
                trace = without_colours("\n".join(error.traceback))
                return f" in cell {number}:\n{cell.source}\n\n{trace}"
    lines = without_colours(log).splitlines()
    last = [line.removeprefix(REASON) for line in lines if line.startswith(REASON)] or lines[-20:]
    return (": " if len(last) == 1 else ":\n") + "\n".join(last)
