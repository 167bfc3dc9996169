"""Every number that is measured against curvlinops' matrices of the same network in PyTorch, in double precision."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import curvature
from nmepkg.curvature import matrices, probes
from nmepkg.curvature.krylov import lanczos, ritz
from nmepkg.measurement.alignment import alignment
from nmepkg.measurement.edge_of_stability import edge_of_stability
from nmepkg.measurement.nme_blocks import nme_blocks
from nmepkg.measurement.overlaps import overlaps
from nmepkg.measurement.second_derivative import _GRID, second_derivative
from nmepkg.measurement.spectrum import spectrum
from nmepkg.measurement.traces import traces

torch = pytest.importorskip("torch")
pytest.importorskip("curvlinops")

from curvlinops.papyan2020traces.spectrum import fast_lanczos  # noqa: E402
from scipy.sparse.linalg import eigsh  # noqa: E402

from tests.peers import curvature_peer as peer  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("x64")]
each_case = pytest.mark.parametrize("name", peer.CASES, ids="-".join)
KEY = jax.random.key(5)
PRODUCTS = {"H": "hvp", "G": "gnvp", "N": "nmevp"}


def assert_close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    """Relative to the largest number expected."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-3)


def product(pair: peer.Pair, part: str) -> Any:
    """v ↦ A v of the mean over batches, of one compiled program, as our own functions have it."""
    one = getattr(curvature, PRODUCTS[part])

    @jax.jit
    def matvec(v: Any) -> Any:
        rows = [
            one(
                lambda p, x=x: pair.problem.logits_fn(p, pair.context, x),
                lambda z, y=y: pair.problem.loss_fn(z, y),
                pair.params,
                v,
            )
            for x, y in pair.problem.batches
        ]
        return jax.tree.map(lambda *rows: sum(rows) / len(rows), *rows)

    return matvec


@each_case
def test_the_pair_computes_the_same(name: Any) -> None:
    """Logits and gradient, before anything is said of curvature."""
    pair = peer.make(name)
    for (x, y), (inputs, targets) in zip(pair.problem.batches, pair.batches, strict=True):
        logits, theirs = pair.problem.logits_fn(pair.params, pair.context, x), pair.model(inputs).detach()
        assert_close(logits, theirs.numpy())
        expected = pair.factor * float(pair.criterion(theirs, targets))
        assert float(pair.problem.loss_fn(logits, y)) == pytest.approx(expected, rel=1e-12)
    gradients = [pair.problem.linearize(pair.params, pair.context, batch).gradient for batch in pair.problem.batches]
    assert_close(np.mean([ravel_pytree(g)[0] for g in gradients], axis=0), pair.gradient())


@each_case
def test_products_and_dense_matrices(name: Any) -> None:
    pair, truth = peer.make(name), peer.matrices(name)
    v = np.random.default_rng(1).normal(size=len(pair.order))
    for part in "HGN":
        matvec = product(pair, part)
        assert_close(ravel_pytree(matvec(pair.unravel(v)))[0], truth[part] @ v)
        assert_close(matrices.dense(matvec, pair.params), truth[part])
        norm = jax.jit(lambda params, matvec=matvec: matrices.frobenius_norm(matvec, params))(pair.params)
        assert float(norm) == pytest.approx(np.linalg.norm(truth[part]), rel=1e-10)
    on_the_way = pair.factor * (pair.operator("H") @ torch.tensor(v[np.argsort(pair.order)])).numpy()[pair.order]
    assert_close(truth["H"] @ v, on_the_way)  # the permutation is one of vectors as of matrices


@each_case
@pytest.mark.parametrize("probe", ["gaussian", "rademacher"])
def test_traces(name: Any, probe: str) -> None:
    """Estimates from the same probes to rounding, and the exact traces within their standard errors."""
    samples = 100
    pair, truth = peer.make(name), peer.matrices(name)
    result = traces(pair.problem, samples=samples, probe=probe)(pair.params, pair.context, KEY)
    drawn = [probes.draw(jax.random.fold_in(KEY, sample), pair.params, probe) for sample in range(samples)]
    vectors = np.stack([ravel_pytree(v)[0] for v in drawn])
    places = layer_places(pair)
    assert set(result["layers"]) == set(places)
    for part, matrix in truth.items():
        forms = vectors * (vectors @ matrix)
        everywhere = np.arange(len(matrix))
        for found, entries in [(result, everywhere), *((result["layers"][layer], places[layer]) for layer in places)]:
            values = forms[:, entries].sum(axis=1)
            scale = max(np.abs(values).max(), 1e-3)
            error = values.std(ddof=1) / np.sqrt(samples)
            assert found[f"tr_{part}"] == pytest.approx(values.mean(), abs=1e-10 * scale)
            assert found[f"tr_{part}_se"] == pytest.approx(error, abs=1e-10 * scale)
            assert found[f"tr_{part}_variance"] == pytest.approx(values.var(ddof=1), abs=1e-9 * scale**2)
            assert abs(found[f"tr_{part}"] - matrix[entries, entries].sum()) <= 4.5 * error + 1e-10 * scale


def layer_places(pair: peer.Pair) -> dict[str, np.ndarray]:
    """Layer -> its entries in our flat vector, from PyTorch's modules."""
    modules = {
        id(tensor): name
        for name, layer in peer.torch_models.layers(pair.model).items()
        for tensor in layer.parameters()
    }
    names = np.concatenate([[modules[id(tensor)]] * tensor.numel() for tensor in pair.model.parameters()])[pair.order]
    return {name: np.flatnonzero(names == name) for name in np.unique(names)}


@each_case
def test_eigenvalues(name: Any) -> None:
    """All of them against LAPACK's of the dense matrices, and the largest against ARPACK's on curvlinops' operators."""
    pair, truth = peer.make(name), peer.matrices(name)
    result = spectrum(pair.problem, steps=len(pair.order), samples=1, top=5)(pair.params, pair.context, KEY)
    for part, matrix in truth.items():
        expected = np.linalg.eigvalsh(matrix)
        assert_close(result[f"largest_eigenvalues_{part}"], expected[:-6:-1])
        assert_close(result[f"smallest_eigenvalues_{part}"], expected[:5])
        if part in peer.OPERATORS:
            top = eigsh(pair.operator(part).to_scipy(), 1, which="LA", return_eigenvectors=False)
            assert_close(result[f"largest_eigenvalue_{part}"], pair.factor * top[0], tolerance=1e-9)


@each_case
def test_spectral_densities(name: Any) -> None:
    """Σ w θᵏ is qᵀAᵏq with curvlinops' A and the start vectors of the measurement, for k < 2 · steps."""
    pair, truth = peer.make(name), peer.matrices(name)
    result = spectrum(pair.problem, steps=4, samples=3, top=1)(pair.params, pair.context, KEY)
    starts = [probes.draw(jax.random.fold_in(KEY, sample), pair.params, "gaussian") for sample in range(3)]
    for part, matrix in truth.items():
        scaled = matrix / np.linalg.norm(matrix, 2)
        for sample, start in enumerate(starts):
            q = np.asarray(ravel_pytree(start)[0])
            q = q / np.linalg.norm(q)
            values = np.array(result[f"density_{part}"]["values"][sample]) / np.linalg.norm(matrix, 2)
            weights = np.array(result[f"density_{part}"]["weights"][sample])
            for power in range(8):
                moment = q @ np.linalg.matrix_power(scaled, power) @ q
                assert weights @ values**power == pytest.approx(moment, abs=1e-10)


@pytest.mark.parametrize("part", ["H", "G"])
def test_lanczos(part: str) -> None:
    """Nodes and weights of the quadrature against curvlinops' own Lanczos method, from the same start vector."""
    pair = peer.make(("cnn", "cross_entropy", "gelu"))
    operator = pair.operator(part)  # which draws numbers too
    torch.manual_seed(3)
    values, vectors = fast_lanczos(operator, 6)
    torch.manual_seed(3)
    start = torch.randn(len(pair.order), dtype=torch.float64).numpy()[pair.order]
    found = ritz(lanczos(product(pair, part), pair.unravel(start), 6))
    assert_close(found.values, pair.factor * values.numpy())
    assert_close(found.weights, vectors[0].numpy() ** 2, tolerance=1e-9)


@each_case
@pytest.mark.parametrize("together", [1, peer.BATCHES])
def test_alignment(name: Any, together: int) -> None:
    pair = peer.make(name)
    result = alignment(pair.problem._replace(together=together))(pair.params, pair.context, KEY)
    rows = []
    for first in range(0, peer.BATCHES, together):
        batches = slice(first, first + together)
        g = pair.gradient(batches)
        row = {"gradient_norm": np.linalg.norm(g)}
        for part in "HGN":
            along = pair.matrix(part, batches) @ g / np.linalg.norm(g)
            row[f"norm_{part}"] = np.linalg.norm(along)
            row[f"cosine_{part}"] = along @ g / np.linalg.norm(along) / np.linalg.norm(g)
        rows.append(row)
    expected = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
    if together == 1:
        expected |= {f"{key}_se": np.std([row[key] for row in rows], ddof=1) / np.sqrt(len(rows)) for key in rows[0]}
    assert {key: result[key] for key in expected} == pytest.approx(expected, rel=1e-9, abs=1e-11)


@each_case
def test_nme_blocks(name: Any) -> None:
    pair, truth = peer.make(name), peer.matrices(name)["N"]
    result = nme_blocks(pair.problem, max_parameters=10_000, chunk=16)(pair.params, pair.context, KEY)
    layer = np.empty(len(truth), int)
    for number, entries in enumerate(layer_places(pair).values()):
        layer[entries] = number
    total, diagonal = np.sum(truth**2), np.sum(np.diag(truth) ** 2)
    same = np.sum(truth[layer[:, None] == layer] ** 2)
    expected = {
        "norm_N": np.sqrt(total),
        "share_diagonal": diagonal / total,
        "share_within_layers": (same - diagonal) / total,
        "share_between_layers": 1 - same / total,
    }
    assert result == pytest.approx(expected, rel=1e-9, abs=1e-11)


@each_case
@pytest.mark.parametrize("relative", [False, True])
def test_second_derivative(name: Any, relative: bool) -> None:
    """φ'' of PyTorch's activation, by autograd twice, where its modules see their inputs."""
    threshold = 0.3
    pair = peer.make(name)
    kind = peer.ACTIVATIONS[name[2]][1]
    result = second_derivative(pair.problem, threshold=threshold, relative=relative)(pair.params, pair.context, KEY)

    def curvature_of(x: Any) -> np.ndarray:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(kind()(x).sum(), x, create_graph=True)
        if not slope.requires_grad:
            return np.zeros(x.shape)
        return torch.autograd.grad(slope.sum(), x)[0].abs().numpy()

    sup = curvature_of(torch.tensor(_GRID)).max()
    bound = threshold * sup if relative else threshold
    seen = [curvature_of(x) for x in pair.preactivations(kind)]
    assert result["sup"] == pytest.approx(sup, rel=1e-10)
    assert result["count"] == sum(x.size for x in seen)
    assert result["fraction_above"] == np.concatenate([x.ravel() > bound for x in seen]).mean()
    assert result["fraction_zero"] == np.concatenate([x.ravel() == 0 for x in seen]).mean()
    for found, x in zip(result["layers"], seen, strict=True):
        assert found == {"fraction_above": (x > bound).mean(), "fraction_zero": (x == 0).mean(), "count": x.size}


@each_case
def test_overlaps_and_the_edge(name: Any) -> None:
    """Eigenvectors of LAPACK, of the dense matrices, and the gradient that PyTorch's backward pass gives."""
    pair, truth = peer.make(name), peer.matrices(name)
    result = overlaps(pair.problem, top=3, steps=len(pair.order), rho=0.1)(pair.params, pair.context, KEY)
    g = pair.gradient()
    vectors = {"g": g, "H": truth["H"] @ g, "N": truth["N"] @ g}
    for part in "HG":
        values, basis = np.linalg.eigh(truth[part])
        assert_close(result[f"eigenvalues_{part}"], values[:-4:-1])
        for vector, x in vectors.items():
            length = np.linalg.norm(x)
            expected = np.sum((basis[:, -3:].T @ x) ** 2) / length**2 if length > 1e-12 else 0.0
            assert result[f"overlap_{vector}_{part}"] == pytest.approx(expected, abs=1e-8)
    context = {**pair.context, "step": 0, "memory": {}}
    found = edge_of_stability(pair.problem, steps=20, tolerance=1e-6)(pair.params, context, KEY)
    assert found["sharpness"] == pytest.approx(np.linalg.eigvalsh(truth["H"])[-1], rel=1e-9)


def test_batches_of_a_mean() -> None:
    """curvlinops' mean over all examples is our mean over batches of means, as batches are of equal size."""
    pair = peer.make(("mlp", "cross_entropy", "tanh"))
    for part in "HGN":
        each = [pair.matrix(part, slice(i, i + 1)) for i in range(peer.BATCHES)]
        assert_close(np.mean(each, axis=0), pair.matrix(part))
    x = jnp.concatenate([x for x, _ in pair.problem.batches])
    y = jnp.concatenate([y for _, y in pair.problem.batches])
    whole = pair._replace(problem=pair.problem._replace(batches=((x, y),)))
    assert_close(matrices.dense(product(whole, "H"), pair.params), pair.matrix("H"))
