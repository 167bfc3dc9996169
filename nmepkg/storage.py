"""Where everything is in a store of results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.files import present
from nmepkg.records import Kind

RESULT = Kind("result", 3, "delete the folder {folder} and train the run again")
STATE = Kind("state of a training", 1, "delete it")
MEASUREMENT = Kind("measurement", 2, "delete the file and measure the run again")
LANDSCAPE = Kind("landscape", 2, "delete the file and compute it again")
LEFT_OUT = Kind("list of files that an archive left out", 1, "delete it; then the run is trained again")
CODE = Kind("list of modules", 1, "delete the file")
FIGURE = Kind("record of a figure", 1, "delete it to have the figure drawn again")
PAGE = Kind("record of a page", 1, "delete it to have the page made again")
ORIGIN = Kind("record of where figures come from", 1, "delete it to have it collected again")


@dataclass(frozen=True)
class Store:
    """Paths of a store. Several studies and people may share one: everything is named by what it is.

    A run's folder has ``result.json``, ``params.npz`` and the snapshots that measurements asked for once it is finished, and
    until then ``state.json``, what its training is doing, and ``checkpoint.npz``.
    """

    root: Path

    def data(self, identity: str) -> Path:
        return self.root / "data" / f"{identity}.npz"

    def data_files(self, identity: str) -> tuple[Path, Path]:
        """The arrays of a data set, and what they are: neither is read without the other."""
        arrays = self.data(identity)
        return arrays, arrays.with_suffix(".json")

    def run(self, run: str) -> Path:
        return self.root / "runs" / run

    def result(self, run: str) -> Path:
        return self.run(run) / "result.json"

    def finished(self, run: str, snapshots: Collection[int] = ()) -> bool:
        """Whether all that is asked of a run is there: its result, its parameters, and those after some steps.

        Of a run that was imported without its parameters, the result alone is (:func:`lost`). It may have kept more.

        Args:
          snapshots: the steps, of :meth:`nmepkg.runs.expansion.Expansion.snapshots`.

        Raises:
          OSError: the run's folder is closed to this user.
        """
        if not present(self.result(run)):
            return False
        if not snapshots and present(self.params(run)):
            return True
        try:
            return not lost(self.run(run), records.read(self.result(run), RESULT, {}), snapshots)
        except records.DamagedError:
            return False

    def left_out(self, run: str) -> Path:
        """Which files of a run an archive had not, from which its result is."""
        return self.run(run) / "left_out.json"

    def state(self, run: str) -> Path:
        return self.run(run) / "state.json"

    def params(self, run: str) -> Path:
        return self.run(run) / "params.npz"

    def snapshot(self, run: str, step: int) -> Path:
        return self.run(run) / "snapshots" / f"{step}.npz"

    def measurement(self, run: str, identity: str) -> Path:
        return self.root / "measurements" / run / f"{identity}.json"

    def landscape(self, identity: str) -> Path:
        return self.root / "landscapes" / f"{identity}.npz"

    @property
    def claims(self) -> Path:
        """Records of looks at claims, a folder for each thing that is compared."""
        return self.root / "claims"

    @property
    def compiled(self) -> Path:
        """The compilation cache."""
        return self.root / "cache" / "jax"

    def code(self, code: str) -> Path:
        """What a code hash stands for: the hash of every module."""
        return self.root / "code" / f"{code}.json"


def gone(folder: Path, result: Mapping[str, Any]) -> Iterator[Path]:
    """The files that a run's result in ``folder`` speaks of and that are there no more."""
    return (folder / name for name in result["files"] if not present(folder / name))


def lacking(folder: Path, result: Mapping[str, Any], snapshots: Collection[int]) -> list[Path]:
    """What is asked of a run and not there: parameters, and snapshots as far as it came before it diverged."""
    names = ["params.npz"]
    if snapshots:
        last = (result["diverged"] or result["final"])["step"]
        names += [f"snapshots/{step}.npz" for step in snapshots if step <= last]
    return [folder / name for name in names if name not in result["files"] or not present(folder / name)]


def lost(folder: Path, result: Mapping[str, Any], snapshots: Collection[int] = ()) -> list[Path]:
    """The same but for parameters that an archive left out. Of snapshots it excuses none: what asks for them is yet to come.

    Raises:
      DamagedError: the list of what was left out is not what was written.
    """
    missing, params, path = lacking(folder, result, snapshots), folder / "params.npz", folder / "left_out.json"
    if params in missing and present(path):
        # By its hash: a run that was trained again here since then has all of its own files.
        known = records.read(path, LEFT_OUT, {})["files"]
        if known.get(params.name) == result["files"].get(params.name):
            missing.remove(params)
    return missing


def figure_record(folder: Path, figure: str, digest: str) -> Path:
    """What says that the files of a figure in ``folder`` are those of ``digest``, or of ``origin``, where all come from."""
    return folder / "records" / figure / f"{digest}.json"
