"""One page to look at: the figures of a study with captions and verdicts, in one file of HTML that needs no other."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from nmepkg import records
from nmepkg.analysis.explored import explored
from nmepkg.analysis.explorer import explorer
from nmepkg.analysis.labels import number
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.results import read_results
from nmepkg.analysis.templates import write
from nmepkg.errors import UserError
from nmepkg.runs.compared import compared_measurements, compared_runs, study_comparisons
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import FIGURE, Store
from nmepkg.study.spec import Figure, Study

Content = dict[str, Any]  # of a file

_ORDER = ("supported", "contradicted", "undecided")


def page(study: Study, expansion: Expansion, folder: Path, verdicts: Path) -> str:
    """The HTML of a study's page.

    Args:
      folder: of its figures, which are drawn.
      verdicts: the table of verdicts, read if the study has claims.

    Raises:
      UserError: a figure, the table or a result cannot be read.
    """
    rows = _rows(verdicts) if study.claims else []
    setups_of = Counter(row["claim"] for row in rows)
    claims = [
        {
            **_claim(study, row),
            "first": place == 0 or rows[place - 1]["claim"] != row["claim"],
            "setups": setups_of[row["claim"]],
        }
        for place, row in enumerate(rows)
    ]
    counted = Counter(claim["verdict"] for claim in claims)
    results, measured = _read(study, expansion)
    setups = _setups(study, expansion, results)
    html = write(
        "page.html",
        name=study.name,
        runs=sum(setup["runs"] for setup in setups),
        diverged=sum(setup["diverged"] for setup in setups),
        claims=claims,
        counts=", ".join(f"{counted[verdict]} {verdict}" for verdict in _ORDER),
        forest=_svg(folder / "claims.svg", "claims") if claims else "",
        table=f"../../claims/{verdicts.name}",
        figures=[_figure(figure, folder, claims) for figure in study.figures.values()],
        setups=setups,
        explorer=explorer(explored(study, expansion, results, measured)) if results else "",
    )
    return str(html)


def _figure(figure: Figure, folder: Path, claims: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    path = max((folder / "records" / figure.name).glob("*.json"), default=None)
    if path is None:
        raise UserError(f"{folder}: figure {figure.name!r} is not drawn; draw it first (snakemake does)")
    mine = [claim for claim in claims if claim["figure"] == figure.name]
    found = "; ".join(f"{claim['says']} {claim['setup']}: {claim['verdict']}" for claim in mine)
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "alt": " ".join(filter(None, (figure.title, figure.caption, found))),
        "svg": _svg(folder / f"{figure.name}.svg", figure.name),
        "note": records.read(path, FIGURE, {})["note"],
        "claims": mine,
    }


def _svg(path: Path, name: str) -> Markup:
    """A figure as part of a page: without head and metadata, its size on paper as the one it is shown at; its ids are its own.

    Nor has it its title and description, which the page says in their place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); delete it to have it drawn again") from None
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|title|desc)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r' role="img" aria-labelledby="[^"]*"', "", text, count=1)
    # Twice as large as on paper, where the window has room: letters of figures of a column and of a page are then as large.
    text = re.sub(
        r'(<svg[^>]*?) width="([\d.]*)pt" height="[^"]*"', r'\1 style="--natural: calc(2 * \2px)"', text, count=1
    )
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    return Markup(text)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); judge the claims first (snakemake does)") from None


def _claim(study: Study, row: Mapping[str, str]) -> dict[str, Any]:
    setup = study.setups[row["setup"]].title if row["setup"] in study.setups else ""
    factor, interval = row["unit"] == "factor", ""
    unit = " points" if row["unit"] == "points" else ""
    if row["ci_low"]:
        interval = f"{number(_three(row['ci_low']))} to {number(_three(row['ci_high']))}"
    effect = _three(row["effect"]) if row["effect"] else None
    return {
        "figure": row["figure"],
        "says": row["says"],
        "setup": setup or row["setup"],
        "effect": ""
        if effect is None
        else (f"× {number(effect)}" if factor else f"{effect:+g}{unit}").replace("-", "−"),
        "interval": interval.replace("-", "−"),
        "seeds": row["n_seeds"] if int(row["n_seeds"]) else "–",
        "verdict": row["verdict"],
    }


def _three(value: str) -> float:
    return float(f"{float(value):.3g}")


def _read(study: Study, expansion: Expansion) -> tuple[dict[str, Content], dict[tuple[str, str], Content]]:
    """The results that figures and claims show, and the measurements, as :mod:`nmepkg.analysis.explorer` takes them."""
    store, compared = Store(Path(study.store)), study_comparisons(study, expansion)
    shown = {run for figure in study.figures.values() for run in expansion.runs_of(figure)}
    shown |= set(compared_runs(compared))
    specs = {id: run.spec for id, run in expansion.runs.items() if id in shown}
    taken = {id for figure in study.figures.values() for id in expansion.measurements_of(figure)}
    taken |= set(compared_measurements(study, compared))
    jobs = [job for id, job in expansion.measurements.items() if id in taken]
    return read_results(store, specs), read_measurements(store, jobs, specs)


def _setups(study: Study, expansion: Expansion, results: Mapping[str, Content]) -> list[dict[str, Any]]:
    """How many runs there are of each setup, and how many of them diverged."""
    setup_of = expansion.setup_of()
    counts = Counter(setup_of[run] for run in results)
    diverged = Counter(setup_of[run] for run, result in results.items() if result["status"] == "diverged")
    return [
        {"title": setup.title or name, "runs": counts[name], "diverged": diverged[name]}
        for name, setup in study.setups.items()
        if counts[name]
    ]
