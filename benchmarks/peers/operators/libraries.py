"""Operators by other libraries, each called as its documentation says: library -> task -> (point, draw) -> what it gives.

Eigenpairs are (values, rows of vectors), a density (values, weights) of all its quadratures, products rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from curvlinops import HessianLinearOperator, hutchinson_trace, hutchpp_trace, xdiag, xtrace
from curvlinops.papyan2020traces.spectrum import fast_lanczos
from hessian_eigenthings import (
    HessianOperator,
    hutch_plus_plus,
    hutchinson,
    lanczos,
    spectral_density,
    supervised_loss,
)
from pyhessian import hessian
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from benchmarks.peers.cases import CURVLINOPS, EIGENTHINGS, PYHESSIAN, PYTORCH
from benchmarks.peers.libraries import CRITERION
from benchmarks.peers.operators import tasks


class Point(NamedTuple):
    """Where it is taken: of the first batch, or of all; and the vectors (V, P)."""

    model: nn.Module
    data: list[tuple[Tensor, Tensor]]
    vectors: Tensor


Task = Callable[[Point, int], Any]


def _linops(at: Point, data: list[Any] | None = None) -> Any:
    params = list(at.model.parameters())
    return HessianLinearOperator(at.model, CRITERION, params, data or at.data[:1], check_deterministic=False)


def _seeded(task: Task) -> Task:
    def seeded(at: Point, draw: int) -> Any:
        torch.manual_seed(draw)
        return task(at, draw)

    return seeded


def _linops_eigenpairs(at: Point, draw: int) -> Any:
    values, vectors = eigsh(_linops(at).to_scipy(), k=tasks.PAIRS, which="LA", tol=tasks.TOLERANCE)
    return values[::-1], vectors.T[::-1]


def _linops_density(at: Point, draw: int) -> Any:
    A = _linops(at)
    found = [fast_lanczos(A, tasks.STEPS) for _ in range(tasks.STARTS)]
    return torch.cat([values for values, _ in found]), torch.cat([vectors[0] ** 2 for _, vectors in found])


def _pyhessian(at: Point, whole: bool = False) -> Any:
    at.model.zero_grad()  # its constructor adds to gradients
    data = {"dataloader": at.data} if whole else {"data": at.data[0]}
    return hessian(at.model, CRITERION, cuda=False, **data)


def _pyhessian_eigenpairs(at: Point, draw: int) -> Any:
    values, vectors = _pyhessian(at).eigenvalues(maxIter=tasks.ITERATIONS, tol=tasks.TOLERANCE, top_n=tasks.PAIRS)
    return torch.tensor(values), torch.stack([_flat(v) for v in vectors])


def _pyhessian_density(at: Point, draw: int) -> Any:
    values, weights = _pyhessian(at).density(iter=tasks.STEPS, n_v=tasks.STARTS)
    return torch.tensor(values).flatten(), torch.tensor(weights).flatten()


def _pyhessian_trace(at: Point, draw: int) -> float:
    values = _pyhessian(at).trace(maxIter=tasks.PRODUCTS, tol=-math.inf)  # of all probes
    return sum(values) / len(values)


def _pyhessian_products(at: Point, count: int) -> Tensor:
    found = _pyhessian(at, whole=True)
    sizes = [p.numel() for p in found.params]
    rows = []
    for vector in at.vectors[:count]:
        parts = [part.view_as(p) for part, p in zip(vector.split(sizes), found.params, strict=True)]
        rows.append(_flat(found.dataloader_hv_product(parts)[1]))
    return torch.stack(rows)


def _eigenthings(at: Point, data: list[Any] | None = None) -> HessianOperator:
    return HessianOperator(at.model, data or at.data[:1], supervised_loss(CRITERION))


def _eigenthings_eigenpairs(at: Point, draw: int) -> Any:
    found = lanczos(
        _eigenthings(at), k=tasks.PAIRS, max_iter=tasks.ITERATIONS, reorthogonalize=True, which="LA", seed=draw
    )
    return found.eigenvalues, found.eigenvectors


def _eigenthings_density(at: Point, draw: int) -> Any:
    found = spectral_density(_eigenthings(at), num_runs=tasks.STARTS, lanczos_steps=tasks.STEPS, seed=draw)
    return torch.cat(list(found.raw_eigenvalues)), torch.cat(list(found.raw_weights))


def plane(at: Point, u: Tensor, v: Tensor) -> Tensor:
    """(b, a) the mean loss at θ + a u + b v, as people write it."""
    params, grid = list(at.model.parameters()), torch.linspace(-1, 1, tasks.POINTS).tolist()
    begun = [p.detach().clone() for p in params]
    sizes = [p.numel() for p in params]
    found = torch.empty(len(grid), len(grid), dtype=u.dtype)
    with torch.no_grad():
        for i, b in enumerate(grid):
            for j, a in enumerate(grid):
                for p, here, step in zip(params, begun, (a * u + b * v).split(sizes), strict=True):
                    p.copy_(here + step.view_as(p))
                found[i, j] = sum(CRITERION(at.model(x), y) for x, y in at.data) / len(at.data)
        for p, here in zip(params, begun, strict=True):
            p.copy_(here)
    return found


def _filter_normalized(at: Point) -> Tensor:
    parts = []
    for p in at.model.parameters():
        d = torch.randn_like(p)
        axes = tuple(range(1, p.dim()))
        if axes:
            d *= p.detach().norm(dim=axes, keepdim=True) / d.norm(dim=axes, keepdim=True)
        parts.append((d if axes else torch.zeros_like(p)).flatten())
    return torch.cat(parts)


def _pytorch_plane(at: Point, draw: int) -> Any:
    u, v = _filter_normalized(at), _filter_normalized(at)
    return u, v, plane(at, u, v)


def _flat(parts: Any) -> Tensor:
    return torch.cat([part.detach().flatten() for part in parts])


LIBRARIES: dict[str, dict[str, Task]] = {
    CURVLINOPS: {
        tasks.EIGENPAIRS: _linops_eigenpairs,
        tasks.DENSITY: _seeded(_linops_density),
        tasks.HUTCHINSON: _seeded(lambda at, draw: hutchinson_trace(_linops(at), tasks.PRODUCTS)),
        tasks.HUTCHPP: _seeded(lambda at, draw: hutchpp_trace(_linops(at), tasks.PRODUCTS)),
        tasks.XTRACE: _seeded(lambda at, draw: xtrace(_linops(at), tasks.PRODUCTS)),
        tasks.DIAGONAL: _seeded(lambda at, draw: xdiag(_linops(at), tasks.PRODUCTS)),
        tasks.PRODUCT: lambda at, draw: (_linops(at, at.data) @ at.vectors[0])[None],
        tasks.TOGETHER: lambda at, draw: (_linops(at, at.data) @ at.vectors.T).T,
    },
    PYHESSIAN: {
        tasks.EIGENPAIRS: _seeded(_pyhessian_eigenpairs),
        tasks.DENSITY: _seeded(_pyhessian_density),
        tasks.HUTCHINSON: _seeded(_pyhessian_trace),
        tasks.PRODUCT: lambda at, draw: _pyhessian_products(at, 1),
        tasks.TOGETHER: lambda at, draw: _pyhessian_products(at, len(at.vectors)),
    },
    EIGENTHINGS: {
        tasks.EIGENPAIRS: _eigenthings_eigenpairs,
        tasks.DENSITY: _eigenthings_density,
        tasks.HUTCHINSON: lambda at, draw: hutchinson(_eigenthings(at), num_samples=tasks.PRODUCTS, seed=draw).estimate,
        tasks.HUTCHPP: lambda at, draw: (
            hutch_plus_plus(_eigenthings(at), num_matvecs=tasks.PRODUCTS, seed=draw).estimate
        ),
        tasks.PRODUCT: lambda at, draw: _eigenthings(at, at.data).matvec(at.vectors[0])[None],
        tasks.TOGETHER: lambda at, draw: torch.stack([*map(_eigenthings(at, at.data).matvec, at.vectors)]),
    },
    PYTORCH: {tasks.PLANE: _seeded(_pytorch_plane)},
}
