"""What a study is, once checked and expanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Spec = dict[str, Any]  # JSON-able, canonical: every option present, numbers of their declared type


@dataclass(frozen=True)
class Resources:
    """What one job of a setup needs of a machine; no part of what a run is.

    Attributes:
      gpus: that a run is computed on, all of one machine; 0: it is computed on the CPU.
      cpus: threads.
      memory_gb: main memory.
      hours: that one run may take. A training that takes longer goes on in the next job.
    """

    gpus: int = 0
    cpus: int = 1
    memory_gb: float = 4.0
    hours: float = 1.0


@dataclass(frozen=True)
class Setup:
    """Data, model and recipe of a training: everything in a run's spec but method, activation and seed.

    Attributes:
      title: how figures call it.
      spec: ``data``, ``validation``, ``subset``, ``augmentation``, ``model``, ``loss``, ``optimizer`` and ``training``.
      device_hours: estimate of one training by SGD, on a ``device``; no part of what a run is.
      resources: that a job needs.
      runs_per_job: how many runs one job trains.
      runs_at_once: how many of them at a time, each in a process of its own.
    """

    name: str
    title: str
    spec: Spec
    device_hours: float | None = None
    device: str | None = None
    resources: Resources = Resources()
    runs_per_job: int = 1
    runs_at_once: int = 1


@dataclass(frozen=True)
class Experiment:
    """A grid: every setup with every method, activation, strength and seed.

    Attributes:
      methods, activations: entries as written (name, options, label), lists among the options already expanded.
      strengths: ``rho`` or ``sigma2`` -> values; a method takes those of its own kind.
      measurements: names of what is measured of each run.
    """

    name: str
    setups: tuple[str, ...]
    methods: tuple[Spec, ...]
    activations: tuple[Spec, ...]
    strengths: Mapping[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    measurements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """What a figure draws. A landscape has a ``landscape``, a curve has all the rest, and a plane of that no x, y or lines.

    An axis (of x, rows, columns, lines) is ``setup``, ``method``, ``activation``, ``experiment``, a strength (``rho``) or an
    option (``beta``); where several things are drawn, ``quantity``; and of a measurement ``at`` and ``step``.

    Attributes:
      y: metrics of the run's evaluation, or quantities of the ``measurement``.
      report: which evaluation counts, ``final``, ``best_validation`` or ``median_last``.
      width: in inches; None: that of a column or of a page's text.
      style: how it looks besides: ``font``, ``font_size``, ``math``, ``svg``, and ``colors`` of what its lines are told by.
      panel: axis of rows or columns -> the value of the only panels that are drawn; empty: all.
      options: of a kind of an extension's, which has all that a curve has.
      differences: what the paired differences below each panel are to, ``first_line`` or ``strength_0``; None: there are none.
    """

    name: str
    title: str = ""
    caption: str = ""
    width: float | None = None
    kind: str = "curve"
    landscape: str | None = None
    experiments: tuple[str, ...] = ()
    measurement: str | None = None
    x: str = ""
    y: tuple[str, ...] = ("test_accuracy",)
    rows: str | None = None
    columns: str | None = None
    lines: str | None = None
    x_scale: str = "log"
    y_scale: str = "linear"
    report: str = "final"
    differences: str | None = None
    style: Mapping[str, Any] = field(default_factory=dict)
    panel: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Line:
    """A method with an activation, at any strength; both as written, complete with their options."""

    method: Spec
    activation: Spec


@dataclass(frozen=True, eq=False)
class Arm:
    """One side of a comparison: of every seed, one number.

    Attributes:
      line: what is trained; of a landscape its activation alone counts.
      strength: of the method, or the line whose best strength it is: for each seed, that of the highest mean validation
        accuracy of the line's other seeds.
      y: which metric, quantity of the figure's measurement, or number of a landscape.
      at: where it was measured: ``initial``, ``final``, a step, or a share of training (``40%``).
      radius: the one of the measurement's ``radii`` that counts.
      within: of a landscape, what counts as near a boundary, in units of 1/β.
      minus: what is subtracted of it, of the same seed.
      per_step: whether that difference is divided by the training steps between them.
    """

    line: Line
    strength: float | Line = 0.0
    y: str = "test_accuracy"
    at: str | int | None = None
    radius: float | None = None
    within: float | None = None
    minus: Arm | None = None
    per_step: bool = False


@dataclass(frozen=True)
class Claim:
    """What is said of two arms, and how it is judged; once for each setup.

    Attributes:
      figure: that shows it, whose measurement and evaluation are compared.
      says: the sentence, of the paper or of who asks.
      b: an arm, or a number that the first one is compared with.
      expect: of a against b: ``less``, ``greater``, ``equal`` or ``different``.
      smallest: the smallest effect of interest: points of accuracy, a factor on the scale ``log``, else in units of y.
      scale: ``log`` compares ratios.
      diverged: what a diverged run's accuracy counts as: ``chance``, or ``left_out``.
      setups: that it is judged in; None: those of the figure that have the runs of both.
    """

    name: str
    figure: str
    says: str
    a: Arm
    b: Arm | float
    expect: str
    smallest: float
    scale: str = "linear"
    diverged: str = "chance"
    setups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Comparison:
    """A claim in one setup, with the runs that judge it; of a landscape, ``setup`` is its name and there are no runs.

    Attributes:
      seeds: that all of its arms have.
      runs: arm -> its runs (strength -> seed -> cell), and those by which its strength is chosen.
    """

    claim: Claim
    setup: str
    seeds: tuple[int, ...] = ()
    runs: Mapping[Arm, tuple[Mapping[float, Mapping[int, Cell]], Mapping[float, Mapping[int, Cell]]]] = field(
        default_factory=dict
    )

    def cells(self) -> list[Cell]:
        """Every cell that it reads."""
        sides = [side for pair in self.runs.values() for side in pair]
        return [runs[seed] for side in sides for runs in side.values() for seed in self.seeds]


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
      store: the folder of all results, relative to the working directory; several studies may share it.
      output: the folder of figures and logs.
      checkpoints: ``seconds`` and ``epochs`` between two of them, or None.
      measurements: name -> canonical spec.
      landscapes: name -> its panels, one an activation: (activation as written, canonical spec).
      sources: name of a data set -> folder of its archives, or of what they were made into.
      select: the setups that are left of those in the file; None: all.
      extensions: modules that add to what a study may name; of the study's folder, or installed.
      smoke: whether it is the small study made of the one in the file.
      pins: figure -> digest of the numbers that it had when it was published.
      style: how all figures look that say nothing else, as a figure's.
    """

    path: Path
    name: str
    store: str
    output: str
    checkpoints: Mapping[str, float | None]
    setups: Mapping[str, Setup]
    measurements: Mapping[str, Spec]
    landscapes: Mapping[str, tuple[tuple[Spec, Spec], ...]]
    experiments: Mapping[str, Experiment]
    figures: Mapping[str, Figure]
    sources: Mapping[str, str] = field(default_factory=dict)
    select: tuple[str, ...] | None = None
    extensions: tuple[str, ...] = ()
    smoke: bool = False
    claims: Mapping[str, Claim] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    style: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One point of an experiment's grid and the run that answers for it; several cells may share a run.

    Attributes:
      method, activation: as written in the study, before canonicalisation: at ρ = 0, PSAM's cell has SGD's run.
      strength: of the method; 0 for a method without one.
      axes: the values of the options of method and activation.
      measurements: name of a measurement -> its id.
    """

    experiment: str
    setup: str
    method: Spec
    activation: Spec
    strength: float
    seed: int
    axes: Spec
    run_id: str
    measurements: Mapping[str, str] = field(default_factory=dict)
