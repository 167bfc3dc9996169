"""Variables of the shell that Snakemake is called in which would break every job: said in one line, before there is any."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from nmepkg import surroundings
from nmepkg.errors import UserError

_START = "import jax; jax.block_until_ready(jax.numpy.ones(()) + 1)"
_PATIENCE = 120.0  # seconds


def job_prefix(folder: Path) -> str:
    """Shell commands before that of every job, as ``shell.prefix`` takes them.

    Jobs find the Python that runs Snakemake, activated or not. In the container, whose recipe is in containers/, its own
    serves, though that folder may be there too.

    Args:
      folder: of the Snakefile.
    """
    scripts, python = folder / "workflow" / "scripts", Path(sys.executable).parent
    prefix = (
        f"export NMEPKG_SCRIPTS={shlex.quote(str(scripts))}; "
        '[ -n "${APPTAINER_CONTAINER:-}${SINGULARITY_CONTAINER:-}" ] || '
        f"export PATH={shlex.quote(str(python))}:$PATH; {surroundings.shell_prefix(folder)}"
    )
    return prefix.replace("{", "{{").replace("}", "}}")


def check_shell(environment: Mapping[str, str] = os.environ) -> None:
    """Refuses variables that are meant for other programs than a job of Snakemake, which is one process on one CPU, or on GPUs.

    Raises:
      UserError: names the variable and the remedy.
    """
    if environment.get("JAX_COORDINATOR_ADDRESS"):
        raise UserError(
            "JAX_COORDINATOR_ADDRESS: set in this shell, but a job of Snakemake is one process that has no others to wait for; "
            "unset it (docs/cluster.md says how several train one run)"
        )
    devices = re.search(r"--xla_force_host_platform_device_count[= ](\d+)", environment.get("XLA_FLAGS", ""))
    if devices and int(devices[1]) > 1:
        raise UserError(
            f"XLA_FLAGS: {devices[0]} makes {devices[1]} devices of the CPU, which wait for one another in every job; "
            "unset it"
        )
    threads = environment.get("NPROC", "")
    if threads and not (threads.isdecimal() and int(threads)):
        raise UserError(f"NPROC: {threads!r} is no number of threads; unset it, as each job sets its own")


def check_jax_starts(here: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Starts JAX in a process of its own, as jobs will, if this shell has variables that may keep it from starting.

    XLA ends a process whose ``XLA_FLAGS`` it does not know, with its stack and no exception that could be caught.

    Args:
      here: whether jobs run on this machine; if not, the devices that ``JAX_PLATFORMS`` asks for need not be here.

    Raises:
      UserError: JAX does not start; names the variables, the reason and the remedy.
    """
    platforms = environment.get("JAX_PLATFORMS", "") if here else "cpu"
    suspects = {"XLA_FLAGS": environment.get("XLA_FLAGS", ""), "JAX_PLATFORMS": platforms if platforms != "cpu" else ""}
    named = " ".join(f"{name}={value}" for name, value in suspects.items() if value)
    if not named:
        return
    try:
        done = subprocess.run(
            [sys.executable, "-c", _START],
            env={**surroundings.of_jobs(environment), "JAX_PLATFORMS": platforms},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{named}: JAX has not started after {_PATIENCE:g} s; unset what need not be set") from None
    if done.returncode:
        raise UserError(f"{named}: JAX does not start ({_reason(done.stderr)}); unset what need not be set")


def _reason(text: str) -> str:
    """The line of a process's last words that says most: what XLA found fatal, or the error of Python."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line.partition("] ")[2] for line in lines if re.match(r"F\d{4} ", line)]
    errors = [line for line in lines if re.match(r"\w*(Error|Exception)\b", line)]
    return next(iter([*fatal, *reversed(errors), *reversed(lines)]), "it says nothing")[:300]
