"""Prepares one data set: arrays (.npz) and beside them (.json) what they are and their hash."""

from __future__ import annotations

import sys

import job

from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256, content_sha256, present
from nmepkg.registry import DATASETS
from nmepkg.runs import jobs
from nmepkg.runs.verify import planned_data


def main() -> None:
    file = job.parser(__doc__).parse_args().job
    with job.one_line_errors(file.stem):
        given = jobs.read(file)
        data, path = given.job, given.store.data(given.job.id)
        if all(map(present, given.store.data_files(data.id))):
            store.read_description(path, arrays_sha256(store.read_prepared(path)))
            return print("prepared already: nothing to do", file=sys.stderr)
        planned = planned_data(data.id, data.spec, data.code)
        planned.load()
        options = {key: value for key, value in data.spec.items() if key not in ("name", "content")}
        entry = DATASETS[data.spec["name"]]
        if given.source and "content" in data.spec and content_sha256(given.source)[:16] != data.spec["content"]:
            raise UserError(f"{given.source}: changed since this job was planned; run snakemake again")
        arrays = entry.load()(*([given.source] if entry.source else []), **options)
        planned.check_imports()
        planned.describe(given.store)
        store.write(path, arrays, data.spec, code=data.code)


if __name__ == "__main__":
    main()
