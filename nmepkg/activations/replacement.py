"""The replacement of an activation's second derivative.

The paper's ablations are statements about φ'' alone, on which the diagonal blocks of the Nonlinear Modeling Error hang:
:func:`replace_second_derivative` keeps φ and φ' and substitutes φ''.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg.activations.types import Activation, Values


def zero(x: Values) -> Values:
    """φ'' := 0, the paper's activation-NME ablation: what autodiff says of ReLU.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> activations.zero(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 0.0]
    """
    return jnp.zeros_like(x)


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
