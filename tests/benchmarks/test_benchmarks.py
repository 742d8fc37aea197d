"""Benchmarks: both sides do the same work, ratios are what clocks say, records and checks hold. No timing."""

import functools
import gc
import itertools
import json
import operator
import random
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from tiny import TINY, run_in_one_go
from torch import nn

import modlib
from benchmarks import __main__ as command
from benchmarks import (
    analysis,
    base,
    best_known,
    check,
    crew,
    imports,
    loop,
    published,
    report,
    residual,
    search,
    timing,
    training,
)
from modlib import algorithms, data
from modlib.book import benchmark_records
from modlib.book.chapters.speed import estimates
from modlib.clustering import find_modules
from modlib.comparison import agreement, agreement_pairs, rank_correlations, transfers
from modlib.measures import adjacency, graphs, similarity
from modlib.networks import MLPStack
from modlib.study import files, store
from modlib.training import Protocol, train

# ---------------------------------------------------------------- timing


class Clock:
    """A clock that stands still but for what is said to take time, in a machine of changing speed."""

    def __init__(self):
        self.now, self.slowness, self.log = 0.0, itertools.repeat(1.0), []

    def __call__(self):  # noqa: D102
        return self.now

    def takes(self, name, seconds):  # noqa: D102
        def run():
            self.log.append(name)
            self.now += seconds * next(self.slowness)

        return run


def test_contestants_run_in_turn_and_the_warm_up_does_not_count():
    clock = Clock()
    table = timing.race(
        {"a": clock.takes("a", 2.0), "b": clock.takes("b", 3.0)}, rounds=3, warm_up=2, clock=clock
    )
    assert clock.log == ["a", "b"] * 5
    assert table.contestant.tolist() == ["a", "b"] * 3
    assert table["round"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table.seconds.tolist() == [2.0, 3.0] * 3


def test_seconds_are_those_of_a_unit_of_work():
    clock = Clock()
    table = timing.race({"a": clock.takes("a", 6.0)}, rounds=1, work={"a": 4.0}, clock=clock)
    assert table.seconds.tolist() == [1.5]


def test_a_machine_that_slows_down_for_a_round_changes_no_ratio():
    clock = Clock()
    clock.slowness = itertools.chain([1, 1], [1, 1], [7, 7], [2, 2])  # warm-up, then three rounds
    table = timing.race({"a": clock.takes("a", 1.0), "b": clock.takes("b", 4.0)}, rounds=3, clock=clock)
    assert table[table.contestant == "b"].seconds.tolist() == [4.0, 28.0, 8.0]
    assert estimates.ratios(table, "b", "a").tolist() == [4.0] * 3


def test_no_garbage_is_collected_in_a_round():
    seen = []
    timing.race({"a": lambda: seen.append(gc.isenabled())}, rounds=2, warm_up=0)
    assert seen == [False, False]
    assert gc.isenabled()


def test_a_contestant_of_several_forms_stands_for_its_fastest():
    rows = {
        "loop (1 × 2 threads)": [5.0, 1.0, 5.0],
        "loop (2 × 1 thread)": [4.0, 4.0, 4.0],
        "stack": [1.0, 2.0, 4.0],
        "looper": [0.1, 0.1, 0.1],
    }
    table = pd.DataFrame(
        [(name, number, s) for name, seconds in rows.items() for number, s in enumerate(seconds)],
        columns=["contestant", "round", "seconds"],
    )
    assert estimates.fastest(table, "loop") == "loop (2 × 1 thread)"
    assert estimates.ratios(table, "loop", "stack").tolist() == [4.0, 2.0, 1.0]
    with pytest.raises(ValueError, match=r"contestant must be one of .*; got 'pool'"):
        estimates.ratios(table, "pool", "stack")


def test_ratios_are_within_a_round_of_the_same_network():
    table = pd.DataFrame(
        {
            "network": ["p", "p", "q", "q"],
            "contestant": ["b", "a", "a", "b"],
            "round": 0,
            "seconds": [6.0, 3.0, 1.0, 8.0],
        }
    )
    assert estimates.ratios(table, "b", "a").tolist() == [2.0, 8.0]


def test_quartiles_of_numbers():
    found = estimates.quartiles(np.array([5.0, 1.0, 2.0, 4.0, 3.0]))
    assert found == (3.0, 2.0, 4.0)  # the median, then the quartiles


def test_a_crew_does_a_task_once_in_each_process():
    with crew.Crew(2, 1) as two:
        assert two(operator.add, 10) == [10, 11]
        assert two(operator.mul, 3) == [0, 3]


def test_imports_are_timed_in_interpreters_of_their_own(monkeypatch):
    ran = []
    monkeypatch.setattr(imports.subprocess, "run", lambda command, **_: ran.append(command[-1]))
    table, about = imports.measure(rounds=2)
    assert ran == list(imports.STATEMENTS.values()) * 3  # a warm-up, and two rounds
    assert len(table) == 4
    assert set(about["ratios"]) == {"modlib / libraries"}


def test_the_residual_network_is_resnet_18():
    net = residual.resnet18()
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - 1000 * 513 + 10 * 513  # of 10 classes
    shapes = {}
    for name, part in net.named_children():
        part.register_forward_hook(lambda _m, _x, out, name=name: shapes.update({name: tuple(out.shape[1:])}))
    net(torch.rand(1, 3, 224, 224))
    assert [shapes[f"layer{n}"] for n in (1, 2, 3, 4)] == [
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
    ]


def test_a_report_is_timed_whole_and_its_input_gradient_both_ways(monkeypatch):
    asked, similarities = [], modlib.similarities
    monkeypatch.setattr(
        modlib, "similarities", lambda *a, **k: asked.append(k["probes"]) or similarities(*a, **k)
    )
    monkeypatch.setattr(
        report, "_apart", lambda images: {"seconds": images / 10, "channels": 256, "gib": 0.5}
    )
    monkeypatch.setattr(report, "resnet18", lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)))
    monkeypatch.setattr(report, "LAYER", "1")
    table, about = report.measure(rounds=2, few=3, images=50)
    assert asked == [None, report.PROBES] * 3  # a warm-up, and two rounds
    wholes = table[table.contestant == "whole report"]
    assert wholes.seconds.tolist() == [5.0, 5.0]
    assert (about["channels"], about["memory_gib"]) == (256, 0.5)
    assert list(about["ratios"]) == ["exact / 8 directions"]


# ---------------------------------------------------------------- records


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_records, "FOLDER", tmp_path / "benchmarks")
    return tmp_path


TABLE = pd.DataFrame({"contestant": ["a", "b"], "round": [0, 0], "seconds": [1 / 3, 2e-17]})
ABOUT = {"images": 100, "ratios": {"b / a": [0.1, None]}, "note": "×"}


def test_a_record_is_read_as_it_was_written(results):
    path = benchmark_records.write("some", "cpu", TABLE, ABOUT)
    assert path == results / "benchmarks" / "some-cpu.csv"
    found = benchmark_records.read("some", "cpu")
    pd.testing.assert_frame_equal(found.table, TABLE, check_exact=True)
    assert found.about == ABOUT
    assert found.machine["device"] == "cpu"
    assert found.machine["cores"] >= 1
    assert found.machine["cpu"]
    assert found.machine["versions"]["numpy"] == np.__version__
    assert sorted(p.name for p in path.parent.iterdir()) == ["some-cpu.csv", "some-cpu.json"]


def _alter(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda csv, _: _alter(csv, b"0.333", b"0.334"), "some-cpu.csv is not the table that some-cpu.json"),
        (lambda csv, _: csv.write_bytes(csv.read_bytes()[:-3]), "some-cpu.csv is not the table"),
        (lambda csv, _: csv.unlink(), "some-cpu.csv cannot be read"),
        (lambda _, sidecar: sidecar.unlink(), "some-cpu.json is damaged"),
        (lambda _, sidecar: sidecar.write_bytes(sidecar.read_bytes()[:40]), "some-cpu.json is damaged"),
        (lambda _, sidecar: sidecar.write_text("[]"), "some-cpu.json is damaged"),
        (lambda _, sidecar: _alter(sidecar, b'"format": 1', b'"format": 9'), "format 9, not 1"),
        (lambda _, sidecar: _alter(sidecar, b'"machine": {', b'"machine": [{'), "some-cpu.json is damaged"),
    ],
)
def test_a_damaged_record_is_refused(results, damage, message):
    benchmark_records.write("some", "cpu", TABLE, ABOUT)
    damage(*benchmark_records.paths("some", "cpu"))
    with pytest.raises(benchmark_records.RecordError, match=message):
        benchmark_records.read("some", "cpu")


def test_no_record_is_no_damage(results):
    with pytest.raises(FileNotFoundError, match="make bench"):
        benchmark_records.read("some", "cpu")


def test_writing_that_fails_half_way_leaves_nothing_that_counts(results, monkeypatch):
    benchmark_records.write("some", "cpu", TABLE, ABOUT)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="no space"):
        benchmark_records.write("some", "cpu", TABLE.assign(seconds=0.0), ABOUT)
    with pytest.raises(benchmark_records.RecordError):
        benchmark_records.read("some", "cpu")


# ---------------------------------------------------------------- the check


def measured(ratio):
    """Make up a race of three rounds whose median ratio is as given."""
    return pd.DataFrame(
        {
            "contestant": ["slow", "fast"] * 3,
            "round": [0, 0, 1, 1, 2, 2],
            "seconds": [ratio / 2, 1.0, ratio, 1.0, 2 * ratio, 1.0],
        }
    )


@pytest.fixture
def checked(results, monkeypatch):
    """Put a ratio of 6 on record; return what sets the ratios that the short and the long run will find."""
    benchmark_records.write("thing", "cpu", measured(6.0), {})
    ran = []

    def prepare(short, long):
        def run(name, ratio):
            def measure(device):
                ran.append((name, device))
                return measured(ratio)

            return measure

        thing = check.Checked((("slow", "fast"),), run("short", short), run("long", long))
        monkeypatch.setattr(check, "CHECKED", {"thing": thing})
        return ran

    return prepare


@pytest.mark.parametrize("ratio", [3.0, 6.0, 100.0])
def test_noise_trips_nothing_and_needs_no_second_look(checked, ratio):
    ran = checked(ratio, float("nan"))
    assert list(check.problems("thing", "cpu", say=lambda _: None)) == []
    assert ran == [("short", "cpu")]


def test_a_collapse_that_a_longer_run_does_not_confirm_is_noise(checked):
    ran = checked(1.0, 3.1)
    assert list(check.problems("thing", "cpu", say=lambda _: None)) == []
    assert ran == [("short", "cpu"), ("long", "cpu")]


def test_a_collapse_is_told(checked):
    checked(2.5, 2.9)
    (problem,) = check.problems("thing", "cpu", say=lambda _: None)
    assert problem == "thing-cpu: slow / fast has fallen to 2.9, below 0.5 of the 6 on record"


def test_nothing_on_record_is_a_problem(checked):
    checked(6.0, 6.0)
    (problem,) = check.problems("thing", "cuda", say=lambda _: None)
    assert "thing-cuda.csv" in problem


def test_a_damaged_record_is_a_problem(checked):
    checked(6.0, 6.0)
    benchmark_records.paths("thing", "cpu")[0].write_text("")
    (problem,) = check.problems("thing", "cpu", say=lambda _: None)
    assert "thing-cpu.csv is not the table" in problem


@pytest.mark.parametrize(("ratio", "status"), [(5.0, 0), (2.0, 1)])
def test_the_command_fails_where_a_ratio_has_collapsed(checked, ratio, status):
    checked(ratio, ratio)
    ran = CliRunner().invoke(command.main, ["check"])
    assert ran.exit_code == status
    assert ("has fallen to 2" in ran.output) == bool(status)
    wrong = CliRunner().invoke(command.main, ["check", "--only", "nothing"])
    assert wrong.exit_code == 2
    assert "--only must be one of thing; got 'nothing'" in wrong.output


def test_every_ratio_that_is_checked_is_one_that_is_measured():
    assert set(check.CHECKED) <= set(command.main.commands)
    assert check.CHECKED["training"].ratios == training.RATIOS
    assert check.CHECKED["analysis"].ratios == analysis.RATIOS


# ---------------------------------------------------------------- one network at a time


WIDTHS = [20, 12, 8, 4]


@pytest.fixture(scope="module")
def task():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(600, WIDTHS[0], generator=generator)
    teacher = torch.randn(WIDTHS[0], WIDTHS[-1], generator=generator)
    noise = torch.randn(600, WIDTHS[-1], generator=generator)
    return x, ((x - 0.5) @ teacher + 0.3 * noise).argmax(1)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("penalties", [{}, {"l2": 1e-2}, {"l1": 1e-3, "l2": 1e-5}])
@pytest.mark.parametrize("how", ["fused", "foreach"])
def test_the_loop_trains_the_network_that_the_stack_trains(task, penalties, how):
    plan = Protocol(max_epochs=40, patience=1, stop_after=3, batch=50, learning_rate=0.02)
    alone = loop.train_alone(WIDTHS, *task, seed=7, protocol=plan, how=how, **penalties)
    together = train(MLPStack.initialise(WIDTHS, seeds=[7]), *task, seeds=[7], protocol=plan, **penalties)
    assert alone.epochs == together.epochs[0] < 40
    assert alone.val_loss == pytest.approx(together.val_loss[0], rel=1e-3)
    theirs = MLPStack.from_modules([alone.net])
    for a, b in zip(theirs.weights, together.stack.weights, strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-2
    start = MLPStack.initialise(WIDTHS, seeds=[7])
    assert float((theirs.weights[0] - start.weights[0]).norm() / start.weights[0].norm()) > 0.5


def test_the_loops_dropout_is_dropout():
    torch.manual_seed(0)
    drop = loop.Dropout(0.3)
    h = torch.rand(200, 500) + 1
    silent = drop(h) == 0
    assert float(silent.float().mean()) == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(drop(h).max(), h.max() / 0.7)
    assert torch.equal(drop.eval()(h), h)
    net = loop.network(WIDTHS, 0.3, torch.device("cpu"))
    assert [type(m) for m in net] == [nn.Linear, nn.ReLU, loop.Dropout] * 2 + [nn.Linear]


def test_products_are_those_of_a_step():
    """By their number of multiplications: all layers forward and for the weights, all but one backward."""
    n, batch = 2 * 30, 200
    factors = training.factors_of_a_step(2, "cpu")
    done = sum(a.shape[0] * a.shape[1] * a.shape[2] * b.shape[2] for _, a, b, _ in factors)
    assert done == n * batch * (2 * 784 * 64 + 3 * 64 * 64 + 3 * 64 * 10)
    for _, a, b, _ in factors:  # sums of small whole numbers are exact, in whatever order a processor adds
        a.random_(8)
        b.random_(8)
    for wide in (False, True):
        training.multiply(0, 2, 1, "cpu", wide)
        for _, a, b, result in factors:
            assert torch.equal(result, a @ b)
            result.zero_()


# ---------------------------------------------------------------- base, stage by stage


@pytest.mark.usefixtures("one_thread")
def test_stages_of_base_are_the_work_of_a_sweep(tmp_path, monkeypatch):
    """What the stages find on the way is what a run of the same experiment stores."""
    monkeypatch.setattr(data, "load", functools.cache(data.load))  # half a second a call
    run_in_one_go(tmp_path)
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    stored = store.read_results(TINY)
    seen = {"train": [], "search_layers": []}

    def watched(name, **other):
        real = getattr(base, name)

        def call(*arguments, **options):
            found = real(*arguments, **options | other)
            found = list(found) if name == "search_layers" else found
            seen[name].append((options, found))
            return found

        monkeypatch.setattr(base, name, call)

    watched("train", compile=False)  # compiling is tested where training is
    watched("search_layers")
    monkeypatch.setattr(base.crew, "start", lambda *_: ThreadPoolExecutor(1))  # its processes: see above
    monkeypatch.setattr(base.catalogue, "get", lambda *_: TINY)
    table, about = base.measure("cpu", rounds=1)

    assert table.stage.tolist() == ["training", "similarity", "modules"]
    assert table["round"].tolist() == [0, 0, 0]
    assert (table.seconds > 0).all()
    assert set(about["first"]) == set(table.stage)
    assert json.loads(json.dumps(about)) == about

    trained = stored.networks[stored.networks.regularizer != "none"]
    assert about["networks"] == len(trained) == 6
    assert about["graphs"] == 6 * 2 * 8
    assert len(seen["train"]) == len(seen["search_layers"]) == 2  # the first call of each is not timed
    for options, found in seen["train"]:
        assert options["compile"]
        assert found.epochs.tolist() == trained.epochs.tolist()
        np.testing.assert_allclose(found.val_loss, trained.val_loss, rtol=1e-5)
    keys = ["network", "layer", "measure", "normalized"]
    names = dict(enumerate(trained.network))
    q = stored.modules.set_index(keys).q
    for _, found in seen["search_layers"]:
        modules = pd.concat([rows for rows, _ in found])
        ours = modules.assign(network=modules.network.astype(int).map(names)).set_index(keys).q
        assert len(ours) == about["graphs"]
        np.testing.assert_allclose(ours, q[ours.index], rtol=1e-4)


# ---------------------------------------------------------------- the method as published


@pytest.fixture(scope="module")
def small():
    """Make a network with a dead unit, images and classes, in double precision."""
    stack = MLPStack.initialise([30, 14, 11, 5], seeds=[3]).to(dtype=torch.float64)
    stack.biases[0][0, 4] = -100.0
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(160, 30, generator=generator, dtype=torch.float64)
    return stack, x, torch.randint(5, (160,), generator=generator)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("at_once", [37, 1000])
def test_similarities_as_published_are_modlibs(small, monkeypatch, at_once):
    monkeypatch.setattr(published, "IMAGES_AT_ONCE", at_once)
    stack, x, y = small
    ours, theirs = similarity(stack, x, y), published.similarities(stack.module(0), x, y)
    assert ours.keys() == theirs.keys()
    assert analysis.difference(ours, theirs) < 1e-12
    assert analysis.difference(ours, {**theirs, "output_hess": theirs["output_grad"]}) > 0.1


def test_agreement_as_published_is_modlibs(small):
    stack, x, y = small
    S = similarity(stack, x, y)
    graphs = np.stack([adjacency(S[m][0][0], normalized=n).numpy() for m in S for n in (False, True)])
    labels = np.stack([part.labels for part in published.partitions(graphs)])
    assert (labels == -1).any()
    assert (labels.max(1) > 0).all()
    pairs = np.array(list(itertools.combinations(range(len(graphs)), 2)))
    theirs = published.agreement(graphs, labels, pairs)
    ours = agreement_pairs(labels, pairs)
    for name in ("ecs", "rmi", "vi"):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-12, atol=1e-12)
    a, b = pairs.T
    np.testing.assert_allclose(theirs["transfer_ab"], transfers(graphs, labels)[a, b], atol=1e-12)
    np.testing.assert_allclose(theirs["transfer_ba"], transfers(graphs, labels)[b, a], atol=1e-12)
    np.testing.assert_allclose(theirs["rank_correlation"], rank_correlations(graphs)[a, b], atol=1e-12)
    assert (theirs["greedy"] <= ours["matching"]).all()


def test_both_searches_are_held_to_the_same_graphs(small, monkeypatch):
    """A unit that single precision loses would leave the published search an easier graph."""
    stack, x, y = small
    S = similarity(stack, x, y)
    given, partitions = [], published.partitions
    monkeypatch.setattr(published, "partitions", lambda A: given.append(A) or partitions(A))
    monkeypatch.setattr(algorithms, "MOVES", 50)
    table = analysis.qualities(S, 3)
    expected = [graphs(S, layer)[0] for layer in range(2)]
    assert [A.tolist() for A in given] == [A.tolist() for A in expected]
    for row, A in zip(table.itertuples(), itertools.chain(*expected), strict=True):
        part = algorithms.find_modules_by(A, "monte-carlo")
        assert row.q_published == part.q
        assert row.q_modlib == find_modules(A, restarts=3).q
        assert ((part.labels < 0) == ~A.any(axis=1)).all()
    weakened = {m: [layer.clone() for layer in layers] for m, layers in S.items()}
    weakened["input_cov"][0][0, 2] = weakened["input_cov"][0][0, :, 2] = 0.0  # a unit is lost
    assert analysis.qualities(weakened, 3).q_published[0] != table.q_published[0]


def test_searches_are_counted_against_the_best_known_q(monkeypatch):
    known = best_known.graphs()[:2]
    searches = {
        "perfect": lambda A, _: find_modules(A).labels.tolist(),
        "hopeless": lambda A, _: [0] * len(A),
    }
    monkeypatch.setattr(search, "SEARCHES", searches)
    table, about = search.measure(known, seeds=range(2))
    assert json.loads(json.dumps(about)) == about
    found = estimates.by_search(table).set_index("search")
    assert found.below.to_dict() == {"modlib": 0, "perfect": 0, "hopeless": 4}
    assert found.graphs.to_dict() == {"modlib": 0, "perfect": 0, "hopeless": 2}
    assert found.loc["hopeless", "lowest"] == pytest.approx(-max(g.best_known_q for g in known), abs=1e-12)
    assert (found.searches == 4).all()
    assert (found.above == 0).all()
    assert found.runs["hopeless"] > found.runs["modlib"] == 1  # given as much time
    assert found.seconds["hopeless"] >= found.seconds["modlib"]


def test_searches_of_null_draws_are_held_against_long_ones(monkeypatch):
    """Of both graphs of a measure, few restarts lose .1 and .3 of Q, whose draws have a spread of 1."""
    lost = {2: (0.1, 0.3), 20: (0.0, 0.0), 200: (0.0, 0.0)}
    q = iter([draw - lost[r][kind] for draw in range(3) for kind in range(2) for r in (2, 20, 200)])
    monkeypatch.setattr(search, "random_graphs", lambda S, _: (S, S))
    monkeypatch.setattr(search, "find_modules", lambda A, **_: SimpleNamespace(q=next(q)))
    table = search.on_nulls({"input_cov": [torch.eye(3)[None]]}, restarts=(2, 20), draws=3)
    found = estimates.shortfall(table).set_index("restarts")
    assert found.loc[2].tolist() == pytest.approx([-0.2, 0.1, -0.3])
    assert found.loc[20].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", list(search.SEARCHES))
def test_searches_find_two_cliques(name):
    A = np.kron(np.eye(2), 1 - np.eye(5)) + 0.01 * (1 - np.eye(10))
    labels = search.SEARCHES[name](A, random.Random(0))
    assert agreement(np.array(labels), np.repeat([0, 1], 5))["ecs"] == 1


def test_greedy_matching_takes_the_largest_overlap_first():
    tables = np.array([[[4, 3, 0], [3, 0, 0], [0, 0, 2]], [[5, 0, 0], [0, 1, 0], [0, 0, 1]]])
    assert published.greedy(tables).tolist() == [(4 + 2 + 0) / 12, 1.0]
    assert tables.sum() == 19  # left as they were


def test_chance_is_the_mean_over_all_orders():
    labels = np.array([[0, 0, 1, 1, 2, -1], [0, 1, 1, 1, 0, 0]])
    pairs = np.array([[0, 1]])
    found = published.chance(labels, pairs, shuffles=20_000)
    orders = [np.array([labels[0, :5], order]) for order in itertools.permutations(labels[1, :5])]
    for name in ("ecs", "rmi", "vi"):
        every = [agreement_pairs(order, pairs)[name][0] for order in orders]
        error = np.std(every) / 20_000**0.5
        assert found[name][0] == pytest.approx(np.mean(every), abs=5 * error)
    assert found["greedy"][0] < 0.8


def test_the_race_of_an_analysis_adds_up(small, monkeypatch):
    """On a small network in place of those kept; and not where similarities differ."""
    stack, x, y = small[0].to(dtype=torch.float32), small[1].float(), small[2]
    loaded = type("Data", (), {"x_test": x, "y_test": y})
    kept = {"one": stack, "two": stack}
    monkeypatch.setattr(algorithms, "MOVES", 50)
    monkeypatch.setattr(analysis.data, "load", lambda _: loaded)
    monkeypatch.setattr(analysis.store, "read_results", lambda _: type("Results", (), {"kept": kept}))
    table, modules, about = analysis.measure("cpu", rounds=2, images=100, shuffles=20, networks=1)
    wide = table.pivot(index=["network", "round"], columns="contestant", values="seconds")
    assert set(table.network) == {"one"}
    parts = wide[[f"published: {part}" for part in ("similarity", "modules", "metrics", "shuffles")]]
    np.testing.assert_allclose(wide["published: whole"], parts.sum(axis=1))
    assert set(about["ratios"]) == {f"{slow} / {fast}" for slow, fast in analysis.RATIOS}
    assert about["shuffles"] == {"run": 20, "scaled_to": 5000}
    assert 0 < about["similarities_apart"] < 1e-5
    assert len(modules) == 16
    assert np.allclose(modules.gain, modules.q_modlib - modules.q_published)
    assert json.loads(json.dumps(about)) == about

    other = published.similarities(stack.module(0), 1.001 * x[:100], y[:100])
    monkeypatch.setattr(published, "similarities", lambda *_: other)
    with pytest.raises(RuntimeError, match="one: similarities of the two methods differ by"):
        analysis.measure("cpu", rounds=1, images=100, shuffles=20)
