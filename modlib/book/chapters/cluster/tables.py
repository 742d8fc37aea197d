"""What networks cost: processor time and room on a disk, as the base experiment took them."""

from __future__ import annotations

from modlib.study import catalogue, store

#: Networks of grids that one might think of, as powers of ten.
POWERS = (3, 5, 7)


def numbers(profile: str) -> dict[str, float | int | str | None]:
    """Numbers that the page on clusters cites; None until base is stored, or if a GPU made its tables.

    ``cost_core_seconds`` a network, trained and analysed, and ``cost_kib`` of its rows in the tables;
    ``cost_core_hours_1e<power>``, ``cost_days_on_100_cores_1e<power>`` and ``cost_gib_1e<power>`` of 10^power
    networks.
    """
    keys = ["cost_core_seconds", "cost_kib"]
    keys += [f"cost_{what}_1e{n}" for what in ("core_hours", "days_on_100_cores", "gib") for n in POWERS]
    found: dict[str, float | int | str | None] = dict.fromkeys(keys)
    results = store.read_if_stored(catalogue.get("base", profile))
    if results is None or not str(results.manifest.get("device", "")).startswith("cpu"):
        return found
    seconds, trained = results.manifest["seconds"], int(results.networks.trained.sum())
    each = seconds["training"] / trained + seconds["analysis"] / len(results.networks)
    files = results.manifest["files"]
    kib = sum(file["bytes"] for name, file in files.items() if name.endswith(".parquet")) / 1024
    found |= {"cost_core_seconds": each, "cost_kib": kib / len(results.networks)}
    for power in POWERS:
        hours = each * 10**power / 3600
        found |= {f"cost_core_hours_1e{power}": hours, f"cost_days_on_100_cores_1e{power}": hours / 2400}
        found[f"cost_gib_1e{power}"] = kib / len(results.networks) * 10**power / 2**20
    return found
