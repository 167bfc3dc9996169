"""Runs that are told how far they are, and those that go on after they were stopped, to the same bits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from nmepkg import curvature
from nmepkg.errors import UserError
from tests.curvature import dense

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
MATRIX = dense.low_rank(30, 12)
RUNS = {
    "eigenpairs": lambda A: curvature.eigenpairs(A, top=2, bottom=1, steps=6),
    "density": lambda A: curvature.density(A, steps=4, samples=3),
    "trace": lambda A: curvature.trace(A, max_samples=35),
    "hutchpp": lambda A: curvature.hutchpp(A, products=9),
    "xtrace": lambda A: curvature.xtrace(A, products=8),
    "xdiag": lambda A: curvature.xdiag(A, products=8),
    "SciPy": lambda A: eigsh(A.to_scipy(), 2, v0=np.ones(30)),
}


class Stopped(Exception):  # noqa: N818 - a kill, and no error
    pass


def counted(matrix=MATRIX, stop_after=None):
    """An operator, and the list of its passes, the last of which is a kill."""
    whole, passes = dense.operator(matrix), []

    def products(vectors):
        if len(passes) == stop_after:
            raise Stopped
        passes.append(len(vectors))
        return whole.products(vectors)

    return curvature.Operator(whole.like, products), passes


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_to_the_same_bits(name, tmp_path):
    run = RUNS[name]
    plain, passes = counted()
    expected = run(plain)
    stopped, before = counted(stop_after=1 + len(passes) // 2)  # the first is for the mark
    with pytest.raises(Stopped):
        run(curvature.resumable(stopped, tmp_path / "kept"))
    again, after = counted()
    found = run(curvature.resumable(again, tmp_path / "kept"))
    assert len(before) - 1 + len(after) - 1 == len(passes)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    third, computed = counted()
    run(curvature.resumable(third, tmp_path / "kept"))
    assert computed == [1]


@pytest.mark.parametrize("name", RUNS)
def test_progress_counts_every_product(name):
    plain, passes = counted()
    told = []
    found = RUNS[name](curvature.watched(plain, told.append))
    assert told == passes
    assert getattr(found, "products", sum(told)) == sum(told)


def test_more_samples_go_on_from_those_that_are_kept(tmp_path):
    first, _ = counted()
    curvature.trace(curvature.resumable(first, tmp_path), max_samples=20)
    more, passes = counted()
    found = curvature.trace(curvature.resumable(more, tmp_path), max_samples=40)
    assert passes == [1, 10, 10]
    assert found == curvature.trace(dense.operator(MATRIX), max_samples=40)


def test_what_is_damaged_or_of_another_operator_is_refused(tmp_path):
    def run(matrix, **options):
        return curvature.xtrace(curvature.resumable(counted(matrix)[0], tmp_path), **options)

    run(MATRIX, products=8)
    for other in (2 * MATRIX, MATRIX + 1e-10 * np.eye(30), -MATRIX, 0 * MATRIX):
        with pytest.raises(UserError, match=r"products of another operator.*: give each a folder of its own"):
            run(other, products=8)
    run(2 * MATRIX, products=10)  # other vectors, of which nothing is kept
    with pytest.raises(FloatingPointError, match="not finite"):
        run(np.nan * MATRIX, products=8)
    for file in tmp_path.iterdir():
        whole = file.read_bytes()
        for content in (whole[: len(whole) // 2], b"", whole.replace(whole[200:208], b"\x00" * 8)):
            file.write_bytes(content)
            with pytest.raises(UserError, match=r"\.npz: damaged \(.*\); delete it, and its products are computed"):
                _ = run(MATRIX, products=8), run(2 * MATRIX, products=10)
        file.unlink()
    run(MATRIX, products=8)


def test_parameters_of_half_precision_and_of_several_types(tmp_path):
    for number, types in enumerate((("bfloat16", "bfloat16"), ("float32", "bfloat16"))):
        like = {name: jnp.ones(3, dtype) for name, dtype in zip("ab", types, strict=True)}
        A = curvature.Operator(like, lambda vectors: [jax.tree.map(lambda x: x / 3, v) for v in vectors])
        for _ in range(2):
            with jax.numpy_dtype_promotion("standard"):  # a flat vector of several types is of the widest
                found = curvature.resumable(A, tmp_path / str(number))(like)
            jax.tree.map(np.testing.assert_array_equal, found, A(like))
            assert jax.tree.map(lambda x: x.dtype.name, found) == dict(zip("ab", types, strict=True))
