"""What networks cost: processor time and room on a disk, as the base experiment took them."""

import pandas as pd

from modlib.book.numbers import offered
from modlib.study import catalogue, store

GRIDS = {"one": 1, "a thousand": 10**3, "a hundred thousand": 10**5, "ten million": 10**7}


@offered("networks")
def cost(profile: str) -> pd.DataFrame:
    """Processor time and room that grids of networks like those of base cost.

    They are in proportion to what base took; nan until it is stored, or if a GPU made its tables.
    """
    results = store.read_if_stored(catalogue.get("base", profile))
    seconds = size = float("nan")
    if results is not None and str(results.manifest.get("device", "")).startswith("cpu"):
        took, networks, files = results.manifest["seconds"], results.networks, results.manifest["files"]
        seconds = took["training"] / networks.trained.sum() + took["analysis"] / len(networks)
        size = sum(files[name]["bytes"] for name in files if name.endswith(".parquet")) / len(networks)
    number = pd.Series(GRIDS)
    table = pd.DataFrame({"core_seconds": seconds * number, "core_hours": seconds * number / 3600})
    table["days_on_100_cores"] = table.core_hours / 24 / 100
    table["kib"], table["gib"] = size * number / 2**10, size * number / 2**30
    return table.reset_index(names="networks")
