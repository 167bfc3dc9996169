"""What docs/library.md shows of Equinox, which is not among what `make test` has."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from nmepkg import methods
from nmepkg.curvature.parameters import is_kernel, normalizes
from nmepkg.losses import cross_entropy
from tests.methods.test_other_libraries import assert_psam
from tests.study.test_readme import run_snippet

pytestmark = pytest.mark.peers
eqx = pytest.importorskip("equinox")


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return run_snippet("docs/library.md", "equinox")


def start(page: dict[str, Any]) -> tuple[Any, Any]:
    """(parameters, state) as they were before the page's step."""
    net, state = eqx.nn.make_with_state(page["EquinoxNet"])(jax.random.key(8))
    return eqx.filter(net, eqx.is_inexact_array), state


def test_the_step_of_the_page_is_psam(page: dict[str, Any]) -> None:
    assert_psam(page, page["with_equinox"], *start(page), page["of_equinox"])


def test_the_state_is_that_after_one_step(page: dict[str, Any]) -> None:
    """The running averages move by the mean of both groups' statistics, at the parameters before."""
    (params, begun), net, state = start(page), page["equinox_net"], page["of_equinox"][1]
    features = (page["x"] @ params.dense.weight.T + params.dense.bias).reshape(2, 4, 4)
    statistics = features.mean(axis=1), features.var(axis=1)
    at, count = net.norm.batch_state_index, net.norm.batch_counter
    for found, before, groups in zip(state.get(at), begun.get(at), statistics, strict=True):
        share = 1 - net.norm.momentum
        np.testing.assert_allclose(found, (1 - share) * before + share * groups.mean(axis=0), rtol=1e-5, atol=1e-7)
    assert (int(begun.get(count)), int(state.get(count))) == (0, 1)


def test_methods_know_its_kernels(page: dict[str, Any]) -> None:
    params, state = start(page)
    paths = jax.tree_util.tree_leaves_with_path(params)
    names = {jax.tree_util.keystr(path): (is_kernel(path, leaf), normalizes(path)) for path, leaf in paths}
    assert {name for name, (kernel, _) in names.items() if kernel} == {".dense.weight", ".head.weight"}
    assert {name for name, (_, norm) in names.items() if norm} == {".norm.weight", ".norm.bias"}
    update = methods.asam()(
        partial(page["with_equinox"], state), cross_entropy, params, (page["x"], page["y"]), jax.random.key(0), 0.1
    )
    assert jax.tree.structure(update.direction) == jax.tree.structure(params)
