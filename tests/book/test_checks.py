"""Checks: what is refused, what a page has of one, and what a reader can do with it."""

import json
import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from keyboard import press_until

from modlib.book.sphinx import check_text
from modlib.book.sphinx.check_text import CheckTextError, read

# --- what is refused

CHOICE = """
How much is two and two?

- [ ] Three.
  > One was lost on
  > the way.

- [x] Four, since

  > it is.
"""
NUMBER = """How much is two and two?
- [x] 4 ± 0.1
  > It is.
- [ ] 3
  > One was lost.
- [ ] anything else
  > Count your fingers.
"""
PREDICT = """How much will it be?

- [ ] Three.
- [ ] Four.

> It is four.
>
> It always is.
"""
WELL = {"choice": CHOICE, "number": NUMBER, "predict": PREDICT}


def test_a_check_is_read():
    choice = read("choice", CHOICE.splitlines())
    assert (choice.question.text, choice.question.line) == ("How much is two and two?", 1)
    assert [(i.label.text, i.label.line, i.right) for i in choice.items] == [
        ("Three.", 3, False), ("Four, since", 7, True),
    ]  # fmt: skip
    assert [(i.feedback.text, i.feedback.line) for i in choice.items] == [
        ("One was lost on\nthe way.", 4), ("it is.", 9),
    ]  # fmt: skip
    number = read("number", NUMBER.splitlines())
    assert [(i.label.text, i.value) for i in number.items] == [("4", 4), ("3", 3), ("anything else", None)]
    assert number.tolerance == 0.1
    predict = read("predict", PREDICT.splitlines())
    assert [i.label.text for i in predict.items] == ["Three.", "Four."]
    assert predict.answer.text == "It is four.\n\nIt always is."
    assert read("predict", ["What?", "> That."]).items == ()
    assert read("choice", CHOICE.replace("[ ]", "[x]").splitlines(), several=True).items[0].right


@pytest.mark.parametrize(
    ("kind", "old", "new", "message", "line"),
    [
        ("choice", "[x]", "[ ]", "none of the list is marked as right", 0),
        ("choice", "[ ]", "[x]", "2 are marked as right", 7),
        ("choice", "Four, since", "three.", "two labels are alike: 'three.'", 7),
        ("choice", "  > it is.", "", "no feedback for 'Four, since'", 7),
        ("choice", "  > the way.", "  the way.", "feedback goes on without its mark", 5),
        ("choice", "  > it is.", "> it is.", "feedback must be indented", 9),
        ("choice", "- [ ] Three.\n  > One was lost on\n  > the way.", "", "two options or more", 0),
        ("choice", "- [ ] Three.", "* [ ] Three.", "options are written - [ ] or - [x]", 3),
        ("choice", "- [ ] Three.", "- [] Three.", "options are written - [ ] or - [x]", 3),
        ("choice", "  > it is.", "  > it is.\n  - [ ] Five.", "options are written - [ ] or - [x]", 10),
        ("choice", "- [x] Four", "- Four", "neither an option", 7),
        ("choice", "How much is two and two?", "", "there is no question", 0),
        ("number", " ± 0.1", "", "the right value has no tolerance", 1),
        ("number", "± 0.1", "± some", "the tolerance must be a number above 0, got 'some'", 1),
        ("number", "± 0.1", "± 0", "the tolerance must be a number above 0, got '0'", 1),
        ("number", "± 0.1", "± 0.5", "two values lie within the tolerance of each other", 3),
        ("number", "4 ±", "four ±", "a value must be a number or a {num} role, got 'four'", 1),
        ("number", "[ ] 3", "[x] 3 ± 1", "2 are marked as right", 3),
        ("number", "anything else", "5", "the last of the values must be 'anything else'", 5),
        ("number", "- [ ] 3\n  > One was lost.\n", "", "at least one wrong value", 0),
        ("predict", "[ ] Four", "[x] Four", "nothing is right in a prediction", 3),
        ("predict", "> It is four.\n>\n> It always is.\n", "", "there is no answer to reveal", 0),
        ("predict", "- [ ] Four.\n", "", "two options or more, or none", 2),
        ("predict", "Four.\n", "Three.\n", "two labels are alike", 3),
        ("guess", "", "", "kind must be one of choice, number, predict; got 'guess'", 0),
    ],
)
def test_what_is_no_check_is_refused_where_it_stands(kind, old, new, message, line):
    text = WELL.get(kind, CHOICE)
    assert old in text
    with pytest.raises(CheckTextError, match=re.escape(message)) as error:
        read(kind, text.replace(old, new).splitlines())
    assert error.value.line == line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", 0.25),
        ("−1/6", -1 / 6),
        (" 5/14 ", 5 / 14),
        ("1e-3", 1e-3),
        ("1/0", None),
        ("", None),
        ("n/a", None),
        ("1e999", None),
    ],
)
def test_numbers_are_read_as_decimals_and_fractions(text, value):
    assert check_text.number(text) == value


# --- in a page


CONF = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import toy.tables

project = "small"
extensions = ["myst_nb", "modlib.book.sphinx"]
html_theme = "sphinx_book_theme"
myst_enable_extensions = ["colon_fence", "dollarmath", "tasklist"]
mathjax3_config = {"options": {"enableMenu": False}}
nb_execution_mode = "off"
modlib_numbers = "numbers.json"
modlib_timings = "timings.json"
exclude_patterns = ["html", "toy"]
"""
TABLES = """
from modlib.book.numbers import offered

@offered()
def whole(profile):
    \"\"\"How much there is.\"\"\"
"""
INDEX = """
# Start

```{toctree}
second
```

Text that everybody reads.

```{check} Two layers
:kind: choice

Both have $Q = 0.3$, and {num}`toy.whole.q:.2f` is $x^2$. Which is the more modular?

- [ ] The *wide* one, by $Q$.
  > Size alone **changes** $Q$.
- [x] That cannot be said; {num}`toy.whole.q:.2f` says nothing.
  > It takes a null.

  - [ ] not an option
- [ ] Neither.
  > They may well differ.
```
""".replace("\n  - [ ] not an option\n", "")
SECOND = """
# Second

```{check} A share
:kind: number

Give the share of the weight.

- [ ] 3/14
  > Each edge has two ends.
- [x] {num}`toy.whole.q:.2f` ± 0.01
  > Both ends are counted.
- [ ] anything else
  > Count all ends first.
```

```{check} Before you look
:kind: predict

What will the figure show?

- [ ] A rise.
- [ ] A fall.

> It *rises*.
```

```{check} In your words
:kind: predict

Why does it rise?

> Since it must.
```
"""
BAD = """
# Bad

```{check} No right one
:kind: choice

Is it so?

- [ ] Yes.
  > It may be.
- [ ] No.
  > It may not be.
```

Some text.

```{check} A tolerance
:kind: number

How much is it?

- [x] 1 ± little
  > So it is.
- [ ] anything else
  > It is not.
```

```{check} Two blocks
:kind: choice

Is it so?

- [ ] Yes.
  > It may be.
- [x] No.

  Never.
  > It may not be.
```

```{check} Twice
:kind: predict

Is it so?

> It is.
```

```{check} Twice
:kind: predict

Is it so?

> It is.
```

```{check} Near
:kind: number

How much is it?

- [x] {num}`toy.whole.q:.2f` ± 0.01
  > So it is.
- [ ] 0.435
  > That is too close.
- [ ] anything else
  > It is not.
```
"""


def write_project(folder, **pages):
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "tables.py").write_text(TABLES)
    (folder / "conf.py").write_text(CONF)
    (folder / "numbers.json").write_text(json.dumps({"toy.whole.q": 0.43}))
    (folder / "timings.json").write_text("{}")
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def sphinx(folder):
    """Build a project, errors being errors; return whether it was, and the log."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees")]
    command += ["-b", "html", str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("checks") / "project", index=INDEX, second=SECOND)
    built, log = sphinx(folder)
    assert built, log
    return folder / "html"


@pytest.mark.slow
def test_a_malformed_check_is_an_error_that_names_page_and_line(tmp_path):
    built, log = sphinx(write_project(tmp_path / "project", index=BAD))
    assert not built
    told = re.findall(r"index\.md:(\d+): ERROR: check '([^']+)': (.*)", log)
    lines = BAD.splitlines()
    for line, title, _ in told:
        at = lines[int(line) - 1]
        wanted = {"A tolerance": "- [x] 1 ± little", "Two blocks": "- [x] No.", "Near": "- [ ] 0.435"}
        assert at == wanted.get(title, "Is it so?"), (title, at)
    assert [(title, message.split(":")[0]) for _, title, message in told] == [
        ("No right one", "none of the list is marked as right, - [x]"),
        ("A tolerance", "the tolerance must be a number above 0, got 'little'"),
        ("Two blocks", "an option must be a single paragraph"),
        ("Twice", "another check of the page has this title"),
        ("Near", "two values lie within the tolerance of each other"),
    ]


@pytest.mark.slow
def test_a_check_is_a_field_set_whose_options_are_labelled(site):
    page = BeautifulSoup((site / "index.html").read_text(), "html.parser")
    check = page.select_one("fieldset.modlib-check")
    assert check.legend.get_text() == "Check: Two layers"
    question = page.find(id=check["aria-describedby"])
    assert question.get_text(strip=True).endswith("Which is the more modular?")
    assert question.select_one(".math")
    assert question.select_one(".num").get_text() == "0.43"
    buttons = check.select("input[type=radio]")
    assert len({button["name"] for button in buttons}) == 1
    labels = [check.select_one(f"label[for={button['id']}]") for button in buttons]
    assert [label.get_text() for label in labels][2] == "Neither."
    assert labels[0].em
    assert labels[0].select_one(".math")
    assert labels[1].select_one(".num")
    assert check.select_one(".modlib-check-feedback")["aria-live"] == "polite"
    answers = [answer.get_text(strip=True) for answer in check.select("details li")]
    assert [answer.split(".")[0] for answer in answers] == ["Not quite", "Right", "Not quite"]
    other = BeautifulSoup((site / "second.html").read_text(), "html.parser")
    for field in other.select(".modlib-check :is(input, textarea)"):
        assert other.select_one(f"label[for={field['id']}]")


@pytest.mark.slow
def test_scripts_are_loaded_where_there_are_checks_and_know_those_of_the_book(site):
    listed = (site / "_static" / "modlib" / "checks-of-book.js").read_text()
    assert json.loads(listed.removeprefix("window.modlibChecks = ").rstrip(";\n")) == {
        "index": ["check-two-layers"],
        "second": ["check-a-share", "check-before-you-look", "check-in-your-words"],
    }
    for name, wanted in (("index", True), ("second", True), ("search", False)):
        assert ("checks.js" in (site / f"{name}.html").read_text()) is wanted


# --- in the browser


@pytest.fixture
def visit(browser, site):
    """Give a function that opens a page from the disk; nothing may go wrong on the way."""
    opened, faults = [], []

    def visit(name="index", *, context=None, width=1280, theme="light", before="", **options):
        if context is None:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=theme,
                reduced_motion="reduce",
                **options,
            )
            opened.append(context)
        page = context.new_page()
        if before:
            page.add_init_script(before)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto((site / f"{name}.html").as_uri(), wait_until="load")
        return page

    yield visit
    for context in opened:
        context.close()
    assert not faults


def check_of(page, name):
    return page.locator(f"#check-{name}")


def feedback(check):
    return check.locator(".modlib-check-feedback").inner_text().strip()


@pytest.mark.browser
@pytest.mark.slow
def test_a_choice_is_made_by_keyboard_and_told_why(visit):
    page = visit()
    check = check_of(page, "two-layers")
    button = "#check-two-layers button"
    press_until(page, "#check-two-layers input")
    press_until(page, button, most=1)
    page.keyboard.press("Enter")
    assert feedback(check) == "Choose an answer first."
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert feedback(check) == ""
    page.keyboard.press("Enter")
    assert feedback(check).startswith("Not quite. Size alone changes")
    assert (
        check.locator(".modlib-check-feedback strong").count() == 2
    )  # the word and what the author stressed
    assert (
        check.locator(".modlib-check-progress").inner_text() == "0 of 1 done on this page, 0 of 4 in the book"
    )
    page.keyboard.press("ArrowDown")
    assert feedback(check) == ""
    press_until(page, button)
    page.keyboard.press("Space")
    assert feedback(check) == "Right. It takes a null."
    assert (
        check.locator(".modlib-check-progress").inner_text() == "1 of 1 done on this page, 1 of 4 in the book"
    )
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.browser
@pytest.mark.slow
def test_what_is_done_is_kept_and_can_be_forgotten(visit):
    page = visit()
    check = check_of(page, "two-layers")
    check.locator("label").nth(1).click()
    check.get_by_role("button", name="Check").click()
    other = visit("second", context=page.context)
    progress = other.locator(".modlib-check-progress").first
    assert progress.inner_text() == "0 of 3 done on this page, 1 of 4 in the book"
    share = check_of(other, "a-share")
    share.locator("input").fill("0.43")
    share.locator("input").press("Enter")
    assert progress.inner_text() == "1 of 3 done on this page, 2 of 4 in the book"
    again = visit("second", context=page.context)
    assert check_of(again, "a-share").get_attribute("data-done") == ""
    assert check_of(again, "before-you-look").get_attribute("data-done") is None
    again.get_by_role("button", name="Start over").click()
    assert again.locator(".modlib-check-progress").first.inner_text() == (
        "0 of 3 done on this page, 0 of 4 in the book"
    )
    assert again.get_by_role("button", name="Start over").count() == 0
    assert again.locator("[data-done]").count() == 0
    assert again.evaluate("localStorage.getItem('modlib-checks')") == "{}"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(
    "kept", ["not json", "[]", "null", '{"index": "x", "gone": ["a"]}', '{"index": [1]}']
)
def test_whatever_the_browser_has_kept_a_page_opens_as_if_new(visit, kept):
    page = visit(before=f"localStorage.setItem('modlib-checks', {json.dumps(kept)})")
    assert (
        page.locator(".modlib-check-progress").inner_text() == "0 of 1 done on this page, 0 of 4 in the book"
    )


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_that_keeps_nothing_is_no_obstacle(visit):
    refuse = """
        for (const name of ["getItem", "setItem"]) {
            const before = Storage.prototype[name];
            Storage.prototype[name] = function (key, ...rest) {
                if (key === "modlib-checks") throw new DOMException("refused", "SecurityError");
                return before.call(this, key, ...rest);
            };
        }"""
    page = visit(before=refuse)
    check = check_of(page, "two-layers")
    check.locator("label").nth(1).click()
    check.get_by_role("button", name="Check").click()
    assert feedback(check) == "Right. It takes a null."
    assert page.locator(".modlib-check-progress").inner_text().startswith("1 of 1 done")


@pytest.mark.browser
@pytest.mark.slow
def test_a_number_is_read_as_people_write_it_and_known_mistakes_are_named(visit):
    page = visit("second")
    check = check_of(page, "a-share")
    said = {
        "0.43": "Right. Both ends are counted.", "0,436": "Right. Both ends are counted.",
        "6/14": "Right. Both ends are counted.", ".43": "Right. Both ends are counted.",
        "3/14": "Not quite. Each edge has two ends.", "0.21": "Not quite. Each edge has two ends.",
        "0.45": "Not quite. Count all ends first.", "−0.43": "Not quite. Count all ends first.",
        **dict.fromkeys(("", "much", "1/0"), "Write a number first, such as 0.25 or 1/4."),
    }  # fmt: skip
    for typed, expected in said.items():
        check.locator("input").fill(typed)
        check.locator("input").press("Enter")
        assert feedback(check) == expected, typed


@pytest.mark.browser
@pytest.mark.slow
def test_a_prediction_is_revealed_after_it_was_made_and_stays(visit):
    page = visit("second")
    check = check_of(page, "before-you-look")
    assert "It rises." not in page.locator("article").inner_text()
    reveal = check.get_by_role("button", name="Reveal")
    reveal.press("Enter")
    assert feedback(check) == "Choose what you expect first."
    check.locator("input").nth(1).focus()
    page.keyboard.press("Space")
    reveal.press("Enter")
    assert feedback(check) == "You said B.\n\nIt rises."
    assert check.locator("input:enabled").count() == 0
    words = check_of(page, "in-your-words")
    words.get_by_role("button", name="Reveal").click()
    assert feedback(words) == "Write what you expect first."
    words.locator("textarea").fill("Why not?")
    words.get_by_role("button", name="Reveal").click()
    assert feedback(words) == "Compare with what you wrote.\n\nSince it must."
    page.get_by_role("button", name="Start over").click()
    assert feedback(check) == feedback(words) == ""
    assert check.locator("input:enabled").count() == 2


@pytest.mark.browser
@pytest.mark.slow
def test_without_javascript_the_answers_are_folded_below_the_question(visit):
    page = visit(java_script_enabled=False)
    check = check_of(page, "two-layers")
    assert check.get_by_text("Which is the more modular?").is_visible()
    assert not check.locator("button").is_visible()
    answer = check.get_by_text("It takes a null.")
    assert not answer.is_visible()
    check.locator("summary").click()
    assert answer.is_visible()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False])
def test_on_paper_there_are_questions_and_no_answers(visit, script):
    page = visit(java_script_enabled=script)
    check = check_of(page, "two-layers")
    page.emulate_media(media="print")
    before = check.screenshot()
    page.emulate_media(media="screen")
    check.locator("label").first.click()
    if script:
        check.get_by_role("button", name="Check").click()
    else:
        check.locator("summary").click()
    page.emulate_media(media="print")
    for text in ("Which is the more modular?", "Neither."):
        assert check.get_by_text(text).is_visible()
    assert not check.locator("button").first.is_visible()
    assert not check.locator(".modlib-check-feedback").is_visible()
    assert not check.locator("details").is_visible()
    assert check.screenshot() == before  # what was chosen is not to be seen either


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_the_whole_of_it(visit, theme):
    for name in ("index", "second"):
        page = visit(name, width=390, theme=theme)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for box in page.locator(".modlib-check :is(label, button, input, textarea)").all():
            if box.is_visible():
                assert box.bounding_box()["x"] + box.bounding_box()["width"] <= 390
