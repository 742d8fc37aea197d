"""Who wrote a work of the bibliography, as a sentence names them."""

from typing import Any


def authors(entry: Any) -> str:
    """Return the family names of the authors: of the first alone where there are more than two."""
    people = entry.persons.get("author") or entry.persons["editor"]
    names = [
        " ".join(str(part) for part in (*one.rich_prelast_names, *one.rich_last_names)) for one in people
    ]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
