"""Set-up by make: it is done again where it was interrupted, or where its folder or its Python has gone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READY = ".venv/.ready"
# A Python whose new environments get an empty module instead of pip, which would take seconds to install.
PYTHON = f"""#!/bin/sh
if test "$2" != venv; then exec {sys.executable} "$@"; fi
{sys.executable} -m venv --without-pip "$3" "$4" && cd "$4"/lib/python*/site-packages && touch pip.py
"""


@pytest.fixture
def project(tmp_path):
    """Copy what set-up reads to a folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return folder


def make(folder, *, pip="true"):
    """Set up with another command in place of pip; return the exit status and what was printed."""
    command = ["make", READY, "PYTHON=../python", f"PIP={pip}"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def is_whole(folder):
    python = folder / ".venv" / "bin" / "python"
    works = subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    return works and (folder / READY).read_text().strip() == str(folder)


def test_set_up_that_was_interrupted_is_done_again(project):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    assert make(project)[0] == 0
    assert is_whole(project)
    # Interrupted later, while packages are installed: pip goes on, and the environment is kept.
    (project / ".venv" / "mark").touch()
    (project / "requirements.txt").touch()
    assert make(project, pip="false")[0] != 0
    assert not (project / READY).exists()
    assert make(project)[0] == 0
    assert is_whole(project)
    assert (project / ".venv" / "mark").exists()


def test_what_is_set_up_is_left_alone_until_its_folder_or_its_python_goes(project, tmp_path):
    assert make(project)[0] == 0
    code, said = make(project, pip="false")
    assert code == 0
    assert "up to date" in said

    moved = project.rename(tmp_path / "moved to")
    assert make(moved)[0] == 0
    assert is_whole(moved)
    assert str(project) not in (moved / ".venv" / "bin" / "activate").read_text()

    python = moved / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/python/here")
    assert make(moved)[0] == 0
    assert is_whole(moved)
