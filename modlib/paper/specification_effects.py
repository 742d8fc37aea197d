"""Whether both findings hold by other ways from similarities to modules: effects of each specification."""

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

from modlib.measures import DOWNSTREAM, UPSTREAM
from modlib.paper import contrasts, family_pairs
from modlib.paper.multiverse import AGREEMENT_EFFECT
from modlib.paper.simulations import specifications
from modlib.paper.simulations.rejections import FOLDER
from modlib.paper.simulations.specifications import DEFAULT, SPECIFICATION
from modlib.stats import intervals, selection
from modlib.stats.intervals import Estimate
from modlib.study import project

LEAD, ACROSS = "lead", "across"
EFFECTS = {
    LEAD: "Q less its null at the best dropout less that at the best L1 or L2, at matched test accuracy",
    ACROSS: "agreement (AMI) across families",
    AGREEMENT_EFFECT: "agreement (AMI) within families (mean of both) less agreement across families",
}
FAMILIES = {"upstream": UPSTREAM, "downstream": DOWNSTREAM}  # whose graphs the first effect averages over
LEVELS = {"plain": ("l2", 1e-5), "dropout .5": ("dropout", 0.5), "dropout .7": ("dropout", 0.7)}
_KEY = ["experiment", *SPECIFICATION]


def effects(modules: pd.DataFrame, agreement: pd.DataFrame, networks: pd.DataFrame) -> pd.DataFrame:
    """Estimate every effect by every specification, with the seed as the unit.

    The first effect is dropout's lead (`modlib.paper.contrasts.lead`), of Q less its null instead of Q, by
    family. Criteria have scales of their own, so specifications are to be compared by its sign and
    not by its size. The others are averaged over layers within a seed, those layers that have a value.

    Parameters
    ----------
    modules, agreement
        The tables of `modlib.paper.simulations.specifications`.
    networks
        Rows of the tables `networks` of the experiments (`modlib.study.schema`) for those networks that are
        to take part. Levels of L1 and L2 count if they are on average as accurate on test images as the least
        accurate level of dropout among them.

    Returns
    -------
    DataFrame
        One row an `experiment`, specification (`algorithm`, `sign`, `setting`), `effect` (a key of `EFFECTS`)
        and what it is estimated `at`, a key of `FAMILIES` or of `LEVELS`: `value`, its 95 % interval from
        `low` to `high`, `n` seeds and `p`, two-sided against 0. Of the graphs behind it, `n_modules` is the
        mean number of modules, and `one_module` and `single_units` the shares that end in one module, or with
        every unit in its own: there, Q and agreement say nothing.
    """
    by_key = dict(list(agreement.groupby(_KEY, sort=False)))
    rows = []
    for key, graphs in modules.groupby(_KEY, sort=False):
        here = networks[networks.experiment == key[0]]
        here = here[here.network.isin(graphs.network)]
        graphs = graphs[graphs.network.isin(here.network)]
        for effect, at, found, behind in _estimates(graphs, by_key[key], here):
            numbers = (found.value, found.low, found.high, found.n, found.p)
            rows.append((*key, effect, at, *numbers, *_modules(behind)))
    names = ["value", "low", "high", "n", "p", "n_modules", "one_module", "single_units"]
    return pd.DataFrame(rows, columns=[*_KEY, "effect", "at", *names])


def beside_default(found: pd.DataFrame) -> pd.DataFrame:
    """Put every other specification beside the default (`DEFAULT`), where the default has a sign.

    An effect whose interval by the default holds 0 has no sign that another specification could reverse, so
    its rows are left out, of that experiment. To the other rows of `effects`, those of the default aside, the
    value by the default in the same experiment is added as `default`, with its interval from `default_low` to
    `default_high`.
    """
    same = ["experiment", "effect", "at"]
    is_default = (found[SPECIFICATION] == pd.Series(astuple(DEFAULT), index=SPECIFICATION)).all(axis=1)
    default = found.loc[is_default, [*same, "value", "low", "high"]]
    default = default[(default.low > 0) | (default.high < 0)]
    default = default.rename(columns={"value": "default", "low": "default_low", "high": "default_high"})
    return found[~is_default].merge(default, on=same, validate="many_to_one")


def reversals(found: pd.DataFrame) -> pd.DataFrame:
    """Name the specifications by which an effect has the opposite sign from the default's.

    Those rows of `beside_default` are returned whose whole interval is on the other side of 0 from that by
    the default.
    """
    both = beside_default(found)
    opposite = np.where(both.default > 0, both.high < 0, both.low > 0)
    return both[opposite].reset_index(drop=True)


def _estimates(
    modules: pd.DataFrame, agreement: pd.DataFrame, networks: pd.DataFrame
) -> Iterator[tuple[str, str, Estimate, pd.DataFrame]]:
    """Give effects, where they are estimated, and the graphs that they rest on, of one specification."""
    least = contrasts.least_accurate_dropout(networks)
    excess = modules.assign(q=modules.q - modules.null_q)
    for name, measures in FAMILIES.items():
        graphs = excess[excess.measure.isin(measures)]
        levels = contrasts.levels(graphs, networks, min_accuracy=least) if least > 0 else []
        pairs = [(graph.dropout, graph.weights) for graph in levels]
        yield LEAD, name, selection.difference_of_best(pairs), graphs
    for name, (regularizer, strength) in LEVELS.items():
        there = networks[(networks.regularizer == regularizer) & (networks.strength == strength)]
        graphs = modules[modules.network.isin(there.network)]
        seeds = family_pairs.families_by_seed(agreement, there, "ami")
        seeds["more"] = (seeds.upstream + seeds.downstream) / 2 - seeds.across
        for effect, column in ((ACROSS, "across"), (AGREEMENT_EFFECT, "more")):
            by_seed = seeds.groupby("seed")[column].mean()
            yield effect, name, intervals.mean(by_seed.to_numpy(dtype=float)), graphs


def _modules(graphs: pd.DataFrame) -> tuple[float, float, float]:
    """Mean number of modules, and shares of graphs that have one, or as many as units."""
    alive = graphs[graphs.units > 0]
    one, single = alive.n_modules == 1, alive.n_modules == alive.units
    return float(alive.n_modules.mean()), float(one.mean()), float(single.mean())


def write(target: str | Path, networks: pd.DataFrame) -> None:
    """Write `effects` of the tables in a folder there, as CSV; `networks` is as for `effects`."""
    modules, agreement = (specifications.read(name, target) for name in ("modules", "agreement"))
    found = effects(modules, agreement, networks)
    path = Path(target) / "specifications.csv"
    found.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def read(folder: str | Path = FOLDER) -> pd.DataFrame:
    """Read the stored table of `write`."""
    return pd.read_csv(project.of_checkout(Path(folder) / "specifications.csv"))
