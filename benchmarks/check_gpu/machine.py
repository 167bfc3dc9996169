"""Which machine it is, and what it can do at best."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.check_gpu.outcomes import Outcome, Task
from benchmarks.gpu.rounds import milliseconds

_ASKED = "name,driver_version,memory.total,power.limit,clocks.max.sm"
_MODES = {"float32": jnp.float32, "tensorfloat32": jnp.float32, "bfloat16": jnp.bfloat16}


def run(task: Task) -> Outcome:
    """Versions and devices as ``python -m nmepkg doctor`` has them, and the rates of a product and of a copy."""
    doctor = subprocess.run(
        [sys.executable, "-m", "nmepkg", "doctor", "--json"], stdout=subprocess.PIPE, text=True, check=False
    )
    found: dict[str, Any] = {"doctor": json.loads(doctor.stdout)} if doctor.returncode == 0 else {}
    found["nvidia_smi"] = _nvidia_smi()
    found["tflop_per_second"] = {mode: _products(mode, 128 if task.small else 8192) for mode in _MODES}
    found["gigabytes_per_second"] = _copies(2**16 if task.small else 2**28)
    device, rates = jax.devices()[0].device_kind, found["tflop_per_second"]
    told = ", ".join(f"{rate:.0f} in {mode}" for mode, rate in rates.items())
    line = f"{device}, jax {jax.__version__}: TFLOP/s of a product {told}; {found['gigabytes_per_second']:.0f} GB/s"
    return Outcome("passed" if task.small or jax.default_backend() != "cpu" else "failed", line, found)


def _nvidia_smi() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no nvidia-smi"
    command = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def _products(mode: str, side: int) -> float:
    """TFLOP/s of a product of two square matrices."""
    a = jax.random.normal(jax.random.key(0), (side, side), _MODES[mode])
    with jax.default_matmul_precision(mode):
        product = jax.jit(jnp.dot).lower(a, a).compile()
    return 2 * side**3 / milliseconds(lambda: product(a, a), jax.block_until_ready, 1) / 1e9


def _copies(size: int) -> float:
    """GB/s, read and written, of a sum of an array and a number."""
    a = jnp.zeros(size) + jax.random.normal(jax.random.key(0), (size,))
    copy = jax.jit(lambda x: x + 1)
    return 2 * a.nbytes / milliseconds(lambda: copy(a), jax.block_until_ready, 1) / 1e6
