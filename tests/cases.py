"""One table of tiny models × losses × activations for the tests of curvature and methods, and dense oracles.

The models are written in plain JAX, so that they depend on nothing that is under test but the activations and losses.
Oracles work on the flat parameter vector with dense Hessians, and share no derivation with the library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import activations, losses, registry
from tests.interpreter import interpreted

# Those that take a model as it is; of one that takes it twice, tests/methods/test_activation_nme.py is.
METHODS = {name: entry for name, entry in registry.METHODS.items() if not entry.pair}

INPUTS, HIDDEN, CLASSES, BATCH = 3, 4, 3, 6


class Case(NamedTuple):
    """A loss as a function of parameters, in the library's two parts, with a batch of data."""

    params: Any
    logits_fn: Callable  # (params, inputs) -> (logits, state)
    loss_fn: Callable  # (logits, labels) -> scalar
    batch: tuple

    def logits(self, params):
        return self.logits_fn(params, self.batch[0])[0]

    def loss(self, logits):
        return self.loss_fn(logits, self.batch[1])


def _dense(rng, fan_in, fan_out):
    return {"kernel": rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in), "bias": rng.normal(size=fan_out) / 3}


def _apply(layer, x):
    return x @ layer["kernel"] + layer["bias"][None]


def _linear(rng, phi):
    return {"out": _dense(rng, INPUTS, CLASSES)}, lambda p, x: _apply(p["out"], x)


def _mlp(rng, phi):
    params = [_dense(rng, INPUTS, HIDDEN), _dense(rng, HIDDEN, HIDDEN), _dense(rng, HIDDEN, CLASSES)]

    def apply(params, x):
        for layer in params[:-1]:
            x = phi(_apply(layer, x))
        return _apply(params[-1], x)

    return params, apply


def _normalized(rng, phi):
    """A residual block with batch normalisation in training mode."""
    params = {
        "in": _dense(rng, INPUTS, HIDDEN),
        "scale": 1 + rng.normal(size=HIDDEN) / 4,
        "block": _dense(rng, HIDDEN, HIDDEN),
        "out": _dense(rng, HIDDEN, CLASSES),
    }

    def apply(params, x):
        x = _apply(params["in"], x)
        y = (x - x.mean(0, keepdims=True)) / jnp.sqrt(x.var(0, keepdims=True) + 1e-2) * params["scale"][None]
        return _apply(params["out"], x + _apply(params["block"], phi(y)))

    return params, apply


def _attention(rng, phi):
    """One head of attention over the features as tokens: second derivatives that do not come from φ''."""
    params = {
        "query": rng.normal(size=(1, 2)),
        "key": rng.normal(size=(1, 2)),
        "value": rng.normal(size=(1, 2)),
        "out": _dense(rng, 2 * INPUTS, CLASSES),
    }

    def apply(params, x):
        q, k, v = (x[..., None] @ params[name] for name in ("query", "key", "value"))
        y = jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2), axis=-1) @ v
        return _apply(params["out"], phi(y).reshape(len(x), -1))

    return params, apply


MODELS = {"linear": _linear, "mlp": _mlp, "normalized": _normalized, "attention": _attention}
LOSSES = {
    "cross_entropy": losses.cross_entropy,
    "smoothed": partial(losses.cross_entropy, label_smoothing=0.1),
    "mse": losses.mse,
}
ACTIVATIONS = {
    "relu": activations.relu,
    "leaky_relu": activations.leaky_relu,
    "silu": activations.silu,
    "softplus": activations.softplus,
    "tanh": activations.tanh,
    "gelu": activations.gelu,
    "gelu_tanh": activations.gelu_tanh,
    "beta_gelu": lambda x: activations.beta_gelu(x, 3.0),
    "gelu_ablated": activations.replace_second_derivative(activations.gelu, activations.zero),
    "relu_synthetic": activations.replace_second_derivative(activations.relu, partial(activations.gaussian, beta=3.0)),
}
# A finite difference sees neither the bends of a piecewise linear activation nor a substituted second derivative.
NOT_SMOOTH = {"relu", "leaky_relu", "gelu_ablated", "relu_synthetic"}

# Every model and loss with GELU and ReLU, every activation in the MLP.
TABLE = [
    (model, loss, activation)
    for model in MODELS
    for loss in LOSSES
    for activation in ACTIVATIONS
    if activation in ("gelu", "relu") or (model == "mlp" and loss == "cross_entropy")
]
each_case = pytest.mark.parametrize("name", TABLE, ids="-".join)


@cache
def _logits_fn(model: Callable, phi: Callable) -> Callable:
    """One function for every case of a model, by which JAX finds again what it has compiled."""
    _, apply = model(np.random.default_rng(0), phi)
    return lambda params, inputs: (apply(params, inputs), {})


def make(name, seed=0) -> Case:
    """The case called (model, loss, activation), in the default precision."""
    model, loss, activation = name
    rng = np.random.default_rng(seed)
    params, _ = MODELS[model](rng, ACTIVATIONS[activation])
    batch = (jnp.asarray(rng.normal(size=(BATCH, INPUTS))), jnp.asarray(rng.integers(CLASSES, size=BATCH)))
    params = jax.tree.map(jnp.asarray, params)
    return Case(params, _logits_fn(MODELS[model], ACTIVATIONS[activation]), LOSSES[loss], batch)


def shallow(phi=activations.tanh, loss="cross_entropy") -> Case:
    """An MLP of one hidden layer with an activation that is smooth, and cheap to compile derivatives of."""
    case = make(("mlp", loss, "tanh"))
    return case._replace(params=[case.params[0], case.params[-1]], logits_fn=_logits_fn(_mlp, phi))


def of_case(function: Callable) -> Callable:
    """A function of a case, arrays, and options by keyword, interpreted: traced once for cases of the same functions."""

    def of_parts(functions, options, params, batch, arrays):
        return function(Case(params, *functions, batch), *arrays, **dict(options))

    program = interpreted(of_parts, static=2)

    @wraps(function)
    def call(case: Case, *arrays, **options):
        functions = case.logits_fn, case.loss_fn
        return program(functions, tuple(options.items()), case.params, case.batch, arrays)

    return call


def vector(case: Case, seed=1):
    """A random pytree of the parameters' structure."""
    return random_like(case.params, seed)


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def raveled(tree) -> jax.Array:
    """A pytree as one vector, for ``jax.vmap``."""
    return ravel_pytree(tree)[0]


def _of_flat(case: Case) -> tuple[jax.Array, Callable]:
    """θ as one vector, and the logits as a function of it."""
    theta, unravel = ravel_pytree(case.params)
    return theta, lambda t: case.logits(unravel(t))


@of_case
def gradient(case: Case) -> jax.Array:
    """∇L, as one vector."""
    return raveled(jax.grad(lambda p: case.loss(case.logits(p)))(case.params))


@of_case
def residual(case: Case) -> jax.Array:
    """∇_z L, as the logits are."""
    return jax.grad(case.loss)(case.logits(case.params))


@of_case
def dense_jacobian(case: Case) -> jax.Array:
    """(B, C, P), J of the logits, by forward mode."""
    theta, logits = _of_flat(case)
    return jax.jacfwd(logits)(theta)


@of_case
def dense_hessian(case: Case) -> jax.Array:
    """H, by reverse over reverse mode."""
    theta, logits = _of_flat(case)
    return jax.jacrev(jax.grad(lambda t: case.loss(logits(t))))(theta)


@of_case
def dense_gauss_newton(case: Case) -> jax.Array:
    """G, as the Hessian of the loss of the model linearised at θ."""
    theta, logits = _of_flat(case)
    z, jacobian = logits(theta), jax.jacfwd(logits)(theta)
    return jax.hessian(lambda t: case.loss(z + jacobian @ (t - theta)))(theta)


@of_case
def dense_nme(case: Case) -> jax.Array:
    """N = Σ r_i ∇² z_i, from the Hessian of every logit."""
    theta, logits = _of_flat(case)
    return jnp.einsum("bc,bcij->ij", jax.grad(case.loss)(logits(theta)), jax.hessian(logits)(theta))


def quadratic_form(case: Case, part: str) -> Callable:
    """(flat θ, flat v) -> vᵀA(θ) v with dense A = H, G or N, as a function that can be differentiated in θ."""
    _, logits = _of_flat(case)

    def form(theta, v):
        if part == "H":
            return v @ jax.hessian(lambda t: case.loss(logits(t)))(theta) @ v
        if part == "N":
            return jnp.einsum("bc,bcij,i,j", jax.grad(case.loss)(logits(theta)), jax.hessian(logits)(theta), v, v)
        along = jax.jacrev(logits)(theta) @ v
        return jnp.einsum("bcde,bc,de", jax.hessian(case.loss)(logits(theta)), along, along)

    return form


@of_case
def gradient_of_form(case: Case, v, part: str) -> jax.Array:
    """∇_θ vᵀA(θ) v of a pytree v that is held constant."""
    return jax.grad(quadratic_form(case, part))(raveled(case.params), raveled(v))


@of_case
def gradient_of_trace(case: Case, part: str) -> jax.Array:
    """∇_θ tr A(θ)."""
    theta, logits = _of_flat(case)

    def trace(theta):
        if part == "G":
            jacobian = jax.jacrev(logits)(theta)
            return jnp.einsum("bcde,bci,dei", jax.hessian(case.loss)(logits(theta)), jacobian, jacobian)
        if part == "N":
            return jnp.einsum("bc,bcii", jax.grad(case.loss)(logits(theta)), jax.hessian(logits)(theta))
        return jnp.trace(jax.hessian(lambda t: case.loss(logits(t)))(theta))

    return jax.grad(trace)(theta)


# What the tests of transformations share. A number of a type is right to half its epsilon. The longest path through a product
# or a direction of these models has some 60 to 100 operations that round, in a forward, a tangent and a reverse pass. Their
# errors are of random sign: √100/2 = 5 epsilons of the largest number on the way. The largest number on the way may be a few
# times the largest of the result: twice the 5 is allowed. What is found is 1 to 3.
TYPES = ("float64", "float32", "bfloat16")
ROUNDING = 10
# In epsilons ε of double precision too: a central difference with steps h = 1e-5 of numbers near 1 is wrong by ε/h = 1e5 ε of
# rounding and by h²/6 = 1e5 ε times a third derivative, which may be some hundreds.
DIFFERENCE = 1e8


def cast(case: Case, dtype) -> Case:
    """The case with parameters and inputs rounded to a type, so that the model computes in it."""
    params, inputs = jax.tree.map(lambda x: x.astype(dtype), (case.params, case.batch[0]))
    return case._replace(params=params, batch=(inputs, case.batch[1]))


def random_like(tree, seed):
    """Normal numbers of a tree's structure, shapes and types."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), tree)


@jax.custom_jvp
def ruled(x):
    """tanh, with a rule of its own for derivatives of every order."""
    return jnp.tanh(x)


ruled.defjvp(lambda primals, tangents: (ruled(*primals), (1 - ruled(*primals) ** 2) * tangents[0]))


@jax.custom_vjp
def reversed_only(x):
    """tanh, with a rule for reverse mode alone, as fused kernels have."""
    return jnp.tanh(x)


reversed_only.defvjp(lambda x: (reversed_only(x), x), lambda x, g: (g * (1 - reversed_only(x) ** 2),))


# Name -> ((params, inputs) -> logits and state) of the shallow MLP, in ways that keep less or have rules of their own.
WRITTEN = {
    "checkpointed": lambda: jax.checkpoint(
        shallow(jax.remat(jnp.tanh)).logits_fn, policy=jax.checkpoint_policies.dots_saveable
    ),
    "a rule of its own": lambda: shallow(ruled).logits_fn,
}
each_way_of_writing = pytest.mark.parametrize("written", WRITTEN)


def types(tree) -> list[str]:
    return [leaf.dtype.name for leaf in jax.tree.leaves(tree)]


def stack(trees):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def assert_close(found, expected, dtype="float64", errors=1000, what=""):
    """Two pytrees agree to so many epsilons of a type, of the largest entry of what is expected."""
    assert jax.tree.structure(found) == jax.tree.structure(expected), what
    found, expected = (flat(tree).astype(np.float64) for tree in (found, expected))
    largest = np.abs(expected).max()
    assert np.isfinite(largest), what
    assert largest > 0, what
    atol = errors * float(jnp.finfo(dtype).eps) * largest
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=what)


def differences(function: Callable, tree, step=1e-5) -> np.ndarray:
    """(P,) the central differences of a scalar function, one that is compiled, along each entry of a pytree."""
    theta, unravel = ravel_pytree(tree)
    steps = step * np.eye(theta.size)
    return np.asarray([(function(unravel(theta + h)) - function(unravel(theta - h))) / (2 * step) for h in steps])
