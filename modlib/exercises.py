"""Answers to exercises of the book, checked without being given away.

`check` says whether an answer is right and, where it is wrong, which mistake most likely led there. Right
answers are not written down: they are computed by the method itself when somebody asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import nan, sqrt
from types import EllipsisType
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from modlib import _checks
from modlib.clustering import modularity, modularity_matrix
from modlib.comparison import agreement
from modlib.planted import crossed_network, ring_of_cliques
from modlib.stats.intervals import holm

Vector = Float[np.ndarray, " number"]
Numbers = float | int | Sequence[float | int] | Vector


@dataclass(frozen=True)
class Reply:
    """What `check` says of an answer; as a truth value, whether the answer is right."""

    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Exercise:
    """How the answer to an exercise is judged.

    A mistake is known by the numbers that it leads to, where nan stands for any number: it may concern a part
    of the answer alone.
    """

    asks: str  #: what an answer consists of
    answer: Callable[[], Vector]
    mistakes: tuple[tuple[Numbers, str], ...]
    hint: str  #: where no known mistake was made
    beyond: str  #: what to think about when it is solved
    tolerance: float = 0.005


def check(name: str, answer: ArrayLike | float | EllipsisType) -> Reply:
    """Say whether the answer to an exercise of the book is right and, if not, where it likely goes astray.

    Parameters
    ----------
    name
        The label of the exercise without ``exercise-``, such as ``q-by-hand``. An unknown name is a
        ValueError that says which ones are like it.
    answer
        The number or numbers that the exercise asks for; a ValueError says how many there should be, also
        where the three dots of a blank were left. Rounding to the third digit does no harm.

    Examples
    --------
    >>> check("q-by-hand", 3 / 7)
    Not yet. That is the share of the weight inside the modules. Take off what blind dealing would put there.
    >>> bool(check("q-by-hand", 3 / 7))
    False
    """
    exercise = _named(name)
    if answer is ...:
        raise ValueError(f"answer is still blank: put {exercise.asks}, in place of the three dots")
    given = np.atleast_1d(_checks.floats(answer, "answer"))
    wanted = exercise.answer()
    if given.shape != wanted.shape:
        raise ValueError(f"answer must be {exercise.asks}, got an array of shape {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"answer must be {exercise.asks}, all finite, got {_checks.shown(answer)}")
    if _alike(given, wanted, exercise.tolerance):
        return Reply(True, f"Right. {exercise.beyond}")
    for mistaken, said in exercise.mistakes:
        if _alike(given, np.atleast_1d(np.asarray(mistaken, dtype=float)), exercise.tolerance):
            return Reply(False, f"Not yet. {said}")
    return Reply(False, f"Not yet. {exercise.hint}")


def _named(name: Any) -> _Exercise:
    if not isinstance(name, str):
        raise TypeError(f"name must be the label of an exercise, got {_checks.shown(name)}")
    if name not in _EXERCISES:
        near = get_close_matches(name.removeprefix("exercise-").removeprefix("ex-"), _EXERCISES, cutoff=0.5)
        like = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(_EXERCISES))}"
        raise ValueError(f"name must be an exercise that can be checked, got {_checks.shown(name)}; {like}")
    return _EXERCISES[name]


def _alike(given: Vector, pattern: Vector, tolerance: float) -> bool:
    """Whether numbers are those of a pattern, in which nan stands for any."""
    return bool((np.isnan(pattern) | (np.abs(given - pattern) <= tolerance)).all())


# --- the answers, computed


def _triangles(bridge: float = 1.0) -> np.ndarray:
    """Two triangles, with an edge of a given weight between the third unit and the fourth."""
    A = np.zeros((6, 6))
    for i, j in ((0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)):
        A[i, j] = A[j, i] = 1
    A[2, 3] = A[3, 2] = bridge
    return A


def _apart(modules: int, size: int = 3) -> float:
    """Q of as many equal modules, with no edge between them."""
    labels = np.repeat(np.arange(modules), size)
    A = (labels[:, None] == labels) - np.eye(len(labels))
    return modularity(A, labels)


def _pairs() -> Vector:
    return np.array([modularity(_triangles(), [0, 0, 1, 1, 2, 2])])


def _bridge() -> Vector:
    """Find the weight at which Q of the triangles, which falls with it, is nothing."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        q = modularity(_triangles(middle), [0, 0, 0, 1, 1, 1])
        low, high = (middle, high) if q > 0 else (low, middle)
    return np.array([low])


def _resolution() -> Vector:
    """Count the edge ends to a clique: with more cliques than that, merging neighbours pays."""
    cliques = 10
    return np.array([ring_of_cliques(cliques, 4)[0].sum() / cliques])


def _crossed_q() -> Vector:
    """Q of an upstream graph without noise, under groups that cross its own."""
    net = crossed_network()
    A = (net.upstream[:, None] == net.upstream) - np.eye(len(net.upstream))
    return np.array([modularity(A, net.downstream)])


def _groups() -> Vector:
    net = crossed_network(read_groups=2, drive_groups=3)
    return np.array([len(set(net.upstream.tolist())), len(set(net.downstream.tolist()))], dtype=float)


def _crossed_ecs() -> Vector:
    units = np.arange(25)
    return np.array([agreement(units // 5, units % 5)["ecs"]])


def _halves() -> Vector:
    """ECS of two halves with themselves, and with halves that cross them."""
    units = np.arange(64)
    return np.array([agreement(units // 32, other)["ecs"] for other in (units // 32, units % 2)])


def _dead_units() -> Vector:
    """Mean score of as many dead as other units, where the others score as the exercise says."""
    others, dead = 0.3, (32 / 32, 8 / 32)  # units of both modules over the size of the larger
    return np.array([(others + score) / 2 for score in dead])


def _square() -> Vector:
    """Find the eigenvalue of B that is largest in size, and Q of the split by its vector."""
    A = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
    values, vectors = np.linalg.eigh(modularity_matrix(A) * A.sum())
    largest = np.abs(values).argmax()
    return np.array([values[largest], modularity(A, (vectors[:, largest] > 0).astype(int))])


def _rejections() -> Vector:
    """How often k / n is at most a level, if the network has every rank among its draws equally often."""
    draws = 19
    k = np.arange(draws + 1)
    return np.array([(k / draws <= level).mean() for level in (0.05, 0.01)])


def _more_images() -> Vector:
    """How many times as many images, if the error falls with the root of their number."""
    return np.array([1 / 0.5**2])


_P = np.array([0.011, 0.02, 0.03, 0.2])  # of the four tests of the exercise
_FOURTH = np.arange(4, 0, -1)

_EXERCISES = {
    "q-by-hand": _Exercise(
        asks="one number, Q of the three pairs",
        answer=_pairs,
        mistakes=(
            (
                3 / 7,
                "That is the share of the weight inside the modules. Take off what blind dealing would put "
                "there.",
            ),
            (
                3 / 14 - 17 / 49,
                "Each edge has two ends, and the sum over A counts both: so does the share of an edge inside "
                "a module.",
            ),
            (
                3 / 7 - 1 / 3,
                "The pairs do not own equal shares of the edge ends: count those of the pair in the middle.",
            ),
            (3 / 7 - 1, "Square the share of each module before you take it off."),
        ),
        hint="Write down, for each pair, the share of the edge ends inside it and the share that it owns.",
        beyond="Compare it with Q of the two triangles: pairs leave too many edges between modules.",
        tolerance=0.002,
    ),
    "bridge": _Exercise(
        asks="one number, the weight of the bridge",
        answer=_bridge,
        mistakes=(
            (12, "The bridge, too, has two ends, and both count in the total weight."),
            (3, "The edges of the triangles have two ends each, and all of them count."),
            (0, "Without a bridge the two triangles are as clear as they can be."),
        ),
        hint="Half of all edge ends belongs to each triangle, whatever the weight. Which share lies inside?",
        beyond="Now find the partition that is better than all in one at this weight.",
        tolerance=0.01,
    ),
    "ceiling": _Exercise(
        asks="two numbers, Q of two perfect modules and Q of eight",
        answer=lambda: np.array([_apart(2), _apart(8)]),
        mistakes=(
            ([1, 1], "All weight is inside, but some of it would be there by blind dealing as well."),
            (
                [nan, 1 / 8],
                "That is what blind dealing puts inside all modules together. Take it off what is there.",
            ),
            ([nan, 1 - 1 / 64], "You took off what is expected of one module. Sum over all of them."),
            ([3 / 4, nan], "You took off what is expected of one module. Sum over all of them."),
        ),
        hint="How much of the weight is inside, and which share of the edge ends does one module own?",
        beyond="So the number of modules belongs beside every Q.",
    ),
    "resolution": _Exercise(
        asks="one number, the limit for cliques of four units",
        answer=_resolution,
        mistakes=(
            (7, "You have counted edges. An edge has two ends, and it is their number that counts."),
            (12, "Those are the ends inside the clique. One edge of the ring comes with each clique."),
            (13, "One edge of the ring comes with each clique, and it has two ends."),
            (22, "That is the limit for the larger cliques of the text."),
        ),
        hint="Compare Q of single cliques with Q of pairs: what do pairs gain, and what do they cost?",
        beyond="Note that the limit does not ask how clear the cliques are, only how large the whole is.",
        tolerance=0.05,
    ),
    "minus-sixth": _Exercise(
        asks="one number, the Q to which it tends",
        answer=_crossed_q,
        mistakes=(
            (0, "Unrelated groups would score nothing if a unit could be its own partner. It cannot."),
            (1 / 6, "Look at the sign: is more inside than expected, or less?"),
            (1 / 3, "That is the share of the weight inside the groups. Take off what is expected there."),
            (-1 / 2, "That is what is expected, with nothing inside. But a unit has a partner in its group."),
        ),
        hint="Of the partners of one unit, which share is in its own downstream group?",
        beyond="Would larger groups bring it nearer to nothing, or take it further away?",
    ),
    "three": _Exercise(
        asks="two numbers, that of the modules upstream and that of the modules downstream",
        answer=_groups,
        mistakes=(
            ([3, 2], "You have them the other way round: upstream is what units read."),
            ([6, nan], "A measure looks from one side only, and does not see what units of a group drive."),
            ([nan, 6], "A measure looks from one side only, and does not see what units of a group read."),
        ),
        hint="Upstream, count the groups of what is read; downstream, those of what is driven.",
        beyond="Each number sets a ceiling for Q, too.",
    ),
    "rank": _Exercise(
        asks="one number, the highest Q with ten classes",
        answer=lambda: np.array([_apart(10)]),
        mistakes=(
            (1, "Nothing lies between the modules, but some of what is inside is expected there."),
            (0.1, "That is what blind dealing puts inside all modules together. Take it off what is there."),
            (0.99, "You took off what is expected of one module. Sum over all of them."),
        ),
        hint="With one class for each unit, which pairs of units are joined? Then it is an earlier exercise.",
        beyond="So a graph can be limited to few modules by the classes alone, before anything is learned.",
    ),
    "crossed": _Exercise(
        asks="one number, the ECS of five modules of five units, crossed",
        answer=_crossed_ecs,
        mistakes=(
            (1 / 25, "A unit is compared with the larger of its two modules, not with all units."),
            (1 / 9, "Divide by the larger of the two modules, not by all units that are in either."),
            (0, "Nothing is what a metric corrected for chance would give on average. ECS is not corrected."),
            (1 / 3, "That is the score of the smaller example in the text."),
        ),
        hint="How many units are in both modules of a unit, and how many are in the larger of them?",
        beyond="The fewer the modules, the more alike are partitions that have nothing in common.",
    ),
    "table": _Exercise(
        asks="two numbers, the largest ECS and the smallest",
        answer=_halves,
        mistakes=(
            ([nan, 0], "No table with these sums keeps the companions of a unit wholly apart."),
            ([nan, 0.25], "A unit scores its cell over the size of its module, not over all units."),
            ([nan, 1], "Only tables with all units on one diagonal reach the largest value."),
        ),
        hint="One entry of the table determines the others. For which is the mean score of a unit least?",
        beyond="So this ECS is worth nothing before it is held against what chance gives.",
    ),
    "holm-by-hand": _Exercise(
        asks="four numbers, the corrected p-values in the order of the exercise",
        answer=lambda: holm(_P),
        mistakes=(
            (_P, "These are the p-values as they were given. Which factor does each of them get?"),
            (
                4 * _P,
                "All are multiplied alike, as Bonferroni does. Holm is kinder to the larger.",
            ),
            (
                _P * np.arange(1, 5),
                "The other way round: the largest factor belongs to the smallest p-value.",
            ),
        ),
        hint="Sort them. The smallest is multiplied by the number of tests, the next by one less, and so on.",
        beyond="How many of them would have survived without any correction?",
        tolerance=0.0005,
    ),
    "dead-module": _Exercise(
        asks="two numbers, the ECS of the two upstream partitions and that across",
        answer=_dead_units,
        mistakes=(
            ([0.3, nan], "That leaves the dead units out. Here they count, and agree on their module."),
            ([1, nan], "Only the dead units agree so well. Take the mean over all."),
            ([nan, 0.4], "Divide by the larger of the two modules of a dead unit, which is the dead one."),
            ([nan, 0.65], "Downstream the dead units are not together: they are spread over the modules."),
            ([nan, 0.15], "A dead unit finds some of its companions again, so it scores something."),
        ),
        hint="ECS is a mean over units. What does a dead unit score in either case, and what does another?",
        beyond="The rule raises the one and lowers the other, though no unit does anything differently.",
    ),
    "wrong-eigenvector": _Exercise(
        asks="two numbers, the eigenvalue that is largest in size and Q of its split",
        answer=_square,
        mistakes=(
            ([2, nan], "That is an eigenvalue of A. What does B take away from it?"),
            ([0, nan], "That is the most positive one. Which is largest when its sign is ignored?"),
            ([-0.25, nan], "That is the eigenvalue of B over the total weight. Here B is not divided by it."),
            (
                [nan, 0],
                "That is Q of two neighbouring pairs, or of the whole. Which corners go together?",
            ),
            ([nan, 0.5], "Look at the sign: is any edge inside the groups?"),
            ([nan, -0.25], "That is the part of one group. Sum over both."),
        ),
        hint="The vector changes its sign along every edge. What then lies inside the groups?",
        beyond="What kind of structure would a large negative eigenvalue be evidence of?",
    ),
    "plus-one": _Exercise(
        asks="two numbers, how often the friend rejects at the one level and at the other",
        answer=_rejections,
        mistakes=(
            (
                [nan, 0.01],
                "That is the level. How often is the friend's p at most that?",
            ),
            (
                [nan, 0],
                "If no draw reaches the network, the friend's p is nothing, which is below any level.",
            ),
            ([0.1, nan], "Where one draw reaches the network, the friend's p is already above the level."),
            ([1 / 19, nan], "The network is one of the values, too: count it among them."),
        ),
        hint="All ranks of the network among its draws are equally likely. At which is it rejected?",
        beyond="So at a stricter level the friend raises far more false alarms than promised.",
        tolerance=0.001,
    ),
    "root-n": _Exercise(
        asks="one number, how many times as many images",
        answer=_more_images,
        mistakes=(
            (2, "The error falls with the root of the number of images, not with the number itself."),
            (sqrt(2), "That is how the error falls with twice as many. Turn the question round."),
            (0.25, "Fewer images do not make an error smaller. Turn your number over."),
        ),
        hint="By which power of the number of images does the error of a mean fall?",
        beyond="Each further digit of a similarity takes a hundredfold of images.",
    ),
}
