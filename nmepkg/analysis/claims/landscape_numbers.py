"""What a claim says of a landscape, as one number. Nothing is random there: a verdict needs no seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nmepkg.analysis.landscapes import read_landscape
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.claims import landscape_panel
from nmepkg.study.spec import Arm, Study


def number(study: Study, expansion: Expansion, landscape: str, arm: Arm) -> float:
    """The number of a landscape's panel that an arm names.

    Raises:
      UserError: the landscape is missing, or not the one asked for.
    """
    panels = expansion.landscapes[landscape]
    position = landscape_panel([entry for entry, _ in panels], arm)
    assert position is not None  # the loader looked
    job = panels[position][1]
    arrays = read_landscape(Store(Path(study.store)).landscape(job.id), job.spec).arrays
    if arm.y == "largest_norm_N_layer":
        return float(np.abs(arrays["norm_N_layer"]).max())
    assert arm.within is not None
    return share_near_boundaries(arrays, arm.within / arm.line.activation["beta"])


def share_near_boundaries(arrays: Mapping[str, np.ndarray], distance: float) -> float:
    """Σ ‖N_l‖² over the points at which a unit's input is within ``distance`` of 0, over Σ ‖N_l‖² of all points.

    N_l is the NME's block of the layer whose weights vary, and the units are those of this layer and later ones, whose φ'' it
    is made of. 0 where N_l is 0 everywhere.
    """
    later = arrays["units"][:, 0] >= arrays["layer"]
    near = (np.abs(arrays["preactivations"][later]) <= distance).any(axis=0)
    squared = arrays["norm_N_layer"] ** 2
    return float(squared[near].sum() / squared.sum()) if squared.any() else 0.0
