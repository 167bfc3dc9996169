"""Activations, and the replacement of an activation's second derivative.

The paper's ablations are statements about φ'' alone, on which the diagonal blocks of the Nonlinear Modeling Error hang:
:func:`replace_second_derivative` keeps φ and φ' and substitutes φ''.

Every function here is elementwise, finite for any finite float32 input, and right under nested forward and reverse mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

Values = Float[Array, "*shape"]  # what goes in and what comes out: one shape
Activation = Callable[[Array], Array]

_SQRT_2 = math.sqrt(2)
_SQRT_2PI = math.sqrt(2 * math.pi)


def relu(x: Values) -> Values:
    """max(x, 0), with slope 0 at 0 (``jnp.maximum`` would say ½).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import activations
      >>> activations.relu(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 2.0]
      >>> float(jax.grad(activations.relu)(0.0))
      0.0
    """
    return jax.nn.relu(x)


def leaky_relu(x: Values, negative_slope: ArrayLike = 0.01) -> Values:
    """x where x ≥ 0, ``negative_slope``·x elsewhere.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> activations.leaky_relu(jnp.array([-1.0, 2.0]), negative_slope=0.5).tolist()
      [-0.5, 2.0]
    """
    return jnp.where(x >= 0, x, negative_slope * x)


def silu(x: Values) -> Values:
    """x σ(x) (Hendrycks & Gimpel 2016; Ramachandran et al. 2017).

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.silu(jnp.log(3.0))), 3)  # ¾ log 3
      0.824
    """
    return x * jax.nn.sigmoid(x)


def softplus(x: Values) -> Values:
    """log(1 + eˣ).

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.softplus(jnp.zeros(()))), 3)  # log 2
      0.693
    """
    return jax.nn.softplus(x)


def tanh(x: Values) -> Values:
    """Hyperbolic tangent.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.tanh(jnp.log(3.0) / 2)), 3)  # (3 − 1)/(3 + 1)
      0.5
    """
    return jnp.tanh(x)


def gelu(x: Values) -> Values:
    """x Φ(x), the exact form (Hendrycks & Gimpel 2016).

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.gelu(jnp.ones(()))), 4)  # Φ(1)
      0.8413
    """
    return beta_gelu(x, 1.0)


def gelu_tanh(x: Values) -> Values:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), the tanh approximation of GELU.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.gelu_tanh(jnp.ones(()))), 4)  # Φ(1) is 0.8413
      0.8412
    """
    t = _clip_tail(x)
    return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (t + 0.044715 * t**3)))


def beta_gelu(x: Values, beta: ArrayLike) -> Values:
    """β-GELU, x Φ(βx) (paper, section 4.3): GELU at β = 1, tending to ReLU as β → ∞.

    φ' = Φ(βx) + βx φ_N(βx) and φ'' = β φ_N(βx) (2 − β²x²), with φ_N the density of the standard normal distribution.
    φ''(0) = 2β/√(2π) grows with β while ∫φ'' = 1.

    Args:
      x: any shape.
      beta: sharpness of the bend, > 0; may be traced.

    Example:
      >>> import jax
      >>> from nmepkg import activations
      >>> round(float(jax.grad(jax.grad(activations.beta_gelu))(0.0, 10.0)), 3)  # 20/√(2π)
      7.979
    """
    return 0.5 * x * (1 + jax.lax.erf(_clip_tail(beta * x) / _SQRT_2))


def zero(x: Values) -> Values:
    """φ'' := 0, the paper's activation-NME ablation: what autodiff says of ReLU.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> activations.zero(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 0.0]
    """
    return jnp.zeros_like(x)


def gaussian(x: Values, beta: ArrayLike = 100.0) -> Values:
    """φ'' := β/√(2π) exp(−β²x²/2), the paper's synthetic NME (equation 19); its integral is 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> x = jnp.linspace(-1, 1, 2001)
      >>> round(float(activations.gaussian(x).sum() * 0.001), 3)
      1.0
    """
    return jnp.exp(-0.5 * _clip_tail(beta * x) ** 2) * (beta / _SQRT_2PI)


def gaussian_listing(x: Values, beta: ArrayLike = 100.0) -> Values:
    """φ'' := β/√(2π) exp(−β²x²), as in the listing of the paper's appendix; its integral is 1/√2.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> x = jnp.linspace(-1, 1, 2001)
      >>> round(float(activations.gaussian_listing(x).sum() * 0.001), 3)
      0.707
    """
    return jnp.exp(-(_clip_tail(beta * x) ** 2)) * (beta / _SQRT_2PI)


def replace_second_derivative(phi: Callable[..., Array], psi: Activation) -> Callable[..., Array]:
    """An activation with the values and the slope of ``phi`` whose second derivative is ``psi``.

    With r the returned function: r = φ, r' = φ', r'' = ψ, r''' = ψ', … under every nesting of forward and reverse mode.
    (There is no real function like that unless ψ = φ''; the paper uses it to add or remove the NME by hand.)

    Args:
      phi: ``phi(x, *args)``, elementwise in x. It is differentiated in x only: ``args`` (β of a β-GELU, say) count as
        constants, and may be traced.
      psi: elementwise ``psi(x)``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import activations
      >>> phi = activations.replace_second_derivative(activations.relu, activations.gaussian)
      >>> x = jnp.array([0.0, 2.0])
      >>> phi(x).tolist(), jax.vmap(jax.grad(phi))(x).tolist()  # those of ReLU
      ([0.0, 2.0], [0.0, 1.0])
      >>> [round(float(bend), 3) for bend in jax.vmap(jax.grad(jax.grad(phi)))(x)]  # 100/√(2π) at 0
      [39.894, 0.0]

    Source: paper, section 4.3 and appendix.
    """

    @jax.custom_jvp
    def slope(x: Values, *args: ArrayLike) -> Values:
        tangent: Array = jax.jvp(lambda x: phi(x, *args), (x,), (jnp.ones_like(x),))[1]
        return tangent

    @slope.defjvp
    def _(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        return slope(*primals), psi(primals[0]) * tangents[0]

    @jax.custom_jvp
    def replaced(x: Values, *args: ArrayLike) -> Values:
        return phi(x, *args)

    @replaced.defjvp
    def _(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        return replaced(*primals), slope(*primals) * tangents[0]

    return replaced


def _clip_tail(t: ArrayLike) -> Array:
    """t where the normal density at t is a number of its type, the nearest such t elsewhere.

    Beyond, exp(−t²/2) is 0 and Φ is 0 or 1 in floating point: clipping changes no value, and keeps the powers of t in
    higher derivatives from overflowing to ∞·0 = NaN.
    """
    bound = 40.0 if jnp.result_type(t) == jnp.float64 else 15.0
    return jnp.clip(t, -bound, bound)
