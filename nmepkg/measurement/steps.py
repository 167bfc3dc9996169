"""What a step takes at once: means over its batches, and over as many such steps as the measured examples make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmepkg.measurement.problem import Batch, Params, Problem


def mean(function: Callable[[Batch], Params], batches: Sequence[Batch]) -> Params:
    """The mean of a pytree over batches."""
    total = reduce(lambda total, tree: jax.tree.map(jnp.add, total, tree), map(function, batches))
    return jax.tree.map(lambda leaf: leaf / len(batches), total)


def mean_over_steps(problem: Problem, row: Callable[[Sequence[Batch]], Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of every number that ``row`` finds, over the batches that a step takes together.

    Args:
      row: of ``problem.together`` batches, name -> a number, or an array of them.

    Returns:
      name -> float, or a list of them; and where there are two rows or more ``NAME_se``, the standard error of the mean.
    """
    batches, together = problem.batches, problem.together
    taken = [batches[start : start + together] for start in range(0, len(batches), together)]
    return means([jax.device_get(row(each)) for each in taken])


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over rows of each of their numbers or arrays; of two rows or more its standard error too, ``…_se``."""
    result = {}
    for name in rows[0]:
        values = np.asarray([row[name] for row in rows], np.float64)
        result[name] = values.mean(axis=0).tolist()
        if len(rows) > 1:
            result[f"{name}_se"] = (values.std(axis=0, ddof=1) / np.sqrt(len(rows))).tolist()
    return result
