"""Measures, prints, and keeps a table."""

from __future__ import annotations

import argparse
import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers import cases, operators
from benchmarks.peers.__main__ import PACKAGES, THEIR_ENVIRONMENT, cpu, ours_environment
from benchmarks.peers.operators import errors, tasks
from benchmarks.peers.turns import Worker, on_cores, rounds

_TURN = 0.05  # seconds that a turn takes at least


class Together:
    """The three workers, on one network at a time."""

    def __init__(self, ours: Worker, theirs: Worker, matfree: Worker, budget: float) -> None:
        self.ours, self.theirs, self.matfree, self.budget = ours, theirs, matfree, budget
        self._network: str | None = None

    def use(self, network: str) -> None:
        if network != self._network:
            given = self.theirs.ask("use", network)
            self._vectors = given[3]
            self.parameters = self.ours.ask("use", network, *given)
            self.matfree.ask("use", network, *given)
            self._network, self._exact = network, dict[str, Any]()

    def ask(self, library: str, what: str, task: str, *arguments: Any) -> Any:
        if library in (cases.OURS, tasks.MATFREE):
            return (self.ours if library == cases.OURS else self.matfree).ask(what, task, *arguments)
        return self.theirs.ask(what, library, task, *arguments)

    def rows(self, network: str, task: str, most: int) -> list[dict[str, Any]]:
        """A row for each library: medians of the rounds, memory, error, or why there is none."""
        self.use(network)
        found = {library: self._checked(network, library, task) for library in (cases.OURS, *tasks.TASKS[task].others)}
        turns = {
            library: partial(self.ask, library, "seconds", task) for library, row in found.items() if not row["failure"]
        }
        times = {library: np.array(seconds) for library, seconds in rounds(turns, most, self.budget, _TURN).items()}
        for library, seconds in times.items():
            found[library] |= {
                "seconds": np.median(seconds),
                "ratio": np.median(times[cases.OURS] / seconds) if cases.OURS in times else np.nan,
                "rounds": len(seconds),
                "megabytes": self.ask(library, "memory", task) / 1e6,
            }
        return list(found.values())

    def _checked(self, network: str, library: str, task: str) -> dict[str, Any]:
        """Its row without times; what is beyond the task's bound is a failure."""
        row = {"network": network, "task": task, "library": library, "error": np.nan, "failure": ""}
        try:
            self.ask(library, "value", task, 0)  # where nothing exact is at hand, it is not to fail later
            error = errors.of(network, library, task, partial(self.ask, library, "value", task), self._float64)
        except RuntimeError as problem:
            return row | {"failure": str(problem)}
        if error is not None:
            row["error"] = error
            if not error <= tasks.TASKS[task].bound:
                row["failure"] = f"an error of {error:.1e}, above {tasks.TASKS[task].bound:g}"
        return row

    def _float64(self, what: str, *arguments: Any) -> Any:
        """What PyTorch gives in double precision; without arguments it is kept."""
        if arguments:
            return self.theirs.ask(what, *arguments)
        if what not in self._exact:
            vectors = {tasks.PRODUCT: self._vectors[:1], tasks.TOGETHER: self._vectors}.get(what)
            asked = ("hessian",) if vectors is None else ("products", vectors, True)
            self._exact[what] = self.theirs.ask(*asked)
        return self._exact[what]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=operators.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="at most; fewer, but 5, where they take long")
    parser.add_argument("--budget", type=float, default=5, help="seconds on the clock, of a task's rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="what NETWORK/TASK begins with")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder of operators.csv")
    arguments = parser.parse_args()
    try:
        wanted = tasks.chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    threads = on_cores(arguments.threads)
    packages = PACKAGES | {tasks.MATFREE: "matfree"}
    constant = {"threads": threads, "cpu": cpu(), "date": datetime.date.today().isoformat()}
    file = arguments.out / "operators.csv"
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    here = "benchmarks.peers.operators"
    with (
        Worker(f"{here}.ours:Ours", environment=ours_environment()) as ours,
        Worker(f"{here}.theirs:Theirs", threads, environment=THEIR_ENVIRONMENT) as theirs,
        Worker(f"{here}.with_matfree:WithMatfree", environment=ours_environment()) as matfree,
    ):
        together = Together(ours, theirs, matfree, arguments.budget)
        for network, task in wanted:
            for row in together.rows(network, task, arguments.rounds):
                row |= {"version": version(packages[row["library"]]), "parameters": together.parameters, **constant}
                found.append(row)
                print(_line(row), flush=True)
            pd.DataFrame(found).to_csv(file, index=False, float_format="%.4g")  # what there is, if it is cut off
    print(f"\n{file}")


def _line(row: dict[str, Any]) -> str:
    title = f"{row['network'] + ', ' + row['task']:40}{row['library']:20}"
    if row["failure"]:
        return f"{title}failed: {row['failure']}"
    error = "" if np.isnan(row["error"]) else f"error {row['error']:.1e}"
    return f"{title}{1e3 * row['seconds']:10.2f} ms{row['ratio']:7.2f}{row['megabytes']:8.1f} MB  {error}".rstrip()


if __name__ == "__main__":
    main()
