"""Reading landscapes, and refusing those that aren't what the study asks for; and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256, read_arrays
from nmepkg.storage import LANDSCAPE

Panel = tuple[str, Mapping[str, np.ndarray]]  # the label of an activation, and its landscape's arrays

MAPS = ("loss", "norm_N", "norm_N_layer", "norm_G")


class Landscape(NamedTuple):
    """A landscape as read.

    Attributes:
      arrays: what ``nmepkg.landscape.compute.compute`` returned.
      provenance: code, versions, device and time.
    """

    arrays: dict[str, np.ndarray]
    provenance: dict[str, Any]


def read_landscape(path: Path, spec: Mapping[str, Any]) -> Landscape:
    """Reads one landscape and checks that it's whole, and that of ``spec``.

    Raises:
      UserError: it isn't, or is missing; names the file, what's wrong and the remedy.
    """
    if not path.is_file():
        raise UserError(f"{path}: the landscape is missing; compute it first (snakemake does)")
    try:
        arrays = read_arrays(path)
        description = records.unseal(str(arrays.pop("description")))
    except ValueError as error:
        raise LANDSCAPE.refuse(path, f"not readable ({error})") from None
    except KeyError:
        raise LANDSCAPE.refuse(path, "without a description") from None
    records.check(path, LANDSCAPE, description, {"spec": spec, "arrays": arrays_sha256(arrays)})
    return Landscape(arrays, description["provenance"])


def describe(path: Path) -> dict[str, Any] | None:
    """What a landscape says of itself, None where that is damaged."""
    try:
        return records.unseal(str(read_arrays(path)["description"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def table(panels: Sequence[Panel]) -> pd.DataFrame:
    """The numbers of a figure, a row a point: w1, w2, activation, loss, norm_N, norm_N_layer, norm_G.

    Args:
      panels: as of ``nmepkg.analysis.figures.landscape.draw``.
    """
    frames = []
    for label, landscape in panels:
        w1, w2 = np.meshgrid(landscape["w1"], landscape["w2"])
        maps = {key: landscape[key].ravel() for key in MAPS}
        frames.append(pd.DataFrame({"w1": w1.ravel(), "w2": w2.ravel(), "activation": label, **maps}))
    return pd.concat(frames, ignore_index=True)
