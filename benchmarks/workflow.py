"""How the cost of planning and looking grows with the number of runs: seconds, CPU seconds and memory.

    python benchmarks/workflow.py [--runs 1000 10000 50000] [--rounds 1] [--out FOLDER] [--workdir FOLDER]

Nothing is trained: results are made up, ``benchmarks/made_up.py``, for one run, for half of the seeds, and for all. Each step
is a process of its own, as a user or Snakemake starts it; figures are ten, one after another. With ``--out`` the table is
written there as ``growth.csv``, with a picture of it, ``growth.png``. This process itself stays small: the peak memory of
another counts what that was before it became another program.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable
Command = list[str]
FINGERPRINT = """
import time
from pathlib import Path
from nmepkg.runs.fingerprint import PACKAGE, fingerprint
paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")]
modules = [".".join(path.parts).removesuffix(".__init__") for path in paths]
start = time.perf_counter()
fingerprint(modules)
print(time.perf_counter() - start)
"""
EXPANSION = """
import sys
from pathlib import Path
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
expand(load(Path(sys.argv[1])))
"""
FIGURES = [f"figure_{place}" for place in range(1, 11)]


class Cost(NamedTuple):
    """Of one process with its children, or of several, one after another."""

    wall_s: float
    cpu_s: float
    memory_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--rounds", type=int, default=1, help="of each step, whose median counts")
    parser.add_argument("--out", type=Path, help="folder for growth.csv and growth.png")
    parser.add_argument(
        "--workdir", type=Path, help="folder for studies and results, which go again (default: a temporary one)"
    )
    arguments = parser.parse_args()
    fingerprints(max(3, arguments.rounds))
    rows = [row for count in arguments.runs for row in measured(count, arguments.rounds, arguments.workdir)]
    if arguments.out:
        from growth_picture import draw  # only now, see above

        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "growth.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("step", "finished", "runs", *Cost._fields))
            writer.writerows(rows)
        draw(arguments.out / "growth.csv", arguments.out / "growth.png")


def fingerprints(rounds: int) -> None:
    """Hashing all code of the package, which no number of runs changes."""
    for what, first in (("fingerprint of the package, first time", True), ("fingerprint of the package", False)):
        seconds = []
        for _ in range(rounds):
            for memory in ROOT.glob("nmepkg/__pycache__/fingerprints-*.json") if first else ():
                memory.unlink()
            seconds.append(float(run([PYTHON, "-c", FINGERPRINT])[1]))
        print(f"{what}: {statistics.median(seconds):.3f} s", flush=True)


def measured(count: int, rounds: int, workdir: Path | None) -> Iterator[tuple[object, ...]]:
    """Rows of the table, and a line for each."""
    with tempfile.TemporaryDirectory(dir=workdir) as folder:
        study = Path(folder) / "study.yaml"
        made = [PYTHON, "benchmarks/made_up.py"]
        runs = int(run([*made, "study", str(study), "--runs", str(count)])[1])
        for finished, steps in stages(study).items():
            if finished != "none":
                run([*made, "results", str(study), "--finished", finished])
            for step, commands in steps.items():
                found = [total(run(command)[0] for command in commands) for _ in range(rounds)]
                cost = Cost(*(statistics.median(values) for values in zip(*found, strict=True)))
                print(
                    f"{runs:6} runs, {finished} finished, {step}: {cost.wall_s:.1f} s, CPU {cost.cpu_s:.1f} s, "
                    f"{cost.memory_mb:.0f} MB",
                    flush=True,
                )
                yield step, finished, runs, round(cost.wall_s, 2), round(cost.cpu_s, 2), round(cost.memory_mb)


def stages(study: Path) -> dict[str, dict[str, list[Command]]]:
    """How much is finished -> what is measured then: step -> commands."""
    output = study.parent / "store"
    figures, table = output / "figures" / "mnist1d", output / "claims" / "mnist1d.csv"
    of_study = ["--study", str(study)]

    def plan(target: str) -> Command:
        return [PYTHON, "-m", "snakemake", "--profile", "profiles/local", target, "--config", f"study={study}"]

    def script(name: str, *more: str) -> Command:
        return [PYTHON, f"workflow/scripts/{name}.py", *of_study, "--out", str(figures), *more]

    dry = [[*plan("figures"), "-n", "--quiet", "all"]]
    status, explain = [[PYTHON, "-m", "nmepkg", command, *of_study] for command in ("status", "explain")]
    return {
        "none": {"expansion": [[PYTHON, "-c", EXPANSION, str(study)]], "plan": dry},
        "one": {"explain": [explain]},
        "half": {"status": [status], "explain": [explain], "plan": dry},
        "all": {
            "status": [status],
            "figures": [script("figure", "--figure", name) for name in FIGURES],
            "claims": [script("claims", "--table", str(table))],
            "page": [script("page", "--table", str(table))],
            "origin": [script("origin", *(str(figures / f"{name}.runs.csv") for name in FIGURES))],
            "plan": dry,
            "report": [[*plan("report"), "--report", str(study.parent / "report.html")]],
        },
    }


def run(command: Command) -> tuple[Cost, str]:
    """What a command costs, and what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{text}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), text


def total(costs: Iterator[Cost]) -> Cost:
    """Of processes one after another: times add up, of memory the most counts."""
    walls, cpus, memories = zip(*costs, strict=True)
    return Cost(sum(walls), sum(cpus), max(memories))


if __name__ == "__main__":
    main()
