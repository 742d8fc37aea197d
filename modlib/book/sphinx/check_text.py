"""How a check is written: a question, then its options or values as a list, each with its feedback.

Of three kinds, all plain Markdown. A *choice* marks the right one of its options:

    Which of the two layers is the more modular?

    - [ ] The one with the higher $Q$.
      > The higher $Q$ may come from the smaller size.
    - [x] That cannot be said from $Q$ alone.
      > Each must be held against its null first.

A *number* has values in place of options: the right one with its tolerance, wrong ones that a known mistake
leads to, and `anything else` for the rest. A *prediction* has options without a mark or feedback, or none at
all for an answer in words, and ends with what is revealed, behind `>` at the start of the line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, takewhile

KINDS = ("choice", "number", "predict")
OTHERWISE = "anything else"
RIGHT, WRONG = "Right.", "Not quite."  #: What is said before the feedback of an option or a value.

_ITEM = re.compile(r"- \[(?P<mark>[ xX])\] +(?P<text>\S.*)")
_NEARLY_ITEM = re.compile(r"\s*[-*+]\s*\[.{0,2}\](\s|$)")
_RIGHT_VALUE = re.compile(r"(?P<value>.+?) +± +(?P<tolerance>.+)")
_LOOKED_UP = re.compile(r"\{num\}`[^`]+`")


class CheckTextError(ValueError):
    """A check is not written as it must be; `line` counts from the first line of its content, from 0."""

    def __init__(self, message: str, line: int):
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Part:
    """Some Markdown of a check, and the line at which it begins."""

    text: str
    line: int


@dataclass(frozen=True)
class Item:
    """An option of a choice or a prediction, or a value of a number."""

    label: Part
    right: bool
    feedback: Part
    value: float | None = None  # of a number that is typed and not looked up


@dataclass(frozen=True)
class Check:
    """A check as it was read."""

    kind: str
    question: Part
    items: tuple[Item, ...]
    answer: Part  # what a prediction reveals; else empty
    tolerance: float = 0.0  # of a number


def read(kind: str, lines: Sequence[str], *, several: bool = False) -> Check:
    """Read a check from the lines of its content; a CheckTextError says what is wrong with it, and where.

    Exactly one option is right, unless `several`: then any number may be, and each of them will do.
    """
    if kind not in KINDS:
        raise CheckTextError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}", 0)
    for at, line in enumerate(lines):  # which would else be taken for a part of the question, or of an option
        if _NEARLY_ITEM.match(line) and not _ITEM.match(line):
            raise CheckTextError(
                f"options are written - [ ] or - [x], from the start of a line: {line!r}", at
            )
    ends = "> " if kind == "predict" else "\0"
    head = list(takewhile(lambda line: not (_ITEM.match(line) or line.startswith(ends)), lines))
    question = _part(head, 0)
    if not question.text:
        raise CheckTextError("there is no question", 0)
    items, at = [], len(head)
    while at < len(lines) and _ITEM.match(lines[at]):
        own = list(takewhile(lambda line: not line.strip() or line.startswith("  "), lines[at + 1 :]))
        items.append(_item(lines[at], own, at))
        at += 1 + len(own)
    answer = list(takewhile(lambda line: line.startswith(">") or not line.strip(), lines[at:]))
    if kind != "predict" and "".join(answer).strip():
        raise CheckTextError("feedback must be indented, to stand below its option", at)
    if at + len(answer) < len(lines):
        wrong = lines[at + len(answer)]
        raise CheckTextError(f"neither an option, - [ ] or - [x], nor indented: {wrong!r}", at + len(answer))
    check = Check(kind, question, tuple(items), _quoted(answer, at))
    if kind == "choice":
        return _choice(check, several)
    return _number(check) if kind == "number" else _prediction(check)


def apart(values: Sequence[tuple[float, int]], tolerance: float) -> None:
    """Refuse values, each with its line, of which two are too close for an answer to be only one of them."""
    for (a, _), (b, line) in combinations(values, 2):
        if abs(a - b) <= 2 * tolerance:
            raise CheckTextError(f"two values lie within the tolerance of each other: {a:g} and {b:g}", line)


def number(text: str) -> float | None:
    """Return a number that is typed as a decimal or a fraction, with either minus sign; None if it is none.

    >>> number("5/14"), number("−0.25"), number("a half")
    (0.35714285714285715, -0.25, None)
    """
    try:
        return float(Fraction(text.strip().replace("−", "-")))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def _part(lines: Sequence[str], line: int) -> Part:
    """Return lines as one text, without the empty ones around it."""
    empty = sum(1 for _ in takewhile(lambda text: not text.strip(), lines))
    return Part("\n".join(lines).strip("\n").rstrip(), line + empty)


def _quoted(lines: Sequence[str], line: int) -> Part:
    """Return quoted lines without their marks."""
    return _part([re.sub(r"^> ?", "", text) for text in lines], line)


def _item(first: str, own: Sequence[str], line: int) -> Item:
    """Read one item of the list: its first line, and what is indented below it."""
    found = _ITEM.fullmatch(first)
    assert found is not None
    below = [text[2:] for text in own]
    label = list(takewhile(lambda text: not text.startswith(">"), below))
    start = line + 1 + len(label)
    for offset, text in enumerate(below[len(label) :]):
        if text.strip() and not text.startswith(">"):
            raise CheckTextError(f"feedback goes on without its mark >: {text!r}", start + offset)
    return Item(
        Part("\n".join([found["text"], *label]).rstrip(), line),
        found["mark"] != " ",
        _quoted(below[len(label) :], start),
    )


def _distinct(check: Check) -> None:
    seen = set()
    for item in check.items:
        label = " ".join(item.label.text.split()).casefold()
        if label in seen:
            raise CheckTextError(f"two labels are alike: {item.label.text!r}", item.label.line)
        seen.add(label)


def _with_feedback(check: Check) -> None:
    for item in check.items:
        if not item.feedback.text:
            raise CheckTextError(f"no feedback for {item.label.text!r}", item.label.line)


def _one_right(check: Check, several: bool = False) -> None:
    right = [item for item in check.items if item.right]
    if not right:
        raise CheckTextError("none of the list is marked as right, - [x]", 0)
    if len(right) > 1 and not several:
        raise CheckTextError(f"{len(right)} are marked as right; say :several: if so", right[1].label.line)


def _choice(check: Check, several: bool) -> Check:
    if len(check.items) < 2:
        raise CheckTextError("a choice has two options or more", 0)
    _one_right(check, several)
    _distinct(check)
    _with_feedback(check)
    return check


def _number(check: Check) -> Check:
    _one_right(check)
    _distinct(check)
    _with_feedback(check)
    if not check.items[-1].label.text == OTHERWISE or check.items[-1].right:
        raise CheckTextError(f"the last of the values must be {OTHERWISE!r}", check.items[-1].label.line)
    items, tolerance = [], 0.0
    for item in check.items[:-1]:
        text = item.label.text
        if item.right:
            found = _RIGHT_VALUE.fullmatch(text)
            if not found:
                raise CheckTextError(
                    f"the right value has no tolerance, as in 0.25 ± 0.01: {text!r}", item.label.line
                )
            text = found["value"]
            size = number(found["tolerance"])
            if size is None or size <= 0:
                raise CheckTextError(
                    f"the tolerance must be a number above 0, got {found['tolerance']!r}", item.label.line
                )
            tolerance = size
        value = number(text)
        if value is None and not _LOOKED_UP.fullmatch(text):
            raise CheckTextError(f"a value must be a number or a {{num}} role, got {text!r}", item.label.line)
        items.append(replace(item, label=replace(item.label, text=text), value=value))
    if len(items) < 2:
        raise CheckTextError("a number names at least one wrong value, and the mistake behind it", 0)
    apart([(item.value, item.label.line) for item in items if item.value is not None], tolerance)
    return replace(check, items=(*items, check.items[-1]), tolerance=tolerance)


def _prediction(check: Check) -> Check:
    if len(check.items) == 1:
        raise CheckTextError("a prediction has two options or more, or none", check.items[0].label.line)
    for item in check.items:
        if item.right or item.feedback.text:
            raise CheckTextError("nothing is right in a prediction, nor has feedback", item.label.line)
    if not check.answer.text:
        raise CheckTextError("there is no answer to reveal, behind > at the start of a line", 0)
    _distinct(check)
    return check
