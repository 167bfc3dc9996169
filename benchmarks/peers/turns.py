"""Processes that take turns: one runs while the others are stopped."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from types import TracebackType
from typing import Any
from unittest.mock import patch


def on_cores(threads: int) -> int:
    """Keeps this process and the workers that it starts on so many cores, and ends them with it; returns how many there are."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no stopped process stays behind
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return len(cores)


_STARTING = (
    Lock()
)  # of threads that start workers: one that starts while another's variables are set or unset does not start


class Worker:
    """An object in a process of its own that runs only while it is asked.

    Args:
      kind: the object's class, as ``module:name``; imported in the process.
      settings: of the class.
      environment: further variables of the process.
    """

    def __init__(self, kind: str, *settings: Any, environment: Mapping[str, str] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, kind, settings)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        with _STARTING, patch.dict(os.environ, environment or {}):
            self._process.start()
        theirs.close()
        self._receive()  # it is there
        self._stop()

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the object returns.

        Raises:
          RuntimeError: what the method raised, as text; or the process is gone.
        """
        os.kill(self._process.pid, signal.SIGCONT)
        try:
            self._connection.send((method, arguments))
            return self._receive()
        finally:
            self._stop()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._process.terminate()
            os.kill(self._process.pid, signal.SIGCONT)  # a stopped process does not end
        self._process.join()

    def _receive(self) -> Any:
        try:
            value, failure = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise RuntimeError(f"the process is gone, with exit code {self._process.exitcode}") from None
        if failure:
            raise RuntimeError(failure)
        return value

    def _stop(self) -> None:
        """Returns when it stands still, or is gone."""
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


@contextmanager
def _failures(connection: Any) -> Any:
    try:
        yield
    except EOFError:
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0].split(". ")[0]
        connection.send((None, f"{type(error).__name__}: {first}"))


def _serve(connection: Any, kind: str, settings: tuple[Any, ...]) -> None:
    with suppress(EOFError), _failures(connection):  # the end is where nobody asks any more
        server = pkgutil.resolve_name(kind)(*settings)
        connection.send((None, ""))
        while True:
            method, arguments = connection.recv()
            with _failures(connection):
                connection.send((getattr(server, method)(*arguments), ""))


def seconds(program: Callable[[], Any], repetitions: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Of one repetition, by a clock of the process that calls it."""
    start = clock()
    for _ in range(repetitions):
        program()
    return (clock() - start) / repetitions


def rounds(
    turns: Mapping[str, Callable[[int], float]], most: int, budget: float, turn: float = 0.1, least: int = 5
) -> dict[str, list[float]]:
    """Seconds of a repetition, for each name a list of one from each round.

    Args:
      turns: name -> repetitions -> seconds of one; taken in this order in every round.
      most: rounds.
      budget: seconds after which no further round begins, once there are ``least``.
      turn: seconds that a turn takes at least: its repetitions are as many as the second one in a row says.
    """
    repetitions = {}
    for name, time_of in turns.items():
        time_of(1)  # warms up
        repetitions[name] = max(1, round(turn / max(time_of(1), 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in turns}
    begin = time.perf_counter()
    for number in range(most):
        if number >= min(least, most) and time.perf_counter() - begin > budget:
            break
        for name, time_of in turns.items():
            found[name].append(time_of(repetitions[name]))
    return found
