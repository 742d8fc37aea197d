"""The command line: ``python -m modlib data | run | book | check``."""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path

import click

from modlib import data
from modlib.study import catalogue


class _OneOf(click.Choice):  # type: ignore[type-arg]  # generic in newer versions only
    """A choice of words; where none is given, the error lists them in one line."""

    def get_missing_message(self, *_: object, **__: object) -> str:
        return f"Choose from {', '.join(map(str, self.choices))}."


_PROFILE = click.option(
    "--profile",
    type=click.Choice(catalogue.PROFILES),
    default="paper",
    show_default=True,
    help="quick: a coarse grid, minutes on two cores; paper: full scale.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modlib")
def main() -> None:
    """Modules of hidden units: fetch data, run experiments, build the book."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


@main.command("data")
@click.argument("names", nargs=-1, type=click.Choice(data.available()))
def fetch(names: tuple[str, ...]) -> None:
    """Fetch data sets (all, if none is named), verify them, and say where they are."""
    for name in names or data.available():
        try:
            for path in data.fetch(name):
                click.echo(path)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{name}: {error}") from error


def _address(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from modlib.study import dask

    try:
        return value if value is None else dask.check_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@main.command()
@click.argument("experiment", type=_OneOf(list(catalogue.EXPERIMENTS)))
@_PROFILE
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--workers", type=click.IntRange(min=0), help="Shards at a time; by default one a core, or one on a GPU."
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    callback=_address,
    help="Compute on the workers of a Dask cluster: tcp://host:8786, for example. "
    "They use their processors unless --device cuda is given.",
)
def run(experiment: str, profile: str, device: str, workers: int | None, scheduler: str | None) -> None:
    """Compute an experiment's tables, or continue where a run was stopped.

    Says first how long it will take on this machine. What is stored already is verified and left as it is.
    """
    from modlib.study import runner, store

    if scheduler is not None and workers is not None:
        raise click.UsageError("--scheduler has workers of its own: leave --workers out")
    try:
        results = runner.run(
            experiment,
            profile=profile,
            device=device,  # type: ignore[arg-type]
            workers=workers,
            scheduler=scheduler,
            long=True,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise _failed(error) from error
    click.echo(f"{len(results.networks)} networks in {store.folder_of(catalogue.get(experiment, profile))}")


@main.command()
@_PROFILE
@click.option("--force", is_flag=True, help="Run every notebook again, changed or not.")
@click.option("--only", multiple=True, metavar="CHAPTER", help="Run these notebooks only (may be repeated).")
@click.option("--jobs", type=click.IntRange(min=1), help="Notebooks at a time; by default one a core.")
def book(profile: str, force: bool, only: tuple[str, ...], jobs: int | None) -> None:
    """Run the notebooks whose inputs changed, render the site, and say where it is."""
    from modlib.book import theme
    from modlib.book.builder import ChapterError, build
    from modlib.book.chapters.index import charts as hero_charts
    from modlib.study import runner

    try:
        build(profile, force=force, only=only, jobs=jobs)
        if profile == "paper" and not only:  # the picture of the README belongs to a whole book
            theme.setup()
            hero_charts.save_hero(runner.run("base", profile=profile), Path("book/hero.svg"))
    except ChapterError as error:
        raise click.BadParameter(str(error), param_hint="--only") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise _failed(error) from error


@main.command("check")
@click.option("--write", is_flag=True, help="Put on record what the tables say now.")
def check_record(write: bool) -> None:
    """Compute verdicts and numbers again from the stored tables, and compare them with those on record.

    Prints what no longer matches, a line each, and then exits with 1. The numbers of the book are compared
    too, if it was built from the tables of the paper profile.
    """
    from modlib.book import on_record

    try:
        if write:
            for path in on_record.write():
                click.echo(path)
            return
        found = on_record.problems()
        for problem in found:
            click.echo(problem)
        if found:
            raise SystemExit(1)
        click.echo(on_record.summary())
    except (OSError, RuntimeError, ValueError) as error:
        raise _failed(error) from error


def _failed(error: Exception) -> click.ClickException:
    """Return what ends the command: the message of an error whose cause the user can mend, no traceback."""
    message = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message += (
            f": make room there or in {os.environ.get('TMPDIR', '/tmp')}, or let MODLIB_RESULTS and TMPDIR "
            "name other folders"
        )
    return click.ClickException(message)


if __name__ == "__main__":
    main()
