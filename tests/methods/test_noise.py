"""Weight noise against the gradient at the perturbed point, and against its second-order penalty."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.curvature import probes
from tests import cases
from tests.methods.test_methods import KEY, close, gradient, step

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")


def perturbed(case, scale, keep=lambda path: True):
    noise = probes.draw(KEY, case.params, "gaussian")
    return jax.tree_util.tree_map_with_path(
        lambda path, x, e: x + scale * e * float(keep(jax.tree_util.keystr(path))), case.params, noise
    )


@pytest.mark.parametrize("model", cases.MODELS)
def test_direction_is_the_gradient_at_the_perturbed_point(model):
    case = cases.make((model, "cross_entropy", "gelu"))
    update = step("weight_noise", case, 0.09)
    np.testing.assert_allclose(cases.flat(update.direction), gradient(case, perturbed(case, 0.3)), **close)
    np.testing.assert_allclose(update.loss, case.loss(case.logits(case.params)), rtol=1e-12)


def test_an_antithetic_pair_is_the_mean_of_both_sides():
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    expected = (gradient(case, perturbed(case, 0.3)) + gradient(case, perturbed(case, -0.3))) / 2
    np.testing.assert_allclose(
        cases.flat(step("weight_noise", case, 0.09, antithetic=True).direction), expected, **close
    )


def test_parameters_of_normalisation_may_be_left_alone():
    plain = cases.make(("normalized", "cross_entropy", "gelu"))
    params = {key: value for key, value in plain.params.items() if key != "scale"}
    params["BatchNorm_0"] = {"scale": plain.params["scale"]}
    case = plain._replace(
        params=params,
        logits_fn=lambda p, x: plain.logits_fn({**p, "scale": p["BatchNorm_0"]["scale"]}, x),
    )
    for option, keep in ((True, lambda path: True), (False, lambda path: "BatchNorm" not in path)):
        update = step("weight_noise", case, 0.09, normalization=option)
        np.testing.assert_allclose(cases.flat(update.direction), gradient(case, perturbed(case, 0.3, keep)), **close)
    assert np.abs(gradient(case, perturbed(case, 0.3)) - gradient(case, perturbed(case, 0.3, keep))).max() > 1e-3


def test_the_mean_direction_is_that_of_half_the_trace_of_the_hessian():
    """At small σ, within 4.5 standard errors in every entry: E ∇L(θ + σε) = ∇(L + ½ σ² tr H) + O(σ⁴)."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    variance = 1e-4
    draw = jax.jit(jax.vmap(lambda key: step("weight_noise", case, variance, key, antithetic=True).direction))
    directions = jax.vmap(cases.raveled)(draw(jax.random.split(KEY, 8_000)))
    penalty = (directions - gradient(case)[None]) / variance
    expected = 0.5 * cases.gradient_of_trace(case, part="H")
    error = penalty.std(axis=0, ddof=1) / np.sqrt(len(penalty))
    assert np.abs((penalty.mean(axis=0) - expected) / error).max() < 4.5
    assert np.abs(2 * expected - penalty.mean(axis=0)).max() > 20 * error.max()  # the printed σ² tr H it is not


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_no_noise_is_sgd_to_the_bit(dtype):
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    case = case._replace(
        params=jax.tree.map(lambda x: x.astype(dtype), case.params), batch=(case.batch[0].astype(dtype), case.batch[1])
    )
    np.testing.assert_array_equal(
        cases.flat(step("weight_noise", case, jnp.zeros((), dtype)).direction),
        cases.flat(step("sgd", case, 0.0).direction),
    )
