"""A study in what time is left: figures 1 to 3, 8 and 10 on real Fashion-MNIST, seed after seed.

It is ``config/fashion_mnist.yaml`` with those figures alone. The first round draws one after another; each further one adds a
seed to every run. When time is up, figures and claims are those of the last whole round, or of the figures that the first
has come to. Runs that are under way then go on at the next call.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.check_gpu.outcomes import Outcome, Task
from nmepkg.errors import UserError
from nmepkg.planning.data import missing, wanted
from nmepkg.runs.expand import expand
from nmepkg.storage import Store
from nmepkg.study import strict_yaml
from nmepkg.study.load import load

ROOT = Path(__file__).parents[2]
WHOLE = ROOT / "config" / "fashion_mnist.yaml"
FIGURES = ("figure_1", "figure_2", "figure_3", "figure_10", "figure_8")  # in order of worth
SEEDS = range(2, 11)  # of a round; a claim needs two
_GRACE = 10  # seconds to end by itself


def write(folder: Path, seeds: Sequence[int], shown: Sequence[str] = FIGURES, archives: Path | None = None) -> Path:
    """The study's file, with so many seeds of everything.

    Args:
      folder: for it, its store and its figures.
      shown: figures.
      archives: of Fashion-MNIST; None: those are downloaded, if need be.
    """
    content = dict(strict_yaml.read(WHOLE))
    figures = {name: content["figures"][name] for name in shown}
    drawn = {name for figure in figures.values() for name in figure["experiments"]}
    experiments = {
        name: {key: value for key, value in content["experiments"][name].items() if key != "measurements"}
        | {"seeds": list(seeds)}
        for name in sorted(drawn)
    }
    # With fewer figures, what some claims compare is not there.
    claims = {name: claim for name, claim in content["claims"].items() if shown == FIGURES and claim["figure"] in shown}
    setups = {name for experiment in experiments.values() for name in experiment["setups"]}
    content |= {
        "name": "check_gpu",
        "store": str(folder.absolute() / "study"),
        "output": str(folder.absolute()),
        "setups": {name: content["setups"][name] for name in sorted(setups)},
        "measurements": {},
        "landscapes": {},
        "experiments": experiments,
        "figures": figures,
        "claims": claims,
        **({"sources": {"fashion_mnist": str(archives.absolute())}} if archives else {}),
    }
    file = folder / "study.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def prepare(folder: Path, archives: Path | None) -> Path:
    """Makes the data, where there is a network or archives; returns the file.

    Raises:
      UserError: Snakemake failed, and has said why.
    """
    file = write(folder, range(SEEDS[0]), archives=archives)
    study = load(file)
    (data,) = expand(study).datasets
    target = Store(Path(study.store)).data(data)
    if _snakemake(file, str(target), None) != 0:
        raise UserError(f"{target} was not made; what is above says why")
    return target


def run(task: Task) -> Outcome:
    """Rounds until time is up."""
    until = time.monotonic() + task.seconds
    overrides, shown = ({"smoke": True}, FIGURES[-1:]) if task.small else ({}, FIGURES)
    study = load(write(task.folder, range(SEEDS[0]), shown), overrides)
    store, expansion = Store(Path(study.store)), expand(study)
    for line in missing(study, expansion, store, wanted(expansion, store)):
        return Outcome("skipped", f"{line}; where there is a network: make check-gpu-data")
    whole, drawn = 0, 0
    for seeds in SEEDS[:1] if task.small else SEEDS:
        file, began = write(task.folder, range(seeds), shown), time.monotonic()
        for target in (*shown, "figures") if seeds == SEEDS[0] else ("figures",):
            status = _snakemake(file, target, until - time.monotonic(), small=task.small)
            if status:
                return Outcome("failed", f"snakemake failed with {seeds} seeds; study.log says why")
            drawn += status == 0
            if status is None:
                break
        if status is None:
            break
        whole = seeds
        print(f"{seeds} seeds: {time.monotonic() - began:.0f} s", flush=True)
    return told(write(task.folder, range(max(whole, SEEDS[0])), shown), whole, drawn, task.small)


def told(file: Path, whole: int, drawn: int, small: bool) -> Outcome:
    """Verdicts with so many seeds of everything, or, where there was no whole round, what the runs of its figures say.

    A small study has no claims.
    """
    verdicts = _asked("claims", "--study", str(file)) if drawn and not small else []
    status = _asked("status", "--study", str(file), *(["--smoke"] if small else []))
    counts = Counter(claim["verdict"] for claim in verdicts)
    line = ", ".join(f"{n} {verdict}" for verdict, n in counts.items()) or "no claims"
    found = {"seeds": whole, "claims": verdicts, "status": status}
    if whole:
        return Outcome("passed", f"{whole} seeds: {line}", found)
    return Outcome("cut off", f"{drawn} figures of {SEEDS[0]} seeds: {line}; called again, it goes on", found)


def _asked(*arguments: str) -> Any:
    command = [sys.executable, "-m", "nmepkg", *arguments, "--json"]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def _snakemake(file: Path, target: str, seconds: float | None, small: bool = False) -> int | None:
    """Its exit status; None if it had to be stopped, as time was up."""
    if seconds is not None and seconds <= 0:
        return None
    settings = [f"study={file}", *(["smoke=true"] if small else [])]
    command = [
        *(sys.executable, "-m", "snakemake", "--profile", "profiles/local"),
        *(target, "--config", *settings),
    ]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            for number, patience in ((signal.SIGINT, _GRACE), (signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
                if process.poll() is not None:
                    break
                os.killpg(process.pid, number)
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
