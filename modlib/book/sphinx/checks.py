"""The directive ``{check}``: a small question that readers answer on the page (its text: `check_text`).

    ```{check} One Q, two layers
    :kind: choice

    Question, options and feedback, all of them Markdown.
    ```

The page holds everything; ``static/checks.js`` shows the feedback of what a reader chose, and keeps in the
browser what is done. Without scripts the answers are folded below the question.
"""

import json
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from modlib.book.sphinx import check_text
from modlib.book.sphinx.by_page import ByPage
from modlib.book.sphinx.check_text import RIGHT, WRONG, Check, CheckTextError, Item, Part

_NAMES = ByPage("modlib_checks")  # of the checks of the book
_TITLES = {"choice": "Check", "number": "Check", "predict": "Predict"}
_BUTTONS = {"choice": "Check", "number": "Check", "predict": "Reveal"}


class CheckNode(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils is untyped
    """A check: its question, its options or the field for its answer, and its answers."""


class OptionsNode(nodes.General, nodes.Element):  # type: ignore[misc]
    """The options of a check, of which one is chosen."""


class OptionNode(nodes.Part, nodes.Inline, nodes.TextElement):  # type: ignore[misc]
    """One of them."""


class FieldNode(nodes.General, nodes.Element):  # type: ignore[misc]
    """A field in which an answer is written."""


class AnswersNode(nodes.General, nodes.Element):  # type: ignore[misc]
    """What is said of every answer, folded."""


class AnswerNode(nodes.Part, nodes.Element):  # type: ignore[misc]
    """What is said of one."""


class CheckDirective(SphinxDirective):
    """A check, or an error that names the line at which it is not one."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"kind": directives.unchanged, "several": directives.flag}

    def run(self) -> list[Any]:
        """Return the check."""
        try:
            return [self._node()]
        except CheckTextError as error:
            line = self.lineno + self.content_offset + error.line + 1
            message = f"check {self.arguments[0]!r}: {error}"
            return [self.state.document.reporter.error(message, line=line)]

    def _node(self) -> CheckNode:
        kind = self.options.get("kind", "")
        check = check_text.read(kind, list(self.content), several="several" in self.options)
        name = nodes.make_id(f"check-{self.arguments[0]}")
        if name in _NAMES.of(self.env).get(self.env.docname, []):
            raise CheckTextError("another check of the page has this title", 0)
        node = CheckNode(
            kind=kind, name=name, title=self.arguments[0], page=self.env.docname, tolerance=check.tolerance
        )
        node += nodes.container("", *self._parsed(check.question), ids=[f"{name}-question"])
        node["ids"] = [name]
        node += self._asked(check, name)
        node += self._answers(check)
        _NAMES.of(self.env).setdefault(self.env.docname, []).append(name)
        return node

    def _parsed(self, part: Part) -> list[Any]:
        return self.parse_text_to_nodes(part.text, offset=self.content_offset + part.line)

    def _asked(self, check: Check, name: str) -> Any:
        """Return the options, or the field to write an answer in."""
        if check.kind == "number" or not check.items:
            return FieldNode(kind=check.kind, name=name)
        options = OptionsNode()
        for number, item in enumerate(check.items):
            options += OptionNode("", "", *self._label(item), name=name, number=number)
        return options

    def _label(self, item: Item) -> list[Any]:
        """Return the text of an option or a value, which may be of one paragraph only."""
        parsed = self._parsed(item.label)
        if len(parsed) != 1 or not isinstance(parsed[0], nodes.paragraph):
            raise CheckTextError(
                f"an option must be a single paragraph: {item.label.text!r}", item.label.line
            )
        children: list[Any] = parsed[0].children
        return children

    def _answers(self, check: Check) -> AnswersNode:
        """Return what is said of each option or value, or what a prediction reveals."""
        answers = AnswersNode(kind=check.kind)
        if check.kind == "predict":
            answers += AnswerNode("", *self._parsed(check.answer))
            return answers
        values = []
        for item in check.items:
            said = self._parsed(item.feedback)
            if not isinstance(said[0], nodes.paragraph):
                said.insert(0, nodes.paragraph())
            said[0].insert(0, [nodes.strong("", RIGHT if item.right else WRONG), nodes.Text(" ")])
            answer = AnswerNode("", right=item.right)
            if check.kind == "number":
                label = self._label(item)
                shown = nodes.paragraph("", "", *label, nodes.Text(":"), classes=["modlib-check-value"])
                answer += shown
                value = item.value
                if value is None:  # looked up, or not a number
                    value = check_text.number("".join(part.astext() for part in label))
                answer["value"] = value
                if value is not None:
                    values.append((value, item.label.line))
            answer.extend(said)
            answers += answer
        check_text.apart(values, check.tolerance)
        return answers


# --- in the page


def _visit_check(self: Any, node: CheckNode) -> None:
    data = {"kind": node["kind"], "page": node["page"], "tolerance": repr(node["tolerance"])}
    written = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    name = node["name"]
    self.body.append(
        f'<fieldset class="modlib-check" id="{name}" {written} aria-describedby="{name}-question">'
        f"<legend>{_TITLES[node['kind']]}: {escape(node['title'])}</legend>\n"
    )


def _depart_check(self: Any, node: CheckNode) -> None:
    self.body.append("</fieldset>\n")


def _visit_options(self: Any, node: OptionsNode) -> None:
    self.body.append('<ol class="modlib-check-options" type="A">\n')


def _depart_options(self: Any, node: OptionsNode) -> None:
    self.body.append("</ol>\n")


def _visit_option(self: Any, node: OptionNode) -> None:
    name, number = node["name"], node["number"]
    self.body.append(
        f'<li><input type="radio" name="{name}" id="{name}-{number}" value="{number}" autocomplete="off">'
        f'<label for="{name}-{number}">'
    )


def _depart_option(self: Any, node: OptionNode) -> None:
    self.body.append("</label></li>\n")


def _visit_field(self: Any, node: FieldNode) -> None:
    name = node["name"]
    label = f'<label for="{name}-field">Your answer</label> '
    field = (
        f'<input type="text" id="{name}-field" autocomplete="off" spellcheck="false" size="12">'
        if node["kind"] == "number"
        else f'<textarea id="{name}-field" rows="3" autocomplete="off"></textarea>'
    )
    self.body.append(f'<p class="modlib-check-field">{label}{field}</p>\n')


def _visit_answers(self: Any, node: AnswersNode) -> None:
    element = {"choice": 'ol type="A"', "number": "ul", "predict": "div"}[node["kind"]]
    self.body.append(
        '<div class="modlib-check-controls" hidden>'
        f'<button type="button">{_BUTTONS[node["kind"]]}</button> '
        '<span class="modlib-check-progress"></span></div>\n'
        '<div class="modlib-check-feedback" aria-live="polite"></div>\n'
        f"<details><summary>Answer</summary><{element}>\n"
    )


def _depart_answers(self: Any, node: AnswersNode) -> None:
    element = {"choice": "ol", "number": "ul", "predict": "div"}[node["kind"]]
    self.body.append(f"</{element}></details>\n")


def _visit_answer(self: Any, node: AnswerNode) -> None:
    element = "li" if "right" in node else "div"
    right = ' data-right=""' if node.get("right") else ""
    value = f' data-value="{node["value"]!r}"' if node.get("value") is not None else ""
    self.body.append(f'<{element} class="modlib-check-answer"{right}{value}>')


def _depart_answer(self: Any, node: AnswerNode) -> None:
    self.body.append("</li>\n" if "right" in node else "</div>\n")


def _nothing(self: Any, node: Any) -> None:
    pass


# --- the checks of the book


def _load_script(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the scripts on pages that have a check, and on no other."""
    if page in _NAMES.of(app.env):
        app.add_js_file("modlib/checks-of-book.js", defer="defer")
        app.add_js_file("modlib/checks.js", defer="defer")


def _write_list(app: Sphinx, error: Exception | None) -> None:
    """Write which checks the book has, by page, so that every page can say how many of them are done."""
    if error is None and app.builder.format == "html" and _NAMES.of(app.env):
        path = Path(app.outdir) / "_static" / "modlib" / "checks-of-book.js"
        listed = json.dumps(_NAMES.of(app.env), sort_keys=True, separators=(",", ":"))
        path.write_text(f"window.modlibChecks = {listed};\n", encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register the directive, its nodes and the list of checks."""
    app.add_node(CheckNode, html=(_visit_check, _depart_check))
    app.add_node(OptionsNode, html=(_visit_options, _depart_options))
    app.add_node(OptionNode, html=(_visit_option, _depart_option))
    app.add_node(FieldNode, html=(_visit_field, _nothing))
    app.add_node(AnswersNode, html=(_visit_answers, _depart_answers))
    app.add_node(AnswerNode, html=(_visit_answer, _depart_answer))
    app.add_directive("check", CheckDirective)
    _NAMES.connect(app)
    app.connect("html-page-context", _load_script)
    app.connect("build-finished", _write_list)
