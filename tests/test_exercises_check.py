"""Answers to exercises, checked: right ones are accepted, mistakes are told apart, nothing is given away."""

import re
import subprocess
import sys
from itertools import product
from math import nan, sqrt
from pathlib import Path

import exercises
import numpy as np
import pytest
import torch

import modlib
from modlib.exercises import check

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("as_a_user")
#: The answers by hand, as in the solutions of the book.
ANSWERS = {
    "q-by-hand": 6 / 14 - (4**2 + 6**2 + 4**2) / 14**2,
    "bridge": 6,
    "ceiling": [1 / 2, 7 / 8],
    "resolution": 4 * 3 + 2,
    "minus-sixth": -1 / 6,
    "three": [2, 3],
    "rank": 0.9,
    "crossed": 1 / 5,
    "table": [1, 0.5],
    "holm-by-hand": [0.044, 0.06, 0.06, 0.2],
    "dead-module": [0.65, 0.275],
    "wrong-eigenvector": [-2, -1 / 2],
    "plus-one": [1 / 20, 1 / 20],
    "root-n": 4,
}
#: Wrong answers and a word or two of what is said of them, which is said of no other.
MISTAKES = {
    "q-by-hand": {
        3 / 7: "blind dealing", 3 / 14 - 68 / 196: "two ends", 3 / 7 - 1 / 3: "in the middle",
        3 / 7 - 1: "Square", 0.3: "Write down",
    },
    "bridge": {12: "bridge, too", 3: "edges of the triangles", 0: "Without a bridge", 7: "Half of all"},
    "ceiling": {
        (1, 1): "All weight", (0.5, 1 / 8): "Take it off", (0.5, 63 / 64): "Sum over", (0.2, 0.3): "How much",
    },
    "resolution": {
        7: "edges", 12: "inside the clique", 13: "has two ends", 22: "larger cliques", 5: "pairs gain",
    },
    "minus-sixth": {
        0: "own partner", 1 / 6: "sign", 1 / 3: "Take off", -1 / 2: "nothing inside", 0.4: "partners of",
    },
    "three": {(3, 2): "other way", (6, 3): "drive", (2, 6): "of a group read", (1, 1): "those of what"},
    "rank": {1: "between", 0.1: "Take it off", 0.99: "Sum over", 0.5: "joined"},
    "crossed": {
        1 / 25: "not with all", 1 / 9: "in either", 0: "corrected", 1 / 3: "smaller example", 0.7: "in both",
    },
    "table": {(1, 0): "apart", (1, 0.25): "over the size", (1, 1): "diagonal", (0.5, 0.4): "One entry"},
    "holm-by-hand": {
        (0.011, 0.02, 0.03, 0.2): "as they were given", (0.044, 0.08, 0.12, 0.8): "Bonferroni",
        (0.011, 0.04, 0.09, 0.8): "other way", (0.1, 0.1, 0.1, 0.1): "Sort",
    },
    "dead-module": {
        (0.3, 0.275): "leaves the dead", (1, 0.275): "Only the dead", (0.65, 0.4): "dead one",
        (0.65, 0.65): "spread", (0.65, 0.15): "scores something", (0.5, 0.5): "mean over units",
    },
    "wrong-eigenvector": {
        (2, -0.5): "of A", (0, -0.5): "most positive", (-0.25, -0.5): "total weight", (1, 1): "changes its",
        (-2, 0): "neighbouring", (-2, 0.5): "sign: is", (-2, -0.25): "one group",
    },
    "plus-one": {
        (0.05, 0.01): "is the level", (0.05, 0): "below any", (0.1, 0.05): "one draw",
        (1 / 19, 0.05): "too: count", (0.5, 0.5): "All ranks",
    },
    "root-n": {2: "not with the number", sqrt(2): "twice as many", 0.25: "Fewer", 10: "which power"},
}  # fmt: skip
NUMBER_WORDS = {
    2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 8: "eight", 14: "fourteen", 0.5: "half", 1: "one",
}  # fmt: skip


def replies(name):
    """Return everything that may be said of an answer to an exercise."""
    return [check(name, ANSWERS[name]), *(check(name, wrong) for wrong in MISTAKES[name])]


def test_there_is_an_answer_and_a_list_of_mistakes_for_each():
    with pytest.raises(ValueError, match="there are ") as error:
        check("no such thing at all", 1)
    listed = str(error.value).partition("there are ")[2].split(", ")
    assert listed == sorted(ANSWERS) == sorted(MISTAKES)
    assert len(listed) >= 10


def test_every_name_is_that_of_an_exercise_which_mentions_the_check():
    hints = {}
    for page in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for first, *others in exercises.by_exercise(exercises.section(page)):
            name = re.sub(r"^(exercise|ex)-", "", first.options["label"])
            hints[name] = "".join(part.body for part in others if part.kind == "hint")
    mentioned = {name for name, hint in hints.items() if "modlib.exercises.check" in hint}
    assert mentioned == ANSWERS.keys()
    for name in mentioned:
        assert f'modlib.exercises.check("{name}", ' in hints[name]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_answer_is_accepted_in_any_form(name):
    answer = ANSWERS[name]
    for form in (answer, np.array(answer), torch.tensor(answer), np.round(answer, 3).tolist()):
        reply = check(name, form)
        assert reply.right
        assert reply
        assert repr(reply) == reply.text
        assert reply.text.startswith("Right. ")


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name, mistakes in MISTAKES.items() for wrong in mistakes]
)
def test_each_mistake_is_told_what_it_is(name, wrong):
    reply = check(name, wrong)
    assert not reply
    assert not reply.right
    assert reply.text.startswith("Not yet. ")
    assert MISTAKES[name][wrong] in reply.text


@pytest.mark.parametrize("name", ANSWERS)
def test_no_two_mistakes_are_told_the_same(name):
    said = [reply.text for reply in replies(name)]
    repeated = {text for text in said if said.count(text) > 1}
    assert not repeated


@pytest.mark.parametrize("name", ANSWERS)
def test_no_reply_gives_the_answer_away(name):
    answers = np.atleast_1d(ANSWERS[name])
    for reply in replies(name):
        assert not re.search(r"\d", reply.text)
        if reply.right:
            continue
        for number, word in NUMBER_WORDS.items():
            if number in np.abs(answers) and (name, word) not in ALLOWED:
                assert not re.search(rf"\b{word}\b", reply.text), reply.text


#: Number words that stand for something else than the answer.
ALLOWED = {("bridge", "six"), ("table", "one"), ("three", "two"), ("wrong-eigenvector", "two")}


@pytest.mark.parametrize("name", ANSWERS)
def test_near_misses_of_the_right_answer_are_not_right(name):
    answer = np.atleast_1d(np.asarray(ANSWERS[name], dtype=float))
    for place, sign in product(range(len(answer)), (-1, 1)):
        moved = answer.copy()
        moved[place] += sign * max(0.02, 0.02 * abs(answer[place]))
        assert not check(name, moved), moved


def test_unknown_names_are_told_which_are_like_them():
    for name, near in (
        ("q-by-hnd", "q-by-hand"), ("exercise-crossed", "crossed"), ("ex-bridge", "bridge"),
        ("Holm-by-hand", "holm-by-hand"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"name must be .* did you mean .*{near}.*\?"):
            check(name, 1)


@pytest.mark.parametrize("answer", [[1, 2, 3], [], [[0.5, 0.875]], 0.5, [nan, 0.875], [0.5, np.inf]])
def test_an_answer_of_another_shape_is_told_what_is_asked_for(answer):
    with pytest.raises(
        ValueError, match="answer must be two numbers, Q of two perfect modules and Q of eight"
    ):
        check("ceiling", answer)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_blank_is_told_what_belongs_there(name):
    """Notebooks for students leave ``answer = ...`` to be filled."""
    with pytest.raises(ValueError, match=r"answer is still blank: put (one|two|four) numbers?, "):
        check(name, ...)


def test_it_is_there_without_being_imported():
    code = (
        "import sys, modlib; assert 'modlib.exercises' not in sys.modules; modlib.exercises.check('rank', 1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "exercises" in modlib.__all__
