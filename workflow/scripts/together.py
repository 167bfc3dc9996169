"""What is done together: several pieces of work in one process, one after another, so that JAX starts once.

What one of them compiled the next one has. Each is what it would be alone: its own result, log and failure. One that fails, or
takes its process with it, leaves the others alone: they go on, in a fresh process if need be, and it gets another try at the
end.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import job
from train import STOPPED, stop_signals

from nmepkg import extensions, gpus
from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment

# Does a piece of work, asking the function whether to stop; whether it came to its end.
Work = Callable[[Job, Assignment, Callable[[], bool]], bool]


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
        if not gpus.claim(given.gpus, stopping=lambda: bool(received)):
            print("stopped while it waited for a GPU", file=sys.stderr)
            sys.exit(STOPPED)
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
    spawn = multiprocessing.get_context("spawn")
    failed: list[Job] = []
    while pieces and not received:
        reader, writer = spawn.Pipe(duplex=False)
        alike = list(itertools.takewhile(lambda piece: piece.code == pieces[0].code, pieces))
        left = len(pieces) - len(alike)
        worker = spawn.Process(target=_worker, args=(work, alike, given, writer))
        worker.start()
        writer.close()
        told = False
        while worker.is_alive() or reader.poll():
            if received and not told and worker.is_alive():
                worker.terminate()  # SIGTERM: a training writes a checkpoint
                told = True
            try:
                if not reader.poll(0.2):
                    continue
                outcome, seconds = reader.recv()
            except EOFError:
                break
            if outcome == "stopped":
                worker.join()
                return failed, False
            piece = pieces.pop(0)
            print(f"{piece.id}: {outcome} after {seconds:.1f} s", flush=True)
            failed += [piece] if outcome == "failed" else []
        worker.join()
        if len(pieces) > left and not received:
            died = pieces.pop(0)
            print(f"{died.id}: failed, its process ended with code {worker.exitcode}", flush=True)
            failed.append(died)
    return failed, not pieces


def _worker(work: Work, pieces: list[Job], given: Assignment, writer: Connection) -> None:
    """In a process of its own: does the work in order and tells of each piece how it ended and after how many seconds."""
    assert given.logs
    received = stop_signals()
    extensions.load(given.extensions, given.beside)
    from nmepkg.training import compilation

    with compilation.cache(given.store.compiled):
        for piece in pieces:
            _log_to(given.logs / (piece.run or "") / f"{piece.id}.log")
            began = time.monotonic()
            try:
                with job.one_line_errors(piece.id):
                    whole = work(piece, given, lambda: bool(received))
                outcome = "finished" if whole else "stopped"
            except SystemExit:  # it has said why
                outcome = "failed"
            except Exception:
                traceback.print_exc()
                outcome = "died"
            if outcome == "stopped":
                print(f"{piece.id}: stopped by {signal.Signals(received[0]).name}, to go on later", file=sys.stderr)
            if outcome == "died":
                sys.exit(1)  # who knows in what state the device is; the next one gets another process
            writer.send((outcome, time.monotonic() - began))
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
