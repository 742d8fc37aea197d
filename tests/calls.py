"""A call of every public function that is well, and for each of its arguments what is not."""

import functools

import numpy as np
import synthetic
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from wrong import (
    GENERATOR,
    HUGE,
    INFINITE,
    ITEMS,
    LABELS,
    NETWORK,
    NOT_CALLABLE,
    NOT_CLASSES,
    NOT_DECODER,
    NOT_ENCODER,
    NOT_FILE_NAME,
    NOT_FINITE_STACK,
    NOT_FLAG,
    NOT_GENERATOR,
    NOT_ITEMS,
    NOT_LABELS,
    NOT_LEVELS,
    NOT_NAMES,
    NOT_NULL,
    NOT_PATH,
    NOT_PLAN,
    NOT_REAL,
    NOT_RNG,
    NOT_SEED,
    NOT_SQUARE,
    NOT_STACK,
    NOT_STACKED,
    NOT_SYMMETRIC,
    NOT_VALUES,
    NOT_WEIGHTS,
    NOT_WHOLE,
    NOT_X,
    NOT_Y,
    PLAN,
    STACK,
    A,
    Q,
    R,
    S,
    X,
    Y,
    below,
    gives,
    graph,
    lopsided,
    mean_of,
    no_matrix,
    no_numbers,
    no_tensor,
    not_in,
    spoilt,
    texts,
    things,
)

from modlib import data
from modlib._contingency import contingency_tables  # noqa: PLC2701
from modlib.algorithms import OPTIMISERS, find_modules_by
from modlib.any_model import POSITIONS, similarities
from modlib.block_model import find_blocks
from modlib.book import parameters
from modlib.bounds import modularity_bound
from modlib.clustering import find_modules, modularity
from modlib.comparison import (
    agreement,
    agreement_pairs,
    rank_correlation,
    rank_correlations,
    transfers,
)
from modlib.criteria import CRITERIA, find_by_criterion
from modlib.exercises import check
from modlib.lesions import silenced
from modlib.linkage import merge_by_average
from modlib.measures import MEASURES, adjacency, dead_units, family, normalise, similarity
from modlib.networks import MLPStack, concatenate
from modlib.nulls import (
    null_test,
    permute_weights,
    random_associations,
    random_graphs,
    rotate_units,
    rotated_graphs,
)  # fmt: skip
from modlib.optimum import modularity_optimum
from modlib.paper.family_pairs import agreement_matrix, family_agreement
from modlib.paper.released_code import untrained_agreement
from modlib.paper.verdicts import by_claim, judge, verdict
from modlib.planted import crossed_network, planted_graph, random_graph, ring_of_cliques
from modlib.reporting.of_model import report
from modlib.reporting.report import Report
from modlib.stats.intervals import bootstrap, difference, holm, mean, trend
from modlib.stats.power import power
from modlib.stats.selection import difference_of_best, held_out_best
from modlib.study import catalogue, dask, runner, shard_files, store
from modlib.study.accuracy_filter import kept_networks
from modlib.study.plan import Choice, Experiment, Setting
from modlib.study.rows import against_nulls, analyse, analyse_by, describe
from modlib.training import Protocol, train
from modlib.two_parts import similarity_of


@functools.wraps(silenced)
def silenced_output(model, **arguments):
    """Call a model within `silenced`, as some of its arguments are judged by what the layer returns."""
    with silenced(model, **arguments):
        return model(X)


#: Name of a case: what is called, arguments that are well, and for each what is not.
CALLS = {
    "modularity": (
        modularity,
        {"A": A, "labels": LABELS, "resolution": 1.0},
        {"A": NOT_WEIGHTS, "labels": NOT_LABELS, "resolution": NOT_REAL | INFINITE | st.floats(max_value=0)},
    ),
    "find_modules": (
        find_modules,
        {"A": A, "restarts": 2, "seed": 0, "resolution": 1.0},
        {
            "A": NOT_WEIGHTS,
            "restarts": below(1),
            "seed": NOT_SEED,
            "resolution": NOT_REAL | INFINITE | st.floats(max_value=0),
        },
    ),
    "find_modules_by": (
        find_modules_by,
        {"A": A, "optimiser": "louvain", "seed": 0},
        {"A": NOT_WEIGHTS, "optimiser": not_in(*OPTIMISERS), "seed": NOT_SEED},
    ),
    "find_by_criterion": (
        find_by_criterion,
        {"S": A - A.mean() * (1 - np.eye(6)), "criterion": "signed", "resolution": 1.0, "seed": 0},
        {
            "S": NOT_SQUARE | spoilt(A, np.nan, np.inf) | lopsided(A) | st.just(S),
            "criterion": not_in(*CRITERIA),
            "resolution": NOT_REAL | INFINITE | st.floats(max_value=0),
            "seed": NOT_SEED,
        },
    ),
    "find_blocks": (
        find_blocks,
        {"A": A, "n_blocks": 2, "restarts": 2, "seed": 0},
        {"A": NOT_WEIGHTS, "n_blocks": below(1), "restarts": below(1), "seed": NOT_SEED},
    ),
    "merge_by_average": (
        merge_by_average,
        {"A": A, "n_modules": 2},
        {"A": NOT_WEIGHTS, "n_modules": below(1)},
    ),
    "modularity_bound": (
        modularity_bound,
        {"A": A, "time_limit": 1.0, "resolution": 1.0},
        {
            "A": NOT_WEIGHTS,
            "time_limit": NOT_REAL | st.floats(max_value=0),
            "resolution": NOT_REAL | INFINITE | st.floats(max_value=0),
        },
    ),
    "modularity_optimum": (
        modularity_optimum,
        {"A": A, "time_limit": 1.0, "seed": 0, "resolution": 1.0},
        {
            "A": NOT_WEIGHTS,
            "time_limit": NOT_REAL | st.floats(max_value=0),
            "seed": NOT_SEED,
            "resolution": NOT_REAL | INFINITE | st.floats(max_value=0),
        },
    ),
    "agreement": (
        agreement,
        {"labels_a": LABELS, "labels_b": LABELS},
        {"labels_a": NOT_LABELS, "labels_b": NOT_LABELS},
    ),
    "agreement_pairs": (
        agreement_pairs,
        {"labels": np.stack([LABELS, LABELS]), "pairs": [[0, 1]]},
        {
            "labels": no_numbers
            | hnp.arrays(np.int64, st.sampled_from([(), (6,), (2, 3, 4)]), elements=st.integers(0, 2))
            | hnp.arrays(float, (2, 6), elements=st.floats(0, 3))
            | hnp.arrays(np.int64, (2, 6), elements=st.integers(-9, -2)),
            "pairs": no_numbers.filter(lambda value: not (isinstance(value, list | dict) and not value))
            | st.sampled_from([[[0, 2]], [[-1, 0]], [0, 1], [[0, 1, 0]], [[0.0, 1.0]], 3, [[2**63, 0]]]),
        },
    ),
    "transfers": (
        transfers,
        {"A": np.stack([A, A]), "labels": np.stack([LABELS, LABELS])},
        {
            "A": no_numbers | no_matrix | NOT_WEIGHTS.map(lambda w: [w, w]),
            "labels": no_numbers
            | hnp.arrays(np.int64, st.sampled_from([(), (6,), (2, 5), (2, 6, 1)]), elements=st.integers(0, 2))
            | hnp.arrays(float, (2, 6), elements=st.floats(0, 3))
            | hnp.arrays(np.int64, (2, 6), elements=st.integers(-9, -2)),
        },
    ),
    "rank_correlation": (
        rank_correlation,
        {"S_a": S, "S_b": A},
        {"S_a": NOT_SYMMETRIC | st.just(graph(5)), "S_b": NOT_SYMMETRIC | st.just(graph(5))},
    ),
    "rank_correlations": (
        rank_correlations,
        {"S": np.stack([S, A])},
        {
            "S": no_numbers
            | no_matrix.filter(lambda m: m.ndim != 3 or m.shape[1] != m.shape[2])
            | st.just(A)
            | spoilt(A, np.nan, np.inf).map(lambda s: [s, s])
            | lopsided(A).map(lambda s: [A, s])
        },
    ),
    "contingency_tables": (
        contingency_tables,
        {"a": LABELS[None], "b": LABELS[None], "n_module": 3},
        {
            "a": st.sampled_from([LABELS, LABELS[None] + 1, LABELS[None] - 1]),
            "b": st.sampled_from([LABELS, LABELS[None, :5], LABELS[None] + 1, LABELS[None] - 1]),
            "n_module": st.sampled_from([0, 1, 2, -3]),
        },
    ),
    "adjacency": (
        adjacency,
        {"S": torch.from_numpy(S), "normalized": True},
        {
            "S": NOT_STACKED | spoilt(S, np.nan, np.inf) | lopsided(S),
            "normalized": NOT_FLAG,
        },
    ),
    "normalise": (normalise, {"S": torch.from_numpy(S)}, {"S": NOT_STACKED}),
    "dead_units": (dead_units, {"S": torch.from_numpy(S)}, {"S": NOT_STACKED}),
    "family": (family, {"measure": "input_cov"}, {"measure": not_in(*MEASURES)}),
    "similarity": (
        similarity,
        {"stack": STACK, "x": X, "y": Y, "measures": MEASURES, "batch": 5},
        {
            "stack": NOT_FINITE_STACK | st.just(MLPStack.initialise([5, 2], seeds=[0])),
            "x": NOT_X | st.just(torch.full((12, 5), 1e300, dtype=torch.float64)),
            "y": NOT_Y.filter(lambda y: y is not None),
            "measures": st.sampled_from(
                [None, 3, "cov", ["input_cov", "cov"], [None], [["input_cov"]], object()]
            ),
            "batch": below(1).filter(lambda batch: batch is not None),
        },
    ),
    "similarity_of": (
        similarity_of,
        {
            "encoder": NETWORK[:2],
            "decoder": NETWORK[2:],
            "x": X,
            "y": Y,
            "measure": "output_hess",
            "batch": 5,
        },
        {
            "encoder": NOT_ENCODER,
            "decoder": NOT_DECODER,
            "x": no_tensor
            | st.sampled_from([torch.zeros(0, 5), torch.tensor(1.0), torch.full((12, 5), torch.nan)]),
            "y": NOT_CLASSES,
            "measure": not_in(*MEASURES),
            "batch": below(1).filter(lambda batch: batch is not None),
        },
    ),
    "similarities": (
        similarities,
        {
            "model": NETWORK,
            "layer": "1",
            "data": X,
            "y": Y,
            "measures": "output_hess",
            "positions": "mean",
            "unit_axis": 1,
            "loss": "cross_entropy",
            "output": None,
            "embedding": None,
            "unpack": None,
            "probes": 2,
            "batch": 5,
            "progress": False,
        },
        {
            "model": st.sampled_from([None, 3, "a", X, torch.nn.Linear, torch.relu, object()]),
            "layer": st.sampled_from([None, 3, "", "first", "01", [], ["0", "first"], [3], object()]),
            "data": NOT_X.filter(
                lambda x: (
                    not (isinstance(x, np.ndarray) and x.shape == (12, 5)) and getattr(x, "ndim", 0) != 3
                )
            )
            | st.sampled_from([NETWORK, [X, Y[:3]], {1: X}, {"x": "y"}, [(X, Y, Y)], {1.0}]),
            "y": NOT_CLASSES.filter(lambda y: y is not None),
            "measures": st.sampled_from(
                [3, "cov", [], ["input_cov", "cov"], [None], [["input_cov"]], object()]
            ),
            "positions": not_in(*POSITIONS),
            "unit_axis": NOT_WHOLE.filter(lambda axis: axis is not None) | st.sampled_from([0, -2, 2, HUGE]),
            "loss": st.sampled_from(
                [None, 3, "hinge", "", [], object(), lambda *_: 3, lambda z, _: z, lambda z, _: z.argmax(1)]
            ),
            "output": st.sampled_from([3, 2.5, [], True, object(), "logits", lambda _: 3, lambda _: None]),
            "embedding": st.sampled_from([3, "", "first", [], ["0"], object()]),
            "unpack": NOT_CALLABLE | st.just(lambda batch: batch),
            "probes": below(1).filter(lambda probes: probes is not None),
            "batch": below(1).filter(lambda batch: batch is not None),
            "progress": NOT_FLAG,
        },
    ),
    "silenced": (
        silenced_output,
        {"model": NETWORK, "layer": "1", "units": [0, 2], "unit_axis": 1, "value": 0.5},
        {
            "model": st.sampled_from([None, 3, "a", X, torch.nn.Linear, torch.relu, object()]),
            "layer": st.sampled_from([None, 3, "", "first", "01", [], ["0", "1"], object()]),
            "units": st.sampled_from(
                [None, 3, "0", [-1], [0.0], ["a"], [True], [HUGE], {0: object()}.values()]
            ),
            "unit_axis": NOT_WHOLE | st.sampled_from([0, -2, 2, HUGE]),
            "value": NOT_REAL.filter(lambda value: not isinstance(value, torch.Tensor))
            | st.sampled_from([torch.zeros(3), torch.zeros(1, 2), torch.tensor([0.0, torch.nan])]),
        },
    ),
    "train": (
        train,
        {
            "stack": STACK,
            "x": X,
            "y": Y,
            "seeds": [0, 1],
            "l1": 0.0,
            "l2": [0.0, 1e-5],
            "dropout": 0.1,
            "protocol": Protocol(max_epochs=1),
            "compile": False,
            "progress": None,
        },
        {
            "stack": NOT_FINITE_STACK,
            "x": NOT_X | st.sampled_from([X.double(), X.half(), X > 0.5, X[:1]]),
            "y": NOT_CLASSES,
            "seeds": no_numbers
            | st.sampled_from([[0], [0, 1, 2], [0.0, 1.0], ["a", "b"], 3, [-1, 0], [2**64, 1]]),
            "l1": no_numbers | st.sampled_from([-1.0, np.nan, np.inf, [0.0], [0.0, -1e-9], [[0.0, 0.0]]]),
            "l2": no_numbers | st.sampled_from([-1.0, np.nan, np.inf, [0.0], [0.0, -1e-9], [[0.0, 0.0]]]),
            "dropout": no_numbers | st.sampled_from([-0.1, np.nan, 1.0, 1e300, [0.0, 1.0], [0.5]]),
            "protocol": NOT_WHOLE | texts | st.sampled_from([Protocol, {"max_epochs": 1}]),
            "compile": NOT_FLAG.filter(lambda value: value != "auto"),
            "progress": NOT_CALLABLE,
        },
    ),
    "Protocol": (
        Protocol,
        {},
        {
            "max_epochs": below(1),
            "decay": NOT_REAL | INFINITE | st.sampled_from([0.0, -0.5, 1.1]),
            "patience": below(0),
            "stop_after": below(1).filter(lambda value: value is not None),
            "keep": not_in("best", "last"),
            "learning_rate": NOT_REAL | INFINITE | st.floats(max_value=0),
            "batch": below(1),
            "validation": NOT_REAL | INFINITE | st.sampled_from([0.0, -0.1, 1.0, 2.0]),
        },
    ),
    "MLPStack": (
        MLPStack,
        {"weights": STACK.weights, "biases": STACK.biases},
        {
            "weights": st.sampled_from(
                [
                    None,
                    3,
                    "a",
                    [],
                    STACK.weights[:1],
                    STACK.weights[::-1],
                    [w.numpy() for w in STACK.weights],
                    [w.long() for w in STACK.weights],
                    [w[:0] for w in STACK.weights],
                    [w[0] for w in STACK.weights],
                    [STACK.weights[0].double(), *STACK.weights[1:]],
                    [w[:1] for w in STACK.weights],
                    [w.to("meta") for w in STACK.weights],
                    torch.zeros(3, 2, 4, 4),
                    STACK,
                ]
            ),
            "biases": st.sampled_from(
                [
                    None,
                    3,
                    "a",
                    [],
                    STACK.biases[:1],
                    STACK.biases[::-1],
                    [b.numpy() for b in STACK.biases],
                    [b.long() for b in STACK.biases],
                    [b[:1] for b in STACK.biases],
                    [b[0] for b in STACK.biases],
                    [b.double() for b in STACK.biases],
                    [b.to("meta") for b in STACK.biases],
                    [None] * 3,
                ]
            ),
        },
    ),
    "MLPStack.from_arrays": (
        MLPStack.from_arrays,
        {"weights": [np.zeros((1, 3, 2))], "biases": [np.zeros((1, 2))]},
        {
            "weights": no_numbers.map(lambda value: [value])
            | st.sampled_from(
                [None, 3, "a", [], [np.full((1, 3, 2), np.nan)], [np.zeros((3, 2))], [np.zeros((1, 3, 4))]]
            ),
            "biases": no_numbers.map(lambda value: [value])
            | st.sampled_from(
                [None, 3, "a", [], [np.full((1, 2), np.inf)], [np.zeros(2)], [np.zeros((2, 2))]]
            ),
        },
    ),
    "MLPStack.from_modules": (
        MLPStack.from_modules,
        {"modules": [NETWORK]},
        {
            "modules": st.sampled_from(
                [None, 3, "a", [], [None], [3], [torch.zeros(2)], NETWORK[0].weight[0, 0]]
            )
        },
    ),
    "MLPStack.initialise": (
        MLPStack.initialise,
        {"widths": [5, 4, 2], "seeds": [0]},
        {
            "widths": st.sampled_from(
                [None, 3, "a", [], [5], [5, 0], [5, -1, 2], [5, 2.0], [5, True], ["5", "2"], [[5, 2]]]
            ),
            "seeds": NOT_SEED.map(lambda seed: [seed]) | st.sampled_from([None, 3, "a", [], [[0]]]),
        },
    ),
    "MLPStack.__call__": (
        STACK,
        {"x": X},
        {
            "x": NOT_X.filter(
                lambda x: (
                    not (
                        isinstance(x, torch.Tensor)
                        and x.shape in [(12, 5), (0, 5)]
                        and x.device.type == "cpu"
                        and not x.is_complex()
                    )
                )
            )
            | st.sampled_from([X.double(), X > 0.5, X.half()])
        },
    ),
    "MLPStack.to": (
        STACK.to,
        {"device": "cpu", "dtype": torch.float64},
        {
            "device": st.sampled_from(["tpu", "", "cuda:999", "a" * 99, [], object(), 2.5]),
            "dtype": st.sampled_from(
                [torch.int64, torch.bool, torch.complex64, "float64", float, np.float32, 3]
            ),
        },
    ),
    "MLPStack.module": (
        STACK.module,
        {"network": 0},
        {"network": below(0) | st.integers(min_value=2)},
    ),
    "concatenate": (
        concatenate,
        {"stacks": [STACK, STACK]},
        {
            "stacks": st.sampled_from(
                [
                    None,
                    3,
                    "a",
                    [],
                    [None],
                    [STACK, 3],
                    [NETWORK],
                    [STACK, MLPStack.initialise([5, 2], seeds=[0])],
                ]
            )
        },
    ),
    "null_test": (
        null_test,
        {"value": 0.4, "draws": [0.1, 0.2]},
        {
            "value": no_numbers | st.sampled_from([[1.0], np.zeros(2)]),
            "draws": no_numbers | st.sampled_from([[], [1.0], 1.0]),
        },
    ),
    "permute_weights": (
        permute_weights,
        {"stack": STACK, "generator": GENERATOR},
        {"stack": NOT_STACK, "generator": NOT_GENERATOR},
    ),
    "random_associations": (
        random_associations,
        {"R": R, "generator": np.random.default_rng(0)},
        {
            "R": NOT_SQUARE | spoilt(R, np.nan, np.inf) | lopsided(R) | st.just(3 * R),
            "generator": NOT_RNG,
        },
    ),
    "random_graphs": (
        random_graphs,
        {"S": S, "generator": np.random.default_rng(0)},
        {
            "S": NOT_SQUARE | spoilt(S, np.nan, np.inf) | lopsided(S) | st.just(R + 5 - 5 * np.eye(6)),
            "generator": NOT_RNG,
        },
    ),
    "rotate_units": (
        rotate_units,
        {"R": R, "generator": np.random.default_rng(0)},
        {
            "R": NOT_SQUARE | spoilt(R, np.nan, np.inf) | lopsided(R) | st.just(R + 5 - 5 * np.eye(6)),
            "generator": NOT_RNG,
        },
    ),
    "rotated_graphs": (
        rotated_graphs,
        {"S": S, "generator": np.random.default_rng(0)},
        {
            "S": NOT_SQUARE | spoilt(S, np.nan, np.inf) | lopsided(S) | st.just(R + 5 - 5 * np.eye(6)),
            "generator": NOT_RNG,
        },
    ),
    "mean": (mean, {"values": [0.1, 0.2, 0.3], "null": 0.0}, {"values": NOT_VALUES, "null": NOT_NULL}),
    "difference": (
        difference,
        {"a": [0.1, 0.2, 0.3], "b": [0.2, 0.2, 0.4], "null": 0.0},
        {"a": NOT_VALUES, "b": NOT_VALUES, "null": NOT_NULL},
    ),
    "trend": (
        trend,
        {"strength": np.array([1.0, 2.0, 3.0]), "q": Q},
        {
            "strength": no_numbers
            | st.sampled_from([[1.0, 2.0], [1.0, np.nan, 2.0], [1.0, np.inf, 2.0], [[1.0, 2.0, 3.0]]]),
            "q": NOT_LEVELS,
        },
    ),
    "power": (
        power,
        {"difference": 0.02, "sd": 0.05, "n": 9},
        {"difference": NOT_NULL, "sd": NOT_NULL | st.sampled_from([0.0, -0.1]), "n": below(2)},
    ),
    "bootstrap": (
        bootstrap,
        {"statistic": mean_of, "sample": Q[:, 0], "null": 0.0, "draws": 100, "seed": 0},
        {
            "statistic": NOT_CALLABLE | gives(3.0) | gives(np.zeros((2, 2))) | gives(["a"] * 100),
            "sample": no_numbers | st.sampled_from([[], [1.0, 2.0], 3.0]),
            "null": NOT_NULL,
            "draws": below(100),
            "seed": NOT_SEED,
        },
    ),
    "holm": (
        holm,
        {"p": [0.1, 0.2]},
        {"p": no_numbers | st.sampled_from([0.1, [[0.1]], [1.1], [-1e-300], [np.inf]])},
    ),
    "exercises.check": (
        check,
        {"name": "ceiling", "answer": [0.5, 0.5]},
        {
            "name": things,
            "answer": no_numbers | st.sampled_from([0.5, [], ..., [[0.5, 0.5]], [np.nan, 0.5], [0.5] * 3]),
        },
    ),
    "held_out_best": (held_out_best, {"q": Q}, {"q": NOT_LEVELS | st.just(Q[:1])}),
    "difference_of_best": (
        difference_of_best,
        {"pairs": [(Q, Q[:, :1])], "null": 0.0, "draws": 100, "seed": 0},
        {
            "pairs": st.sampled_from(
                [None, 3, "ab", [None], [Q], [(Q,)], [(Q, Q, Q)], [(Q, "a")], [(Q, None)]]
            ),
            "null": NOT_NULL,
            "draws": below(100),
            "seed": NOT_SEED,
        },
    ),
    "judge": (
        judge,
        {"items": ITEMS},
        {"items": NOT_ITEMS},
    ),
    "by_claim": (
        by_claim,
        {"items": judge(ITEMS)},
        {"items": NOT_ITEMS | st.just(ITEMS)},
    ),
    "verdict": (
        verdict,
        {"supported": 1, "contradicted": 1, "items": 3},
        {
            "supported": below(0) | st.just(3),
            "contradicted": below(0) | st.just(3),
            "items": below(0) | st.just(1),
        },
    ),
    "experiments.get": (
        catalogue.get,
        {"name": "base", "profile": "quick"},
        {"name": not_in(*catalogue.EXPERIMENTS), "profile": not_in(*catalogue.PROFILES)},
    ),
    "Setting": (
        Setting,
        {"regularizer": "l2", "strength": 1e-5},
        {
            "regularizer": NOT_FILE_NAME,
            **dict.fromkeys(["strength", "l1", "l2"], NOT_REAL | INFINITE | st.floats(max_value=-1e-300)),
            "dropout": NOT_REAL | INFINITE | st.sampled_from([-0.1, 1.0, 1.5]),
        },
    ),
    "Choice": (
        Choice,
        {"name": "images=10"},
        {
            "name": NOT_FILE_NAME,
            "images": below(1).filter(lambda value: value is not None),
            "optimiser": not_in("leiden", *OPTIMISERS),
        },
    ),
    "Experiment": (
        Experiment,
        {
            "name": "tiny",
            "profile": "quick",
            "settings": PLAN.settings,
            "seeds": (0,),
            "untrained": 1,
            "protocol": Protocol(),
        },
        {
            **dict.fromkeys(["name", "profile", "dataset"], NOT_FILE_NAME),
            **dict.fromkeys(
                ["settings", "kept", "null_settings"], things | st.sampled_from([(3,), [PLAN.settings[0]]])
            ),
            "choices": things | st.sampled_from([(3,), PLAN.settings, [Choice("a")]]),
            "seeds": things | st.sampled_from([(0, 0), (-1,), (2.0,), (True,), [0], ("a",), (2**63,)]),
            "hidden": things | st.sampled_from([(0,), (-1, 3), (2.0,), [64], ("a",)]),
            "protocol": things | st.sampled_from(["final", {}]),
            "labels": not_in("true", "shuffled"),
            **dict.fromkeys(["untrained", "null_draws"], below(0)),
            **dict.fromkeys(["test_samples", "restarts", "null_restarts"], below(1)),
            "train_samples": below(2),
        },
    ),
    "data.load": (
        data.load,
        {"name": "mnist"},
        {"name": not_in(*data.available()), "folder": NOT_PATH | st.just("/no/such/folder")},
    ),
    "data.fetch": (data.fetch, {"name": "mnist"}, {"name": not_in(*data.available())}),
    "run": (
        runner.run,
        {
            "experiment": "base",
            "profile": "paper",
            "device": "cpu",
            "workers": 0,
            "scheduler": None,
            "long": False,
        },
        {
            "experiment": not_in(*catalogue.EXPERIMENTS),
            "profile": not_in(*catalogue.PROFILES),
            "device": not_in("auto", "cpu", "cuda")
            | st.sampled_from([] if torch.cuda.is_available() else ["cuda"]),
            "workers": below(0).filter(lambda value: value is not None),
            "scheduler": things.filter(lambda value: value is not None)
            | st.sampled_from(["host", "host:1", 3, "tcp://"]),
            "long": NOT_FLAG,
        },
    ),
    **{
        f"store.{name}": (
            getattr(store, name),
            {"experiment": PLAN},
            {"experiment": NOT_PLAN},
        )
        for name in ("folder_of", "is_stored", "read_results", "read_if_stored")
    },
    **{
        f"shard_files.{name}": (
            getattr(shard_files, name),
            {"experiment": PLAN, "shard": "seed-000"},
            {"experiment": NOT_PLAN, "shard": NOT_FILE_NAME},
        )
        for name in ("shard_file", "read_shard", "read_trained", "drop_trained")
    },
    "describe": (
        describe,
        {"stack": STACK, "x": X, "y": Y, "names": ["a", "b"]},
        {
            "stack": NOT_STACK,
            "x": NOT_X.filter(
                lambda x: (
                    not (
                        isinstance(x, torch.Tensor)
                        and not torch.isfinite(
                            x.cpu() if x.device.type == "cpu" and not x.is_sparse else torch.zeros(1)
                        ).all()
                    )
                )
            ),
            "y": NOT_CLASSES,
            "names": NOT_NAMES,
        },
    ),
    "analyse": (
        analyse,
        {"stack": STACK, "x": X, "y": Y, "names": ["a", "b"], "restarts": 1, "seed": 0},
        {
            "stack": NOT_FINITE_STACK,
            "x": NOT_X,
            "y": NOT_Y.filter(lambda y: y is not None),
            "names": NOT_NAMES,
            "restarts": below(1),
            "seed": NOT_SEED,
        },
    ),
    "analyse_by": (
        analyse_by,
        {
            "stack": STACK,
            "x": X,
            "y": Y,
            "names": ["a", "b"],
            "choices": [Choice("images=5", images=5)],
            "restarts": 1,
            "seed": 0,
        },
        {
            "stack": NOT_FINITE_STACK,
            "x": NOT_X,
            "names": NOT_NAMES,
            "choices": st.sampled_from([None, 3, "a", [], ["a"], [PLAN]]),
            "restarts": below(1),
            "seed": NOT_SEED,
        },
    ),
    "against_nulls": (
        against_nulls,
        {"stack": STACK, "x": X, "y": Y, "names": ["a", "b"], "draws": 2, "restarts": 1, "seed": 0},
        {
            "stack": NOT_FINITE_STACK,
            "x": NOT_X,
            "names": NOT_NAMES,
            "draws": below(2),
            "restarts": below(1),
            "seed": NOT_SEED,
        },
    ),
    "Report.of_similarities": (
        Report.of_similarities,
        {
            "similarities": {"a": {"input_cov": S, "output_grad": S}},
            "name": "network",
            "unit_names": list("abcdef"),
            "nulls": {"shuffled": 2 * [{"a": {"input_cov": R, "output_grad": R}}]},
            "draws": 2,
            "restarts": 1,
            "null_restarts": 1,
            "shuffles": 2,
            "seed": 0,
            "about": {"data": "none"},
        },
        {
            "similarities": NOT_SYMMETRIC.map(lambda matrix: {"a": {"input_cov": matrix}})
            | st.sampled_from(
                [
                    None,
                    3,
                    "a",
                    [],
                    {},
                    S,
                    {"a": 3},
                    {"a": {}},
                    {"a": S},
                    {"a": {"cov": S}},
                    {1: {"input_cov": S}},
                ]
            ),
            "name": st.sampled_from([None, 3, b"a", ["a"], {}, 1.5]),
            "unit_names": st.sampled_from(
                [
                    3,
                    "abcdef",
                    [],
                    ["a"],
                    list("abcdefg"),
                    [1] * 6,
                    {"b": list("abcdef")},
                    {"a": "abcdef"},
                    [None] * 6,
                ]
            ),
            "nulls": st.sampled_from(
                [
                    3,
                    {3: []},
                    {"similarity": []},
                    "a",
                    [],
                    [1],
                    {"n": 3},
                    {"n": "ab"},
                    {"n": []},
                    {"n": [1, 2]},
                    {"n": [{"b": {}}] * 2},
                    {3: []},
                    {"similarity": []},
                ]
            ),
            "draws": below(2),
            "restarts": below(1),
            "null_restarts": below(1),
            "shuffles": below(2),
            "seed": NOT_SEED,
            "about": st.sampled_from([3, "a", [], S]),
        },
    ),
    "planted_graph": (
        planted_graph,
        {"sizes": (4, 4), "within": 1.0, "between": 0.1, "noise": 0.1, "seed": 0},
        {
            "sizes": st.sampled_from([None, 3, "a", [], [0], [4, -1], [4, 2.0], [True], [[4]]]),
            "within": NOT_REAL | INFINITE | st.sampled_from([-1.0, -1e-300]),
            "between": NOT_REAL | INFINITE | st.sampled_from([-1.0, -1e-300]),
            "noise": NOT_REAL | INFINITE | st.sampled_from([-0.1, 1.1]),
            "seed": NOT_SEED,
        },
    ),
    "ring_of_cliques": (ring_of_cliques, {"cliques": 3, "size": 3}, {"cliques": below(3), "size": below(2)}),
    "random_graph": (
        random_graph,
        {"units": 5, "density": 0.5, "seed": 0},
        {
            "units": below(2),
            "density": NOT_REAL | INFINITE | st.sampled_from([0.0, -1.0, 1.1]),
            "seed": NOT_SEED,
        },
    ),
    "crossed_network": (
        crossed_network,
        {"read_groups": 2, "drive_groups": 2, "copies": 1, "noise": 0.1, "samples": 5, "seed": 0},
        {
            "read_groups": below(2),
            "drive_groups": below(2),
            "copies": below(1),
            "samples": below(1),
            "noise": NOT_REAL | INFINITE | st.just(-0.1),
            "seed": NOT_SEED,
        },
    ),
    "parameters.check": (
        parameters.check,
        {},
        {
            "profile": not_in(*catalogue.PROFILES),
            "seed": NOT_SEED,
            "epochs": below(1),
            "samples": below(1),
            "dropout": NOT_REAL | INFINITE | st.sampled_from([1.0, -0.1]),
            "shuffles": below(2),
            "restarts": below(1),
            "largest": below(32),
            "repeats": below(1),
            "restart": st.integers(),
        },
    ),
    "agreement_matrix": (
        agreement_matrix,
        {"results": synthetic.results(), "metric": "ami"},
        {"metric": not_in("ecs", "ami", "ari", "vi", "matching", "rank_correlation")},
    ),
    "family_agreement": (
        family_agreement,
        {"results": synthetic.results(), "metric": "vi"},
        {"metric": not_in("ecs", "ami", "ari", "vi", "matching", "rank_correlation")},
    ),
    "kept_networks": (
        kept_networks,
        {"results": synthetic.results(), "min_accuracy": 0.5},
        {"min_accuracy": NOT_REAL | INFINITE | st.sampled_from([-0.1, 1.1])},
    ),
    "untrained_agreement": (
        untrained_agreement,
        {"results": synthetic.results(), "x": X, "untrained": 1},
        {"untrained": below(1) | st.integers(min_value=5)},  # there are four
    ),
    "check_address": (
        dask.check_address,
        {"scheduler": "tcp://host:8786"},
        {"scheduler": things | st.just("host:1")},
    ),
}

#: A report passes its first arguments on to `similarities`.
CALLS["report"] = (
    report,
    CALLS["similarities"][1]
    | {
        "name": "network",
        "unit_names": list("abcd"),
        "permuted": True,
        "untrained": False,
        "draws": 2,
        "restarts": 1,
        "null_restarts": 1,
        "shuffles": 2,
        "seed": 0,
    },
    CALLS["similarities"][2]
    | {
        "name": st.sampled_from([3, b"a", ["a"], {}, 1.5]),
        "unit_names": st.sampled_from([3, "abcd", [], ["a"], [1] * 4, {"b": list("abcd")}, {"1": "abcd"}]),
        "permuted": NOT_FLAG,
        "untrained": NOT_FLAG,
        "draws": below(2),
        "restarts": below(1),
        "null_restarts": below(1),
        "shuffles": below(2),
        "seed": NOT_SEED,
    },
)

#: Where the message names an argument as what it is called elsewhere.
ALSO_CALLED = {
    ("experiments.get", "name"): "experiment",
    ("contingency_tables", "n_module"): "[ab]",  # labels that are not below it
    ("verdict", "items"): "items",
    ("parameters.check", "restart"): "restart",
}
