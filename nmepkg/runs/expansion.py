"""What a study is expanded to: runs, other jobs, and the cells of its figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from nmepkg.study.spec import Cell, Figure, Spec


@dataclass(frozen=True)
class Run:
    """One training: its canonical spec, the hash of its code, the data it needs."""

    id: str
    spec: Spec
    code: str
    data_id: str


@dataclass(frozen=True)
class Job:
    """What is computed (data, a measurement of a run, a landscape; by jobs also a run): canonical spec, hash of its code.

    Attributes:
      run: the run that is measured.
      snapshots: of a run, the steps after which its parameters are kept. They are no part of what it is.
    """

    id: str
    spec: Spec
    code: str
    run: str | None = None
    snapshots: tuple[int, ...] = ()


@dataclass(frozen=True)
class Expansion:
    """All that a study asks for, and the cells in the study's order.

    Attributes:
      runs: id -> run.
      datasets: data id -> preparation of the data.
      measurements: id -> measurement of a run.
      landscapes: name in the study -> its panels, one an activation: (activation as written, job).
    """

    runs: Mapping[str, Run]
    datasets: Mapping[str, Job]
    cells: tuple[Cell, ...]
    measurements: Mapping[str, Job] = field(default_factory=dict)
    landscapes: Mapping[str, tuple[tuple[Spec, Job], ...]] = field(default_factory=dict)

    def panels(self) -> dict[str, Job]:
        """Id -> panel of a landscape, each once."""
        return {job.id: job for panels in self.landscapes.values() for _, job in panels}

    def snapshots(self, without: Collection[str] = ()) -> dict[str, tuple[int, ...]]:
        """Run id -> the steps at which measurements want its parameters, where there are any.

        Args:
          without: ids of measurements that ask for nothing any more: they are there.
        """
        steps: dict[str, set[int]] = {}
        for job in self.measurements.values():
            if job.id not in without and (wanted := [at for at in job.spec["at"] if isinstance(at, int)]):
                steps.setdefault(str(job.run), set()).update(wanted)
        return {run: tuple(sorted(found)) for run, found in steps.items()}

    def setup_of(self) -> dict[str, str]:
        """Run id -> the setup that a run is of; the first in the study, where several have it."""
        setups: dict[str, str] = {}
        for cell in self.cells:
            setups.setdefault(cell.run_id, cell.setup)
        return setups

    def cells_of(self, figure: Figure) -> tuple[Cell, ...]:
        """The cells behind a figure, in the order in which it names their experiments.

        Of planes those of each experiment's first seed: every net's is its own plane, of its own directions, and a mean over
        seeds would be the loss of no net.
        """
        from nmepkg.study.axes import in_panel  # jobs of runs, which know no figures, do without

        cells = tuple(
            cell
            for name in figure.experiments
            for cell in self.cells
            if cell.experiment == name and in_panel(figure, cell)
        )
        if figure.kind != "plane":
            return cells
        first: dict[str, int] = {}
        return tuple(cell for cell in cells if cell.seed == first.setdefault(cell.experiment, cell.seed))

    def runs_of(self, figure: Figure) -> tuple[str, ...]:
        """Ids of the runs behind a figure, each once."""
        return tuple(dict.fromkeys(cell.run_id for cell in self.cells_of(figure)))

    def measurements_of(self, figure: Figure) -> tuple[str, ...]:
        """Ids of the measurements behind a figure, each once; none where it draws evaluations."""
        if figure.measurement is None:
            return ()
        return tuple(dict.fromkeys(cell.measurements[figure.measurement] for cell in self.cells_of(figure)))
