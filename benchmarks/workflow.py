"""Seconds that planning and looking take on studies of many runs.

    python benchmarks/workflow.py [--rounds 3] [--runs 1000 5000]

The default study with as many seeds as it takes. Nothing is trained: results are made up, for all runs, for all but one seed,
and for none. What Python itself takes to start is part of all times but the fingerprint's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from nmepkg import records
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Run
from nmepkg.runs.fingerprint import PACKAGE
from nmepkg.storage import RESULT, Store
from nmepkg.study.load import load

ROOT = Path(__file__).parents[1]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 5000])
    arguments = parser.parse_args()

    def fingerprint() -> float:
        return float(call([sys.executable, "-c", FINGERPRINT]))

    def unread() -> float:
        for memory in PACKAGE.glob("__pycache__/fingerprints-*.json"):
            memory.unlink()
        return fingerprint()

    report("fingerprint of the package, sources read the first time", unread, arguments.rounds)
    report("fingerprint of the package", fingerprint, arguments.rounds)
    for count in arguments.runs:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), count, arguments.rounds)


def measure(folder: Path, count: int, rounds: int) -> None:
    study, store = folder / "study.yaml", Store(folder / "store")
    write(study, store.root, count)
    runs = expand(load(study)).runs
    last = max(run.spec["seed"] for run in runs.values())
    plan = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "-n", "--quiet", "all"]
    plan += ["--config", f"study={study}", "--", "all"]

    def upkeep(command: str) -> Callable[[], float]:
        return lambda: wall([sys.executable, "-m", "nmepkg", command, "--study", str(study)])

    def expansion() -> float:
        start = time.perf_counter()
        expand(load(study))
        return time.perf_counter() - start

    report(f"{len(runs)} runs, reading and expanding the study", expansion, rounds)
    report(f"{len(runs)} runs, none finished, snakemake -n", lambda: wall(plan), rounds)
    made_up(store, next(iter(runs.values())))
    report(f"{len(runs)} runs, one finished, explain", upkeep("explain"), rounds)
    for run in runs.values():
        if run.spec["seed"] != last:
            made_up(store, run)
    for command in ("status", "explain"):
        report(f"{len(runs)} runs, one seed missing, {command}", upkeep(command), rounds)
    report(f"{len(runs)} runs, one seed missing, snakemake -n", lambda: wall(plan), rounds)


def report(what: str, measure: Callable[[], float], rounds: int) -> None:
    seconds = [measure() for _ in range(rounds)]
    print(f"{what}: {statistics.median(seconds):.3f} s (from {min(seconds):.3f} to {max(seconds):.3f})", flush=True)


def wall(command: list[str]) -> float:
    start = time.perf_counter()
    call(command)
    return time.perf_counter() - start


def call(command: list[str]) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def made_up(store: Store, run: Run) -> None:
    """A result such as training writes, of the default study's length."""
    sets = ("train", "validation", "test")
    row = {f"{name}_{what}": 0.123456789012345 for name in sets for what in ("loss", "accuracy")}
    history = [{"epoch": epoch, "step": 28 * epoch, **row} for epoch in range(0, 51, 10)]
    content = {
        "run": run.id,
        "spec": run.spec,
        "status": "completed",
        "diverged": None,
        "final": history[-1],
        "best_validation": history[0],
        "history": history,
        "files": {"params.npz": "0" * 64},
        "provenance": {"data": run.data_id, "code": run.code, "wall_seconds": 4.2, "earlier": [], "start": "2026"},
    }
    records.write(store.result(run.id), RESULT, content)
    store.run(run.id).joinpath("params.npz").touch()


def write(path: Path, store: Path, count: int) -> None:
    """Writes the default study with enough seeds for ``count`` runs or a few more."""
    runs = expand(load(ROOT / "config" / "config.yaml")).runs.values()
    per_seed = sum(run.spec["seed"] == 0 for run in runs)
    content = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    content |= {"store": str(store), "output": str(store), "limit_runs": 10 * count}
    for setup in content["setups"].values():  # YAML 1.1 reads 5e-4 as text
        setup["optimizer"]["weight_decay"] = float(setup["optimizer"]["weight_decay"])
    for experiment in content["experiments"].values():
        experiment["seeds"] = list(range(-(-count // per_seed)))
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


if __name__ == "__main__":
    main()
