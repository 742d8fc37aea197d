"""The page of a report, opened in a browser: both themes, a desk and a phone, nothing asked of a network."""

from itertools import pairwise

import numpy as np
import pytest
from barriers import barriers
from bs4 import BeautifulSoup
from similar import planted

from modlib.reporting.report import Report

PHONE = 390
QUICK = {"draws": 4, "restarts": 2, "null_restarts": 1, "shuffles": 20}
# The contrast of each text with what is behind it, by the formula of WCAG 2, below 4.5; and what overflows.
FAULTS = r"""() => {
  const faults = [];
  const light = (rgb) => rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return null;
  };
  document.querySelectorAll("body *").forEach((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.tagName === "TITLE" || !element.getClientRects().length) return;
    const style = getComputedStyle(element);
    const text = numbers(element instanceof SVGElement ? style.fill : style.color).slice(0, 3);
    const back = behind(element);
    if (!back) return faults.push(`nothing is behind ${element.textContent}`);
    const [a, b] = [light(text), light(back)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faults.push(`too faint: ${element.textContent.slice(0, 40)}`);
  });
  if (document.documentElement.scrollWidth > innerWidth) {
    faults.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
  }
  document.querySelectorAll("svg[role=img]").forEach((svg) => {
    const box = svg.getBoundingClientRect();
    if (box.width < 30 || box.height < 15) faults.push(`a picture is ${box.width} x ${box.height}`);
  });
  document.querySelectorAll("table").forEach((table) => {
    if (table.closest(".scroll") || table.closest("details:not([open])")) return;
    if (table.getBoundingClientRect().right > innerWidth) faults.push("a table is cut off");
  });
  return faults;
}"""

# The width of each picture that is held in the page, once the browser has read it.
WIDTHS = """() => Promise.all([...document.querySelectorAll("image")].map(async (held) => {
  const picture = new Image();
  picture.src = held.href.baseVal;
  await picture.decode();
  return picture.naturalWidth;
}))"""


@pytest.fixture(scope="module")
def page():
    names = [f"channel {number} of the second block" for number in range(24)]
    S = planted(dead=[3])
    S.notes = ("The input gradient was taken by the embedding.",)
    layers = {"encoder.3": S, "decoder.layers.0.mlp.activation": planted(noise=3.0)}
    return Report.of_similarities(layers, unit_names={"encoder.3": names}, **QUICK).to_html()


@pytest.fixture(scope="module")
def soup(page):
    return BeautifulSoup(page, "html.parser")


# ---------------------------------------------------------------- in a browser


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, PHONE])
def test_the_page_is_whole_and_asks_for_nothing(page, browser, tmp_path, theme, width):
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    opened, asked, faults = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto((tmp_path / "report.html").as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    faults += opened.evaluate(FAULTS) + barriers(opened)
    widths = opened.evaluate(WIDTHS)
    background = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert not faults, "\n".join(faults)
    assert asked == [(tmp_path / "report.html").as_uri()]
    assert widths == 2 * 8 * [24]  # pixels of each picture
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 31)"}[theme]


@pytest.mark.browser
@pytest.mark.slow
def test_in_a_notebook_its_styles_stay_in_their_frame(browser):
    report = Report.of_similarities({"a": planted()}, **QUICK)
    context = browser.new_context()
    opened = context.new_page()
    opened.set_content(f"<body style='margin: 7px'><h1>Mine</h1>{report._repr_html_()}</body>")
    frame = opened.frame_locator("iframe")
    assert frame.locator("h1").inner_text() == "Modules of network"
    size = "getComputedStyle(document.querySelector('h1')).fontSize"
    assert opened.evaluate(size) == "32px"
    assert opened.evaluate("getComputedStyle(document.body).margin") == "7px"
    context.close()


# ---------------------------------------------------------------- what is written


def test_headings_are_in_order_and_regions_are_named(soup):
    levels = [int(heading.name[1]) for heading in soup.find_all(["h1", "h2", "h3", "h4"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [len(soup.find_all(tag)) for tag in ("header", "main", "footer")] == [1, 1, 1]
    assert soup.html["lang"] == "en"
    named = [section["aria-labelledby"] for section in soup.find_all("section")]
    assert len(named) == 4
    assert all(soup.find(id=name) is not None for name in named)
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_every_picture_is_described_and_every_table_has_headers(soup):
    pictures = soup.find_all("svg", role="img")
    assert len(pictures) == 2 * (8 + 4 + 4 + 1)
    assert all(picture["aria-label"].strip() for picture in pictures)
    for table in soup.find_all("table"):
        assert table.thead.find_all("th", scope="col")
        for row in table.tbody.find_all("tr"):
            assert len(row.find_all("th", scope="row")) == 1
            assert len(row.find_all(["th", "td"])) == len(table.thead.find_all("th"))


def test_nothing_is_fetched_and_nothing_runs(soup):
    assert not soup.find_all(["script", "link", "iframe", "img"])
    assert all(image["href"].startswith("data:image/png;base64,") for image in soup.find_all("image"))
    assert "url(" not in soup.style.string
    assert "@import" not in soup.style.string


def test_the_strip_stands_where_its_numbers_are():
    report = Report.of_similarities({"a": planted()}, **QUICK)
    soup = BeautifulSoup(report.to_html(), "html.parser")
    strip = soup.find("table", class_="strip")
    ticks = strip.tfoot.find_all("text")
    values = [float(tick.string.replace("−", "-")) for tick in ticks]
    places = [float(tick["x"].rstrip("%")) for tick in ticks]
    tables = report.nulls.groupby(["measure", "normalized"], sort=False)
    for row, (_, tests) in zip(strip.tbody.find_all("tr"), tables, strict=True):
        at = np.interp(tests.q.iloc[0], values, places)
        assert float(row.circle["cx"].rstrip("%")) == pytest.approx(at, abs=0.01)
        means = [float(line["x1"].rstrip("%")) for line in row.find_all("line", class_="mean")]
        assert means == pytest.approx(np.interp(tests["mean"], values, places).tolist(), abs=0.01)
        lows = [float(line["x1"].rstrip("%")) for line in row.find_all("line", class_="null")]
        expected = np.interp(tests["mean"] - 2 * tests.sd, values, places)
        assert lows == pytest.approx(expected.tolist(), abs=0.01)
        *_, q, p = (cell.get_text() for cell in row.find_all("td"))
        assert q == f"{tests.q.iloc[0]:.3f}"
        assert p == f"{tests.p.max():.3f}"


def test_q_under_the_other_order_is_the_transfer_of_the_table():
    report = Report.of_similarities({"a": planted()}, **QUICK)
    soup = BeautifulSoup(report.to_html(), "html.parser")
    shown = [caption.get_text() for caption in soup.find("div", class_="pairs").find_all("figcaption")]
    q = report.modules.set_index(["measure", "normalized"]).q
    (pair,) = report.agreement.query(
        "measure_a == 'input_grad' and normalized_a and measure_b == 'output_grad' and normalized_b"
    ).itertuples()
    expected = [q["input_grad", True], pair.transfer_ab, pair.transfer_ba, q["output_grad", True]]
    assert [text.split("Q = ")[1] for text in shown] == [f"{v:.3f}".replace("-", "−") for v in expected]


def test_modules_of_units_are_those_of_the_table(soup):
    table = soup.find("caption", string=lambda text: text and "Module of each unit" in text).parent
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.tbody.find_all("tr")]
    assert len(rows) == 24
    assert rows[3][:3] == ["channel 3 of the second block", "dead", "dead"]
    assert {row[1] for row in rows} == {"0", "1", "2", "dead"}
    assert {row[3] for row in rows} == {"0", "1", "2", "3"}


def test_one_of_a_thing_is_not_many(page):
    text = " ".join(BeautifulSoup(page, "html.parser").get_text().split())
    assert "2 restarts; 4 draws of each null, with 1 restart; 20 shuffles" in text
    assert " 1 restarts" not in text
