"""How far what a task gives is from float64, relative to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import cases
from benchmarks.peers.errors import of_products, of_task
from benchmarks.peers.operators import tasks

Exact = Callable[..., Any]  # (what is asked, arguments) -> numbers in float64


def of(network: str, library: str, task: str, value: Callable[[int], Any], exact: Exact) -> float | None:
    """The error of a task, or None where nothing exact is at hand: what is random, on a network without a dense H.

    Of eigenpairs it is max ‖H v − λ v‖/‖H‖, and where H is dense, of the values too. PyHessian's are those of the largest |λ|.
    """
    dense = network == cases.SMALL
    if task in (tasks.PRODUCT, tasks.TOGETHER):
        return of_products(value(0), exact(task))
    if task == tasks.PLANE:
        u, v, found = value(0)
        expected = exact("plane", u, v)
        return float(np.abs(found - expected).max() / np.abs(expected).max())
    if task == tasks.EIGENPAIRS:
        values, vectors = value(0)
        along = exact("products", vectors)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        found = np.linalg.norm(along - values[:, None] * vectors, axis=1) / norms[:, 0]
        if dense:
            spectrum = np.linalg.eigvalsh(exact("hessian"))
            order = np.abs(spectrum) if library == cases.PYHESSIAN else spectrum
            truth = np.sort(spectrum[np.argsort(order)[-tasks.PAIRS :]])
            found = np.append(found, np.abs(np.sort(values) - truth))
        return float(found.max() / np.abs(values).max())
    if not dense:
        return None
    hessian = exact("hessian")
    if task == tasks.DIAGONAL:
        truth = np.diag(hessian)
        squares = [np.sum((value(draw) - truth) ** 2) for draw in range(cases.DRAWS)]
        return float(np.sqrt(np.mean(squares) / np.sum(truth**2)))
    return of_task("density" if task == tasks.DENSITY else "trace of H", value, hessian, cases.DRAWS)
