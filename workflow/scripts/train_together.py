"""Trains several runs in one process, one after another, each as ``train.py`` does; see ``together.py``."""

from __future__ import annotations

from collections.abc import Callable

import together
from train import train

from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment


def work(run: Job, given: Assignment, stopping: Callable[[], bool]) -> bool:
    """Trains a run."""
    return train(run, given, stopping=stopping, cache=None)


if __name__ == "__main__":
    together.main(__doc__, work)
