"""Trains several runs in one process, one after another: JAX starts once, and what one run compiled the next one has.

Each run is what it would be alone: its own result, log and failure. One that fails, or takes its process with it, leaves the
others alone: they go on, in a fresh process if need be, and it gets another try at the end. Stopped by a signal, it exits with
code 75, as ``train.py`` does.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

import job
from train import STOPPED, stop_signals, train

from nmepkg import gpus
from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment


def main() -> None:
    file = job.parser(__doc__).parse_args().job
    received = stop_signals()
    with job.one_line_errors(file.stem):
        given = jobs.read(file)
        if not gpus.claim(given.gpus, stopping=lambda: bool(received)):
            print("stopped while it waited for a GPU", file=sys.stderr)
            sys.exit(STOPPED)
        failed, whole = _train(list(given.jobs), given, received)
        if failed and whole:  # once more, as a job of one run has `retries`
            failed, whole = _train(failed, given, received)
    print(f"{len(failed)} failed{': ' if failed else ''}{', '.join(run.id for run in failed)}", flush=True)
    if not whole:
        sys.exit(STOPPED)


def _train(runs: list[Job], given: Assignment, received: list[int]) -> tuple[list[Job], bool]:
    """Trains runs in worker processes: those of the same code share one, until it dies.

    Of other code it could not be told any more whether a run imports what its hash does not know.

    Returns:
      Those that failed, and whether all came to an end.
    """
    spawn = multiprocessing.get_context("spawn")
    failed: list[Job] = []
    while runs and not received:
        reader, writer = spawn.Pipe(duplex=False)
        alike = list(itertools.takewhile(lambda run: run.code == runs[0].code, runs))
        left = len(runs) - len(alike)
        worker = spawn.Process(target=_work, args=(alike, given, writer))
        worker.start()
        writer.close()
        told = False
        while worker.is_alive() or reader.poll():
            if received and not told and worker.is_alive():
                worker.terminate()  # SIGTERM: it writes a checkpoint
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
            run = runs.pop(0)
            print(f"{run.id}: {outcome} after {seconds:.1f} s", flush=True)
            failed += [run] if outcome == "failed" else []
        worker.join()
        if len(runs) > left and not received:
            died = runs.pop(0)
            print(f"{died.id}: failed, its process ended with code {worker.exitcode}", flush=True)
            failed.append(died)
    return failed, not runs


def _work(runs: list[Job], given: Assignment, writer: Connection) -> None:
    """In a process of its own: trains runs in order and tells of each how it ended and after how many seconds."""
    assert given.logs
    received = stop_signals()
    from nmepkg.training import compilation

    with compilation.cache(given.store.compiled):
        for run in runs:
            _log_to(given.logs / f"{run.id}.log")
            began = time.monotonic()
            try:
                with job.one_line_errors(run.id):
                    whole = train(run, given, stopping=lambda: bool(received), cache=None)
                outcome = "finished" if whole else "stopped"
            except SystemExit:  # it has said why
                outcome = "failed"
            except Exception:
                traceback.print_exc()
                outcome = "died"
            if outcome == "stopped":
                print(f"{run.id}: stopped by {signal.Signals(received[0]).name}, to go on later", file=sys.stderr)
            if outcome == "died":
                sys.exit(1)  # who knows in what state the device is; the next run gets another process
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


if __name__ == "__main__":
    main()
