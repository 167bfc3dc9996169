"""Computes one landscape: loss and curvature over two weights, in an .npz, from a spec."""

from __future__ import annotations

import sys

import job

from nmepkg import gpus
from nmepkg.files import present
from nmepkg.study.verify import planned_landscape


def main() -> None:
    arguments = job.parser(__doc__).parse_args()
    with job.one_line_errors(arguments.id):
        out = arguments.store.landscape(arguments.id)
        if present(out):
            from nmepkg.analysis.landscapes import read_landscape  # no part of what computes one

            read_landscape(out, arguments.spec)
            return print("computed already: nothing to do", file=sys.stderr)
        planned = planned_landscape(arguments.id, arguments.spec, arguments.code)
        gpus.claim(arguments.gpus)

        from nmepkg.landscape.run import run  # after the arguments: it takes a second

        gpus.check(arguments.gpus)
        planned.load()
        planned.describe(arguments.store)
        run(
            arguments.spec,
            out,
            code=arguments.code,
            cache=arguments.store.compiled,
            verify=planned.check_imports,
        )


if __name__ == "__main__":
    main()
