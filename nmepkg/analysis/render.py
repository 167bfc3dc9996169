"""From a study and the results of its runs to the files of one figure."""

from __future__ import annotations

import hashlib
from pathlib import Path

import matplotlib
import pandas as pd

from nmepkg.analysis.curves import PLACE, Curves, collect
from nmepkg.analysis.labels import activation_label
from nmepkg.analysis.landscapes import Panel, landscape_path, read_landscape, table
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.observations import VERSIONS, Source
from nmepkg.analysis.results import read_results
from nmepkg.analysis.save import Origin, save
from nmepkg.analysis.style import RC
from nmepkg.files import written_whole
from nmepkg.registry import FIGURES
from nmepkg.study.spec import Expansion, Figure, Study


def render(study: Study, expansion: Expansion, figure: Figure, stem: Path) -> list[str]:
    """Writes ``stem``.pdf, .svg, .png, .csv (a row a point) and .runs.csv (a row a run or landscape); returns warnings.

    Raises:
      UserError: results, measurements or landscapes are missing, or not those asked for.
    """
    draw = FIGURES[figure.kind].load()
    with matplotlib.rc_context(RC):
        if figure.landscape is not None:
            panels, runs = _landscapes(study, expansion, figure)
            canvas, points = draw(panels, figure.title), table(panels)
        else:
            curves = _curves(study, expansion, figure)
            canvas = draw(curves, {key: setup.title for key, setup in study.setups.items()})
            points, runs = tables(curves)
        note = mixed_versions(runs)
        title = figure.title or figure.name
        save(canvas, stem, Origin(study.name, figure.name, title, _digest(runs, "code"), _digest(runs, "run"), note))
    write_tables(points.assign(note=note), runs, stem)
    return [f"figure {figure.name!r}: {note}"] if note else []


def _curves(study: Study, expansion: Expansion, figure: Figure) -> Curves:
    store, cells = Path(study.store), expansion.cells_of(figure)
    specs = {cell.run_id: expansion.runs[cell.run_id].spec for cell in cells}
    jobs = [expansion.measurements[job] for job in expansion.measurements_of(figure)]
    return collect(figure, cells, Source(store, read_results(store, specs), read_measurements(store, jobs, specs)))


def _landscapes(study: Study, expansion: Expansion, figure: Figure) -> tuple[list[Panel], pd.DataFrame]:
    """The panels of a figure of landscapes, and a table of where each comes from."""
    panels: list[Panel] = []
    rows = []
    for entry, job in expansion.landscapes[figure.landscape or ""]:
        landscape = read_landscape(landscape_path(Path(study.store), job.id), job.spec)
        label = activation_label(entry)
        panels.append((label, landscape.arrays))
        origin = {name: landscape.provenance.get(name) for name in ("code", *VERSIONS)}
        rows.append({"figure": figure.name, "activation": label, "run": job.id, **origin})
    return panels, pd.DataFrame(rows)


def tables(curves: Curves) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and runs of a figure of curves, without what only drawing needs."""
    internal = [name for name in curves.runs if str(name).startswith("_")]
    return curves.points.drop(columns=PLACE), curves.runs.drop(columns=[*PLACE, *internal])


def write_tables(points: pd.DataFrame, runs: pd.DataFrame, stem: Path) -> None:
    """What a figure draws and what is behind it, as CSV with full precision; an empty field is a missing number."""
    for suffix, frame in ((".csv", points), (".runs.csv", runs)):
        text = frame.to_csv(index=False, lineterminator="\n")
        with written_whole(stem.with_name(f"{stem.name}{suffix}")) as file:
            file.write(text.encode())


def mixed_versions(runs: pd.DataFrame) -> str:
    """What differs between the environments of a figure's runs and measurements: ``mixed versions: jax 0.10.2, 0.10.3`` or "".

    The code fingerprint stays out: runs of different methods have different code by design, and each run's own is
    the current one, because it's part of its id.
    """
    found = {}
    for name in VERSIONS:
        columns = [column for column in (name, f"measurement_{name}") if column in runs]
        found[name] = sorted({str(value) for column in columns for value in runs[column]})
    mixed = [f"{name} {', '.join(values)}" for name, values in found.items() if len(values) > 1]
    return f"mixed versions: {'; '.join(mixed)}" if mixed else ""


def _digest(runs: pd.DataFrame, name: str) -> str:
    """Of what the runs of a figure are, or their code, and of the measurements that it draws, or theirs."""
    columns = [column for column in (name, "measurement_code" if name == "code" else "measurement") if column in runs]
    values = sorted({str(value) for column in columns for value in runs[column].dropna()})
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:12]
