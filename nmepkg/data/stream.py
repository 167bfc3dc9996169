"""ImageNet as a stream of batches, read and decoded by processes of their own ahead of the training.

Which examples a step takes, and which view of each, is a function of the seed, the epoch and the example: nothing of the
reading is state, so that a stream which begins at some step gives the batches that one from the start gives from there on,
whatever the number of processes that read, or among which a batch is shared out.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmepkg import surroundings
from nmepkg.data import imagenet
from nmepkg.data.jpeg import centre_crop
from nmepkg.errors import UserError

Batch = tuple[np.ndarray, np.ndarray]  # (B, size, size, 3) uint8 and (B,) int32
View = Callable[[bytes, np.random.Generator], np.ndarray]  # a JPEG and what draws -> (size, size, 3) uint8

_PIECE = 32  # examples that a process works on at once: a batch is ready soon, and little waits in memory
_AHEAD = 4  # pieces that each process has ready, and as many of its that this one has fetched
_ORDER, _VIEW = 0, 1  # what is drawn, behind seed and epoch


class Stream(NamedTuple):
    """The prepared data set, to be read in batches.

    Attributes:
      folder: with the shards.
      records: split (``train`` or ``test``) -> random access to its records.
      labels: split -> (N,) int32, in their order.
      size: of a view: (size, size, 3).
      resize: of the shorter side of an image whose middle is evaluated on.
    """

    folder: Path
    records: dict[str, Any]
    labels: dict[str, np.ndarray]
    size: int
    resize: int

    def batches(
        self,
        indices: np.ndarray,
        batch_size: int,
        seed: int,
        start: int,
        stop: int,
        view: View | None = None,
        workers: int = 0,
        process: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """Batches to train on, of the steps after ``start``, up to ``stop``.

        Every epoch goes through ``indices`` in a fresh order and leaves out what does not fill a last batch.

        Args:
          indices: training examples to draw from, by place.
          batch_size: of all processes together.
          seed: of order and views.
          view: what becomes of an image, with a generator for this example and epoch; None: its middle, as in an evaluation.
          workers: processes that read and decode; 0: threads of this one do.
          process: (index, count) of this one among those that share out each batch, in the order of their index.

        Returns:
          Examples of this process; closing the iterator ends its workers.

        Raises:
          UserError: the batch is larger than the set or cannot be shared out evenly, or, while iterating, an example cannot be
            read.
        """
        if batch_size > len(indices):
            raise UserError(f"training.batch_size: {batch_size} is more than the {len(indices)} examples to train on")
        order = _Epochs(np.asarray(indices, np.int32), batch_size, seed, _share(batch_size, process))
        return self._read("train", order, start, stop, view, workers)

    def evaluation(
        self, split: str, indices: np.ndarray, batch_size: int, workers: int = 0, process: tuple[int, int] = (0, 1)
    ) -> Iterator[Batch]:
        """The middle of images, in the order of ``indices``; the last batch is smaller if need be.

        Arguments, result and errors are those of :meth:`batches`.
        """
        order = _Once(np.asarray(indices, np.int32), batch_size, _share(batch_size, process))
        return self._read(split, order, 0, -(-len(indices) // batch_size), None, workers)

    def take(self, split: str, indices: np.ndarray) -> Batch:
        """The middle of some images, in the order of ``indices``, as arrays."""
        parts = list(self.evaluation(split, indices, _PIECE))
        if not parts:
            return np.empty((0, self.size, self.size, 3), np.uint8), np.empty(0, np.int32)
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))  # type: ignore[return-value]

    def _read(
        self, split: str, order: _Epochs | _Once, start: int, stop: int, view: View | None, workers: int
    ) -> Iterator[Batch]:
        middle = partial(_middle, size=self.size, resize=self.resize)
        pieces = _Pieces(self.folder, self.records[split], order, start, stop, view or middle, self.size)
        return _joined(pieces, workers)


def open_stream(source: Path, arrays: Mapping[str, np.ndarray], size: int, resize: int) -> Stream:
    """Opens the prepared data set to read from, if it is the one whose labels were read.

    Args:
      source: see :func:`nmepkg.data.imagenet.prepare`, which gave ``arrays``.
      size, resize: see :class:`Stream`.

    Raises:
      UserError: it is not there, or has changed.
    """
    found = imagenet.open_prepared(Path(source))
    if not np.array_equal(found.files, arrays["files"]):
        raise UserError(
            f"{found.folder}: not the files that were checked; put those back, or delete both files of the prepared data, "
            "to check and train anew"
        )
    return Stream(found.folder, found.records, {split: arrays[f"{split}_y"] for split in imagenet.SPLITS}, size, resize)


def _share(batch_size: int, process: tuple[int, int]) -> slice:
    """The examples of a batch that one of several processes takes."""
    index, count = process
    if batch_size % count:
        raise UserError(f"training.batch_size: {batch_size} examples cannot be shared out among {count} processes")
    return slice(index * batch_size // count, (index + 1) * batch_size // count)


@dataclass
class _Epochs:
    """Step -> (key of what is drawn there, examples of this process), for training."""

    indices: np.ndarray
    batch_size: int
    seed: int
    share: slice
    _orders: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def __call__(self, step: int) -> tuple[list[int], np.ndarray]:
        epoch, place = divmod(step, len(self.indices) // self.batch_size)
        first = place * self.batch_size
        return [self.seed, epoch, _VIEW], self._order(epoch)[first : first + self.batch_size][self.share]

    def _order(self, epoch: int) -> np.ndarray:
        known = self._orders
        if epoch not in known:
            drawn = np.random.default_rng([self.seed, epoch, _ORDER]).permutation(self.indices)
            # Where one epoch ends and the next begins, threads work on both.
            self._orders = {**{e: known[e] for e in (epoch - 1, epoch + 1) if e in known}, epoch: drawn}
            return drawn
        return known[epoch]


class _Once(NamedTuple):
    """Batch -> (a key, examples of this process), in the order given."""

    indices: np.ndarray
    batch_size: int
    share: slice

    def __call__(self, step: int) -> tuple[list[int], np.ndarray]:
        return [0], self.indices[step * self.batch_size :][: self.batch_size][self.share]


class _Pieces(NamedTuple):
    """Pieces of the batches of the steps after ``start``, by number: what the workers make."""

    folder: Path
    records: Any
    order: _Epochs | _Once
    start: int
    stop: int
    view: View
    size: int

    @property
    def a_batch(self) -> int:
        """Pieces of a batch."""
        share = self.order.share
        return -(-(share.stop - share.start) // _PIECE)

    def piece(self, number: int) -> Batch:
        """Examples of one piece, none behind the last step, and maybe none in the last pieces of a batch that isn't full."""
        step, part = divmod(self.start * self.a_batch + number, self.a_batch)
        key, examples = self.order(step) if step < self.stop else ([], np.empty(0, np.int32))
        examples = examples[part * _PIECE : (part + 1) * _PIECE]
        x, y = np.empty((len(examples), self.size, self.size, 3), np.uint8), np.empty(len(examples), np.int32)
        for i, example in enumerate(examples.tolist()):
            try:
                record = self.records[example]
                x[i], y[i] = self.view(record["image"], np.random.default_rng([*key, example])), record["label"]
            except (OSError, RuntimeError, ValueError) as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                raise UserError(
                    f"{self.folder}: example {example} cannot be read ({reason}); prepare it again"
                ) from None
        return x, y


class _Source:
    """The pieces, as grain asks for a source: by index. It never ends, as grain would keep shared memory of one that does."""

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, number: int) -> Batch:
        return self._pieces.piece(number)


def _joined(pieces: _Pieces, workers: int) -> Iterator[Batch]:
    """Whole batches, of what the workers make."""
    try:
        import grain
        from absl import flags
    except ImportError as error:
        raise UserError(f"{imagenet.NAME} is streamed with grain ({error}); run {imagenet.INSTALL}") from None
    if not flags.FLAGS.is_parsed():  # grain looks for flags of its own, where a program need not have any
        flags.FLAGS.mark_as_parsed()
    source: Any = _Source(pieces)
    # Decoding leaves the interpreter to other threads.
    threads = 1 if workers else min(16, surroundings.threads())
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_AHEAD)
    # Workers hand over images in shared memory, if there is room, or else through a pipe; labels always.
    waiting = 2 * _AHEAD * workers * _PIECE * 3 * pieces.size**2
    options = grain.experimental.DatasetOptions(min_shm_size=1 << 16 if _shared_memory() > 2 * waiting else 1 << 62)
    dataset = grain.MapDataset.source(source).to_iter_dataset(reading)
    dataset = grain.experimental.WithOptionsIterDataset(dataset, options)
    iterator = iter(dataset.mp_prefetch(processes, worker_init_fn=_begin))
    try:
        for step in range(pieces.start, pieces.stop):
            parts = list(itertools.islice(iterator, pieces.a_batch))
            batch = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
            parts.clear()
            if step + 1 < pieces.stop:
                yield batch
    finally:
        iterator.close()
        _settle()
    if pieces.start < pieces.stop:
        yield batch  # the last one, when the workers are gone: nobody has to ask for more to end them


def _shared_memory() -> int:
    """Free bytes; a container may have next to none, and writing to more ends a process."""
    with suppress(OSError):
        return shutil.disk_usage("/dev/shm").free
    return 0


def _settle() -> None:
    """Waits for the thread in which grain frees the shared memory of arrays that are gone, of which Python else warns."""
    with suppress(ImportError, AttributeError):
        from grain._src.python.ipc.shared_memory_array import SharedMemoryArray

        if SharedMemoryArray._del_thread_pool is not None:
            SharedMemoryArray._del_thread_pool.apply(int)


def _begin(worker: int, workers: int) -> None:
    """Makes a worker end with the process that it works for, however that one ends, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _middle(jpeg: bytes, rng: np.random.Generator, *, size: int, resize: int) -> np.ndarray:
    return centre_crop(jpeg, size=size, resize=resize)
