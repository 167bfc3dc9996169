import subprocess
import sys
from typing import Any

import pytest

from nmepkg.errors import UserError
from nmepkg.landscape.check import check
from tests.landscape.specs import spec

MLP = spec()["model"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weights": [[0, 0], [2, 3]]},  # the last input, the last unit
        {"layer": 2, "weights": [[3, 3], [0, 0]]},
        {"layer": 2, "inputs": 1, "weights": [[3, 0], [0, 0]]},  # a layer further up has the width's inputs
    ],
)
def test_a_landscape_that_exists_passes(changes: dict[str, Any]) -> None:
    check(spec(**changes))


def test_the_activation_may_be_missing() -> None:
    check({key: value for key, value in spec().items() if key != "activation"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"name": "resnet1d", "width": 4, "blocks": [1]}}, "model: a landscape needs the model 'mlp'"),
        ({"model": {**MLP, "batch_norm": True}}, "model.batch_norm: one datapoint has no batch"),
        ({"model": {**MLP, "depth": 0}}, "model.depth: a model of depth 0 has no hidden layer"),
        ({"loss": {"name": "cross_entropy", "label_smoothing": 0.0}}, "loss: a landscape's target is a vector"),
        ({"layer": 3}, "layer: 3 is no hidden layer of a model of depth 2"),
        ({"layer": 0}, "layer: 0 is no hidden layer"),
        ({"weights": [[0, 0], [3, 1]]}, r"weights\[1\]: input 3 of \[3, 1\] is not in layer 1, .* from 0 to 2"),
        ({"weights": [[0, 4], [1, 1]]}, r"weights\[0\]: unit 4 of \[0, 4\] is not in layer 1, .* from 0 to 3"),
        ({"layer": 2, "weights": [[4, 0], [1, 1]]}, r"weights\[0\]: input 4 of \[4, 0\] is not in layer 2"),
        ({"weights": [[0, 0], [-1, 1]]}, r"weights\[1\]: input -1"),
        ({"weights": [[1, 1], [1, 1]]}, r"weights: \[1, 1\] is listed twice"),
        ({"range": [1.0, 1.0]}, r"range: \[1.0, 1.0\] is no range"),
        ({"range": [2.0, -2.0]}, "range: "),
        ({"range": [0.0, float("inf")]}, "range: "),
        ({"range": [-1e19, 1e19]}, r"range: \[-1e\+19, 1e\+19\] has no map in single precision"),
        ({"range": [1.0, 1.0000001]}, "range: .* has no map in single precision"),
        ({"range": [0.0, 1e-19]}, "range: .* has no map in single precision"),
    ],
)
def test_one_that_does_not_is_refused_in_a_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        check(spec(**changes))
    assert "\n" not in str(caught.value)


def test_checking_imports_no_jax() -> None:
    code = "import sys, nmepkg.landscape.check; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
