"""Trainings that share a device: steps a second of all of them, where one trains alone and where 2, 4 and 8 go side by side.

    python -m benchmarks.sharing [--minutes 2] [--mps] [--out results/benchmarks]

Writes ``sharing.csv``, each row as soon as it is measured; called again it goes on with what is missing. Side by side are
*processes*, as the runs of a job are with ``runs_at_once``; ``--mps`` measures them a second time with NVIDIA's MPS, by which
their kernels overlap. For comparison *one program* computes the steps of all, by ``vmap`` over their states. What is timed are
epochs of a run's own compiled steps by PSAM, on random data, in TF32 where a card has it, without evaluation. Each process has
as many threads as if all 8 went. On a CPU: ``--networks 'MLP 3×128' --counts 1 2 --seconds 1``.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.peers.turns import Worker
from nmepkg import surroundings

PROCESSES, WITH_MPS, ONE_PROGRAM = "processes", "processes, MPS", "one program"
STUDY = """
version: 1
name: sharing
setups:
  mlp:
    title: MLP 3×128
    data: {name: generated, shape: [40], classes: 10, train: 5120, test: 512}
    model: {name: mlp, width: 128, depth: 3}
    optimizer: {learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0005}
    training: {epochs: 1, batch_size: 128, matmul_precision: tensorfloat32}
  wrn:
    title: WRN-16-4
    data: {name: generated, shape: [32, 32, 3], classes: 10, train: 1280, test: 512}
    augmentation: pad_crop_flip
    model: {name: wide_resnet, depth: 16, width: 4}
    optimizer: {learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0005}
    training: {epochs: 1, batch_size: 128, matmul_precision: tensorfloat32}
experiments:
  all: {setups: [mlp, wrn], methods: [psam], activations: [gelu], rho: [0.1], seeds: [0]}
"""
NETWORKS, COUNTS = ("MLP 3×128", "WRN-16-4"), (1, 2, 4, 8)
FIELDS = (
    *("network", "how", "runs", "steps_per_second", "to_one", "gigabytes", "compiling"),
    *("error", "device", "version", "threads", "date"),
)

Row = dict[str, Any]


class Training:
    """Steps of a run, or of several in one program, in a process of its own."""

    def __init__(self, spec: Any) -> None:
        import jax
        import numpy as np

        from nmepkg import specs
        from nmepkg.data import generated
        from nmepkg.data.store import Scaling, pixel_statistics

        self.recipe = specs.recipe(spec)
        drawn = generated.prepare(**self.recipe.data.options)
        images = drawn["train_x"].dtype == np.uint8
        self.scaling = Scaling(*map(np.float32, pixel_statistics(drawn["train_x"]).values())) if images else None
        self.data = jax.device_put((drawn["train_x"], drawn["train_y"]))
        self.about = {"device": jax.devices()[0].device_kind, "version": f"jax {jax.__version__}"}

    def compile(self, runs: int) -> Row:
        """Makes ready for as many runs."""
        import jax
        import jax.numpy as jnp

        from nmepkg.training import optimizer, step

        start, examples = time.perf_counter(), len(self.data[1])
        program = step.make_program(self.recipe, 10, examples, self.scaling)
        hyper = jax.device_put(optimizer.hyperparameters(self.recipe, examples))
        example, seeds = jnp.asarray(self.data[0][:1]), jnp.arange(runs, dtype=jnp.uint32)
        init, begin_epoch, one_step = program.init, program.begin_epoch, program.step
        if runs > 1:
            init, begin_epoch = jax.vmap(init, (0, None, None)), jax.vmap(begin_epoch)
            one_step = jax.vmap(one_step, (0, None, None))
        self.state = jax.jit(init)(seeds if runs > 1 else seeds[0], hyper, example)
        self._begin_epoch = jax.jit(begin_epoch, donate_argnums=0)
        compiled = jax.jit(one_step, donate_argnums=0)
        self._step = lambda state: compiled(state, hyper, self.data)
        self._steps = examples // self.recipe.training.batch_size
        self._epoch()
        return self.about | {"compiling": time.perf_counter() - start}

    def rate(self, begin: float, seconds: float) -> tuple[float, float | None]:
        """(steps a second, gigabytes of the device at most) of what was compiled last, from a moment on."""
        import jax

        time.sleep(max(0, begin - time.time()))
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            self._epoch()
            steps += self._steps
        rate = steps / (time.perf_counter() - start)
        used = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
        return rate, used and used / 1e9

    def _epoch(self) -> None:
        """As in :func:`nmepkg.training.loop.train`, which then looks at the loss."""
        state = self._begin_epoch(self.state)
        for _ in range(self._steps):
            state = self._step(state)
        self.state = state
        state.loss.block_until_ready()


def specs_of() -> dict[str, Any]:
    """Network -> the specification of its run."""
    from nmepkg.runs.expand import expand
    from nmepkg.study.load import load

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.yaml")
        file.write_text(STUDY, encoding="utf-8")
        study = load(file)
    expansion = expand(study)
    return {study.setups[setup].title: expansion.runs[run].spec for run, setup in expansion.setup_of().items()}


def processes(spec: Any, counts: list[int], seconds: float) -> Iterator[Row]:
    """Of so many processes at once. The first compiles what the others have then."""
    with ExitStack() as running:
        workers, about = _begin(spec, 1, running)
        for count in counts:
            if len(workers) < count:  # all at once; they stand still until they are asked
                workers += _begin(spec, counts[-1] - len(workers), running)[0]
            found = _all(workers[:count], "rate", time.time() + 0.3, seconds)
            memory = [used for _, used in found if used is not None]
            total = sum(rate for rate, _ in found)
            yield {**about, "runs": count, "steps_per_second": total, "gigabytes": sum(memory) or None}


def _begin(spec: Any, count: int, running: ExitStack) -> tuple[list[Worker], Row]:
    """Further processes, ready to step, and what the first of them says of itself."""

    def start(_: int) -> Worker:
        return running.enter_context(Worker("benchmarks.sharing:Training", spec))

    with ThreadPoolExecutor(count) as pool:
        started = list(pool.map(start, range(count)))
    about, *_ = _all(started, "compile", 1)
    return started, about


def _all(workers: list[Worker], method: str, *arguments: Any) -> list[Any]:
    """What a method returns in each of some processes, side by side."""
    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(lambda worker: worker.ask(method, *arguments), workers))


def one_program(spec: Any, counts: list[int], seconds: float) -> Iterator[Row]:
    """Of so many runs in one program, all in one process."""
    with Worker("benchmarks.sharing:Training", spec) as worker:
        for count in counts:
            about = worker.ask("compile", count)
            rate, used = worker.ask("rate", time.time(), seconds)
            yield {**about, "runs": count, "steps_per_second": count * rate, "gigabytes": used}


@contextmanager
def mps(folder: Path) -> Iterator[None]:
    """NVIDIA's Multi-Process Service, for the processes that are started here.

    Raises:
      RuntimeError: it is not there, or does not start.
    """
    if not shutil.which("nvidia-cuda-mps-control"):
        raise RuntimeError("nvidia-cuda-mps-control: not on this machine")
    folders = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
    with patch.dict(os.environ, folders):
        for path in folders.values():
            Path(path).mkdir(parents=True)
        started = subprocess.run(["nvidia-cuda-mps-control", "-d"], capture_output=True, text=True, timeout=30)
        if started.returncode:
            raise RuntimeError(f"nvidia-cuda-mps-control: {(started.stderr or started.stdout).strip()}")
        try:
            yield
        finally:
            subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, timeout=30, capture_output=True)


def measured(how: str, spec: Any, counts: list[int], seconds: float) -> Iterator[Row]:
    """Rows of one way of sharing; where it fails, the last one says why."""
    try:
        with ExitStack() as around:
            if how == WITH_MPS:
                around.enter_context(mps(Path(around.enter_context(tempfile.TemporaryDirectory()))))
            yield from (one_program if how == ONE_PROGRAM else processes)(spec, counts, seconds)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        yield {"error": " ".join(str(error).split())[:300]}


def measure(
    file: Path,
    until: float,
    *,
    networks: Sequence[str] = NETWORKS,
    counts: Sequence[int] = COUNTS,
    hows: Sequence[str] = (PROCESSES, ONE_PROGRAM),
    seconds: float = 3,
) -> Iterator[Row]:
    """Rows that a CSV file does not have yet, which each goes into at once.

    Args:
      until: by ``time.monotonic``, after which nothing new is begun.
      counts: of runs at once, from few to many.
      hows: ways of sharing.
      seconds: of a measurement.
    """
    date, given = datetime.date.today().isoformat(), specs_of()
    threads = max(1, surroundings.threads() // counts[-1])
    with (
        patch.dict(os.environ, dict.fromkeys(("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))),
        tempfile.TemporaryDirectory() as cache,
        file.open("a+", encoding="utf-8", newline="") as opened,
    ):
        os.environ |= {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        opened.seek(0)
        known = {(row["network"], row["how"], row["runs"]): row["steps_per_second"] for row in csv.DictReader(opened)}
        writer = csv.DictWriter(opened, FIELDS)
        if not file.stat().st_size:
            writer.writeheader()
        for how, network in itertools.product(hows, networks):
            os.environ["XLA_CLIENT_MEM_FRACTION"] = "0.9" if how == ONE_PROGRAM else f"{0.8 / counts[-1]:.4f}"
            left = [count for count in counts if (network, how, str(count)) not in known]
            for row in measured(how, given[network], left, seconds) if left and time.monotonic() < until else ():
                full = {"network": network, "how": how, "threads": threads, "date": date, **row}
                if "runs" in row:
                    known[network, how, str(row["runs"])] = row["steps_per_second"]
                    alone = known.get((network, PROCESSES, "1"))
                    full["to_one"] = alone and row["steps_per_second"] / float(alone)
                writer.writerow(full)
                opened.flush()
                yield full
                if time.monotonic() > until:
                    break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="after which nothing new is begun")
    parser.add_argument("--seconds", type=float, default=3, help="of a measurement")
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS, help="of runs at once")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--mps", action="store_true", help="with NVIDIA's Multi-Process Service, too")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder of sharing.csv")
    given = parser.parse_args()
    file, until = given.out / "sharing.csv", time.monotonic() + 60 * given.minutes
    given.out.mkdir(parents=True, exist_ok=True)
    hows = (PROCESSES, *([WITH_MPS] if given.mps else []), ONE_PROGRAM)
    options = {"networks": given.networks, "counts": sorted(given.counts), "hows": hows, "seconds": given.seconds}
    for row in measure(file, until, **options):
        print(row, flush=True)
    print(file)


if __name__ == "__main__":
    main()
