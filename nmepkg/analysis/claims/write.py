"""From a study and the results of its runs to its verdicts: a table, and a forest plot of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

from nmepkg import records
from nmepkg.analysis.claims.forest import forest
from nmepkg.analysis.claims.judge import Judged, judge, table, verdicts
from nmepkg.analysis.save import FORMATS, save
from nmepkg.analysis.style import rc
from nmepkg.files import file_sha256, written_whole
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.looks import declared_before, looks_at
from nmepkg.storage import FIGURE, Store, figure_record
from nmepkg.study.spec import Study

NAME = "claims"


def write(study: Study, expansion: Expansion, csv: Path, folder: Path, identity: Mapping[str, Any]) -> pd.DataFrame:
    """Judges a study's claims and records that they were looked at: ``csv``, ``folder``/claims.pdf, .svg, .png.

    Args:
      folder: of the study's figures.
      identity: what makes the verdicts what they are, ``nmepkg.runs.figure_identity.claims_identity``.

    Raises:
      UserError: results are missing, or not those asked for.
    """
    judged = look_at(study, expansion)
    found = table(study, judged)
    origin = {
        "study": study.name,
        "figure": NAME,
        "title": "Claims",
        "caption": "Effects with intervals, in units of the smallest effect of interest, a row a claim and setup.",
        "digest": identity["digest"],
        "note": "",
    }
    record = figure_record(folder, NAME, identity["digest"])
    for old in record.parent.glob("*.json"):
        old.unlink()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # as of figures
        matplotlib.rcParams.update(rc(study.style))
        titles = {name: setup.title for name, setup in study.setups.items()}
        save(forest(judged, verdicts(judged), titles), folder / NAME, origin)
    with written_whole(csv) as file:
        file.write(found.to_csv(index=False, lineterminator="\n").encode())
    hashes = {path.name: file_sha256(path) for path in (folder / f"{NAME}.{suffix}" for suffix in FORMATS)}
    records.write(record, FIGURE, {**origin, **identity, "files": hashes, "table_sha256": file_sha256(csv)})
    return found


def look_at(study: Study, expansion: Expansion) -> list[Judged]:
    """Judges a study's claims, and records that they were looked at.

    Raises:
      UserError: results are missing, or not those asked for.
    """
    store = Store(Path(study.store))
    return judge(
        study,
        expansion,
        lambda comparison: looks_at(store, study, comparison).record(comparison.seeds),
        lambda comparison: declared_before(store, study, comparison),
    )
