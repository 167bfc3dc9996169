"""Theirs: PyTorch and what is built on it, and the numbers in float64."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import cases, networks
from benchmarks.peers import theirs as of_products
from benchmarks.peers.memory import peak
from benchmarks.peers.operators import tasks
from benchmarks.peers.operators.libraries import LIBRARIES, Point, plane
from benchmarks.peers.turns import seconds


class Theirs(of_products.Theirs):
    """One network at a time, with one batch and a data set of several, the first of them the batch."""

    def use(self, network: str) -> tuple[Any, ...]:
        """(variables as ours has them, inputs, labels, vectors, data set)."""
        variables, x, labels, vectors = super().use(network)
        shape, rng = cases.NETWORKS[network], np.random.default_rng(1)
        more = [
            (
                rng.normal(size=(shape.batch, *shape.shape)).astype(np.float32),
                rng.integers(shape.classes, size=shape.batch),
            )
            for _ in range(tasks.BATCHES - 1)
        ]
        data = [(x, labels), *more]
        theirs = [(networks.inputs(x), torch.tensor(labels)) for x, labels in data]
        self._point = Point(self._at.model, theirs, self._at.vectors)
        self._asked: dict[tuple[str, str], Callable[[], Any]] = {}
        return variables, x, labels, vectors, data

    def seconds(self, library: str, task: str, repetitions: int) -> float:
        """Of the processor's time, of one repetition."""
        return seconds(self._task(library, task), repetitions, time.process_time)

    def memory(self, library: str, task: str) -> float:
        """Bytes of one repetition."""
        return peak(self._task(library, task))

    def value(self, library: str, task: str, draw: int) -> Any:
        """What a task gives, in our order of parameters."""
        found = LIBRARIES[library][task](self._copy(), draw)
        if task in tasks.TRACES:
            return float(found)
        if task in (tasks.PRODUCT, tasks.TOGETHER):
            return _array(found)[:, self._order]
        if task == tasks.DIAGONAL:
            return _array(found)[self._order]
        first, second, *rest = map(_array, found)
        if task == tasks.EIGENPAIRS:
            return first, second[:, self._order]
        return (first[self._order], second[self._order], *rest) if task == tasks.PLANE else (first, second)

    def hessian(self) -> np.ndarray:
        """(P, P) dense, of the batch."""
        return self.exact("H")

    def products(self, vectors: np.ndarray, whole: bool = False) -> np.ndarray:
        """H v of rows in our order, of the batch or of the data set."""
        kept = self._at
        inputs, labels = (torch.cat(parts) for parts in zip(*self._point.data, strict=True))
        self._at = kept._replace(
            vectors=self._theirs(vectors), **({"inputs": inputs, "labels": labels} if whole else {})
        )
        try:
            return self.exact("H v")
        finally:
            self._at = kept

    def plane(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The losses over the plane of two directions in our order."""
        model = copy.deepcopy(self._point.model).double()
        at = self._point._replace(model=model, data=[(x.double(), y) for x, y in self._point.data])
        return plane(at, *self._theirs(np.stack([u, v]))).numpy()

    def _theirs(self, rows: np.ndarray) -> Tensor:
        found = np.empty(np.shape(rows))
        found[:, self._order] = rows
        return torch.tensor(found)

    def _task(self, library: str, task: str) -> Callable[[], Any]:
        if (library, task) not in self._asked:
            self._asked[library, task] = partial(LIBRARIES[library][task], self._copy(), 0)
        return self._asked[library, task]

    def _copy(self) -> Point:
        return self._point._replace(model=copy.deepcopy(self._point.model))


def _array(found: Any) -> np.ndarray:
    array = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
    return np.asarray(array, np.float64)
