"""Reading landscapes, and refusing those that aren't what the study asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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
