"""Curvature by other libraries, each called as its documentation says: library -> task -> (point, draw) -> what it gives.

Products are rows, one for each vector; a density is (values, weights) of its quadrature. Whatever a library computes once at
a point is part of each call, as it is of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator, hutchinson_trace
from curvlinops.papyan2020traces.spectrum import fast_lanczos
from hessian_eigenthings import (
    GGNOperator,
    HessianOperator,
    hutchinson,
    lanczos,
    spectral_density,
    supervised_forward,
    supervised_loss,
    supervised_loss_of_output,
)
from pyhessian import hessian
from pyhessian.utils import hessian_vector_product
from torch import Tensor, nn

from benchmarks.peers import cases


class Point(NamedTuple):
    """Where it is taken, and the vectors (V, P)."""

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    vectors: Tensor

    @property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.inputs, self.labels)]

    @property
    def params(self) -> list[nn.Parameter]:
        return list(self.model.parameters())


Task = Callable[[Point, int], Any]
CRITERION = nn.CrossEntropyLoss()


def _linops(at: Point, kind: Any = HessianLinearOperator) -> Any:
    return kind(at.model, CRITERION, at.params, at.batches, check_deterministic=False)


def _curvlinops_trace(at: Point, draw: int) -> Tensor:
    torch.manual_seed(draw)
    return hutchinson_trace(_linops(at), cases.PROBES)


def _curvlinops_density(at: Point, draw: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(draw)
    values, vectors = fast_lanczos(_linops(at), cases.STEPS)
    return values, vectors[0] ** 2


def _pyhessian(at: Point, draw: int = 0) -> Any:
    torch.manual_seed(draw)
    at.model.zero_grad()  # its constructor adds to gradients
    return hessian(at.model, CRITERION, data=(at.inputs, at.labels), cuda=False)


def _pyhessian_products(at: Point, draw: int) -> Tensor:
    found = _pyhessian(at)
    return _rows(
        torch.cat([p.flatten() for p in hessian_vector_product(found.gradsH, found.params, _split(v, at.params))])
        for v in at.vectors
    )


def _pyhessian_trace(at: Point, draw: int) -> float:
    values = _pyhessian(at, draw).trace(maxIter=cases.PROBES, tol=-math.inf)  # of all probes
    return sum(values) / len(values)


def _pyhessian_top(at: Point, draw: int) -> float:
    return _pyhessian(at, draw).eigenvalues(maxIter=cases.STEPS, tol=0, top_n=1)[0][0]


def _pyhessian_density(at: Point, draw: int) -> tuple[Tensor, Tensor]:
    values, weights = _pyhessian(at, draw).density(iter=cases.STEPS, n_v=1)
    return torch.tensor(values[0]), torch.tensor(weights[0])


def _eigenthings(at: Point) -> HessianOperator:
    return HessianOperator(at.model, at.batches, supervised_loss(CRITERION))


def _eigenthings_ggn(at: Point) -> GGNOperator:
    return GGNOperator(at.model, at.batches, supervised_forward, supervised_loss_of_output(CRITERION))


def _eigenthings_density(at: Point, draw: int) -> tuple[Tensor, Tensor]:
    found = spectral_density(_eigenthings(at), num_runs=1, lanczos_steps=cases.STEPS, seed=draw)
    return found.raw_eigenvalues[0], found.raw_weights[0]


def _rows(rows: Any) -> Tensor:
    return torch.stack(list(rows)).detach()


def _split(v: Tensor, params: Sequence[Tensor]) -> list[Tensor]:
    parts = v.split([p.numel() for p in params])
    return [part.view_as(p) for part, p in zip(parts, params, strict=True)]


LIBRARIES: dict[str, dict[str, Task]] = {
    cases.CURVLINOPS: {
        "H v": lambda at, draw: (_linops(at) @ at.vectors.T).T,
        "G v": lambda at, draw: (_linops(at, GGNLinearOperator) @ at.vectors.T).T,
        "trace of H": _curvlinops_trace,
        "top eigenvalue": lambda at, draw: _curvlinops_density(at, draw)[0].max(),
        "density": _curvlinops_density,
    },
    cases.PYHESSIAN: {
        "H v": _pyhessian_products,
        "trace of H": _pyhessian_trace,
        "top eigenvalue": _pyhessian_top,
        "density": _pyhessian_density,
    },
    cases.EIGENTHINGS: {
        "H v": lambda at, draw: _rows(map(_eigenthings(at).matvec, at.vectors)),
        "G v": lambda at, draw: _rows(map(_eigenthings_ggn(at).matvec, at.vectors)),
        "trace of H": lambda at, draw: hutchinson(_eigenthings(at), num_samples=cases.PROBES, seed=draw).estimate,
        "top eigenvalue": lambda at, draw: lanczos(
            _eigenthings(at), k=1, max_iter=cases.STEPS, which="LA", seed=draw
        ).eigenvalues[0],
        "density": _eigenthings_density,
    },
}
