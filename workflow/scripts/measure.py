"""Measures one finished run: a JSON file with what was found at each step that was asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import job

from nmepkg import gpus, records
from nmepkg.files import present
from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.identity import data_id
from nmepkg.runs.jobs import Assignment
from nmepkg.runs.verify import planned_measurement
from nmepkg.storage import MEASUREMENT, RESULT


def main() -> None:
    file = job.parser(__doc__).parse_args().job
    with job.one_line_errors(file.stem):
        given = jobs.read(file)
        gpus.claim(given.gpus)
        measure(given.job, given, cache=given.store.compiled)


def measure(measurement: Job, given: Assignment, *, cache: Path | None) -> None:
    """Takes a measurement as it was planned.

    Args:
      given: to this job, of which the measurement is one.
      cache: of compiled programs; None: it is open already.

    Raises:
      UserError: study or code changed since, or what :func:`nmepkg.measurement.measure.measure` refuses.
    """
    name, run, store = measurement.id, str(measurement.run), given.store
    out = store.measurement(run, name)
    if present(out):
        records.read(out, MEASUREMENT, {"measurement": name, "run": run})
        return print("measured already: nothing to do", file=sys.stderr)
    result = records.read(store.result(run), RESULT, {"run": run})
    planned = planned_measurement(name, measurement.spec, measurement.code, run, result["spec"])

    from nmepkg.measurement import measure as measuring  # after the arguments: it takes a second

    gpus.check(given.gpus)
    planned.load()
    planned.describe(store)
    data = store.data(data_id(result["spec"]["data"]))
    task = measuring.Task(name, measurement.spec, measurement.code, result, store.run(run), data, out, given.source)
    measuring.measure(task, cache=cache, verify=planned.check_imports)


if __name__ == "__main__":
    main()
