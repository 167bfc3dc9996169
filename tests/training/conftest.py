"""Data for trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.runs import prepared


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data, prepared: 27 training and 9 test examples."""
    return prepared(tmp_path_factory.mktemp("data"))
