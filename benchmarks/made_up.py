"""A study of many runs, and results that nothing was trained for: what is measured is what looks at them.

    python benchmarks/made_up.py study FILE --runs 1000
    python benchmarks/made_up.py results FILE --finished half

The default study, with as many seeds as it takes. Its results are such that all of the package accepts them: sealed, of the
right runs, with histories, snapshots and measurements. The numbers in them are drawn at random, from a run's id.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from nmepkg import records
from nmepkg.registry import MEASUREMENTS
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Job, Run
from nmepkg.storage import MEASUREMENT, RESULT, Store
from nmepkg.study.load import load
from nmepkg.study.setups import counts

DEFAULT = Path(__file__).parents[1] / "config" / "config.yaml"
SHARES = {"one": 0.0, "half": 0.5, "all": 1.0}
PROVENANCE: dict[str, Any] = {
    **{"nmepkg": "0.1.0", "python": "3.12.1", "jax": "0.10.2", "flax": "0.12.8", "optax": "0.2.8", "numpy": "2.3.0"},
    **{"device": "cpu", "platform": "cpu", "from_step": 0, "wall_seconds": 4.2, "start": "2026", "earlier": []},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["study", "results"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--finished", choices=list(SHARES), default="all")
    arguments = parser.parse_args()
    if arguments.what == "study":
        write_study(arguments.file, arguments.runs)
    else:
        write_results(arguments.file, SHARES[arguments.finished])


def write_study(path: Path, count: int) -> None:
    """Writes the default study with enough seeds for ``count`` runs or a few more; prints how many it has."""
    per_seed = sum(run.spec["seed"] == 0 for run in expand(load(DEFAULT)).runs.values())
    content = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    folder = str(path.parent / "store")
    content |= {"store": folder, "output": folder, "limit_runs": 10 * count}
    for setup in content["setups"].values():  # YAML 1.1 reads 5e-4 as text
        setup["optimizer"]["weight_decay"] = float(setup["optimizer"]["weight_decay"])
    for experiment in content["experiments"].values():
        experiment["seeds"] = list(range(-(-count // per_seed)))
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    print(len(expand(load(path)).runs))


def write_results(path: Path, share: float) -> None:
    """Writes the results and measurements of this share of the seeds, of one run at least; of all, landscapes too."""
    study = load(path)
    expansion, store = expand(study), Store(Path(study.store))
    runs, snapshots = list(expansion.runs.values()), expansion.snapshots()
    seeds = sorted({run.spec["seed"] for run in runs})
    chosen = set(seeds[: round(share * len(seeds))])
    finished = [run for run in runs if run.spec["seed"] in chosen] or runs[:1]
    for id in expansion.datasets:
        for path in store.data_files(id):  # without them, all that is trained on them is planned again
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for run in finished:
        _train(store, run, snapshots.get(run.id, ()))
    ids = {run.id for run in finished}
    for job in expansion.measurements.values():
        if job.run in ids:
            _measure(store, job, expansion.runs[str(job.run)])
    if share == 1:
        from nmepkg.landscape.record import record  # JAX

        for job in expansion.panels().values():
            record(job.spec, store.landscape(job.id), code=job.code)


def _train(store: Store, run: Run, snapshots: Iterable[int]) -> None:
    """What a training leaves, with parameters of no bytes."""
    rng, steps = random.Random(run.id), counts(run.spec).steps
    epochs = run.spec["training"]["epochs"]
    history = [
        {
            "epoch": epoch,
            "step": steps * epoch // epochs,
            **{f"{part}_loss": rng.uniform(0.5, 1) for part in ("train", "validation", "test")},
            **{f"{part}_accuracy": rng.uniform(0.5, 1) for part in ("train", "validation", "test")},
        }
        for epoch in (0, epochs)
    ]
    last = history[-1]
    files = ["params.npz", *(f"snapshots/{step}.npz" for step in snapshots)]
    content = {
        "run": run.id,
        "spec": run.spec,
        "status": "completed",
        "diverged": None,
        "final": last,
        "best_validation": last,
        "median_last": {"evaluations": 1, **{key: last[key] for key in last if key not in ("epoch", "step")}},
        "history": history,
        "files": dict.fromkeys(files, "0" * 64),
        "provenance": {**PROVENANCE, "data": run.data_id, "data_sha256": "0" * 64, "code": run.code},
    }
    for name in files:
        path = store.run(run.id) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _write(store.result(run.id), RESULT, content)


def _measure(store: Store, job: Job, run: Run) -> None:
    """A measurement at all points that the study asks for."""
    rng = random.Random(job.id)
    steps = {"initial": 0, "final": counts(run.spec).steps}
    points = [
        {
            "at": at,
            "step": steps.get(at, at),
            "status": "measured",
            "values": {name: rng.uniform(0.1, 0.9) for name in MEASUREMENTS[job.spec["kind"]].quantities},
        }
        for at in job.spec["at"]
    ]
    content = {"measurement": job.id, "run": run.id, "run_spec": run.spec, "spec": job.spec, "points": points}
    _write(store.measurement(run.id, job.id), MEASUREMENT, {**content, "provenance": {**PROVENANCE, "code": job.code}})


def _write(path: Path, kind: records.Kind, content: dict[str, Any]) -> None:
    """As ``records.write``, but that nobody waits for the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(records.seal({"format": kind.format, **content}), encoding="utf-8")


if __name__ == "__main__":
    main()
