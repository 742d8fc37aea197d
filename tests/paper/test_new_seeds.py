"""What was frozen before the new networks were trained, and that it is what the code does."""

import re

import numpy as np
import pandas as pd
import pytest
import worlds

from modlib.measures import VARIANTS
from modlib.paper import claims, contrasts, evidence, new_seeds
from modlib.paper.contrasts import LEVELS_COMPARED
from modlib.study import catalogue, project
from modlib.study.accuracy_filter import GRAPH, trained_networks

PLAN = (project.ROOT / "book" / "plan.md").read_text()


@pytest.mark.parametrize(("old", "new"), new_seeds.NEW_SEEDS.items())
def test_new_seeds_and_levels_are_those_of_the_plan(old, new):
    before, after = catalogue.get(old, "paper"), catalogue.get(new, "paper")
    assert not set(before.seeds) & set(after.seeds)
    assert set(after.settings) <= set(before.settings)
    same = ("dataset", "hidden", "protocol", "train_samples", "test_samples", "restarts", "labels")
    assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    (row,) = re.findall(rf"\| `{new}` \| (\d+) to (\d+) \| (\d+) \| (\d+) \| (\d+) \|", PLAN)
    first, last, seeds, levels, networks = map(int, row)
    assert after.seeds == tuple(range(first, last + 1))
    assert (len(after.seeds), len(after.settings), after.n_networks) == (seeds, levels, networks)


@pytest.mark.parametrize("new", new_seeds.NEW_SEEDS.values())
def test_every_graph_has_its_levels_and_they_are_trained(new):
    experiment = catalogue.get(new, "paper")
    trained = {(setting.regularizer, setting.strength) for setting in experiment.settings}
    table = new_seeds.frozen_levels(new)
    for compared in LEVELS_COMPARED:
        here = table[table.levels == compared]
        graphs = {tuple(key) for key in here[GRAPH].itertuples(index=False)}
        assert graphs == {
            (layer, *variant) for layer in range(1, len(experiment.hidden) + 1) for variant in VARIANTS
        }
        assert len(here) == len(graphs)
    assert set(table.penalty) <= {"l1", "l2"}
    assert {("dropout", strength) for strength in table.dropout} <= trained
    assert set(zip(table.penalty, table.strength, strict=True)) <= trained


def test_margins_and_claims_of_the_plan_are_those_of_the_code():
    assert f"*level* within {claims.LEAD_MARGIN:g} of Q" in PLAN
    assert f"rises by no more than {claims.DOWNSTREAM_MARGIN:g}." in PLAN
    assert f"*kept* within {claims.MODULES_MARGIN:g}." in PLAN
    assert f"a loss below {claims.ACCURACY_MARGIN:g}." in PLAN
    primary = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (above|below|within)", PLAN, flags=re.MULTILINE)
    by_id = {claim.id: claim for claim in claims.CLAIMS}
    assert len(primary) == 6
    case = evidence.Case("base", {"base": worlds.results("true")})
    for name, direction in primary:
        items = list(by_id[name].test(case))
        assert {item.direction for item in items} == {direction}
        assert set(new_seeds.NEW_SEEDS.values()) <= set(by_id[name].experiments)


def test_the_best_levels_are_chosen_by_mean_q():
    found = worlds.results("true")
    table = new_seeds.choose(found)
    assert len(table) == 2 * 16
    anywhere = table[table.levels == LEVELS_COMPARED[1]]
    assert set(anywhere.dropout) == {0.6}
    assert {*zip(anywhere.penalty, anywhere.strength, strict=True)} == {("l1", 1e-3)}
    # A penalty that costs accuracy is chosen only where accuracy is not asked for.
    rival = found.networks.network[found.networks.regularizer == "l1"]
    found.networks.loc[found.networks.network.isin(rival), "test_accuracy"] = 0.9
    table = new_seeds.choose(found).groupby("levels").penalty.unique()
    assert (list(table[LEVELS_COMPARED[0]]), list(table[LEVELS_COMPARED[1]])) == (["l2"], ["l1"])


def test_nothing_is_chosen_on_new_seeds(tmp_path, monkeypatch):
    """A graph is read at its frozen levels, though others are better on the new seeds."""
    found = worlds.results("true")
    better = found.modules.network.str.startswith(("dropout=0.2", "l1"))
    found.modules.loc[better, "q"] += 1
    frozen = new_seeds.choose(found).assign(experiment="base-new-seeds")
    assert set(frozen.dropout) == {0.2}
    frozen = frozen.assign(dropout=0.6, penalty="l2", strength=1e-2)
    frozen.to_csv(tmp_path / "levels.csv", index=False)
    monkeypatch.setattr(new_seeds, "FILE", tmp_path / "levels.csv")
    case = evidence.Case("base-new-seeds", {"base-new-seeds": found})
    for compared in LEVELS_COMPARED:
        graphs = case.graphs[compared]
        assert len(graphs) == 16
        for graph in graphs:
            assert graph.dropout_levels == (("dropout", 0.6),)
            assert graph.weights_levels == (("l2", 1e-2),)
        lead = contrasts.lead(graphs, "dropout", "weights", "upstream")
        assert lead.value == pytest.approx(0.3 - 0.02, abs=0.005)


def test_levels_that_were_not_frozen_or_trained_are_named(tmp_path, monkeypatch):
    found = worlds.results("true")
    graphs = contrasts.levels(found.modules, trained_networks(found))
    frozen = new_seeds.choose(found).assign(experiment="base-new-seeds")
    monkeypatch.setattr(new_seeds, "FILE", tmp_path / "levels.csv")
    frozen.assign(dropout=0.55).to_csv(tmp_path / "levels.csv", index=False)
    with pytest.raises(ValueError, match=r"base-new-seeds does not train \[\('dropout', 0.55\)\]"):
        new_seeds.at_frozen_levels(graphs, "base-new-seeds", LEVELS_COMPARED[0])
    frozen[frozen.layer == 1].to_csv(tmp_path / "levels.csv", index=False)
    with pytest.raises(ValueError, match=r"no levels were frozen for \(2, "):
        new_seeds.at_frozen_levels(graphs, "base-new-seeds", LEVELS_COMPARED[0])


def test_a_graph_whose_frozen_level_is_lost_to_the_filter_is_left_out_and_named(tmp_path, monkeypatch):
    """One graph of the upstream family was frozen at an L1 at which no new network learns."""
    found = worlds.results("true")
    frozen = new_seeds.choose(found).assign(
        experiment="base-new-seeds", dropout=0.6, penalty="l2", strength=1e-2
    )
    here = (frozen.layer == 1) & (frozen.measure == "input_grad") & frozen.normalized
    frozen.loc[here, ["penalty", "strength"]] = "l1", 1e-3
    frozen.to_csv(tmp_path / "levels.csv", index=False)
    monkeypatch.setattr(new_seeds, "FILE", tmp_path / "levels.csv")
    found.networks.loc[found.networks.regularizer == "l1", "test_accuracy"] = 0.5
    case = evidence.Case("base-new-seeds", {"base-new-seeds": found})
    (item,) = claims.dropout_leads_upstream(case)
    assert item.label == "upstream, 7 of 8 graphs"
    assert item.estimate.value == pytest.approx(0.3 - 0.02, abs=0.005)
    (item,) = claims.dropout_leads_downstream(case)
    assert item.label == "downstream"


def test_new_seeds_are_held_against_the_untrained_networks_of_the_old():
    """Which have other seeds than the new ones."""
    old, new = worlds.results("true"), worlds.results("true", rng=1)
    new.networks.loc[new.networks.trained, "seed"] += 100
    no_untrained = new.networks[new.networks.trained]
    case = evidence.Case("base-new-seeds", {"base": old, "base-new-seeds": new})
    assert set(case.never_trained.network) == set(old.networks[~old.networks.trained].network)
    assert len(no_untrained)
    agreement = evidence.agreement_untrained(case)
    assert len(agreement) == (~old.networks.trained).sum()
    assert np.isfinite(agreement.upstream).all()


def test_the_file_of_frozen_levels_is_whole():
    table = pd.read_csv(new_seeds.FILE)
    assert set(table.experiment) == set(new_seeds.NEW_SEEDS.values())
    assert not table.isna().any().any()
