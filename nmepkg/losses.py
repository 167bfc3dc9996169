"""Losses on logits, whose residuals ∇_z L stay accurate near interpolation.

The Nonlinear Modeling Error is linear in ∇_z L. Written as softmax minus one-hot, its true-class entry cancels to noise in
float32 once the loss is small: at a loss of 7e-7 the relative error of N v is 5e-2. Here cross-entropy is a function of
the margins z_k − z_y, whose autodiff writes that entry as minus the sum of the other probabilities, at every order.

Shapes and types are checked when a program is traced, and cost it nothing. A label that names no class, −1 of padding say,
cannot be seen then: it makes the loss NaN, and the gradient of its example.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def cross_entropy(logits: Array, labels: Array, label_smoothing: float = 0.0) -> Array:
    """Mean softmax cross-entropy of integer labels, with label smoothing (Szegedy et al. 2016).

    Per example, with s the smoothing and C classes:
    (1 − s)·(logsumexp(z) − z_y) + s·(logsumexp(z) − mean(z)), and logsumexp(z) − z_y = softplus(logsumexp_{k≠y}(z_k − z_y)).

    Logits of −∞ leave classes out. An example whose label alone is left has loss 0 and no derivatives; one whose label is left
    out has no finite loss, nor has any with smoothing.

    Args:
      logits: (B, C), C ≥ 2; or (B, T, C), … for labels of every token.
      labels: (B,) or (B, T), … integers in [0, C); others make the loss NaN.
      label_smoothing: s in [0, 1); static.

    Returns:
      Scalar in nats, the mean over all labels.

    Raises:
      TypeError: logits are no array of floating-point numbers, or labels no integers.
      ValueError: shapes do not match, there are fewer than two classes, or s is out of range.

    Example:
      Equal logits of 4 classes, whatever the label and the smoothing; it is log 4:

      >>> import jax.numpy as jnp
      >>> from nmepkg import losses
      >>> round(float(losses.cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]), label_smoothing=0.1)), 3)
      1.386
    """
    logits, labels = _checked(logits), jnp.asarray(labels)
    classes = logits.shape[-1]
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"cross-entropy needs integer labels, one class each, and they are {labels.dtype}")
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross-entropy of logits {logits.shape} needs labels {logits.shape[:-1]}, and they are {labels.shape}"
        )
    _refuse_one_class(classes)
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label smoothing must be at least 0 and below 1, not {label_smoothing}")
    # Negative places would count from the end; those beyond it read NaN.
    places = labels.astype(jnp.arange(0).dtype)[..., None]
    places = jnp.where(places < 0, classes, places)
    margins = logits - jnp.take_along_axis(logits, places, axis=-1, mode="fill", fill_value=jnp.nan)
    # The label's own margin is 0 by construction; -inf leaves it out of the sum, and `where` leaves it out of the gradient.
    is_label = jax.lax.broadcasted_iota(places.dtype, logits.shape, logits.ndim - 1) == places
    others = jnp.where(is_label, -jnp.inf, margins)
    # Where no other class is left, logsumexp would be -inf, and its derivatives 0/0.
    alone = jnp.max(jax.lax.stop_gradient(others), axis=-1) == -jnp.inf
    losses = jax.nn.softplus(jax.nn.logsumexp(jnp.where(alone[..., None], 0, others), axis=-1))
    losses = jnp.where(alone, 0, losses)
    if label_smoothing:
        # logsumexp(z) − mean(z) = (logsumexp(z) − z_y) − mean(z − z_y)
        losses = losses - label_smoothing * jnp.mean(margins, axis=-1)
    return jnp.mean(losses)


def mse(logits: Array, labels: Array) -> Array:
    """Mean over examples of ½ ‖z − t‖²: ∇_z L = (z − t)/B and H_z = I/B.

    Args:
      logits: (B, C); or (B, T, C), …, where every token counts as an example.
      labels: targets t of the shape of the logits; or (B,), … integers in [0, C), C ≥ 2, taken as one-hot targets, of which
        others make the loss NaN.

    Raises:
      TypeError: logits are no array of floating-point numbers, or labels neither such nor integers.
      ValueError: shapes do not match, or labels are of one class.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import losses
      >>> float(losses.mse(jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2))))
      12.5
      >>> float(losses.mse(jnp.array([[3.0, 4.0]]), jnp.array([1])))  # of the class 1, the target (0, 1)
      9.0
    """
    logits, labels = _checked(logits), jnp.asarray(labels)
    classes, integers = logits.shape[-1], jnp.issubdtype(labels.dtype, jnp.integer)
    if not (integers or jnp.issubdtype(labels.dtype, jnp.floating)):
        raise TypeError(f"the squared error needs real targets, or integer labels, and they are {labels.dtype}")
    if labels.shape == logits.shape:
        targets = labels
    elif integers and labels.shape == logits.shape[:-1]:
        _refuse_one_class(classes)
        known = (labels >= 0) & (labels < classes)
        targets = jnp.where(known[..., None], jax.nn.one_hot(labels, classes, dtype=logits.dtype), jnp.nan)
    else:
        remedy = "; write targets[..., None]" if logits.shape == (*labels.shape, 1) else ""
        raise ValueError(
            f"the squared error of logits {logits.shape} needs targets of that shape, or integer labels "
            f"{logits.shape[:-1]}, and they are {labels.dtype} of {labels.shape}{remedy}"
        )
    return 0.5 * jnp.mean(jnp.sum(jnp.square(logits - targets), axis=-1))


def _checked(logits: Array) -> Array:
    """The logits, if they are an array of floating-point numbers with an axis of examples and one of classes."""
    if not isinstance(logits, (jax.Array, np.ndarray)):
        raise TypeError(f"logits must be one array, not a {type(logits).__name__}")
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise TypeError(f"logits must be floating-point numbers, and are {logits.dtype}")
    if logits.ndim < 2:
        raise ValueError(f"logits must have an axis of examples and one of classes, (B, C), and are {logits.shape}")
    return jnp.asarray(logits)


def _refuse_one_class(classes: int) -> None:
    if classes < 2:
        raise ValueError(
            f"labels need a logit for each of two classes or more, and there is {classes}: of one logit z for class 1, make "
            "the two (0, z)"
        )
