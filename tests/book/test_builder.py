"""The build of the book, on a small book of two notebooks with a package and a chapter of its own."""

import contextlib
import errno
import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest

from modlib.book import builder, numbers
from modlib.book import chapters as chapters_of_the_book
from modlib.book.builder import BookError, ChapterError, build, execution, run_chapter
from modlib.book.builder.cache import Cache, chapters, results_digest
from modlib.book.builder.cleaning import clean
from modlib.paper import published
from modlib.study import runner

PARAMETERS = 'profile = "quick"  # or "paper"\nunits: int = 3'
BODY = "import os, sys\nprint(profile, units * 2)\nprint(os.path.basename(os.getcwd()), file=sys.stdout)"
#: Begins each notebook, so that a test sees which were run.
RAN = "with open('ran.txt', 'a') as file: print('{}', file=file)\n"
TABLES = '''
"""A chapter of which the pages cite a number."""

import pandas as pd
from modlib.book.numbers import offered

@offered("profile")
def sizes(profile):
    """How large things are."""
    with open("computed.txt", "a") as file:
        file.write(profile)
    return pd.DataFrame({"profile": ["any"], "value": [{"quick": 1.0, "paper": 2.0}[profile]]})
'''
EXTENSION = '''
"""Let the chapters of this folder be among those of the book."""

from pathlib import Path

from modlib.book import chapters

chapters.__path__.append(str(Path(__file__).parent / "chapters"))


def setup(app):
    return {"parallel_read_safe": True}
'''


def notebook(title, body=BODY, parameters=PARAMETERS):
    text = f"# {title}\n\nThe value is {{num}}`toy.sizes[any].value:.1f`."
    cells = [nbformat.v4.new_markdown_cell(text)]
    if parameters:
        cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells.append(nbformat.v4.new_code_cell(RAN.format(title.lower()) + body))
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    return made


def write_notebook(root, name, body=BODY, **options):
    nbformat.write(notebook(name.title(), body, **options), root / "notebooks" / f"{name}.ipynb")


def write_book(root):
    for folder in ("notebooks", "results/base-paper", "book", "chapters/toy"):
        (root / folder).mkdir(parents=True)
    (root / "results" / "base-paper" / "manifest.json").write_text('{"rows": 1}')
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/executed/index\nchapters:\n  - file: book/executed/second\n"
        "  - file: book/prose\n"
    )
    (root / "_config.yml").write_text(
        "title: Small\nonly_build_toc_files: true\nexclude_patterns: ['notebooks/**']\n"
        "execute: {execute_notebooks: 'off'}\nhtml: {use_multitoc_numbering: false}\n"
        "sphinx:\n  extra_extensions: [modlib.book.sphinx]\n  local_extensions: {toy_chapters: .}\n"
    )
    (root / "toy_chapters.py").write_text(EXTENSION)
    (root / "chapters" / "toy" / "__init__.py").touch()
    (root / "chapters" / "toy" / "tables.py").write_text(TABLES)
    (root / "book" / "prose.md").write_text("# Prose\n\nNothing to run.\n\n```{sources}\n```\n")
    for name in ("index", "second"):
        write_notebook(root, name)
    return root


def use(root, patch):
    """Let this process build a small book: results, chapters and working folder are its own."""
    patch.setenv("MODLIB_RESULTS", str(root / "results"))
    patch.setattr(chapters_of_the_book, "__path__", [str(root / "chapters"), *chapters_of_the_book.__path__])
    patch.chdir(root)
    forget_chapter(patch)


def forget_chapter(patch):
    """Let the chapter be imported anew, as another process would."""
    patch.setattr(numbers, "OFFERED", {})
    for name in ("toy", "toy.tables"):
        sys.modules.pop(f"modlib.book.chapters.{name}", None)


def execute_here(notebooks, root, *, jobs):
    """Run notebooks in this process, which takes no time."""
    for one in notebooks:
        found = nbformat.read(one.source, 4)
        names, printed = dict(one.parameters), io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(found.cells[-1].source, {"units": 3} | names)
        found.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed.getvalue())]
        yield one, execution.Executed(clean(found, one.parameters), 0.1, [])


@pytest.fixture
def with_kernels(tmp_path, monkeypatch):
    """Return a small book whose pages are not rendered."""
    root = write_book(tmp_path / "small")
    use(root, monkeypatch)
    # Python tells by a file's second and size whether to compile it anew, and a test may change neither.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(builder, "render", lambda root, out: out / "_build" / "html")
    return root


@pytest.fixture
def small(with_kernels, monkeypatch):
    """Return a small book whose pages are not rendered and whose notebooks are run without kernels."""
    monkeypatch.setattr(builder, "execute", execute_here)
    return with_kernels


def ran(root):
    """Return which notebooks were run since this was last asked, sorted."""
    file = root / "ran.txt"
    names = sorted(file.read_text().split()) if file.is_file() else []
    file.unlink(missing_ok=True)
    return names


def computed(root):
    """Return for which profiles the table was computed since this was last asked."""
    file = root / "computed.txt"
    profiles = file.read_text() if file.is_file() else ""
    file.unlink(missing_ok=True)
    return profiles


def executed(root):
    return {path.name: path.read_bytes() for path in sorted((root / "book" / "executed").iterdir())}


def cited_numbers(root):
    """Return the published numbers, without the profile that they are of."""
    found = json.loads((root / "book" / "executed" / "numbers.json").read_text())
    assert found.pop("profile") in ("quick", "paper")
    return found


def text_of(root, name):
    """Return what the last cell of an executed notebook printed."""
    cells = nbformat.read(root / "book" / "executed" / f"{name}.ipynb", 4).cells
    return "".join(output.text for output in cells[-1].outputs)


def test_notebooks_are_run_with_the_profile_in_the_root_of_the_book(with_kernels):
    build("paper", root=with_kernels, prepare=print)
    assert ran(with_kernels) == ["index", "second"]
    assert text_of(with_kernels, "index") == "paper 6\nsmall\n"
    assert cited_numbers(with_kernels) == {"toy.sizes[any].value": 2.0}
    timings = json.loads((with_kernels / "book/executed/timings.json").read_text())
    assert set(timings) == {"index", "second"}
    assert all(0 < seconds < 300 for seconds in timings.values())


def test_only_what_changed_is_made_again(small, monkeypatch):
    build("paper", root=small)
    before = {path: path.stat().st_mtime_ns for path in (small / "book" / "executed").iterdir()}
    assert (ran(small), computed(small)) == (["index", "second"], "paper")

    build("paper", root=small)
    assert (ran(small), computed(small)) == ([], "")
    assert {path: path.stat().st_mtime_ns for path in before} == before

    write_notebook(small, "second", BODY + "\nprint('more')")
    build("paper", root=small)
    assert (ran(small), computed(small)) == (["second"], "")
    assert text_of(small, "second").endswith("more\n")

    (small / "results/base-paper/manifest.json").write_text('{"rows": 2}')
    forget_chapter(monkeypatch)
    build("paper", root=small)
    assert (ran(small), computed(small)) == (["index", "second"], "paper")


def test_numbers_are_computed_again_when_their_chapter_or_what_is_cited_changes(small, monkeypatch):
    build("paper", root=small, only=["index"])
    computed(small)
    ran(small)
    tables = small / "chapters" / "toy" / "tables.py"
    tables.write_text(TABLES.replace("2.0", "3.0"))
    forget_chapter(monkeypatch)
    build("paper", root=small, only=["index"])
    assert (ran(small), computed(small)) == ([], "paper")
    assert cited_numbers(small) == {"toy.sizes[any].value": 3.0}

    (small / "book" / "prose.md").write_text("# Prose\n\nIt is {word}`toy.sizes[any].profile`.\n")
    forget_chapter(monkeypatch)
    build("paper", root=small, only=["index"])
    assert (ran(small), computed(small)) == ([], "paper")
    assert cited_numbers(small) == {"toy.sizes[any].profile": "any", "toy.sizes[any].value": 3.0}


@pytest.fixture
def packaged(with_kernels, monkeypatch):
    """Give the small book a package of its own, which its kernels import in place of the real one."""
    small = with_kernels
    monkeypatch.setenv("PYTHONPATH", str(small))
    package = small / "modlib"
    (package / "chapters").mkdir(parents=True)
    for name in ("__init__", "theme", "unused", "chapters/__init__"):
        (package / f"{name}.py").touch()
    (package / "theme.yaml").write_text("colour: blue\n")
    for name in ("index", "second"):
        (package / "chapters" / f"{name}.py").write_text("def draw():\n    from modlib import theme\n")
        write_notebook(small, name, f"from modlib.chapters import {name}\n{name}.draw()")
    build("paper", root=small)
    ran(small)
    return small


def test_a_changed_module_runs_the_notebooks_that_imported_it(packaged, monkeypatch):
    """Whether a notebook is current is asked without running it: what it imported is on record."""
    records = json.loads((packaged / "_build/executed/paper/inputs.json").read_text())
    assert records["second.ipynb"]["imported"] == [
        "modlib/__init__.py", "modlib/chapters/__init__.py", "modlib/chapters/second.py", "modlib/theme.py",
    ]  # fmt: skip
    for name in ("index.ipynb", "second.ipynb"):
        assert str(packaged) not in json.dumps(records[name])
    cache = Cache(packaged / "_build/executed/paper", packaged)

    def stale():
        notebooks = [builder.notebook(packaged, name, "paper") for name in ("index", "second")]
        results = results_digest("paper")
        return [one.name for one in notebooks if not cache.is_current(one.output, one.inputs, results)]

    assert stale() == []
    for touched, expected in {
        "chapters/second.py": ["second"],
        "theme.py": ["index", "second"],
        "theme.yaml": ["index", "second"],  # data that lie beside a module
        "unused.py": [],
    }.items():
        path = packaged / "modlib" / touched
        before = path.read_text()
        path.write_text(before + "# one character more\n")
        assert stale() == expected, touched
        path.write_text(before)
    (packaged / "modlib" / "chapters" / "second.py").unlink()
    assert stale() == ["second"]


def test_a_notebook_of_which_nobody_knows_what_it_imported_is_run(small, monkeypatch):
    def forgetful(*arguments, **options):
        for one, done in execute_here(*arguments, **options):
            yield one, replace(done, imported=None)

    monkeypatch.setattr(builder, "execute", forgetful)
    build("paper", root=small, only=["index"])
    ran(small)
    build("paper", root=small, only=["index"])
    assert ran(small) == ["index"]


def test_other_versions_run_everything_again(small):
    build("paper", root=small, only=["index"])
    (small / "requirements.txt").write_text("numpy==1\n")
    ran(small)
    build("paper", root=small, only=["index"])
    assert ran(small) == ["index"]


@pytest.mark.parametrize("name", ["index.ipynb", "numbers-toy.json", "inputs.json"])
def test_what_is_damaged_in_the_cache_is_made_again(small, monkeypatch, name):
    build("paper", root=small, only=["index"])
    good = executed(small)
    for content in ("", "no notebook", "[]", '{"index.ipynb": 1}'):
        ran(small)
        (small / "_build" / "executed" / "paper" / name).write_text(content)
        forget_chapter(monkeypatch)
        build("paper", root=small, only=["index"])
        assert ran(small) == ([] if name == "numbers-toy.json" else ["index"])
        assert executed(small) == good


def test_results_of_another_profile_are_no_change(small):
    build("paper", root=small, only=["index"])
    ran(small)
    (small / "results" / "base-quick").mkdir()
    (small / "results" / "base-quick" / "manifest.json").write_text("{}")
    build("paper", root=small, only=["index"])
    assert ran(small) == []


def test_results_that_a_notebook_stores_itself_are_no_change(small):
    body = (
        "import pathlib\nfolder = pathlib.Path('results/base-quick')\nfolder.mkdir(exist_ok=True)\n"
        "(folder / 'manifest.json').write_text('{}')"
    )
    write_notebook(small, "second", body)
    build("quick", root=small, prepare=print, jobs=1)
    assert (small / "results/base-quick/manifest.json").is_file()
    ran(small)
    build("quick", root=small, prepare=print)
    assert ran(small) == []


def test_the_tables_are_prepared_once_before_any_notebook_runs(small):
    prepared = []

    def prepare(profile):
        assert ran(small) == []
        prepared.append(profile)

    build("quick", root=small, prepare=prepare)
    assert prepared == ["quick"]
    assert len(ran(small)) == 2
    build("quick", root=small, prepare=prepare)  # nothing to run, so nothing to prepare
    assert prepared == ["quick"]


def test_a_preparation_that_fails_stops_the_build_before_any_notebook_runs(small):
    def prepare(profile):
        raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        build("quick", root=small, prepare=prepare)
    assert ran(small) == []


def test_only_the_quick_tables_are_computed_unasked(monkeypatch):
    asked = []
    monkeypatch.setattr(runner, "run", lambda experiment, **options: asked.append((experiment, options)))
    builder.compute_quick_tables("paper")
    assert asked == []
    builder.compute_quick_tables("quick")
    names = ("base", "close-up", "labels-kept", "labels-shuffled")
    assert asked == [(name, {"profile": "quick", "long": True}) for name in names]


def test_results_are_hashed_where_they_are_read_from(tmp_path, monkeypatch):
    """The cache key follows $MODLIB_RESULTS, this profile's manifests, and the paper's published values."""
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(published, "FOLDER", tmp_path / "published")
    hashes = [results_digest("paper")]
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
        hashes.append(results_digest("paper"))
        assert (hashes[-1] != hashes[-2]) == changes, name
    monkeypatch.setenv("MODLIB_RESULTS", str(tmp_path / "elsewhere"))
    assert results_digest("paper") not in hashes


def test_going_back_to_a_profile_runs_nothing(small):
    build("paper", root=small)
    paper = executed(small)
    build("quick", root=small, prepare=print)
    assert text_of(small, "index").startswith("quick")
    assert cited_numbers(small) == {"toy.sizes[any].value": 1.0}
    ran(small)
    build("paper", root=small)
    assert ran(small) == []
    assert executed(small) == paper


def test_two_machines_write_the_same_bytes(with_kernels, tmp_path, monkeypatch):
    def published():
        return {name: text for name, text in executed(root).items() if name != "timings.json"}

    root = with_kernels
    build("paper", root=root)
    first = published()
    build("paper", root=root, force=True)
    assert len(ran(root)) == 4
    assert published() == first
    root = write_book(tmp_path / "elsewhere" / "small")
    use(root, monkeypatch)
    build("paper", root=root, jobs=1)
    assert published() == first
    everything = b"".join(first.values()).decode()
    version = sys.version.split()[0]
    for trace in (str(tmp_path), str(Path.home()), sys.prefix, "start_time", "papermill", version):
        assert trace not in everything


def test_a_notebook_that_fails_stops_the_build_and_leaves_the_last_good_one(with_kernels):
    build("paper", root=with_kernels)
    good = executed(with_kernels)
    write_notebook(with_kernels, "index", "left = 1\nleft / 0")
    write_notebook(with_kernels, "second", "print('new')")
    with pytest.raises(BookError) as failure:
        build("paper", root=with_kernels)
    message = str(failure.value)
    assert "notebooks/index.ipynb failed in cell 3" in message
    assert "left / 0" in message
    assert "ZeroDivisionError" in message
    assert "\x1b" not in message
    assert executed(with_kernels) == good

    ran(with_kernels)
    write_notebook(with_kernels, "index")
    build("paper", root=with_kernels)
    assert ran(with_kernels) == ["index"]  # the one that had not failed is kept
    assert text_of(with_kernels, "second") == "new\n"


def test_a_parameter_that_the_notebook_does_not_have_is_refused_before_anything_runs(small):
    write_notebook(small, "second", parameters="profil = 'quick'")
    with pytest.raises(BookError, match=r"notebooks/second\.ipynb has no parameter named profile"):
        build("paper", root=small)
    assert ran(small) == []


def test_a_notebook_that_is_listed_but_not_there_is_refused(small):
    (small / "notebooks" / "second.ipynb").unlink()
    with pytest.raises(BookError, match=r"no notebooks/second\.ipynb"):
        build("paper", root=small)


@pytest.mark.parametrize(
    ("profile", "options", "complaint"),
    [
        ("large", {}, "profile must be one of quick, paper; got 'large'"),
        ("paper", {"only": ["third"]}, "there is no chapter third; there are index, second"),
        ("paper", {"jobs": 0}, "jobs must be at least 1, not 0"),
    ],
)
def test_arguments_are_checked(small, profile, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        build(profile, root=small, **options)
    assert ran(small) == []


def test_a_folder_without_a_book_is_refused(tmp_path):
    with pytest.raises(BookError, match=r"no _toc\.yml"):
        build("paper", root=tmp_path)


def test_a_chapter_is_run_by_itself_and_rendered_once_the_others_are_there(small):
    assert build("paper", root=small, only=["second"]) == small / "book" / "executed"
    assert ran(small) == ["second"]
    build("paper", root=small)
    assert ran(small) == ["index"]
    assert build("paper", root=small, only=["second"]) == small / "_build" / "html"


def test_notebooks_run_in_the_interpreter_of_the_build(with_kernels, monkeypatch, tmp_path):
    """A user's own kernel of the name python3, here one that cannot start, is not taken."""
    decoy = tmp_path / "personal" / "kernels" / "python3"
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text(
        '{"argv": ["/nowhere/python"], "display_name": "no", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "personal"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("EXPECTED_PREFIX", sys.prefix)
    write_notebook(
        with_kernels, "index", "import os, sys\nprint(sys.prefix == os.environ['EXPECTED_PREFIX'])"
    )
    build("paper", root=with_kernels, only=["index"])
    assert text_of(with_kernels, "index") == "True\n"


# --- one chapter, with parameters of its own


def test_a_chapter_runs_alone_with_its_parameters_in_the_interpreter_of_the_build(
    with_kernels, monkeypatch, tmp_path
):
    """A kernel of the name python3 that comes first, here one that cannot start, is not taken."""
    decoy = tmp_path / "personal" / "kernels" / "python3"
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text(
        '{"argv": ["/nowhere/python"], "display_name": "no", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "personal"))
    write_notebook(with_kernels, "second", f"{BODY}\nprint(sys.prefix)")
    run_chapter("second", tmp_path / "out.ipynb", {"profile": "paper", "units": 4}, root=with_kernels)
    (printed,) = nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs
    assert printed.text == f"paper 8\nsmall\n{sys.prefix}\n"
    assert not (with_kernels / "book" / "executed").exists()


@pytest.mark.parametrize(
    ("name", "parameters", "complaint"),
    [
        ("second", {"profil": "quick"}, "no parameter named profil; it has profile, units"),
        ("secund", {"profile": "quick"}, "there is no chapter secund; there are index, second"),
        ("index", {"units": "many"}, "failed in cell 3"),
    ],
)
def test_a_chapter_that_cannot_run_is_not_written(with_kernels, tmp_path, name, parameters, complaint):
    write_notebook(with_kernels, "index", "units / 2")
    with pytest.raises((BookError, ChapterError), match=complaint):
        run_chapter(name, tmp_path / "out.ipynb", parameters, root=with_kernels)
    assert not (tmp_path / "out.ipynb").exists()


def test_a_chapter_replaces_no_file_and_asks_for_its_folder_before_it_runs(with_kernels, tmp_path):
    taken = tmp_path / "taken.ipynb"
    taken.write_text("mine")
    with pytest.raises(BookError, match=r"taken\.ipynb is there already: name a new file"):
        run_chapter("second", taken, {}, root=with_kernels)
    with pytest.raises(BookError, match="nowhere is not a folder"):
        run_chapter("second", tmp_path / "nowhere" / "out.ipynb", {}, root=with_kernels)
    assert taken.read_text() == "mine"


# --- side by side


@pytest.mark.parametrize("only", [["index"], []])
def test_a_kernel_computes_with_one_thread_unless_told_otherwise(with_kernels, monkeypatch, only):
    for name in execution.THREADS:
        monkeypatch.delenv(f"{name}_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    write_notebook(
        with_kernels,
        "index",
        "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])",
    )
    build("paper", root=with_kernels, only=only)
    assert text_of(with_kernels, "index") == "1 3\n"


@pytest.mark.parametrize("long", [{"second": 9.0}, {"index": 9.0}])
def test_a_first_build_begins_with_the_chapters_that_take_long(small, monkeypatch, long):
    asked = []

    def noted(notebooks, *arguments, **options):
        asked.extend(one.name for one in notebooks)
        return execute_here(notebooks, *arguments, **options)

    monkeypatch.setattr(builder, "execute", noted)
    monkeypatch.setattr(builder, "LONG", long)
    build("paper", root=small)
    assert asked[0] in long
    assert len(asked) == 2


def test_the_chapters_said_to_take_long_are_chapters():
    assert set(builder.LONG) <= set(chapters(Path(__file__).parents[2]))


@pytest.mark.parametrize(("gigabytes", "expected"), [(0.5, 1), (1.4, 1), (3.7, 3), (500, 4)])
def test_no_more_notebooks_run_at_a_time_than_there_is_memory_for(monkeypatch, gigabytes, expected):
    memory = psutil.virtual_memory()._replace(available=int(gigabytes * 2**30))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(execution, "cores", lambda: 4)
    assert execution.side_by_side(15) == expected
    assert execution.side_by_side(1) == 1


def test_kernels_talk_through_files_where_their_paths_are_short_enough_and_else_through_ports(
    with_kernels, tmp_path, monkeypatch
):
    def transport():
        body = "import json, sys\nprint(json.load(open(sys.argv[2]))['transport'])"
        write_notebook(with_kernels, "index", body)
        build("paper", root=with_kernels, only=["index"], force=True)
        return text_of(with_kernels, "index").strip()

    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert transport() == "ipc"
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert transport() == "tcp"
    assert not list(deep.iterdir())


# --- what goes wrong

BUILD = """
import logging, sys, tempfile
logging.basicConfig(level=logging.INFO)
from modlib.book import builder, chapters
chapters.__path__.append("chapters")
builder.render = lambda root, out: out
builder.build("paper", jobs=int(sys.argv[1]))
"""


@pytest.fixture
def started():
    """Collect builds that a test starts, and end those that it leaves."""
    processes = []
    yield processes
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def start_build(root, tmp_path, started, *, jobs=2):
    """Build a small book in a process of its own, with a folder of its own for what is temporary."""
    (tmp_path / "t").mkdir(exist_ok=True)
    environment = os.environ | {
        "TMPDIR": str(tmp_path / "t"),
        "MODLIB_RESULTS": str(root / "results"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    started.append(subprocess.Popen(
        [sys.executable, "-c", BUILD, str(jobs)], cwd=root, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ))  # fmt: skip
    return started[-1]


def wait_until(happened, seconds=60):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_told_to_stop_does_so_leaves_nothing_and_keeps_what_is_finished(
    with_kernels, tmp_path, started, sent
):
    endless = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pids.txt', 'w').write(f'{os.getpid()} {child.pid}')\nwhile True: time.sleep(.1)"
    )
    write_notebook(with_kernels, "second", f"import os\n{endless}")
    running = start_build(with_kernels, tmp_path, started)
    kept = with_kernels / "_build" / "executed" / "paper" / "inputs.json"  # written after what it is about
    wait_until(lambda: kept.is_file() and "index.ipynb" in kept.read_text())
    wait_until((with_kernels / "pids.txt").is_file)
    pids = [int(pid) for pid in (with_kernels / "pids.txt").read_text().split()]
    assert all(psutil.pid_exists(pid) for pid in pids)

    running.send_signal(sent)
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), seconds=5)
    wait_until(lambda: not list((tmp_path / "t").iterdir()), seconds=5)
    running.communicate(timeout=30)
    assert running.returncode != 0

    write_notebook(with_kernels, "second")
    ran(with_kernels)
    build("paper", root=with_kernels)
    assert ran(with_kernels) == ["second"]


def test_a_second_build_waits_for_the_first(with_kernels, tmp_path, started):
    write_notebook(with_kernels, "second", "import os, time\nwhile not os.path.exists('go'): time.sleep(.1)")
    first = start_build(with_kernels, tmp_path, started)
    noted = with_kernels / "ran.txt"
    wait_until(lambda: noted.is_file() and "second" in noted.read_text())
    second = start_build(with_kernels, tmp_path, started)
    assert any("waiting for another process that works on" in line for line in second.stderr)
    assert first.poll() is None
    (with_kernels / "go").touch()
    for build_of in (first, second):
        _, errors = build_of.communicate(timeout=60)
        assert build_of.returncode == 0, errors
    assert ran(with_kernels) == ["index", "second"]  # once


def test_where_files_cannot_be_locked_the_build_warns_and_goes_on(small, monkeypatch, caplog):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    build("paper", root=small, only=["index"])
    assert "_build cannot be locked" in caplog.text
    assert ran(small) == ["index"]


def test_a_full_disk_is_named_in_one_line(with_kernels, monkeypatch):
    """Papermill, as it is run here, finds the disk full when it writes, and its kernel has words too."""
    full = (
        "import errno, sys\nimport papermill.execute\n\n"
        "def write(*_):\n"
        "    print('[IPKernelApp] ERROR | KeyboardInterrupt', file=sys.stderr, flush=True)\n"
        "    raise OSError(errno.ENOSPC, 'No space left on device')\n\n"
        "papermill.execute.write_ipynb = write\n"
    )
    (with_kernels / "program.py").write_text(full + execution.PAPERMILL_PROCESS.read_text())
    monkeypatch.setattr(execution, "PAPERMILL_PROCESS", with_kernels / "program.py")
    with pytest.raises(BookError) as failure:
        build("paper", root=with_kernels, only=["index"])
    assert re.fullmatch(
        r"notebooks/index\.ipynb failed: /\S*/0\.ipynb: No space left on device", str(failure.value)
    )


def test_a_folder_that_cannot_be_written_is_named_in_one_line(small, monkeypatch):
    def replace(path, target):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(BookError, match=r"^\S*_build: Read-only file system$"):
        build("paper", root=small, only=["index"])


def test_a_process_that_dies_without_a_word_is_a_failure(with_kernels):
    write_notebook(with_kernels, "index", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    with pytest.raises(BookError, match=r"notebooks/index\.ipynb failed"):
        build("paper", root=with_kernels, only=["index"])


# --- rendering


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    root = write_book(tmp_path_factory.mktemp("book") / "small")
    with pytest.MonkeyPatch.context() as patch:
        use(root, patch)
        assert build("quick", root=root, prepare=print) == root / "_build" / "html"
        yield root


@pytest.fixture
def copy(rendered, tmp_path, monkeypatch):
    """Return a copy of the built book, to be changed."""
    root = Path(shutil.copytree(rendered, tmp_path / "small"))
    use(root, monkeypatch)
    return root


def html(root, name):
    return (root / "_build" / "html" / "book" / f"{name}.html").read_text()


def test_the_site_shows_the_run_notebooks_and_their_numbers(rendered):
    assert "quick 6" in html(rendered, "executed/index")
    source = "modlib.book.chapters.toy.tables.sizes(), row any, column value"
    link = re.search(
        r'<a [^>]*href="\.\./prose\.html#([\w-]+)"[^>]*>1\.0</a>', html(rendered, "executed/second")
    )
    assert source in link[0]
    assert f'id="{link[1]}"' in html(rendered, "prose")
    assert (rendered / "_build" / "html" / "index.html").is_file()


def test_a_warning_fails_the_build_and_goes_on_failing_until_it_is_mended(copy, capsys):
    good = (copy / "book" / "prose.md").read_text()
    (copy / "book" / "prose.md").write_text(f"{good}\nA {{numref}}`nothing`.\n")
    for _ in range(2):  # Sphinx itself passes the second time: it does not read an unchanged page again
        with pytest.raises(BookError, match="nothing"):
            build("quick", root=copy)
    (copy / "book" / "prose.md").write_text(good)
    build("quick", root=copy)
    assert "index.html" in capsys.readouterr().out


def test_a_build_killed_while_it_renders_does_not_let_a_broken_page_pass(copy, monkeypatch):
    (copy / "book" / "prose.md").write_text("# Prose\n\nA {numref}`nothing`.\n")
    run = subprocess.run

    def killed(command, **options):
        done = run(command, **options)
        raise KeyboardInterrupt if "jupyter_book" in " ".join(command) else done

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        build("quick", root=copy)
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BookError, match="nothing"):
        build("quick", root=copy)


def test_a_number_that_changes_reaches_the_page(copy, monkeypatch):
    tables = copy / "chapters" / "toy" / "tables.py"
    tables.write_text(TABLES.replace("1.0", "7.25"))
    forget_chapter(monkeypatch)
    build("quick", root=copy)
    assert ">7.2</a>" in html(copy, "executed/index")
