"""The foot of every page: which edition of the book this is, how to cite it, and where to tell of mistakes.

An edition is a commit of the project, its date, and one digest of all stored tables, so the same commit has
the same foot wherever and whenever it is built. A change of any of them writes all pages anew.
"""

import hashlib
import os
import subprocess
from html import escape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from modlib.book.sphinx import head


def edition(root: Path) -> dict[str, str]:
    """Return the commit, its date and the digest of the tables of the project in a folder, as far as known.

    ``$MODLIB_COMMIT`` names the commit of a copy without its history.
    """
    commit, _, date = _git(root, "show", "--no-patch", "--format=%H %cs", "HEAD").partition(" ")
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        commit += " with changes"
    return {"commit": os.environ.get("MODLIB_COMMIT") or commit, "date": date, "tables": _digest(root)}


def _git(root: Path, *words: str) -> str:
    try:
        found = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return ""
    return found.stdout.strip()


def _digest(root: Path) -> str:
    """Return a hash of the manifests of all stored results, each of which lists the hashes of its tables.

    Those of the profile "quick" are left out: they are computed on the spot and belong to no commit.
    """
    found = sorted(root.glob("results/*/manifest.json"))
    names = [path for path in found if not path.parent.name.endswith("-quick")]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.parent.name}\n" for path in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def _bibtex(fields: dict[str, str]) -> str:
    """Return an entry of BibTeX: a chapter of a book if it names one, and a page by itself if not."""
    kind = "incollection" if fields["booktitle"] else "misc"
    body = "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text)
    return f"@{kind}{{modlib,\n{body}}}"


def foot(
    made: dict[str, str], *, page: str, book: str, author: str, address: str = "", repository: str = ""
) -> str:
    """Return the foot of a page as HTML."""
    commit, date, tables = made["commit"], made["date"], made["tables"]
    parts = [f"commit <code>{escape(_short(commit))}</code>"] if commit else []
    parts += [f'<time datetime="{date}">{date}</time>'] if date else []
    parts += [f"tables <code>{_short(tables)}</code>"] if tables else []
    fields = {
        "author": f"{{{author}}}",
        "title": page,
        "booktitle": book if page != book else "",
        "year": date[:4],
        "url": address,
        "note": f"Commit {_short(commit)}" if commit else "",
    }
    cited = [
        author[:1].upper() + author[1:] + (f" ({fields['year']})." if fields["year"] else "."),
        f"“{page}”, in {book}." if fields["booktitle"] else f"{book}.",
        *(f"{part}." for part in (fields["note"], address) if part),
    ]
    lines = [f'<p class="modlib-edition">{" · ".join(parts)}</p>'] if parts else []
    lines += [
        '<details class="modlib-cite"><summary>Cite this page</summary>',
        f"<p>{escape(' '.join(cited))}</p>",
        f"<pre>{escape(_bibtex(fields))}</pre>",
        "</details>",
    ]
    if repository:
        link = f"{repository.rstrip('/')}/issues/new"
        lines.append(f'<p class="modlib-feedback"><a href="{escape(link)}">Tell of a mistake</a></p>')
    return "\n".join(lines)


def _short(hashed: str) -> str:
    """Return the beginning of a hash, with what is said after it."""
    name, _, rest = hashed.partition(" ")
    return f"{name[:12]} {rest}".strip()


def _prepare(app: Sphinx, config: Any) -> None:
    config.modlib_edition = edition(Path(app.srcdir))


def _write(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is None:
        return
    context["theme_extra_footer"] = foot(
        app.config.modlib_edition,
        page=head.title(app, page),
        book=app.config.html_title,
        author=app.config.author,
        address=head.address(app, page),
        repository=app.config.html_theme_options.get("repository_url", ""),
    )


def setup(app: Sphinx) -> None:
    """Register the edition, which rebuilds pages when it changes, and the events."""
    app.add_config_value("modlib_edition", {}, "html", (dict,))
    app.connect("config-inited", _prepare)
    app.connect("html-page-context", _write)
