"""Values that are wrong, by what is wanted: Hypothesis' strategies for `calls` and `test_arguments`."""

import datetime
from fractions import Fraction

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modlib.networks import MLPStack
from modlib.study import catalogue

# ---------------------------------------------------------------- single values

HUGE = 10**400
texts = st.sampled_from(["", "a", "0", "base\n", "\0", "nan", "é" * 2000])
things = st.one_of(
    texts,
    st.sampled_from([None, b"1", [], {}, {1}, object(), int, datetime.date(2022, 1, 1), Ellipsis]),
)
NOT_WHOLE = st.one_of(
    things,
    st.booleans(),
    st.floats(),
    st.complex_numbers(),
    st.sampled_from([Fraction(3, 2), np.bool_(True), np.float64(3), np.array([1, 2]), torch.tensor(True)]),
)
NOT_REAL = st.one_of(
    things,
    st.booleans(),
    st.complex_numbers(),
    st.sampled_from([np.nan, HUGE, -HUGE, np.array([1.0]), torch.tensor(1.0), np.datetime64("2022")]),
)
INFINITE = st.sampled_from([np.inf, -np.inf])
NOT_SEED = NOT_WHOLE | st.integers(max_value=-1) | st.integers(min_value=2**63)
NOT_FLAG = things | st.integers() | st.floats()
NOT_PATH = st.sampled_from([3, 2.5, [], {}, object(), 1j])


def below(least):
    return NOT_WHOLE | st.integers(max_value=least - 1) | st.sampled_from([-HUGE])


def not_in(*words):
    return NOT_WHOLE | texts.filter(lambda text: text not in words)


# ---------------------------------------------------------------- arrays, graphs and labels

ragged = st.sampled_from([[[1.0, 2.0], [3.0]], [[[1]], [1]]])
no_numbers = st.one_of(
    texts,
    ragged,
    st.sampled_from(
        [
            None,
            object(),
            {},
            {"a": 1},
            {1.0},
            [None],
            [["a", "b"], ["c", "d"]],
            b"bytes",
            np.array([[object()]]),
            np.array([["a"]]),
            np.array([1j]),
            np.zeros(3, complex),
            [HUGE],
            np.array(["2022-01-01"], "datetime64[D]"),
            np.zeros(2, [("a", float)]),
            np.ma.masked_array([[0.0, 1.0], [1.0, 0.0]], mask=[[False, True], [True, False]]),
            pd.DataFrame({"a": ["x", "y"]}),
            torch.zeros(2, 2, dtype=torch.complex64),
            torch.empty(2, 2, device="meta"),
        ]
    ),
)
no_matrix = hnp.arrays(
    float, st.sampled_from([(), (3,), (2, 3), (0, 3), (1, 2, 2), (2, 2, 1)]), elements=st.floats(0, 1)
)


def spoilt(matrix, *values):
    """Put one of the values anywhere into a copy of a symmetric matrix, on both sides of the diagonal."""
    size = len(matrix)

    def put(place):
        (i, j), value = place
        changed = np.array(matrix, dtype=float)
        changed[i, j] = changed[j, i] = value
        return changed

    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(
        lambda pair: pair[0] != pair[1]
    )
    return st.tuples(pairs, st.sampled_from(values)).map(put)


def lopsided(matrix):
    """Make a symmetric matrix asymmetric, by more than rounding."""
    size = len(matrix)

    def put(place):
        (i, j), factor = place
        changed = np.array(matrix, dtype=float)
        changed[i, j] = factor * np.abs(matrix).max() + 0.1
        return changed

    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(
        lambda pair: pair[0] != pair[1]
    )
    return st.tuples(pairs, st.floats(1.1, 1e3)).map(put)


def graph(size=6, seed=0):
    A = np.random.default_rng(seed).random((size, size))
    A = np.triu(A, 1)
    return A + A.T


A = graph()
S = A @ A + np.eye(6)
R = S / np.sqrt(np.outer(np.diag(S), np.diag(S)))
LABELS = np.array([0, 0, 1, 1, 2, -1])
NOT_SQUARE = no_numbers | no_matrix
NOT_STACKED = no_numbers | hnp.arrays(float, st.sampled_from([(), (3,), (2, 3), (0, 3), (2, 2, 1)]))
NOT_SYMMETRIC = NOT_SQUARE | spoilt(A, np.nan, np.inf, -np.inf) | lopsided(A)
NOT_WEIGHTS = (
    NOT_SYMMETRIC
    | spoilt(A, -1.0, -1e-300, -1e300)
    | st.just(A + np.eye(6))
    | st.just(A + 1e-300 * np.eye(6))
)
NOT_LABELS = st.one_of(
    no_numbers,
    hnp.arrays(np.int64, st.sampled_from([(), (5,), (7,), (0,), (6, 1), (1, 6)]), elements=st.integers(0, 2)),
    hnp.arrays(float, 6, elements=st.floats(0, 5)),
    hnp.arrays(bool, 6),
    hnp.arrays(np.int64, 6, elements=st.integers(-(2**63), -2)),
)
NOT_LABELS_2D = NOT_LABELS | hnp.arrays(np.int64, (3, 6), elements=st.integers(-(2**62), -2))

# ---------------------------------------------------------------- networks and samples

WIDTHS = [5, 4, 3, 2]
GENERATOR = torch.Generator().manual_seed(0)
STACK = MLPStack.initialise(WIDTHS, seeds=[0, 1])
X = torch.rand(12, 5, generator=GENERATOR)
Y = torch.randint(2, (12,), generator=GENERATOR)
NETWORK = STACK.module(0)

no_tensor = no_numbers.filter(lambda value: not isinstance(value, torch.Tensor)) | st.sampled_from(
    [np.zeros((12, 5)), [[0.0] * 5] * 12, torch.zeros(12, 5, dtype=torch.complex64), torch.eye(5).to_sparse()]
)
NOT_X = no_tensor | st.sampled_from(
    [
        torch.zeros(12, 4),
        torch.zeros(0, 5),
        torch.zeros(5),
        torch.tensor(1.0),
        torch.zeros(2, 12, 5),
        torch.full((12, 5), torch.nan),
        torch.full((12, 5), -torch.inf),
        torch.empty(12, 5, device="meta"),
    ]
)
NOT_Y = no_tensor | st.sampled_from(
    [
        torch.zeros(11, dtype=torch.int64),
        torch.zeros(12, 1, dtype=torch.int64),
        torch.tensor(0),
        torch.zeros(12),
        torch.full((12,), torch.nan),
        torch.zeros(12, dtype=torch.bool),
        torch.empty(12, dtype=torch.int64, device="meta"),
    ]
)
NOT_CLASSES = NOT_Y | st.sampled_from([torch.full((12,), value) for value in (2, -1, 2**62, -(2**63))])
SPOILT = MLPStack([w.clone() for w in STACK.weights], STACK.biases)
SPOILT.weights[1][0, 0, 0] = torch.nan
NOT_STACK = no_numbers | st.sampled_from([NETWORK, torch.zeros(2, 5, 4), [STACK], X])
NOT_FINITE_STACK = NOT_STACK | st.just(SPOILT)
NOT_NAMES = st.sampled_from([None, 3, "ab", b"ab", ["a"], [], ["a", "b", "c"], object()])
NOT_GENERATOR = st.sampled_from([None, 0, "a", np.random.default_rng(0), np.random.RandomState(0), object()])
NOT_RNG = st.sampled_from([None, 0, "a", torch.Generator(), np.random.RandomState(0), object()])
NOT_CALLABLE = st.sampled_from([3, "a", [1], X, object()])


def gives(value):
    return st.just(lambda *_: value)


NOT_ENCODER = NOT_CALLABLE | st.sampled_from(
    [
        None,
        lambda x: x[..., None],
        lambda x: x[0],
        lambda _: 3,
        lambda x: x.sum(),
        lambda x: x[:1],
        lambda x: [x],
    ]
)
NOT_DECODER = NOT_CALLABLE | st.sampled_from(
    [None, lambda h: h.sum(), lambda h: h[0], lambda _: "logits", lambda h: h[None]]
)

# ---------------------------------------------------------------- numbers a seed

Q = np.array([[0.1, 0.2, 0.4], [0.2, 0.2, 0.5], [0.1, 0.3, 0.5], [0.15, 0.25, 0.4]])
NOT_VALUES = st.one_of(
    no_numbers,
    hnp.arrays(float, st.sampled_from([(), (3, 1), (1, 3)]), elements=st.floats(0, 1)),
    hnp.arrays(float, 3, elements=INFINITE),
)
NOT_LEVELS = st.one_of(
    no_numbers,
    hnp.arrays(float, st.sampled_from([(), (3,), (0, 3), (1, 4, 3), (4, 0)]), elements=st.floats(0, 1)),
    hnp.arrays(float, (4, 3), elements=INFINITE),
)
NOT_NULL = NOT_REAL | INFINITE
ITEMS = pd.DataFrame(
    {
        "claim": ["a", "a"],
        "experiment": "base",
        "item": ["x", "y"],
        "value": [0.1, 0.2],
        "low": [0.05, 0.1],
        "high": [0.2, 0.3],
        "n": [9, 9],
        "p": [0.01, 0.02],
        "direction": "above",
        "threshold": 0.0,
    }
)
NOT_ITEMS = no_numbers.filter(lambda value: not isinstance(value, pd.DataFrame)) | st.sampled_from(
    [
        pd.DataFrame(),
        ITEMS.drop(columns="claim"),
        ITEMS.rename(columns={"experiment": "plan"}),
        ITEMS["claim"],
    ]
)
PLAN = catalogue.get("base", "quick")
NOT_PLAN = things | st.sampled_from(["base", 3, PLAN.settings[0]])
NOT_FILE_NAME = st.sampled_from(
    [None, 3, b"seed", "", "..", ".", "../seed", "/seed", "a/b", "a\\b", "a\0", "a\n", " ", "-x", ["a"]]
)


def mean_of(sample):
    return sample.mean(axis=1)
