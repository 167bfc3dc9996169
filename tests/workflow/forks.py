"""Programs called in forks of a process that has imported what they need: a short call's time is that of its imports, else."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from nmepkg import surroundings

_SERVER = Path(__file__).with_name("fork_server.py")
_ONE_THREAD = dict.fromkeys(("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # as jobs have it


class Fork:
    """A program that runs, of which one may ask what one asks of a :class:`subprocess.Popen`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._status: int | None = None
        self.pid = self._answer()

    def _answer(self) -> int:
        answer = self._connection.recv(4)
        assert answer, "the server ended"
        return int.from_bytes(answer, "big", signed=True)

    def wait(self, timeout: float) -> int:
        """Its exit status, as :mod:`subprocess` has it."""
        if self._status is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._status = self._answer()
            self._connection.close()
        return self._status

    def poll(self) -> int | None:
        """The same; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None


def start(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    errors: Path | None = None,
    *,
    alone: bool = True,
) -> Fork:
    """Begins what ``python -m module`` does in a folder.

    What Python itself reads of the environment when it starts, but where modules are, is that of the tests.

    Args:
      output: a file that its output is appended to.
      errors: the same for what it says of errors; None: they are part of its output.
      alone: whether it is the first of a process group of its own, which may be killed as one, and starts jobs as it does
        anywhere; if not, jobs of Snakemake's are forks, too.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(_address()))
    with output.open("ab") as first, (errors or output).open("ab") as second, Path(os.devnull).open("rb") as nothing:
        socket.send_fds(connection, [b" "], [nothing.fileno(), first.fileno(), second.fileno()])
    request = ["-m", [module, *arguments], str(folder), dict(environment), alone]
    connection.sendall(json.dumps(request).encode() + b"\n")
    return Fork(connection)


def run(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    *,
    apart: bool = False,
) -> subprocess.CompletedProcess[str]:
    """What :func:`subprocess.run` gives of ``python -m module``.

    Args:
      apart: whether what it says of errors is no part of its output.

    Raises:
      subprocess.TimeoutExpired: it was killed after ``timeout`` seconds.
    """
    with tempfile.TemporaryDirectory() as told:
        output, errors = Path(told, "output"), Path(told, "errors") if apart else None
        fork = start(module, arguments, folder, environment, output, errors, alone=False)
        try:
            status = fork.wait(timeout)
        except subprocess.TimeoutExpired:
            os.kill(fork.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired([module, *arguments], timeout, output.read_bytes()) from None
        said = [path and path.read_text("utf-8", "replace") for path in (output, errors)]
    return subprocess.CompletedProcess([module, *arguments], status, *said)


@cache
def _address() -> Path:
    """Where this process's server listens. It ends when its input does, with the process."""
    held = ExitStack()
    atexit.register(held.close)
    address = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="forks-")), "socket")
    environment = {**surroundings.of_jobs(), **_ONE_THREAD}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # of each fork that is another question
    command = [sys.executable, str(_SERVER), str(address)]
    server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    held.enter_context(server)
    while not address.exists():
        assert server.poll() is None
        time.sleep(0.05)
    return address
