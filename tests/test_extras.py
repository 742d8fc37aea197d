"""What the light core can do without an extra, and the error that names an extra which is missing."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner

from modlib import extras
from modlib.__main__ import main

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BROUGHT = {name for packages in extras.EXTRAS.values() for name in packages}


def python(code, *without):
    """Run code in a process that cannot import some packages, like one in which they are not installed."""
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({sorted(without)}))\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True)


def required(extra):
    """List the packages that an extra brings, other extras of modlib resolved."""
    found = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        name, of_modlib = re.match(r"([\w-]+)(?:\[([\w,]+)\])?", requirement).groups()
        found |= set().union(*map(required, of_modlib.split(","))) if name == "modlib" else {name}
    return found


def test_the_extras_of_the_code_are_those_of_the_project():
    names = packages_distributions()
    for extra in PROJECT["optional-dependencies"]:
        brought = {
            distribution.lower().replace("_", "-")
            for name in extras.EXTRAS[extra]
            for distribution in names.get(name, [name])
        }
        assert brought == required(extra), extra
    assert PROJECT["optional-dependencies"].keys() == extras.EXTRAS.keys()


METHOD = """
import numpy as np, torch, modlib
x, y = torch.rand(60, 8), torch.randint(3, (60,))
model = torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.GELU(), torch.nn.Linear(12, 3))
found = modlib.similarities(model, "1", x, y)["1"]
graphs = [modlib.adjacency(found[measure], normalized=True) for measure in modlib.MEASURES]
parts = [modlib.find_modules(A, restarts=2) for A in graphs]
assert -1 <= modlib.agreement(parts[0].labels, parts[1].labels)["ami"] <= 1
A = np.kron(np.eye(2), np.ones((3, 3))) - np.eye(6)
print(modlib.find_modules(A).q, round(modlib.modularity_optimum(A).bound, 6))
stack = modlib.MLPStack.initialise([8, 6, 3], seeds=[0])
modlib.similarity(stack, x, y)
modlib.experiments, modlib.exercises, modlib.data, modlib.train
"""


def test_the_method_needs_no_extra():
    done = python(METHOD, *BROUGHT)
    assert (done.returncode, done.stdout) == (0, "0.5 0.5\n"), done.stderr


#: What is asked for without a package, and how the error begins.
ASKED = [
    ("import modlib; modlib.report", "pandas", "modlib.report needs pandas, which the extra 'report' brings"),
    ("from modlib import Report", "jinja2", "modlib.Report needs jinja2, which the extra 'report' brings"),
    (
        "from modlib import run",
        "threadpoolctl",
        "modlib.run needs threadpoolctl, which the extra 'study' brings",
    ),
    (
        "import modlib; modlib.Results",
        "pyarrow",
        "modlib.Results needs pyarrow, which the extra 'study' brings",
    ),
    (
        "import modlib.reporting.page",
        "pandas",
        "modlib.reporting needs pandas, which the extra 'report' brings",
    ),
    ("import modlib.analysis.chance", "tqdm", "modlib.analysis needs tqdm, which the extra 'report' brings"),
    ("import modlib.paper.claims", "pooch", "modlib.paper needs pooch, which the extra 'study' brings"),
    ("import modlib.book.theme", "altair", "modlib.book needs altair, which the extra 'book' brings"),
    (
        "import modlib; modlib.modularity_bound([[0, 1], [1, 0]])",
        "highspy",
        "modlib.modularity_bound needs highspy, which the extra 'bound' brings",
    ),
    (
        "import modlib, torch; net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))\n"
        "modlib.similarities(net, '0', torch.rand(4, 2), progress=True)",
        "tqdm",
        "progress=True needs tqdm, which the extra 'report' brings",
    ),
    (
        "from modlib.data import folders; folders.cache_folder()",
        "pooch",
        "modlib.data needs pooch, which the extra 'study' brings",
    ),
]
CASES = """
for code, package, _ in CASES:
    sys.modules[package] = None
    try:
        exec(code)
        print("no error")
    except ImportError as error:
        print(error.msg)
    del sys.modules[package]
"""


def test_an_error_names_the_package_that_is_missing_and_its_extra():
    done = python(f"CASES = {ASKED}\n{CASES}")
    for line, (_, _, message) in zip(done.stdout.splitlines(), ASKED, strict=True):
        extra = message.split("'")[1]
        assert line == f"{message}: pip install 'modlib[{extra}]'"


@pytest.mark.parametrize(
    ("words", "package", "message"),
    [
        (["book"], "altair", "modlib book needs altair, which the extra 'book' brings"),
        (["check"], "papermill", "modlib check needs papermill, which the extra 'book' brings"),
        (
            ["chapter", "training", "out.ipynb"],
            "psutil",
            "modlib chapter needs psutil, which the extra 'book'",
        ),
        (
            ["run", "base", "--profile", "quick"],
            "pyarrow",
            "modlib run needs pyarrow, which the extra 'study'",
        ),
        (
            ["run", "base", "--scheduler", "tcp://a:1"],
            "distributed",
            "modlib run needs distributed, which the",
        ),
        (["recompute", "base"], "pandas", "modlib recompute needs pandas, which the extra 'study' brings"),
        (["data", "mnist"], "pooch", "modlib data needs pooch, which the extra 'study' brings"),
        (
            ["report", "m.py:f", "--layer", "a", "--data", ".", "--save", "b"],
            "jinja2",
            "modlib report needs jinja2",
        ),
    ],
)
def test_a_command_names_them_in_a_line(words, package, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    if "." in words:
        words[words.index(".")] = __file__
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {message}")
    assert len(done.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_without_the_package_of_commands_there_is_a_line_too():
    done = python("import runpy\nrunpy.run_module('modlib', run_name='__main__')", "click")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: the command line needs click, which the extra 'report' brings: pip install 'modlib[report]'\n"
    )
