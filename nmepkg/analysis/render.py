"""From a study and the results of its runs to the files of one figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

from nmepkg import records
from nmepkg.analysis.curves import collect
from nmepkg.analysis.keys import activation_columns
from nmepkg.analysis.landscapes import Panel, read_landscape
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.observations import ORIGINS, THEN, Source, adopted, everywhere
from nmepkg.analysis.planes import collect as planes_of
from nmepkg.analysis.results import read_results
from nmepkg.analysis.save import FORMATS, save
from nmepkg.analysis.style import rc
from nmepkg.analysis.tables import landscape_table, plane_tables, tables, write_tables
from nmepkg.files import file_sha256
from nmepkg.registry import FIGURES
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import FIGURE, Store, figure_record
from nmepkg.study.setups import classes
from nmepkg.study.spec import Cell, Figure, Study


def render(study: Study, expansion: Expansion, figure: Figure, folder: Path, identity: Mapping[str, Any]) -> str:
    """Draws a figure: ``folder``/NAME.pdf, .svg, .png, .csv (a row a point), .runs.csv (a row a run, plane or landscape).

    The record of a figure, ``folder``/records/NAME/DIGEST.json, says what is drawn and is written last; those of what was
    drawn before go first, so that none ever speaks of files that are not its own.

    Args:
      identity: what makes the figure what it is, ``nmepkg.runs.figure_identity.figure_identity``.

    Returns:
      A warning about mixed code or versions, or "".

    Raises:
      UserError: results, measurements or landscapes are missing, or not those asked for.
    """
    draw = FIGURES[figure.kind].load()
    record = figure_record(folder, figure.name, identity["digest"])
    titles = {key: setup.title for key, setup in study.setups.items()}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's matplotlibrc says: equal figures are equal files
        matplotlib.rcParams.update(rc(figure.style))
        if figure.landscape is not None:
            panels, points, runs = _landscapes(study, expansion, figure)
            canvas = draw(panels, figure.title, figure.width)
        elif figure.kind == "plane":
            planes = planes_of(figure, *_source(study, expansion, figure))
            canvas = draw(planes, titles)
            points, runs = plane_tables(planes)
        else:
            curves = collect(figure, *_source(study, expansion, figure))
            chance = {key: 1 / classes(setup.spec["data"]) for key, setup in study.setups.items()}
            canvas = draw(curves, titles, chance, **figure.options)
            points, runs = tables(curves)
        note = "; ".join(filter(None, (mixed_origins(runs), adopted_runs(runs))))
        origin = {
            "study": study.name,
            "study_sha256": file_sha256(study.path),
            "figure": figure.name,
            "title": figure.title,
            "caption": figure.caption,
            "digest": identity["digest"],
            "code": identity["parts"]["code"],
            "run_code": _distinct(runs, "code", "measurement_code"),
            "runs": _distinct(runs, "run"),
            "measurements": _distinct(runs, "measurement"),
            "note": note,
        }
        for old in record.parent.glob("*.json"):
            old.unlink()
        stem = folder / figure.name
        save(canvas, stem, origin)
    write_tables(points.assign(note=note), runs, stem)
    files = [stem.with_name(f"{stem.name}.{suffix}") for suffix in (*FORMATS, "csv", "runs.csv")]
    hashes = {path.name: file_sha256(path) for path in files}
    records.write(record, FIGURE, {**origin, **identity, "files": hashes})
    return note


def _source(study: Study, expansion: Expansion, figure: Figure) -> tuple[tuple[Cell, ...], Source]:
    """The cells behind a figure, and their files as read."""
    store, cells = Store(Path(study.store)), expansion.cells_of(figure)
    specs = {cell.run_id: expansion.runs[cell.run_id].spec for cell in cells}
    jobs = [expansion.measurements[job] for job in expansion.measurements_of(figure)]
    return cells, Source(store, read_results(store, specs), read_measurements(store, jobs, specs))


def _landscapes(study: Study, expansion: Expansion, figure: Figure) -> tuple[list[Panel], pd.DataFrame, pd.DataFrame]:
    """The panels of a figure of landscapes, a table of their numbers, and one of where each comes from."""
    store = Store(Path(study.store))
    panels: list[Panel] = []
    points, runs = [], []
    for entry, job in expansion.landscapes[figure.landscape or ""]:
        landscape = read_landscape(store.landscape(job.id), job.spec)
        keys = {"figure": figure.name} | activation_columns(entry)
        panels.append((keys["activation_label"], landscape.arrays))
        points.append(landscape_table(keys, landscape.arrays))
        origin = {name: everywhere(landscape.provenance, name) for name in ("code", *ORIGINS)}
        runs.append({**keys, "run": job.id, **origin, "adopted": adopted(landscape.provenance)})
    return panels, pd.concat(points, ignore_index=True), pd.DataFrame(runs)


def mixed_origins(runs: pd.DataFrame) -> str:
    """What differs between the processes behind a figure's results, ``mixes jax 0.10.2, 0.10.3; threads 1, 2``, or "".

    The code hash stays out: runs of different methods have different code by design, and each run's own is the current one,
    because it's part of its id, unless it was adopted.
    """
    found = {}
    for name in ORIGINS:
        values = _distinct(runs, name, f"measurement_{name}")
        found[name] = sorted({part for value in values for part in value.split(THEN)})
    mixed = [f"{name} {', '.join(values)}" for name, values in found.items() if len(values) > 1]
    return f"mixes {'; '.join(mixed)}" if mixed else ""


def adopted_runs(runs: pd.DataFrame) -> str:
    """How many of a figure's runs or measurements were computed by other code that was declared to give the same, or ""."""
    columns = [name for name in ("adopted", "measurement_adopted") if name in runs]
    marked = (runs[columns].fillna("") != "").any(axis=1).groupby(runs["run"]).any()  # a run may have many rows
    return f"{int(marked.sum())} of {len(marked)} results of other code, adopted" if marked.any() else ""


def _distinct(runs: pd.DataFrame, *names: str) -> list[str]:
    """The values of some columns, where they are, each once."""
    return sorted({str(value) for name in names if name in runs for value in runs[name].dropna()})
