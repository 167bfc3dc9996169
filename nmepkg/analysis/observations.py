"""The numbers of a run that a figure draws, and what its tables say about them besides."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nmepkg import surroundings
from nmepkg.analysis.measurements import quantity, standard_error
from nmepkg.analysis.results import metric
from nmepkg.storage import Store
from nmepkg.study.axes import Observation
from nmepkg.study.spec import Cell, Figure

Content = Mapping[str, Any]  # of a file

# What of the processes behind a result may have changed its numbers: a column each of tables, and figures tell if they mix.
ORIGINS = ("nmepkg", "python", "jax", "flax", "optax", "numpy", "device", "platform", *surroundings.KEYS)


THEN = " then "  # between the versions of processes that continued one run


def everywhere(provenance: Mapping[str, Any], name: str) -> str:
    """A version or device of every process that worked on a result, in their order: ``0.10.2``, or ``0.10.2 then 0.10.3``.

    What is not set, or does not matter there, is ``none``.
    """
    values = [part.get(name) for part in (*provenance.get("earlier", ()), provenance)]
    return THEN.join(dict.fromkeys("none" if value in (None, "") else str(value) for value in values))


def adopted(provenance: Mapping[str, Any]) -> str:
    """Of a result that serves for later code than that which computed it: from which id, and why. Otherwise empty."""
    return "; ".join(f"{step['from']}: {step['reason']}" for step in provenance.get("adopted", ()))


@dataclass(frozen=True)
class Source:
    """The files behind a figure, as read.

    Attributes:
      results: run id -> content of its ``result.json``.
      measurements: (run id, measurement id) -> content of its file; empty where the figure draws evaluations.
    """

    store: Store
    results: Mapping[str, Content]
    measurements: Mapping[tuple[str, str], Content] = field(default_factory=dict)

    def measurement(self, figure: Figure, cell: Cell) -> Content | None:
        """The measurement of a cell's run that a figure draws, or None where it draws evaluations."""
        if figure.measurement is None:
            return None
        return self.measurements[cell.run_id, cell.measurements[figure.measurement]]

    def optimizer(self, cell: Cell) -> str:
        """The name of the optimiser of a cell's run."""
        return str(self.results[cell.run_id]["spec"]["optimizer"]["name"])

    def observe(self, figure: Figure, cell: Cell) -> list[Observation]:
        """Everything that the figure draws of a cell: every quantity, at every point and radius of its measurement.

        Raises:
          UserError: the run lacks a metric, or its measurement a quantity.
        """
        content = self.measurement(figure, cell)
        if content is None:
            result, path = self.results[cell.run_id], self.store.result(cell.run_id)
            completed = result["status"] == "completed"
            return [
                Observation(y, metric(result, figure.report, y, path) if completed else None, result["status"])
                for y in figure.y
            ]
        path = self.store.measurement(content["run"], content["measurement"])
        seen = []
        radii = content["spec"].get("radii", [None])
        for point, y, radius in itertools.product(content["points"], figure.y, radii):
            value = quantity(content, point, y, path, radius)
            # Of a point that is not finite, single quantities may be: those count.
            status = point["status"] if value is None else "measured"
            status = "not_finite" if value is None and status == "measured" else status
            se = standard_error(content, point, y, path, radius)
            seen.append(Observation(y, value, status, point["at"], point["step"], radius, se))
        return seen

    def describe(self, figure: Figure, cell: Cell, seen: Observation) -> dict[str, Any]:
        """The columns of a run's table that say what was found, and by which code and versions.

        A figure of evaluations has all metrics of each of them, a figure of measurements the number drawn and its standard
        error. A diverged run has no evaluation that speaks for it: its fields are empty, though its result holds the last that
        was finite. Columns that start with ``_`` are internal.
        """
        result = self.results[cell.run_id]
        provenance = result["provenance"]
        versions = {name: everywhere(provenance, name) for name in ("code", *ORIGINS)}
        versions["adopted"] = adopted(provenance)
        completed = result["status"] == "completed"
        columns: dict[str, Any] = {"seed": cell.seed, "run": cell.run_id}
        diverged = {"diverged_step": None if completed else result["diverged"]["step"]}  # by when it was noticed
        content = self.measurement(figure, cell)
        if content is not None:
            columns |= {"measurement": content["measurement"], "status": seen.status, "_y": seen.value, "se": seen.se}
            columns |= {"_train": None, "run_status": result["status"]} | diverged
            provenance = content["provenance"]
            versions |= {f"measurement_{name}": everywhere(provenance, name) for name in ("code", *ORIGINS)}
            return columns | versions | {"measurement_adopted": adopted(provenance)}
        path = self.store.result(cell.run_id)
        columns |= {"status": seen.status, "_y": seen.value} | diverged
        columns["_train"] = metric(result, figure.report, "train_accuracy", path) if completed else None
        metrics = [name for name in result["history"][0] if name not in ("epoch", "step")]
        for report, count in (("final", "epoch"), ("best_validation", "epoch"), ("median_last", "evaluations")):
            row = (result[report] if completed else None) or {}
            columns |= {f"{report}_{name}": row.get(name) for name in (count, *metrics)}
        return columns | versions
