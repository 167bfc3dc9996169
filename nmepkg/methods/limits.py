"""What methods are refused beyond. Imports nothing: the study loader checks with it."""

from __future__ import annotations

BASIS = "basis"  # in place of a kind of probe: every basis vector once
MOST_PARAMETERS = 20_000  # of a model whose traces are summed so, as a step costs some four gradients for each
