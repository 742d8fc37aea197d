"""Pages as they are used without a mouse."""

import pytest


def press_until(page, selector, *, most=80):
    """Go on with the tab key until an element has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"the tab key does not lead to {selector}")
