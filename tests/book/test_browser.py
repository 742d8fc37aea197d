"""The built site, opened in a browser: every page, in both themes, on a desk and on a phone.

The site is built first (profile ``paper``), unless ``MODLIB_SITE`` names the folder of one that is.
"""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag

import pandas as pd
import pytest
from barriers import barriers

from benchmarks.browser import DONE, pages, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PHONE = 390
TOO_LARGE = ("book/api.html",)  # for axe-core, which takes more than a minute there
CHART = 'class="modlib-chart"'  # in the source of a page that has one
# What is wrong on the page, as a list of sentences.
FAULTS = r"""() => {
  const faults = [];
  const theme = document.documentElement.dataset.theme;
  document.querySelectorAll(".modlib-chart").forEach((chart, i) => {
    const name = `chart ${i + 1}`;
    if (chart.dataset.drawn !== theme) faults.push(`${name} not drawn in the ${theme} theme`);
    if (chart.querySelectorAll(".modlib-chart-view").length !== 1) faults.push(`${name} drawn twice`);
    const marks = chart.querySelector("svg.marks, canvas.marks");
    if (!marks) return faults.push(`${name} has neither svg nor canvas`);
    const box = marks.getBoundingClientRect();
    if (box.width < 30 || box.height < 30) faults.push(`${name} is ${box.width} x ${box.height}`);
    if (marks.tagName === "CANVAS") {
      const pixels = marks.getContext("2d").getImageData(0, 0, marks.width, marks.height).data;
      if (!pixels.some((value) => value)) faults.push(`${name} is an empty canvas`);
    } else if (!marks.querySelector(".mark-group path, .mark-group text, .mark-group line")) {
      faults.push(`${name} is an empty svg`);
    }
    if (!chart.querySelector("[role=graphics-document][aria-label]")) faults.push(`${name} is not described`);
    const frame = chart.querySelector(".modlib-chart-frame");
    if (frame.scrollWidth > frame.clientWidth) {
      faults.push(`${name} scrolls sideways: ${frame.scrollWidth} in ${frame.clientWidth}`);
    }
    for (const text of marks.querySelectorAll("text")) {
      const at = text.getBoundingClientRect();
      const [across, down] = [Math.max(box.left - at.left, at.right - box.right), at.bottom - box.bottom];
      const outside = Math.max(across, down, box.top - at.top);
      if (at.width && outside > 1) faults.push(`${name} cuts off "${text.textContent}" by ${outside}`);
    }
    const image = chart.querySelector("img");
    if (!image || !image.alt) faults.push(`${name} has no still image with a description`);
    if (image && getComputedStyle(image).display !== "none") faults.push(`${name} shows its still image too`);
  });
  document.querySelectorAll("article .math").forEach((math) => {
    if (!math.querySelector("mjx-container")) faults.push(`not typeset: ${math.textContent.slice(0, 60)}`);
    if (math.querySelector("[data-mjx-error]")) faults.push(`wrong TeX: ${math.textContent.slice(0, 60)}`);
  });
  const prose = (document.querySelector("article") ?? document.querySelector("main")).cloneNode(true);
  prose.querySelectorAll("pre, code, script, mjx-container").forEach((part) => part.remove());
  const raw = prose.textContent.match(/\\[([]|\$\$|\{(num|term|cite|ref|numref|eq)[^}]*\}`/);
  if (raw) faults.push(`raw mark-up in the text: ${raw[0]}`);
  document.querySelectorAll("table.modlib-paragraphs").forEach((table, i) => {
    const room = table.parentElement;
    if (room.scrollWidth > room.clientWidth + 1) faults.push(`table of sentences ${i + 1} scrolls`);
    for (const row of innerWidth < 640 ? table.tBodies[0].rows : []) {
      const { height } = row.getBoundingClientRect();
      const text = row.textContent.trim();
      const most = Math.max(300, 0.65 * text.length); // pixels; what a long text takes anyhow
      if (height > most) faults.push(`a row of table ${i + 1} is ${height} high: ${text.slice(0, 60)}`);
    }
  });
  document.querySelectorAll("article table tr").forEach((row) => {
    const { height } = row.getBoundingClientRect();
    if (height > 300 && !row.closest(".modlib-paragraphs")) {
      faults.push(`a row is ${height} high: ${row.textContent.slice(0, 60)}`);
    }
  });
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    faults.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
  }
  return faults;
}"""

# The colours of each chart of the page: of every mark in SVG, of every pixel on a canvas.
COLOURS = r"""() => [...document.querySelectorAll(".modlib-chart")].map((chart) => {
  const marks = chart.querySelector("svg.marks, canvas.marks");
  if (marks.tagName === "CANVAS") return marks.toDataURL();
  const sides = (mark) => [mark.getAttribute("fill"), mark.getAttribute("stroke")];
  return [...marks.querySelectorAll("*")].flatMap(sides).join(" ");
})"""


# --- the site, a server, a browser


@pytest.fixture(scope="module")
def site():
    """Return the folder of the built site."""
    if named := os.environ.get("MODLIB_SITE"):
        folder = Path(named)
    else:
        command = [sys.executable, "-c", "from modlib.book.builder import build; build('paper')"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        folder = ROOT / "_build" / "html"
    assert (folder / "index.html").is_file(), f"no site in {folder}"
    return folder


@pytest.fixture(scope="module")
def address(site):
    with served(site) as home:
        yield home


def visit(browser, url, *, home, width=1280, theme="light", **options):
    """Open a page and wait until it is drawn; return it with the list of what went wrong meanwhile."""
    window = {"width": width, "height": 900}
    # Without motion, because the theme scrolls smoothly: a mark would slide away under the pointer.
    context = browser.new_context(viewport=window, color_scheme=theme, reduced_motion="reduce", **options)
    page = context.new_page()
    faults = []

    def asked(request):
        if not request.url.startswith((home, "data:", "blob:")):
            faults.append(f"asked another site: {request.url}")

    page.on("request", asked)
    page.on("console", lambda message: message.type == "error" and faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("response", lambda response: response.ok or faults.append(f"{response.status}: {response.url}"))
    page.goto(url, wait_until="load")
    return page, faults


def settle(page):
    """Wait until charts are drawn and mathematics is typeset; what is not, is found afterwards."""
    page.wait_for_function(f"async () => {{ {WAIT} }}")


WAIT = f"""const end = performance.now() + 20000;
const done = {DONE};
while (!done() && performance.now() < end) await new Promise((go) => setTimeout(go, 50));
return true;"""


# --- every page


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1280),
        ("dark", PHONE),
        pytest.param("dark", 1280, marks=pytest.mark.long),
        pytest.param("light", PHONE, marks=pytest.mark.long),
    ],
)
def test_every_page_is_whole(site, address, browser, theme, width):
    faults, charts, formulas = [], 0, 0
    for name in pages(site):
        page, seen = visit(browser, address + name, home=address, width=width, theme=theme)
        settle(page)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        found = [*seen, *page.evaluate(FAULTS), *(barriers(page) if name not in TOO_LARGE else [])]
        faults += [f"{name}: {fault}" for fault in found]
        charts += page.locator(".modlib-chart[data-drawn]").count()
        formulas += page.locator("mjx-container").count()
        page.context.close()
    assert not faults, "\n".join(faults)
    assert charts > 0
    assert formulas > 0


class Links(HTMLParser):
    """Collect the links and the anchors of a page."""

    def __init__(self, html):
        super().__init__()
        self.links, self.anchors = [], {"", "top"}
        self.feed(html)

    def handle_starttag(self, tag, attrs):  # noqa: D102
        values = dict(attrs)
        self.anchors |= {value for key, value in attrs if key in ("id", "name")}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


def test_no_link_inside_the_site_is_dead(site):
    read = {path: Links(path.read_text()) for path in site.rglob("*.html") if "_static" not in path.parts}
    dead, inside = [], 0
    for path, page in read.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link):
                continue
            inside += 1
            target, anchor = urldefrag(link)
            file = (path.parent / unquote(target).split("?")[0]).resolve() if target else path
            if not file.is_file():
                dead.append(f"{path.relative_to(site)}: {link}")
            elif file in read and unquote(anchor) not in read[file].anchors:
                dead.append(f"{path.relative_to(site)}: {link} (no such place on the page)")
    assert inside > len(read)  # every page at least names its neighbours
    assert not dead, "\n".join(dead)


# --- what a chart does


def first_with(site, selector_text):
    """Return the first page whose source holds a text."""
    for name in pages(site):
        if selector_text in (site / name).read_text():
            return name
    pytest.fail(f"no page of the site holds {selector_text!r}")


def test_no_page_weighs_more_than_a_megabyte_and_a_half(site):
    """Scripts, styles and still images, which pages share or load when looked at, are not counted."""
    weights = {path.relative_to(site).as_posix(): path.stat().st_size for path in site.rglob("*.html")}
    assert len(weights) > 20
    assert {page: size for page, size in weights.items() if size > 1_500_000} == {}


def test_charts_are_drawn_again_when_the_theme_changes(site, address, browser):
    page, faults = visit(browser, address + first_with(site, CHART), home=address)
    settle(page)
    colours = []
    for theme in ("light", "dark", "light"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        settle(page)
        page.wait_for_selector(f".modlib-chart[data-drawn={theme}]", state="attached")
        page.wait_for_function(
            f"[...document.querySelectorAll('.modlib-chart')].every((c) => c.dataset.drawn === '{theme}')"
        )
        faults += page.evaluate(FAULTS)
        colours.append(page.evaluate(COLOURS))
    page.context.close()
    assert not faults
    light, dark, again = colours
    assert light
    assert light == again
    assert not [i for i, colour in enumerate(light) if colour == dark[i]]


@pytest.mark.parametrize("width", [1280, PHONE])
def test_a_theme_that_changes_while_charts_are_drawn_leaves_one_drawing_of_each(address, browser, width):
    page, faults = visit(browser, address + "book/executed/choices.html", home=address, width=width)
    settle(page)
    page.evaluate("""async () => {
        for (const theme of ["dark", "light", "dark"]) {
            document.documentElement.dataset.theme = theme;
            await null; // drawing begins, and does not end
        }
    }""")
    page.wait_for_function(
        "[...document.querySelectorAll('.modlib-chart')].every("
        "(c) => c.dataset.drawn === 'dark' && !c.querySelector('.modlib-chart-pending'))"
    )
    faults += page.evaluate(FAULTS)
    page.context.close()
    assert not faults


def test_a_drop_down_changes_its_chart(site, address, browser):
    page, faults = visit(browser, address + first_with(site, '"input":"select"'), home=address)
    settle(page)
    choice = page.locator(".vega-bind select").first
    chart = page.locator(".modlib-chart", has=choice).first
    options = choice.locator("option").all_inner_texts()
    assert len(options) > 1
    before = chart.locator("svg.marks, canvas.marks").first.screenshot()
    choice.select_option(index=len(options) - 1 if choice.input_value() != options[-1] else 0)
    page.wait_for_timeout(500)
    after = chart.locator("svg.marks, canvas.marks").first.screenshot()
    page.context.close()
    assert not faults
    assert before != after


def test_the_menu_of_a_chart_saves_its_data_and_names_its_script(site, address, browser):
    page, faults = visit(browser, address + first_with(site, '"usermeta"'), home=address)
    settle(page)
    chart = page.locator(".modlib-chart", has=page.locator(".vega-actions")).first
    spec = json.loads(chart.locator("script").inner_html())
    table = next(iter(spec["datasets"].values()))
    chart.locator("summary").focus()
    page.keyboard.press("Enter")
    with page.expect_download() as saved:
        chart.get_by_text(".csv").first.click()
    rows = pd.read_csv(saved.value.path(), keep_default_na=False)
    drawn_by = chart.locator(".vega-actions").get_by_text("Drawn by").text_content()
    page.context.close()
    assert not faults
    assert saved.value.suggested_filename.startswith(spec["usermeta"]["name"])
    assert len(rows) == len(table)
    for name, cell in table[0].items():
        assert rows[name][0] == ("" if cell is None else cell)
    module, _, function = drawn_by.removeprefix("Drawn by ").rpartition(".")
    assert hasattr(import_module(module), function)


def test_every_legend_that_picks_can_be_pressed(site, address, browser):
    picking = [name for name in pages(site) if '"bind":"legend"' in (site / name).read_text()]
    assert picking
    for name in picking:
        page, faults = visit(browser, address + name, home=address)
        settle(page)
        pressable = page.evaluate(
            """() => [...document.querySelectorAll(".modlib-chart")]
            .filter((chart) => chart.querySelector("script").textContent.includes('"bind":"legend"'))
            .map((chart) => chart.querySelectorAll(".role-legend-symbol [role=button]").length)"""
        )
        page.context.close()
        assert not faults
        assert min(pressable) > 1, f"{name}: {pressable}"


def test_an_entry_of_a_legend_is_pressed_by_keyboard(site, address, browser):
    page, faults = visit(browser, address + first_with(site, '"bind":"legend"'), home=address)
    settle(page)
    chart = page.locator(".modlib-chart", has=page.locator("[role=button]")).first
    entry = chart.locator("[role=button]").first

    def opacities():
        return chart.locator(".role-mark path").evaluate_all(
            "(all) => all.map((m) => m.getAttribute('opacity'))"
        )

    before = opacities()
    entry.focus()
    pressed = []
    for key in ("Enter", "Escape"):  # the second shows all again
        page.keyboard.press(key)
        page.wait_for_timeout(300)
        pressed.append(opacities())
    named = entry.get_attribute("aria-label")
    page.context.close()
    assert not faults
    assert named.startswith("show only ")
    assert pressed[0] != before
    assert pressed[1] == before


def test_a_mark_tells_its_values_under_the_pointer(site, address, browser):
    page, faults = visit(browser, address + first_with(site, '"tooltip":'), home=address)
    settle(page)
    told = ""
    for chart in page.locator(".modlib-chart").all():
        if '"tooltip":' not in chart.locator("script").inner_html():
            continue
        chart.scroll_into_view_if_needed()
        # The middles of the marks of a drawing in SVG; of one on a canvas, a grid over all of it.
        middles = chart.locator(".role-mark:is(.mark-symbol, .mark-rect) path").evaluate_all(
            "(marks) => marks.slice(0, 20).map((m) => m.getBoundingClientRect())"
            ".map((box) => [box.x + box.width / 2, box.y + box.height / 2])"
        )
        box = chart.locator("svg.marks, canvas.marks").bounding_box()
        shares = [0.12, 0.23, 0.34, 0.45, 0.56, 0.67, 0.78]
        middles += [
            (box["x"] + i * box["width"], box["y"] + j * box["height"]) for i in shares for j in shares
        ]
        for x, y in middles:
            page.mouse.move(x - 2, y - 2)
            page.mouse.move(x, y)
            page.wait_for_timeout(20)
            tip = page.locator("#vg-tooltip-element.visible")
            if tip.count():
                told = tip.inner_text()
                break
        if told:
            break
    page.context.close()
    assert not faults
    assert told.strip()


def test_without_javascript_the_still_image_and_its_description_are_there(site, address, browser):
    name = first_with(site, CHART)
    page, faults = visit(browser, address + name, home=address, java_script_enabled=False)
    images = page.locator(".modlib-chart img")
    assert images.count() == page.locator(".modlib-chart").count()
    for image in images.all():
        assert image.is_visible()
        assert image.get_attribute("alt")
        assert image.bounding_box()["height"] > 30
    page.context.close()
    assert not faults


def test_the_site_works_from_the_disk(site, browser):
    name = first_with(site, CHART)
    page, faults = visit(browser, (site / name).resolve().as_uri(), home=site.resolve().as_uri())
    settle(page)
    faults += page.evaluate(FAULTS)
    drawn = page.locator(".modlib-chart[data-drawn]").count()
    page.context.close()
    assert drawn > 0
    # A browser does not count files as answers of a server.
    assert not [fault for fault in faults if not fault.startswith("0: file:")]


FRAMES = """() => [...document.querySelectorAll(".modlib-chart-frame")].map((frame) => {
    const drawing = frame.querySelector("svg.marks, canvas.marks").getBoundingClientRect();
    const panels = [...frame.querySelectorAll("path.background")]
        .map((path) => path.getBoundingClientRect()).filter((box) => box.width > 40 && box.height > 40);
    return {
        chart: drawing.width,
        room: frame.clientWidth,
        labels: frame.querySelectorAll(".role-axis-label text").length,
        columns: new Set(panels.map((box) => Math.round(box.left))).size,
        panel: Math.max(...panels.map((box) => box.width)),
    };
})"""


def frames_of(browser, address, name, width):
    """Return what `FRAMES` finds on a page in a window."""
    page, _ = visit(browser, f"{address}book/executed/{name}.html", home=address, width=width)
    settle(page)
    found = page.evaluate(FRAMES)
    page.context.close()
    return found


def test_on_a_phone_panels_stand_above_each_other_and_are_labelled(address, browser):
    frames = {width: frames_of(browser, address, "training", width) for width in (1280, PHONE)}
    assert any(frame["chart"] > frames[PHONE][0]["room"] for frame in frames[1280])
    desk, phone = (frames[width][-1]["labels"] for width in (1280, PHONE))
    assert desk > 8  # graphs of the first layer, and ticks
    assert phone >= desk + 8  # graphs of the second


def test_on_a_phone_the_main_result_has_the_width_of_the_screen(address, browser):
    """Differences of gains by graph: two columns of panels beside long names on a desk."""
    desk, phone = (frames_of(browser, address, "regularisation", width)[2] for width in (1280, PHONE))
    assert desk["columns"] == 2
    assert phone["columns"] == 1
    assert phone["panel"] > 0.9 * phone["room"]  # names stand above their rows, inside the panel
    assert desk["panel"] < phone["panel"]


CARDS = """() => [...document.querySelectorAll("table.modlib-paragraphs")].map((table) => ({
    shown: getComputedStyle(table.tBodies[0].rows[0]).display,
    labels: [...table.tBodies[0].rows[0].cells].map((cell) => cell.dataset.label),
    heads: [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim()),
}))"""


@pytest.mark.parametrize(("width", "shown"), [(1280, "table-row"), (PHONE, "block")])
def test_tables_of_sentences_are_cards_on_a_phone(address, browser, width, shown):
    for name in (
        "executed/verdict",
        "executed/deviations",
        "reproduce",
    ):  # of a chapter, Markdown, a directive
        page, _ = visit(browser, f"{address}book/{name}.html", home=address, width=width)
        tables = page.evaluate(CARDS)
        page.context.close()
        assert tables, name
        for table in tables:
            assert table["shown"] == shown
            assert table["labels"] == table["heads"]


def test_a_chart_follows_the_width_of_its_window(address, browser):
    page, faults = visit(browser, f"{address}book/executed/regularisation.html", home=address)
    settle(page)
    seen = []
    for width in (1280, PHONE, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(600)  # longer than a window is given to find its size
        page.wait_for_function("document.documentElement.dataset.charts === 'drawn'")
        faults += page.evaluate(FAULTS)
        seen.append([round(frame["chart"]) for frame in page.evaluate(FRAMES)])
    page.context.close()
    assert not faults
    assert seen[0] == seen[2]
    assert max(seen[1]) < min(400, max(seen[0]))


def test_a_page_does_not_jump_when_its_charts_are_drawn(site, address, browser):
    """The room that is reserved for a chart is the room that it takes, to a line of text."""
    jumps = []
    for name in pages(site):
        if CHART not in (site / name).read_text():
            continue
        heights = []
        for script in (False, True):
            page, _ = visit(browser, address + name, home=address, java_script_enabled=script)
            if script:
                settle(page)
            frames = page.locator(".modlib-chart-frame").all()
            heights.append([frame.bounding_box()["height"] for frame in frames])
            page.context.close()
        jumps += [
            f"{name}: chart {i + 1} grows from {still:.0f} to {drawn:.0f}"
            for i, (still, drawn) in enumerate(zip(*heights, strict=True))
            if abs(drawn - still) > 30
        ]
    assert not jumps, "\n".join(jumps)


# --- what is told of a number or a term

TOLD = "#modlib-tooltip"
AGREEMENT = "book/executed/agreement.html"


def reach(page, selector):
    """Press the tabulator until an element of this kind has the focus; return it."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return page.locator(":focus")
    pytest.fail(f"no {selector} can be reached with the keyboard")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", PHONE)])
def test_a_term_is_defined_for_the_keyboard_from_the_disk(site, browser, theme, width):
    home = site.resolve().as_uri()
    page, faults = visit(browser, f"{home}/{AGREEMENT}", home=home, width=width, theme=theme)
    link = reach(page, "a.term")
    tip = page.locator(TOLD)
    assert tip.is_visible()
    assert tip.inner_text() == link.get_attribute("data-definition")
    assert page.locator(f"#{link.get_attribute('aria-describedby')}[role=tooltip]").is_visible()
    colours = "(tip) => [getComputedStyle(tip).color, getComputedStyle(tip).backgroundColor]"
    text, ground = tip.evaluate(colours)
    assert text != ground
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    assert link.get_attribute("aria-describedby") is None
    assert page.evaluate("document.activeElement.matches('a.term')")
    number = reach(page, "a.num")
    assert tip.inner_text() == number.get_attribute("data-source")
    page.context.close()
    assert not [fault for fault in faults if not fault.startswith("0: file:")]


def test_what_is_told_of_any_term_stays_within_the_window_and_apart_from_the_term(address, browser):
    page, faults = visit(browser, address + AGREEMENT, home=address, width=PHONE)
    settle(page)
    links = page.locator("a.term")
    assert links.count() > 10
    for link in links.all():
        link.focus()
        tip, term = page.locator(TOLD).bounding_box(), link.bounding_box()
        assert tip["x"] >= 0
        assert tip["x"] + tip["width"] <= PHONE
        assert tip["y"] >= 0
        assert tip["y"] + tip["height"] <= 900
        below, above = tip["y"] >= term["y"] + term["height"], tip["y"] + tip["height"] <= term["y"]
        assert below or above
    page.context.close()
    assert not faults


def test_a_definition_stays_while_the_pointer_is_on_it_and_a_finger_sees_it_before_it_follows(
    address, browser
):
    page, faults = visit(browser, address + AGREEMENT, home=address)
    tip = page.locator(TOLD)
    page.locator("a.term").first.hover()
    tip.hover()
    page.wait_for_timeout(500)
    assert tip.is_visible()
    page.mouse.move(2, 2)
    tip.wait_for(state="hidden")
    page.context.close()
    page, more = visit(browser, address + AGREEMENT, home=address, width=PHONE, has_touch=True)
    link = page.locator("a.term").first
    link.tap()
    assert page.locator(TOLD).inner_text() == link.get_attribute("data-definition")
    assert page.url.endswith(AGREEMENT)
    link.tap()
    page.wait_for_url("**/glossary.html#term-*")
    page.context.close()
    assert not faults + more


# --- the search

CHAPTER_OF = {
    "null model": "executed/chance",
    "Hessian": "executed/four-measures",
    "Holm": "executed/certainty",
    "bootstrap": "executed/certainty",
    "seed": "executed/training",
    "modularity": "executed/what-is-a-module",
    "AMI": "executed/agreement",
    "ECS": "executed/agreement",
    "dropout": "executed/regularisation",
    "weight decay": "executed/regularisation",
    "resolution limit": "executed/what-is-a-module",
    "own network": "executed/own-network",
}


def searched(browser, home, words):
    """Search for words; return addresses and excerpts of the first results, and what went wrong."""
    page, faults = visit(browser, f"{home}/search.html?q={quote(words)}", home=home)
    page.wait_for_function("document.querySelectorAll('ul.search li').length > 1")
    page.locator("ul.search li p.context").first.wait_for(timeout=5000)
    found = [
        (item.locator("a").first.get_attribute("href"), " ".join(item.locator("p.context").all_inner_texts()))
        for item in page.locator("ul.search li").all()[:5]
    ]
    page.context.close()
    return found, [fault for fault in faults if not fault.startswith("0: file:")]


@pytest.mark.parametrize("words", CHAPTER_OF)
def test_the_search_finds_the_right_chapter_first_with_an_excerpt_from_the_disk(site, browser, words):
    found, faults = searched(browser, site.resolve().as_uri(), words)
    address, excerpt = found[0]
    assert address == f"book/{CHAPTER_OF[words]}.html"
    assert len(excerpt) > 100
    assert not faults


def test_the_search_shows_chapters_before_names_of_the_interface(site, browser):
    found, _ = searched(browser, site.resolve().as_uri(), "modularity")
    assert not [address for address, _ in found if address.startswith("book/api.html#")]


def test_an_excerpt_shows_the_words_that_were_asked_for(site, browser):
    found, _ = searched(browser, site.resolve().as_uri(), "early stopping")
    assert "early stopping" in found[0][1].lower()
