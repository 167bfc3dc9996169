"""What a recipe names is what is loaded."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from nmepkg.registry import ACTIVATIONS, SECOND_DERIVATIVES
from nmepkg.specs import activation
from nmepkg.training import build
from tests.test_activations import CASES, GAUSSIAN, LISTING, MODES, X


def test_every_registered_activation_is_built():
    required = {"beta_gelu": {"beta": 2.5}}
    for name in ACTIVATIONS:
        spec = {"name": name, **required.get(name, {})}
        phi = build.activation(activation(spec))
        if name in CASES and name not in ("leaky_relu",):
            np.testing.assert_allclose(phi(jnp.asarray(X)), CASES[name][1][0], rtol=1e-4, atol=1e-6)
        for second, entry in SECOND_DERIVATIVES.items():
            options = {"beta": 2.0} if entry.options else {}
            replaced = build.activation(activation({**spec, "second_derivative": {"name": second, **options}}))
            got = MODES["reverse"](MODES["forward"](replaced))(jnp.asarray(X, jnp.float32))
            expected = {"zero": 0 * X, "gaussian": GAUSSIAN[0], "gaussian_listing": LISTING[0]}[second]
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        build.activation(activation({"name": "beta_gelu", "beta": 1.0}), beta=2.5)(jnp.asarray(X)),
        CASES["beta_gelu"][1][0],
        rtol=1e-4,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        build.activation(activation({"name": "leaky_relu", "negative_slope": 0.2}))(jnp.asarray(X)),
        CASES["leaky_relu"][1][0],
        rtol=1e-5,
    )
