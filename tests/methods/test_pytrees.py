"""Methods on any pytree: batches of named inputs, states that are no averages, leaves of every real kind, two heads."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.losses import cross_entropy
from nmepkg.methods import psam_fd, sam
from nmepkg.methods.parts import examples, mean_in_turn
from tests.cases import METHODS
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion")

OPTIONS = {"gradient_penalty": {"p": 1.5}, "psam_fd": {"step": 1e-2}}
KEY = jax.random.key(0)
IN_GROUPS = ["sam", "psam", "gn_trace"]  # groups are the same code for all methods


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def params():
    first, second = arrays((3, 4), (4, 4))
    return {"w": first, "u": second}


def batch():
    x, z = arrays((6, 3), (6, 3), seed=1)
    return {"ids": x, "mask": z}, jnp.asarray([0, 1, 2, 3, 0, 1])


def logits(p, x):
    return jnp.tanh(x @ p["w"]) @ p["u"]


def named(p, x):
    return logits(p, x["ids"] + x["mask"]), {}


def step(method, logits_fn, p, data, loss_fn=cross_entropy, **options):
    made = METHODS[method].load()(**{**OPTIONS.get(method, {}), **options})
    return interpreted(lambda p, data: made(logits_fn, loss_fn, p, data, KEY, 0.1))(p, data)


@pytest.mark.parametrize("method", METHODS)
def test_named_inputs_are_one_array_taken_apart(method):
    """As are targets: a batch is a pytree, in groups too."""
    inputs, labels = batch()
    together = jnp.concatenate([inputs["ids"], inputs["mask"]], axis=1)
    for options in [{}, {"m": 2}][: 1 + (method in IN_GROUPS)]:
        one = step(method, lambda p, x: (logits(p, x[:, :3] + x[:, 3:]), {}), params(), (together, labels), **options)
        apart = step(method, named, params(), (inputs, labels), **options)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, apart)


@pytest.mark.parametrize("method", IN_GROUPS)
def test_state_that_has_no_mean_comes_back_as_it_is(method):
    state = {"count": jnp.asarray(7, jnp.int32), "on": jnp.asarray(True), "key": jax.random.key(3), "mean": 1.0, "n": 2}

    def logits_fn(p, x):
        return named(p, x)[0], {**state, "seen": jnp.mean(x["ids"])}

    data = batch()
    for m in (None, 2):
        found = step(method, logits_fn, params(), data, m=m).state
        assert (found["count"].dtype, found["on"].dtype, found["n"].dtype) == (jnp.int32, jnp.bool_, jnp.int32)
        assert (int(found["count"]), bool(found["on"]), int(found["n"]), float(found["mean"])) == (7, True, 2, 1.0)
        assert found["key"] == state["key"]
        np.testing.assert_allclose(found["seen"], jnp.mean(data[0]["ids"]), rtol=1e-5)


@pytest.mark.parametrize("unroll", [True, False])
def test_state_of_groups_in_turn(unroll):
    """On an accelerator groups come one after another; what has no mean is the first one's there too."""
    arguments = (jnp.arange(4.0), jax.random.split(KEY, 4))
    found = mean_in_turn(
        lambda a: {"x": a[0], "n": jnp.int32(a[0]), "key": a[1], "none": jnp.zeros((0, 2))}, arguments, unroll
    )
    assert (float(found["x"]), int(found["n"]), found["none"].shape) == (1.5, 0, (0, 2))
    assert found["key"] == arguments[1][0]
    half = mean_in_turn(lambda a: jnp.asarray(a, jnp.float16), jnp.full(4, 4e4), unroll)
    assert (half.dtype, float(half)) == (jnp.float16, float(jnp.float16(4e4)))  # the sum is beyond float16


@pytest.mark.parametrize("method", METHODS)
def test_leaves_that_are_empty_or_numbers(method):
    """They change nothing of the others' direction (methods that draw give each leaf a key by its place, so draw otherwise)."""
    data, plain = batch(), params()
    more = {**plain, "a_none": jnp.zeros((0, 4), jnp.float32), "b_gain": 1.5}

    def logits_fn(p, x):
        z, state = named(p, x)
        return p["b_gain"] * z, state

    got = step(method, logits_fn, more, data).direction
    assert (got["a_none"].shape, jnp.shape(got["b_gain"])) == ((0, 4), ())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))
    if METHODS[method].strength == "sigma2" and not METHODS[method].per_example:
        return
    as_array = step(method, logits_fn, {**more, "b_gain": jnp.float32(1.5)}, data).direction
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, as_array)


@pytest.mark.parametrize("method", METHODS)
def test_directions_are_of_the_parameters_types(method):
    """float32 beside bfloat16 and float16: near what single precision gives, and of the same types."""
    types = {"w": jnp.bfloat16, "u": jnp.float16}
    mixed = {name: leaf.astype(types[name]) for name, leaf in params().items()} | {"bias": arrays((4,), seed=3)[0]}

    def logits_fn(p, x):  # computes in single precision whatever its parameters are
        p = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), p)
        z, state = named(p, x)
        return z + p["bias"][None], state

    with jax.numpy_dtype_promotion("standard"):  # of JAX's own ravel_pytree, by which probes are drawn
        got = step(method, logits_fn, mixed, batch()).direction
    assert jax.tree.map(lambda leaf: leaf.dtype, got) == {"w": jnp.bfloat16, "u": jnp.float16, "bias": jnp.float32}
    if METHODS[method].strength == "sigma2" and not METHODS[method].per_example:
        return  # probes in half precision are others
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), mixed)
    expected = step(method, logits_fn, single, batch()).direction
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(np.float32(a), b, atol=0.02 * largest), got, expected)


def test_a_perturbation_that_half_precision_cannot_hold_is_taken():
    """θ + ρĝ of weights near 1 in bfloat16, ρ = 1e-3: rounded to bfloat16, SAM would be SGD."""
    p = {"w": jnp.ones((3, 4), jnp.bfloat16)}

    def logits_fn(p, x):
        return jnp.square(p["w"].astype(jnp.float32)).sum() * x, {}

    def loss_fn(z, y):
        return jnp.mean(z)

    data = (jnp.ones((2, 1)), jnp.zeros(2))
    change = [np.float64(step(method, logits_fn, p, data, loss_fn).loss) for method in ("sgd", "sam")]
    assert change[0] == change[1]  # the clean loss
    seen = []

    def recording(p, x):
        seen.append(p["w"].dtype)
        return logits_fn(p, x)

    sam()(recording, loss_fn, p, data, KEY, 1e-3)
    assert seen == [jnp.bfloat16, jnp.float32]


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.loss is None])
def test_two_heads(method):
    """Logits in a tuple against the columns of one array, whole and in groups."""
    inputs, _ = batch()
    target = arrays((6,), seed=4)[0]

    def likelihood(z, t):
        mean, log_variance = z
        return jnp.mean(0.5 * log_variance + 0.5 * (mean - t) ** 2 * jnp.exp(-log_variance))

    def heads(p, x):
        z, state = named(p, x)
        return (z[:, 0], z[:, 1]), state

    for options in [{}, {"m": 3}][: 1 + (method in IN_GROUPS)]:
        one = step(method, named, params(), (inputs, target), lambda z, t: likelihood(z.T[:2], t), **options)
        two = step(method, heads, params(), (inputs, target), likelihood, **options)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, two)


@jax.custom_vjp
def fused(x):
    return jnp.tanh(x)


fused.defvjp(lambda x: (fused(x), x), lambda x, g: (g * (1 - fused(x) ** 2),))


@pytest.mark.parametrize("method", METHODS)
def test_models_with_rules_for_reverse_mode_alone(method):
    inputs, labels = batch()

    def with_activation(phi):
        return lambda p, x: (phi((x["ids"] + x["mask"]) @ p["w"]) @ p["u"], {})

    plain, ruled = (step(method, with_activation(phi), params(), (inputs, labels)) for phi in (jnp.tanh, fused))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), plain, ruled)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("scale_by_batch", [True, False])
def test_sampled_labels_of_tokens_estimate_the_trace_for_all_of_them(scale_by_batch):
    """Labels (B, T) are B·T examples: the same step as the tokens in one axis."""
    x, w = (jnp.asarray(a, jnp.float64) for a in arrays((6, 3), (3, 4)))
    y = jnp.asarray([0, 1, 2, 3, 0, 1])

    def tokens(p, x):
        return x @ p, {}

    options = {"scale_by_batch": scale_by_batch}
    one = step("gn_trace", tokens, w, (x, y), **options)
    many = step("gn_trace", tokens, w, (x.reshape(3, 2, 3), y.reshape(3, 2)), **options)
    np.testing.assert_allclose(many.direction, one.direction, rtol=1e-10)
    with pytest.raises(ValueError, match="a label for each example"):
        step("gn_trace_exact", tokens, w, (x.reshape(3, 2, 3), y.reshape(3, 2)))


@pytest.mark.parametrize("unlike", [{"ids": (6, 3), "mask": (5, 3)}, {"ids": (6, 3), "mask": ()}])
def test_a_batch_of_unlike_numbers_of_examples_is_refused(unlike):
    inputs = {name: jnp.zeros(shape) for name, shape in unlike.items()}
    with pytest.raises(ValueError, match="one number of examples"):
        examples((inputs, jnp.zeros(6)))
    with pytest.raises(ValueError, match="one number of examples"):
        step("sam", named, params(), (inputs, jnp.zeros(6, int)), m=2)


def test_groups_of_none_are_refused():
    with pytest.raises(ValueError, match="m = 0 examples do not divide"):
        step("sam", named, params(), batch(), m=0)
    with pytest.raises(ValueError, match="above 0, not 0"):
        psam_fd(step=0.0)
