"""Measures, prints, and keeps a table and its picture."""

from __future__ import annotations

import argparse
import datetime
import platform
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.peers import cases, errors, table
from benchmarks.peers.plot import plot
from benchmarks.peers.turns import Worker, on_cores, rounds
from nmepkg import surroundings

PACKAGES = {
    cases.OURS: "jax",  # which decides its speed
    cases.PYTORCH: "torch",
    cases.CURVLINOPS: "curvlinops-for-pytorch",
    cases.PYHESSIAN: "PyHessian",
    cases.EIGENTHINGS: "hessian-eigenthings",
}
THEIR_ENVIRONMENT = {"PYTHONWARNINGS": "ignore"}  # of libraries about one another


class Pair:
    """The two workers, on one network at a time."""

    def __init__(self, ours: Worker, theirs: Worker, budget: float) -> None:
        self.ours, self.theirs, self.budget = ours, theirs, budget
        self._network: str | None = None

    def use(self, network: str) -> None:
        if network == self._network:
            return
        self.parameters = self.ours.ask("use", network, *self.theirs.ask("use", network))
        self._network, self._exact = network, dict[str, Any]()

    def measure(self, case: cases.Case, most: int) -> tuple[dict[str, list[float]], dict[str, float], dict[str, str]]:
        """(library -> seconds of rounds, library -> error, library -> why it failed)."""
        self.use(case.network)
        turns: dict[str, Callable[[int], float]] = {
            cases.OURS: partial(self.ours.ask, "seconds", case.task),
            **{library: partial(self.theirs.ask, "seconds", library, case.task) for library in case.others},
        }
        values: dict[str, Callable[[int], Any]] = {
            cases.OURS: partial(self.ours.ask, "value", case.task),
            **{library: partial(self.theirs.ask, "value", library, case.task) for library in case.others},
        }
        found: dict[str, float] = {}
        failures: dict[str, str] = {}
        for library in list(turns):
            try:
                turns[library](1)
                if case.group == "curvature" and (error := self._error(case, values[library])) is not None:
                    found[library] = error
            except RuntimeError as error:
                failures[library] = str(error)
                del turns[library]
        return rounds(turns, most, self.budget), found, failures

    def _error(self, case: cases.Case, value: Callable[[int], Any]) -> float | None:
        if case.task in ("H v", "G v"):
            return errors.of_products(value(0), self._reference(case.task))
        if case.network == cases.SMALL:
            return errors.of_task(case.task, value, self._reference("H"), cases.DRAWS)
        return None

    def _reference(self, task: str) -> Any:
        if task not in self._exact:
            self._exact[task] = self.theirs.ask("exact", task)
        return self._exact[task]


def cpu() -> str:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _lines(path: str) -> Iterable[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else ()


def main() -> None:
    parser = argparse.ArgumentParser(description=peers.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="at most; fewer, but 5, where they take long")
    parser.add_argument("--budget", type=float, default=12, help="seconds of a case's rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose GROUP/NETWORK/TASK begins with this pattern")
    parser.add_argument(
        "--out", type=Path, default=Path("results/benchmarks"), help="folder of peers.csv and peers.png"
    )
    arguments = parser.parse_args()
    try:
        wanted = cases.chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    threads = on_cores(arguments.threads)
    versions = {library: version(package) for library, package in PACKAGES.items()}
    versions[cases.OURS] = f"with jax {versions[cases.OURS]}"
    constant = {
        "threads": threads,
        "cpu": cpu(),
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }
    print(", ".join(f"{library} {number}" for library, number in versions.items()))
    print(f"{constant['cpu']}, {threads} threads, float32; an error is relative to float64\n\n{table.HEADER}")
    found: list[dict[str, Any]] = []
    file = arguments.out / "peers.csv"
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (
        Worker("benchmarks.peers.ours:Ours", environment=ours_environment()) as ours,
        Worker("benchmarks.peers.theirs:Theirs", threads, environment=THEIR_ENVIRONMENT) as theirs,
    ):
        pair = Pair(ours, theirs, arguments.budget)
        for case in wanted:
            measured = pair.measure(case, arguments.rounds)
            new = table.rows(case, *measured, {**constant, "parameters": pair.parameters}, versions)
            found += new
            table.save(found, file)  # so that a run that is cut off has what it measured
            print("\n".join(table.lines(new)), flush=True)
    picture = file.with_suffix(".png")
    plot(table.load(file), picture)
    print(f"\n{file}, {picture}")


def ours_environment() -> dict[str, str]:
    """Variables of our process: as of a job's, where the user sets none."""
    environment: dict[str, str] = {}
    surroundings.compile_fast(environment)
    return environment


if __name__ == "__main__":
    main()
