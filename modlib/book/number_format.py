"""Numbers as a reader sees them, in prose and in tables of words."""

import math
import re

_OF_NOTHING = re.compile(r"-[0.,]+%?")


def format_number(value: int | float | str | None, spec: str = "") -> str:
    """Return `value` as the text of a page, with a true minus sign, which a zero does not have.

    The `value` is a finite number, a text (which `spec` may only pad), or None where there is nothing to
    measure it from yet; a TypeError or ValueError says that it is not, or that `spec` does not fit it.

    Examples
    --------
    >>> format_number(0.4967, ".2f"), format_number(0.981, ".1%"), format_number(-3), format_number(None)
    ('0.50', '98.1%', '−3', 'n/a')
    >>> format_number(-0.0004, ".3f"), format_number(-0.0004, "+.3f")
    ('0.000', '+0.000')
    """
    if value is None:
        return "n/a"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"value must be a number, a text or None, not {value!r}")
    if isinstance(value, str):
        return format(value, spec)
    if not math.isfinite(value):
        raise ValueError(f"value must be finite, not {value!r}")
    if spec.endswith("d") and float(value).is_integer():
        value = int(value)  # JSON does not tell 9.0 from 9, and "d" takes only whole numbers
    text = format(value, spec)
    if _OF_NOTHING.fullmatch(text.strip()):
        text = format(abs(value), spec)
    return text.replace("-", "−")
