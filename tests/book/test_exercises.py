"""Exercises: each has all its parts, what is to be unfolded is folded, and none of it is printed."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import exercises
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md")])
CHAPTERS = [page for page in PAGES if exercises.section(page)]
FOLDED = {"hint": "dropdown hint", "answer": "dropdown answer", "solution": "dropdown"}

SECTION = f"""
# A chapter

Text that everybody reads.

## Exercises

{exercises.SAMPLE}
```{{admonition}} Answer
:class: dropdown answer

Four.
```

````{{solution}} exercise-sum
:class: dropdown

Add them, by hand or so:

```python
2 + 2
```
````
"""


def faults(text):
    """Return what is wrong with the form of a section of exercises, as sentences."""
    found = []
    groups = exercises.by_exercise(text)
    if not 3 <= len(groups) <= 6:
        found.append(f"{len(groups)} exercises")
    outside = exercises.DIRECTIVE.sub("", text)
    if "```" in outside:
        found.append(f"a fence that is no directive, or not closed: {outside.strip()[:80]}")
    for first, *others in groups:
        name = first.options.get("label", first.title)
        parts = [directive.kind for directive in others]
        if first.kind != "exercise" or parts not in (["hint", "solution"], ["hint", "answer", "solution"]):
            found.append(f"{name}: {first.kind} is followed by {', '.join(parts) or 'nothing'}")
            continue
        if not first.title or "label" not in first.options:
            found.append(f"{name}: no title or no label")
        if others[-1].title != first.options.get("label"):
            found.append(f"{name}: the solution after it is of {others[-1].title}")
        head, _, question = first.body.partition("\n\n")
        if not (told := exercises.HEAD.fullmatch(head)):
            found.append(f"{name}: stars, minutes and tag, not {head!r}")
        elif told[3] == "run" and not others[-1].code:
            found.append(f"{name}: to be run, but its solution has no code")
        if not all(part.strip() for part in (question, *(directive.body for directive in others))):
            found.append(f"{name}: an empty part")
        for part in others:
            if part.options.get("class") != FOLDED[part.kind]:
                found.append(f"{name}: {part.kind} is not folded")
        if any("    " in line[:4] for line in exercises.PYTHON.sub("", others[-1].body).splitlines()):
            found.append(f"{name}: code in its solution that is not marked as Python")
    return found


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_every_exercise_has_all_its_parts(page):
    assert faults(exercises.section(page)) == []


def test_exercises_stand_under_their_heading_and_labels_name_one_each():
    labels = Counter()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = exercises.directives(exercises.section(page))
        assert text.count("{exercise}") == sum(part.kind == "exercise" for part in found), page.stem
        assert text.count("{solution}") == sum(part.kind == "solution" for part in found), page.stem
        labels.update(part.options["label"] for part in found if "label" in part.options)
    assert len(CHAPTERS) > 10
    assert [label for label, times in labels.items() if times > 1] == []


THREE = "".join(SECTION.partition("## Exercises")[2].replace("-sum", f"-{name}") for name in "abc")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("★ · 5", "★★★★ · 5", "stars, minutes and tag"),
        ("5 minutes · ", "", "stars, minutes and tag"),
        ("*run*", "*guess*", "stars, minutes and tag"),
        (" Two and two\n", "\n", "no title or no label"),
        (":label: exercise-a\n", "", "no title or no label"),
        ("{solution} exercise-a", "{solution} exercise-b", "the solution after it is of exercise-b"),
        ("```python\n2 + 2\n```", "Four.", "its solution has no code"),
        ("```python\n2 + 2\n```", "```python\n2 + 2\n```\n\n    2 + 3", "not marked as Python"),
        (":class: dropdown hint", ":class: hint", "hint is not folded"),
        (":class: dropdown\n\nAdd", "\nAdd", "solution is not folded"),
        ("{admonition} Hint", "{admonition} Advice", "is followed by advice, answer, solution"),
        ("Count your fingers.", "", "an empty part"),
        ("````\n", "```\n", "2 exercises"),
        ("two?\n```", "two?\n```\n\n```", "a fence that is no directive"),
    ],
)
def test_faults_of_form_are_seen(old, new, fault):
    assert faults(THREE) == []
    assert any(fault in found for found in faults(THREE.replace(old, new, 1)))


def test_too_few_and_too_many_exercises_are_seen():
    one = SECTION.partition("## Exercises")[2]
    assert faults(one) == ["1 exercises"]
    many = "".join(one.replace("-sum", f"-{number}") for number in range(7))
    assert faults(many) == ["7 exercises"]


# --- in a page


CONF = """
project = "small"
extensions = ["myst_nb", "sphinx_exercise", "sphinx_togglebutton", "modlib.book.sphinx"]
html_theme = "sphinx_book_theme"
nb_execution_mode = "off"
modlib_numbers = "numbers.json"
modlib_timings = "timings.json"
"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Return the page that a small chapter becomes."""
    folder = tmp_path_factory.mktemp("exercises")
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text(SECTION)
    for name in ("numbers.json", "timings.json"):
        (folder / name).write_text("{}")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-d", str(folder / "doctrees"), "-b", "html"]
    command += [str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html" / "index.html"


@pytest.mark.slow
def test_an_exercise_is_a_box_with_its_title_and_what_belongs_to_it_can_be_folded(chapter):
    page = BeautifulSoup(chapter.read_text(), "html.parser")
    boxes = page.select("div.admonition")
    titles = [box.select_one(".admonition-title").get_text() for box in boxes]
    titles = [re.sub(r"\s+", " ", title).strip() for title in titles]
    assert titles == ["Exercise 1 (Two and two)", "Hint", "Answer", "Solution to Exercise 1 (Two and two)"]
    assert ["dropdown" in box["class"] for box in boxes] == [False, True, True, True]


@pytest.mark.browser
@pytest.mark.slow
def test_a_printed_chapter_is_a_handout(chapter, browser):
    """Hints, answers and solutions are folded on screen, and not on paper, whether unfolded or not."""
    page = browser.new_page()
    page.goto(chapter.as_uri(), wait_until="load")
    parts = ["Count your fingers.", "Four.", "Add them, by hand or so:"]

    def shown():
        return [page.get_by_text(part, exact=True).is_visible() for part in parts]

    assert shown() == [False] * 3
    for button in page.locator("button.toggle-button").all():
        button.click()
    assert shown() == [True] * 3
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert shown() == [False] * 3
    assert page.locator(".admonition:visible .admonition-title").all_inner_texts() == [
        "Exercise 1 (Two and two)"
    ]
    for text in ("Text that everybody reads.", "How much is two and two?"):
        assert page.get_by_text(text, exact=True).is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert shown() == [True] * 3
