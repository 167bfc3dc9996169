"""What the claims of a study compare, found among its runs."""

from __future__ import annotations

from collections.abc import Iterable

from nmepkg.records import to_json
from nmepkg.runs.expansion import Expansion
from nmepkg.study import arms
from nmepkg.study.claims import comparisons
from nmepkg.study.spec import Comparison, Study


def study_comparisons(study: Study, expansion: Expansion) -> list[Comparison]:
    """Every claim of a study in each of its setups, in the study's order."""
    if not study.claims:
        return []
    texts = {
        id: to_json({key: value for key, value in run.spec.items() if key != "seed"})
        for id, run in expansion.runs.items()
    }
    known = arms.index(expansion.cells, lambda cell: texts[cell.run_id], lambda cell: (cell.seed,))
    return [found for claim in study.claims.values() for found in comparisons(study, claim, known)]


def compared_runs(found: Iterable[Comparison]) -> list[str]:
    """Ids of the runs that are compared, each once."""
    return list(dict.fromkeys(cell.run_id for comparison in found for cell in comparison.cells()))


def compared_measurements(study: Study, found: Iterable[Comparison]) -> list[str]:
    """Ids of the measurements that are compared, each once."""
    measured = ((study.figures[one.claim.figure].measurement, one) for one in found)
    return list(dict.fromkeys(cell.measurements[name] for name, one in measured if name for cell in one.cells()))
