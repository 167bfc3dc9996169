"""Norms and cosines of the terms of PSAM's step against dense matrices."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nmepkg.measurement.alignment import alignment
from tests import cases
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")


def ablated(case):
    """The case's own network with φ'' := 0: for these two by hand, as the tables of cases have it."""
    name = next(name for name in NAMES if cases.make(name).logits_fn is case.logits_fn)
    return cases.make((*name[:2], "gelu_ablated"))._replace(batch=case.batch) if name[2] == "gelu" else case


def expected(case, matrices):
    g = cases.gradient(case)
    result = {"gradient_norm": np.linalg.norm(g)}
    unit = g / np.linalg.norm(g)
    products = {part: matrix @ unit for part, matrix in matrices.items()}
    products["N_rest"] = cases.dense_nme(ablated(case)) @ unit
    products["N_activation"] = products["N"] - products["N_rest"]
    for part, product in products.items():
        result[f"norm_{part}"] = np.linalg.norm(product)
        length = np.linalg.norm(product) * np.linalg.norm(g)
        result[f"cosine_{part}"] = product @ g / length if length else 0.0  # ReLU has no φ'' at all
    return result


NAMES = [("mlp", "cross_entropy", "relu"), ("normalized", "mse", "gelu"), ("mlp", "cross_entropy", "gelu")]


@pytest.mark.parametrize("name", NAMES, ids="-".join)
def test_values_of_one_batch(name):
    problem, (case,) = problems.make(name)
    result = alignment(problem)(case.params, {}, problems.KEY)
    matrices = {part: problems.dense(part, name) for part in "HGN"}
    assert result == pytest.approx(expected(case, matrices), rel=1e-9, abs=1e-12)
    assert all(type(value) is float for value in result.values())


def test_means_over_batches_with_their_errors():
    problem, batch_cases = problems.make(("mlp", "cross_entropy", "gelu"), batches=3)
    result = alignment(problem)(batch_cases[0].params, {}, problems.KEY)
    rows = [expected(case, {part: oracle(case) for part, oracle in problems.ORACLES.items()}) for case in batch_cases]
    assert len(result) == 2 * len(rows[0]) == 2 * 11
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        assert result[name] == pytest.approx(values.mean(), rel=1e-9)
        assert result[f"{name}_se"] == pytest.approx(values.std(ddof=1) / np.sqrt(3), rel=1e-6)


def test_angles_that_are_not_defined_are_zero():
    problem, (case,) = problems.make(("linear", "cross_entropy", "relu"))
    result = alignment(problem)(case.params, {}, problems.KEY)
    assert result["norm_N"] == result["cosine_N"] == result["norm_N_rest"] == result["norm_N_activation"] == 0
    assert result["norm_G"] == result["norm_H"] > 0

    problem, (case,) = problems.make(("mlp", "mse", "relu"))
    perfect = problem._replace(batches=((problem.batches[0][0], case.logits(case.params)),))  # every residual is 0
    assert set(alignment(perfect)(case.params, {}, problems.KEY).values()) == {0.0}


def test_a_diverged_model_has_values_that_are_not_numbers():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    params = jax.tree.map(lambda x: x * np.nan, case.params)
    assert np.isnan(list(alignment(problem)(params, {}, problems.KEY).values())).all()


def test_batches_that_a_step_takes_together_have_one_gradient():
    """Groups that BatchNorm normalises by themselves: g, H, G and N are means over them, and norms are of the means."""
    name = ("mlp", "cross_entropy", "gelu")
    problem, batch_cases = problems.make(name, batches=2)
    result = alignment(problem._replace(together=2))(batch_cases[0].params, {}, problems.KEY)
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    assert result["gradient_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-9)
    for part in "HGN":
        product = problems.dense(part, name, 2) @ g / np.linalg.norm(g)
        assert result[f"norm_{part}"] == pytest.approx(np.linalg.norm(product), rel=1e-9)
        cosine = product @ g / np.linalg.norm(product) / np.linalg.norm(g)
        assert result[f"cosine_{part}"] == pytest.approx(cosine, rel=1e-9)
    assert not any(key.endswith("_se") for key in result)
