"""A study left with some of its setups: for who lacks a data set, or the time for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nmepkg.study.checks import StudyError, join, suggestion
from nmepkg.study.spec import Spec


def select(study: Spec, names: Iterable[str]) -> Spec:
    """The content of a study without the setups that are not named.

    Experiments lose them, and those that are left without any go; so do figures that are left without experiments.

    Args:
      study: its content, complete.

    Raises:
      StudyError: a name is that of no setup, or no experiment is left.
    """
    wanted = list(names)
    for i, name in enumerate(wanted):
        if name not in study["setups"]:
            raise StudyError(join("select", i), f"unknown setup {name!r}; {suggestion(name, study['setups'])}")
    experiments = _kept(study["experiments"], "setups", wanted)
    if not experiments:
        raise StudyError("select", f"no experiment has {', '.join(wanted)}; name a setup that one has")
    figures = study["figures"]
    curves = {name: figure for name, figure in figures.items() if "experiments" in figure}
    left = _kept(curves, "experiments", experiments)
    return {
        **study,
        "setups": {name: setup for name, setup in study["setups"].items() if name in wanted},
        "experiments": experiments,
        "figures": {
            name: left.get(name, figure) for name, figure in figures.items() if name in left or name not in curves
        },
    }


def _kept(parts: dict[str, Any], key: str, wanted: Iterable[str]) -> dict[str, Any]:
    """The parts with what is wanted of the list under a key; those that have any."""
    shorter = {name: {**part, key: [item for item in part[key] if item in wanted]} for name, part in parts.items()}
    return {name: part for name, part in shorter.items() if part[key]}
