"""The charts of the book, one file a chapter, and the theme that they share."""

from modlib.figures import (
    certainty,
    chance,
    choices,
    deviations,
    elsewhere,
    layers,
    robustness,
    speed,
    toys,
    training,
    verdict,
)
from modlib.figures.agreement import agreement_matrices, agreement_of_families, ecs_against_paper
from modlib.figures.hero import hero, save_hero
from modlib.figures.like_for_like import ecs_like_for_like, q_like_for_like
from modlib.figures.regularisation import (
    difference_of_gains,
    q_against_paper,
    q_against_strength,
)
from modlib.figures.theme import COLOURS, NAMES, setup

__all__ = [
    "COLOURS",
    "NAMES",
    "agreement_matrices",
    "agreement_of_families",
    "certainty",
    "chance",
    "choices",
    "deviations",
    "difference_of_gains",
    "ecs_against_paper",
    "ecs_like_for_like",
    "elsewhere",
    "hero",
    "layers",
    "q_against_paper",
    "q_against_strength",
    "q_like_for_like",
    "robustness",
    "save_hero",
    "setup",
    "speed",
    "toys",
    "training",
    "verdict",
]
