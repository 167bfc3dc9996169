"""docs/library.md trains nets of other libraries by our methods: what it shows is what they do by themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nmepkg import methods
from nmepkg.curvature.parameters import is_kernel, layer_names
from nmepkg.losses import cross_entropy
from tests.study.test_readme import run_snippet
from tests.training.runs import quick_jit

close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return run_snippet("docs/library.md")


def start(page: dict[str, Any], library: str) -> tuple[Callable[..., Any], Any, Any]:
    """(model, parameters, state) as they were before the page's step."""
    if library == "plain":
        params = {"first": jax.random.normal(jax.random.key(2), (5, 4)), "second": jnp.ones((4, 3))}
        return page["plain"], params, {}
    if library == "linen":
        variables = page["linen_net"].init(jax.random.key(4), page["x"], train=False)
        return page["linen"], variables["params"], {"batch_stats": variables["batch_stats"]}
    return page["with_nnx"], *nnx.split(page["NnxNet"](nnx.Rngs(6)), nnx.Param, ...)[1:]


@pytest.mark.parametrize("library", ["plain", "linen", "nnx"])
def test_a_step_of_the_page_is_psam(page: dict[str, Any], library: str) -> None:
    assert_psam(page, *start(page, library), page[f"of_{library}"])


def assert_psam(page: dict[str, Any], model: Callable[..., Any], params: Any, state: Any, step: Any) -> None:
    """A step is that of PSAM as g + ρ H ĝ of each group, by forward over reverse mode, and the mean of both."""

    @quick_jit
    def expected(x: Any, y: Any) -> Any:
        """(θ − 0.1 (g + ρ H ĝ), state, loss) of a group."""

        def objective(params: Any) -> Any:
            logits, kept = model(state, params, x)
            return cross_entropy(logits, y), kept

        (loss, kept), g = jax.value_and_grad(objective, has_aux=True)(params)
        unit = jax.tree.map(lambda leaf: leaf / optax.tree.norm(g), g)
        product = jax.jvp(lambda params: jax.grad(objective, has_aux=True)(params)[0], (params,), (unit,))[1]
        return jax.tree.map(lambda t, a, b: t - 0.1 * (a + 0.05 * b), params, g, product), kept, loss

    halves = [expected(page["x"][i : i + 4], page["y"][i : i + 4]) for i in (0, 4)]
    found, kept, _, loss = step
    jax.tree.map(lambda ours, *theirs: close(ours, np.mean(theirs, axis=0)), (found, kept, loss), *halves)


@pytest.mark.parametrize("name", ["asam", "psam_gn", "weight_noise"])
def test_nnx_is_linen_with_the_same_weights(page: dict[str, Any], name: str) -> None:
    """Directions and running averages; random draws too, as both trees hold the same leaves in the same order."""
    linen, params, state = start(page, "linen")
    with_nnx, ours, kept = start(page, "nnx")
    structure = jax.tree.structure(ours)
    assert layer_names(ours) == layer_names(params)
    assert [is_kernel(path, leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(ours)] == [
        is_kernel(path, leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]
    method = getattr(methods, name)()
    batch = page["x"], page["y"]
    given = jax.tree.unflatten(structure, jax.tree.leaves(params))

    @quick_jit
    def both(params: Any, given: Any) -> Any:
        return (
            method(partial(linen, state), cross_entropy, params, batch, KEY, 0.1),
            method(partial(with_nnx, kept), cross_entropy, given, batch, KEY, 0.1),
        )

    expected, found = both(params, given)
    for a, b in zip(*(jax.tree.leaves(update) for update in (found, expected)), strict=True):
        close(a, b)


def test_the_module_of_nnx_is_left_as_it_is_after_the_step(page: dict[str, Any]) -> None:
    params, state = nnx.split(page["nnx_net"], nnx.Param, ...)[1:]
    jax.tree.map(np.testing.assert_array_equal, (params, state), page["of_nnx"][:2])
    begun = start(page, "nnx")[2]
    assert not any(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (state, begun)), strict=True))


@pytest.mark.parametrize("m", [None, 4])
def test_dropout_of_nnx_is_one_mask_at_both_ends_of_a_step(page: dict[str, Any], m: int | None) -> None:
    """SAM's second pass drops what the first one dropped, and the counter of draws goes on by one."""

    class Dropped(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.dense = nnx.Linear(5, 16, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.head = nnx.Linear(16, 3, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.head(self.dropout(nnx.gelu(self.dense(x))))

    graph, params, state = nnx.split(Dropped(nnx.Rngs(0)), nnx.Param, ...)

    def model(params: Any, x: Any) -> Any:
        net = nnx.merge(graph, params, state, copy=True)
        return net(x), nnx.split(net, nnx.Param, ...)[2]

    x, y = page["x"], page["y"]
    found = quick_jit(lambda: methods.sam(m=m)(model, cross_entropy, params, (x, y), KEY, 0.1))()

    @quick_jit
    def ahead(x: Any, y: Any) -> Any:
        gradient = jax.grad(lambda params: cross_entropy(model(params, x)[0], y))
        g = gradient(params)
        length = optax.tree.norm(g)
        return gradient(jax.tree.map(lambda p, d: p + 0.1 * d / length, params, g))

    groups = [(x, y)] if m is None else [(x[:4], y[:4]), (x[4:], y[4:])]
    jax.tree.map(
        lambda ours, *theirs: close(ours, sum(theirs) / len(theirs)), found.direction, *(ahead(*g) for g in groups)
    )
    counts = [leaf for leaf in jax.tree.leaves(found.state) if leaf.dtype == jnp.uint32]
    assert [int(count) for count in counts] == [1]
