"""Snakemake called in forks of a process that has imported it already, which takes two seconds of a short call's three."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_PAUSE = 0.01  # seconds between looks at whether a fork has ended


def snakemake(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """What ``python -m snakemake`` does in a folder, with both its outputs in one.

    What Python itself reads of the environment when it starts, but where modules are, is that of the tests.

    Raises:
      subprocess.TimeoutExpired: it was killed after ``timeout`` seconds.
    """
    server = _server()
    request = [list(arguments), str(folder), dict(environment), timeout]
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    status, output = json.loads(server.stdout.readline())
    if status is None:
        raise subprocess.TimeoutExpired(list(arguments), timeout, output)
    return subprocess.CompletedProcess(list(arguments), status, output)


@cache
def _server() -> subprocess.Popen[str]:
    """One for each process of tests, which ends with it."""
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _serve() -> None:
    import snakemake.cli  # noqa: F401 (what forks are to find)

    for line in sys.stdin:
        arguments, folder, environment, timeout = json.loads(line)
        with tempfile.TemporaryFile() as output:
            fork = os.fork()
            if not fork:
                return _become(arguments, folder, environment, output.fileno())
            status = _wait(fork, timeout)
            output.seek(0)
            print(json.dumps([status, output.read().decode("utf-8", "replace")]), flush=True)


def _become(arguments: list[str], folder: str, environment: dict[str, str], output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    sys.path[0] = folder
    sys.path[1:1] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv[1:] = arguments
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


def _wait(fork: int, timeout: float) -> int | None:
    """Its exit status, as :mod:`subprocess` has it; None if it had to be killed."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        ended, status = os.waitpid(fork, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_PAUSE)
    os.kill(fork, signal.SIGKILL)
    os.waitpid(fork, 0)
    return None


if __name__ == "__main__":
    _serve()
