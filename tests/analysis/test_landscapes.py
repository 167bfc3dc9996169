import itertools
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.analysis.landscapes import read_landscape
from nmepkg.analysis.tables import landscape_table
from nmepkg.errors import UserError
from tests.analysis import planes

SEALED = str(planes.content()["description"])


def _refusal(path: Path, spec: dict[str, Any] = planes.SPEC) -> str:
    with pytest.raises(UserError) as caught:
        read_landscape(path, spec)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_landscape_is_read_as_written(tmp_path: Path) -> None:
    read = read_landscape(planes.write(tmp_path / "plane.npz"), planes.SPEC)
    assert read.provenance == {"code": "c0de"}
    assert set(read.arrays) == set(planes.arrays())
    np.testing.assert_array_equal(read.arrays["loss"], planes.arrays()["loss"])


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    assert "missing; compute it first" in _refusal(tmp_path / "plane.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"description_format": 1}, "of format 1, this version reads format 2"),
        ({"description_spec": {**planes.SPEC, "seed": 7}}, "spec.seed is 7 where 0 is asked for"),
        ({"description_arrays": "0"}, "of something else: arrays is '0' where '"),
        ({"loss": planes.arrays()["loss"][:, :30]}, "of something else: arrays is '"),
        ({"norm_N": np.nextafter(planes.arrays()["norm_N"], 9)}, "of something else: arrays is '"),
        ({"norm_N": planes.arrays()["norm_N"].astype(str)}, "of something else: arrays is '"),
        ({"more": np.zeros(1)}, "of something else: arrays is '"),
        ({"description": np.array("{")}, "not readable as JSON"),
        ({"description": np.array("[]")}, "not a JSON object"),
        ({"description": np.array("{}")}, "without its sha256"),
        ({"description": np.array(SEALED.replace('"seed": 0', '"seed": 1'))}, "its sha256 does not match"),
    ],
)
def test_another_or_an_edited_one_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    refusal = _refusal(planes.write(tmp_path / "plane.npz", **changes))
    assert message in refusal
    assert "delete the file and compute it again" in refusal


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("description", "without a description"),
        ("preactivations", "of something else: arrays is '"),
        ("norm_N_layer", "of something else: arrays is '"),
    ],
)
def test_an_incomplete_one_is_refused(absent: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plane.npz"
    np.savez(path, **{key: value for key, value in planes.content().items() if key != absent})
    assert message in _refusal(path)


def test_half_a_file_a_damaged_or_a_foreign_one_is_refused(tmp_path: Path) -> None:
    whole = planes.write(tmp_path / "plane.npz").read_bytes()
    middle = len(whole) // 3
    damaged = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 40]) + whole[middle + 40 :]
    np.save(tmp_path / "array.npy", np.zeros(3))
    foreign = (tmp_path / "array.npy").read_bytes()
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    pickled = (tmp_path / "objects.npy").read_bytes()
    for number, data in enumerate((whole[: len(whole) // 2], damaged, foreign, pickled, b"", b"text")):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(data)
        assert "not readable" in _refusal(path)


def test_a_flipped_bit_in_a_header_is_refused_or_no_change(tmp_path: Path) -> None:
    path = tmp_path / "plane.npz"
    np.savez(path, **planes.content())
    whole = path.read_bytes()
    for start in (whole.index(b"NUMPY"), whole.index(b"PK\1\2")):  # of an array, and of the archive's table
        for place, flipped in itertools.product(range(start, start + 60), (1, 8, 128)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :])
            with suppress(UserError):
                np.testing.assert_equal(read_landscape(path, planes.SPEC).arrays, planes.arrays())


def test_a_table_has_a_row_a_point() -> None:
    landscape = planes.arrays()
    frame = landscape_table({"activation": "relu"}, landscape)
    assert list(frame) == ["activation", "w1", "w2", "loss", "norm_N", "norm_N_layer", "norm_G"]
    assert len(frame) == 31 * 31
    assert set(frame["activation"]) == {"relu"}
    (point,) = frame[(frame.w1 == landscape["w1"][4]) & (frame.w2 == landscape["w2"][9])].itertuples()
    assert point.loss == landscape["loss"][9, 4]
    assert point.norm_G == landscape["norm_G"][9, 4]


def test_reading_and_drawing_import_no_jax() -> None:
    code = "import sys, nmepkg.analysis.landscapes, nmepkg.analysis.figures.landscape; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
