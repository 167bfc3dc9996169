"""The norm of N and its shares by place against the dense matrix."""

from __future__ import annotations

import numpy as np
import pytest

from nmepkg.errors import UserError
from nmepkg.measurement.nme_blocks import nme_blocks
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")
SHARES = ("share_diagonal", "share_within_layers", "share_between_layers")


@pytest.mark.parametrize("name", [("mlp", "cross_entropy", "gelu"), ("normalized", "mse", "gelu")], ids="-".join)
@pytest.mark.parametrize(("batches", "chunk"), [(1, 7), (2, 1000)])
def test_shares(name, batches, chunk):
    problem, batch_cases = problems.make(name, batches)
    result = nme_blocks(problem, max_parameters=1000, chunk=chunk)(batch_cases[0].params, {}, problems.KEY)
    matrix = problems.dense("N", name, batches)
    blocks = [matrix[np.ix_(e, e)] for e in problems.slices(batch_cases[0].params).values()]
    total, inside = np.sum(matrix**2), sum(np.sum(block**2) for block in blocks)
    diagonal = np.sum(np.diag(matrix) ** 2)
    assert result["norm_N"] == pytest.approx(np.linalg.norm(matrix), rel=1e-9)
    expected = [diagonal / total, (inside - diagonal) / total, (total - inside) / total]
    assert [result[share] for share in SHARES] == pytest.approx(expected, rel=1e-9)
    assert sum(result[share] for share in SHARES) == pytest.approx(1)


def test_relu_without_normalisation_has_its_nme_between_layers():
    """Every entry of N within a layer needs φ''."""
    problem, (case,) = problems.make(("mlp", "cross_entropy", "relu"))
    result = nme_blocks(problem, max_parameters=1000, chunk=16)(case.params, {}, problems.KEY)
    assert result["norm_N"] > 1e-2
    assert [result[share] for share in SHARES] == pytest.approx([0, 0, 1], abs=1e-20)


def test_a_linear_model_has_no_shares():
    problem, (case,) = problems.make(("linear", "mse", "relu"))
    result = nme_blocks(problem, max_parameters=1000, chunk=16)(case.params, {}, problems.KEY)
    assert set(result.values()) == {0.0}


def test_a_large_model_is_refused():
    problem, (case,) = problems.make(("linear", "mse", "relu"))
    measure = nme_blocks(problem, max_parameters=11, chunk=16)
    with pytest.raises(UserError, match="12 parameters and the option max_parameters is 11"):
        measure(case.params, {}, problems.KEY)
