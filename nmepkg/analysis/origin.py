"""Which software and devices computed what a study's figures show."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from nmepkg.analysis.observations import ORIGINS
from nmepkg.errors import UserError

_DRAWING = ("nmepkg", "snakemake", "matplotlib", "pandas", "numpy", "scipy")


def versions(tables: Sequence[Path]) -> pd.DataFrame:
    """The environments behind some tables of runs: what each computed, how many of these, and its versions.

    The last row is the environment that draws, this one.

    Args:
      tables: the ``.runs.csv`` of figures. A run that several show counts once.

    Raises:
      UserError: a table cannot be read.
    """
    frames = []
    for path in tables:
        try:
            frames.append(pd.read_csv(path, usecols=["run", *ORIGINS], dtype=str, keep_default_na=False))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error}); delete it to have its figure drawn again") from None
    rows = []
    if frames:
        runs = pd.concat(frames).drop_duplicates()
        for values, group in runs.groupby(list(ORIGINS), sort=True):
            rows.append({"what": "runs", "count": group["run"].nunique(), **dict(zip(ORIGINS, values, strict=True))})
    here = {"python": ".".join(map(str, sys.version_info[:3])), **{name: version(name) for name in _DRAWING}}
    return pd.DataFrame([*rows, {"what": "figures", "count": len(tables), **here}]).fillna("")
