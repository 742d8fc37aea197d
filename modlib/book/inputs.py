"""What every number of the book rests on, as files."""

from pathlib import Path

from modlib import _checks
from modlib.book import benchmark_records
from modlib.paper import judgement, new_seeds, published
from modlib.paper.simulations import rejections
from modlib.study import catalogue, project


def files(profile: str) -> dict[str, Path]:
    """Manifests, the paper's values, frozen levels, old verdicts, simulations and benchmarks, by name."""
    _checks.one_of(profile, "profile", catalogue.PROFILES)
    manifests = sorted(project.results_folder().glob(f"*-{profile}/manifest.json"))
    found = {path.parent.name: path for path in manifests}
    beside = [file.parent for file in (new_seeds.FILE, judgement.SUPERSEDED)]
    folders = (rejections.FOLDER, published.FOLDER, *beside, benchmark_records.FOLDER)
    for folder in folders:
        kept = [path for path in folder.glob("*") if path.suffix in (".csv", ".json")]
        found |= {f"{folder.name}/{path.name}": path for path in sorted(kept)}
    return found
