"""The glossary: what it defines, and where pages mark the words that it defines."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
#: Pages whose prose may be marked: not the glossary itself, nor the plan, which is to stay as it was written.
PAGES = sorted(
    [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md")],
    key=lambda page: page.stem,
)
PAGES = [page for page in PAGES if page.stem not in ("glossary", "plan", "api", "bibliography", "sources")]
ROLE = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")
#: Words that newcomers stumble over: the term by which a page has to mark its first use of them.
JARGON = {
    "AMI": r"adjusted mutual information|\bAMI\b",
    "ECS": r"element-centric similarity|\bECS\b",
    "bootstrap": r"\bbootstrap\b",
    "Holm's correction": r"\bHolm\b",
    "Fisher's z": r"Fisher's z\b",
    "z score": r"\bz scores?\b",
    "plain network": r"\bplain\b[`*]? networks?\b|networks \*plain\*",
    "close-up": r"\bclose-up\b",
    "kick": r"\bkicks?\b|\bkicked\b",
    "matched accuracy": r"matched accuracy",
}
#: What is no running text: fenced blocks, headings, rows of tables, labels, and numbers that are cited.
NO_PROSE = re.compile(
    r"^(`{3,}|:{3,}).*?^\1`*[ \t]*$|^#.*?$|^\|.*?$|^\([\w-]+\)=$|\{(?:num|word|side|ref|cite:.)\}`[^`]*`",
    flags=re.MULTILINE | re.DOTALL,
)


def entries():
    """Return the definition and the link of every term."""
    block = re.search(r"```\{glossary\}\n:sorted:\n\n(.*?)```", GLOSSARY, flags=re.DOTALL)[1]
    found = {}
    for entry in re.split(r"\n(?=\S)", block.strip()):
        term, definition, empty, *link = (line.strip() for line in entry.rstrip().split("\n"))
        assert empty == ""
        assert term not in found
        found[term] = definition, "\n".join(link)
    return found


def source(page):
    """Return the Markdown of a page."""
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    notebook = nbformat.read(page, as_version=4)
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def running_text(text):
    return NO_PROSE.sub("", text)


def unmarked(text):
    """Return the terms whose jargon a text uses before it marks it, or without marking it."""
    found = []
    for term, word in JARGON.items():
        first = re.search(word, text, flags=re.IGNORECASE)
        roles = [role.span() for role in ROLE.finditer(text) if role[1] == term]
        if first and not any(start <= first.start() < end for start, end in roles):
            found.append(term)
    return found


def test_at_least_forty_terms_are_defined_in_a_few_plain_sentences_with_a_link_to_their_place():
    found = entries()
    assert len(found) >= 40
    for term, (definition, link) in found.items():
        assert 1 <= len(re.findall(r"[.](?=\s|$)", definition)) <= 3, term
        # Pages show a definition as it stands, without mark-up.
        assert not re.search(r"[`$*{}\\]", definition), term
        assert re.fullmatch(r"See (\[\]\(\S+#\S+\)|\{ref\}`[\w-]+`)", link), (term, link)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_marks_jargon_where_it_first_uses_it(page):
    assert unmarked(running_text(source(page))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_marks_a_term_once_and_none_in_a_heading(page):
    text = source(page)
    marked = ROLE.findall(text)
    assert sorted(marked) == sorted(set(marked) & entries().keys())
    assert not re.search(r"^#.*\{term\}", text, flags=re.MULTILINE)


def test_jargon_counts_only_in_running_text_and_only_before_it_is_marked():
    assert unmarked("The AMI is low.") == ["AMI"]
    assert unmarked("AMI, or {term}`AMI`") == ["AMI"]
    assert not unmarked("{term}`adjusted mutual information <AMI>` (AMI)")
    assert not unmarked(
        running_text("## AMI\n\n```{exercise} AMI\nAMI\n```\n\n| AMI |\n\n{num}`a.b[close-up].c`")
    )
    assert unmarked(running_text("| AMI |\nAMI")) == ["AMI"]
