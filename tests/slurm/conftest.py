"""Slurms for tests; where none can be started, the tests that need one are skipped, or fail where SLURM_REQUIRED=1 says so."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nmepkg.files import locked
from tests.slurm.cluster import Cluster, running, unavailable
from tests.slurm.workflow import LONG, ClusterProject
from tests.workflow.kills import results
from tests.workflow.project import Project

Start = Callable[..., Cluster]


@pytest.fixture(scope="session")
def slurm() -> None:
    """A Slurm can be started."""
    reason = unavailable()
    if reason is not None:
        (pytest.fail if os.environ.get("SLURM_REQUIRED") == "1" else pytest.skip)(f"no Slurm: {reason}")


@pytest.fixture(scope="session")
def shared(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for the tests of a process that do not disturb it."""
    with running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def started(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """One that a test may disturb, with options of its own."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(running(tmp_path_factory.mktemp("slurm"), **options))


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    """The shared one, for one test."""
    yield shared
    shared.clear()


@pytest.fixture
def project(cluster: Cluster, tmp_path: Path) -> ClusterProject:
    """A copy of the project, on the shared cluster."""
    return ClusterProject(tmp_path, cluster)


@pytest.fixture(scope="session")
def undisturbed(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the long trainings compute, on this machine and with no interruption; once for all processes that test."""
    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "undisturbed.pickle"
    with locked(kept.with_suffix(".lock"), lambda: None):
        if not kept.exists():
            project = Project(tmp_path_factory.mktemp("undisturbed"))
            project.write("study.yaml", LONG)
            done = project.snakemake("figures")
            assert done.returncode == 0, done.stdout
            kept.write_bytes(pickle.dumps(results(project)))
    return pickle.loads(kept.read_bytes())
