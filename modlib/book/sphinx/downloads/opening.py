"""The first cell of a downloaded notebook: it brings modlib and the stored tables where they are missing."""

FOLDER = "modlib-book"  # where the project is put, beside the notebook


def opening(title: str, *, commit: str, repository: str, solved: bool) -> str:
    """Return the code of the first cell.

    From a repository it fetches the commit that the book was made of, which holds both the package and the
    tables: git verifies every file against the commit, and modlib every table against its manifest.
    """
    lines = [f"# The notebook of “{title}”{', with solutions' if solved else ''}."]
    if not repository or not commit:
        lines += [
            "# It needs modlib with its stored tables. In a copy of the project:",
            "#     pip install --editable .",
            "# Tables that lie elsewhere are found if $MODLIB_RESULTS names their folder.",
            "import modlib",
        ]
        return "\n".join(lines)
    lines += [
        f"# It needs modlib with its stored tables: where that is missing, commit {commit[:12]} is fetched,",
        "# and git verifies every file of it.",
        "import importlib.util",
        "import sys",
        "",
        'if importlib.util.find_spec("modlib") is None:',
        f"    !git init --quiet {FOLDER}",
        f"    !git -C {FOLDER} fetch --quiet --depth 1 {repository} {commit}",
        f"    !git -C {FOLDER} checkout --quiet FETCH_HEAD",
        f"    %pip install --quiet --editable {FOLDER}",
        f'    sys.path.insert(0, "{FOLDER}")  # a kernel that runs already does not see what was installed',
        "",
        "import modlib",
    ]
    return "\n".join(lines)
