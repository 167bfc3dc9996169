"""Forks itself for whoever asks: Snakemake, nmepkg and jobs find there what they import, but for nmepkg's own modules.

A request is the three standard files, then a line of JSON: ``-m`` or ``-f``, a module or a script with its arguments, the
folder, the environment, and whether the fork is ``alone``, see :func:`tests.workflow.forks.start`. Answered are the id of the
process and, when it has ended, its status.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shlex
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_FOUND = (
    *("snakemake.cli", "packaging.requirements", "jsonschema", "yaml"),
    *("jax.numpy", "flax.linen", "optax", "pandas", "scipy.special", "scipy.ndimage"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf"),
    *("matplotlib.backends.backend_svg", "fontTools.subset", "vl_convert"),
)
# What takes a second and is the same for every page. In a process of its own: it starts threads, which no fork has.
_BUNDLE = "import vl_convert; print(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'), end='')"


_status = 0  # with which this process ends


def main() -> None:
    atexit.register(_leave)  # before any other, so that it is called after all others
    address = Path(sys.argv[1])
    _write_python(address)
    for name in _FOUND:
        importlib.import_module(name)
    bundle = subprocess.run([sys.executable, "-c", _BUNDLE], check=True, stdout=subprocess.PIPE).stdout.decode()
    sys.modules["vl_convert"].javascript_bundle = lambda _: bundle
    gc.collect()
    gc.freeze()  # or each fork would copy all this when it looks for garbage
    with socket.socket(socket.AF_UNIX) as listening:
        bound = address.with_suffix(".bound")
        listening.bind(str(bound))
        listening.listen()
        bound.rename(address)
        _serve(listening)


def _leave() -> None:
    """Ends this process: a fork would copy all that it found to take it apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)


def _serve(listening: socket.socket) -> None:
    """Returns when the input ends, and in each fork when that has done its work."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([sys.stdin, listening, *running], [], [])[0]:
            if ready is sys.stdin:
                return
            if ready is listening:
                connection = listening.accept()[0]
                process = _fork(connection)
                if not process:
                    return
                running[os.pidfd_open(process)] = process, connection
                _tell(connection, process)
            else:
                process, connection = running.pop(ready)
                os.close(ready)
                with connection:
                    _tell(connection, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):  # whoever asked was killed
        connection.sendall(number.to_bytes(4, "big", signed=True))


def _fork(connection: socket.socket) -> int:
    """Reads a request; the id of the process that does it, or, when that has done it, 0 there."""
    _, files, *_ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as lines:
        request = json.loads(lines.readline())
    process = os.fork()
    if not process:
        _become(*request, files)
        return 0
    for file in files:
        os.close(file)
    return process


def _write_python(address: Path) -> None:
    """What jobs call as ``python``: scripts are forks."""
    python, client = shlex.quote(sys.executable), shlex.quote(str(Path(__file__).with_name("fork_client.py")))
    program = address.with_name("python")
    program.write_text(
        f'#!/bin/sh\ncase $1 in *.py) exec {python} -IS {client} "$0" "$@" ;; *) exec {python} "$@" ;; esac\n'
    )
    program.chmod(0o755)


def _become(
    how: str, words: list[str], folder: str, environment: dict[str, str], alone: bool, files: list[int]
) -> None:
    if alone:
        os.setsid()
    else:
        sys.executable = str(Path(sys.argv[1]).with_name("python"))  # jobs of Snakemake's find Python beside its own
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    sys.path[0] = folder if how == "-m" else str(Path(words[0]).parent)
    sys.path[1:1] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv[:] = words
    global _status
    _status = 1  # where it ends by an error, of which Python tells
    try:
        if how == "-m":
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
        _status = 0
    except SystemExit as end:
        _status = int(bool(end.code)) if not isinstance(end.code, int) else end.code
        raise


if __name__ == "__main__":
    main()
