"""Weight decay within the loss, against decay outside, textbooks written out, and dense matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nmepkg import activations, curvature
from nmepkg.errors import UserError
from nmepkg.losses import cross_entropy
from nmepkg.methods import gn_trace_hutchinson, nme_trace, sam, sgd
from nmepkg.methods.base import on_batch
from nmepkg.models.mlp import MLP
from nmepkg.specs import recipe
from nmepkg.training.decay import in_loss, penalty
from nmepkg.training.step import make_program
from tests import cases
from tests.interpreter import interpreted
from tests.study.samples import study
from tests.training.runs import CLASSES, dataset, make_spec, method, quick_jit, start

KEY, LAMBDA, RHO = jax.random.key(0), 0.03, 0.2


def stepped(spec: dict[str, Any], count: int = 3) -> tuple[Any, Any]:
    program, begun, hyper = start(spec, dataset())
    step, state = quick_jit(program.step), begun
    for _ in range(count):
        state = step(state, hyper, dataset().train)
    return begun, state


@pytest.mark.parametrize(
    ("training", "changes"),
    [({}, {}), ({"accumulate": 2}, {"decayed": "kernels"}), ({"batch_norm_group": 4}, {"decayed": "kernels"})],
)
def test_of_sgd_it_is_decay_outside(changes: dict[str, Any], training: dict[str, Any]) -> None:
    """Parameters and recorded losses."""
    outside, inside = (
        stepped(make_spec(optimizer={"weight_decay": LAMBDA, "decay_in_loss": where, **changes}, training=training))[1]
        for where in (False, True)
    )
    for a, b in ((outside.params, inside.params), (outside.batch_stats, inside.batch_stats)):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), a, b)
    np.testing.assert_allclose(inside.loss, outside.loss, rtol=1e-5)


@pytest.mark.parametrize("which", ["all", "kernels"])
def test_a_step_of_sam_written_out(which: str) -> None:
    """The gradient of L + ½ λ ‖θ‖² at θ + ρ ĝ, ĝ that gradient at θ over its length; the loss is L(θ)."""
    optimizer = {"weight_decay": LAMBDA, "decay_in_loss": True, "decayed": which, "momentum": 0.0, "nesterov": False}
    begun, state = stepped(make_spec(method=method("sam", RHO), optimizer=optimizer), 1)
    places = np.asarray(begun.order)[:8]
    x, y = (part[places] for part in dataset().train)
    model = MLP(CLASSES, activations.gelu, 4, 1, True)

    def loss(params: Any) -> Any:
        variables = {"params": params, "batch_stats": begun.batch_stats}
        return cross_entropy(model.apply(variables, x, True, mutable=["batch_stats"])[0], y)

    def decay(params: Any) -> Any:
        own = [p for p in jax.tree.leaves(params) if which == "all" or p.ndim == 2]
        return 0.5 * LAMBDA * sum(jnp.sum(p**2) for p in own)

    gradient = interpreted(jax.grad(lambda p: loss(p) + decay(p)))
    g = gradient(begun.params)
    length = optax.tree.norm(g)
    d = gradient(jax.tree.map(lambda p, q: p + RHO * q / length, begun.params, g))
    rate = 0.1 / 3  # which warm-up begins at
    for found, before, along in zip(*map(jax.tree.leaves, (state.params, begun.params, d)), strict=True):
        np.testing.assert_allclose(found, before - rate * along, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.loss, loss(begun.params), rtol=1e-5)


def test_its_strength_is_traced_and_in_groups_it_counts_once() -> None:
    def text(strength: float) -> str:
        spec = make_spec(
            method=method("sam", RHO) | {"m": 4}, optimizer={"weight_decay": strength, "decay_in_loss": True}
        )
        program = make_program(recipe(spec), CLASSES, 27)
        return jax.jit(program.step).lower(*start(spec, dataset())[1:], dataset().train).as_text()

    assert text(0.1) == text(0.0)
    case = cases.make(("linear", "mse", "gelu"))
    apply, loss = in_loss(case.logits_fn, case.loss_fn, LAMBDA, "all")
    for made in (sgd(), sam(m=3)):
        found = made(apply, loss, case.params, case.batch, KEY, 0.0)
        expected = case.loss(case.logits(case.params)) + penalty(case.params, LAMBDA, "all")
        np.testing.assert_allclose(found.loss, expected, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_g_has_the_decay_on_its_diagonal_and_n_has_none_of_it() -> None:
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    parts = on_batch(*in_loss(case.logits_fn, case.loss_fn, LAMBDA, "kernels"), case.batch)
    kernels = cases.flat(jax.tree.map(lambda p: np.full(p.shape, float(p.ndim == 2)), case.params))
    v = cases.vector(case)
    at = curvature.linearize(*parts, case.params)
    for product, dense, more in (
        (at.gnvp, cases.dense_gauss_newton(case), LAMBDA * kernels),
        (at.nmevp, cases.dense_nme(case), 0.0),
        (at.hvp, cases.dense_hessian(case), LAMBDA * kernels),
    ):
        found = cases.flat(interpreted(product)(v))
        np.testing.assert_allclose(found, dense @ cases.flat(v) + more * cases.flat(v), atol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("make", [nme_trace, gn_trace_hutchinson])
def test_traces_differ_by_a_constant_and_their_penalties_not_at_all(make: Any) -> None:
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    inside, outside = (
        interpreted(lambda params, parts=parts: make()(*parts, params, case.batch, KEY, 0.3).direction)(case.params)
        for parts in (in_loss(case.logits_fn, case.loss_fn, LAMBDA, "all"), (case.logits_fn, case.loss_fn))
    )
    np.testing.assert_allclose(
        cases.flat(inside) - cases.flat(outside), LAMBDA * cases.flat(case.params), rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("name", ["gn_trace", "gn_trace_exact"])
def test_methods_for_cross_entropy_alone_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        study(
            tmp_path,
            ("learning_rate: 0.1", "learning_rate: 0.1, decay_in_loss: true"),
            ("[sam, psam]", f"[sam, psam, {name}]"),
            ("rho: [0, 0.1]", "rho: [0, 0.1]\n    sigma2: [0.1]"),
        )
    assert str(caught.value).endswith(
        f"experiments.main.methods: {name!r} is right for the loss 'cross_entropy' alone, and "
        "setups.mlp.optimizer.decay_in_loss adds the decay to it; set that to false, or take 'gn_trace_hutchinson'"
    )
