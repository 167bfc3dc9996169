"""Loss, ‖G‖_F and ‖N‖_F of an MLP on one datapoint, over two weights of one of its hidden layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg import numerics
from nmepkg.activations.types import Activation
from nmepkg.curvature.matrices import frobenius_norm
from nmepkg.curvature.products import linearize
from nmepkg.curvature.types import LogitsFn, LossFn, Params
from nmepkg.errors import UserError
from nmepkg.registry import LOSSES, MODELS
from nmepkg.specs import Landscape
from nmepkg.training import build

_MEMORY = 2**22  # float64 numbers of curvature held at once: 32 MiB


class Problem(NamedTuple):
    """An MLP at its initialisation, and one datapoint x ~ N(0, I) with a target t ~ N(0, I).

    Attributes:
      params: {layer: {"kernel", "bias"}}, float64.
      logits_fn: params -> logits (1, outputs) of x.
      preactivations_fn: params -> inputs of every hidden unit (U,), layer after layer.
      loss_fn: logits -> loss(logits, t).
    """

    params: Params
    logits_fn: LogitsFn
    preactivations_fn: LogitsFn
    loss_fn: LossFn


@numerics.settings()
def compute(spec: Landscape) -> dict[str, np.ndarray]:
    """A landscape that ``nmepkg.landscape.check.check`` lets pass, in double precision.

    Only the two weights vary over the grid: other weights stay as initialised, biases at zero. Each row of the grid is one
    batch, and curvature comes as many columns at a time as keeps within a fixed memory.

    Args:
      spec: with P points an axis, U = width · depth hidden units.

    Returns:
      ``w1``, ``w2``: (P,), values of the first and second weight. In all maps below, row i is w2[i] and column j w1[j].
      ``loss``: (P, P).
      ``norm_G``, ``norm_N``: (P, P), Frobenius norms over all parameters.
      ``norm_N_layer``: (P, P), that of N's diagonal block of the layer whose weights vary, kernel and bias. All of it comes
      through φ'': with ReLU it is 0, with β-GELU it dies out within a few 1/β of where a unit's input is 0.
      ``preactivations``: (U, P, P), the input of each hidden unit; ``units``: (U, 2), its layer from 1 and unit from 0.
      ``layer``: (); ``weights``: (2, 2), as in the spec.

    Raises:
      UserError: a value is not finite.

    Source: paper, figure 7.
    """
    low, high = spec.range
    axis = np.linspace(low, high, spec.points)
    with jax.enable_x64(True):  # of this thread alone
        maps = {name: np.asarray(values) for name, values in _grid(spec, jnp.asarray(axis)).items()}
    if not all(np.isfinite(values).all() for values in maps.values()):
        raise UserError(f"range: the loss or its curvature is not finite everywhere in {[low, high]}; narrow it")
    width, depth = (spec.model.options[key] for key in ("width", "depth"))
    return {
        **maps,
        "preactivations": np.moveaxis(maps["preactivations"], -1, 0),
        "units": np.array([(layer, unit) for layer in range(1, depth + 1) for unit in range(width)]),
        "w1": axis,
        "w2": axis,
        "layer": np.array(spec.layer),
        "weights": np.array(spec.weights),
    }


def make_problem(spec: Landscape) -> Problem:
    """Model, datapoint and target, all drawn from its seed. Needs JAX in double precision."""
    phi = build.activation(spec.activation)
    loss = LOSSES[spec.loss.name].load()
    keys = jax.random.split(jax.random.key(spec.seed), 3)
    x = jax.random.normal(keys[1], (1, spec.inputs), jnp.float64)
    target = jax.random.normal(keys[2], (1, spec.outputs), jnp.float64)

    def model(activation: Activation) -> Any:
        return MODELS[spec.model.name].load()(classes=spec.outputs, activation=activation, **spec.model.options)

    def preactivations_fn(params: Params) -> Array:
        seen: list[Array] = []

        def recording(inputs: Array) -> Array:
            seen.append(inputs)
            return phi(inputs)

        model(recording).apply({"params": params}, x, train=False)
        return jnp.concatenate(seen, axis=1)[0]

    params = model(phi).init(keys[0], x, train=False)["params"]
    return Problem(
        jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params),
        lambda params: model(phi).apply({"params": params}, x, train=False),
        preactivations_fn,
        lambda logits: loss(logits, target),
    )


def module(spec: Landscape) -> str:
    """The name, among the parameters, of the layer whose weights vary."""
    return f"Dense_{spec.layer - 1}"


def _grid(spec: Landscape, axis: Array) -> dict[str, Array]:
    problem, name = make_problem(spec), module(spec)
    (first, second), count = spec.weights, sum(leaf.size for leaf in jax.tree.leaves(problem.params))
    chunk = min(max(_MEMORY // (axis.size * count), 1), count)

    def point(w1: Array, w2: Array) -> dict[str, Array]:
        layer = problem.params[name]
        kernel = layer["kernel"].at[tuple(first)].set(w1).at[tuple(second)].set(w2)
        layer = {**layer, "kernel": kernel}
        params = {**problem.params, name: layer}
        products = linearize(problem.logits_fn, problem.loss_fn, params)
        within = linearize(lambda own: problem.logits_fn({**params, name: own}), problem.loss_fn, layer)
        return {
            "loss": products.loss,
            "norm_G": frobenius_norm(products.gnvp, params, chunk),
            "norm_N": frobenius_norm(products.nmevp, params, chunk),
            "norm_N_layer": frobenius_norm(within.nmevp, layer, min(chunk, layer["kernel"].size + layer["bias"].size)),
            "preactivations": problem.preactivations_fn(params),
        }

    def row(w2: Array) -> dict[str, Array]:
        return jax.vmap(lambda w1: point(w1, w2))(axis)

    return jax.jit(lambda: jax.lax.map(row, axis))()
