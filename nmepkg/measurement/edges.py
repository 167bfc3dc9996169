"""The largest curvature at which a run's optimiser is stable."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from nmepkg.errors import UserError
from nmepkg.specs import Recipe
from nmepkg.training.optimizer import hyperparameters, learning_rate


def edge(recipe: Recipe, examples: int, step: int) -> float:
    """The λ at which SGD of a run, on ½ λ x², neither shrinks nor grows x (Cohen et al. 2021).

    It is 2(1 + μ)/η with momentum μ, and 2(1 + μ)/(η(1 + 2μ)) with Nesterov's. η is that of the step that is taken next, and
    after the last one, of the last one; where that is 0, as at the beginning of a warm-up from 0, of the nearest step that has
    any. What a method adds to the gradient, and clipping, are left out; weight decay λ' is curvature too, of λ' everywhere.
    Adam's edge is of what it divides gradients by (Cohen et al. 2022), which is not kept of a run.

    Args:
      recipe: of the run.
      examples: of the training set.
      step: how many steps have been taken.

    Raises:
      UserError: the run is not by SGD. The loader refuses that.
    """
    if recipe.optimizer.name != "sgd":
        raise UserError(f"the edge of stability of the optimizer {recipe.optimizer.name!r} is not known, only of 'sgd'")
    hyper = hyperparameters(recipe, examples)
    rates = np.asarray(learning_rate(jnp.arange(int(hyper.total_steps)), hyper), np.float64)
    moving = np.flatnonzero(rates > 0)
    if not len(moving):
        return float("inf")
    rate = rates[moving[np.argmin(np.abs(moving - min(step, len(rates) - 1)))]]
    momentum, nesterov = (recipe.optimizer.options[option] for option in ("momentum", "nesterov"))
    ahead = 1 + 2 * momentum if nesterov else 1
    return float(2 * (1 + momentum) / (rate * ahead))
