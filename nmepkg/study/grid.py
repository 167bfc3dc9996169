"""The points of an experiment's grid."""

from __future__ import annotations

import itertools

from nmepkg.registry import METHODS
from nmepkg.study.spec import Experiment, Spec


def grid(experiment: Experiment) -> itertools.chain[tuple[str, Spec, Spec, float, int]]:
    """Setup, method, activation, strength and seed of every point of an experiment, in the study's order."""

    def strengths(method: Spec) -> tuple[float, ...]:
        kind = METHODS[method["name"]].strength
        return experiment.strengths[kind] if kind else (0.0,)

    return itertools.chain.from_iterable(
        itertools.product([setup], [method], experiment.activations, strengths(method), experiment.seeds)
        for setup in experiment.setups
        for method in experiment.methods
    )
