"""The command line: ``python -m modlib data | run | recompute | report | chapter | book | teach | check``."""

import ast
import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modlib import extras

try:
    import click
except ModuleNotFoundError:
    sys.exit(f"Error: {extras.missing('the command line', 'report')}")

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


def _needs(command: str, extra: str) -> None:
    """End the command with a line that names the extra which it needs, unless that is installed."""
    try:
        extras.require(f"modlib {command}", extra)
    except extras.MissingExtraError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """End the command with the message of an error whose cause the user can mend, and no traceback."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        message = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            message += (
                f": make room there or in {os.environ.get('TMPDIR', '/tmp')}, "
                "or let MODLIB_RESULTS and TMPDIR name other folders"
            )
        raise click.ClickException(message) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modlib")
def main() -> None:
    """Modules of hidden units: report on a network, fetch data, run experiments, build the book."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


@main.command("data")
@click.argument("names", nargs=-1, type=click.Choice(data.available()))
def fetch(names: tuple[str, ...]) -> None:
    """Fetch data sets (all, if none is named), verify them, and say where they are."""
    _needs("data", "study")
    for name in names or data.available():
        try:
            for path in data.fetch(name):
                click.echo(path)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{name}: {error}") from error


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
    help="Compute on the workers of a Dask cluster: tcp://host:8786, for example. "
    "They use their processors unless --device cuda is given.",
)
def run(experiment: str, profile: str, device: str, workers: int | None, scheduler: str | None) -> None:
    """Compute an experiment's tables, or continue where a run was stopped.

    Says first how long it will take on this machine. What is stored already is verified and left as it is.
    """
    _needs("run", "study" if scheduler is None else "cluster")
    from modlib.study import dask, runner, store

    try:
        scheduler = scheduler if scheduler is None else dask.check_address(scheduler)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scheduler") from error
    if scheduler is not None and workers is not None:
        raise click.UsageError("--scheduler has workers of its own: leave --workers out")
    with _errors_in_a_line():
        results = runner.run(
            experiment,
            profile=profile,
            device=device,  # type: ignore[arg-type]
            workers=workers,
            scheduler=scheduler,
            long=True,
        )
    click.echo(f"{len(results.networks)} networks in {store.folder_of(catalogue.get(experiment, profile))}")


@main.command()
@click.argument("experiment", type=_OneOf(list(catalogue.EXPERIMENTS)))
@_PROFILE
def recompute(experiment: str, profile: str) -> None:
    """Compute Q of the networks that are stored with their weights again, and compare it with the tables.

    Exits with 1 if any Q differs from the stored one by more than rounding.
    """
    _needs("recompute", "study")
    from modlib.study import recompute, store

    with _errors_in_a_line():
        compared = recompute.from_weights(store.read_results(catalogue.get(experiment, profile)))
    differs = compared[compared.verdict == "differs"]
    for row in differs.itertuples():
        variant = "normalised" if row.normalized else "raw"
        click.echo(f"{row.network}, layer {row.layer}, {row.measure}, {variant}: {row.live} ≠ {row.stored}")
    click.echo(
        f"Q of {len(compared)} graphs of {compared.network.nunique()} networks computed again: "
        f"{len(compared) - len(differs)} as stored, {len(differs)} not"
    )
    if len(differs):
        raise SystemExit(1)


@main.command()
@click.argument("model", metavar="FILE:FUNCTION")
@click.option("--layer", "layers", multiple=True, required=True, metavar="NAME", help="May be repeated.")
@click.option(
    "--data",
    "samples",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An .npz file with arrays x and (if there are labels) y, or a .pt file with tensors of these names.",
)
@click.option("--save", "to", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option("--loss", type=click.Choice(["cross_entropy", "bce", "mse"]), default="cross_entropy")
@click.option("--positions", type=click.Choice(["mean", "each"]), default="mean")
@click.option("--embedding", metavar="NAME", help="The embedding of a model of tokens.")
@click.option(
    "--probes", type=click.IntRange(min=1), help="Estimate the input gradient by so many directions."
)
@click.option("--batch", type=click.IntRange(min=1), help="Samples at a time.")
@click.option("--permuted/--no-permuted", default=True, help="Compare Q with that of permuted weights.")
@click.option("--untrained", is_flag=True, help="Compare Q with that of the model, initialised anew.")
@click.option("--draws", type=click.IntRange(min=2), default=20, show_default=True, help="Of each null.")
@click.option("--restarts", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def report(model: str, layers: tuple[str, ...], samples: Path, to: Path, **options: Any) -> None:
    """Report on the modules of a network of your own, which FUNCTION in FILE returns.

    For example: python -m modlib report model.py:build --layer encoder.3 --data x.npz --save run1
    """
    _needs("report", "report")
    from modlib.reporting import folder, from_files
    from modlib.reporting.of_model import report as report_on

    with _errors_in_a_line():
        folder.check_free(to)  # before anything is measured
        x, y = from_files.load_samples(samples)
        network = from_files.load_model(model)
        try:
            found = report_on(network, layers, x, y, progress=True, **options)
        except TypeError as error:
            raise click.ClickException(str(error)) from error
        click.echo(repr(found))
        click.echo(f"\n{found.save(to) / 'report.html'}")


@main.command()
@click.argument("name", metavar="CHAPTER")
@click.argument("to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@_PROFILE
@click.option(
    "-p",
    "--parameter",
    "given",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="May be repeated.",
)
def chapter(name: str, to: Path, profile: str, given: tuple[tuple[str, str], ...]) -> None:
    """Run one notebook of the book, with parameters of its own, and write the executed copy to FILE.

    For example: python -m modlib chapter training out.ipynb --profile quick -p seed 3
    """
    _needs("chapter", "book")
    from modlib.book.builder import ChapterError, run_chapter

    with _errors_in_a_line():
        try:
            run_chapter(name, to, {"profile": profile} | {word: _value(text) for word, text in given})
        except ChapterError as error:
            raise click.BadParameter(str(error), param_hint="CHAPTER") from error


def _value(text: str) -> Any:
    """Read a number where the text is one; what else it is stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@main.command()
@_PROFILE
@click.option("--force", is_flag=True, help="Run every notebook again, changed or not.")
@click.option("--only", multiple=True, metavar="CHAPTER", help="Run these notebooks only (may be repeated).")
@click.option("--jobs", type=click.IntRange(min=1), help="Notebooks at a time; by default one a core.")
def book(profile: str, force: bool, only: tuple[str, ...], jobs: int | None) -> None:
    """Run the notebooks whose inputs changed, render the site, and say where it is."""
    _needs("book", "book")
    from modlib.book import theme
    from modlib.book.builder import ChapterError, build
    from modlib.book.chapters.index import charts as hero_charts
    from modlib.study import runner

    with _errors_in_a_line():
        try:
            build(profile, force=force, only=only, jobs=jobs)
        except ChapterError as error:
            raise click.BadParameter(str(error), param_hint="--only") from error
        if profile == "paper" and not only:  # the picture of the README belongs to a whole book
            theme.setup()
            hero_charts.save_hero(runner.run("base", profile=profile), Path("book/hero.svg"))


@main.command()
@click.option("--pdf/--no-pdf", "pdfs", default=True, help="Print sheets to PDF, if there is a Chromium.")
def teach(pdfs: bool) -> None:
    """Write slides, handouts, keys and an exam for a course, and say where they are.

    Figures and numbers are those of the executed book, which `make book` leaves in book/executed.
    """
    _needs("teach", "book")
    from modlib.book import chromium, teaching
    from modlib.book.teaching import kit

    with _errors_in_a_line():
        written = teaching.make(pdfs=pdfs)
    printed = sum(path.suffix == ".pdf" for path in written)
    click.echo(f"{len(written) - printed} pages and {printed} PDF files in {kit.KIT}")
    if pdfs and chromium.find() is None:
        click.echo(
            "No Chromium was found, so nothing was printed to PDF: install one or name it in CHROMIUM, "
            "or print the pages from any browser."
        )


@main.command()
def pdf() -> None:
    """Print the site that `book` has rendered to one PDF, and say where it is."""
    _needs("pdf", "book")
    from pypdf import PdfReader

    from modlib.book import whole

    with _errors_in_a_line():
        made = whole.make()
    click.echo(f"{len(PdfReader(made).pages)} pages in {whole.BOOK}")


@main.command("check")
@click.option("--write", is_flag=True, help="Put on record what the tables say now.")
def check_record(write: bool) -> None:
    """Compute verdicts and numbers again from the stored tables, and compare them with those on record.

    Prints what no longer matches, a line each, and then exits with 1. The numbers of the book are compared
    too, if it was built from the tables of the paper profile.
    """
    _needs("check", "book")
    from modlib.book import on_record

    with _errors_in_a_line():
        if write:
            for path in on_record.write():
                click.echo(path)
            return
        found = on_record.problems()
        for problem in found or [on_record.summary()]:
            click.echo(problem)
        if found:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
