"""Computes one landscape: loss and curvature over two weights, in an .npz, from a spec."""

from __future__ import annotations

import sys

import job

from nmepkg import gpus
from nmepkg.files import present
from nmepkg.runs import jobs
from nmepkg.runs.verify import planned_landscape


def main() -> None:
    file = job.parser(__doc__).parse_args().job
    with job.one_line_errors(file.stem):
        given = jobs.read(file)
        landscape = given.job
        out = given.store.landscape(landscape.id)
        if present(out):
            from nmepkg.analysis.landscapes import read_landscape  # no part of what computes one

            read_landscape(out, landscape.spec)
            return print("computed already: nothing to do", file=sys.stderr)
        planned = planned_landscape(landscape.id, landscape.spec, landscape.code)
        gpus.claim(given.gpus)

        from nmepkg.landscape.record import record  # after the arguments: it takes a second

        gpus.check(given.gpus)
        planned.load()
        planned.describe(given.store)
        record(
            landscape.spec,
            out,
            code=landscape.code,
            cache=given.store.compiled,
            verify=planned.check_imports,
        )


if __name__ == "__main__":
    main()
