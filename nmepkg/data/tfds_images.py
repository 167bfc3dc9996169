"""Small image data sets, made by the builders of tensorflow-datasets from their original archives, as arrays.

TensorFlow takes part in this alone: it prepares the set in a temporary folder, on the CPU, and what it made is checked and kept
as arrays. tensorflow-datasets sorts the examples by a hash of their number in the archive, salted with the name of the split,
so that their order is a function of the archives alone.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmepkg.data import archives
from nmepkg.errors import UserError

INSTALL = "python -m pip install 'nmepkg[prepare]' (from a checkout: python -m pip install --editable '.[prepare]')"


class Known(NamedTuple):
    """What a set has to be.

    Attributes:
      shape: (H, W, C) of an image.
      train, test: examples of each class, in the order of the labels.
    """

    shape: tuple[int, int, int]
    train: Sequence[int]
    test: Sequence[int]


_MNIST = Known(
    (28, 28, 1),
    (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
)
_FASHION_MNIST = Known((28, 28, 1), [6000] * 10, [1000] * 10)
_CIFAR10 = Known((32, 32, 3), [5000] * 10, [1000] * 10)
_CIFAR100 = Known((32, 32, 3), [500] * 100, [100] * 100)


def mnist(source: Path | None) -> dict[str, np.ndarray]:
    """MNIST (LeCun et al. 1998): see :func:`prepare`. ``source`` has the four archives ``*-ubyte.gz``."""
    return prepare("mnist", _MNIST, source)


def fashion_mnist(source: Path | None) -> dict[str, np.ndarray]:
    """Fashion-MNIST (Xiao et al. 2017): see :func:`prepare`. ``source`` has the four archives ``*-ubyte.gz``."""
    return prepare("fashion_mnist", _FASHION_MNIST, source)


def cifar10(source: Path | None) -> dict[str, np.ndarray]:
    """CIFAR-10 (Krizhevsky 2009): see :func:`prepare`. ``source`` has ``cifar-10-binary.tar.gz``."""
    return prepare("cifar10", _CIFAR10, source)


def cifar100(source: Path | None) -> dict[str, np.ndarray]:
    """CIFAR-100 (Krizhevsky 2009), fine labels: see :func:`prepare`. ``source`` has ``cifar-100-binary.tar.gz``."""
    return prepare("cifar100", _CIFAR100, source)


def prepare(name: str, known: Known, source: Path | None) -> dict[str, np.ndarray]:
    """A data set of tensorflow-datasets as arrays, the same for the same archives.

    Args:
      name: of the set in tensorflow-datasets.
      known: what it has to be.
      source: a folder with the archives as they were published; None: they are downloaded.

    Returns:
      ``train_x`` (N, H, W, C) uint8, ``train_y`` (N,) int32, and the same for ``test``.

    Raises:
      UserError: TensorFlow is missing, an archive is missing or another one, there is no network, or what was made is not
        what it has to be.
    """
    tfds = import_tensorflow_datasets()
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as temporary:
        folder = Path(temporary)
        with _quiet():
            builder = tfds.builder(name, data_dir=folder / "prepared")
        if source is None:
            _reach(name, builder.url_infos)
        else:
            _say(name, f"checking the archives in {source}")
            (folder / "archives").mkdir()
            archives.provide(Path(source), registered(builder), folder / "archives")
        arrays = build(builder, folder)
    check(name, known, arrays)
    return arrays


def import_tensorflow_datasets() -> Any:
    """tensorflow-datasets, with a TensorFlow that leaves the accelerator to others.

    Raises:
      UserError: one of the two is missing.
    """
    try:
        with _quiet():
            import tensorflow as tf
            import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(f"this data set is prepared with TensorFlow ({error}); run {INSTALL}") from None
    tf.config.set_visible_devices([], "GPU")
    return tfds


def registered(builder: Any) -> dict[str, str]:
    """File name -> SHA-256 of each download of a builder, as registered in tensorflow-datasets."""
    return {info.filename: info.checksum for info in builder.url_infos.values()}


def build(builder: Any, folder: Path) -> dict[str, np.ndarray]:
    """Has a builder prepare its set, and reads it.

    Args:
      builder: of tensorflow-datasets, for a folder to write to.
      folder: downloads go there; archives in its ``archives`` are taken in their place.

    Returns:
      Arrays of the splits ``train`` and ``test``: see :func:`prepare`.

    Raises:
      UserError: a download fails.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    began = time.monotonic()
    _say(
        builder.name,
        f"tensorflow-datasets {tfds.__version__} prepares it, half a minute or so once the archives are there",
    )
    # TFDS takes a file of the manual folder for the download that is registered under its name.
    config = tfds.download.DownloadConfig(manual_dir=folder / "archives", try_download_gcs=False)
    arrays = {}
    try:
        with _quiet():
            builder.download_and_prepare(download_dir=folder / "downloads", download_config=config)
            for split in ("train", "test"):
                # The whole split as one batch, in the order in which it was written.
                examples = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1, shuffle_files=False))
                arrays[f"{split}_x"], arrays[f"{split}_y"] = examples["image"], examples["label"].astype(np.int32)
    except Exception as error:
        # An error of the machine, such as a full disk, has a number; those of requests have none.
        refused = (tfds.download.DownloadError, NonMatchingChecksumError)
        if isinstance(error, refused) or (isinstance(error, OSError) and error.errno is None):
            raise UserError(_unreachable(builder.name, error)) from None
        raise
    _say(builder.name, f"prepared in {time.monotonic() - began:.0f} s")
    return arrays


def check(name: str, known: Known, arrays: Mapping[str, np.ndarray]) -> None:
    """Compares arrays with what a set has to be.

    Raises:
      UserError: shape, type, or the number of examples of a class are others.
    """
    for split, expected in (("train", known.train), ("test", known.test)):
        x, y = arrays[f"{split}_x"], arrays[f"{split}_y"]
        shape = (sum(expected), *known.shape)
        counts = np.bincount(y, minlength=len(expected)).tolist() if len(y) else []
        if (x.shape, x.dtype, y.shape, y.dtype) != (shape, np.uint8, shape[:1], np.int32):
            found = f"{x.dtype} {x.shape} and {y.dtype} {y.shape}, not uint8 {shape} and int32 {shape[:1]}"
        elif counts != list(expected):
            found = f"{counts} examples of the classes, not {list(expected)}"
        else:
            continue
        raise UserError(f"{name}: tensorflow-datasets made a {split} set of {found}; install a release it is right in")


def _reach(name: str, urls: Mapping[str, Any]) -> None:
    """Asks for a download once: without a network TFDS asks ten times, for minutes."""
    import requests

    try:
        requests.head(next(iter(urls)), timeout=30, allow_redirects=True)
    except requests.RequestException as error:
        raise UserError(_unreachable(name, error)) from None


def _unreachable(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return f"{name}: not downloaded ({reason}); download it elsewhere and say where it is: sources: {{{name}: FOLDER}}"


def _say(name: str, what: str) -> None:
    print(f"{name}: {what}", file=sys.stderr, flush=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TensorFlow and tensorflow-datasets from writing: hundreds of lines that say nothing about the data.

    What goes wrong arrives as an exception.
    """
    from absl import logging

    for name, value in (("TF_CPP_MIN_LOG_LEVEL", "3"), ("TF_ENABLE_ONEDNN_OPTS", "0")):  # the latter: for its message
        os.environ.setdefault(name, value)
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # progress bars, a terminal's or not
            yield
    finally:
        logging.set_verbosity(verbosity)
