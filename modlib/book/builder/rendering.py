"""The pages of the site, made by Jupyter Book with every warning an error."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from modlib.book.builder.cache import sha256
from modlib.book.builder.errors import BookError, without_colours
from modlib.study import project

_JUPYTER_BOOK = (sys.executable, "-c", "from jupyter_book.cli.main import main; main()")
_DISK = re.compile(r"No space left on device|Read-only file system|Disk quota exceeded")


def render(root: Path, out: Path) -> Path:
    """Render the site in ``out/_build/html`` and return it; a BookError repeats what Sphinx complains of."""
    start = time.perf_counter()
    html, doctrees, state = (out / "_build" / name for name in ("html", ".doctrees", "site.sha256"))
    wanted = _digest(root)
    if not state.is_file() or state.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(doctrees, ignore_errors=True)
        shutil.rmtree(html, ignore_errors=True)
    # Sphinx warns once, when it reads a page, and would pass over it in silence the next time. The state is
    # therefore there only after a build without warnings, whatever ended the last one.
    state.unlink(missing_ok=True)
    done = subprocess.run(
        [*_JUPYTER_BOOK, "build", ".", "-W", "-n", "--keep-going", "--path-output", str(out)],
        cwd=root,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},  # those of Jupyter Book's own dependencies
        capture_output=True,
        text=True,
        check=False,
    )
    log = without_colours(done.stdout + done.stderr)
    if done.returncode:
        if disk := _DISK.search(log):
            raise BookError(f"{out / '_build'}: {disk[0]}")
        lines = log.splitlines()
        complaints = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-30:]
        raise BookError("\n".join(["the pages could not be rendered:", *complaints]))
    state.write_text(wanted, encoding="utf-8")
    where = os.path.relpath(html / "index.html")
    print(f"rendered in {time.perf_counter() - start:.1f} s: open {where}", flush=True)
    return html


def _digest(root: Path) -> str:
    """Return a hash of what Sphinx does not watch: its own extensions, menus, and which modules there are."""
    book = project.PACKAGE / "book"
    own = [path for path in sorted((book / "sphinx").rglob("*.*")) if path.suffix != ".pyc"]
    own += [book / "number_format.py", book / "numbers.py"]
    modules = "\n".join(
        sorted(str(path.relative_to(project.PACKAGE)) for path in project.PACKAGE.rglob("*.py"))
    ).encode()
    pages = (root / "_toc.yml", root / "_config.yml", *own)
    return sha256([modules, *(path.read_bytes() for path in pages)])
