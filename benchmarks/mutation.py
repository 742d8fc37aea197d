"""Mutation testing: small faults are put into the code one at a time, to see whether the tests notice.

A mutant is the code with one fault: a comparison, an operator, a number, a condition, an argument or a
statement is changed or left out. If the tests pass all the same, either they do not look at what was changed,
or nothing of it can be seen; which of the two, a person has to say (`results/benchmarks/survivors.csv`).

The tests of every mutant run in a process of their own, in a copy of the project. It is forked from one that
has loaded the libraries, but nothing of modlib.

Two tools were tried on `modlib.clustering` before this was kept, mutmut 3.8.1 and cosmic-ray 8.7.0. mutmut
works with jaxtyping's import hook and forks as well, but leaves alone whatever has a decorator or stands
outside a function: a sixth of the faults that are tried here, among them all of `similarity` and
`similarity_of`. cosmic-ray reaches those, but starts pytest anew for each mutant, and so loads torch anew,
which takes several times as long as the tests that notice most faults; of its 548 mutants most put one binary
operator in place of another in every combination, shifts of floats included, which fail wherever they are
run; and it leaves out neither arguments nor statements.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks import project

CORE: dict[str, tuple[str, ...]] = {  # modules, and the tests that are to notice, the quickest first
    "measures": ("test_measures", "test_properties", "test_arguments"),
    "clustering": ("test_clustering", "test_properties", "test_arguments"),
    "comparison": ("test_comparison", "test_properties", "test_arguments"),
}
WINGS: dict[str, tuple[str, ...]] = {  # folders, and the tests that follow a module's own
    "stats": ("stats/test_intervals", "stats/test_selection"),
    "paper": ("paper/test_verdicts", "paper/test_contrasts", "paper/test_new_seeds", "paper/test_claims"),
    "study": ("study/test_catalogue", "study/test_rows", "study/test_store", "study/test_runner"),
    "training": ("training/test_training", "study/test_runner"),
}
SAMPLE = 120  # faults of each wing, which has too many to try them all; of the core they all are tried
NEEDS_A_GPU = {"training/cuda_graph"}
PATIENCE = 2  # a mutant may take this many times as long as the code itself, and
LEAST = 30.0  # this many seconds more


class Fault(NamedTuple):
    """Where a fault is (`module`, `function`, `line`), its kind, and the code before and after."""

    module: str
    function: str
    line: int
    kind: str
    before: str
    after: str

    @property
    def key(self) -> tuple[str, ...]:
        """Return what tells it from other faults; its line moves when code is added above."""
        return (self.module, self.function, self.kind, self.before, self.after)


def _tests() -> dict[str, tuple[str, ...]]:
    """Give every module that faults are put into, with its tests."""
    found = dict(CORE)
    for wing, common in WINGS.items():
        for file in sorted((project.ROOT / "modlib" / wing).glob("[!_]*.py")):
            own = f"{wing}/test_{file.stem}"
            first = (own,) if (project.ROOT / "tests" / f"{own}.py").exists() else ()
            if (module := f"{wing}/{file.stem}") not in NEEDS_A_GPU:
                found[module] = tuple(dict.fromkeys((*first, *common)))
    return found


TESTS = _tests()


# ---------------------------------------------------------------- faults

_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_FUNCTIONS = {
    "min": "max", "max": "min", "any": "all", "all": "any", "argmin": "argmax", "argmax": "argmin",
    "amax": "amin", "sum": "mean", "mean": "sum", "zeros": "ones", "ones": "zeros", "sqrt": "abs",
    "log": "exp", "exp": "log", "minimum": "maximum", "maximum": "minimum", "median": "mean",
    "idxmax": "idxmin", "idxmin": "idxmax", "floor": "ceil", "ceil": "floor",
}  # fmt: skip


def _faults(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Give what may stand in the place of a part of the code, and its kind; None takes a statement out."""
    match node:
        case ast.Compare(ops=ops):
            for place, old in enumerate(ops):
                changed = copy.deepcopy(node)
                changed.ops[place] = _COMPARISONS[type(old)]()
                yield "comparison", changed
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            changed = copy.deepcopy(node)
            changed.op = _OPERATORS[type(op)]()
            yield "operator", changed
        case ast.BoolOp(op=op):
            changed = copy.deepcopy(node)
            changed.op = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "operator", changed
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            yield "operator", operand
        case ast.Constant(value=bool() as value):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(value=float() as value):
            yield "constant", ast.Constant(value * 2 if value else 1.0)
        case ast.Constant(value=str() as value):
            yield "text", ast.Constant(f"{value}?")
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            changed = copy.deepcopy(node)
            changed.test = ast.UnaryOp(ast.Not(), test)
            yield "condition", changed
        case ast.Call(func=ast.Name(id=name)) if name in _FUNCTIONS:
            changed = copy.deepcopy(node)
            changed.func = ast.Name(_FUNCTIONS[name], ast.Load())
            yield "function", changed
        case ast.Call(func=ast.Attribute(attr=name)) if name in _FUNCTIONS:
            changed = copy.deepcopy(node)
            changed.func.attr = _FUNCTIONS[name]  # type: ignore[attr-defined]
            yield "function", changed
        case ast.Break():
            yield "statement", ast.Continue()
        case ast.Continue():
            yield "statement", ast.Break()
        case ast.Return(value=value) if value is not None:
            yield "statement", ast.Return(ast.Constant(None))
    if isinstance(node, ast.AugAssign | ast.Raise | ast.Expr):
        yield "statement", None
    if isinstance(node, ast.Call):
        for place, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                changed = copy.deepcopy(node)
                del changed.keywords[place]
                yield "argument", changed


def mutants(module: str, source: str) -> dict[str, Fault]:
    """Give every mutant of a module, as source code, with its fault.

    Docstrings, annotations, decorators, imports and the messages of errors are left alone.
    """
    tree = ast.parse(source)
    found: dict[str, Fault] = {}
    unchanged = ast.unparse(tree)

    def visit(parent: ast.AST, function: str) -> None:
        if isinstance(parent, ast.FunctionDef | ast.ClassDef):
            function = parent.name
        for name, value in ast.iter_fields(parent):
            if name in ("annotation", "returns", "decorator_list", "exc", "cause"):
                continue
            for place, child in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(child, ast.AST) or _is_left_alone(child, parent):
                    continue
                for kind, other in _faults(child):
                    _replace(parent, name, place, other or ast.Pass())
                    mutant = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
                    _replace(parent, name, place, child)
                    if mutant != unchanged:
                        line = child.lineno  # type: ignore[attr-defined]
                        shown = _shown(child, other or ast.Pass())
                        found.setdefault(mutant, Fault(module, function, line, kind, *shown))
                visit(child, function)

    visit(tree, "")
    return found


def _replace(parent: ast.AST, name: str, place: int, by: ast.AST) -> None:
    if isinstance(getattr(parent, name), list):
        getattr(parent, name)[place] = by
    else:
        setattr(parent, name, by)


def _is_left_alone(node: ast.AST, parent: ast.AST) -> bool:
    """Whether it is an import, a docstring, or text that goes into the message of an error."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if not (isinstance(node, ast.Constant | ast.Expr) and _is_text(node)):
        return False
    if isinstance(parent, ast.Call):  # _checks.whole(batch, "batch", …): the culprit's name
        return ast.unparse(parent.func).startswith("_checks.") or ast.unparse(parent.func) == "cast"
    return isinstance(node, ast.Expr)


def _is_text(node: ast.Constant | ast.Expr) -> bool:
    value = node.value
    return isinstance(value.value if isinstance(value, ast.Constant) else value, str)


def _shown(old: ast.AST, new: ast.AST) -> tuple[str, str]:
    """Say what was changed and what it became; of an argument left out, only that."""
    if isinstance(old, ast.Call) and isinstance(new, ast.Call) and len(new.keywords) < len(old.keywords):
        left = [ast.dump(keyword) for keyword in new.keywords]
        gone = next(keyword for keyword in old.keywords if ast.dump(keyword) not in left)
        return f"{_short(old.func)}(…, {_short(gone)})", "left out"
    return _short(old), _short(new)


def _short(node: ast.AST) -> str:
    """Give the first line of code, not too long."""
    line = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0]
    return line if len(line) <= 90 else f"{line[:89]}…"


# ---------------------------------------------------------------- running


def part(module: str) -> str:
    """Return the wing that a module is in, or the module itself."""
    return module.split("/")[0]


def chosen(modules: Sequence[str]) -> dict[str, dict[str, Fault]]:
    """Give the mutants that are tried, by module: all of the core, and `SAMPLE` faults of each wing.

    Which ones are drawn depends on what they are and not on where: the checksums of their keys decide. So
    most of a sample stays the same when code is added, and a larger sample holds the smaller one.
    """
    everything = {
        module: mutants(module, (project.ROOT / "modlib" / f"{module}.py").read_text(encoding="utf-8"))
        for module in TESTS
        if part(module) in map(part, modules)
    }
    taken: dict[str, set[Fault]] = {}
    for wing in WINGS:
        faults = {
            fault for module in everything if part(module) == wing for fault in everything[module].values()
        }
        taken[wing] = set(sorted(faults, key=_lot)[:SAMPLE])
    return {
        module: {
            source: fault
            for source, fault in everything[module].items()
            if part(module) not in WINGS or fault in taken[part(module)]
        }
        for module in modules
    }


def _lot(fault: Fault) -> tuple[int, Fault]:
    return zlib.crc32("\n".join(fault.key).encode()), fault


def run(
    modules: Sequence[str] = tuple(TESTS),
    *,
    workers: int,
    earlier: pd.DataFrame | None = None,
    reasons: pd.DataFrame | None = None,
    say: Callable[[str], object] = print,
) -> pd.DataFrame:
    """Run the tests on every mutant of the modules.

    Parameters
    ----------
    modules
        Keys of `TESTS`.
    workers
        How many mutants to try at a time.
    earlier, reasons
        What was found before, of the same code, and the reasons of survivors: what was caught then is not
        tried again, nor what has a reason to survive.
    say
        Is told who survives.

    Returns
    -------
    DataFrame
        One row a mutant: the fields of `Fault`, `outcome` ("caught", "caught by time" or "survived") and
        `seconds`.

    Raises
    ------
    RuntimeError
        If the tests fail without any fault.
    """
    _load_libraries()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(workers) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            copies.put(project.copy(Path(scratch) / str(number)))
        limits: dict[tuple[str, ...], float] = {}
        for module, todo in chosen(modules).items():
            if not todo:
                continue
            known = {} if earlier is None else settled(list(todo.values()), earlier, reasons)
            if len(known) == len(todo):
                rows += known.values()
                continue
            if TESTS[module] not in limits:
                source = (project.ROOT / "modlib" / f"{module}.py").read_text(encoding="utf-8")
                started = time.monotonic()
                if _tried(copies, module, ast.unparse(ast.parse(source)), 3600.0) != "survived":
                    said = "\n".join(file.read_text() for file in Path(scratch).glob(f"*/{_SAID}"))
                    raise RuntimeError(f"the tests of {module} fail without a fault:\n{said}")
                limits[TESTS[module]] = PATIENCE * (time.monotonic() - started) + LEAST
            limit = limits[TESTS[module]]
            say(f"{module}: {len(todo) - len(known)} mutants, {limit:.0f} s for each at the most")

            def judge(mutant: tuple[str, Fault], limit: float = limit) -> dict[str, object]:
                source, fault = mutant
                begun = time.monotonic()
                outcome = _tried(copies, fault.module, source, limit)
                if outcome == "survived":
                    say(f"{fault.module}:{fault.line} {fault.before} → {fault.after}")
                return fault._asdict() | {"outcome": outcome, "seconds": round(time.monotonic() - begun, 2)}

            fresh = pool.map(judge, (mutant for mutant in todo.items() if mutant[1] not in known))
            rows += [known[fault] if fault in known else next(fresh) for fault in todo.values()]
    return pd.DataFrame(rows)


def settled(
    faults: Sequence[Fault], earlier: pd.DataFrame, reasons: pd.DataFrame | None
) -> dict[Fault, dict[str, object]]:
    """Rows of faults that need not be tried again: those that were caught, or have a reason to survive.

    Raises
    ------
    ValueError
        If the faults are not those that were tried before.
    """
    rows = earlier[earlier.module == faults[0].module].to_dict("records")
    if [fault._asdict() for fault in faults] != [{name: r[name] for name in Fault._fields} for r in rows]:
        raise ValueError(f"{faults[0].module} is no longer what was tried before: try all again")
    excused = set()
    if reasons is not None:
        keys = [name for name in Fault._fields if name != "line"]
        excused = set(reasons[keys].astype(str).itertuples(index=False, name=None))
    return {
        fault: row
        for fault, row in zip(faults, rows, strict=True)
        if row["outcome"] != "survived" or fault.key in excused
    }


_SAID = "said"  # what the last tests of a copy printed
_LIBRARIES = (
    "torch", "torch.func", "torch._dynamo", "pandas", "scipy.stats", "scipy.optimize", "igraph", "jaxtyping",
    "beartype", "hypothesis.extra.numpy", "pytest", "networkx", "click", "pyarrow.parquet", "tqdm", "pooch",
    "highspy", "altair", "sklearn.metrics",
)  # fmt: skip


def _load_libraries() -> None:
    """Load what takes long, and nothing of modlib."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)  # a core a worker
    threadpool_limits(1)
    if loaded := sorted(name for name in sys.modules if name.split(".")[0] == "modlib"):
        raise RuntimeError(f"{loaded[0]} is loaded already: run python -m benchmarks.mutation")


def _tried(copies: SimpleQueue[Path], module: str, source: str, limit: float) -> str:
    """Put a source into one of the copies of the project for as long as its tests take."""
    place = copies.get()
    file = place / "modlib" / f"{module}.py"
    try:
        file.write_text(source, encoding="utf-8")
        return outcome_of(place, [f"tests/{name}.py" for name in TESTS[module]], limit)
    finally:
        shutil.copyfile(project.ROOT / "modlib" / f"{module}.py", file)
        copies.put(place)


def outcome_of(place: Path, tests: list[str], limit: float) -> str:
    """Run tests in a fork of this process; return whether one failed, or took longer than `limit` seconds."""
    child = os.fork()
    if child == 0:
        os.setsid()  # what it starts ends with it
        os._exit(_child(place, tests))
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "caught"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "caught by time"


def _child(place: Path, tests: list[str]) -> int:
    import pytest

    try:
        os.chdir(place)
        silence = os.open(place / _SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        sys.dont_write_bytecode = True  # a mutant is as old as the next, and often as long
        sys.path.insert(0, str(place))
        os.environ["PYTHONPATH"] = f"{place}{os.pathsep}{place / 'tests'}"  # for processes that tests start
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(place)]
        options += ["-o", "addopts="]  # some are xdist's
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        for marks in ("not slow and not long", "slow and not long"):  # most faults are noticed at once
            code = int(pytest.main([*options, "-m", marks, *tests]))
            if code not in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
                return code
        return 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()  # `os._exit` does not


def main() -> None:
    """Try one part of the code after the other, and put each on record."""
    import click

    parts = (*CORE, *WINGS)

    @click.command()
    @click.option("--only", multiple=True, type=click.Choice(parts), help="The others stay as on record.")
    @click.option("--again", is_flag=True, help="Only those that survived before and have no reason to.")
    @click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
    def command(only: tuple[str, ...], again: bool, workers: int) -> None:
        folder = project.ROOT / "results" / "benchmarks"
        for one in only or parts:
            found = [module for module in TESTS if part(module) == one]
            files = ("mutation-cpu", "survivors") if again else ()
            before = [pd.read_csv(folder / f"{name}.csv", keep_default_na=False) for name in files]
            earlier, reasons = before or (None, None)
            table = run(found, workers=workers, earlier=earlier, reasons=reasons, say=click.echo)
            click.echo(f"{one}: {(table.outcome != 'survived').mean():.1%} of {len(table)} caught")
            click.echo(put_on_record(one, table))

    command()


def put_on_record(one: str, table: pd.DataFrame) -> Path:
    """Put the rows of a part of the code in the place of those on record, with the commit they are of."""
    from modlib.book import benchmark_records  # what is to be tested, so not before
    from modlib.study import provenance

    parts = [*CORE, *WINGS]
    before = benchmark_records.read_if_there("mutation", "cpu")
    commits, rows = {}, table
    if before is not None:
        commits = before.about.get("commits", {})
        kept = before.table[[part(module) in commits.keys() - {one} for module in before.table.module]]
        rows = pd.concat([kept, table])
    rows = rows.iloc[np.argsort([parts.index(part(module)) for module in rows.module], kind="stable")]
    about = {"tests": TESTS, "commits": {**commits, one: provenance.commit()}}
    return benchmark_records.write("mutation", "cpu", rows, about)


if __name__ == "__main__":
    main()
