"""Measures one finished run: a JSON file with what was found at each step that was asked for."""

from __future__ import annotations

import sys

import job

from nmepkg import gpus, records
from nmepkg.files import present
from nmepkg.runs import jobs
from nmepkg.runs.identity import data_id
from nmepkg.runs.verify import planned_measurement
from nmepkg.storage import MEASUREMENT, RESULT


def main() -> None:
    file = job.parser(__doc__).parse_args().job
    with job.one_line_errors(file.stem):
        given = jobs.read(file)
        measurement, store = given.job, given.store
        name, measured = measurement.id, str(measurement.run)
        out = store.measurement(measured, name)
        if present(out):
            records.read(out, MEASUREMENT, {"measurement": name, "run": measured})
            return print("measured already: nothing to do", file=sys.stderr)
        result = records.read(store.result(measured), RESULT, {"run": measured})
        planned = planned_measurement(name, measurement.spec, measurement.code, measured, result["spec"])
        gpus.claim(given.gpus)

        from nmepkg.measurement.measure import Task, measure  # after the arguments: it takes a second

        gpus.check(given.gpus)
        planned.load()
        planned.describe(store)
        measure(
            Task(
                name,
                measurement.spec,
                measurement.code,
                result,
                store.run(measured),
                store.data(data_id(result["spec"]["data"])),
                out,
                given.source,
            ),
            cache=store.compiled,
            verify=planned.check_imports,
        )


if __name__ == "__main__":
    main()
