"""Products, matrices, quadratic forms, probes and vectors under jit, vmap, grad and remat, in three precisions."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from nmepkg.activations import replace_second_derivative, tanh, zero
from nmepkg.curvature import matrices, probes, vectors
from nmepkg.curvature.hutchinson import quadratic_forms
from tests import cases
from tests.cases import assert_close, random_like
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)
each_type = pytest.mark.parametrize("dtype", cases.TYPES)


def products(params, inputs, v, written=None):
    """Name -> a symmetric matrix of θ times v. All are one program, which compiles faster than one for each."""
    case, ablated = cases.shallow(), cases.shallow(replace_second_derivative(tanh, zero))

    def logits_fn(params):
        return (written or case.logits_fn)(params, inputs)[0]

    maps = curvature.linearize(logits_fn, case.loss, params)
    found = {name: getattr(curvature, name)(logits_fn, case.loss, params, v) for name in ("hvp", "gnvp", "nmevp")}
    found |= {f"linearised {name}": getattr(maps, name)(v) for name in ("hvp", "gnvp", "nmevp")}
    found["G of parts"], found["N of parts"] = maps.parts(v)
    (found["mapped"],) = curvature.map_vectors(maps.hvp, [v])
    found["split"], found["rest"] = curvature.split_nmevp(
        logits_fn, lambda p: ablated.logits_fn(p, inputs)[0], case.loss, params, v
    )
    return found


compiled = jax.jit(products)


def arguments(dtype="float64"):
    case = cases.cast(cases.shallow(), dtype)
    return case.params, case.batch[0], random_like(case.params, 1)


def wide(tree):
    return jax.tree.map(lambda x: x.astype("float64"), tree)


def shifted(tree, scale, by):
    return jax.tree.map(lambda x, y: x + scale * y, tree, by)


def assert_each_close(found, expected, dtype="float64", errors=1000):
    assert found.keys() == expected.keys()
    for name in expected:  # what is split off is a difference of two products
        assert_close(found[name], expected[name], dtype, errors * (2 if name == "split" else 1), what=name)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_are_of_the_parameters_types_and_exact_to_their_rounding(dtype):
    """At parameters, data and vectors that are rounded to the type, and for a model that computes in it."""
    found = compiled(*arguments(dtype))
    assert set(cases.types(found)) == {dtype}
    assert_each_close(found, compiled(*wide(arguments(dtype))), dtype, cases.ROUNDING)


def test_products_that_are_not_compiled_are_those_that_are():
    assert_each_close(products(*arguments()), compiled(*arguments()))


def test_products_of_many_parameters_data_and_vectors_are_those_of_each():
    many = [cases.stack([shifted(x, 0.2, random_like(x, seed)) for seed in range(2)]) for x in arguments()]
    together = products
    for axes in ((None, None, 0), (None, 0, None), (0, None, None)):
        together = jax.vmap(together, axes)
    together = interpreted(together)(*many)
    for place in np.ndindex(2, 2, 2):
        one = [jax.tree.map(operator.itemgetter(i), tree) for i, tree in zip(place, many, strict=True)]
        assert_each_close(jax.tree.map(operator.itemgetter(place), together), compiled(*one))


def test_a_linearisation_at_many_parameters_is_that_at_each():
    """The linearisations as what a mapped function returns, and their maps as what another takes."""
    case = cases.shallow()
    many = jax.tree.map(lambda x: jnp.stack([x, 1.5 * x]), case.params)
    v = random_like(case.params, 3)
    maps = jax.jit(jax.vmap(lambda p: curvature.linearize(case.logits, case.loss, p)))(many)
    found = jax.jit(jax.vmap(lambda maps: maps.parts(v)))(maps)
    for i in range(2):
        one = compiled(jax.tree.map(operator.itemgetter(i), many), case.batch[0], v)
        expected = (one["gnvp"], one["nmevp"])
        assert_close(jax.tree.map(operator.itemgetter(i), found), expected)


def test_derivatives_of_products_are_those_of_differences_and_transposes_of_each_other():
    params, inputs, v = arguments()
    along, across = random_like(params, 2), random_like(params, 3)
    u = {name: random_like(params, 10 + i) for i, name in enumerate(compiled(params, inputs, v))}
    u["split"] = u["rest"]  # φ'' := 0 is that of no function: differences see φ'' in the rest, and in the sum of both

    @interpreted
    def form(params, v):
        return vectors.dot(u, compiled(params, inputs, v))

    def product(params, v):
        return products(params, inputs, v)

    @interpreted
    def derivatives(params, v):
        _, tangents = jax.jvp(product, (params, v), (along, across))
        return tangents, jax.vjp(product, params, v)[1](u)

    tangents, (in_params, in_v) = derivatives(params, v)
    for found, at, where in ((in_params, lambda p: form(p, v), params), (in_v, lambda v: form(params, v), v)):
        assert_close(cases.flat(found), cases.differences(at, where), errors=cases.DIFFERENCE)
    transposed = vectors.dot(in_params, along) + vectors.dot(in_v, across)
    assert_close(vectors.dot(u, tangents), transposed)

    ahead, behind = (compiled(shifted(params, h, along), inputs, shifted(v, h, across)) for h in (1e-5, -1e-5))
    for name in set(tangents) - {"split", "rest"}:
        difference = (cases.flat(ahead[name]) - cases.flat(behind[name])) / 2e-5
        assert_close(cases.flat(tangents[name]), difference, errors=cases.DIFFERENCE, what=name)

    # Matrices are symmetric: the gradient of ⟨u, A v⟩ in v is A u.
    symmetric = [compiled(params, inputs, u[name])[name] for name in u]
    assert_close(in_v, jax.tree.map(lambda *leaves: sum(leaves), *symmetric))


@cases.each_way_of_writing
def test_products_of_a_model_that_is_written_otherwise_are_the_same(written):
    found = jax.jit(lambda *a: products(*a, cases.WRITTEN[written]()))(*arguments())
    assert_each_close(found, compiled(*arguments()))


def test_gradients_of_products_of_a_model_that_is_written_otherwise_are_the_same():
    params, inputs, v = arguments()
    case, u = cases.shallow(), random_like(params, 2)

    def gradient(logits_fn):
        def form(params):
            functions = (lambda p: logits_fn(p, inputs)[0], case.loss)
            gauss_newton, nme = curvature.linearize(*functions, params).parts(v)
            hessian = curvature.hvp(*functions, params, v)
            return vectors.dot(u, hessian) + 2 * vectors.dot(u, gauss_newton) + 3 * vectors.dot(v, nme)

        return jax.jit(jax.grad(form))(params)

    expected = gradient(case.logits_fn)
    for logits_fn in (cases.WRITTEN["checkpointed"](), cases.shallow(cases.reversed_only).logits_fn):
        assert_close(gradient(logits_fn), expected)


LIKE = {"a": np.ones((2, 1)), "b": np.ones(1)}  # 3 entries


def as_map(A):
    """v ↦ A v on pytrees like LIKE."""

    def linear_map(v):
        y = A @ jnp.concatenate([v["a"].ravel(), v["b"]])
        return {"a": y[:2, None], "b": y[2:]}

    return linear_map


def of_matrix(A):
    """(columns, dense, frobenius_norm) of a matrix by its map, with more columns to a chunk than divide it."""
    like = jax.tree.map(lambda x: jnp.asarray(x, A.dtype), LIKE)
    return (
        jax.vmap(lambda start: matrices.columns(as_map(A), like, start, 2))(jnp.arange(2)),
        matrices.dense(as_map(A), like, 2),
        matrices.frobenius_norm(as_map(A), like, 2),
    )


@each_type
def test_matrices_of_a_map_are_the_matrix_in_its_type(dtype):
    """Columns and dense matrices to the bit, compiled or not and one or many at a time; the norm is of float32 at least."""
    many = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3)), dtype)
    together, compiled_matrices = jax.jit(jax.vmap(of_matrix))(many), jax.jit(of_matrix)
    for i, A in enumerate(many):
        for columns, dense, norm in (of_matrix(A), compiled_matrices(A), [x[i] for x in together]):
            assert (columns.dtype, dense.dtype, norm.dtype) == (A.dtype, A.dtype, max(jnp.float32, dtype, key=_bits))
            np.testing.assert_array_equal(columns[0], A.T[:2])
            np.testing.assert_array_equal(columns[1], A.T[1:])
            np.testing.assert_array_equal(dense, A)
            np.testing.assert_allclose(norm, np.linalg.norm(np.float64(A)), rtol=4 * jnp.finfo(norm.dtype).eps)


def _bits(dtype):
    return jnp.finfo(dtype).bits


def test_gradients_of_dense_matrices_and_norms():
    A, weights = (jnp.asarray(np.random.default_rng(seed).normal(size=(3, 3))) for seed in (0, 1))
    columns, dense, norm = (
        interpreted(jax.grad(f))(A)
        for f in (
            lambda A: jnp.vdot(weights[:2], of_matrix(A)[0][1]),
            lambda A: jnp.vdot(weights, of_matrix(A)[1]),
            lambda A: of_matrix(A)[2],
        )
    )
    assert_close(columns, jnp.zeros((3, 3)).at[:, 1:].set(weights[:2].T))
    assert_close(dense, weights)
    assert_close(norm, A / np.linalg.norm(A))


def test_quadratic_forms_of_many_parameters_and_keys_are_those_of_each_and_have_gradients():
    params, inputs, _ = arguments()
    case = cases.shallow()

    def forms(params, key):
        return quadratic_forms(curvature.linearize(case.logits, case.loss, params).parts, params, key, "gaussian")

    one = jax.jit(forms)
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), params), jax.random.split(KEY, 2)
    together = jax.jit(jax.vmap(jax.vmap(forms, (None, 0)), (0, None)))(*many)
    for place in np.ndindex(2, 2):
        at, key = (jax.tree.map(operator.itemgetter(i), tree) for i, tree in zip(place, many, strict=True))
        assert_close(together[place], one(at, key))
        v = probes.draw(key, at, "gaussian")
        products_of_v = compiled(at, inputs, v)
        expected = [vectors.dot(v, products_of_v[name]) for name in ("gnvp", "nmevp")]
        assert_close(one(at, key).sum(axis=1), jnp.stack(expected))
    weights = jnp.asarray([[1.0, 2.0], [3.0, 5.0]])
    gradient = jax.jit(jax.grad(lambda p: jnp.vdot(weights, forms(p, KEY))))(params)
    expected = cases.differences(lambda p: jnp.vdot(weights, one(p, KEY)), params)
    assert_close(cases.flat(gradient), expected, errors=cases.DIFFERENCE)


@each_type
def test_quadratic_forms_are_summed_in_single_precision_at_least(dtype):
    """Forms vᵀ(D v) with numbers that are exact in every type, but whose sum of 301 terms bfloat16 cannot hold."""
    params = {"layer": {"x": jnp.ones(301, dtype)}}
    forms = jax.jit(
        lambda key: quadratic_forms(lambda v: (v, jax.tree.map(lambda x: 2 * x, v)), params, key, "rademacher")
    )
    np.testing.assert_array_equal(forms(KEY), [[301.0], [602.0]])


@each_type
@pytest.mark.parametrize("kind", ["gaussian", "rademacher"])
def test_probes_of_many_keys_are_those_of_each_in_the_parameters_type(kind, dtype):
    params = {"a": jnp.ones((2, 2), dtype), "b": jnp.ones(3, dtype)}
    keys = jax.random.split(KEY, 3)
    together = jax.jit(jax.vmap(lambda key: probes.draw(key, params, kind)))(keys)
    assert set(cases.types(together)) == {dtype}
    for i, key in enumerate(keys):
        one = probes.draw(key, params, kind)
        assert set(cases.types(one)) == {dtype}
        assert_close(jax.tree.map(operator.itemgetter(i), together), one, dtype, errors=4)
    same = jax.vmap(lambda p: probes.draw(KEY, p, kind))(cases.stack([params, params]))
    np.testing.assert_array_equal(same["a"][0], same["a"][1])  # a probe depends on shapes, not on values
    gradient = jax.grad(lambda p: vectors.dot(p, probes.draw(KEY, p, kind)))(params)
    assert_close(gradient, probes.draw(KEY, params, kind), dtype, errors=4)


@each_type
def test_vectors_are_those_of_numpy_compiled_and_many_at_a_time(dtype):
    many = [
        {"a": jnp.asarray(x, dtype), "none": jnp.zeros((0, 2), dtype), "b": jnp.asarray(x[0, 0], dtype)}
        for x in np.random.default_rng(0).normal(size=(3, 2, 4))
    ]
    wider = max(jnp.float32, dtype, key=_bits)

    def all_of(x, y):
        return vectors.dot(x, y), vectors.norm(x), *vectors.normalize(x)

    together = jax.jit(jax.vmap(all_of, (0, None)))(cases.stack(many), many[0])
    for i, tree in enumerate(many):
        x, y = (cases.flat(tree).astype(float) for tree in (tree, many[0]))
        for dot, norm, unit, length in (all_of(tree, many[0]), jax.tree.map(lambda leaf, i=i: leaf[i], together)):
            assert {dot.dtype, norm.dtype, length.dtype} == {jnp.dtype(wider)}
            assert set(cases.types(unit)) == {dtype}
            np.testing.assert_allclose(dot, x @ y, rtol=20 * jnp.finfo(wider).eps)
            np.testing.assert_allclose([norm, length], np.linalg.norm(x), rtol=4 * jnp.finfo(wider).eps)
            assert_close(cases.flat(unit), x / np.linalg.norm(x), dtype, errors=2)


@each_type
@pytest.mark.parametrize("size", [1e-30, 1e-18, 1.0, 1e25, 1e37])
def test_gradients_of_vectors_neither_overflow_nor_underflow(size, dtype):
    """∇⟨x, y⟩ = y, ∇‖x‖ = x/‖x‖ and the tangent of x/‖x‖ along a t is that of a unit vector, at any size."""
    x = {"a": jnp.asarray([3.0, 0.0], dtype) * size, "b": jnp.asarray(4.0, dtype) * size}
    y, unit = ({"a": jnp.asarray([a, 0.0], dtype), "b": jnp.asarray(b, dtype)} for a, b in ((1.5, -0.5), (0.6, 0.8)))
    assert_close(jax.grad(vectors.dot)(x, y), y, dtype, errors=1)
    assert_close(jax.jit(jax.grad(vectors.norm))(x), unit, dtype, errors=4)
    along = {"a": jnp.zeros(2, dtype), "b": jnp.asarray(size, dtype)}
    (_, length), (tangent, growth) = jax.jvp(vectors.normalize, (x,), (along,))
    expected = {"a": jnp.asarray([-0.096, 0.0], dtype), "b": jnp.asarray(0.072, dtype)}
    assert_close(tangent, expected, dtype, errors=8)
    np.testing.assert_allclose([growth, length], [0.8 * size, 5 * size], rtol=2 * float(jnp.finfo(dtype).eps))
