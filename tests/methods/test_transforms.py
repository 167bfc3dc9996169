"""Every method under jit, vmap, grad and remat, in three precisions."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.curvature import probes, vectors
from nmepkg.methods.base import add_scaled
from nmepkg.methods.parts import Execution
from tests import cases
from tests.cases import METHODS, assert_close, random_like
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)
OPTIONS = {"gradient_penalty": {"p": 1.5}, "psam_fd": {"step": 1e-2}}
# Directions that are gradients of a function of θ have a symmetric derivative; of the others no function is known.
NO_GRADIENT = {"sam", "usam", "asam", "functional_sam", "psam_gn", "psam_nme", "psam_fd"}
# Directions that are ∇L plus the strength times what does not depend on it.
LINEAR = set(METHODS) - {"sam", "usam", "asam", "functional_sam", "weight_noise"}


def updates(params, inputs, key, strength, written=None, names=METHODS, **options):
    """Name -> update. All are one program, which compiles faster than one for each."""
    found = {}
    for name in names:
        # The squared error compiles faster, where a method takes any loss.
        case = cases.shallow(loss=METHODS[name].loss or "mse")
        method = METHODS[name].load()(**OPTIONS.get(name, {}), **options)
        batch = (inputs, case.batch[1])
        found[name] = method(written or case.logits_fn, case.loss_fn, params, batch, key, strength)
    return found


def directions(*arguments, **options):
    return {name: update.direction for name, update in updates(*arguments, **options).items()}


compiled = jax.jit(updates)


def arguments(dtype="float64"):
    case = cases.cast(cases.shallow(), dtype)
    return case.params, case.batch[0]


def assert_update_close(name, found, expected, dtype="float64", errors=1000):
    assert_close(found.direction, expected.direction, dtype, errors, what=name)
    assert_close(found.loss, expected.loss, dtype, errors, what=name)


def assert_each_close(found, expected):
    assert found.keys() == expected.keys() == METHODS.keys()
    for name in METHODS:
        assert_update_close(name, found[name], expected[name])


@pytest.fixture
def same_draws(monkeypatch):
    """Draws that are the same numbers in every type, where JAX draws others for each."""
    monkeypatch.setitem(probes._DRAW, "gaussian", jax.random.rademacher)
    monkeypatch.setattr(
        jax.random, "categorical", lambda key, logits: jax.random.randint(key, logits.shape[:-1], 0, logits.shape[-1])
    )


@pytest.mark.usefixtures("same_draws")
def test_directions_are_of_the_parameters_types_and_exact_to_their_rounding():
    """At parameters and data that are rounded to the type, and for a model that computes in it."""
    step, exactly = (way(lambda *arguments: updates(*arguments)) for way in (jax.jit, interpreted))  # with these draws
    for dtype in ("float32", "bfloat16"):
        params, inputs = arguments(dtype)
        exact = jax.tree.map(lambda x: x.astype("float64"), (params, inputs))
        found, expected = step(params, inputs, KEY, 0.3), exactly(*exact, KEY, 0.3)
        for name, update in found.items():
            assert set(cases.types(update.direction)) == {dtype}, name
            # A difference of gradients divides their rounding by its step, but for half precision's.
            divided = 0.3 / OPTIONS[name]["step"] if name == "psam_fd" and dtype == "float32" else 1
            assert_update_close(name, update, expected[name], dtype, cases.ROUNDING * divided)


def test_steps_that_are_not_compiled_are_those_that_are():
    assert_each_close(updates(*arguments(), KEY, 0.3), compiled(*arguments(), KEY, 0.3))


def test_steps_for_many_parameters_data_keys_and_strengths_are_those_for_each():
    params, inputs = (jax.tree.map(lambda x: jnp.stack([x, 1.5 * x]), tree) for tree in arguments())
    many = params, inputs, jax.random.split(KEY, 2), jnp.asarray([0.1, 0.3])
    together = updates
    for place in range(4):
        together = jax.vmap(together, [0 if i == place else None for i in range(4)])
    together = interpreted(together)(*many)
    for place in np.ndindex(2, 2, 2, 2):
        at = [jax.tree.map(operator.itemgetter(i), tree) for i, tree in zip(place, many, strict=True)]
        found = jax.tree.map(operator.itemgetter(place[::-1]), together)
        assert_each_close(found, compiled(*at))


def test_derivatives_of_directions_are_those_of_differences_and_transposes_of_each_other():
    params, inputs = arguments()
    rho, h = 0.3, 1e-5

    def step(params, strength):
        return {name: update.direction for name, update in compiled(params, inputs, KEY, strength).items()}

    @interpreted
    def derivatives(along, growth, u):
        found, tangents = jax.jvp(step, (params, rho), (along, growth))
        return found, tangents, jax.vjp(step, params, rho)[1](u)

    u = {name: random_like(params, 10 + i) for i, name in enumerate(METHODS)}
    along, other = random_like(params, 2), random_like(params, 3)
    found, tangents, (in_params, in_rho) = derivatives(along, 0.7, u)
    assert_close(vectors.dot(u, tangents), vectors.dot(in_params, along) + in_rho * 0.7)
    ahead, behind = (step(add_scaled(params, s, along), rho + 0.7 * s) for s in (h, -h))
    for name in METHODS:
        expected = (cases.flat(ahead[name]) - cases.flat(behind[name])) / (2 * h)
        assert_close(cases.flat(tangents[name]), expected, errors=cases.DIFFERENCE, what=name)

    @interpreted
    def energy(params, strength):
        """Σ ½‖direction‖²."""
        d = step(params, strength)
        return vectors.dot(d, d) / 2

    _, first, (in_params, in_rho) = derivatives(along, 0.0, found)
    expected = cases.differences(lambda p: energy(p, rho), params)
    assert_close(cases.flat(in_params), expected, errors=cases.DIFFERENCE)
    expected = (energy(params, rho + h) - energy(params, rho - h)) / (2 * h)
    assert_close(in_rho, expected, errors=cases.DIFFERENCE)

    _, second, _ = derivatives(other, 0.0, found)
    for name in METHODS:
        one, two = float(vectors.dot(other, first[name])), float(vectors.dot(along, second[name]))
        assert (abs(one - two) > 1e-6 * abs(one)) == (name in NO_GRADIENT), name
    at_zero, at_one = step(params, 0.0), step(params, 1.0)
    for name in METHODS:
        line = (1 - rho) * cases.flat(at_zero[name]) + rho * cases.flat(at_one[name])
        assert np.allclose(line, cases.flat(found[name]), rtol=0, atol=1e-10) == (name in LINEAR), name


@cases.each_way_of_writing
def test_steps_of_a_model_that_is_written_otherwise_are_the_same(written):
    found = interpreted(lambda *a: updates(*a, cases.WRITTEN[written]()))(*arguments(), KEY, 0.3)
    assert_each_close(found, compiled(*arguments(), KEY, 0.3))


@pytest.mark.parametrize("written", cases.WRITTEN)
def test_a_difference_of_gradients_in_half_precision_of_a_model_that_is_written_otherwise(written):
    """There its program is taken apart."""
    plain, found = (
        jax.jit(lambda *a, w=w: directions(*a, w, names=["psam_fd"]))(*arguments("bfloat16"), KEY, 0.3)
        for w in (None, cases.WRITTEN[written]())
    )
    assert_close(found, plain, "bfloat16", cases.ROUNDING)


@pytest.mark.parametrize(("name", "options"), [("psam", {"m": 2}), ("hessian_trace", {"samples": 2})], ids=str)
def test_loops_over_groups_and_draws_have_the_gradients_of_what_is_written_out(name, options):
    params, inputs = arguments()

    def gradients(unroll):
        def energy(params, strength):
            d = directions(params, inputs, KEY, strength, names=[name], execution=Execution(unroll), **options)
            return vectors.dot(d, d)

        return jax.jit(jax.grad(energy, argnums=(0, 1)))(params, 0.3)

    assert_close(gradients(False), gradients(True))


def size(**options):
    """Lines of the program of one method's directions, before it is compiled."""
    execution = Execution(unroll=options.pop("unroll"))
    (name,) = options.pop("names")
    taken = jax.jit(lambda *a: directions(*a, names=[name], execution=execution, **options))
    return taken.lower(*arguments(), KEY, 0.3).as_text().count("\n")


@pytest.mark.parametrize("name", ["hessian_trace", "gn_trace"])
def test_a_program_grows_by_as_much_for_each_probe_and_a_loop_not_at_all(name):
    """So compiling does, which takes XLA time for every line."""
    one, two, six = (size(names=[name], samples=k, unroll=True) for k in (1, 2, 6))
    assert one < two
    assert six - two <= 4.2 * (two - one)
    assert size(names=[name], samples=6, unroll=False) == size(names=[name], samples=2, unroll=False)


def test_a_program_does_not_grow_with_the_number_of_groups():
    few, many = (size(names=["psam"], m=m, unroll=True) for m in (2, 1))
    assert many <= few
