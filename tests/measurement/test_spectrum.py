"""Eigenvalues and densities of H, G and N against dense eigendecompositions."""

from __future__ import annotations

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.measurement.spectrum import spectrum
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")


def test_eigenvalues_are_the_dense_ones():
    name = ("mlp", "cross_entropy", "gelu")
    problem, batch_cases = problems.make(name, 2)
    result = spectrum(problem, steps=1000, samples=1, top=6)(batch_cases[0].params, {}, problems.KEY)
    for part in "HGN":
        truth = np.linalg.eigvalsh(problems.dense(part, name, 2))
        np.testing.assert_allclose(result[f"smallest_eigenvalues_{part}"], truth[:6], atol=1e-9)
        np.testing.assert_allclose(result[f"largest_eigenvalues_{part}"], truth[:-7:-1], atol=1e-9)
        assert result[f"largest_eigenvalue_{part}"] == result[f"largest_eigenvalues_{part}"][0]
        assert result[f"smallest_eigenvalue_{part}"] == result[f"smallest_eigenvalues_{part}"][0]
        for end in ("largest", "smallest"):
            np.testing.assert_allclose(result[f"{end}_bounds_{part}"], 0, atol=1e-9)


def test_densities_average_to_the_moments_of_the_matrix():
    name = ("normalized", "mse", "gelu")
    problem, batch_cases = problems.make(name, 2)
    result = spectrum(problem, steps=3, samples=100, top=1)(batch_cases[0].params, {}, problems.KEY)
    for part in "HGN":
        matrix = problems.dense(part, name, 2)
        values, weights = (np.array(result[f"density_{part}"][what]) for what in ("values", "weights"))
        assert values.shape == weights.shape == (100, 3)
        for power in (1, 2, 3):
            moments = np.sum(weights * values**power, axis=1)
            truth = np.trace(np.linalg.matrix_power(matrix, power)) / len(matrix)
            assert abs(moments.mean() - truth) < 4 * moments.std(ddof=1) / np.sqrt(100)


def test_a_linear_model_has_no_nme():
    problem, (case,) = problems.make(("linear", "cross_entropy", "relu"))
    result = spectrum(problem, steps=8, samples=2, top=3)(case.params, {}, problems.KEY)
    assert result["largest_eigenvalues_N"] == result["smallest_eigenvalues_N"] == [0.0] * 3
    assert result["density_N"] == {"values": [[0.0]] * 2, "weights": [[1.0]] * 2}
    assert result["largest_eigenvalue_H"] == pytest.approx(result["largest_eigenvalue_G"], rel=1e-12)


def test_fewer_steps_than_eigenvalues_wanted_and_a_diverged_model():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    measure = spectrum(problem, steps=2, samples=1, top=5)
    result = measure(case.params, {}, problems.KEY)
    assert result["largest_eigenvalues_H"] == result["smallest_eigenvalues_H"][::-1]
    assert len(result["largest_eigenvalues_H"]) == len(result["largest_bounds_H"]) == 2

    result = measure(jax.tree.map(lambda x: x * np.nan, case.params), {}, problems.KEY)
    assert np.isnan([result[f"{end}_eigenvalue_{part}"] for end in ("largest", "smallest") for part in "HGN"]).all()


def peak(batches, monkeypatch):
    """Bytes that a measurement holds at once, the data aside: arrays that live when it calls a program, and what that needs."""
    jit, seen, known = jax.jit, [], {}

    def recording(function, **options):
        program = jit(function, **options)

        def call(*args):
            key = (function, *(leaf if isinstance(leaf, str) else jnp.shape(leaf) for leaf in jax.tree.leaves(args)))
            if key not in known:
                memory = program.lower(*args).compile().memory_analysis()
                known[key] = memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
            seen.append(known[key] + sum(x.nbytes for x in jax.live_arrays()))
            return program(*args)

        return call

    problem, batch_cases = problems.make(("mlp", "cross_entropy", "gelu"), batches)
    many = [(jnp.tile(x, (50, 1)), jnp.tile(y, 50)) for x, y in problem.batches]  # so that the data are no small part
    problem = problem._replace(batches=tuple(many))
    with monkeypatch.context() as patch:
        patch.setattr(jax, "jit", recording)
        measure = spectrum(problem, steps=6, samples=2, top=1)
        gc.collect()
        before = sum(x.nbytes for x in jax.live_arrays())
        measure(batch_cases[0].params, {}, problems.KEY)
    assert len(seen) > 3 * 2 * 6 * batches  # a program for each batch, step, start and matrix
    return max(seen) - before


def test_memory_does_not_grow_with_the_number_of_batches(monkeypatch):
    assert peak(8, monkeypatch) <= 1.01 * peak(1, monkeypatch)
