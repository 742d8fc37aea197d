"""The grids of the paper, and configurations that are told apart by everything in them."""

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pytest

from modlib.paper.new_seeds import NEW_SEEDS
from modlib.study import catalogue
from modlib.study.catalogue import EXPERIMENTS, PROFILES, get
from modlib.study.plan import UNTRAINED, Choice, Experiment, Setting
from modlib.training import PROTOCOLS

# Strengths on the axes of the paper's figures; those at which every network fell below 80 % accuracy
# (l2 = 0.1 and l1 = 0.01) are not drawn there and are added here.
STRENGTHS = {
    "l2": [1e-5, 3.16228e-5, 1e-4, 3.16228e-4, 1e-3, 3.16228e-3, 1e-2, 3.16228e-2, 1e-1],
    "l1": [1e-5, 3.16228e-5, 1e-4, 3.16228e-4, 1e-3, 3.16228e-3, 1e-2],
    "dropout": [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7],
}
ALL = [EXPERIMENTS[name][profile] for name in EXPERIMENTS for profile in PROFILES]
ODD = replace(ALL[0], name="odd", seeds=(5, 3, 8, 1, 2), untrained=45)


@pytest.mark.parametrize("name", ["base", "base-v1"])
def test_paper_scale_is_the_papers(name):
    experiment = get(name, "paper")
    assert (
        len(experiment.settings) * len(experiment.seeds),
        experiment.untrained,
        experiment.n_networks,
    ) == (270, 100, 370)
    assert (experiment.dataset, experiment.hidden) == ("mnist", (64, 64))
    assert (experiment.train_samples, experiment.test_samples) == (60_000, 10_000)
    for regularizer, strengths in STRENGTHS.items():
        ours = [s for s in experiment.settings if s.regularizer == regularizer]
        assert [s.strength for s in ours] == pytest.approx(strengths, rel=1e-3)
        assert [getattr(s, regularizer) for s in ours] == [s.strength for s in ours]  # in force as named
        for other in {"l1", "dropout"} - {regularizer}:
            assert {getattr(s, other) for s in ours} == {0.0}
        if regularizer != "l2":
            assert {s.l2 for s in ours} == {1e-5}


def test_protocols_are_the_two_of_the_paper():
    assert get("base", "paper").protocol == PROTOCOLS["final"]
    v1 = get("base-v1", "paper").protocol
    assert (v1.max_epochs, v1.decay, v1.stop_after, v1.keep) == (500, 1.0, None, "last")
    for name in EXPERIMENTS:  # quick asks the same of fewer networks
        paper, quick = get(name, "paper"), get(name, "quick")
        assert quick.protocol == replace(paper.protocol, max_epochs=quick.protocol.max_epochs)
        assert set(quick.settings) <= set(paper.settings)
        assert set(quick.seeds) <= set(paper.seeds)
        assert set(quick.kept) <= set(quick.settings)
        assert quick.n_networks < paper.n_networks / 3


def test_untrained_networks_bear_no_penalty():
    assert (UNTRAINED.l1, UNTRAINED.l2, UNTRAINED.dropout) == (0, 0, 0)


@pytest.mark.parametrize(
    "experiment", [*ALL, ODD], ids=lambda experiment: f"{experiment.name}-{experiment.profile}"
)
def test_shards_hold_every_network_once_and_in_order(experiment):
    shards = experiment.shards()
    held = [
        (shard.trained, seed, setting)
        for shard in shards
        for seed in shard.seeds
        for setting in shard.settings
    ]
    trained = [(True, seed, setting) for seed in experiment.seeds for setting in experiment.settings]
    assert held == trained + [(False, seed, UNTRAINED) for seed in range(experiment.untrained)]
    assert len({shard.name for shard in shards}) == len(shards)
    assert sum(map(len, shards)) == experiment.n_networks
    assert all(len(shard.seeds) == 1 for shard in shards if shard.trained)


def test_other_experiments_are_the_papers_but_for_what_their_names_say():
    base = get("base", "paper")
    same = ("train_samples", "test_samples", "restarts", "labels", "protocol", "dataset", "hidden")
    for name, differing in {
        "close-up": set(),
        "base-v1": {"protocol"},
        "wide": {"hidden"},
        "deep": {"hidden"},
        "fashion": {"dataset"},
        "labels-kept": {"protocol", "train_samples"},
        "labels-shuffled": {"protocol", "train_samples", "labels"},
    }.items():
        experiment = get(name, "paper")
        assert {one for one in same if getattr(experiment, one) != getattr(base, one)} == differing
    assert get("wide", "paper").hidden == (256, 256)
    assert get("deep", "paper").hidden == (64,) * 5
    assert get("wide", "paper").settings == get("deep", "paper").settings
    assert len(get("wide", "paper").settings) == 5 + 4 + 6
    assert get("fashion", "paper").settings == base.settings
    assert set(get("close-up", "paper").settings) <= set(base.settings)
    kept, shuffled = get("labels-kept", "paper"), get("labels-shuffled", "paper")
    assert replace(shuffled, name=kept.name, labels="true") == kept


def rebuilt(experiment):
    """Build the same experiment from its parts, sharing none of them."""
    return Experiment(
        **{f.name: getattr(experiment, f.name) for f in fields(experiment)}
        | {
            "settings": tuple(replace(s) for s in experiment.settings),
            "protocol": replace(experiment.protocol),
            "seeds": tuple(int(str(s)) for s in experiment.seeds),
        }
    )


CHANGES = {
    "name": "other",
    "profile": "other",
    "settings": (Setting("l2", 1e-5), Setting("l2", 2e-5, l2=2e-5)),
    "seeds": (0, 2, 1),
    "untrained": 21,
    "protocol": replace(PROTOCOLS["final"], learning_rate=2e-3),
    "dataset": "fashion_mnist",
    "hidden": (64, 65),
    "train_samples": 19_999,
    "test_samples": 1_999,
    "kept": (),
    "kept_seeds": 2,
    "restarts": 11,
    "labels": "shuffled",
    "null_settings": (Setting("l2", 1e-5),),
    "null_draws": 18,
    "null_restarts": 4,
    "choices": (Choice("images=10", images=10),),
}


def test_digest_is_stable():
    for experiment in ALL:
        assert rebuilt(experiment).digest == experiment.digest
        assert rebuilt(experiment).config == experiment.config
    assert len({experiment.digest for experiment in ALL}) == len(ALL)


RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize(
    "manifest", sorted(RESULTS.glob("*-paper/manifest.json")), ids=lambda p: p.parent.name
)
def test_stored_results_are_those_of_the_catalogue(manifest):
    stored = json.loads(manifest.read_text())
    experiment = get(manifest.parent.name.removesuffix("-paper"), "paper")
    assert (experiment.digest, experiment.config) == (stored["digest"], stored["config"])


def test_every_experiment_has_stored_results():
    """Those with new seeds are planned before they are computed; the others are all there."""
    stored = {path.parent.name.removesuffix("-paper") for path in RESULTS.glob("*-paper/manifest.json")}
    assert set(EXPERIMENTS) - set(NEW_SEEDS.values()) <= stored <= set(EXPERIMENTS)


@dataclass(frozen=True)
class NewerSetting(Setting):
    """A setting with a field that was added later."""

    noise: float = field(default=0.0, metadata={"introduced_with": 0.0})


@dataclass(frozen=True)
class NewerExperiment(Experiment):
    """An experiment with a field that was added later, and whose default has changed since."""

    resolution: float = field(default=2.0, metadata={"introduced_with": 1.0})


def newer(experiment, resolution, noise):
    """Give the same experiment with a newer field of its own, and one in each of its settings."""
    parts = {f.name: getattr(experiment, f.name) for f in fields(experiment)}
    settings = tuple(NewerSetting(**vars(s), noise=noise) for s in experiment.settings)
    return NewerExperiment(**parts | {"settings": settings, "resolution": resolution})


def test_newer_fields_leave_the_digest_alone_while_they_change_nothing():
    experiment = get("base", "paper")
    same = newer(experiment, resolution=1.0, noise=0.0)
    assert (same.digest, same.config) == (experiment.digest, experiment.config)
    others = [newer(experiment, 2.0, 0.0), newer(experiment, 1.0, 0.5), newer(experiment, 2.0, 0.5)]
    assert len({experiment.digest, *(other.digest for other in others)}) == 4
    assert others[0].config["resolution"] == 2.0
    assert others[1].config["settings"][0]["noise"] == 0.5


@pytest.mark.parametrize("experiment", ALL, ids=lambda experiment: f"{experiment.name}-{experiment.profile}")
def test_an_experiment_is_read_back_from_its_config(experiment):
    assert Experiment.from_config(json.loads(json.dumps(experiment.config))) == experiment


def test_a_config_without_newer_fields_is_read_back():
    """Which then stand at their default."""
    back = NewerExperiment.from_config(get("base", "paper").config)
    assert back.resolution == 2.0


@pytest.mark.parametrize("name", [f.name for f in fields(Experiment)])
def test_digest_changes_with_every_field(name):
    experiment = get("base", "quick")
    changed = replace(experiment, **{name: CHANGES[name]})
    assert changed.digest != experiment.digest
    assert changed.config != experiment.config


@pytest.mark.parametrize("name", [f.name for f in fields(Setting)])
def test_digest_changes_with_every_field_of_a_setting(name):
    experiment = get("base", "quick")
    first = experiment.settings[0]
    value = "l1" if name == "regularizer" else getattr(first, name) + 1e-7
    changed = replace(experiment, settings=(replace(first, **{name: value}), *experiment.settings[1:]))
    assert changed.digest != experiment.digest


@pytest.mark.parametrize("name", [f.name for f in fields(PROTOCOLS["final"])])
def test_digest_changes_with_every_field_of_the_protocol(name):
    experiment = get("base", "quick")
    others = {"stop_after": None, "keep": "last", "decay": 0.26, "validation": 0.11}
    value = others[name] if name in others else getattr(experiment.protocol, name) + 1
    changed = replace(experiment, protocol=replace(experiment.protocol, **{name: value}))
    assert changed.digest != experiment.digest


@pytest.mark.parametrize(
    ("name", "profile", "message"),
    [
        ("bass", "paper", "experiment must be one of base, .*base-v1.*; got 'bass'"),
        ("base", "full", "profile must be one of quick, paper; got 'full'"),
    ],
)
def test_unknown_names_are_told_what_there_is(name, profile, message):
    with pytest.raises(ValueError, match=message):
        catalogue.get(name, profile)
