"""What methods are refused beyond. Imports nothing: the study loader checks with it."""

from __future__ import annotations

BASIS = "basis"  # in place of a kind of probe: every basis vector once
MOST_PARAMETERS = 20_000  # of a model whose traces are summed so, as a step costs some four gradients for each

# Of a finite difference of gradients, by what products are computed in: at this, rounding is a twentieth of what the method
# adds to the gradient, and at half of it a tenth (docs/precision.md).
LEAST_STEP = {"float32": 0.0, "tensorfloat32": 5e-3, "bfloat16": 4e-2}
