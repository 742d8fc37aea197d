"""What keeps people from using a page, as axe-core finds it."""

from axe_playwright_python.sync_playwright import Axe


def barriers(page):
    """Return the serious and critical faults of a page, each with the element that has it."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{fault['id']}: {' '.join(map(str, node['target']))[:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
