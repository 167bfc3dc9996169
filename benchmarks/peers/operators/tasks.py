"""What is measured, by whom, and how far off it may be. Imports neither JAX nor PyTorch."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.peers import cases
from benchmarks.peers.cases import CURVLINOPS, EIGENTHINGS, PYHESSIAN, PYTORCH

MATFREE = "matfree"
NETWORKS = (cases.SMALL, "MLP 3×128")

PAIRS = 5
TOLERANCE = 1e-5  # of eigenpairs, as a share of ‖H‖ or of each |λ|, as a library has it
ITERATIONS = 100  # of a power iteration, and Lanczos steps where a library does not restart
STEPS, STARTS = 32, 4  # of a density
PRODUCTS = 30  # of a trace or a diagonal
BATCHES = 8  # of a data set
POINTS = 11  # of a plane, along each direction

EIGENPAIRS, DENSITY, DIAGONAL, PLANE = "5 eigenpairs", "density", "diagonal, XDiag", "filter-normalised plane"
HUTCHINSON, HUTCHPP, XTRACE = "trace, Hutchinson", "trace, Hutch++", "trace, XTrace"
PRODUCT, TOGETHER = "H v, 8 batches", "8 H v, 8 batches"
TRACES = (HUTCHINSON, HUTCHPP, XTRACE)


class Task(NamedTuple):
    """Who does it beside us, and the relative error that is the largest allowed."""

    others: tuple[str, ...]
    bound: float


TASKS = {
    EIGENPAIRS: Task((CURVLINOPS, PYHESSIAN, EIGENTHINGS), 0.05),  # power iterations end early
    DENSITY: Task((CURVLINOPS, PYHESSIAN, EIGENTHINGS, MATFREE), 0.1),
    HUTCHINSON: Task((CURVLINOPS, PYHESSIAN, EIGENTHINGS, MATFREE), 0.5),
    HUTCHPP: Task((CURVLINOPS, EIGENTHINGS), 0.5),
    XTRACE: Task((CURVLINOPS, MATFREE), 0.5),
    DIAGONAL: Task((CURVLINOPS, MATFREE), 1.0),
    PRODUCT: Task((CURVLINOPS, PYHESSIAN, EIGENTHINGS), 1e-4),
    TOGETHER: Task((CURVLINOPS, PYHESSIAN, EIGENTHINGS), 1e-4),
    PLANE: Task((PYTORCH,), 1e-4),
}


def chosen(pattern: str) -> list[tuple[str, str]]:
    """(network, task) whose NETWORK/TASK begins with a text.

    Raises:
      ValueError: there are none.
    """
    every = [(network, task) for network in NETWORKS for task in TASKS]
    found = [(network, task) for network, task in every if f"{network}/{task}".startswith(pattern)]
    if not found:
        raise ValueError(f"nothing begins with {pattern}; there are {', '.join(map('/'.join, every))}")
    return found
