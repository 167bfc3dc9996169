"""The former name of :mod:`nmepkg.upkeep.registration`, for scripts that import it; it goes with version 0.2."""

from __future__ import annotations

import warnings

from nmepkg.upkeep.registration import forget, register, registered

__all__ = ["forget", "register", "registered"]

warnings.warn("nmepkg.study.registration is nmepkg.upkeep.registration now", DeprecationWarning, stacklevel=2)
