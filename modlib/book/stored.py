"""Experiments as far as they are stored, and what tables and pages say of those that are not."""

from typing import TypeVar

from IPython.display import Markdown

from modlib.study import catalogue, store
from modlib.study.store import Results

Found = TypeVar("Found")


class NotStoredError(LookupError):
    """What a table is made of is not stored."""


def there(found: Found | None) -> Found:
    """Return what is there; a NotStoredError leaves a table that is offered without rows where it is None."""
    if found is None:
        raise NotStoredError
    return found


def experiments(profile: str, *names: str) -> dict[str, Results]:
    """Read those of the experiments that are stored, by name."""
    found = {name: store.read_if_stored(catalogue.get(name, profile)) for name in names}
    return {name: results for name, results in found.items() if results is not None}


def not_yet(*names: str, profile: str = "paper") -> Markdown:
    """Say which experiments are not stored, and how to compute them."""
    commands = " and ".join(f"`python -m modlib run {name} --profile {profile}`" for name in names)
    said = (
        f"*Not stored yet, and not shown here: {', '.join(names)}. Computed by {commands} (minutes on a "
        "large GPU, hours on two cores); the page then fills itself.*"
    )
    return Markdown(said)  # type: ignore[no-untyped-call]
