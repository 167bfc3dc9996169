"""Ctrl-C ends the Slurm jobs of a call of Snakemake: all of them.

snakemake-executor-plugin-slurm 2.8.0 cancels what is in its list. That list is empty while it asks for states, and lacks what
``sbatch`` is just answering; and the executor goes on to submit what it has in hand. Sometimes Ctrl-C does nothing at all: a
thread that starts a command may take the signal, and Python runs its handler in the main thread, when that wakes up: as
Snakemake's waits for jobs, once one ends.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

# Read by the sbatch of profiles/slurm: a file for the names of its jobs. Once there is `FILE.stopped`, it submits no more.
VARIABLE = "SLURM_JOB_NAMES_FILE"


def cancel_when_interrupted(folder: str | Path = ".snakemake/slurm_jobs") -> None:
    """Has this process, once it was interrupted (SIGINT), leave none of its jobs in Slurm's queue when it exits.

    No longer needed once ``test_interruptions.py`` in ``tests/slurm`` passes without (OWN_COMMANDS=0).
    """
    names = Path(folder).absolute() / f"names-{os.getpid()}"
    stopped = Path(f"{names}.stopped")
    interrupt = signal.getsignal(signal.SIGINT)
    if not callable(interrupt):
        return  # nohup: nothing is interrupted
    for stale in (names, stopped):
        stale.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(names)

    handled = threading.Event()

    def interrupted(number: int, frame: object) -> None:
        handled.set()
        stopped.parent.mkdir(parents=True, exist_ok=True)
        stopped.touch()
        atexit.unregister(_cancel)
        atexit.register(_cancel, names)
        interrupt(number, frame)  # type: ignore[arg-type]

    signal.signal(signal.SIGINT, interrupted)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_pass_on, args=(reader, handled), name="interruption", daemon=True).start()


def _pass_on(signals: socket.socket, handled: threading.Event) -> None:
    """Sends the main thread an interrupt that another thread took. Of each signal of the process a byte is read."""
    while numbers := signals.recv(64):
        if signal.SIGINT in numbers and not handled.wait(0.5):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _cancel(names: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of somebody who is impatient
    submitted = sorted(set(names.read_text().split())) if names.exists() else []
    for name in submitted:
        try:
            # Twice: what the controller was just accepting may not have been there the first time.
            for pause in (0, 2):
                time.sleep(pause)
                subprocess.run(["scancel", f"--name={name}"], check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as problem:
            print(f"{problem}: jobs may be left in the queue; cancel them: scancel --name={name}", file=sys.stderr)
