"""Prepared data on disk: round trip, refusals, split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nmepkg.data import store
from nmepkg.errors import UserError

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
    store.write(path, arrays, SPEC)
    return path


def refusal(path: Path, fraction: float = 0.25) -> str:
    with pytest.raises(UserError) as caught:
        store.read(path, fraction, 0)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_round_trip(path: Path, arrays: dict[str, np.ndarray]) -> None:
    dataset = store.read(path, 0.0, 0)
    for split in ("train", "test"):
        for part, name in zip(getattr(dataset, split), "xy", strict=True):
            expected = arrays[f"{split}_{name}"]
            np.testing.assert_array_equal(part, expected)
            assert part.dtype == expected.dtype
    assert dataset.classes == 4
    assert dataset.sha256 == store.digest(arrays)


def test_sidecar_says_what_the_arrays_are(path: Path, arrays: dict[str, np.ndarray]) -> None:
    assert json.loads(path.with_suffix(".json").read_text()) == {
        "spec": SPEC,
        "sha256": store.digest(arrays),
        "classes": 4,
        "shapes": {"train_x": [20, 3], "train_y": [20], "test_x": [6, 3], "test_y": [6]},
        "examples_per_class": {"train": [5, 5, 5, 5], "test": [2, 2, 2]},
        "numpy": np.__version__,
    }
    assert sorted(file.name for file in path.parent.iterdir()) == ["toy-0123.json", "toy-0123.npz"]


def test_written_files_are_the_same_each_time(path: Path, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    again = tmp_path / "again.npz"
    store.write(again, arrays, SPEC)
    assert again.read_bytes() == path.read_bytes()
    assert again.with_suffix(".json").read_bytes() == path.with_suffix(".json").read_bytes()


def test_classes_may_be_missing_from_the_training_set(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["test_y"][0] = 7
    store.write(tmp_path / "toy.npz", arrays, SPEC)
    assert store.read(tmp_path / "toy.npz", 0.0, 0).classes == 8


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a | {"train_x": a["train_x"] + np.float32(1e-6)},
        lambda a: a | {"train_x": a["train_x"].astype(np.float64)},
        lambda a: a | {"train_x": a["train_x"].reshape(10, 6)},
        lambda a: a | {"train_y": a["train_y"][::-1]},
        lambda a: a | {"test_x": a["train_x"], "train_x": a["test_x"]},
    ],
    ids=["value", "type", "shape", "order", "names"],
)
def test_digest_sees_every_change(change, arrays: dict[str, np.ndarray]) -> None:
    assert store.digest(change(arrays)) != store.digest(arrays)
    copies = {name: np.asfortranarray(arrays[name]) for name in reversed(arrays)}
    assert store.digest(copies) == store.digest(arrays)  # but neither order of names nor memory layout


def test_hash_mismatch(path: Path, arrays: dict[str, np.ndarray]) -> None:
    arrays["train_y"][0] += 1
    np.savez(path, **arrays)
    assert refusal(path) == f"{path}: does not match its hash; delete it and toy-0123.json to prepare the data again"


@pytest.mark.parametrize("keep", [0, 10, 300, -1])
def test_truncated_arrays(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    message = refusal(path)
    assert message.startswith(f"{path}: damaged (")
    assert message.endswith("; delete it and toy-0123.json to prepare the data again")


def test_flipped_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 150] ^= 1  # a value of the first array
    path.write_bytes(bytes(content))
    assert refusal(path).startswith(f"{path}: damaged (")


def test_missing_array(path: Path, arrays: dict[str, np.ndarray]) -> None:
    del arrays["test_y"]
    np.savez(path, **arrays)
    assert "test_y" in refusal(path)


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_missing_file(path: Path, suffix: str) -> None:
    missing = path.with_suffix(suffix)
    missing.unlink()
    assert refusal(path) == f"{missing}: no such file; run snakemake to prepare the data"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_damaged_sidecar(path: Path, content: str) -> None:
    path.with_suffix(".json").write_text(content)
    assert refusal(path).endswith("; delete it and toy-0123.json to prepare the data again")


def test_sidecar_without_classes(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    description = json.loads(sidecar.read_text())
    del description["classes"]
    sidecar.write_text(json.dumps(description))
    assert refusal(path).endswith("; delete it and toy-0123.json to prepare the data again")


@pytest.mark.parametrize(("fraction", "held_out"), [(0.0, 0), (0.25, 5), (0.5, 10), (0.96, 19)])
def test_split_is_disjoint_and_of_the_size_asked(
    path: Path, arrays: dict[str, np.ndarray], fraction: float, held_out: int
) -> None:
    dataset = store.read(path, fraction, 0)
    assert (len(dataset.train[0]), len(dataset.validation[0])) == (20 - held_out, held_out)
    rows = {x.tobytes(): y for x, y in zip(arrays["train_x"], arrays["train_y"], strict=True)}
    seen = [(x.tobytes(), y) for part in (dataset.train, dataset.validation) for x, y in zip(*part, strict=True)]
    assert len(seen) == len(dict(seen)) == 20
    assert all(rows[x] == y for x, y in seen)  # labels stay with their inputs


def test_split_depends_on_its_seed_only(path: Path) -> None:
    first = store.read(path, 0.5, 0).validation[0]
    np.random.seed(1)
    np.testing.assert_array_equal(store.read(path, 0.5, 0).validation[0], first)
    assert not np.array_equal(store.read(path, 0.5, 1).validation[0], first)


def test_split_that_leaves_nothing(path: Path) -> None:
    assert refusal(path, 0.99) == "validation.fraction: 0.99 leaves none of 20 examples to train on"
