"""The command line: ``python -m benchmarks training | analysis | search | growth | imports | book | …``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import pandas as pd

from modlib.book import benchmark_records
from modlib.book.benchmark_records import Device
from modlib.book.chapters.speed import estimates

_DEVICE = click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
_ROUNDS = click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
_SAVE = click.option("--save/--no-save", default=True, show_default=True, help="Put the result on record.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure how fast modlib is, as ratios of things timed side by side."""


@main.command()
@_DEVICE
@_ROUNDS
@_SAVE
@click.option("--images", type=click.IntRange(min=400, max=60_000), default=60_000, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over them; by default 1, and 3 on a GPU.")
@click.option("--stride", type=click.IntRange(min=1), default=3, show_default=True,
              help="The loop trains every so manyth of the thirty settings.")  # fmt: skip
@click.option("--tuned/--untuned", default=True, help="Try several ways to run the loop first.")
def training(
    device: Device, rounds: int, save: bool, images: int, epochs: int | None, stride: int, tuned: bool
) -> None:
    """Race the stack against one network at a time, and against its matrix products alone."""
    from benchmarks import training

    epochs = epochs or (3 if device == "cuda" else 1)
    table, about = training.measure(
        device, images=images, epochs=epochs, rounds=rounds, stride=stride, tuned=tuned
    )
    _report("training", device, table, about, save=save)


@main.command()
@_DEVICE
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@_SAVE
def base(device: Device, rounds: int, save: bool) -> None:
    """Time the stages of the experiment base, compiled, with all cores (hours without a GPU)."""
    from benchmarks import base

    table, about = base.measure(device, rounds=rounds)
    click.echo(table.groupby("stage", sort=False).seconds.describe().to_string())
    if save:
        click.echo(benchmark_records.write("base", device, table, about))


@main.command()
@_DEVICE
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="A network.")
@_SAVE
@click.option("--images", type=click.IntRange(min=100, max=10_000), default=10_000, show_default=True)
@click.option("--shuffles", type=click.IntRange(min=10), default=5000, show_default=True,
              help="Of each pair; fewer are scaled up.")  # fmt: skip
@click.option("--networks", type=click.IntRange(min=1), help="How many of those kept; by default all.")
def analysis(
    device: Device, rounds: int, save: bool, images: int, shuffles: int, networks: int | None
) -> None:
    """Race the analysis of a network against the method as published."""
    from benchmarks import analysis

    table, modules, about = analysis.measure(
        device, rounds=rounds, images=images, shuffles=shuffles, networks=networks
    )
    _report("analysis", device, table, about, save=save)
    lower, higher = ((modules.gain * sign > analysis.ROUNDING).sum() for sign in (-1, 1))
    click.echo(
        f"Q on {len(modules)} graphs: modlib's is higher on {higher}, by up to {modules.gain.max():.1e}, "
        f"and lower on {lower}, by up to {max(0.0, -modules.gain.min()):.1e}"
    )
    if save:
        click.echo(benchmark_records.write("analysis-q", device, modules, about))


@main.command()
@_SAVE
@click.option("--units", type=click.Choice(["64", "256"]), default="64", show_default=True)
@click.option("--graphs", type=click.IntRange(min=1), help="How many; by default all.")
def search(save: bool, units: str, graphs: int | None) -> None:
    """Count how often find_modules and its peers miss the best known Q, given equal time.

    At 256 units (half an hour), the best known Q is that of long searches, and draws of a null are searched
    too, with few restarts and with many.
    """
    from threadpoolctl import threadpool_limits

    from benchmarks import best_known, search
    from modlib.study.workers import torch_threads

    with torch_threads(1), threadpool_limits(1):
        known = best_known.graphs() if units == "64" else best_known.wide_graphs()
        few = None if units == "64" else (search.EARLIER, "igraph Leiden", "leidenalg")
        table, about = search.measure(known[:graphs], searches=few)
        click.echo(estimates.by_search(table).to_string())
        if save:
            name = "search" if units == "64" else "search-wide"
            click.echo(benchmark_records.write(name, "cpu", table, about))
        if units == "64":
            return
        nulls = search.on_nulls(best_known.wide_similarities()["plain"])
        click.echo(estimates.shortfall(nulls).to_string())
        if save:
            click.echo(benchmark_records.write("search-nulls", "cpu", nulls, about))


@main.command()
@_ROUNDS
@_SAVE
@click.option("--images", type=click.IntRange(min=100, max=10_000), default=1000, show_default=True)
def peers(rounds: int, save: bool, images: int) -> None:
    """Race similarity and agreement against other packages, those that are installed, on one thread."""
    from threadpoolctl import threadpool_limits

    from benchmarks import peers
    from modlib.study.workers import torch_threads

    with torch_threads(1), threadpool_limits(1):
        table, about = peers.measure(rounds=rounds, images=images)
    click.echo(table.groupby(["stage", "contestant"], sort=False).seconds.median().to_string())
    if save:
        click.echo(benchmark_records.write("peers", "cpu", table, about))


@main.command()
@_SAVE
@click.option("--only", multiple=True, metavar="WHAT", help="These curves only (may be repeated), not saved.")
def growth(save: bool, only: tuple[str, ...]) -> None:
    """Measure time and memory as units, images and networks grow, on one thread of a processor."""
    from threadpoolctl import threadpool_limits

    from benchmarks import growth
    from modlib.study.workers import torch_threads

    unknown = [what for what in only if what not in growth.SIZES]
    if unknown:
        raise click.UsageError(f"--only must be one of {', '.join(growth.SIZES)}; got {unknown[0]!r}")
    sizes = {what: growth.SIZES[what] for what in only or growth.SIZES}
    table = growth.measure(sizes)
    fitted = estimates.exponents(table)
    click.echo(table.to_string(index=False))
    click.echo(fitted.to_string(index=False))
    if not only:
        about = {"threads": 1, "timeout": growth.TIMEOUT}
        with torch_threads(1), threadpool_limits(1):
            sparse, images = growth.sparsified(), growth.subsampled()
        found = {"growth": table, "growth-sparse": sparse, "growth-images": images}
        for name, curves in found.items():
            click.echo(curves.describe().to_string())
            if save:
                click.echo(benchmark_records.write(name, "cpu", curves, about))


@main.command()
@_SAVE
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=120.0, show_default=True,
              help="Of the processor, a graph.")  # fmt: skip
@click.option("--graphs", type=click.IntRange(min=1), help="How many; by default all 64.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True)
def optima(save: bool, seconds: float, graphs: int | None, processes: int) -> None:
    """Prove the best partitions of 64 graphs (half an hour), each on one thread."""
    from benchmarks import optima

    table = optima.measure(time_limit=seconds, graphs=graphs, processes=processes, say=click.echo)
    click.echo(optima.summary(table))
    if save:
        about = {"threads": 1, "processes": processes, "time_limit": seconds}
        click.echo(benchmark_records.write("optima", "cpu", table, about))


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@_SAVE
@click.option("--images", type=click.IntRange(min=10), default=1000, show_default=True)
def report(rounds: int, save: bool, images: int) -> None:
    """Time a report on 256 channels of a residual network, from the import of modlib to the page."""
    from benchmarks import report

    table, about = report.measure(rounds=rounds, images=images)
    _report("report", "cpu", table, about, save=save)


@main.command()
@click.option("--rounds", type=click.IntRange(min=1), default=9, show_default=True)
@_SAVE
def imports(rounds: int, save: bool) -> None:
    """Race the import of modlib against that of torch, NumPy and igraph."""
    from benchmarks import imports

    table, about = imports.measure(rounds=rounds)
    _report("imports", "cpu", table, about, save=save)


@main.command()
@_SAVE
def book(save: bool) -> None:
    """Build the book three times, and open every page in Chromium."""
    from benchmarks import book

    builds, pages = book.builds()
    click.echo(builds.to_string(index=False))
    click.echo(pages.to_string(index=False))
    if save:
        click.echo(benchmark_records.write("book-builds", "cpu", builds, {}))
        click.echo(benchmark_records.write("book-pages", "cpu", pages, {"windows": book.WINDOWS}))


@main.command()
@_SAVE
@click.option("--files", type=click.IntRange(min=1), default=10_000, show_default=True)
def hostile(save: bool, files: int) -> None:
    """Damage files of every kind that modlib reads, and see what comes of reading them."""
    from benchmarks import hostile

    table = hostile.run(files)
    click.echo(table.to_string(index=False))
    if save:
        click.echo(benchmark_records.write("hostile", "cpu", table, {"files": files, "seed": 0}))


@main.command()
@_SAVE
def processors(save: bool) -> None:
    """Run an experiment with other instructions of the processor, and compare its tables."""
    from benchmarks import processors

    table, about = processors.measure()
    click.echo(table.to_string(index=False))
    if save:
        click.echo(benchmark_records.write("processors", "cpu", table, about))


@main.command()
@_SAVE
def suite(save: bool) -> None:
    """Run all tests, and note what each tries and how long it takes."""
    from benchmarks import suite

    table, about = suite.measure()
    click.echo(table.groupby(["part", "file"])[["cases", "failed", "skipped", "seconds"]].sum().to_string())
    click.echo(about["wall"])
    if save:
        click.echo(benchmark_records.write("suite", "cpu", table, about))


@main.command("check")
@_DEVICE
@click.option("--only", multiple=True, metavar="NAME", help="Check these only (may be repeated).")
def check_ratios(device: Device, only: tuple[str, ...]) -> None:
    """Measure again, in short, and compare the ratios with those on record.

    Prints every ratio that has fallen below half of what is on record, and does so in a second, longer
    measurement too, a line each, and then exits with 1.
    """
    from benchmarks import check

    names = only or tuple(check.CHECKED)
    unknown = [name for name in names if name not in check.CHECKED]
    if unknown:
        raise click.UsageError(f"--only must be one of {', '.join(check.CHECKED)}; got {unknown[0]!r}")
    found = [problem for name in names for problem in check.problems(name, device, say=click.echo)]
    for problem in found:
        click.echo(problem)
    if found:
        raise SystemExit(1)


def _report(name: str, device: Device, table: pd.DataFrame, about: Mapping[str, Any], *, save: bool) -> None:
    medians = table.groupby("contestant", sort=False).seconds.median()
    width = max(map(len, medians.index))
    for contestant, seconds in medians.items():
        click.echo(f"{contestant:{width}}  {seconds:.6g} s")
    for ratio, values in about["ratios"].items():
        click.echo(
            f"{ratio}: {values['median']:.3g} (quartiles {values['lower']:.3g} to {values['upper']:.3g})"
        )
    if save:
        click.echo(benchmark_records.write(name, device, table, about))


if __name__ == "__main__":
    main()
