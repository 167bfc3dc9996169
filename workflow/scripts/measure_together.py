"""Takes several measurements in one process, one after another, each as ``measure.py`` does; see ``together.py``."""

from __future__ import annotations

import signal
from collections.abc import Callable

import together
from measure import measure
from train import STOP_SIGNALS

from nmepkg.files import present
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment


def work(measurement: Job, given: Assignment, stopping: Callable[[], bool]) -> bool:
    """Takes a measurement. It has nothing to save, so that a signal ends it and its process at once."""
    if stopping():
        return False
    if not present(given.store.result(str(measurement.run))):  # as where each has a job, which then has no input
        print("its run is not there: nothing to measure")
        return True
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    measure(measurement, given, cache=None)
    return True


if __name__ == "__main__":
    together.main(__doc__, work)
