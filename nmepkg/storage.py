"""Where everything is in a store of results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmepkg.records import Kind

RESULT = Kind("result", 3, "delete the folder {folder} and train the run again")
MEASUREMENT = Kind("measurement", 2, "delete the file and measure the run again")
LANDSCAPE = Kind("landscape", 2, "delete the file and compute it again")
CODE = Kind("list of modules", 1, "delete the file")
FIGURE = Kind("record of a figure", 1, "delete it to have the figure drawn again")


@dataclass(frozen=True)
class Store:
    """Paths of a store. Several studies and people may share one: everything is named by what it is.

    A run's folder has ``result.json`` and ``params.npz`` once it is finished, and until then ``state.json``, what its training
    is doing, and ``checkpoint.npz``.
    """

    root: Path

    def data(self, identity: str) -> Path:
        return self.root / "data" / f"{identity}.npz"

    def run(self, run: str) -> Path:
        return self.root / "runs" / run

    def result(self, run: str) -> Path:
        return self.run(run) / "result.json"

    def measurement(self, run: str, identity: str) -> Path:
        return self.root / "measurements" / run / f"{identity}.json"

    def landscape(self, identity: str) -> Path:
        return self.root / "landscapes" / f"{identity}.npz"

    @property
    def compiled(self) -> Path:
        """The compilation cache."""
        return self.root / "cache" / "jax"

    def code(self, code: str) -> Path:
        """What a code hash stands for: the hash of every module."""
        return self.root / "code" / f"{code}.json"


def figure_record(folder: Path, figure: str, digest: str) -> Path:
    """What says that the files of a figure in ``folder`` are those of ``digest``."""
    return folder / "records" / figure / f"{digest}.json"
