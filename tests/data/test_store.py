"""Prepared data on disk: round trip, refusals, split."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from nmepkg import records
from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256
from nmepkg.specs import Recipe, recipe
from tests.training.runs import make_spec

SPEC = {"name": "toy", "seed": 3}


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train_x": rng.normal(size=(20, 3)).astype(np.float32),
        "train_y": np.arange(20, dtype=np.int32) % 4,
        "test_x": rng.normal(size=(6, 3)).astype(np.float32),
        "test_y": np.arange(6, dtype=np.int32) % 3,
    }


@pytest.fixture
def path(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path = tmp_path / "deeper" / "toy-0123.npz"
    store.write(path, arrays, SPEC, code="c0de")
    return path


def splitting(fraction: float, seed: int = 0, train: int | None = None, test: int | None = None) -> Recipe:
    """A recipe whose data are split so."""
    spec = make_spec(validation={"fraction": fraction, "seed": seed}, subset={"train": train, "test": test})
    return recipe(spec)


def refusal(path: Path, fraction: float = 0.25) -> str:
    with pytest.raises(UserError) as caught:
        store.read(path, splitting(fraction))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_round_trip(path: Path, arrays: dict[str, np.ndarray]) -> None:
    dataset = store.read(path, splitting(0.0))
    for split in ("train", "test"):
        for part, name in zip(getattr(dataset, split), "xy", strict=True):
            expected = arrays[f"{split}_{name}"]
            np.testing.assert_array_equal(part, expected)
            assert part.dtype == expected.dtype
    assert dataset.classes == 4
    assert dataset.sha256 == arrays_sha256(arrays)


def test_sidecar_says_what_the_arrays_are(path: Path, arrays: dict[str, np.ndarray]) -> None:
    assert records.read(path.with_suffix(".json"), store.KIND, {}) == {
        "format": 3,
        "spec": SPEC,
        "code": "c0de",
        "arrays": arrays_sha256(arrays),
        "classes": 4,
        "shapes": {"train_x": [20, 3], "train_y": [20], "test_x": [6, 3], "test_y": [6]},
        "examples_per_class": {"train": [5, 5, 5, 5], "test": [2, 2, 2]},
        "pixels": None,
        "numpy": np.__version__,
    }
    assert sorted(file.name for file in path.parent.iterdir()) == ["toy-0123.json", "toy-0123.npz"]


def test_written_files_are_the_same_each_time(path: Path, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    again = tmp_path / "again.npz"
    store.write(again, arrays, SPEC, code="c0de")
    assert again.read_bytes() == path.read_bytes()
    assert again.with_suffix(".json").read_bytes() == path.with_suffix(".json").read_bytes()


def test_images_stay_bytes_and_are_scaled_where_they_are_used(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """By mean and standard deviation of each channel over the whole training set; a channel that is constant stays finite."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (26, 4, 5, 3), dtype=np.uint8)
    images[..., 2] = 7
    arrays |= {"train_x": images[:20], "test_x": images[20:]}
    store.write(tmp_path / "toy.npz", arrays, SPEC, code="c0de")
    dataset = store.read(tmp_path / "toy.npz", splitting(0.25))
    assert dataset.train[0].dtype == np.uint8
    pixels = images[:20].astype(np.float64) / 255
    mean, std = pixels.mean(axis=(0, 1, 2)), pixels.std(axis=(0, 1, 2))
    std[2] = 1
    x, y = dataset.take("test", np.array([4, 1]))
    np.testing.assert_allclose(x, (images[20:][[4, 1]] / 255 - mean) / std, rtol=1e-5, atol=1e-6)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(y, arrays["test_y"][[4, 1]])


def test_classes_may_be_missing_from_the_training_set(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["test_y"][0] = 7
    store.write(tmp_path / "toy.npz", arrays, SPEC, code="c0de")
    assert store.read(tmp_path / "toy.npz", splitting(0.0)).classes == 8


REMEDY = "; delete both files of this data set to prepare it again"


def test_other_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Whole and readable, but not those that were described."""
    arrays["train_y"][0] += 1
    np.savez(path, **arrays)
    message = refusal(path)
    sidecar = path.with_suffix(".json")
    assert message.startswith(f"{sidecar}: the description of prepared data is of something else: arrays is '")
    assert message.endswith(REMEDY)


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_truncated_arrays(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert "not readable (" in message
    assert message.endswith(REMEDY)


def test_flipped_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 150] ^= 1  # a value of the first array
    path.write_bytes(bytes(content))
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert "not readable (" in message


def test_a_flipped_bit_in_a_header_is_refused_or_no_change(path: Path, arrays: dict[str, np.ndarray]) -> None:
    whole = path.read_bytes()
    for start in (whole.index(b"NUMPY"), whole.index(b"PK\1\2")):  # of an array, and of the archive's table
        for place, flipped in itertools.product(range(start, start + 60), (1, 8, 128)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :])
            with suppress(UserError):
                assert store.read(path, splitting(0.0)).sha256 == arrays_sha256(arrays)


def test_missing_array(path: Path, arrays: dict[str, np.ndarray]) -> None:
    del arrays["test_y"]
    np.savez(path, **arrays)
    assert "test_y" in refusal(path)


def test_missing_arrays(path: Path) -> None:
    path.unlink()
    assert refusal(path) == f"{path}: no such file; run snakemake to prepare the data"


def test_missing_sidecar(path: Path) -> None:
    path.with_suffix(".json").unlink()
    message = refusal(path)
    assert message.startswith(f"{path.with_suffix('.json')}: ")
    assert "not readable (No such file or directory)" in message
    assert message.endswith(REMEDY)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"classes": 4}'])
def test_damaged_sidecar(path: Path, content: str) -> None:
    path.with_suffix(".json").write_text(content)
    assert refusal(path).endswith(REMEDY)


def test_edited_sidecar(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    sidecar.write_text(sidecar.read_text().replace('"classes": 4', '"classes": 5'))
    assert "changed since it was written" in refusal(path)


def test_sidecar_of_an_older_version(path: Path, arrays: dict[str, np.ndarray]) -> None:
    records.write(path.with_suffix(".json"), store.KIND, {"format": 1, "arrays": arrays_sha256(arrays), "classes": 4})
    assert "of format 1, this version reads format 3" in refusal(path)


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0, 0), (0.25, 5), (0.5, 10), (0.96, 19)])
def test_split_is_disjoint_and_of_the_size_asked(
    path: Path, arrays: dict[str, np.ndarray], fraction: float, held_out: int
) -> None:
    dataset = store.read(path, splitting(fraction))
    assert (len(dataset.train[0]), len(dataset.validation[0])) == (20 - held_out, held_out)
    rows = {x.tobytes(): y for x, y in zip(arrays["train_x"], arrays["train_y"], strict=True)}
    seen = [(x.tobytes(), y) for part in (dataset.train, dataset.validation) for x, y in zip(*part, strict=True)]
    assert len(seen) == len(dict(seen)) == 20
    assert all(rows[x] == y for x, y in seen)  # labels stay with their inputs


def test_split_depends_on_its_seed_only(path: Path) -> None:
    first = store.read(path, splitting(0.5)).validation[0]
    np.random.seed(1)
    np.testing.assert_array_equal(store.read(path, splitting(0.5)).validation[0], first)
    assert not np.array_equal(store.read(path, splitting(0.5, 1)).validation[0], first)


def test_split_that_leaves_nothing(path: Path) -> None:
    assert refusal(path, 0.99) == "validation.fraction: 0.99 leaves none of 20 examples to train on"
