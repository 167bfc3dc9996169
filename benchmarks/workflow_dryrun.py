"""Seconds of `snakemake -n` on studies of many runs.

    python benchmarks/workflow_dryrun.py [--rounds 3] [--runs 1000 5000]

The default study with as many seeds as it takes; nothing is trained and nothing is written to its store.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from nmepkg.study.expand import expand
from nmepkg.study.load import load

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 5000])
    arguments = parser.parse_args()
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.runs:
            study = Path(folder, f"{count}.yaml")
            runs = write(study, Path(folder, "store"), count)
            start = time.perf_counter()
            expand(load(study))
            expansion = time.perf_counter() - start
            command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "-n", "--quiet", "all"]
            command += ["--config", f"study={study}", "--", "all"]
            seconds = []
            for _ in range(arguments.rounds):
                start = time.perf_counter()
                subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
                seconds.append(time.perf_counter() - start)
            print(
                f"{runs} runs: {statistics.median(seconds):.2f} s (from {min(seconds):.2f} to {max(seconds):.2f}), "
                f"of which reading and expanding the study {expansion:.2f} s"
            )


def write(path: Path, store: Path, count: int) -> int:
    """Writes the default study with enough seeds for ``count`` runs or a few more; returns how many there are."""
    study = load(ROOT / "config" / "config.yaml")
    per_seed = len(expand(study).runs) / len({cell.seed for cell in expand(study).cells})
    content = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    content |= {"store": str(store), "limit_runs": 10 * count}
    for setup in content["setups"].values():  # YAML 1.1 reads 5e-4 as text
        setup["optimizer"]["weight_decay"] = float(setup["optimizer"]["weight_decay"])
    for experiment in content["experiments"].values():
        experiment["seeds"] = list(range(-(-count // int(per_seed))))
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return len(expand(load(path)).runs)


if __name__ == "__main__":
    main()
