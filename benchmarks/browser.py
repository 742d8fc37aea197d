"""The built site, served and opened in Chromium: for the book's benchmark and for the tests of its pages."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

from modlib.book.chromium import find

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: JavaScript that tells whether a page has loaded, all its charts are drawn and its mathematics is typeset;
#: or, if asked so, only those charts and that mathematics of which something is in the window.
DONE = """(inWindow = false) => {
    const seen = (one) => {
        const { top, bottom } = one.getBoundingClientRect();
        return top < innerHeight && bottom > 0;
    };
    const asked = (which) => [...document.querySelectorAll(which)].filter((one) => !inWindow || seen(one));
    return document.readyState === "complete"
        && asked(".modlib-chart").every((chart) => chart.dataset.drawn)
        && asked("article .math").every((math) => math.querySelector("mjx-container"));
}"""


def executable(playwright: Playwright) -> str:
    """Return the path of a Chromium: that of `modlib.book.chromium`, or else Playwright's own.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    path = find() or playwright.chromium.executable_path
    if Path(path).is_file():
        return path
    raise FileNotFoundError(
        "no Chromium: install one (Debian: apt-get install chromium; elsewhere: playwright install chromium) "
        "or name it in the environment variable CHROMIUM"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium, for as long as it lasts; a thread can have one at a time."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable(playwright), args=FLAGS)
        yield launched
        launched.close()


def pages(site: Path) -> list[str]:
    """Return the addresses of all pages, without those that only send the reader on."""
    found = sorted(
        path.relative_to(site).as_posix() for path in site.rglob("*.html") if "_static" not in path.parts
    )
    return [name for name in found if 'http-equiv="refresh"' not in (site / name).read_text().lower()]


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface, for as long as it lasts; yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
