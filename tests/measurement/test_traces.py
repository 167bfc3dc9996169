"""Traces against the dense matrices, within their own standard errors, which are those that theory gives."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nmepkg.measurement.traces import traces
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")
SAMPLES = 600


def measured(name, batches=1, samples=SAMPLES, probe="rademacher"):
    problem, batch_cases = problems.make(name, batches)
    return traces(problem, samples=samples, probe=probe)(batch_cases[0].params, {}, problems.KEY), batch_cases


@pytest.mark.parametrize("probe", ["gaussian", "rademacher"])
def test_traces_and_their_errors(probe):
    name = ("mlp", "cross_entropy", "gelu")
    result, batch_cases = measured(name, batches=2, probe=probe)
    blocks = problems.slices(batch_cases[0].params)
    assert set(result["layers"]) == set(blocks)
    for part in "HGN":
        matrix = problems.dense(part, name, 2)
        for values, entries in [(result, range(len(matrix))), *((result["layers"][n], e) for n, e in blocks.items())]:
            block, rows = matrix[np.ix_(entries, entries)], matrix[entries]
            error = values[f"tr_{part}_se"]
            assert abs(values[f"tr_{part}"] - np.trace(block)) < 4 * error
            # v_lᵀ(A v)_l = vᵀ S v with S the symmetric part of the block's rows, alone in their matrix.
            symmetric = np.zeros_like(matrix)
            symmetric[entries] += rows / 2
            symmetric[:, entries] += rows.T / 2
            variance = 2 * np.sum(symmetric**2)
            if probe == "rademacher":
                variance -= 2 * np.sum(np.diag(symmetric) ** 2)
            assert values[f"tr_{part}_variance"] == pytest.approx(variance, rel=0.3)
            assert error == pytest.approx(np.sqrt(values[f"tr_{part}_variance"] / SAMPLES))


def test_hessian_is_the_sum_of_its_parts_and_the_whole_that_of_the_layers():
    result, _ = measured(("normalized", "mse", "gelu"), samples=3)
    assert result["tr_H"] == pytest.approx(result["tr_G"] + result["tr_N"], rel=1e-12)
    for part in "HGN":
        total = sum(layer[f"tr_{part}"] for layer in result["layers"].values())
        assert total == pytest.approx(result[f"tr_{part}"], rel=1e-12)


def test_relu_without_normalisation_has_no_trace_of_the_nme_though_its_estimates_vary():
    result, _ = measured(("mlp", "cross_entropy", "relu"))
    assert abs(result["tr_N"]) < 4 * result["tr_N_se"]
    assert result["tr_N_variance"] > 1e-3
    assert abs(result["tr_H"] - result["tr_G"]) < 4 * result["tr_N_se"]


def test_a_linear_model_has_no_nme():
    result, _ = measured(("linear", "cross_entropy", "relu"), samples=3)
    for values in (result, *result["layers"].values()):
        assert values["tr_N"] == values["tr_N_se"] == values["tr_N_variance"] == 0
        assert values["tr_H"] == values["tr_G"] > 0


def test_probes_are_the_keys():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    measure = traces(problem, samples=2, probe="gaussian")
    first = measure(case.params, {}, problems.KEY)
    assert measure(case.params, {}, problems.KEY) == first
    assert measure(case.params, {}, jax.random.key(4)) != first


def test_a_diverged_model_has_traces_that_are_not_numbers():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    params = jax.tree.map(lambda x: x * np.nan, case.params)
    assert np.isnan(traces(problem, samples=2, probe="gaussian")(params, {}, problems.KEY)["tr_H"])
