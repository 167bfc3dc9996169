"""ImageNet (ILSVRC 2012; Russakovsky et al. 2015) as tensorflow-datasets prepared it, read record by record without TensorFlow.

What is kept of it are the labels and a hash of the prepared files: the images are streamed from there, by
:mod:`nmepkg.data.stream`.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmepkg.errors import UserError
from nmepkg.files import file_sha256

NAME = "imagenet2012"
SPLITS = {"train": "train", "test": "validation"}  # the labels of its test set were never published
CLASSES = 1000
EXAMPLES = (1_281_167, 50_000)
INSTALL = "python -m pip install 'nmepkg[stream]' (from a checkout: python -m pip install --editable '.[stream]')"

_CHUNK = 256  # records that are read at once for their labels
_READERS = 8  # threads that wait for the disk
_INDEX = 1 << 17  # bytes at the end of a shard: there ArrayRecord keeps where each record begins


class Prepared(NamedTuple):
    """The data set on disk.

    Attributes:
      folder: with the shards.
      files: (32,) uint8, SHA-256 over what the files are: see :func:`_fingerprint`.
      records: split (``train`` or ``test``) -> random access to its records: ``image``, the JPEG, and ``label``; pickles
        small, and opens its files where it is used.
    """

    folder: Path
    files: np.ndarray
    records: dict[str, Any]


def prepare(source: Path | None, size: int, resize: int, examples: tuple[int, int] = EXAMPLES) -> dict[str, np.ndarray]:
    """The labels, each read from its record, and what tells whether the files are still those.

    Args:
      source: the folder that ``tfds build`` was given as ``--data_dir``.
      size: of the views of an image.
      resize: of the shorter side of an image whose middle is evaluated on, ``size`` at least.
      examples: of the training and the test set.

    Returns:
      ``train_y`` (N,) and ``test_y`` (M,) int32, in the order of the records, and ``files`` (32,) uint8.

    Raises:
      UserError: there is no such data set, it is not whole or in another format, or ``size`` is more than ``resize``.
    """
    if size > resize:
        raise UserError(f"data.size: {size} is more than resize, {resize}, which it is cut out of")
    if source is None:
        raise UserError(
            f"{NAME} is not downloaded by itself; {_remedy(Path('FOLDER'))} and say sources: {{{NAME}: FOLDER}}"
        )
    found = open_prepared(Path(source))
    arrays = {"files": found.files}
    for (split, records), expected in zip(found.records.items(), examples, strict=True):
        if len(records) != expected:
            raise UserError(
                f"{found.folder}: {len(records)} examples in {SPLITS[split]}, not {expected}; {_remedy(Path(source))}"
            )
        try:
            arrays[f"{split}_y"] = _labels(f"{NAME} {split}", records)
        except (RuntimeError, ValueError) as error:  # ArrayRecord's own sums
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{found.folder}: damaged ({reason}); delete it and {_remedy(Path(source))}") from None
        if len(missing := np.setdiff1d(arrays[f"{split}_y"], np.arange(CLASSES))):
            raise UserError(f"{found.folder}: label {missing[0]} in {SPLITS[split]}; {_remedy(Path(source))}")
    return arrays


def open_prepared(source: Path) -> Prepared:
    """Finds the data set in a folder of tensorflow-datasets; of several versions, the last.

    Raises:
      UserError: it is not there, lacks a shard or a split, or is in a format without random access; or a package is missing.
    """
    try:
        import array_record.python.array_record_data_source  # noqa: F401
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(f"{NAME} is read with tensorflow-datasets and array_record ({error}); run {INSTALL}") from None
    found = sorted(source.glob(f"{NAME}/*/dataset_info.json"), key=lambda path: _version(path.parent.name))
    if not found:
        raise UserError(f"{source}: no {NAME} of tensorflow-datasets; {_remedy(source)}")
    folder = found[-1].parent
    builder = tfds.builder_from_directory(folder)
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    if "array_record" not in formats:
        raise UserError(f"{folder}: prepared as {', '.join(formats)}; {_remedy(Path('ANOTHER_FOLDER'))}")
    whole = builder.as_data_source(decoders={"image": tfds.decode.SkipDecoding()}, file_format="array_record")
    if missing := set(SPLITS.values()) - set(whole):
        raise UserError(f"{folder}: no split {missing.pop()}; {_remedy(source)}")
    shards = [Path(path) for split in SPLITS.values() for path in builder.info.splits[split].filepaths]
    if gone := [path for path in shards if not path.is_file()]:
        raise UserError(f"{gone[0]}: no such file, one of {len(shards)}; {_remedy(source)}")
    records = {ours: whole[theirs] for ours, theirs in SPLITS.items()}
    return Prepared(folder, _fingerprint(found[-1], shards), records)


def _fingerprint(info: Path, shards: Sequence[Path]) -> np.ndarray:
    """SHA-256 over the description of the data set, and name, size and end of each shard, where its index is: (32,) uint8.

    The images themselves have sums of their own, which are checked when they are read.
    """
    hashed = hashlib.sha256(file_sha256(info).encode())
    for path in shards:
        size = path.stat().st_size
        hashed.update(f"\n{path.name} {size}\n".encode())
        with path.open("rb") as file:
            file.seek(max(0, size - _INDEX))
            hashed.update(file.read())
    return np.frombuffer(hashed.digest(), np.uint8)


def _labels(title: str, records: Any) -> np.ndarray:
    """(N,) int32: the label of each record, none of which is decoded. Reads all of the split, and says how far it is."""
    began = said = time.monotonic()
    count, parts = len(records), []

    def read(start: int) -> list[int]:
        chunk = records.__getitems__(range(start, min(start + _CHUNK, count)))
        return [record["label"] for record in chunk]

    with ThreadPoolExecutor(_READERS) as pool:
        for part in pool.map(read, range(0, count, _CHUNK)):
            parts += part
            now = time.monotonic()
            if now - said > 10 or len(parts) == count:
                said, left = now, (now - began) * (count / len(parts) - 1)
                line = f"{title}: labels of {len(parts)} of {count} examples, {now - began:.0f} s, ETA {left:.0f} s"
                print(line, file=sys.stderr, flush=True)
    return np.asarray(parts, np.int32)


def _version(name: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in name.split(".")]


def _remedy(folder: Path) -> str:
    return (
        f"make it with tfds build {NAME} --file_format=array_record --data_dir={folder} --manual_dir=FOLDER, which has "
        "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"
    )
