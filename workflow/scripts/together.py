"""What is done together: several pieces of work in one process, one after another, so that JAX starts once.

What one of them compiled the next one has. Where a setup has several ``runs_at_once``, so many such processes go side by side,
and share the job's GPU and threads. Each piece is what it would be alone: its own result, log and failure. One that fails, or
takes its process with it, leaves the others alone: they go on, in a fresh process if need be, and it gets another try at the
end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import job
from train import STOPPED, stop_signals

from nmepkg import extensions, gpus, surroundings
from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment

# Does a piece of work, asking the function whether to stop; whether it came to its end.
Work = Callable[[Job, Assignment, Callable[[], bool]], bool]

_THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # as the rules set them


def main(description: str | None, work: Work) -> None:
    """The script of such a job. Stopped by a signal, it exits with code 75.

    Args:
      description: of the script.
      work: a function of the script's module, which the processes import.
    """
    file = job.parser(description).parse_args().job
    received = stop_signals()
    with job.one_line_errors(file.stem):
        given = jobs.read(file)
        if not gpus.claim(given.gpus, at_once=given.at_once, stopping=lambda: bool(received)):
            print("stopped while it waited for a GPU", file=sys.stderr)
            sys.exit(STOPPED)
        if given.at_once > 1:
            threads = max(1, surroundings.threads() // given.at_once)
            os.environ.update(dict.fromkeys(_THREADS, str(threads)))
        failed, whole = _do(work, list(given.jobs), given, received)
        if failed and whole:  # once more, as a job of one has `retries`
            failed, whole = _do(work, failed, given, received)
    print(f"{len(failed)} failed{': ' if failed else ''}{', '.join(one.id for one in failed)}", flush=True)
    if not whole:
        sys.exit(STOPPED)


def _do(work: Work, pieces: list[Job], given: Assignment, received: list[int]) -> tuple[list[Job], bool]:
    """Does the work in worker processes: pieces of the same code share one, until it dies.

    Of other code it could not be told any more whether a piece imports what its hash does not know.

    Returns:
      Those that failed, and whether all came to an end.
    """
    left, busy, failed = list(pieces), dict[Connection, tuple[BaseProcess, Job]](), list[Job]()
    whole, told = True, False
    while busy or (left and whole):
        while left and whole and len(busy) < given.at_once:
            worker, connection = _start(work, given)
            busy[connection] = worker, left[0]
            _send(connection, left.pop(0))
        if received and not told:
            for worker, _ in busy.values():
                worker.terminate()  # SIGTERM: a training writes a checkpoint
            whole, told = False, True
        ready = wait([*busy], timeout=0.2)
        for connection in [one for one in busy if one in ready]:
            worker, piece = busy.pop(connection)
            try:
                outcome, seconds = connection.recv()
            except (EOFError, ConnectionError):
                worker.join()
                if not received:
                    print(f"{piece.id}: failed, its process ended with code {worker.exitcode}", flush=True)
                    failed.append(piece)
                continue
            if outcome == "stopped":
                whole = False
                worker.join()
                continue
            print(f"{piece.id}: {outcome} after {seconds:.1f} s", flush=True)
            failed += [piece] if outcome == "failed" else []
            following = next((other for other in left if other.code == piece.code), None)
            if following is None or not whole:
                connection.close()  # upon which it ends
                worker.join()
            else:
                left.remove(following)
                busy[connection] = worker, following
                _send(connection, following)
    return failed, whole and not left


def _start(work: Work, given: Assignment) -> tuple[BaseProcess, Connection]:
    """A worker process, and where it is sent pieces of work and tells of each how it ended and after how many seconds."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    worker = spawn.Process(target=_worker, args=(work, given, theirs, os.getpid()))
    worker.start()
    theirs.close()
    return worker, ours


def _send(connection: Connection, piece: Job) -> None:
    """Tells a worker what to do next; of one that has died, the other end says so."""
    with suppress(ConnectionError):
        connection.send(piece)


def _worker(work: Work, given: Assignment, connection: Connection, parent: int) -> None:
    """In a process of its own: does what it is sent, until nothing comes any more."""
    assert given.logs
    received = stop_signals()

    def stopping() -> bool:
        """Whether to stop; also where the job is dead, and with it the lock of the GPU gone."""
        return bool(received) or os.getppid() != parent

    extensions.load(given.extensions, given.beside)
    from nmepkg.training import compilation

    with compilation.cache(given.store.compiled), suppress(EOFError, ConnectionError):
        while True:
            piece = connection.recv()
            _log_to(given.logs / (piece.run or "") / f"{piece.id}.log")
            began = time.monotonic()
            try:
                with job.one_line_errors(piece.id):
                    whole = work(piece, given, stopping)
                outcome = "finished" if whole else "stopped"
            except SystemExit:  # it has said why
                outcome = "failed"
            except Exception:
                traceback.print_exc()
                outcome = "died"
            if outcome == "stopped":
                by = signal.Signals(received[0]).name if received else "the end of its job"
                print(f"{piece.id}: stopped by {by}, to go on later", file=sys.stderr, flush=True)
            if outcome == "died":
                sys.exit(1)  # who knows in what state the device is; the next one gets another process
            connection.send((outcome, time.monotonic() - began))
            if outcome == "stopped":
                return


def _log_to(path: Path) -> None:
    """Sends all that this process prints, its libraries too, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
