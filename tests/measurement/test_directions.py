"""Directions against eigenvectors of dense matrices, and filters normalised by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nmepkg.measurement.directions import directions, filter_normalized
from tests import cases
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")

NAME = ("mlp", "cross_entropy", "gelu")


@pytest.mark.parametrize("part", "HGN")
def test_eigenvectors_of_the_two_largest_eigenvalues(part):
    problem, batch_cases = problems.make(NAME, 2)
    (u, v), account = directions(problem, f"top_{part}", 20, 1e-10)(batch_cases[0].params, {}, problems.KEY)
    values, vectors = np.linalg.eigh(problems.dense(part, NAME, 2))
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    for found, place, name in ((u, -1, "u"), (v, -2, "v")):
        assert account[f"eigenvalue_{name}"] == pytest.approx(values[place], rel=1e-9)
        assert account[f"bound_{name}"] < 1e-6 * abs(values[-1])
        expected = vectors[:, place] * np.sign(vectors[:, place] @ g)
        np.testing.assert_allclose(cases.flat(found), expected, atol=1e-6)


def test_gradient_and_eigenvector():
    problem, batch_cases = problems.make(NAME, 2)
    (u, v), account = directions(problem, "g_and_top_H", 20, 1e-10)(batch_cases[0].params, {}, problems.KEY)
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    np.testing.assert_allclose(cases.flat(u), g / np.linalg.norm(g), rtol=1e-12)
    _, vectors = np.linalg.eigh(problems.dense("H", NAME, 2))
    np.testing.assert_allclose(cases.flat(v), vectors[:, -1] * np.sign(vectors[:, -1] @ g), atol=1e-6)
    assert set(account) == {"eigenvalue_v", "bound_v"}


def test_a_filter_has_the_norm_that_it_has_in_theta():
    """By hand: columns of a dense kernel; of a convolution all positions and inputs; of attention a head's feature."""
    rng = np.random.default_rng(0)
    shapes = {
        ("Dense_0", "kernel"): (3, 4),
        ("Dense_0", "bias"): (4,),
        ("Conv_0", "kernel"): (3, 3, 2, 5),
        ("BatchNorm_0", "scale"): (5,),
        ("BatchNorm_0", "bias"): (5,),
        ("attention", "query", "kernel"): (6, 2, 3),
        ("attention", "query", "bias"): (2, 3),
        ("attention", "out", "kernel"): (2, 3, 6),
        ("position",): (7, 6),
    }

    def tree():
        found = {}
        for path, shape in shapes.items():
            node = found
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = rng.normal(size=shape)
        return found

    theta, drawn = tree(), tree()
    theta["Conv_0"]["kernel"][..., 1] = 0
    drawn["Conv_0"]["kernel"][..., 2] = 0
    d = filter_normalized(theta, drawn)
    for i in range(4):
        t, x = theta["Dense_0"]["kernel"][:, i], drawn["Dense_0"]["kernel"][:, i]
        np.testing.assert_allclose(
            d["Dense_0"]["kernel"][:, i], x * np.sqrt(sum(t**2)) / np.sqrt(sum(x**2)), rtol=1e-12
        )
    lengths = np.linalg.norm(np.reshape(d["Conv_0"]["kernel"], (18, 5)), axis=0)
    expected = np.linalg.norm(theta["Conv_0"]["kernel"].reshape(18, 5), axis=0)
    np.testing.assert_allclose(lengths, np.where(np.arange(5) == 2, 0, expected), rtol=1e-12)
    assert lengths[1] == 0
    query, out = (np.asarray(d["attention"][name]["kernel"]) for name in ("query", "out"))
    np.testing.assert_allclose(
        np.linalg.norm(query, axis=0), np.linalg.norm(theta["attention"]["query"]["kernel"], axis=0)
    )
    np.testing.assert_allclose(
        np.linalg.norm(out, axis=(0, 1)), np.linalg.norm(theta["attention"]["out"]["kernel"], axis=(0, 1))
    )
    normalization, biases = d["BatchNorm_0"].values(), (d["Dense_0"]["bias"], d["attention"]["query"]["bias"])
    for leaf in (*normalization, *biases, d["position"]):
        assert not leaf.any()


def test_queries_keys_and_values_of_flax_are_those():
    model = nn.MultiHeadDotProductAttention(2, qkv_features=6)
    params = model.init(jax.random.key(0), jnp.ones((1, 4, 8)))["params"]
    d = filter_normalized(params, cases.random_like(params, 2))
    for name in ("query", "key", "value"):
        assert d[name]["kernel"].shape == (8, 2, 3)
        found, expected = (np.linalg.norm(tree[name]["kernel"], axis=0) for tree in (d, params))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not d["query"]["bias"].any()


def test_random_directions_are_normalised_and_follow_the_key():
    problem, (case,) = problems.make(("normalized", "cross_entropy", "gelu"))
    find = directions(problem, "filter_normalized", 20, 1e-3)
    (u, v), account = find(case.params, {}, problems.KEY)
    assert account == {}
    for d in (u, v):
        found, expected = (np.linalg.norm(tree["out"]["kernel"], axis=0) for tree in (d, case.params))
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert not d["out"]["bias"].any()
        assert not d["scale"].any()
    assert abs(cases.flat(u) @ cases.flat(v)) < 0.9 * np.linalg.norm(cases.flat(u)) * np.linalg.norm(cases.flat(v))
    (again, _), _ = find(case.params, {}, problems.KEY)
    (other, _), _ = find(case.params, {}, jax.random.key(4))
    np.testing.assert_array_equal(cases.flat(again), cases.flat(u))
    assert (cases.flat(other) != cases.flat(u)).any()
