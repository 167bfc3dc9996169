"""Checkpoints: where a training stands, kept so that a process that ends at any moment costs no more than a little work.

A training that is resumed takes the same steps on the same numbers, so its result is that of a training never interrupted,
to the bit (on one machine's CPU with one set of versions, and as many threads, which are recorded; of GPUs see
``training.deterministic``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nmepkg import records
from nmepkg.files import arrays_sha256, read_arrays, written_whole
from nmepkg.training.loop import Position
from nmepkg.training.provenance import Account
from nmepkg.training.step import State

KIND = records.Kind("checkpoint", 1, "delete it to train the run anew")
_COST = 0.01  # the most of a training's time that writing checkpoints may take


class StoppedError(Exception):
    """A training ended before its end, as it was asked to; its checkpoint is written."""


class Interval(NamedTuple):
    """When a checkpoint is due: so many seconds after the last one, or so many epochs; None is never.

    Whatever is asked for, writing takes at most a hundredth of the time: slow disks get fewer checkpoints.
    """

    seconds: float | None = 60.0
    epochs: int | None = None


NEVER = Interval(None, None)


class Checkpoints:
    """The checkpoint of one run, written when it is due and read by the next process.

    Args:
      path: where it goes; the next one takes the place of the last.
      run: id of the run.
      interval: when one is due.
      stopping: asked after every step whether the training should end.
      account: recorded with a checkpoint, and taken up from one.
    """

    def __init__(
        self, path: Path, run: str, interval: Interval, stopping: Callable[[], bool], account: Account
    ) -> None:
        self._path, self._run, self._interval, self._stopping, self._account = path, run, interval, stopping, account
        self._cost, self._epochs, self._written = 0.0, 0, time.monotonic()

    def resume(self, shapes: Callable[[], State]) -> Position | None:
        """Where the last process came to, by its checkpoint; None without one.

        Args:
          shapes: returns a state whose structure that of the checkpoint is.

        Raises:
          DamagedError: the checkpoint is not whole, or that of another run.
        """
        found = self._read()
        if found is None:
            return None
        arrays, description = found
        state = unpack(arrays, shapes())
        self._account.resume(description["segments"], int(state.step))
        return Position(state, description["history"])

    def _read(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        try:
            arrays = read_arrays(self._path)
            description = records.unseal(str(arrays.pop("description")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError) as error:
            raise KIND.refuse(self._path, f"not readable ({error})") from None
        records.check(self._path, KIND, description, {"run": self._run, "arrays": arrays_sha256(arrays)})
        return arrays, description

    def __call__(self, position: Position, epoch_done: bool) -> None:
        """Writes a checkpoint if one is due.

        Raises:
          StoppedError: the training should end; its checkpoint is written.
          OSError: it cannot be written.
        """
        self._epochs += epoch_done
        stopping = self._stopping()
        since = time.monotonic() - self._written
        seconds, epochs = self._interval
        due = (seconds is not None and since >= seconds) or (
            epoch_done and epochs is not None and self._epochs >= epochs
        )
        if stopping or (due and self._cost <= _COST * since):
            self._write(position)
        if stopping:
            raise StoppedError

    def _write(self, position: Position) -> None:
        jax.block_until_ready(position.state)  # waiting for the steps under way is no cost of the checkpoint
        begun = time.monotonic()
        arrays = pack(position.state)
        content = {
            "format": KIND.format,
            "run": self._run,
            "arrays": arrays_sha256(arrays),
            "history": position.history,
            "segments": self._account.segments(),
        }
        description = np.array(records.seal(content))
        with written_whole(self._path) as file:
            np.savez(file, allow_pickle=False, description=description, **arrays)
        self._written = time.monotonic()
        self._cost, self._epochs = self._written - begun, 0


def pack(state: State) -> dict[str, np.ndarray]:
    """The arrays of a state under names such as ``.params['Dense_0']['kernel']``."""
    plain = state._replace(key=jax.random.key_data(state.key))
    leaves = jax.tree_util.tree_leaves_with_path(plain)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def unpack(arrays: Mapping[str, np.ndarray], shapes: State) -> State:
    """The state that :func:`pack` took apart; ``shapes`` is one of its structure."""
    paths, structure = jax.tree_util.tree_flatten_with_path(shapes)
    state = jax.tree.unflatten(structure, [arrays[jax.tree_util.keystr(path)] for path, _ in paths])
    return state._replace(key=jax.random.wrap_key_data(state.key))
