"""The former name of :mod:`nmepkg.runs.expand`, for scripts that import it; it goes with version 0.2."""

from __future__ import annotations

import warnings

from nmepkg.runs.expand import expand

__all__ = ["expand"]

warnings.warn("nmepkg.study.expand is nmepkg.runs.expand now", DeprecationWarning, stacklevel=2)
