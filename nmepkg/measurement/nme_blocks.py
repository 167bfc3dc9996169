"""Measures which blocks of the Nonlinear Modeling Error hold its Frobenius norm."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array

from nmepkg.curvature import matrices, parameters
from nmepkg.errors import UserError
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem


def nme_blocks(problem: Problem, *, max_parameters: int, chunk: int) -> Measure:
    """‖N‖_F, and the shares of ‖N‖_F² by place, of the mean loss over ``problem.batches``: every entry of N, no estimate.

    Args:
      problem: what is measured.
      max_parameters: the P of the largest model that is measured, as time grows with P².
      chunk: columns that are computed at once; memory grows with chunk · P.

    Returns:
      measure(params, context, key) -> ``norm_N``, and shares of its square that sum to 1: ``share_diagonal`` on the
      diagonal, ``share_within_layers`` in the diagonal blocks of the layers but off the diagonal,
      ``share_between_layers`` in the blocks of two layers. All 0 where N = 0. ``key`` is not used.

    Raises:
      UserError: by measure; the model has more than ``max_parameters`` parameters.
    """

    @jax.jit
    def columns(params: Params, context: Context, batch: Batch, start: int) -> Array:
        return matrices.columns(problem.linearize(params, context, batch).nmevp, params, start, chunk)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        layer = parameters.layer_of_entries(params)
        size = len(layer)
        if size > max_parameters:
            raise UserError(
                f"nme_blocks: the model has {size} parameters and the option max_parameters is {max_parameters}: "
                "measure a smaller model, or raise it"
            )
        diagonal = within = between = 0.0
        for start in range(0, size, chunk):
            block = sum(columns(params, context, batch, start) for batch in problem.batches)
            # On the host in double precision: squares of float32 numbers neither vanish nor lose their sum.
            here = np.arange(start, min(start + chunk, size))
            squares = np.square(np.asarray(block, np.float64)[: len(here)] / len(problem.batches))
            on_diagonal, same_layer = (np.arange(len(here)), here), layer[here, None] == layer
            diagonal += squares[on_diagonal].sum()
            squares[on_diagonal] = 0
            within += squares[same_layer].sum()
            between += squares[~same_layer].sum()
        total = diagonal + within + between
        scale = total if total != 0 else 1.0
        return {
            "norm_N": float(np.sqrt(total)),
            "share_diagonal": float(diagonal / scale),
            "share_within_layers": float(within / scale),
            "share_between_layers": float(between / scale),
        }

    return measure
