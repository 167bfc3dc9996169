"""Reading landscapes, and refusing those that aren't what the study asks for; and as a table."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nmepkg.analysis.results import first_difference
from nmepkg.errors import UserError

Panel = tuple[str, Mapping[str, np.ndarray]]  # the label of an activation, and its landscape's arrays

FORMAT = 1
MAPS = ("loss", "norm_N", "norm_N_layer", "norm_G")


class Landscape(NamedTuple):
    """A landscape as read.

    Attributes:
      arrays: what ``nmepkg.landscape.compute.compute`` returned.
      provenance: code, versions, device and time.
    """

    arrays: dict[str, np.ndarray]
    provenance: dict[str, Any]


def landscape_path(store: Path, identity: str) -> Path:
    return store / "landscapes" / f"{identity}.npz"


def read_landscape(path: Path, spec: Mapping[str, Any]) -> Landscape:
    """Reads one landscape and checks that it's whole, and that of ``spec``.

    Raises:
      UserError: it isn't, or is missing; names the file, what's wrong and the remedy.
    """
    if not path.is_file():
        raise UserError(f"{path}: the landscape is missing; compute it first (snakemake does)")
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        description = json.loads(str(arrays.pop("description")))
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _refused(path, f"not readable ({error})") from None
    except KeyError:
        raise _refused(path, "without a description") from None
    problem = _problem(arrays, description, spec)
    if problem:
        raise _refused(path, problem)
    return Landscape(arrays, description["provenance"])


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


def _problem(arrays: Mapping[str, np.ndarray], description: Any, spec: Mapping[str, Any]) -> str | None:
    if not isinstance(description, dict):
        return "without a description"
    if description.get("format") != FORMAT:
        return f"of format {description.get('format')!r}, this version reads format {FORMAT}"
    if description.get("spec") != spec:
        return f"that of another spec: {first_difference(description.get('spec'), spec)}"
    if not isinstance(description.get("provenance"), dict):
        return "without a provenance"
    points, units = spec["points"], spec["model"]["width"] * spec["model"]["depth"]
    shapes = {
        **dict.fromkeys(MAPS, (points, points)),
        "preactivations": (units, points, points),
        "units": (units, 2),
        "w1": (points,),
        "w2": (points,),
        "layer": (),
        "weights": (2, 2),
    }
    for key, shape in shapes.items():
        if key not in arrays:
            return f"without the array {key!r}"
        if arrays[key].shape != shape:
            return f"inconsistent: {key!r} is of shape {arrays[key].shape} where its spec asks for {shape}"
        if arrays[key].dtype.kind not in "fi" or not np.isfinite(arrays[key]).all():
            return f"without finite numbers in {key!r}"
    return None


def _refused(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: the landscape is {problem}; delete the file and compute it again")
