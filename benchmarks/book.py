"""The book: how long it takes to build, what its pages weigh, and when a reader can use them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import numpy as np
import pandas as pd
from playwright.sync_api import Browser, Request

from benchmarks import browser, project

EDITED = "notebooks/regularisation.ipynb"  # a sentence is added to it
WINDOWS = {"desk": 1280, "phone": 390}  # pixels
QUIET = 300  # milliseconds in which nothing keeps the page busy
#: Milliseconds from the start of navigation until what the window shows is there, and until the whole page is
#: and nothing keeps it busy any more.
INTERACTIVE = f"""async () => {{
  const done = {browser.DONE};
  const pause = (ms) => new Promise((go) => setTimeout(go, ms));
  while (!done(true) && performance.now() < 60000) await pause(5);
  const first = performance.now();
  while (!done() && performance.now() < 60000) await pause(5);
  const whole = performance.now();
  while (performance.now() - Math.max(whole, window.busyUntil) < {QUIET}) await pause(50);
  return [done(), first, Math.max(whole, window.busyUntil)];
}}"""
#: Notes when each long task, one of 50 ms or more, ends.
WATCH = """window.busyUntil = 0;
new PerformanceObserver((list) => list.getEntries().forEach((task) => {
  window.busyUntil = Math.max(window.busyUntil, task.startTime + task.duration);
})).observe({ type: "longtask", buffered: true });"""


def builds() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the site in a copy of the project with nothing built, again, and again with a chapter changed.

    Returns
    -------
    builds
        One row a build: `build`, `seconds`.
    pages
        As `measured_pages` gives it, of the site that was built.
    """
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        place = project.copy(Path(scratch) / "project")
        for name in ("nothing built", "nothing changed", "a chapter changed"):
            if name == "a chapter changed":
                _edit(place / EDITED)
            start = time.perf_counter()
            command = [sys.executable, "-m", "modlib", "book"]
            subprocess.run(command, cwd=place, env=_as_by_default(), check=True, stdout=sys.stderr)
            rows.append({"build": name, "seconds": time.perf_counter() - start})
        pages = measured_pages(place / "_build" / "html")
    return pd.DataFrame(rows), pages


def _as_by_default() -> dict[str, str]:
    """Return the environment without what would keep Python from storing the modules that it compiles."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _edit(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "markdown")
    first.source += "\n\nA sentence more.\n"
    nbformat.write(notebook, path)


def measured_pages(site: Path, *, rounds: int = 3) -> pd.DataFrame:
    """Open every page of a built site, each time in a browser that has nothing in its cache.

    Returns
    -------
    DataFrame
        One row a page and window: `page`, `window` (a key of `WINDOWS`), `own_bytes` and `shared_bytes` of
        what it asks for, uncompressed, shared being what lies in ``_static`` and serves all pages;
        `requests`; `first`, seconds until the charts and the mathematics in the window are there, and a
        reader can begin; and `seconds` until those of the whole page are, and the last task that keeps it
        busy for 50 ms has ended. Both are medians of so many rounds.

    Raises
    ------
    RuntimeError
        If a page is never whole.
    """
    rows = []
    with browser.chromium() as chromium, browser.served(site) as home:
        for name in browser.pages(site):
            for window, width in WINDOWS.items():
                loads = [_load(chromium, home, name, width) for _ in range(rounds)]
                times = {key: float(np.median([load[key] for load in loads])) for key in ("first", "seconds")}
                rows.append({"page": name, "window": window, **loads[0], **times})
    return pd.DataFrame(rows)


def _load(chromium: Browser, home: str, name: str, width: int) -> dict[str, float]:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    sizes: dict[str, list[int]] = {"own_bytes": [], "shared_bytes": []}

    def finished(request: Request) -> None:
        path = urlsplit(request.url).path
        of = sizes["shared_bytes" if path.startswith("/_static/") else "own_bytes"]
        of.append(request.sizes()["responseBodySize"])

    page.on("requestfinished", finished)
    page.goto(home + name, wait_until="commit")
    is_whole, first, whole = page.evaluate(INTERACTIVE)
    context.close()
    if not is_whole:
        raise RuntimeError(f"{name} is not whole after a minute")
    requests = sum(map(len, sizes.values()))
    return {
        **{of: sum(found) for of, found in sizes.items()},
        "requests": requests,
        "first": first / 1000,
        "seconds": whole / 1000,
    }
