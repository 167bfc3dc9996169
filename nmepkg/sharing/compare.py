"""Two stores side by side: which means of a study's figures are further apart than seeds explain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from nmepkg.analysis.curves import PLACE, collect
from nmepkg.analysis.observations import Source
from nmepkg.analysis.statistics import mean_interval
from nmepkg.errors import UserError
from nmepkg.records import to_json
from nmepkg.registry import STRENGTHS
from nmepkg.runs.expansion import Expansion
from nmepkg.sharing import checking, importing
from nmepkg.storage import MEASUREMENT, Store
from nmepkg.study.spec import Figure, Study
from nmepkg.upkeep.survey import names, read_if_whole, read_results

# Of a point: equal to the last bit; no further apart than seeds explain; further; other runs diverged; too few seeds to tell.
SAME, WITHIN, MOVED, DIVERGED, UNTOLD = "same", "within", "moved", "diverged", "one seed"
_TWICE = (
    "step",
    "quantity",
    *STRENGTHS,
)  # of a table of points: axes that it has under other names, or that runs differ in


@dataclass(frozen=True)
class Comparison:
    """What two stores have of a study's figures.

    Attributes:
      table: a row a point that both have; docs/sharing.md has its columns.
      apart: how many points only the first, and only the second has.
      left: what was not compared: a line each.
      level: of intervals.
    """

    table: pd.DataFrame
    apart: tuple[int, int]
    left: Sequence[str]
    level: float

    def count(self, verdict: str) -> int:
        """How many points of a verdict there are."""
        return int((self.table["verdict"] == verdict).sum())

    @property
    def by_chance(self) -> float:
        """How many points would be beyond their interval, on average, were there nothing but chance between the two.

        A share 1 − level of those that have one; the equal ones, which nothing lies between, left out.
        """
        return (1 - self.level) * (self.count(WITHIN) + self.count(MOVED))


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """The store in a folder, or that of an archive, checked and unpacked for as long.

    Raises:
      UserError: it is neither.
    """
    if not path.is_dir():
        checked = checking.check(path)
        with TemporaryDirectory() as folder:
            importing.put(checked, Store(Path(folder)), parameters=False)
            yield Store(Path(folder))
    elif names(path / "runs"):
        yield Store(path)
    else:
        raise UserError(
            f"{path}: no store: there are no runs; name the folder that a study calls 'store', or an archive"
        )


def compare(study: Study, expansion: Expansion, stores: tuple[Store, Store], level: float = 0.95) -> Comparison:
    """Compares every mean of a study's figures in two stores.

    Results are found by their specs, whichever code they are of: the one of this code, or else the latest. Of seeds that both
    have, the difference is paired, d̄ ± t · s_d / √n; where fewer than two are, it is Welch's.

    Raises:
      UserError: the two have nothing in common.
    """
    found = [_source(store, expansion) for store in stores]
    rows: dict[str, dict[str, Any]] = {}
    apart, left = [set[str](), set[str]()], []
    for figure in study.figures.values():
        if figure.landscape is not None or figure.kind == "plane":
            left.append(f"{figure.name}: {'landscapes' if figure.landscape else 'planes'} have no means over seeds")
            continue
        try:
            points = [_points(figure, expansion, source) for source in found]
        except UserError as problem:
            left.append(f"{figure.name}: {problem}")
            continue
        for i in (0, 1):
            apart[i] |= points[i].keys() - points[1 - i].keys()
        for key in points[0].keys() & points[1].keys():
            if key not in rows:
                a, b = points[0][key], points[1][key]
                rows[key] = {**a.labels, **_compared(a.values, b.values, level)}
    if not rows:
        where = " and ".join(str(store.root) for store in stores)
        raise UserError(f"{study.path}: no point of its figures is in both {where}; name the study by --study")
    table = pd.DataFrame(rows.values())
    order = ["figure", "setup", "y_name", "method", "activation", "strength", "x"]
    table = table.sort_values([name for name in order if name in table], ignore_index=True)
    table["p_holm"] = _holm(table["p"].to_numpy())
    table["verdict"] = table.pop("verdict")  # last
    return Comparison(table, (len(apart[0]), len(apart[1])), left, level)


@dataclass(frozen=True)
class _Point:
    labels: dict[str, Any]
    values: dict[int, float]  # seed -> what was found, NaN where the run diverged


def _source(store: Store, expansion: Expansion) -> Source:
    """The results of a store by the ids that they would have by the code as it is now."""
    there = read_results(store)
    by_spec: dict[str, Mapping[str, Any]] = {}
    for result in sorted(there.values(), key=lambda result: result["provenance"]["start"]):
        by_spec[to_json(result["spec"])] = result
    results = {
        run.id: found
        for run in expansion.runs.values()
        if (found := there.get(run.id) or by_spec.get(to_json(run.spec))) is not None
    }
    measured = {}
    for job in expansion.measurements.values():
        if job.run in results:
            found = _measured(store, str(results[job.run]["run"]), job.id, job.spec)
            if found is not None:
                measured[job.run, job.id] = found
    return Source(store, results, measured)


def _measured(store: Store, run: str, id: str, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    folder = store.root / "measurements" / run
    there = [read_if_whole(folder / name, MEASUREMENT) for name in sorted(names(folder)) if name.endswith(".json")]
    same = [content for content in there if content and content["spec"] == spec]
    own = [content for content in same if content["measurement"] == id]
    return max(own or same, key=lambda content: content["provenance"]["start"], default=None)


def _points(figure: Figure, expansion: Expansion, source: Source) -> dict[str, _Point]:
    """The points of a figure by what they are of: in each store that is the same text."""
    cells = [
        cell
        for cell in expansion.cells_of(figure)
        if cell.run_id in source.results
        and (figure.measurement is None or (cell.run_id, cell.measurements[figure.measurement]) in source.measurements)
    ]
    if not cells:
        return {}
    curves = collect(figure, cells, source)
    columns = list(map(str, curves.points))
    named = [name for name in columns[: columns.index("n_seeds")] if name not in (*PLACE, *_TWICE)]
    # The same runs are behind points of several figures, and at strength 0 of several methods: they count once.
    of = {cell.run_id: to_json({**expansion.runs[cell.run_id].spec, "seed": None}) for cell in cells}
    measured = {content["measurement"]: content["spec"] for content in source.measurements.values()}
    found: dict[str, _Point] = {}
    for _, group in curves.runs.groupby([*PLACE, "x"], sort=False):
        first = {str(name): value for name, value in group.iloc[0].to_dict().items()}
        where = {name: first.get(name) for name in ("at", "radius")} | {"y": first["_quantity"]}
        where["of"] = measured[first["measurement"]] if figure.measurement else figure.report
        where |= {"x": float(first["x"])} if figure.x == "step" else {}
        where = {name: None if value is None or value != value else value for name, value in where.items()}
        key = to_json({**where, "run": of[first["run"]]})
        labels = {name: first["_quantity"] if name == "y_name" else first[name] for name in named}
        found.setdefault(key, _Point(labels, dict(zip(group["seed"], group["_y"], strict=True))))
    return found


def _compared(a: Mapping[int, float], b: Mapping[int, float], level: float) -> dict[str, Any]:
    """The columns that say how far apart two points are."""
    row: dict[str, Any] = {}
    for name, values in (("a", a), ("b", b)):
        there = [value for value in values.values() if not math.isnan(value)]
        estimate = mean_interval(there, level)
        row |= {f"{name}_n_seeds": estimate.n, f"{name}_n_diverged": len(values) - estimate.n}
        row |= {f"{name}_mean": estimate.mean, f"{name}_ci_low": estimate.low, f"{name}_ci_high": estimate.high}
    common = sorted(a.keys() & b.keys())
    unlike = any(math.isnan(a[seed]) != math.isnan(b[seed]) for seed in common)
    differences = [b[seed] - a[seed] for seed in common if not math.isnan(b[seed] - a[seed])]
    row |= {"n_paired": len(differences)} | dict(zip(_OF, _difference(differences, a, b, level), strict=True))
    if unlike:
        verdict = DIVERGED
    elif a.keys() == b.keys() and not any(differences):
        verdict = SAME
    elif math.isnan(row["p"]):
        verdict = UNTOLD
    else:
        verdict = MOVED if row["p"] < 1 - level else WITHIN
    return row | {"verdict": verdict, "p": math.nan if verdict == SAME else row["p"]}


_OF = ("difference", "difference_ci_low", "difference_ci_high", "p")


def _difference(
    paired: Sequence[float], a: Mapping[int, float], b: Mapping[int, float], level: float
) -> tuple[float, float, float, float]:
    """b − a with its interval, and the p-value of no difference: paired, or Welch's; NaN where there is none."""
    if len(paired) > 1:
        d = np.asarray(paired, np.float64)
        return _t(float(d.mean()), float(d.std(ddof=1) / math.sqrt(d.size)), d.size - 1, level)
    x, y = (np.array([v for v in values.values() if not math.isnan(v)], np.float64) for values in (a, b))
    difference = float(y.mean() - x.mean()) if x.size and y.size else math.nan
    if min(x.size, y.size) < 2:
        return difference, math.nan, math.nan, math.nan
    u, v = x.var(ddof=1) / x.size, y.var(ddof=1) / y.size
    degrees = (u + v) ** 2 / (u**2 / (x.size - 1) + v**2 / (y.size - 1)) if u + v else 1.0
    return _t(difference, math.sqrt(u + v), float(degrees), level)


def _t(difference: float, error: float, degrees: float, level: float) -> tuple[float, float, float, float]:
    half = float(stdtrit(degrees, (1 + level) / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(difference) / error)) if error else float(difference == 0)
    return difference, difference - half, difference + half, p


def _holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, NaN where there is none: below α, all of them hold together with probability 1 − α."""
    adjusted = np.full(p.shape, np.nan)
    there = np.flatnonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted
