"""Every method's direction against a dense oracle, and the identities between methods, in double precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nmepkg import curvature
from tests import cases
from tests.cases import METHODS
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
close = {"rtol": 1e-8, "atol": 1e-10}
OPTIONS = {"gradient_penalty": {"p": 1.5}, "psam_fd": {"step": 1e-2}}
KEY = jax.random.key(0)


# Methods that draw at random have oracles of their own, in the files of their names.
RANDOM = {"weight_noise", "hessian_trace", "nme_trace", "gn_trace_hutchinson", "gn_trace"}
DETERMINISTIC = [name for name in METHODS if name not in RANDOM]


@cases.of_case
def _step(case, strength, key, method, **options):
    made = METHODS[method].load()(**{**OPTIONS.get(method, {}), **options})
    return made(case.logits_fn, case.loss_fn, case.params, case.batch, key, strength)


def step(method, case, strength, key=KEY, **options):
    return _step(case, strength, key, method=method, **options)


@cases.of_case
def every_step(case, strength):
    """Method -> update."""
    return {method: step(method, case, strength) for method in METHODS}


def mixes(case):
    """Whether the case's examples share statistics, so that the exact trace of G by examples does not exist."""
    return "scale" in case.params


def gradient(case, params=None):
    return cases.gradient(case if params is None else case._replace(params=params))


def shifted(case, by):
    theta, unravel = jax.flatten_util.ravel_pytree(case.params)
    return unravel(theta + by)


def adaptive_size(case, eta):
    """ASAM's T as one vector, where kernels are what has two axes."""
    return cases.flat(
        jax.tree.map(
            lambda x: np.abs(x) + eta if x.ndim == 2 else np.ones_like(x), jax.tree.map(np.asarray, case.params)
        )
    )


def expected_direction(method, case, rho, g, hessian):
    """The direction in dense linear algebra, from the gradient and matrices of tests.cases."""
    length = np.linalg.norm(g)
    unit = g / length
    match method:
        case "sgd":
            return g
        case "sam":
            return gradient(case, shifted(case, rho * unit))
        case "usam":
            return gradient(case, shifted(case, rho * g))
        case "asam":
            size = adaptive_size(case, 0.01)
            return gradient(case, shifted(case, rho * size**2 * g / np.linalg.norm(size * g)))
        case "functional_sam":
            perturbed = case._replace(params=shifted(case, rho * unit))
            return np.einsum("bc,bcp->p", cases.residual(case), cases.dense_jacobian(perturbed))
        case "psam":
            return g + rho * hessian @ unit
        case "pusam":
            return g + 2 * rho * hessian @ g
        case "gradient_penalty":
            return g + rho * 1.5 * np.sqrt(length) * hessian @ unit
        case "psam_gn":
            return g + rho * cases.dense_gauss_newton(case) @ unit
        case "psam_nme":
            return g + rho * cases.dense_nme(case) @ unit
        case "psam_fd":
            return g + rho * (gradient(case, shifted(case, 1e-2 * unit)) - g) / 1e-2
        case "gn_trace_exact":
            return g + rho * cases.gradient_of_trace(case, part="G")
    raise AssertionError(f"no oracle for {method}")


# Products have the whole table (tests/curvature); methods, built on them, every model, every kind of activation and every loss.
each_case = pytest.mark.parametrize(
    "name",
    [(model, "cross_entropy", "gelu") for model in cases.MODELS]
    + [(model, "cross_entropy", "relu") for model in ("mlp", "normalized")]
    + [("mlp", "smoothed", "relu_synthetic"), ("mlp", "mse", "gelu_ablated"), ("mlp", "mse", "beta_gelu")],
    ids="-".join,
)


@each_case
def test_direction_is_the_dense_one(name):
    case = cases.make(name)
    g, hessian, updates = gradient(case), cases.dense_hessian(case), every_step(case, 0.3)
    for method in DETERMINISTIC:
        if method == "gn_trace_exact" and (mixes(case) or "mse" in name):
            continue
        update = updates[method]
        np.testing.assert_allclose(
            cases.flat(update.direction), expected_direction(method, case, 0.3, g, hessian), **close, err_msg=method
        )
        np.testing.assert_allclose(update.loss, case.loss(case.logits(case.params)), rtol=1e-12)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_penalty_is_the_gradient_of_the_penalised_loss(p):
    case = cases.make(("normalized", "cross_entropy", "gelu"))

    def penalised(params):
        loss, g = jax.value_and_grad(lambda q: case.loss(case.logits(q)))(params)
        return loss + 0.3 * optax.tree.norm(g) ** p

    expected = cases.flat(interpreted(jax.grad(penalised))(case.params))
    np.testing.assert_allclose(cases.flat(step("gradient_penalty", case, 0.3, p=p).direction), expected, **close)
    for name, exponent in (("psam", 1.0), ("pusam", 2.0)):
        if p == exponent:
            np.testing.assert_allclose(cases.flat(step(name, case, 0.3).direction), expected, **close)


def test_ablating_the_full_nme_is_penalising_with_the_jacobian_held_constant():
    """The paper's route 2, literally: ‖J(θ̃)ᵀ ∇_z L(z(θ))‖ with no gradient through θ̃."""
    case = cases.make(("normalized", "cross_entropy", "gelu"))

    def penalised(params):
        logits = case.logits(params)
        fixed = jax.lax.stop_gradient(params)
        (g,) = jax.vjp(case.logits, fixed)[1](jax.grad(case.loss)(logits))
        return case.loss(logits) + 0.3 * optax.tree.norm(g)

    np.testing.assert_allclose(
        cases.flat(step("psam_gn", case, 0.3).direction),
        cases.flat(interpreted(jax.grad(penalised))(case.params)),
        **close,
    )


@each_case
def test_strength_zero_is_sgd(name):
    case = cases.make(name)
    g = gradient(case)
    for method, update in every_step(case, 0.0).items():
        np.testing.assert_allclose(cases.flat(update.direction), g, rtol=1e-12, err_msg=method)


@pytest.mark.parametrize(
    ("first_order", "penalty", "factor"),
    [("sam", "psam", 1.0), ("usam", "pusam", 0.5), ("functional_sam", "psam_nme", 1.0)],
)
def test_sam_tends_to_the_penalty_for_smooth_activations(first_order, penalty, factor):
    """SAM's change of the gradient is ρ H ĝ + O(ρ²), Functional SAM's ρ N ĝ + O(ρ²); USAM at ρ matches PUSAM at ρ/2. The error
    falls with ρ²."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))

    def distance(rho):
        a, b = step(first_order, case, rho).direction, step(penalty, case, factor * rho).direction
        return np.linalg.norm(cases.flat(a) - cases.flat(b))

    assert distance(1e-2) > 0
    np.testing.assert_allclose(distance(1e-2) / distance(1e-3), 100, rtol=0.1)


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_functional_sam_of_a_linear_model_is_sgd(loss):
    """Its Jacobian is the same everywhere."""
    case = cases.make(("linear", loss, "gelu"))
    np.testing.assert_allclose(cases.flat(step("functional_sam", case, 0.3).direction), gradient(case), rtol=1e-12)
    assert np.abs(cases.flat(step("sam", case, 0.3).direction) - gradient(case)).max() > 1e-3


def test_adaptive_sam_does_not_see_factors_that_layers_pass_to_one_another():
    """Two kernels a W₁ and W₂/a are one ReLU net. SAM's perturbed nets differ, ASAM's at η = 0 are one net again."""

    def logits_fn(params, x):
        return jax.nn.relu(x @ params["one"]["kernel"]) @ params["two"]["kernel"], {}

    whole = cases.make(("mlp", "cross_entropy", "relu"))
    first, _, last = (layer["kernel"] for layer in whole.params)

    def directions(method, a, **options):
        params = {"one": {"kernel": a * first}, "two": {"kernel": last / a}}
        found = step(method, whole._replace(params=params, logits_fn=logits_fn), 0.3, **options).direction
        return np.concatenate([np.ravel(a * found["one"]["kernel"]), np.ravel(found["two"]["kernel"] / a)])

    np.testing.assert_allclose(directions("asam", 3.0, eta=0.0), directions("asam", 1.0, eta=0.0), rtol=1e-10)
    assert np.abs(directions("sam", 3.0) - directions("sam", 1.0)).max() > 1e-3
    with pytest.raises(ValueError, match="at least 0, not -1"):
        step("asam", whole, 0.3, eta=-1.0)


def test_scales_of_normalisation_are_adaptive_where_that_is_asked_for():
    """And its biases never are."""
    plain = cases.make(("normalized", "cross_entropy", "gelu"))
    norm = {"scale": plain.params["scale"], "bias": jnp.full(cases.HIDDEN, 0.1)}
    params = {**{key: value for key, value in plain.params.items() if key != "scale"}, "BatchNorm_0": norm}

    def logits_fn(p, x):
        z, state = plain.logits_fn({**p, "scale": p["BatchNorm_0"]["scale"]}, x)
        return z + p["BatchNorm_0"]["bias"].sum() * z**2, state

    case = plain._replace(params=params, logits_fn=logits_fn)
    g, size = gradient(case), adaptive_size(case, 0.01)
    for adaptive in (False, True):
        if adaptive:  # leaves are in the order of their names: BatchNorm_0/bias, BatchNorm_0/scale, …
            size[cases.HIDDEN : 2 * cases.HIDDEN] = np.abs(norm["scale"]) + 0.01
        expected = gradient(case, shifted(case, 0.3 * size**2 * g / np.linalg.norm(size * g)))
        found = step("asam", case, 0.3, normalization=adaptive).direction
        np.testing.assert_allclose(cases.flat(found), expected, **close)


def test_the_parts_of_the_penalty_add_up():
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    g, whole, gn, nme = (cases.flat(step(m, case, 0.3).direction) for m in ("sgd", "psam", "psam_gn", "psam_nme"))
    np.testing.assert_allclose(whole - g, (gn - g) + (nme - g), **close)


def test_finite_difference_sees_a_bend_that_the_hessian_product_does_not():
    """A ReLU unit a hair beside its bend: autodiff's H ĝ has no φ'' there, a difference of gradients crosses it."""
    case = cases.Case(
        {"w": jnp.asarray([[1e-3]])},
        lambda p, x: (jnp.concatenate([jax.nn.relu(-p["w"]), p["w"]], axis=1), {}),
        lambda z, y: z[0, 0] + 2 * z[0, 1],
        (jnp.zeros((1, 1)), jnp.zeros(1)),
    )
    # At w = 1e-3: g = 2, ĝ = 1, away from the bend; and with the loss negated, ĝ = −1, over it: g = −2 becomes −1.
    np.testing.assert_allclose(step("psam_fd", case, 1.0, step=0.05).direction["w"], 2.0)
    over = case._replace(loss_fn=lambda z, y: -case.loss_fn(z, y))
    np.testing.assert_allclose(step("psam", over, 1.0).direction["w"], -2.0)
    np.testing.assert_allclose(step("psam_fd", over, 1.0, step=0.05).direction["w"], -2.0 + 1.0 / 0.05)


# Cross-entropy alone has no point where the gradient is exactly 0.
@pytest.mark.parametrize(
    ("method", "dtype"),
    [(name, jnp.float32) for name, entry in METHODS.items() if entry.loss is None]
    + [(name, jnp.float64) for name in ("sam", "psam")],
)
def test_a_zero_gradient_gives_a_finite_step(method, dtype):
    case = cases.make(("mlp", "mse", "gelu"))
    *hidden, last = jax.tree.map(lambda x: x.astype(dtype), case.params)
    params = [*hidden, jax.tree.map(jnp.zeros_like, last)]  # logits are 0, and so are the targets: the gradient is 0
    batch = (case.batch[0].astype(dtype), jnp.zeros((cases.BATCH, cases.CLASSES), dtype))
    case = case._replace(params=params, batch=batch)
    update = jax.jit(lambda rho: step(method, case, rho))(0.1)
    if METHODS[method].strength == "sigma2":  # the trace of G and the noise are there all the same
        assert np.isfinite(cases.flat(update.direction)).all()
        assert np.abs(cases.flat(update.direction)).max() > 0
    else:
        np.testing.assert_array_equal(cases.flat(update.direction), 0)
    assert update.loss == 0


@pytest.mark.parametrize("size", [1e-30, 1e-22, 1e25])
def test_direction_of_a_tiny_or_huge_gradient_has_length_one_in_single_precision(size):
    from nmepkg.curvature.vectors import normalize

    tree = {"a": jnp.asarray([3.0, 0.0], jnp.float32) * size, "b": jnp.asarray(4.0, jnp.float32) * size}
    unit, length = normalize(tree)
    np.testing.assert_allclose(unit["a"], [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(unit["b"], 0.8, rtol=1e-6)
    np.testing.assert_allclose(length, 5 * size, rtol=1e-6)


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if "m" in entry.options])
def test_groups_are_means_of_the_method_on_parts_of_the_batch(method):
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    parts = [case._replace(batch=(case.batch[0][i : i + 2], case.batch[1][i : i + 2])) for i in (0, 2, 4)]
    keys = jax.random.split(KEY, 3)
    single = [cases.flat(step(method, part, 0.3, key).direction) for part, key in zip(parts, keys, strict=True)]
    expected = np.mean(single, axis=0)
    update = step(method, case, 0.3, m=2)
    np.testing.assert_allclose(cases.flat(update.direction), expected, **close)
    np.testing.assert_allclose(update.loss, np.mean([part.loss(part.logits(part.params)) for part in parts]))


def test_a_group_of_the_whole_batch_is_none_and_one_that_does_not_divide_it_is_refused():
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    whole = step("psam", case, 0.3, m=cases.BATCH)
    np.testing.assert_array_equal(cases.flat(whole.direction), cases.flat(step("psam", case, 0.3).direction))
    with pytest.raises(ValueError, match="m = 4 examples do not divide a batch of 6"):
        step("psam", case, 0.3, m=4)


def test_exponents_below_one_are_refused():
    with pytest.raises(ValueError, match=r"at least 1, not 0\.5"):
        step("gradient_penalty", cases.make(("linear", "mse", "relu")), 0.1, p=0.5)


@pytest.mark.parametrize("method", METHODS)
def test_running_averages_come_from_the_clean_pass_alone(method):
    """With a state that records the parameters it was computed at, every method reports θ and never θ + ρĝ."""
    case = cases.make(("normalized", "cross_entropy", "gelu"))

    def logits_fn(params, x):
        return case.logits_fn(params, x)[0], {"seen": params["scale"], "mean": jnp.mean(x)}

    if METHODS[method].per_example:
        with pytest.raises(ValueError, match="whose examples do not mix"):
            step(method, case._replace(logits_fn=logits_fn), 0.5)
        return
    update = step(method, case._replace(logits_fn=logits_fn), 0.5)
    np.testing.assert_array_equal(update.state["seen"], case.params["scale"])
    np.testing.assert_allclose(update.state["mean"], case.batch[0].mean())


def test_sam_agrees_with_optax():
    """optax.contrib.sam, an independent implementation: one adversarial step of length ρ, then the gradient there."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    optimizer = optax.contrib.sam(
        optax.sgd(1.0), optax.chain(optax.contrib.normalize(), optax.sgd(0.2)), sync_period=2, opaque_mode=True
    )
    grad_fn = interpreted(jax.grad(lambda p, _: case.loss(case.logits(p))))
    updates, _ = optimizer.update(grad_fn(case.params, 0), optimizer.init(case.params), case.params, grad_fn=grad_fn)
    np.testing.assert_allclose(-cases.flat(updates), cases.flat(step("sam", case, 0.2).direction), **close)


def test_activation_ablation_leaves_the_first_order_methods_alone():
    """What the registry claims with second_order=False, and the reason that such runs are shared."""
    plain, ablated = (cases.make(("mlp", "cross_entropy", a)) for a in ("gelu", "gelu_ablated"))
    with_plain, with_ablated = (every_step(case, 0.3) for case in (plain, ablated))
    for name, entry in METHODS.items():
        a, b = (cases.flat(updates[name].direction) for updates in (with_plain, with_ablated))
        if entry.second_order:
            assert np.abs(a - b).max() > 1e-3, name
        else:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15, err_msg=name)


def test_products_are_public():
    assert {"hvp", "gnvp", "nmevp", "split_nmevp", "linearize"} <= set(curvature.__all__)
