"""The versions in the files of requirements agree with those that pyproject.toml asks for."""

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pinned(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def bounds(requirements):
    """Give the lower bound of each package, as a list of numbers, where there is one."""
    found = (re.match(r"([\w-]+)>=([\d.]+)", requirement) for requirement in requirements)
    return {match[1]: numbers(match[2]) for match in found if match}


def numbers(version):
    """Give a version without the zeros at its end, which mean nothing."""
    return [
        int(part) for part in re.sub(r"(\.0)+$", "", re.match(r"[\d.]+", version)[0].rstrip(".")).split(".")
    ]


def test_the_lowest_versions_are_the_bounds_of_what_is_tested_with_them():
    lowest = {name: numbers(version) for name, version in pinned("requirements-lowest.txt").items()}
    asked = [*PROJECT["dependencies"], *EXTRAS["report"], *EXTRAS["bound"]]
    assert lowest == bounds(asked)
    assert len(lowest) == len(asked)  # each has a bound


def test_the_versions_that_the_book_is_built_with_are_allowed():
    pins = {name: numbers(version) for name, version in pinned("requirements.txt").items()}
    for name, bound in bounds([*PROJECT["dependencies"], *chain(*EXTRAS.values())]).items():
        assert pins[name] >= bound, name
