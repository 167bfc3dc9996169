"""From a study and the results of its runs to the files of one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from nmepkg import records
from nmepkg.analysis.curves import PLACE, Curves, collect
from nmepkg.analysis.labels import activation_label
from nmepkg.analysis.landscapes import MAPS, Panel, read_landscape
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.observations import ORIGINS, THEN, Source, adopted, everywhere
from nmepkg.analysis.results import read_results
from nmepkg.analysis.save import FORMATS, save
from nmepkg.analysis.style import RC
from nmepkg.files import file_sha256, written_whole
from nmepkg.registry import FIGURES
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import FIGURE, Store, figure_record
from nmepkg.study.setups import classes
from nmepkg.study.spec import Figure, Study


def render(study: Study, expansion: Expansion, figure: Figure, folder: Path, identity: Mapping[str, Any]) -> str:
    """Draws a figure: ``folder``/NAME.pdf, .svg, .png, .csv (a row a point), .runs.csv (a row a run or landscape).

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
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's matplotlibrc says: equal figures are equal files
        matplotlib.rcParams.update(RC)
        if figure.landscape is not None:
            panels, runs = _landscapes(study, expansion, figure)
            canvas, points = draw(panels, figure.title), landscape_table(panels)
        else:
            curves = _curves(study, expansion, figure)
            titles = {key: setup.title for key, setup in study.setups.items()}
            chance = {key: 1 / classes(setup.spec["data"]) for key, setup in study.setups.items()}
            canvas = draw(curves, titles, chance)
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


def _curves(study: Study, expansion: Expansion, figure: Figure) -> Curves:
    store, cells = Store(Path(study.store)), expansion.cells_of(figure)
    specs = {cell.run_id: expansion.runs[cell.run_id].spec for cell in cells}
    jobs = [expansion.measurements[job] for job in expansion.measurements_of(figure)]
    return collect(figure, cells, Source(store, read_results(store, specs), read_measurements(store, jobs, specs)))


def _landscapes(study: Study, expansion: Expansion, figure: Figure) -> tuple[list[Panel], pd.DataFrame]:
    """The panels of a figure of landscapes, and a table of where each comes from."""
    store = Store(Path(study.store))
    panels: list[Panel] = []
    rows = []
    for entry, job in expansion.landscapes[figure.landscape or ""]:
        landscape = read_landscape(store.landscape(job.id), job.spec)
        label = activation_label(entry)
        panels.append((label, landscape.arrays))
        origin = {name: everywhere(landscape.provenance, name) for name in ("code", *ORIGINS)}
        origin["adopted"] = adopted(landscape.provenance)
        rows.append({"figure": figure.name, "activation": label, "run": job.id, **origin})
    return panels, pd.DataFrame(rows)


def tables(curves: Curves) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and runs of a figure of curves, without what only drawing needs."""
    internal = [name for name in curves.runs if str(name).startswith("_")]
    return curves.points.drop(columns=PLACE), curves.runs.drop(columns=[*PLACE, *internal])


def landscape_table(panels: Sequence[Panel]) -> pd.DataFrame:
    """The numbers of a figure, a row a point: w1, w2, activation, loss, norm_N, norm_N_layer, norm_G.

    Args:
      panels: as of ``nmepkg.analysis.figures.landscape.draw``.
    """
    frames = []
    for label, landscape in panels:
        w1, w2 = np.meshgrid(landscape["w1"], landscape["w2"])
        maps = {key: landscape[key].ravel() for key in MAPS}
        frames.append(pd.DataFrame({"w1": w1.ravel(), "w2": w2.ravel(), "activation": label, **maps}))
    return pd.concat(frames, ignore_index=True)


def write_tables(points: pd.DataFrame, runs: pd.DataFrame, stem: Path) -> None:
    """What a figure draws and what is behind it, as CSV with full precision; an empty field is a missing number."""
    for suffix, frame in ((".csv", points), (".runs.csv", runs)):
        text = frame.to_csv(index=False, lineterminator="\n")
        with written_whole(stem.with_name(f"{stem.name}{suffix}")) as file:
            file.write(text.encode())


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
