"""The loss over a plane of filter-normalised directions, against the authors' procedure in PyTorch, in double precision."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nmepkg.curvature import probes
from nmepkg.measurement.directions import directions
from nmepkg.measurement.loss_plane import loss_plane

torch = pytest.importorskip("torch")
pytest.importorskip("curvlinops")

from jax.flatten_util import ravel_pytree  # noqa: E402

from tests.peers import curvature_peer as peer  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("x64")]
KEY = jax.random.key(5)


def drawn(pair: peer.Pair) -> list[list[torch.Tensor]]:
    """Two directions of normal entries, as the measurement draws them, in the shapes of PyTorch's parameters."""
    sizes = [p.numel() for p in pair.model.parameters()]
    found = []
    for key in jax.random.split(KEY):
        ours = np.asarray(ravel_pytree(probes.draw(key, pair.params, "gaussian"))[0])
        theirs = torch.tensor(ours[np.argsort(pair.order)])
        parts = theirs.split(sizes)
        found.append([part.view_as(p).clone() for part, p in zip(parts, pair.model.parameters(), strict=True)])
    return found


def normalize_directions_for_weights(direction: list[torch.Tensor], weights: list[torch.Tensor]) -> None:
    """Li et al. (2018), net_plotter.py, with norm='filter' and ignore='biasbn': a filter is a first index of a weight."""
    for d, w in zip(direction, weights, strict=True):
        if d.dim() <= 1:
            d.fill_(0)
        else:
            for filter_d, filter_w in zip(d, w, strict=True):
                filter_d.mul_(filter_w.norm() / filter_d.norm())


@pytest.mark.parametrize("name", [case for case in peer.CASES if case[1] != "smoothed"], ids="-".join)
def test_filter_normalised_plane(name: tuple[str, str, str]) -> None:
    pair = peer.make(name)
    weights = [p.detach().clone() for p in pair.model.parameters()]
    u, v = drawn(pair)
    for direction in (u, v):
        normalize_directions_for_weights(direction, weights)
    (ours_u, ours_v), _ = directions(pair.problem, "filter_normalized", 5, 1e-3)(pair.params, pair.context, KEY)
    for ours, theirs in ((ours_u, u), (ours_v, v)):
        flat = torch.cat([part.flatten() for part in theirs]).numpy()[pair.order]
        np.testing.assert_allclose(ravel_pytree(ours)[0], flat, rtol=1e-12, atol=1e-14)

    measure = loss_plane(pair.problem, directions="filter_normalized", range=1.0, points=5, steps=5, tolerance=1e-3)
    found = measure(pair.params, pair.context, KEY)
    grid = np.linspace(-1, 1, 5)
    assert found["coordinates"] == grid.tolist()
    loss, accuracy = np.empty((5, 5)), np.empty((5, 5))
    with torch.no_grad():
        for i, b in enumerate(grid):
            for j, a in enumerate(grid):
                for p, w, x, y in zip(pair.model.parameters(), weights, u, v, strict=True):
                    p.copy_(w + a * x + b * y)
                logits = [pair.model(x) for x, _ in pair.batches]
                targets = [y if y.dim() == 1 else y.argmax(1) for _, y in pair.batches]
                losses = [pair.criterion(z, y) for z, (_, y) in zip(logits, pair.batches, strict=True)]
                loss[i, j] = pair.factor * np.mean([float(x) for x in losses])
                hits = [(z.argmax(1) == y).double().mean() for z, y in zip(logits, targets, strict=True)]
                accuracy[i, j] = np.mean([float(x) for x in hits])
    np.testing.assert_allclose(found["loss_plane"], loss, rtol=1e-12)
    np.testing.assert_allclose(found["accuracy_plane"], accuracy, rtol=1e-12)
    assert loss.std() > 1e-3  # over a plane that is not flat
