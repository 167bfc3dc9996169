"""ImageNet as the real builder of tensorflow-datasets prepares it, from tiny archives: labels, counts, refusals."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.data import imagenet
from nmepkg.errors import UserError
from tests.data.conftest import SIZE, TRAIN, VALIDATION, Tiny


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def prepare(source: Path | None, examples: tuple[int, int] = (TRAIN, VALIDATION)) -> dict[str, np.ndarray]:
    return imagenet.prepare(source, SIZE, SIZE + 4, examples)


@pytest.fixture
def copy(tiny: Tiny, tmp_path: Path) -> Path:
    """The prepared set, to spoil."""
    shutil.copytree(tiny.source, tmp_path / "data")
    return tmp_path / "data"


def shard(source: Path, split: str) -> Path:
    return next(source.glob(f"imagenet2012/*/imagenet2012-{split}.array_record-*"))


def edit(source: Path, change: Callable[[Any], None]) -> None:
    info = next(source.glob("imagenet2012/*/dataset_info.json"))
    content = json.loads(info.read_text())
    change(content)
    info.write_text(json.dumps(content))


def test_labels_are_those_of_the_archives(tiny: Tiny) -> None:
    arrays = tiny.arrays
    described = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    assert described == {
        "train_y": ((TRAIN,), "int32"),
        "test_y": ((VALIDATION,), "int32"),
        "files": ((32,), "uint8"),
    }
    found = imagenet.open_prepared(tiny.source)
    for split, expected in (("train", tiny.train), ("test", tiny.validation)):
        images = [record["image"] for record in found.records[split]]
        assert len(set(images)) == len(expected)
        np.testing.assert_array_equal([expected[image] for image in images], arrays[f"{split}_y"])


def test_labels_are_read_in_chunks(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "_CHUNK", 3)
    np.testing.assert_array_equal(prepare(tiny.source)["train_y"], tiny.arrays["train_y"])


def test_progress_is_reported(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    prepare(tiny.source)
    assert f"imagenet2012 train: labels of {TRAIN} of {TRAIN} examples, " in capfd.readouterr().err


def test_a_copy_of_the_files_is_the_same_set(tiny: Tiny, copy: Path) -> None:
    np.testing.assert_array_equal(imagenet.open_prepared(copy).files, tiny.arrays["files"])


@pytest.mark.parametrize("split", ["train", "validation"])
def test_other_files_are_another_set(tiny: Tiny, copy: Path, split: str) -> None:
    path = shard(copy, split)
    content = path.read_bytes()
    path.write_bytes(content + bytes(8))
    assert not np.array_equal(imagenet.open_prepared(copy).files, tiny.arrays["files"])
    path.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])  # of the same size
    assert not np.array_equal(imagenet.open_prepared(copy).files, tiny.arrays["files"])
    path.write_bytes(content)
    assert np.array_equal(imagenet.open_prepared(copy).files, tiny.arrays["files"])


def test_another_description_is_another_set(tiny: Tiny, copy: Path) -> None:
    edit(copy, lambda info: info.update(description="mine"))
    assert not np.array_equal(imagenet.open_prepared(copy).files, tiny.arrays["files"])


def test_no_folder(tmp_path: Path) -> None:
    source = tmp_path / "nowhere"
    assert refusal(lambda: prepare(source)) == (
        f"{source}: no imagenet2012 of tensorflow-datasets; make it with tfds build imagenet2012 --file_format=array_record "
        f"--data_dir={source} --manual_dir=FOLDER, which has ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"
    )


def test_no_source() -> None:
    message = refusal(lambda: prepare(None))
    assert "tfds build imagenet2012" in message
    assert message.endswith("and say sources: {imagenet2012: FOLDER}")


def test_a_missing_shard(copy: Path) -> None:
    path = shard(copy, "validation")
    path.unlink()
    message = refusal(lambda: prepare(copy))
    assert message.startswith(f"{path}: no such file, one of 2; make it with tfds build")


def test_a_damaged_shard(copy: Path) -> None:
    path = shard(copy, "train")
    content = bytearray(path.read_bytes())
    content[20_000] ^= 255  # of one of the first records
    path.write_bytes(content)
    message = refusal(lambda: prepare(copy))
    assert message.startswith(f"{copy / 'imagenet2012' / '5.1.0'}: damaged (")
    assert "; delete it and make it with tfds build imagenet2012" in message


def test_another_format(copy: Path) -> None:
    edit(copy, lambda info: info.update(fileFormat="tfrecord"))
    message = refusal(lambda: prepare(copy))
    assert "imagenet2012/5.1.0: prepared as tfrecord; make it with tfds build" in message


def test_a_missing_split(copy: Path) -> None:
    edit(copy, lambda info: info["splits"].pop())
    assert "imagenet2012/5.1.0: no split validation; make it with tfds build" in refusal(lambda: prepare(copy))


@pytest.mark.parametrize(
    ("examples", "expected"),
    [((TRAIN + 1, VALIDATION), f"{TRAIN} examples in train"), (imagenet.EXAMPLES, f"{TRAIN} examples in train")],
)
def test_other_counts(tiny: Tiny, examples: tuple[int, int], expected: str) -> None:
    message = refusal(lambda: prepare(tiny.source, examples))
    assert f"5.1.0: {expected}, not {examples[0]}; make it with tfds build" in message


def test_the_last_of_several_versions(copy: Path) -> None:
    last = next(copy.glob("imagenet2012/*")).rename(copy / "imagenet2012" / "5.10.0")
    (copy / "imagenet2012" / "5.9.0").mkdir()
    (copy / "imagenet2012" / "5.9.0" / "dataset_info.json").write_text("{}")
    edit_version = json.loads((last / "dataset_info.json").read_text())
    (last / "dataset_info.json").write_text(json.dumps({**edit_version, "version": "5.10.0"}))
    assert imagenet.open_prepared(copy).folder == last


def test_a_view_larger_than_the_scaled_image(tiny: Tiny) -> None:
    message = refusal(lambda: imagenet.prepare(tiny.source, 64, 60))
    assert message == "data.size: 64 is more than resize, 60, which it is cut out of"


@pytest.mark.parametrize("module", ["tensorflow_datasets", "array_record.python.array_record_data_source"])
def test_without_its_packages(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert "python -m pip install 'nmepkg[stream]'" in refusal(lambda: prepare(tiny.source))
