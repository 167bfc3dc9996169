"""Image data sets of tensorflow-datasets, from their original archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.data import archives, tfds_images
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256

FASHION_MNIST = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


@pytest.fixture(scope="session")
def tfds() -> Any:
    pytest.importorskip("tensorflow", reason="prepares data sets; install nmepkg[prepare]")
    return pytest.importorskip("tensorflow_datasets", reason="prepares data sets; install nmepkg[prepare]")


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def fashion(tfds: Any) -> dict[str, np.ndarray]:
    if not FASHION_MNIST.is_dir():
        pytest.skip(f"no {FASHION_MNIST}: Debian's dataset-fashion-mnist, or name a folder in FASHION_MNIST")
    return tfds_images.fashion_mnist(FASHION_MNIST)


def test_fashion_mnist(fashion: dict[str, np.ndarray]) -> None:
    assert {name: (array.shape, array.dtype.name) for name, array in fashion.items()} == {
        "train_x": ((60_000, 28, 28, 1), "uint8"),
        "train_y": ((60_000,), "int32"),
        "test_x": ((10_000, 28, 28, 1), "uint8"),
        "test_y": ((10_000,), "int32"),
    }
    assert np.bincount(fashion["train_y"]).tolist() == [6000] * 10
    assert np.bincount(fashion["test_y"]).tolist() == [1000] * 10


def test_fashion_mnist_is_the_same_each_time(fashion: dict[str, np.ndarray]) -> None:
    """In the order too, on whatever machine: the hash was taken once."""
    assert arrays_sha256(fashion) == "a95ef1834e10c3614531b60240b36457af308440ce13e32a81829279e2af56df"


@pytest.mark.parametrize(("split", "file"), [("train", "train"), ("test", "t10k")])
def test_fashion_mnist_has_the_examples_of_its_files(fashion: dict[str, np.ndarray], split: str, file: str) -> None:
    """Read here without TensorFlow: the same images with the same labels, in another order."""
    with gzip.open(FASHION_MNIST / f"{file}-images-idx3-ubyte.gz") as images:
        magic, count, height, width = struct.unpack(">4i", images.read(16))
        assert magic == 2051
        x = np.frombuffer(images.read(), np.uint8).reshape(count, height * width)
    with gzip.open(FASHION_MNIST / f"{file}-labels-idx1-ubyte.gz") as labels:
        assert struct.unpack(">2i", labels.read(8)) == (2049, count)
        y = np.frombuffer(labels.read(), np.uint8)
    expected = np.column_stack([x, y])
    found = np.column_stack([fashion[f"{split}_x"].reshape(count, -1), fashion[f"{split}_y"].astype(np.uint8)])
    assert sorted(map(bytes, found)) == sorted(map(bytes, expected))


def cifar(name: str) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """Files of a tiny set in the format of its site, and the images and labels in them; the last three are to test on."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(13, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(13) % 10 if name == "cifar10" else 99 - np.arange(13) % 100
    coarse = [[]] * 13 if name == "cifar10" else [[k % 20] for k in range(13)]
    rows = [
        bytes([*coarse[k], labels[k]]) + images[k].transpose(2, 0, 1).tobytes() for k in range(13)
    ]  # a plane for each colour
    if name == "cifar10":
        files = {f"data_batch_{k + 1}.bin": b"".join(rows[2 * k : 2 * k + 2]) for k in range(5)}
        files |= {"test_batch.bin": b"".join(rows[10:]), "batches.meta.txt": b"\n".join(b"c%d" % k for k in range(10))}
        return {f"cifar-10-batches-bin/{path}": content for path, content in files.items()}, images, labels
    files = {"train.bin": b"".join(rows[:10]), "test.bin": b"".join(rows[10:])}
    files |= {"fine_label_names.txt": b"\n".join(b"f%d" % k for k in range(100))}
    files |= {"coarse_label_names.txt": b"\n".join(b"c%d" % k for k in range(20))}
    return {f"cifar-100-binary/{path}": content for path, content in files.items()}, images, labels


ARCHIVES = {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}


@pytest.fixture(scope="module", params=ARCHIVES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Name of a set, and the folder of a tiny archive of it."""
    folder = tmp_path_factory.mktemp(request.param)
    with tarfile.open(folder / ARCHIVES[request.param], "w:gz") as archive:
        for path, content in cifar(request.param)[0].items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return request.param, folder


def built(tfds: Any, name: str, folder: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """What the real builder makes of a tiny archive, had that been the published one."""
    builder = tfds.builder(name, data_dir=into / "prepared")
    (into / "archives").mkdir()
    archive = folder / ARCHIVES[name]
    for info in builder.url_infos.values():
        monkeypatch.setattr(info, "checksum", hashlib.sha256(archive.read_bytes()).hexdigest())
        monkeypatch.setattr(info, "size", archive.stat().st_size)
    archives.provide(folder, tfds_images.registered(builder), into / "archives")
    return tfds_images.build(builder, into)


def test_cifar(tfds: Any, tiny: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, folder = tiny
    _, images, labels = cifar(name)
    runs = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        runs.append(built(tfds, name, folder, tmp_path / run, monkeypatch))
    arrays = runs[0]
    for split, part in (("train", slice(10)), ("test", slice(10, None))):
        x, y = arrays[f"{split}_x"], arrays[f"{split}_y"]
        assert (x.dtype, y.dtype) == (np.uint8, np.int32)
        found = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
        assert found == {image.tobytes(): label for image, label in zip(images[part], labels[part], strict=True)}
    assert arrays_sha256(runs[0]) == arrays_sha256(runs[1])  # in the order too


def test_an_archive_that_is_not_the_published_one(tfds: Any, tiny: tuple[str, Path]) -> None:
    name, folder = tiny
    message = refusal(lambda: getattr(tfds_images, name)(folder))
    assert message.startswith(f"{folder / ARCHIVES[name]}: not the published archive, or damaged (its SHA-256 is not ")
    assert message.endswith("; download it again")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_a_missing_archive(tfds: Any, tmp_path: Path, name: str) -> None:
    message = refusal(lambda: getattr(tfds_images, name)(tmp_path))
    assert message.startswith(f"{tmp_path}/")
    assert "no such file" in message
    assert ARCHIVES.get(name, "train-images-idx3-ubyte.gz") in message


def test_no_network(tfds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def fail(*arguments: Any, **options: Any) -> None:
        raise requests.ConnectionError("no route\nto host")

    monkeypatch.setattr(requests, "head", fail)
    assert refusal(lambda: tfds_images.cifar10(None)) == (
        "cifar10: not downloaded (no route to host); download it elsewhere and say where it is: sources: {cifar10: FOLDER}"
    )


def test_a_download_that_fails(tfds: Any, tmp_path: Path) -> None:
    """Anything but a full disk."""

    class Failing:
        name = "cifar10"

        def __init__(self, error: Exception) -> None:
            self._error = error

        def download_and_prepare(self, **options: Any) -> None:
            raise self._error

    assert "sources: {cifar10: FOLDER}" in refusal(lambda: tfds_images.build(Failing(OSError("reset")), tmp_path))
    with pytest.raises(OSError, match="No space left"):
        tfds_images.build(Failing(OSError(28, "No space left on device")), tmp_path)


@pytest.mark.parametrize("module", ["tensorflow", "tensorflow_datasets"])
def test_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    pytest.importorskip("tensorflow_datasets", reason="prepares data sets; install nmepkg[prepare]")
    monkeypatch.setitem(sys.modules, module, None)
    message = refusal(lambda: tfds_images.fashion_mnist(tmp_path))
    assert "python -m pip install 'nmepkg[prepare]'" in message
    assert "python -m pip install --editable '.[prepare]'" in message


KNOWN = tfds_images.Known((2, 2, 1), [2, 1], [1, 1])


def known() -> dict[str, np.ndarray]:
    """What agrees with it."""
    return {
        "train_x": np.zeros((3, 2, 2, 1), np.uint8),
        "train_y": np.asarray([0, 1, 0], np.int32),
        "test_x": np.zeros((2, 2, 2, 1), np.uint8),
        "test_y": np.asarray([1, 0], np.int32),
    }


def test_what_is_known_of_a_set() -> None:
    tfds_images.check("toy", KNOWN, known())


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("train_x", np.zeros((3, 2, 2, 3), np.uint8), "train set of uint8 (3, 2, 2, 3) and int32 (3,)"),
        ("train_x", np.zeros((3, 2, 2, 1), np.float32), "train set of float32 (3, 2, 2, 1)"),
        ("train_y", np.asarray([0, 1, 1], np.int32), "train set of [1, 2] examples of the classes, not [2, 1]"),
        ("train_y", np.asarray([0, 1, 2], np.int32), "train set of [1, 1, 1] examples of the classes, not [2, 1]"),
        ("test_y", np.asarray([1], np.int32), "test set of uint8 (2, 2, 2, 1) and int32 (1,)"),
    ],
)
def test_something_else_than_what_is_known(name: str, array: np.ndarray, expected: str) -> None:
    message = refusal(lambda: tfds_images.check("toy", KNOWN, {**known(), name: array}))
    assert message.startswith("toy: tensorflow-datasets made a ")
    assert expected in message


@pytest.mark.parametrize(
    ("known", "train", "test"),
    [
        (tfds_images._MNIST, 60_000, 10_000),
        (tfds_images._FASHION_MNIST, 60_000, 10_000),
        (tfds_images._CIFAR10, 50_000, 10_000),
        (tfds_images._CIFAR100, 50_000, 10_000),
    ],
)
def test_known_counts_add_up(known: tfds_images.Known, train: int, test: int) -> None:
    assert (sum(known.train), sum(known.test)) == (train, test)
