"""From a study and the results of its runs to the files of one figure."""

from __future__ import annotations

import hashlib
from pathlib import Path

import matplotlib
import pandas as pd

from nmepkg.analysis.curves import PLACE, Curves, collect
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.observations import VERSIONS, Source
from nmepkg.analysis.results import read_results
from nmepkg.analysis.save import Origin, save
from nmepkg.analysis.style import RC
from nmepkg.files import written_whole
from nmepkg.registry import FIGURES
from nmepkg.study.spec import Expansion, Figure, Study


def render(study: Study, expansion: Expansion, figure: Figure, stem: Path) -> list[str]:
    """Writes ``stem``.pdf, .svg, .png, .csv (a row a point) and .runs.csv (a row a run); returns warnings.

    Raises:
      UserError: results or measurements are missing, or not those asked for.
    """
    name = figure.name
    store = Path(study.store)
    cells = expansion.cells_of(figure)
    specs = {cell.run_id: expansion.runs[cell.run_id].spec for cell in cells}
    jobs = [expansion.measurements[job] for job in expansion.measurements_of(figure)]
    source = Source(store, read_results(store, specs), read_measurements(store, jobs, specs))
    curves = collect(figure, cells, source)
    note = mixed_versions(curves.runs)
    origin = Origin(
        study.name, name, figure.title or name, _digest(curves.runs, "code"), _digest(curves.runs, "run"), note
    )
    draw = FIGURES[figure.kind].load()  # (curves, titles of the setups) -> matplotlib Figure
    with matplotlib.rc_context(RC):
        save(draw(curves, {key: setup.title for key, setup in study.setups.items()}), stem, origin)
    write_tables(curves, stem, note)
    return [f"figure {name!r}: {note}"] if note else []


def write_tables(curves: Curves, stem: Path, note: str) -> None:
    """The points and the runs behind a figure, as CSV with full precision; an empty field is a missing number."""
    points = curves.points.drop(columns=PLACE).assign(note=note)
    runs = curves.runs.drop(columns=[*PLACE, *(name for name in curves.runs if str(name).startswith("_"))])
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
