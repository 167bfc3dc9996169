"""Seconds from the start of a training process to the end of its first step, with a warm compilation cache.

    python benchmarks/start.py [--rounds 5]

Each measurement is a process of its own, as Snakemake starts it, on one CPU thread, of a run whose one epoch has one step.
The clock starts before the process does, and stops when the training reports that epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nmepkg.data import mnist1d, store
from nmepkg.runs.expand import expand
from nmepkg.runs.identity import code_hash, data_id, run_id, run_targets
from nmepkg.study.load import load

STUDY = Path(__file__).parents[1] / "config" / "config.yaml"
SCRIPT = """
import json, sys, time
from pathlib import Path
from nmepkg.runs.verify import planned_run
id, spec, code, data, out, cache = sys.argv[1:]
spec = json.loads(spec)
planned = planned_run(id, spec, code)
from nmepkg.training.train import Task, train
planned.load()
class Clock:
    def __init__(self, *arguments): pass
    def __call__(self, epoch, row):
        if epoch == 1: print(time.time())
run.Progress = Clock
train(Task(id, spec, code, Path(out), Path(data)), cache=Path(cache), verify=planned.check_imports)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    runs = expand(load(STUDY)).runs.values()
    # Bytecode may be written: an installed package has it, and without it every import is compiled again.
    environment = {**os.environ, "NPROC": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.npz")
        arrays = mnist1d.prepare(seed=42, samples=5000)
        store.write(data, arrays, {}, code="")
        for model in ("mlp", "resnet1d"):
            spec = next(r.spec for r in runs if (r.spec["model"]["name"], r.spec["method"]["name"]) == (model, "psam"))
            examples = len(arrays["train_x"])
            fraction = 1 - spec["training"]["batch_size"] / examples
            spec = {
                **spec,
                "validation": {"fraction": fraction, "seed": 0},
                "training": {**spec["training"], "epochs": 1},
            }
            code = code_hash(run_targets(spec))
            job = [run_id(spec, code, data_id(spec["data"])), json.dumps(spec), code, str(data)]
            seconds = []
            for i in range(rounds + 1):
                command = [sys.executable, "-c", SCRIPT, *job, f"{folder}/{model}{i}", f"{folder}/cache"]
                start = time.time()
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                seconds.append(float(done.stdout) - start)
            print(f"{model:10} psam: {statistics.median(seconds[1:]):.2f} s warm, {seconds[0]:.2f} s cold")


if __name__ == "__main__":
    main()
