"""The command line: what it says when all is well, and one line and no traceback when it is not."""

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny import TINY, run_in_one_go

from modlib import __main__ as cli
from modlib import data
from modlib.book import builder, on_record
from modlib.book.chapters.index import charts
from modlib.study import catalogue, runner, store
from modlib.study.files import StoreError
from modlib.study.runner import LongRunError


def call(*words):
    return CliRunner().invoke(cli.main, words)


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([], ["data", "run", "report", "book", "pdf", "teach", "check"]),
        (["data"], ["mnist", "verify"]),
        (["run"], ["base-v1", "--profile", "quick|paper", "auto|cpu|cuda", "--workers", "--scheduler"]),
        (["recompute"], ["base-v1", "weights", "Exits", "1"]),
        (
            ["report"],
            ["FILE:FUNCTION", "--layer", "--data", "--save", "--untrained", "cross_entropy|bce|mse"],
        ),
        (["chapter"], ["CHAPTER", "FILE", "--parameter", "default: paper"]),
        (["book"], ["--only", "--force", "--jobs", "default: paper"]),
        (["pdf"], ["site", "one PDF"]),
        (["teach"], ["--no-pdf", "Chromium", "make book"]),
        (["check"], ["--write", "exits", "1"]),
    ],
)
def test_help_names_what_can_be_given(command, said):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert [word for word in said if word not in result.output] == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "bass"], [*catalogue.EXPERIMENTS, "bass"]),
        (["run", "base", "--profile", "large"], [*catalogue.PROFILES, "large"]),
        (["run", "base", "--device", "tpu"], ["auto", "cpu", "cuda", "tpu"]),
        (["run", "base", "--workers", "-1"], ["x>=0", "-1"]),
        (["recompute", "bass"], [*catalogue.EXPERIMENTS, "bass"]),
        (["book", "--profile", "large"], [*catalogue.PROFILES, "large"]),
        (["book", "--jobs", "0"], ["x>=1", "0"]),
        (["chapter", "trainings", "out.ipynb"], ["trainings", "training", "regularisation"]),
        (["data", "minst"], [*data.available(), "minst"]),
        (["rum"], ["rum"]),
    ],
)
def test_what_is_not_allowed_is_refused_naming_what_is(words, named, monkeypatch):
    for module, name in ((runner, "run"), (builder, "build"), (data, "fetch")):
        monkeypatch.setattr(module, name, raising(AssertionError("nothing is to be started")))
    result = call(*words)
    assert result.exit_code == 2
    assert [word for word in named if word not in result.output] == []


ERRORS = [
    LongRunError("base at profile paper: 370 networks to compute, about 9.0 h"),
    StoreError("manifest.json is damaged; restore it"),
    OSError("no space left on device"),
    RuntimeError("a worker ended abruptly"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        (runner, "run", ["run", "base"]),
        (store, "read_results", ["recompute", "base"]),
        (builder, "build", ["book"]),
        (builder, "run_chapter", ["chapter", "training", "out.ipynb"]),
        (on_record, "problems", ["check"]),
        (on_record, "write", ["check", "--write"]),
    ],
)
def test_errors_that_a_user_can_mend_take_one_line(module, name, words, error, monkeypatch):
    monkeypatch.setattr(module, name, raising(error))
    result = call(*words)
    assert result.exit_code == 1
    assert result.output.splitlines() == [f"Error: {error}"]
    assert isinstance(result.exception, SystemExit)


def test_a_full_disk_is_told_with_what_can_be_done(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/scratch")
    monkeypatch.setattr(runner, "run", raising(OSError(errno.ENOSPC, "No space left", "/scratch/a")))
    (line,) = call("run", "base").output.splitlines()
    assert "No space left: '/scratch/a': make room there or in /scratch, or let MOD" in line


def test_an_error_of_the_code_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(runner, "run", raising(KeyError("q")))
    assert isinstance(call("run", "base").exception, KeyError)


def test_data_prints_where_the_files_are(monkeypatch):
    asked = []

    def fetch(name):
        asked.append(name)
        return [Path("cache") / name / part for part in ("images.gz", "labels.gz")]

    monkeypatch.setattr(data, "fetch", fetch)
    result = call("data", "mnist")
    assert (result.exit_code, asked) == (0, ["mnist"])
    assert result.output.split() == ["cache/mnist/images.gz", "cache/mnist/labels.gz"]
    asked.clear()
    assert call("data").exit_code == 0
    assert asked == list(data.available())


def test_data_that_cannot_be_fetched_is_named(monkeypatch):
    monkeypatch.setattr(data, "fetch", raising(OSError("no source answered")))
    result = call("data", "mnist")
    assert (result.exit_code, result.output) == (1, "Error: mnist: no source answered\n")


def test_run_passes_its_options_on_and_says_how_many_networks_are_where(monkeypatch, tmp_path):
    asked = {}

    class Found:
        networks = range(7)

    def run(experiment, **options):
        asked.update(options, experiment=experiment)
        return Found

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    result = call("run", "base-v1", "--profile", "quick", "--device", "cpu", "--workers", "0")
    assert result.exit_code == 0, result.output
    expected = {"profile": "quick", "device": "cpu", "workers": 0, "scheduler": None, "long": True}
    assert asked == expected | {"experiment": "base-v1"}
    assert result.output == f"7 networks in {tmp_path / 'base-v1-quick'}\n"


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        (["--profile", "paper"], ["book/hero.svg"]),
        (["--profile", "paper", "--only", "training"], []),
        (["--profile", "quick"], []),
    ],
)
def test_the_picture_of_the_readme_is_drawn_from_a_whole_book_only(words, drawn, monkeypatch):
    built, files = [], []
    monkeypatch.setattr(builder, "build", lambda profile, **options: built.append((profile, options["only"])))
    monkeypatch.setattr(runner, "run", lambda *_, **__: None)
    monkeypatch.setattr(charts, "save_hero", lambda results, path: files.append(path.as_posix()))
    result = call("book", *words)
    assert result.exit_code == 0, result.output
    assert built == [(words[1], tuple(words[3:]))]
    assert files == drawn


def test_a_chapter_gets_its_parameters_as_numbers_where_they_are(monkeypatch):
    asked = []
    monkeypatch.setattr(builder, "run_chapter", lambda *words: asked.append(words))
    result = call("chapter", "training", "out.ipynb", "-p", "seed", "3", "-p", "dropout", "0.5")
    assert result.exit_code == 0, result.output
    result = call("chapter", "chance", "out.ipynb", "--profile", "quick", "-p", "name", "new")
    assert result.exit_code == 0, result.output
    assert asked == [
        ("training", Path("out.ipynb"), {"profile": "paper", "seed": 3, "dropout": 0.5}),
        ("chance", Path("out.ipynb"), {"profile": "quick", "name": "new"}),
    ]


def test_check_says_what_does_not_match_and_fails(monkeypatch):
    monkeypatch.setattr(on_record, "summary", raising(AssertionError("all is not well")))
    monkeypatch.setattr(on_record, "problems", lambda: ["one is wrong", "another is missing"])
    result = call("check")
    assert (result.exit_code, result.output) == (1, "one is wrong\nanother is missing\n")


def test_check_ends_well_with_one_line_and_writes_nothing(monkeypatch):
    monkeypatch.setattr(on_record, "write", raising(AssertionError("nothing is to be written")))
    monkeypatch.setattr(on_record, "problems", lambda: [])
    monkeypatch.setattr(on_record, "summary", lambda: "two verdicts are what the tables say")
    result = call("check")
    assert (result.exit_code, result.output) == (0, "two verdicts are what the tables say\n")


def test_check_writes_when_asked_and_says_what(monkeypatch):
    monkeypatch.setattr(on_record, "problems", raising(AssertionError("there is nothing to compare with")))
    monkeypatch.setattr(on_record, "write", lambda: [Path("a.csv"), Path("b.json")])
    result = call("check", "--write")
    assert (result.exit_code, result.output) == (0, "a.csv\nb.json\n")


def test_q_of_stored_weights_is_computed_again_and_a_difference_is_named(tmp_path, monkeypatch):
    run_in_one_go(tmp_path)
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path))
    monkeypatch.setitem(catalogue.EXPERIMENTS, "base", {"quick": TINY, "paper": TINY})
    result = call("recompute", "base")
    n_graphs = 16 * 2  # of a trained network and an untrained one
    assert result.exit_code == 0
    assert result.output == (
        f"Q of {n_graphs} graphs of 2 networks computed again: {n_graphs} as stored, 0 not\n"
    )
    read = store.read_results

    def altered(experiment):
        found = read(experiment)
        found.modules.loc[found.modules.network == "dropout=0.25,seed=4", "q"] += 2e-9
        return found

    monkeypatch.setattr(store, "read_results", altered)
    result = call("recompute", "base")
    *named, said = result.output.splitlines()
    assert result.exit_code == 1
    assert said.endswith("16 as stored, 16 not")
    assert named[0].startswith("dropout=0.25,seed=4, layer 1, input_cov, raw: ")
    assert len(named) == 16
