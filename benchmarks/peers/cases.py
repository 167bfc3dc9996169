"""What is measured: networks, tasks, and which libraries do them. Imports neither JAX nor PyTorch."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import NamedTuple

OURS, PYTORCH = "nmepkg", "PyTorch"
CURVLINOPS, PYHESSIAN, EIGENTHINGS = "curvlinops", "PyHessian", "hessian-eigenthings"

VECTORS = 8  # of products
PROBES = 32  # of a trace
STEPS = 32  # matrix-vector products of a Lanczos run, or of a power iteration
DRAWS = 10  # of probes, or of start vectors, over which an error is a mean

STRENGTHS = {"SGD": 0.0, "SAM": 0.05, "PSAM": 0.05, "Hessian trace": 1e-4, "GN trace": 1e-5}
RATE = 1e-4  # so small that parameters stay ordinary numbers over thousands of steps


class Network(NamedTuple):
    """A network's inputs: a batch of them, the shape of each, channels last, and the classes."""

    batch: int
    shape: tuple[int, ...]
    classes: int = 10


SMALL = "MLP 2×16"  # whose Hessian fits in memory, in float64
NETWORKS = {
    "CNN, GELU": Network(128, (28, 28, 1)),
    "CNN, ReLU": Network(128, (28, 28, 1)),
    "MLP 3×128": Network(128, (40,)),
    "WRN-16-1": Network(64, (32, 32, 3)),
    "ResNet-50": Network(8, (224, 224, 3), 1000),
    SMALL: Network(128, (16,), 4),
}

DENSE = ("MLP 3×128", SMALL)
CURVED = ("CNN, GELU", *DENSE)  # whose curvature is taken


class Case(NamedTuple):
    """One task on one network, by ours and by others."""

    group: str
    network: str
    task: str
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.group}/{self.network}/{self.task}"


_CURVATURE = {
    "H v": (CURVLINOPS, PYHESSIAN, EIGENTHINGS),
    "G v": (CURVLINOPS, EIGENTHINGS),
    "trace of H": (CURVLINOPS, PYHESSIAN, EIGENTHINGS),
    "top eigenvalue": (CURVLINOPS, PYHESSIAN, EIGENTHINGS),
    "density": (CURVLINOPS, PYHESSIAN, EIGENTHINGS),
}

CASES = [
    *(
        Case("training", network, task, (PYTORCH,))
        for network in NETWORKS
        if network != SMALL
        for task in (("SGD", "SAM") if network == "ResNet-50" else STRENGTHS)
    ),
    *(
        Case("curvature", network, task, others)
        for network in CURVED
        for task, others in _CURVATURE.items()
        if network in DENSE or task in ("H v", "G v", "trace of H")  # else minutes of the same products
    ),
]


def chosen(pattern: str) -> list[Case]:
    """The cases whose GROUP/NETWORK/TASK begins with a pattern, as of file names; case does not matter.

    Raises:
      ValueError: there are none.
    """
    found = [case for case in CASES if fnmatch(case.name.lower(), pattern.lower() + "*")]
    if not found:
        raise ValueError(f"no case is called {pattern}; there are {', '.join(case.name for case in CASES)}")
    return found
