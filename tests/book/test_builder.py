"""The build of the book, on a small book of two notebooks."""

import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from modlib.book import builder
from modlib.book.builder import BookError, build, clean
from modlib.paper import published
from modlib.study import runner

PARAMETERS = 'profile = "quick"  # or "paper"\nunits: int = 3'
BODY = "import os, sys\nprint(profile, units * 2)\nprint(os.path.basename(os.getcwd()), file=sys.stdout)"


def notebook(title, body=BODY, parameters=PARAMETERS):
    cells = [nbformat.v4.new_markdown_cell(f"# {title}\n\nThe value is {{num}}`value:.1f`.")]
    if parameters:
        cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells.append(nbformat.v4.new_code_cell(body))
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    return made


def write_book(root):
    (root / "notebooks").mkdir(parents=True)
    (root / "results" / "base-paper").mkdir(parents=True)
    (root / "results" / "base-paper" / "manifest.json").write_text('{"rows": 1}')
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/executed/index\nchapters:\n  - file: book/executed/second\n"
        "  - file: book/prose\n"
    )
    (root / "_config.yml").write_text(
        "title: Small\nonly_build_toc_files: true\nexclude_patterns: ['notebooks/**']\n"
        "execute: {execute_notebooks: 'off'}\nhtml: {use_multitoc_numbering: false}\n"
        "sphinx: {extra_extensions: [modlib.book.sphinx]}\n"
    )
    (root / "book").mkdir()
    (root / "book" / "prose.md").write_text("# Prose\n\nNothing to run.\n")
    for name in ("index", "second"):
        nbformat.write(notebook(name.title()), root / "notebooks" / f"{name}.ipynb")
    return root


def numbers(profile):
    return {"value": {"quick": 1.0, "paper": 2.0}[profile]}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Return a small book and a list that fills with the names of the notebooks that were run."""
    ran = []
    run = builder._run

    def record(root, scratch, plan, environment):
        ran.append(plan.name)
        return run(root, scratch, plan, environment)

    monkeypatch.setattr(builder, "_run", record)
    monkeypatch.setattr(builder, "_code", lambda root: "the code, which these tests do not change")
    monkeypatch.setattr(builder, "_render", lambda root, out: out / "_build" / "html")
    monkeypatch.setattr(builder, "_prepare", lambda profile: None)
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "small" / "results"))
    return write_book(tmp_path / "small"), ran


def executed(root):
    return {path.name: path.read_bytes() for path in sorted((root / "book" / "executed").iterdir())}


def text_of(root, name):
    """Return what the last cell of an executed notebook printed."""
    cells = nbformat.read(root / "book" / "executed" / f"{name}.ipynb", 4).cells
    return cells[-1].outputs[0].text


def test_notebooks_are_run_with_the_profile_in_the_root_of_the_book(small):
    root, ran = small
    build("paper", root=root, numbers=numbers)
    assert sorted(ran) == ["index", "second"]
    assert text_of(root, "index") == "paper 6\nsmall\n"
    assert json.loads((root / "book/executed/numbers.json").read_text()) == {"value": 2.0}
    timings = json.loads((root / "book/executed/timings.json").read_text())
    assert set(timings) == {"index", "second"}
    assert all(0 < seconds < 300 for seconds in timings.values())


def test_only_what_changed_is_run_again(small):
    root, ran = small
    build("paper", root=root, numbers=numbers)
    before = {path: path.stat().st_mtime_ns for path in (root / "book" / "executed").iterdir()}

    def not_again(profile):
        raise AssertionError("the numbers did not change")

    ran.clear()
    build("paper", root=root, numbers=not_again)
    assert ran == []
    assert {path: path.stat().st_mtime_ns for path in before} == before

    nbformat.write(notebook("Second", BODY + "\nprint('more')"), root / "notebooks" / "second.ipynb")
    build("paper", root=root, numbers=numbers)
    assert ran == ["second"]
    assert text_of(root, "second").endswith("more\n")

    ran.clear()
    (root / "results/base-paper/manifest.json").write_text('{"rows": 2}')
    build("paper", root=root, numbers=lambda profile: {"value": 3.0})
    assert sorted(ran) == ["index", "second"]
    assert json.loads((root / "book/executed/numbers.json").read_text()) == {"value": 3.0}


def test_changed_code_runs_everything_again(small, monkeypatch):
    root, ran = small
    build("paper", root=root, numbers=numbers, only=["index"])
    ran.clear()
    monkeypatch.setattr(builder, "_code", lambda root: "other code")
    build("paper", root=root, numbers=numbers, only=["index"])
    assert ran == ["index"]


def test_the_code_is_every_module_and_the_pinned_versions(tmp_path):
    before = builder._code(tmp_path)
    assert builder._code(tmp_path) == before
    (tmp_path / "requirements.txt").write_text("numpy==1\n")
    assert builder._code(tmp_path) != before


def test_results_of_another_profile_are_no_change(small):
    root, ran = small
    build("paper", root=root, numbers=numbers, only=["index"])
    ran.clear()
    (root / "results" / "base-quick").mkdir()
    (root / "results" / "base-quick" / "manifest.json").write_text("{}")
    build("paper", root=root, numbers=numbers, only=["index"])
    assert ran == []


def test_results_that_a_notebook_stores_itself_are_no_change(small):
    root, ran = small
    body = (
        "import pathlib\nfolder = pathlib.Path('results/base-quick')\nfolder.mkdir(exist_ok=True)\n"
        "(folder / 'manifest.json').write_text('{}')"
    )
    nbformat.write(notebook("Index", body), root / "notebooks" / "index.ipynb")
    build("quick", root=root, numbers=numbers, only=["index"])
    assert (root / "results/base-quick/manifest.json").is_file()
    ran.clear()
    build("quick", root=root, numbers=numbers, only=["index"])
    assert ran == []


def test_the_tables_are_prepared_once_before_any_notebook_runs(small):
    root, ran = small
    prepared = []

    def prepare(profile):
        assert ran == []
        prepared.append(profile)

    build("quick", root=root, numbers=numbers, prepare=prepare)
    assert prepared == ["quick"]
    assert len(ran) == 2
    build("quick", root=root, numbers=numbers, prepare=prepare)  # nothing to run, so nothing to prepare
    assert prepared == ["quick"]


def test_a_preparation_that_fails_stops_the_build_before_any_notebook_runs(small):
    root, ran = small

    def prepare(profile):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        build("quick", root=root, numbers=numbers, prepare=prepare)
    assert ran == []


def test_only_the_quick_tables_are_computed_unasked(monkeypatch):
    asked = []
    monkeypatch.setattr(runner, "run", lambda experiment, **options: asked.append((experiment, options)))
    builder._prepare("paper")
    assert asked == []
    builder._prepare("quick")
    names = ("base", "close-up", "labels-kept", "labels-shuffled")
    assert asked == [(name, {"profile": "quick", "long": True}) for name in names]


def test_results_are_hashed_where_they_are_read_from(tmp_path, monkeypatch):
    """The cache key follows $MODLIB_RESULTS, this profile's manifests, and the paper's published values."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(published, "FOLDER", tmp_path / "published")
    hashes = [builder._results("paper")]
    for name, text, changes in [
        ("results/base-paper/manifest.json", "1", True),
        ("results/base-paper/manifest.json", "2", True),
        ("results/base-v1-paper/manifest.json", "2", True),
        ("results/base-quick/manifest.json", "1", False),
        ("results/base-paper/shards/seed-000.zip", "1", False),
        ("published/q.csv", "q\n1\n", True),
        ("published/q.csv", "q\n2\n", True),
        ("published/README.md", "prose", False),
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        hashes.append(builder._results("paper"))
        assert (hashes[-1] != hashes[-2]) == changes, name
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "elsewhere"))
    assert builder._results("paper") not in hashes


def test_going_back_to_a_profile_runs_nothing(small):
    root, ran = small
    build("paper", root=root, numbers=numbers)
    paper = executed(root)
    build("quick", root=root, numbers=numbers)
    assert text_of(root, "index").startswith("quick")
    assert json.loads((root / "book/executed/numbers.json").read_text()) == {"value": 1.0}
    ran.clear()
    build("paper", root=root, numbers=numbers)
    assert ran == []
    assert executed(root) == paper


def test_two_machines_write_the_same_bytes(small, tmp_path):
    root, ran = small
    build("paper", root=root, numbers=numbers)
    first = {name: text for name, text in executed(root).items() if name != "timings.json"}
    other = write_book(tmp_path / "elsewhere" / "small")
    build("paper", root=other, numbers=numbers, jobs=1)
    second = {name: text for name, text in executed(other).items() if name != "timings.json"}
    assert first == second
    build("paper", root=root, numbers=numbers, force=True)
    assert len(ran) == 6
    assert {name: text for name, text in executed(root).items() if name != "timings.json"} == first
    everything = b"".join(first.values()).decode()
    for trace in (
        str(tmp_path),
        str(Path.home()),
        sys.prefix,
        "start_time",
        "papermill",
        sys.version.split()[0],
    ):
        assert trace not in everything


def test_a_notebook_that_fails_stops_the_build_and_leaves_the_last_good_one(small):
    root, ran = small
    build("paper", root=root, numbers=numbers)
    good = executed(root)
    nbformat.write(notebook("Index", "left = 1\nleft / 0"), root / "notebooks" / "index.ipynb")
    nbformat.write(notebook("Second", "print('new')"), root / "notebooks" / "second.ipynb")
    with pytest.raises(BookError) as failure:
        build("paper", root=root, numbers=numbers)
    message = str(failure.value)
    assert "notebooks/index.ipynb failed in cell 3" in message
    assert "left / 0" in message
    assert "ZeroDivisionError" in message
    assert "\x1b" not in message
    assert executed(root) == good

    ran.clear()
    nbformat.write(notebook("Index"), root / "notebooks" / "index.ipynb")
    build("paper", root=root, numbers=numbers)
    assert ran == ["index"]  # the one that had not failed is kept
    assert text_of(root, "second") == "new\n"


def test_a_parameter_that_the_notebook_does_not_have_is_refused_before_anything_runs(small):
    root, ran = small
    nbformat.write(notebook("Second", parameters="profil = 'quick'"), root / "notebooks" / "second.ipynb")
    with pytest.raises(BookError, match=r"notebooks/second\.ipynb has no parameter named profile"):
        build("paper", root=root, numbers=numbers)
    assert ran == []


def test_a_notebook_that_is_listed_but_not_there_is_refused(small):
    root, _ = small
    (root / "notebooks" / "second.ipynb").unlink()
    with pytest.raises(BookError, match=r"no notebooks/second\.ipynb"):
        build("paper", root=root, numbers=numbers)


@pytest.mark.parametrize(
    ("profile", "options", "complaint"),
    [
        ("large", {}, "profile must be one of quick, paper, not 'large'"),
        ("paper", {"only": ["third"]}, "only must name chapters out of index, second, not third"),
        ("paper", {"jobs": 0}, "jobs must be at least 1, not 0"),
    ],
)
def test_arguments_are_checked(small, profile, options, complaint):
    root, ran = small
    with pytest.raises(ValueError, match=complaint):
        build(profile, root=root, numbers=numbers, **options)
    assert ran == []


def test_a_folder_without_a_book_is_refused(tmp_path):
    with pytest.raises(BookError, match=r"no _toc\.yml"):
        build("paper", root=tmp_path, numbers=numbers)


def test_a_chapter_is_run_by_itself_and_rendered_once_the_others_are_there(small):
    root, ran = small
    assert build("paper", root=root, numbers=numbers, only=["second"]) == root / "book" / "executed"
    assert ran == ["second"]
    build("paper", root=root, numbers=numbers)
    assert sorted(ran) == ["index", "second"]
    assert build("paper", root=root, numbers=numbers, only=["second"]) == root / "_build" / "html"


def test_notebooks_run_in_the_interpreter_of_the_build(small, monkeypatch, tmp_path):
    """A user's own kernel of the name python3, here one that cannot start, is not taken."""
    decoy = tmp_path / "personal" / "kernels" / "python3"
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text(
        '{"argv": ["/nowhere/python"], "display_name": "no", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "personal"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("EXPECTED_PREFIX", sys.prefix)
    root, _ = small
    body = "import os, sys\nprint(sys.prefix == os.environ['EXPECTED_PREFIX'])"
    nbformat.write(notebook("Index", body), root / "notebooks" / "index.ipynb")
    build("paper", root=root, numbers=numbers, only=["index"])
    assert text_of(root, "index") == "True\n"


# --- cleaning


def ran_notebook(parameters):
    made = notebook("One", parameters=parameters)
    injected = nbformat.v4.new_code_cell(
        '# Parameters\nprofile = "paper"\n', metadata={"tags": ["injected-parameters"]}
    )
    made.cells.insert(2, injected)
    made.metadata.papermill = {"input_path": "/somewhere/one.ipynb", "start_time": "2020-01-01T00:00:00"}
    for count, cell in enumerate(made.cells):
        cell.metadata.papermill = {"duration": 0.1}
        if cell.cell_type == "code":
            cell.execution_count = count
    return made


def test_the_page_shows_the_parameters_that_were_run_with_their_comments():
    cleaned = clean(ran_notebook(PARAMETERS), {"profile": "paper"})
    assert [cell.cell_type for cell in cleaned.cells] == ["markdown", "code", "code"]
    assert cleaned.cells[1].source == 'profile = "paper"  # or "paper"\nunits: int = 3'
    assert "papermill" not in json.dumps(cleaned)


def test_a_value_that_cannot_be_written_into_the_parameters_keeps_its_own_cell():
    cleaned = clean(ran_notebook("units = 3"), {"profile": "paper"})
    assert [cell.source for cell in cleaned.cells][1:3] == ["units = 3", '# Parameters\nprofile = "paper"\n']


def test_streams_are_joined_and_progress_bars_go_but_warnings_stay():
    made = ran_notebook(PARAMETERS)

    def stream(name, text):
        return nbformat.v4.new_output("stream", name=name, text=text)

    made.cells[-1].outputs = [
        stream("stdout", "a\n"),
        stream("stderr", "\r 10%"),
        stream("stderr", "\r100%\n"),
        stream("stdout", "b\n"),
        stream("stderr", "UserWarning: odd\n"),
    ]
    outputs = clean(made, {"profile": "paper"}).cells[-1].outputs
    assert [(one.name, one.text) for one in outputs] == [
        ("stdout", "a\nb\n"),
        ("stderr", "UserWarning: odd\n"),
    ]


def test_cell_identifiers_do_not_differ_from_run_to_run():
    one, two = (clean(ran_notebook(PARAMETERS), {"profile": "paper"}) for _ in range(2))
    assert nbformat.writes(one) == nbformat.writes(two)
    assert len({cell.id for cell in one.cells}) == len(one.cells)


# --- rendering


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    root = write_book(tmp_path_factory.mktemp("book") / "small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODLIB_RESULTS", str(root / "results"))
        patch.setattr(builder, "_prepare", lambda profile: None)
        assert build("quick", root=root, numbers=numbers) == root / "_build" / "html"
        yield root


def html(root, name):
    return (root / "_build" / "html" / "book" / f"{name}.html").read_text()


def test_the_site_shows_the_run_notebooks_and_their_numbers(rendered):
    assert "quick 6" in html(rendered, "executed/index")
    assert '<span class="num" title="value">1.0</span>' in html(rendered, "executed/second")
    assert (rendered / "_build" / "html" / "index.html").is_file()


def test_a_warning_fails_the_build_and_goes_on_failing_until_it_is_mended(rendered, tmp_path, capsys):
    root = Path(shutil.copytree(rendered, tmp_path / "small"))
    good = (root / "book" / "prose.md").read_text()
    (root / "book" / "prose.md").write_text(f"{good}\nA {{num}}`nothing`.\n")
    for _ in range(2):  # Sphinx itself passes the second time: it does not read an unchanged page again
        with pytest.raises(BookError, match="unknown number 'nothing'"):
            build("quick", root=root, numbers=numbers)
    (root / "book" / "prose.md").write_text(good)
    build("quick", root=root, numbers=numbers)
    assert "index.html" in capsys.readouterr().out


def test_a_number_that_changes_reaches_the_page(rendered, tmp_path):
    root = Path(shutil.copytree(rendered, tmp_path / "small"))
    build("quick", root=root, numbers=lambda profile: {"value": 7.25}, force=True)
    assert '<span class="num" title="value">7.2</span>' in html(root, "executed/index")
