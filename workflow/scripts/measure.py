"""Measures one finished run: a JSON file with what was found at each step that was asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import job

from nmepkg import gpus, records
from nmepkg.files import present
from nmepkg.storage import MEASUREMENT, RESULT
from nmepkg.study.identity import data_id
from nmepkg.study.verify import planned_measurement


def main() -> None:
    parser = job.parser(__doc__)
    parser.add_argument("--run", required=True, help="id of the run")
    parser.add_argument("--source", type=Path, help="folder of data that are streamed")
    arguments = parser.parse_args()
    with job.one_line_errors(arguments.id):
        store = arguments.store
        out = store.measurement(arguments.run, arguments.id)
        if present(out):
            records.read(out, MEASUREMENT, {"measurement": arguments.id, "run": arguments.run})
            return print("measured already: nothing to do", file=sys.stderr)
        result = records.read(store.result(arguments.run), RESULT, {"run": arguments.run})
        planned = planned_measurement(arguments.id, arguments.spec, arguments.code, arguments.run, result["spec"])
        gpus.claim(arguments.gpus)

        from nmepkg.measurement.run import run  # after the arguments: it takes a second

        gpus.check(arguments.gpus)
        planned.load()
        planned.describe(store)
        run(
            arguments.spec,
            result,
            store.run(arguments.run),
            store.data(data_id(result["spec"]["data"])),
            out,
            name=arguments.id,
            code=arguments.code,
            source=arguments.source,
            cache=store.compiled,
            verify=planned.check_imports,
        )


if __name__ == "__main__":
    main()
