"""A study whose results are made up, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.runs.fingerprint import module_hashes
from nmepkg.runs.identity import code_hash, measurement_targets, modules, run_id, run_targets
from nmepkg.storage import CODE, MEASUREMENT, RESULT, STATE, Store
from nmepkg.study.load import load
from nmepkg.study.spec import Study

STUDY = """\
version: 1
name: tiny
store: {store}
output: {store}
setups:
  mlp:
    data: {{name: mnist1d, samples: 200}}
    model: {{name: mlp, width: 4, depth: 1}}
    optimizer: {{learning_rate: 0.1}}
    training: {{epochs: 10, batch_size: 16}}
measurements:
  step: {{kind: alignment, at: [final], examples: 32}}
experiments:
  main: {{setups: [mlp], methods: [sam, psam], activations: [gelu], rho: [0, 0.1, 0.2], seeds: [0, 1], measurements: [step]}}
  other: {{setups: [mlp], methods: [sgd], activations: [relu], seeds: [0]}}
figures:
  curve: {{experiments: [main], x: rho, lines: method}}
  step: {{experiments: [main], measurement: step, x: rho, y: norm_H, lines: method}}
"""
OLD = "0123456789abcdef"  # a hash of code that is no more


class Made:
    """A study and its store; results appear as tests ask for them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "config" / "study.yaml"
        self.path.parent.mkdir()
        self.path.write_text(STUDY.format(store=folder / "results"), encoding="utf-8")
        self.store = Store(folder / "results")

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    @property
    def study(self) -> Study:
        return load(self.path)

    @property
    def expansion(self) -> Expansion:
        return expand(self.study)

    @property
    def runs(self) -> list[Run]:
        return list(self.expansion.runs.values())

    def finish(self, run: Run, *, status: str = "completed", seconds: float = 36.0, **provenance: Any) -> None:
        """Writes a run's result."""
        content = {
            "run": run.id,
            "spec": run.spec,
            "status": status,
            "diverged": None,
            "final": {"step": 90},
            "files": {"params.npz": "0" * 64},
            "provenance": {
                "code": run.code,
                "data": run.data_id,
                "data_sha256": "0" * 64,
                "wall_seconds": seconds,
                "start": "2026-01-01T00:00:00Z",
                "earlier": [],
                **provenance,
            },
        }
        records.write(self.store.result(run.id), RESULT, content)
        (self.store.run(run.id) / "params.npz").write_bytes(b"numbers")

    def by_other_code(self, run: Run, changed: str = "nmepkg.training.loop") -> Run:
        """Finishes a run as other code would have, in which one module was different; returns it with its id."""
        hashes = {**module_hashes(modules(run_targets(run.spec))), changed: "before"}
        records.write(self.store.code(OLD), CODE, {"code": OLD, "targets": [], "modules": hashes})
        old = Run(run_id(run.spec, OLD, run.data_id), run.spec, OLD, run.data_id)
        self.finish(old)
        return old

    def measure(self, job: Job, *, id: str | None = None, run: str | None = None) -> None:
        """Writes a measurement, or one that other code made of another run."""
        code = code_hash(measurement_targets(job.spec)) if id is None else OLD
        content = {
            "measurement": id or job.id,
            "run": run or job.run,
            "spec": job.spec,
            "run_spec": {},
            "provenance": {"code": code, "start": "2026-01-01T00:00:00Z"},
        }
        records.write(self.store.measurement(run or str(job.run), id or job.id), MEASUREMENT, content)

    def unfinished(self, run: Run, status: str, **noted: Any) -> None:
        """Leaves what a training that did not end leaves."""
        content = {
            "run": run.id,
            "status": status,
            "epoch": 4,
            "epochs": 10,
            "seconds": 12.0,
            "left_seconds": 18.0,
            "memory_mb": None,
            "error": None,
            **noted,
        }
        records.write(self.store.state(run.id), STATE, content)

    @contextmanager
    def training(self, run: Run) -> Iterator[None]:
        """Holds a run's lock in another process, as its training does."""
        code = "import sys; from pathlib import Path; from nmepkg.files import locked\n"
        code += "with locked(Path(sys.argv[1])):\n    print(flush=True); sys.stdin.read()"
        holder = subprocess.Popen(
            [sys.executable, "-c", code, self.store.run(run.id) / ".lock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout
        holder.stdout.readline()
        try:
            yield
        finally:
            holder.kill()
            holder.communicate()

    def call(self, *arguments: str, code: int = 0) -> str:
        """What ``python -m nmepkg`` prints, called in the folder."""
        done = subprocess.run(
            [sys.executable, "-m", "nmepkg", *arguments, "--study", "config/study.yaml"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr


def labels(ids: Mapping[str, Any] | list[str]) -> list[str]:
    """Ids without their hashes."""
    return [id.rsplit("-", 1)[0].removeprefix("mnist1d-mlp-") for id in ids]
