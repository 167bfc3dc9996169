"""Which GPUs a job computes on: decided before JAX looks at any, and made sure of once it has.

JAX takes every GPU that it sees, and most of the memory of each. Of two jobs on one machine the second would fail, or both
would be slow. So a job shows JAX the GPUs that are its own, or none. Nothing here decides a number.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import sys
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

from nmepkg.errors import UserError

# Not Python's temporary folder: by TMPDIR, which Snakemake sets too, that may be another one for every user or job.
_LOCKS = Path("/tmp")
_DEVICES = Path("/dev")

# Every one of these has an id of the job in it.
_SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "OAR_JOB_ID")

# Devices that JAX may compute on and that CUDA_VISIBLE_DEVICES says nothing about: AMD's, TPUs, those of Windows.
_OTHERS = ("kfd", "accel0", "vfio/0", "dxg")

# Who sets one of these knows better how much memory a job should take.
_MEMORY = (
    "XLA_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
)

_NO_GPU = "no GPU here that JAX knows of: this job computes on the CPU"

_held: dict[str, int] = {}  # GPU -> its lock, open until the process ends


def claim(
    count: int,
    *,
    together: bool = False,
    at_once: int = 1,
    stopping: Callable[[], bool] = lambda: False,
    devices: Path = _DEVICES,
    locks: Path = _LOCKS,
) -> bool:
    """Shows JAX, by variables of this process, ``count`` GPUs that no other job has. Call it once, before JAX is imported.

    - **None are asked for**: JAX computes on the CPU, and leaves alone the GPUs that other jobs use.
    - **A scheduler gave the job GPUs**: those. Of more than ``count``, as in an allocation that several jobs share, free ones.
    - **Without a scheduler**: free ones among those in ``CUDA_VISIBLE_DEVICES``, if the user set that, or else of the machine.
      While too few are free, that is said once, and waited for.
    - **There are none at all**: the CPU, which is said. With a scheduler, :func:`check` refuses that.
    - **Other accelerators than NVIDIA's**: left to JAX.

    Wherever the user has set ``JAX_PLATFORMS``, it stays. A GPU is free unless somebody's process has claimed it by this
    function and still lives.

    Args:
      count: the study's ``setups.X.resources.gpus``.
      together: whether this is one of several processes that train one run.
      at_once: how many processes of this job share them, each of which starts JAX with these variables.
      stopping: asked while waiting whether to give up.
      devices: folder of the device files.
      locks: folder of the locks, the same for all users of the machine and on it alone.

    Returns:
      False if ``stopping`` said so.

    Raises:
      UserError: there are fewer than ``count``, free or not.
      OSError: a lock cannot be opened; names it.
    """
    if count == 0:
        _compute_on_cpu()
        return True
    if not _may_be_cuda():
        return True
    visible, scheduler = _visible(), _scheduler()
    names = _numbers(devices) if visible is None else visible
    # A scheduler that says nothing of GPUs, where there are some, knows nothing of them.
    enough = not names if visible is None else len(names) <= count
    # Of several tasks that train one run, `jax.distributed` tells each which GPU of their allocation is its own.
    if scheduler is not None and (together or enough):
        _take_memory(at_once)
        return True
    if not names:
        if not _others(devices):
            print(_NO_GPU, file=sys.stderr, flush=True)
            _compute_on_cpu()
        return True
    if len(names) < count:
        where = "on this machine" if visible is None else "in CUDA_VISIBLE_DEVICES"
        raise UserError(
            f"{_gpus(count)} asked for, and {len(names)} {where}; lower setups.X.resources.gpus, or run it where there are more"
        )
    # What a scheduler gives may be numbered from 0 in every job.
    scope = "" if scheduler is None or visible is None else f"{scheduler}-"
    paths = {name: locks / re.sub(r"[^\w.-]", "_", f"nmepkg-gpu-{scope}{name}") for name in names}
    if not _wait(count, paths, stopping):
        return False
    if scheduler is None:
        # CUDA's own order puts the fastest first; this is the order of nvidia-smi, and the same for every job.
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(_held)
    _take_memory(at_once)
    return True


def check(count: int) -> None:
    """Makes sure that JAX starts, and on the GPUs of a job that has some. Call it after :func:`claim`, where JAX may start.

    Args:
      count: as it was claimed.

    Raises:
      UserError: JAX does not start; or it would compute on the CPU, and neither the user nor a lack of GPUs is why.
    """
    import jax  # takes a second, and reads the variables that `claim` sets

    platforms = os.environ.get("JAX_PLATFORMS")
    try:
        backend = jax.default_backend()
    except Exception as error:  # AssertionError and RuntimeError at least, without a word about the variable
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"JAX_PLATFORMS={platforms or ''}: JAX does not start on it ({reason}); unset it, or set it to cpu"
        ) from None
    if count == 0 or platforms or backend != "cpu":
        return
    otherwise = "or set JAX_PLATFORMS=cpu to compute on the CPU all the same"
    if _scheduler() is not None and not _held and not _visible():
        raise UserError(
            f"{_gpus(count)} asked for, but the scheduler gave this job none (CUDA_VISIBLE_DEVICES names none); "
            f"have it ask for them as docs/cluster.md says, {otherwise}"
        )
    if _held or _visible():
        raise UserError(
            f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}: this job's, but JAX does not see it; install JAX for GPUs, whose "
            f"driver has to be 525 or newer: python -m pip install --editable '.[cuda]' ({otherwise})"
        )
    print(_NO_GPU, file=sys.stderr, flush=True)


def _wait(count: int, locks: dict[str, Path], stopping: Callable[[], bool]) -> bool:
    """Holds ``count`` of the locks: all at once or none, so that no two jobs wait for what the other has."""
    said = False
    while True:
        for name, path in locks.items():
            handle = _lock(path)
            if handle is not None:
                _held[name] = handle
            if len(_held) == count:
                return True
        while _held:
            os.close(_held.popitem()[1])
        if stopping():
            return False
        if not said:
            said = True
            print(
                f"waits for {_gpus(count)}: too few are free of other jobs (numbered {', '.join(locks)})",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(random.uniform(0.1, 0.4))  # two that found half of what they want each do not meet again


def _lock(path: Path) -> int | None:
    """An open lock that the system frees when this process ends; None if another has it.

    It is a folder: any user can open it, where a file of another's in /tmp may be refused; and what cleans /tmp leaves folders
    alone that are locked.

    Raises:
      OSError: it is no folder, or closed to this user.
    """
    while True:
        mask = os.umask(0o022)
        try:
            path.mkdir(0o755, exist_ok=True)
        finally:
            os.umask(mask)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        os.close(handle)  # removed meanwhile: others would lock another


def _scheduler() -> str | None:
    """The job of a scheduler that this process is in."""
    return next((os.environ[name] for name in _SCHEDULERS if os.environ.get(name)), None)


def _visible() -> list[str] | None:
    """What CUDA_VISIBLE_DEVICES names, numbers or UUIDs; None if it is not set."""
    text = os.environ.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    # As CUDA reads it: nothing counts from the first on that is none.
    return list(takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), map(str.strip, text.split(","))))


def _numbers(devices: Path) -> list[str]:
    """CUDA's numbers of a machine's GPUs. They count what there is: a container with /dev/nvidia2 alone has GPU 0."""
    files = [path for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(number) for number in range(len(files))]


def _others(devices: Path) -> bool:
    return any((devices / name).exists() for name in _OTHERS)


def _may_be_cuda() -> bool:
    """Whether the user's JAX_PLATFORMS, if set, has room for NVIDIA's GPUs."""
    platforms = os.environ.get("JAX_PLATFORMS")
    return not platforms or not {"cuda", "gpu"}.isdisjoint(platforms.split(","))


def _compute_on_cpu() -> None:
    if not os.environ.get("JAX_PLATFORMS"):
        os.environ["JAX_PLATFORMS"] = "cpu"


def _take_memory(at_once: int) -> None:
    """Lets JAX have nearly all memory of its GPUs, and of several processes each its share.

    By itself it takes 75 % when it starts and never more, as others might want the rest; nobody does here. What is left is for
    CUDA's context and its libraries, which do not ask JAX, and which each process has anew.
    """
    if not any(os.environ.get(name) for name in _MEMORY):
        os.environ["XLA_CLIENT_MEM_FRACTION"] = "0.9" if at_once == 1 else f"{0.8 / at_once:.4f}"


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
