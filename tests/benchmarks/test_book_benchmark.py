"""The benchmark of the book: what a page weighs, apart from what it shares, and when it can be used."""

import pytest

from benchmarks import book, browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.long]

PAGE = """<!doctype html><html><head><link rel="icon" href="data:,">
<script src="_static/shared.js"></script></head>
<body><article><img src="own.svg"></article>{script}</body></html>"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
BUSY = "<script>const end = performance.now() + 700; while (performance.now() < end);</script>"
LATE = """<div class="modlib-chart"></div>
<script>setTimeout(() => document.querySelector("div").dataset.drawn = "light", 900)</script>"""

BELOW = LATE.replace("<div ", '<div style="margin-top: 2000px" ')


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    (site / "_static").mkdir()
    (site / "_static" / "shared.js").write_text("// " + "x" * 5000)
    (site / "_static" / "page.html").write_text("not a page of its own")
    (site / "own.svg").write_text(SVG)
    for name, script in {"light": "", "busy": BUSY, "late": LATE, "below": BELOW}.items():
        (site / f"{name}.html").write_text(PAGE.format(script=script))
    (site / "gone.html").write_text('<meta http-equiv="Refresh" content="0; url=light.html">')
    return book.measured_pages(site, rounds=1).set_index(["page", "window"])


def test_every_page_is_opened_in_every_window(measured):
    assert sorted(measured.index) == [
        (f"{name}.html", window)
        for name in ("below", "busy", "late", "light")
        for window in ("desk", "phone")
    ]


def test_what_is_shared_is_weighed_apart(measured):
    page = len(PAGE.format(script=""))
    assert measured.loc[("light.html", "desk"), "own_bytes"] == page + len(SVG)
    assert set(measured.shared_bytes) == {5003}
    assert set(measured.requests) == {3}


def test_a_page_can_be_used_when_charts_are_drawn_and_nothing_keeps_it_busy(measured):
    seconds = measured.seconds
    assert (seconds["busy.html"] >= 0.7).all()
    assert (seconds["late.html"] >= 0.9).all()
    assert (seconds["light.html"] < seconds["late.html"]).all()


def test_a_reader_can_begin_before_what_is_below_the_window_is_drawn(measured):
    assert (measured["first"]["late.html"] >= 0.9).all()
    assert (measured["first"]["below.html"] < 0.9).all()
    assert (measured.seconds["below.html"] >= 0.9).all()


def test_pages_that_send_the_reader_on_are_none(tmp_path):
    (tmp_path / "a.html").write_text("<p>a</p>")
    (tmp_path / "b.html").write_text('<meta http-equiv="refresh" content="0; url=a.html">')
    assert browser.pages(tmp_path) == ["a.html"]
