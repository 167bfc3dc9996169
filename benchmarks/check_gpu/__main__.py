"""``python -m benchmarks.check_gpu``: see :mod:`benchmarks.check_gpu`. Imports no JAX, which would take the card's memory."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import benchmarks.check_gpu as about
from benchmarks.check_gpu import outcomes
from benchmarks.check_gpu.outcomes import Outcome, Task
from benchmarks.gpu.cases import gpus
from nmepkg.errors import UserError

ROOT = Path(__file__).parents[2]
_GRACE = 30  # seconds to end by itself after its time is up


class Stage(NamedTuple):
    """One stage.

    Attributes:
      title: what it does.
      share: of all the minutes, at most; what earlier ones leave is the last one's.
    """

    title: str
    share: float


STAGES = {
    "machine": Stage("driver, versions, and what the card can do at best", 0.06),
    "numerics": Stage("products, methods and trainings beside float64", 0.2),
    "rounding": Stage("what shortened products do to methods' steps", 0.12),
    "steps": Stage("time and memory of steps, beside PyTorch", 0.4),
    "sharing": Stage("trainings that share the card", 0.1),
    "study": Stage("a study of Fashion-MNIST, seed after seed", 1.0),
}


def check(folder: Path, minutes: float, names: Sequence[str], small: bool) -> bool:
    """Runs what is missing of some stages; returns whether none has failed.

    Raises:
      UserError: the folder holds the check of another machine.
    """
    where = _where(small)
    folder.mkdir(parents=True, exist_ok=True)
    for name in STAGES:
        there = outcomes.read(folder, name)
        if there is not None and there["where"] != where:
            raise UserError(
                f"{folder}: has the check of {there['where']}, and this is {where}; name another by CHECK_OUT=FOLDER"
            )
    end = time.monotonic() + 60 * minutes
    for name in names:
        there = outcomes.read(folder, name)
        if there is None or there["state"] != "passed":
            left = end - time.monotonic()
            if left <= 0:
                break
            seconds = min(left, 60 * minutes * STAGES[name].share)
            print(f"{name}: {STAGES[name].title}, at most {seconds:.0f} s", flush=True)
            _stage(name, Task(folder, seconds, small), where)
        _tell(folder)
    return _summary(folder)


def _stage(name: str, task: Task, where: dict[str, str]) -> None:
    """A stage in a process of its own, which is ended, with all that it started, when its time is up."""
    command = [sys.executable, "-m", "benchmarks.check_gpu", "--stage", name]
    command += ["--out", str(task.folder), "--seconds", str(task.seconds), *(["--small"] if task.small else [])]
    began, file = time.monotonic(), task.folder / f"{name}.json"
    file.unlink(missing_ok=True)
    with (
        (task.folder / f"{name}.log").open("ab") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True) as process,
    ):
        try:
            status: int | None = process.wait(task.seconds + _GRACE)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):  # it, and what it has left
                try:
                    os.killpg(process.pid, number)
                    process.wait(5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass
    seconds = time.monotonic() - began
    if (found := outcomes.read(task.folder, name)) is not None:
        done = Outcome(found["state"], found["line"], found["found"])
    elif status is None:
        done = Outcome("cut off", f"cut off after {seconds:.0f} s; called again, it goes on")
    else:
        done = Outcome("failed", f"ended with {status}; {log.name} says why")
    outcomes.write(task.folder, name, done, seconds, where)


def _tell(folder: Path) -> None:
    """The lines of all stages that have left one, in a file that is renewed after each."""
    lines = []
    for name in STAGES:
        if (there := outcomes.read(folder, name)) is not None:
            lines.append(f"{name} ({there['state']}, {there['seconds']:.0f} s): {there['line']}\n")
    (folder / "lines.txt").write_text("".join(lines), encoding="utf-8")


def _summary(folder: Path) -> bool:
    print("\n" + (folder / "lines.txt").read_text(encoding="utf-8"), end="")
    states = {name: (outcomes.read(folder, name) or {"state": "not begun"})["state"] for name in STAGES}
    left = [name for name, state in states.items() if state != "passed"]
    if left:
        print(f"left: {', '.join(left)}; the same command again goes on with them")
    print(f"All of it is in {folder}")
    return "failed" not in states.values()


def _where(small: bool) -> dict[str, str]:
    """Which machine and versions a check is of, and whether it was in small: what must not be mixed."""
    versions = {name: _version(name) for name in ("nmepkg", "jax", "jaxlib")}
    device = ", ".join(sorted(set(gpus()))) or platform.processor() or platform.machine()
    return {"device": device, **versions, **({"small": "yes"} if small else {})}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=about.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(STAGES), metavar="A,B")
    parser.add_argument("--small", action="store_true", help="try it on a CPU")
    parser.add_argument("--prepare", action="store_true", help="the study's data alone")
    parser.add_argument("--archives", type=Path, help="folder of Fashion-MNIST's archives, for --prepare")
    parser.add_argument("--out", type=Path, default=Path("results/check-gpu"))
    parser.add_argument("--stage", help=argparse.SUPPRESS)  # one stage, in the process that is its own
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    try:
        if given.stage:
            began, task = time.monotonic(), Task(given.out, given.seconds, given.small)
            done = importlib.import_module(f"benchmarks.check_gpu.{given.stage}").run(task)
            outcomes.write(given.out, given.stage, done, time.monotonic() - began, _where(given.small))
        elif given.prepare:
            from benchmarks.check_gpu import study

            print(study.prepare(given.out, given.archives))
        else:
            if unknown := [name for name in given.only if name not in STAGES]:
                raise UserError(f"--only: no stage is called {unknown[0]!r}; there are {', '.join(STAGES)}")
            sys.exit(not check(given.out, given.minutes, given.only, given.small))
    except UserError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
