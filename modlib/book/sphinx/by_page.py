"""What Sphinx's environment keeps from build to build about each page: forgotten and merged with the page."""

from typing import Any

from sphinx.application import Sphinx


class ByPage:
    """A mapping from pages to what was read on them, under a name in the environment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def of(self, env: Any) -> dict[str, Any]:
        """Return the mapping of an environment, which may be filled."""
        if not hasattr(env, self.name):
            setattr(env, self.name, {})
        found: dict[str, Any] = getattr(env, self.name)
        return found

    def connect(self, app: Sphinx) -> None:
        """Have a page forgotten before it is read again, and take over what other processes have read."""
        app.connect("env-purge-doc", self._forget)
        app.connect("env-merge-info", self._merge)

    def _forget(self, _app: Sphinx, env: Any, page: str) -> None:
        self.of(env).pop(page, None)

    def _merge(self, _app: Sphinx, env: Any, pages: Any, other: Any) -> None:
        self.of(env).update({page: read for page, read in self.of(other).items() if page in pages})
