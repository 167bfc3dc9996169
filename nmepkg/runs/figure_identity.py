"""What makes a figure the same figure, and what a study's figures come from the same: the digests that name their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from nmepkg.entries import Entry, Method
from nmepkg.files import file_sha256
from nmepkg.records import digest
from nmepkg.registry import ACTIVATIONS, METHODS, OPTIMIZERS, STRENGTHS
from nmepkg.runs.compared import compared_measurements, compared_runs, study_comparisons
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.fingerprint import module_hashes
from nmepkg.runs.identity import code_hash, figure_targets, modules
from nmepkg.study.spec import Cell, Figure, Study

_TEMPLATES = ("page.html", "explorer.html", "explorer.js", "vega.txt")  # of which a page is made
_NAMED: dict[str, Mapping[str, Entry]] = {"method": METHODS, "activation": ACTIVATIONS}


def figure_digest(study: Study, expansion: Expansion, figure: Figure) -> str:
    """A digest of all that a figure shows besides its runs' results."""
    return digest(figure_parts(study, expansion, figure))


def figure_identity(study: Study, expansion: Expansion, figure: Figure) -> dict[str, Any]:
    """The digest of a figure, the parts that it is of, and the hashes of the modules that draw it."""
    parts = figure_parts(study, expansion, figure)
    return {"digest": digest(parts), "parts": parts, "modules": module_hashes(modules(figure_targets(figure.kind)))}


def figure_parts(study: Study, expansion: Expansion, figure: Figure) -> dict[str, Any]:
    """What makes a figure what it is: the code that draws it, its own spec, titles, and what it is drawn from."""
    cells = expansion.cells_of(figure)
    return {
        "code": code_hash(figure_targets(figure.kind)),
        "figure": {**vars(figure), "experiments": list(figure.experiments), "y": list(figure.y)},
        "titles": {cell.setup: study.setups[cell.setup].title for cell in cells},
        "names": _names(study, cells),
        # Of what is measured of a run, only what this figure shows.
        "cells": digest(
            [{**vars(cell), "measurements": cell.measurements.get(figure.measurement or "")} for cell in cells]
        ),
        "landscapes": [[entry, job.id] for entry, job in expansion.landscapes.get(figure.landscape or "", ())],
    }


def _names(study: Study, cells: Iterable[Cell]) -> dict[str, str]:
    """What extensions call what is drawn: their text is in no module that draws."""
    entries = {(kind, getattr(cell, kind)["name"]) for cell in cells for kind in _NAMED}
    named: dict[str, Entry] = {name: _NAMED[kind][name] for kind, name in entries}
    optimizers = {study.setups[cell.setup].spec["optimizer"]["name"] for cell in cells}
    named |= {name: OPTIMIZERS[name] for name in optimizers}
    strengths = {entry.strength for entry in named.values() if isinstance(entry, Method) and entry.strength}
    symbols = {name: STRENGTHS[name].symbol for name in strengths}
    return {name: entry.label for name, entry in named.items() if entry.label} | symbols


def claims_identity(study: Study, expansion: Expansion) -> dict[str, Any]:
    """The digest of all that a study's verdicts are of besides its runs' results, and the parts that it is of."""
    found = study_comparisons(study, expansion)
    compared = [
        [one.claim.name, one.setup, *compared_runs([one]), *compared_measurements(study, [one])] for one in found
    ]
    parts = {
        "code": code_hash(["nmepkg.analysis.claims.write"]),
        "claims": {name: _plain(claim) for name, claim in study.claims.items()},
        "figures": {
            name: [study.figures[name].measurement, study.figures[name].report]
            for name in sorted({claim.figure for claim in study.claims.values()})
        },
        "titles": {one.setup: study.setups[one.setup].title for one in found if one.seeds},
        "compared": digest(compared),
        "style": {key: study.style.get(key) for key in ("font", "font_size", "math", "svg")},
        "landscapes": {name: [job.id for _, job in panels] for name, panels in expansion.landscapes.items()},
    }
    return {"digest": digest(parts), "parts": parts}


def page_identity(study: Study, expansion: Expansion) -> dict[str, Any]:
    """The digest of all that a study's page shows besides results, and the parts that it is of."""
    parts = {
        "code": code_hash(["nmepkg.analysis.page"]),
        "template": {name: file_sha256(Path(__file__).parents[1] / "analysis" / name) for name in _TEMPLATES},
        "figures": {name: figure_digest(study, expansion, figure) for name, figure in study.figures.items()},
        "claims": claims_identity(study, expansion)["digest"] if study.claims else None,
        "titles": {name: setup.title for name, setup in study.setups.items()},
    }
    return {"digest": digest(parts), "parts": parts}


def _plain(value: Any) -> Any:
    """A claim, or a part of one, as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def origin_identity(study: Study, expansion: Expansion) -> dict[str, Any]:
    """The digest of all that the collected files speak of, and the parts that it is of.

    Of the study that is everything but how and where it is computed (``store``, ``resources``, ``checkpoints`` …), as read: its
    comments and its order are no part.
    """
    parts = {
        "code": code_hash(["nmepkg.analysis.origin"]),
        "study": {
            **{key: getattr(study, key) for key in ("name", "select", "smoke", "measurements", "landscapes")},
            "setups": {name: [setup.title, setup.spec] for name, setup in study.setups.items()},
            "experiments": {name: vars(experiment) for name, experiment in study.experiments.items()},
        },
        "figures": {name: figure_digest(study, expansion, figure) for name, figure in study.figures.items()},
    }
    return {"digest": digest(parts), "parts": parts}
