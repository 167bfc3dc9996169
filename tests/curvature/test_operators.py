"""One operator over a batch, a list or a loader against dense matrices: weights, parts by name, sums, SciPy, compilations."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from nmepkg import curvature
from nmepkg.losses import cross_entropy
from tests import cases
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
ORACLES = {"H": cases.dense_hessian, "G": cases.dense_gauss_newton, "N": cases.dense_nme}
SIZES = (4, 2)  # of six examples: the second batch is smaller
each_part = pytest.mark.parametrize("part", ORACLES)


def functions(case):
    """The model and the loss as an operator takes them."""
    return lambda p, batch: case.logits_fn(p, batch[0])[0], lambda z, batch: case.loss_fn(z, batch[1])


def split(case):
    """The case's batch as two of other sizes."""
    return [jax.tree.map(lambda x: x[: SIZES[0]], case.batch), jax.tree.map(lambda x: x[SIZES[0] :], case.batch)]


def dense(case, part):
    """The matrix of the mean over all examples of two batches, from those of each."""
    parts = [ORACLES[part](case._replace(batch=batch)) for batch in split(case)]
    return sum(size * np.asarray(matrix) for size, matrix in zip(SIZES, parts, strict=True)) / sum(SIZES)


def make(case, part, data=None, **options):
    return curvature.operator(part, *functions(case), case.params, split(case) if data is None else data, **options)


def matrix(case, part, **options):
    """An operator's matrix, interpreted: NumPy computes what is traced of its products."""

    def columns(params):
        A = make(case._replace(params=params), part, **options)
        return jax.vmap(A.matvec, in_axes=1, out_axes=1)(jnp.eye(A.size))

    return interpreted(columns)(case.params)


@each_part
def test_vectors_are_pytrees_or_flat_or_columns(part):
    case = cases.shallow()
    A, expected, v = make(case, part), dense(case, part), cases.vector(case)
    assert A.shape == expected.shape
    for product in (A.matvec(v), A @ v, A(v)):
        assert_same(cases.flat(product), expected @ cases.flat(v))
    for product in (A.matvec(cases.flat(v)), A @ cases.flat(v), A(cases.flat(v))):
        assert_same(product, expected @ cases.flat(v))
    assert_same(A @ np.eye(A.size), expected)


def assert_same(found, expected, **options):
    scale = np.abs(expected).max() or 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale, **options)


@each_part
@pytest.mark.parametrize("loss", cases.LOSSES)
@pytest.mark.parametrize("model", cases.MODELS)
def test_the_whole_is_the_mean_over_examples(model, loss, part):
    """Of a list with a smaller last batch; with batch normalisation, each batch is normalised by itself."""
    case = cases.make((model, loss, "gelu"))
    assert_same(matrix(case, part), dense(case, part))


@each_part
def test_one_batch_a_list_and_a_loader_agree(part):
    case = cases.shallow()
    v, expected = cases.vector(case), np.asarray(ORACLES[part](case))
    for data in (case.batch, [case.batch], split(case), Loader(split(case))):
        assert_same(cases.flat(make(case, part, data) @ v), expected @ cases.flat(v))


class Loader:
    """What can be iterated again and again, as PyTorch's DataLoader; NumPy's arrays, and lists in place of tuples."""

    def __init__(self, batches):
        self.batches, self.passes = batches, 0

    def __iter__(self):
        self.passes += 1
        for batch in self.batches:
            yield list(map(np.asarray, batch))


def test_several_vectors_are_one_pass_over_a_loader():
    case = cases.shallow()
    loader = Loader(split(case))
    A = make(case, "H", loader)
    assert loader.passes == 2  # it is seen to be the same
    found = A @ np.eye(A.size)[:, :3]
    assert loader.passes == 3
    assert_same(found, dense(case, "H")[:, :3])


def test_the_hessian_is_the_sum_and_operators_combine():
    case = cases.shallow()
    H, G, N = (make(case, part) for part in "HGN")
    v = cases.flat(cases.vector(case))
    assert_same((H - G) @ v, N @ v)
    assert_same((G + N) @ v, H @ v)
    expected = dense(case, "H") @ v
    for factor in (2, 0.5, np.float64(2), np.asarray(2.0), jnp.asarray(2.0)):
        assert_same((factor * H) @ v, float(factor) * expected)
        assert_same((H * factor) @ v, float(factor) * expected)
    assert_same((-H) @ v, -expected)
    assert (2 * (H - G) + N).shape == H.shape
    with pytest.raises(TypeError):
        H + 1
    with pytest.raises(TypeError):
        H * v
    with pytest.raises(ValueError, match="the same parameters"):
        H + make(case, "H", only="0")


def test_types_are_those_of_the_parameters():
    case = cases.cast(cases.shallow(), "float32")
    A = make(case, "G")
    v = np.ones(A.size)
    assert A.dtype == np.float32
    assert (A @ v).dtype == np.float32
    assert A.to_scipy().dtype == np.float32
    assert make(cases.shallow(), "G").to_scipy().dtype == np.float64
    low = make(cases.cast(case, "bfloat16"), "G")
    assert (low @ v).dtype == jnp.bfloat16
    assert low.to_scipy().dtype == np.float32
    scale = np.abs(A @ v).max()
    np.testing.assert_allclose(low.to_scipy() @ v, A @ v, rtol=0, atol=0.05 * scale)


def test_a_weight_of_ones_own():
    """Of a mask: the loss is a mean over what it leaves, and a batch of which it leaves nothing has no share."""
    case = cases.shallow()
    mask = jnp.array([True, False, True, True, False, False])
    batches = [(*batch, part) for batch, part in zip(split(case), (mask[:4], mask[4:]), strict=True)]
    logits_fn, _ = functions(case)

    def loss_fn(z, batch):
        kept = batch[2].astype(z.dtype)
        each = jax.vmap(lambda z, y: cross_entropy(z[None], y[None]))(z, batch[1])
        return jnp.sum(each * kept) / jnp.sum(kept)

    A = curvature.operator("H", logits_fn, loss_fn, case.params, batches, weight=lambda batch: batch[2].sum())
    expected = ORACLES["H"](case._replace(batch=jax.tree.map(lambda x: x[np.asarray(mask)], case.batch)))
    assert_same(A @ np.eye(A.size), np.asarray(expected))


def test_parts_by_name_are_diagonal_blocks():
    case = cases.shallow()
    names = ("0/bias", "0/kernel", "1/bias", "1/kernel")
    of_entries = np.repeat(names, [np.size(leaf) for leaf in jax.tree.leaves(case.params)])
    for only, chosen in (
        ("1", ["1/bias", "1/kernel"]),
        (["0/kernel", "1/bias"], ["0/kernel", "1/bias"]),
        (lambda name: name.endswith("kernel"), ["0/kernel", "1/kernel"]),
    ):
        places = np.isin(of_entries, chosen)
        for part in ORACLES:
            assert_same(matrix(case, part, only=only), dense(case, part)[np.ix_(places, places)])
    A = make(case, "H", only="1")
    v = A.unravel(np.arange(A.size))
    assert v[0] == {"kernel": None, "bias": None}
    assert_same(A.ravel(A(v)), A @ np.arange(A.size))


def test_blocks_by_layer_take_the_program_of_the_whole():
    """Each is the dense diagonal block, and only the whole is compiled; ``only`` gives the same."""
    case = cases.shallow()
    logits_fn, loss_fn = functions(case)
    traced = []

    def counted(params, batch):
        traced.append(1)
        return logits_fn(params, batch)

    layers = curvature.layers(case.params)
    assert layers == {"0": ["0/bias", "0/kernel"], "1": ["1/bias", "1/kernel"]}
    of_entries = np.repeat(list("0011"), [np.size(leaf) for leaf in jax.tree.leaves(case.params)])
    A = curvature.operator("N", counted, loss_fn, case.params, split(case))
    _ = A @ np.eye(A.size)[:, :2]
    compiled = len(traced)
    for name, only in layers.items():
        block, expected = A.block(only), dense(case, "N")[np.ix_(of_entries == name, of_entries == name)]
        assert_same(block @ np.eye(block.size), expected)
        assert curvature.xtrace(block, products=block.size).value == pytest.approx(np.trace(expected), rel=1e-10)
    assert len(traced) == compiled
    assert jax.tree.structure(A.block("1").like) == jax.tree.structure(make(case, "N", only="1").like)
    assert_same(
        A.block(lambda name: name.endswith("kernel")).block("0") @ np.ones(12), A.block("0/kernel") @ np.ones(12)
    )


def test_scipy_finds_the_eigenvalues():
    case = cases.shallow()
    A = make(case, "H").to_scipy()
    truth = np.linalg.eigvalsh(dense(case, "H"))
    np.testing.assert_allclose(np.sort(eigsh(A, 3, which="LA", return_eigenvectors=False)), truth[-3:], rtol=1e-8)
    np.testing.assert_allclose(np.sort(eigsh(A, 2, which="SA", return_eigenvectors=False)), truth[:2], rtol=1e-8)
    assert_same(A @ np.eye(len(truth)), dense(case, "H"))
    assert isinstance(A @ np.ones(len(truth)), np.ndarray)


def test_it_compiles_once_for_each_shape_and_not_again_at_other_parameters():
    case = cases.shallow()
    model, loss_fn = functions(case)
    traced = []

    def logits_fn(params, batch):
        traced.append(batch[0].shape)
        return model(params, batch)

    batches = [*split(case), split(case)[0]]

    def product(params):
        return curvature.operator("H", logits_fn, loss_fn, params, batches) @ np.ones(A.size)

    A = curvature.operator("H", logits_fn, loss_fn, case.params, batches)
    first = product(case.params)
    once = len(traced)
    assert set(traced) == {(4, 3), (2, 3)}
    second = product(jax.tree.map(lambda p: 2 * p, case.params))
    assert len(traced) == once
    assert not np.allclose(first, second)


def test_it_may_be_part_of_a_compiled_function():
    case = cases.shallow()
    logits_fn, loss_fn = functions(case)
    v = cases.vector(case)
    expected = dense(case, "H") @ cases.flat(v)
    H = make(case, "H")
    assert_same(cases.flat(jax.jit(H.matvec)(v)), expected)
    assert_same(jax.jit(H.matvec)(jnp.asarray(cases.flat(v))), expected)
    for data in (split(case), case.batch):
        inside = jax.jit(lambda p, v, data=data: curvature.operator("H", logits_fn, loss_fn, p, data)(v))
        assert_same(cases.flat(inside(case.params, v)), (dense(case, "H") @ cases.flat(v)))


def test_an_input_of_several_parts_and_a_key():
    """A batch is any pytree: a dict of inputs, and dropout's key, which is no array of examples."""
    case = cases.shallow()
    logits_fn, loss_fn = functions(case)
    x, y = case.batch

    def logits_of(params, batch):
        kept = jax.random.bernoulli(batch["key"], 0.5, batch["x"].shape)
        return logits_fn(params, (jnp.where(kept, batch["x"], 0.0), None))

    for key in (jax.random.key(1), jax.random.key(2)):
        batch = {"x": x, "y": y, "key": key}
        A = curvature.operator("H", logits_of, lambda z, b: loss_fn(z, (None, b["y"])), case.params, Again([batch]))
        dropped = jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x, 0.0)
        assert_same(A @ np.eye(A.size), np.asarray(ORACLES["H"](case._replace(batch=(dropped, y)))))


class Again(Loader):
    """A loader whose batches are as they are."""

    def __iter__(self):
        return iter(self.batches)


def test_what_makes_no_sense_is_refused():
    case = cases.shallow()
    with pytest.raises(ValueError, match="H, G, N, not 'F'"):
        make(case, "F")
    with pytest.raises(ValueError, match="no parameter is called 'Dense_0'; there are 0/bias, 0/kernel"):
        make(case, "H", only=["Dense_0"])
    with pytest.raises(ValueError, match="chooses none"):
        make(case, "H", only=lambda name: False)
    A = make(case, "H")
    for wrong in (np.ones(A.size + 1), case.params[:1], 3.0):
        with pytest.raises(ValueError, match=f"of {A.size} numbers, or like its parameters"):
            A @ wrong
    with pytest.raises(ValueError, match=f"has {A.size} rows"):
        A @ np.ones((3, 2))
    with pytest.raises(ValueError, match="not \\(3,\\)"):
        A.unravel(np.ones(3))


def test_lineax_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "lineax", None)
    with pytest.raises(ModuleNotFoundError, match=r"lineax is not installed; run: .*nmepkg\[lineax\]"):
        make(cases.shallow(), "H").as_lineax()
