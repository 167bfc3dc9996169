"""What is measured: networks, tasks, precisions, and whose process does them. Imports neither JAX nor PyTorch."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.peers.cases import CURVLINOPS, OURS, PYTORCH
from nmepkg.planning.cards import CARDS
from nmepkg.planning.fits import missing_plugin

COMPILED = "PyTorch, compiled"
COUNT, DESCRIBED = (
    "XLA's count",
    "by fits",
)  # in place of a library: operations, and memory as `python -m nmepkg fits` has it

CEILING = "matrix product"  # of the card at its best; the task is the side of the matrices
NETWORKS = ("MLP 3×128", "WRN-16-4", "WRN-28-10", "ResNet-50", "ViT 6×384")
CURVED = ("MLP 3×128", "ViT 6×384")  # without BatchNorm, of which the libraries have different ideas

TASKS = {"SGD": "sgd", "SAM": "sam", "PSAM": "psam", "Hessian trace": "hessian_trace", "GN trace": "gn_trace"}
CURVATURE = ("H v", "G v", "trace of H")
FIRST_ORDER = ("SGD", "SAM")  # torch.compile has no derivative of a derivative

# Of products: in full, with the card's shortened factors (JAX's default on a GPU, for which PyTorch has to be asked), or of a
# network that computes in bfloat16 (PyTorch's autocast).
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


class Library(NamedTuple):
    """Whose class measures, in a process with which variables.

    Attributes:
      kind: ``module:class``.
      method: of the class.
      variables: of the process.
      needs: modules without which it is left out.
    """

    kind: str
    method: str
    variables: dict[str, str]
    needs: tuple[str, ...] = ()


# Memory is taken as it is needed, so that what one library frees the other has.
_OURS, _THEIRS = "benchmarks.gpu.ours:Ours", "benchmarks.gpu.theirs:Theirs"
_ALLOCATE = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
_TORCH = ("torch", "torchvision")
LIBRARIES = {
    OURS: Library(_OURS, "step", _ALLOCATE),
    PYTORCH: Library(_THEIRS, "step", {}, _TORCH),
    COUNT: Library(_OURS, "count", {"JAX_PLATFORMS": "cpu"}),
    DESCRIBED: Library(_OURS, "described", {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_gpu_enable_triton_gemm=false"}),
    CURVLINOPS: Library(_THEIRS, "curvature", {}, (*_TORCH, "curvlinops")),
    COMPILED: Library(_THEIRS, "compiled", {}, _TORCH),
}


def gpus() -> list[str]:
    """Names of this machine's GPUs, as ``nvidia-smi`` has them."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return listed.stdout.splitlines() if listed.returncode == 0 else []


def card() -> str | None:
    """This machine's first GPU as :data:`nmepkg.planning.cards.CARDS` calls it; None for none, or another."""
    first = gpus()[:1]
    return next((key for key, known in CARDS.items() if first == [known.name]), None)


def tasks(network: str, library: str, side: str) -> list[str]:
    """What a library is asked of a network; nothing where it is not installed.

    Args:
      side: of the matrices whose product is the card's best.
    """
    if any(find_spec(module) is None for module in LIBRARIES[library].needs):
        return []
    if network == CEILING:
        return [side] if library in (OURS, PYTORCH) else []
    curvature = list(CURVATURE) if network in CURVED else []
    return {
        OURS: [*TASKS, *curvature],
        PYTORCH: list(TASKS),
        COUNT: list(TASKS),
        DESCRIBED: list(TASKS) if missing_plugin() is None and card() is not None else [],
        CURVLINOPS: curvature,
        COMPILED: list(FIRST_ORDER),
    }[library]
