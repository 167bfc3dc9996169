"""What a study's figures come from, for its report, and whether what was collected of that is still so."""

from __future__ import annotations

from typing import Any

from nmepkg.study.expand import figure_digest
from nmepkg.study.identity import code_hash, digest
from nmepkg.study.spec import Expansion, Study


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
