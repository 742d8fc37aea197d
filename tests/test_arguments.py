"""Bad arguments: every public function refuses them by name, or gives the right answer.

A call that is well has one argument after the other replaced by values of another kind, shape, size or
meaning (`calls`, `wrong`), as a user would meet it: without the checks of annotations.
"""

import importlib
import inspect
import pkgutil
import re
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import torch
from calls import ALSO_CALLED, CALLS
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from wrong import HUGE, LABELS, STACK, A, S, X, Y

import modlib
from modlib import __main__ as cli
from modlib import _checks, data  # noqa: PLC2701
from modlib.algorithms import OPTIMISERS, find_modules_by
from modlib.book import builder, on_record, parameters, teaching, whole
from modlib.bounds import modularity_bound
from modlib.clustering import find_modules, modularity
from modlib.comparison import agreement, agreement_pairs, rank_correlation, transfers
from modlib.measures import MEASURES, adjacency, similarity
from modlib.networks import MLPStack
from modlib.nulls import null_test, random_associations
from modlib.stats.intervals import Estimate, difference, holm, mean
from modlib.study import workers
from modlib.training import Protocol, train
from modlib.two_parts import similarity_of

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.usefixtures("as_a_user")


def drawn(examples):
    """Let Hypothesis draw the same values every time, on whatever machine."""
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=unhealthy
    )


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    """Nothing is read from or written to the stored results."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))


# ---------------------------------------------------------------- one bad argument

READ_FILES = (
    "data.load",
    "data.fetch",
    "run",
    "store.read_results",
    "shard_files.read_shard",
    "shard_files.read_trained",
)
LONG = ("untrained_agreement",)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in (*READ_FILES, *LONG)])
def test_the_call_that_is_spoilt_is_well(name):
    function, well, _ = CALLS[name]
    function(**well)


@pytest.mark.parametrize(
    ("name", "culprit"), [(name, culprit) for name, (*_, wrong) in CALLS.items() for culprit in wrong]
)
def test_the_culprit_is_named(name, culprit):
    function, well, wrong = CALLS[name]
    named = re.compile(rf"(?<![A-Za-z_]){ALSO_CALLED.get((name, culprit), culprit)}(?![A-Za-z_])")

    @drawn(25)
    @given(wrong[culprit])
    def refused(value):
        with pytest.raises((ValueError, TypeError), match=named):
            function(**{**well, culprit: value})

    refused()


#: Wings whose public functions take what the package itself has made: its tables, files and pages. Their
#: options are checked by name below.
OF_TABLES = ("paper", "book")
#: Machinery behind the calls above, with tests of its own.
BEHIND = {
    "analysis.chance", "analysis.modules", "analysis.null_tests", "analysis.schema", "analysis.versions",
    "annealing", "batches", "data.folders", "data.idx", "data.mirrors", "data.sources", "data.wheel",
    "derivatives", "extras", "layer_similarity", "losses", "models", "reporting.alluvial",
    "reporting.colours", "reporting.folder", "reporting.from_files", "reporting.layers",
    "reporting.model_nulls", "reporting.page", "reporting.pictures", "reporting.units",
    "reporting.warnings", "study.code_digest", "study.dask", "study.estimate", "study.files",
    "study.packing", "study.progress", "study.project", "study.provenance", "study.recompute",
    "study.schema", "study.shard", "study.workers", "training.cuda_graph", "training.plateau",
    "training.step", "untouched",
}  # fmt: skip
#: Functions behind the calls above, in modules that have others.
FUNCTIONS_BEHIND = {
    "algorithms.drawn_choice", "algorithms.inverse_temperature", "bounds.dual_value",
    "clustering.alive_units", "clustering.canonical_labels", "clustering.checked_integers",
    "clustering.checked_weights", "clustering.element_centric", "clustering.igraph_draws_from",
    "clustering.annealed_runs", "clustering.distinct", "clustering.kicked", "clustering.leiden_runs",
    "clustering.modularity_matrix", "clustering.partition_by", "clustering.sum_within",
    "clustering.weighted_graph",
    "criteria.constant_potts_matrix", "criteria.largest_sum_within", "criteria.signed_modularity_matrix",
    "cuts.broken_triangles", "cuts.broken_vectors", "cuts.coefficients",
    "data.datasets.available", "measures.batch_size", "measures.graphs", "stats.intervals.checked_levels",
    "reporting.report.checked_settings",
    "study.accuracy_filter.checked_metric", "study.accuracy_filter.trained_networks",
    "study.accuracy_filter.with_levels", "study.derived.with_all_metrics", "study.rows.search_layers",
    "study.shard_files.keep_shard", "study.shard_files.shard_content", "study.shard_files.write_shard",
    "study.shard_files.write_trained", "study.store.check_sum_file", "study.store.write_results",
    "training.loop.denormals_flushed", "training.loop.stream_seed",
}  # fmt: skip


def public_functions():
    for found in pkgutil.walk_packages(modlib.__path__, "modlib."):
        name = found.name.removeprefix("modlib.")
        if name.startswith("_") or name.split(".")[0] in OF_TABLES:
            continue
        module = importlib.import_module(found.name)
        for function, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if own and inspect.isfunction(value) and not function.startswith("_"):
                yield name, function, value


def test_every_public_function_is_called_or_known_to_stand_behind_one():
    called = {
        inspect.unwrap(function).__qualname__
        for function, *_ in CALLS.values()
        if inspect.isroutine(function)
    }
    left = {
        f"{module}.{name}"
        for module, name, _ in public_functions()
        if module not in BEHIND and name not in called
    }
    assert left == FUNCTIONS_BEHIND


def test_every_argument_of_a_call_is_spoilt_or_of_the_packages_making():
    """But for those that stand beside the one that matters, and tables made by the package."""
    left = {
        (name, argument)
        for name, (_, well, wrong) in CALLS.items()
        for argument in well
        if argument not in wrong
    }
    made = {"results", "experiment"}
    assert {pair for pair in left if pair[1] not in made} == {
        ("analyse_by", "y"), ("against_nulls", "y"), ("untrained_agreement", "x"),
    }  # fmt: skip


WITH_A_PROFILE = [
    pytest.param(function, id=f"{module}.{name}")
    for module, name, function in public_functions()
    if "profile" in inspect.signature(function).parameters and module not in ("book", "deviation_list")
]


@pytest.mark.parametrize("profile", ["large", "", 3, None, ["quick"]])
@pytest.mark.parametrize("function", WITH_A_PROFILE)
def test_whoever_takes_a_profile_refuses_others(function, profile):
    first = next(iter(inspect.signature(function).parameters))
    before = [] if first == "profile" else ["base"]
    with pytest.raises((ValueError, TypeError), match="profile must be one of quick, paper"):
        function(*before, profile=profile)


# ---------------------------------------------------------------- odd, and right


def exact_q(A, labels, resolution=1):
    """Q of the very floats given, in fractions; nan without edges."""
    kept = np.flatnonzero(np.asarray(labels) >= 0)
    A = [[Fraction(float(A[i][j])) for j in kept] for i in kept]
    labels = [labels[i] for i in kept]
    total, degree = sum(map(sum, A)), [sum(row) for row in A]
    if not total:
        return np.nan
    pairs = [(i, j) for i in range(len(kept)) for j in range(len(kept)) if labels[i] == labels[j]]
    gamma = Fraction(resolution)
    return float(sum(A[i][j] / total - gamma * degree[i] * degree[j] / total**2 for i, j in pairs))


def symmetric_of(upper, size):
    A = np.zeros((size, size))
    A[np.triu_indices(size, 1)] = upper
    return A + A.T


#: Edge weights of very different sizes, and 0, in any mixture.
any_graph = st.integers(2, 6).flatmap(
    lambda size: st.lists(
        st.just(0.0) | st.floats(1e-9, 1e9), min_size=size * (size - 1) // 2, max_size=size * (size - 1) // 2
    ).map(lambda upper: symmetric_of(upper, size))
)


@drawn(200)
@given(any_graph, st.data())
def test_q_of_any_weights_is_exact(A, more):
    labels = more.draw(st.lists(st.integers(-1, 3), min_size=len(A), max_size=len(A)))
    resolution = more.draw(st.sampled_from([1.0, 0.5, 1e-9, 3.0]))
    expected = exact_q(A, labels, resolution)
    found = [modularity(A, labels, resolution=resolution)]
    if resolution == 1:
        found += [transfers([A, A], [labels])[1, 0]]
    assert found == pytest.approx([expected] * len(found), abs=1e-13, nan_ok=True)


@drawn(60)
@given(any_graph, st.sampled_from(OPTIMISERS))
def test_modules_of_any_weights_are_partitions_of_their_q(A, optimiser):
    for part in (find_modules(A, restarts=2), find_modules_by(A, optimiser)):
        assert part.q == pytest.approx(exact_q(A, part.labels.tolist()), abs=1e-12, nan_ok=True)
        assert -0.5 <= part.q <= 1 or not A.any()
        assert part.n_modules == part.labels.max() + 1
    bound = modularity_bound(A)
    assert bound >= part.q - 1e-9 or not A.any()
    assert bound <= 1 or not A.any()


whole_graph = np.round(7 * A)
OTHER_KINDS = {
    "bool": (whole_graph > 3, whole_graph > 3),
    "uint8": (whole_graph.astype(np.uint8), whole_graph),
    "int8": (whole_graph.astype(np.int8), whole_graph),
    "float16": (whole_graph.astype(np.float16), whole_graph),
    "longdouble": (whole_graph.astype(np.longdouble), whole_graph),
    "big-endian": (whole_graph.astype(">f8"), whole_graph),
    "by column": (np.asfortranarray(A), A),
    "read-only": (np.broadcast_to(A, (6, 6)), A),
    "list": (whole_graph.astype(int).tolist(), whole_graph),
    "table": (pd.DataFrame(A), A),
    "bfloat16": (torch.tensor(whole_graph, dtype=torch.bfloat16), whole_graph),
    "sparse": (torch.tensor(A).to_sparse(), A),
    "with a gradient": (torch.tensor(A, requires_grad=True), A),
    "not masked": (np.ma.masked_array(A), A),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_kinds_of_numbers_are_the_same_numbers(kind):
    other, plain = OTHER_KINDS[kind]
    plain = np.asarray(plain, dtype=float)
    before = np.array(plain)
    assert modularity(other, LABELS) == modularity(plain, LABELS)
    assert find_modules(other, restarts=2).labels.tolist() == find_modules(plain, restarts=2).labels.tolist()
    assert find_modules_by(other, "spectral").q == find_modules_by(plain, "spectral").q
    assert rank_correlation(other, S) == rank_correlation(plain, S)
    if kind != "sparse":  # which is a tensor, and adjacency wants a dense one
        assert torch.equal(adjacency(other).double(), torch.from_numpy(plain))
    assert (plain == before).all()


@drawn(40)
@given(
    hnp.arrays(np.int64, 9, elements=st.integers(-1, 2**63 - 1)),
    hnp.arrays(np.int8, 9, elements=st.integers(-1, 3)),
)
def test_names_of_modules_may_be_of_any_size(a, b):
    small = np.where(a < 0, -1, np.unique(a, return_inverse=True)[1])
    assert agreement(a, b) == pytest.approx(agreement(small, b.tolist()), abs=1e-12, nan_ok=True)
    assert agreement(torch.tensor(a), b.astype(np.uint8) if (b >= 0).all() else b) == pytest.approx(
        agreement(a, b), nan_ok=True
    )


def test_next_to_nothing_has_nothing_to_say():
    for size in (0, 1, 3):
        empty, labels = np.zeros((size, size)), np.zeros(size, dtype=int)
        assert np.isnan([modularity(empty, labels), modularity_bound(empty)]).all()
        assert np.isnan(rank_correlation(empty, empty))
        assert np.isnan(transfers(empty[None], labels[None])).all()
        for part in (find_modules(empty), *(find_modules_by(empty, name) for name in OPTIMISERS)):
            assert part.labels.tolist() == [-1] * size
            assert np.isnan(part.q)
        assert adjacency(torch.from_numpy(empty), normalized=True).shape == (size, size)
        assert not random_associations(empty, np.random.default_rng(0)).any()
    assert np.isnan(list(agreement([0], [0]).values())).all()
    assert all(len(values) == 0 for values in agreement_pairs(np.zeros((0, 4), int), []).values())
    assert holm([]).tolist() == []
    assert mean([]).n == mean([np.nan]).n == 0
    assert np.isnan(null_test(np.nan, [np.nan, np.nan]).p)


def test_a_layer_of_one_unit_and_one_sample():
    stack = MLPStack.initialise([3, 1, 2], seeds=[0])
    x = torch.rand(1, 3, generator=torch.Generator().manual_seed(0))
    for measure, (S_one,) in similarity(stack, x).items():
        assert S_one.shape == (1, 1, 1)
        assert np.isnan(find_modules(adjacency(S_one[0], normalized=True)).q), measure
    net = stack.module(0)
    for measure in MEASURES:
        by_hand = similarity_of(net[:2], net[2:], x, torch.tensor([0]), measure=measure)
        assert by_hand.item() == pytest.approx(similarity(stack, x)[measure][0].item(), abs=1e-6)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64])
def test_inputs_of_another_precision_are_taken_at_their_value(kind):
    x = (X * 4).round().to(kind)
    for classes in (None, Y, Y.to(torch.uint8), Y.to(torch.int32)):
        found, expected = similarity(STACK, x, classes), similarity(STACK, x.float(), Y)
        assert all(torch.equal(a, b) for m in MEASURES for a, b in zip(found[m], expected[m], strict=True))


def test_classes_of_any_integer_type_train_the_same_networks():
    once = Protocol(max_epochs=1, batch=4)
    expected = train(STACK, X, Y, seeds=[0, 1], protocol=once).stack.weights
    for kind in (torch.uint8, torch.int16, torch.int32):
        found = train(STACK, X, Y.to(kind), seeds=np.array([0, 1]), protocol=once).stack.weights
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_training_that_comes_to_nothing_says_so():
    """At a rate so high that no loss is a number, nothing passes for a trained network."""
    plan = Protocol(max_epochs=2, batch=4, learning_rate=3e38)
    trained = train(STACK, X, Y, seeds=[0, 1], protocol=plan)
    assert not np.isfinite(trained.val_loss).any()
    tiny = train(STACK, X * 1e-42, Y, seeds=[0, 1], protocol=Protocol(max_epochs=2, batch=4))  # denormal
    assert np.isfinite(tiny.val_loss).all()


@drawn(60)
@given(
    st.lists(st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=2, max_size=6),
    st.integers(-20, 20),
)
def test_estimates_scale_with_their_values(values, exponent):
    unit = 2.0**exponent
    for plain, scaled in (
        (mean(values, null=0.5), mean(np.array(values) * unit, null=0.5 * unit)),
        (
            difference(values, values[::-1][:2]),
            difference(np.array(values) * unit, np.array(values[::-1][:2]) * unit),
        ),
    ):
        expected = Estimate(
            plain.value * unit, plain.low * unit, plain.high * unit, plain.n, plain.p, plain.effect
        )
        assert vars(scaled) == pytest.approx(vars(expected), rel=1e-9, nan_ok=True)


# ---------------------------------------------------------------- messages


class Unwilling:
    """What cannot even be shown."""

    def __repr__(self):
        raise RuntimeError("no")


UNSHOWABLE = {
    "unwilling": Unwilling(), "an integer of 8000 digits": HUGE**20, "a million letters": "x" * 10**6,
    "a long list": list(range(10**5)), "a long array": np.zeros(10**6), "two lines": "a\nb",
}  # fmt: skip


@pytest.mark.parametrize("kind", UNSHOWABLE)
def test_what_cannot_be_shown_is_no_trouble(kind):
    with pytest.raises((TypeError, ValueError), match="seed must be") as error:
        _checks.seed(UNSHOWABLE[kind])
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- parameters of notebooks


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def declared(path):
    names = {}
    exec(
        "\n".join(cell.source for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])),
        names,
    )
    return {name: value for name, value in names.items() if name != "__builtins__"}


PARAMETERS = [(path.stem, name) for path in NOTEBOOKS for name in declared(path)]
WRONG = {
    "profile": ["large", "", 3, None, ["quick"]],
    "dropout": ["a", None, 1.0, -0.1, np.nan],
    "samples": ["a", None, 2.5, True, 0, -5, 10_001],
    "largest": ["a", None, 2.5, 16],
}


@pytest.mark.parametrize(("notebook", "name"), PARAMETERS)
def test_a_wrong_parameter_of_a_notebook_is_named_before_anything_is_computed(notebook, name, monkeypatch):
    """The cells are run as they stand, up to the first that computes anything."""
    path = next(path for path in NOTEBOOKS if path.stem == notebook)
    monkeypatch.setattr(workers, "compute", lambda *_: pytest.fail("something is computed"))
    if (notebook, name) == ("deviations", "untrained"):
        assert (
            "released_code.untrained_agreement(results, few, untrained=untrained)"
            in code_cells(path)[1].source
        )
        assert "untrained" in CALLS["untrained_agreement"][2]  # which refuses it first of all
        return
    for value in WRONG.get(name, ["a", None, 2.5, True, -1]):
        cells = [cell.source for cell in code_cells(path)][1:3]
        with pytest.raises((ValueError, TypeError), match=rf"(?<![a-z_]){name} must be"):
            exec("\n".join(cells), declared(path) | {name: value})


def test_what_is_declared_is_allowed():
    for path in NOTEBOOKS:
        found = {name: value for name, value in declared(path).items() if name in parameters.PARAMETERS}
        assert found.keys() >= declared(path).keys() - {"untrained"}
        parameters.check(**found)


def test_a_parameter_that_no_notebook_has_is_named(monkeypatch, tmp_path):
    with pytest.raises(TypeError, match="there is no parameter restart; there are profile, again, seed"):
        parameters.check(restart=3)
    monkeypatch.setattr(papermill, "inspect_notebook", lambda _: {"seed"})
    with pytest.raises(builder.BookError, match="has no parameter named profile"):
        builder.notebook(Path(__file__).parents[1], "training", "quick")


# ---------------------------------------------------------------- the command line


COMMANDS = {
    ("run", "bass"): "bass",
    ("run", ""): "base|close-up",
    ("run",): "Missing argument",
    ("run", "base", "wide"): "wide",
    ("run", "base", "--profile", "large"): "--profile",
    ("run", "base", "--profile", ""): "--profile",
    ("run", "base", "--profile"): "--profile",
    ("run", "base", "--device", "tpu"): "--device",
    ("run", "base", "--workers", "-1"): "--workers",
    ("run", "base", "--workers", "2.5"): "--workers",
    ("run", "base", "--workers", "many"): "--workers",
    ("run", "base", "--workers", "-" + "1" * 50): "--workers",
    ("run", "base", "--workers", "nan"): "--workers",
    ("run", "base", "--workers", "0x2"): "--workers",
    ("run", "base", "--scheduler", "host"): "scheduler",
    ("run", "base", "--scheduler", "http://host:1"): "scheduler",
    ("run", "base", "--scheduler", ""): "scheduler",
    ("run", "base", "--speed", "3"): "--speed",
    ("run", "base", "--long"): "--long",
    ("book", "--profile", "large"): "--profile",
    ("book", "--jobs", "0"): "--jobs",
    ("book", "--jobs", "two"): "--jobs",
    ("book", "--force=yes"): "--force",
    ("book", "--only", "trainnig"): "--only",
    ("book", "--only", "training", "--only", "verdicts"): "--only",
    ("book", "training"): "training",
    ("book", "--quick"): "--quick",
    ("chapter",): "CHAPTER",
    ("chapter", "training"): "FILE",
    ("chapter", "trainnig", "out.ipynb"): "trainnig",
    ("chapter", "training", "out.ipynb", "--profile", "large"): "--profile",
    ("chapter", "training", "out.ipynb", "--parameter", "seed"): "--parameter",
    ("pdf", "training"): "training",
    ("teach", "--pdf=yes"): "--pdf",
    ("teach", "training"): "training",
    ("data", "minst"): "minst",
    ("data", "mnist", "minst"): "minst",
    ("data", "--folder", "x"): "--folder",
    ("check", "--write=1"): "--write",
    ("check", "base"): "base",
    ("report",): "FILE:FUNCTION",
    ("report", "m.py:f"): "--layer",
    ("report", "m.py:f", "--layer"): "--layer",
    ("report", "m.py:f", "--data"): "--data",
    ("report", "m.py:f", "--save"): "--save",
    ("report", "m.py:f", "--loss", "hinge"): "--loss",
    ("report", "m.py:f", "--positions", "all"): "--positions",
    ("report", "m.py:f", "--embedding"): "--embedding",
    ("report", "m.py:f", "--batch", "0"): "--batch",
    ("report", "m.py:f", "--probes", "0"): "--probes",
    ("report", "m.py:f", "--permuted=yes"): "--permuted",
    ("report", "m.py:f", "--untrained=yes"): "--untrained",
    ("report", "m.py:f", "--draws", "1"): "--draws",
    ("report", "m.py:f", "--restarts", "0"): "--restarts",
    ("report", "m.py:f", "--seed", "-1"): "--seed",
    ("rum",): "rum",
    ("--verbose",): "--verbose",
}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_wrong_word_on_the_command_line_ends_it_with_one_line_that_names_it(words, monkeypatch):
    monkeypatch.chdir(NOTEBOOKS[0].parents[1])
    started = [
        (builder, "execute"),
        (teaching, "make"),
        (whole, "make"),
        (data, "fetch"),
        (on_record, "problems"),
        (on_record, "write"),
        (workers, "compute"),
    ]
    for module, name in started:
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("nothing is to be started"))
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 2
    assert result.stdout == ""
    usage, line = result.stderr.split("Error: ")
    assert usage == "" or usage.startswith("Usage: main ")
    assert line.count("\n") == 1
    assert COMMANDS[words] in line


def test_every_option_is_tried():
    tried = {word.split("=")[0] for words in COMMANDS for word in words}
    for name, command in cli.main.commands.items():
        options = [max(option.opts, key=len) for option in command.params if option.opts[0].startswith("-")]
        assert [option for option in options if option not in tried] == [], name


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = CliRunner().invoke(cli.main, ["run", "base", "--device", "cuda"])
    assert result.exit_code == 1  # the word is well, the machine is not
    assert result.stderr.startswith("Error: device is 'cuda', but torch sees no CUDA device")
