"""Numbers as a reader sees them."""

import pytest

from modlib.book.number_format import format_number


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.4967, ".2f", "0.50"),
        (0.981, ".1%", "98.1%"),
        (270.0, "d", "270"),
        (12345, ",d", "12,345"),
        (-1.5, "", "−1.5"),
        (-0.25, "+.1f", "−0.2"),
        (-0.0004, ".3f", "0.000"),
        (-0.0004, ".1%", "0.0%"),
        (-0.0004, "+.3f", "+0.000"),
        (-0.0004, "8.2f", "    0.00"),
        (-0.0006, ".3f", "−0.001"),
        (-3e-17, ".0e", "−3e−17"),
        (-0.0, "", "0.0"),
        (0.25, "+.2f", "+0.25"),
        ("input_grad", "", "input_grad"),
        (None, "", "n/a"),
        (None, ".2f", "n/a"),
        (None, ",d", "n/a"),
    ],
)
def test_a_number_is_formatted_as_python_does_with_a_true_minus_and_none_on_a_zero(value, spec, text):
    assert format_number(value, spec) == text


@pytest.mark.parametrize(
    ("value", "spec", "error"),
    [
        (float("nan"), ".2f", ValueError),
        (float("inf"), "", ValueError),
        (0.5, "d", ValueError),
        (0.5, ".q", ValueError),
        ("word", ".2f", ValueError),
        (True, "", TypeError),
        ([1], "", TypeError),
        ([None], ".2f", TypeError),
    ],
)
def test_a_value_that_cannot_stand_in_prose_is_refused(value, spec, error):
    with pytest.raises(error):
        format_number(value, spec)
