"""Equations as MathML, which browsers draw without a script."""

import re

from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

from modlib.book.builder.errors import BookError

#: What docutils does not read as LaTeX does, and how to write it so that it does.
_REWRITTEN = (
    (re.compile(r"\\([td]?frac)\s*(\d)\s*(\d)"), r"\\\1{\2}{\3}"),  # \frac12
    (
        re.compile(r"\\(tilde|hat|bar) *(\w)"),
        r"{\\\1{\2}{}}",
    ),  # an accent over one letter, not over its index
    (re.compile(r"(\\operatorname\{\w+\}) +(?=\w)"), r"\1\\,"),
    (re.compile(r"\\dots\b"), r"\\ldots"),
)


def mathml(formula: str, *, display: bool = False) -> str:
    r"""Return an equation in LaTeX as MathML; a BookError names one that cannot be translated.

    >>> print(mathml(r"\frac12"))
    <math xmlns="http://www.w3.org/1998/Math/MathML">
      <mfrac>
        <mn>1</mn>
        <mn>2</mn>
      </mfrac>
    </math>
    """
    written = formula.strip()
    for pattern, replacement in _REWRITTEN:
        written = pattern.sub(replacement, written)
    try:
        found: str = tex2mathml(written, as_block=display)
    except (MathError, SyntaxError) as error:
        raise BookError(f"cannot write the equation {formula.strip()!r} as MathML: {error}") from error
    return found
