"""Sealed records: what is read is what was written, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.records import DamagedError, Kind, seal, unseal

KIND = Kind("thing", 3, "delete {path} in {folder} and make another")
CONTENT: dict[str, Any] = {
    "run": "mlp-sam-s0",
    "spec": {"optimizer": {"momentum": 0.9, "clip_norm": None}, "snapshots": [1, 5], "title": 'φ″ := "0"\n\\'},
    "history": [{"loss": 2.3025851249694824, "accuracy": 1e-300}, {}],
    "done": True,
}
TEXT = seal({"format": 3, **CONTENT})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "thing.json"
    records.write(path, KIND, CONTENT)
    return path


def refusal(path: Path, **expected: Any) -> str:
    """What is wrong, from a message that also names the file and the remedy, in one line."""
    with pytest.raises(DamagedError) as caught:
        records.read(path, KIND, expected)
    message, remedy = str(caught.value), f"; delete {path} in {path.parent} and make another"
    assert isinstance(caught.value, UserError)
    assert "\n" not in message
    assert message.startswith(f"{path}: the thing is ")
    assert message.endswith(remedy)
    return message.removeprefix(f"{path}: the thing is ").removesuffix(remedy)


def test_what_is_read_is_what_was_written(path: Path) -> None:
    assert records.read(path, KIND, {}) == {"format": 3, **CONTENT}
    assert records.read(path, KIND, {"run": CONTENT["run"], "spec": CONTENT["spec"]}) == {"format": 3, **CONTENT}
    assert [file.name for file in path.parent.iterdir()] == ["thing.json"]


def test_a_record_is_json_whose_last_key_is_its_seal(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == TEXT
    assert TEXT.endswith('"\n}\n')
    plain = json.loads(TEXT)
    assert list(plain) == ["format", *CONTENT, "sha256"]
    assert len(plain.pop("sha256")) == 64
    assert plain == unseal(TEXT) == {"format": 3, **CONTENT}


def test_what_looks_like_a_seal_is_content_like_any_other() -> None:
    content = {"text": ',\n "sha256": "0"\n}\n', "inner": {"sha256": "0"}, "last": [{"sha256": "1"}]}
    assert unseal(seal(content)) == content
    text = seal(content)
    assert_refused(text.replace('"1"', '"2"'))
    assert_refused(text.replace('"inner"', '"outer"'))


def assert_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"not readable as JSON|not a JSON object|without its sha256|changed since"
    ) as caught:
        unseal(text)
    assert "\n" not in str(caught.value)


def test_no_character_can_be_another_or_missing_or_one_too_many() -> None:
    for place, character in enumerate(TEXT):
        before, after = TEXT[:place], TEXT[place + 1 :]
        for other in {*' \n\r"01a},', chr(ord(character) ^ 1), character.swapcase()} - {character}:
            assert_refused(f"{before}{other}{after}")
            assert_refused(f"{before}{other}{character}{after}")
        assert_refused(f"{before}{after}")
        assert_refused(f"{before}{character}{character}{after}")


def test_no_part_is_read() -> None:
    for length in range(len(TEXT)):
        assert_refused(TEXT[:length])
        assert_refused(TEXT[len(TEXT) - length :])


@pytest.mark.parametrize("place", [0, 1, 20, 100, 200, -70, -5, -3, -2, -1])
def test_no_byte_of_a_file_can_be_another(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    for bit in range(8):
        content[place] ^= 1 << bit
        path.write_bytes(content)
        assert refusal(path)
        content[place] ^= 1 << bit
    path.write_bytes(content)
    assert records.read(path, KIND, {})["done"] is True


def test_other_line_ends_are_a_change(path: Path) -> None:
    content = path.read_bytes()
    for other in (b"\r\n", b"\r"):
        path.write_bytes(content.replace(b"\n", other))
        assert "its sha256" in refusal(path)
    path.write_bytes(content.replace(b"\n", b"\r", 1))
    assert "its sha256" in refusal(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not readable as JSON ("),
        (b'{"format": 3,', "not readable as JSON ("),
        (b"\xff\xfe", "'utf-8' codec can't decode"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (f"[{TEXT}]".encode(), "not a JSON object"),
        (b"{}", "without its sha256, as one that this program did not write"),
        (json.dumps({"format": 3, **CONTENT}).encode(), "without its sha256, as one that this program did not write"),
        (json.dumps(json.loads(TEXT)).encode(), "without its sha256, as one that this program did not write"),
        (json.dumps(json.loads(TEXT), indent=1).encode() + b"\n", None),
        (json.dumps(json.loads(TEXT), indent=1).encode(), "changed since it was written: its sha256 does not match"),
        (TEXT.replace("0.9", "0.8").encode(), "changed since it was written: its sha256 does not match"),
        (TEXT.replace("0.9", "0.90").encode(), "changed since it was written: its sha256 does not match"),
        ((TEXT + "\n").encode(), "changed since it was written: its sha256 does not match"),
        ((TEXT + TEXT).encode(), "not readable as JSON ("),
    ],
)
def test_what_this_program_did_not_write_is_refused(path: Path, content: bytes, problem: str | None) -> None:
    path.write_bytes(content)
    if problem is None:
        assert records.read(path, KIND, {}) == {"format": 3, **CONTENT}
    else:
        assert refusal(path).startswith(problem)


def test_a_file_that_is_none_is_refused(path: Path) -> None:
    path.unlink()
    assert refusal(path) == "not readable (No such file or directory)"
    path.mkdir()
    assert refusal(path) == "not readable (Is a directory)"


@pytest.mark.parametrize("found", [2, 4, "3", None])
def test_another_format_is_refused(path: Path, found: Any) -> None:
    records.write(path, KIND, {**CONTENT, "format": found})
    assert refusal(path) == f"of format {found!r}, this version reads format 3"


def test_a_record_without_a_format_is_refused(path: Path) -> None:
    path.write_text(seal(CONTENT), encoding="utf-8")
    assert refusal(path) == "of format None, this version reads format 3"


SPEC = CONTENT["spec"]


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        ({"run": "other"}, "run is 'mlp-sam-s0' where 'other' is asked for"),
        ({"missing": 1}, "missing is None where 1 is asked for"),
        (
            {"spec": {**SPEC, "optimizer": {"momentum": 0.8, "clip_norm": None}}},
            "spec.optimizer.momentum is 0.9 where 0.8 is asked for",
        ),
        (
            {"spec": {**SPEC, "optimizer": {"momentum": 0.8, "clip_norm": 1.0}, "snapshots": []}},
            "spec.optimizer.momentum is 0.9 where 0.8 is asked for",
        ),
        ({"spec": {**SPEC, "optimizer": {"momentum": 0.9}, "snapshots": [1]}}, "spec.optimizer.clip_norm"),
        ({"spec": {**SPEC, "snapshots": [1, 6]}}, "spec.snapshots is [1, 5] where [1, 6] is asked for"),
        ({"spec": {**SPEC, "more": {"deep": 1}}}, "spec.more is missing"),
        (
            {"spec": {"optimizer": SPEC["optimizer"], "title": SPEC["title"]}},
            "spec.snapshots is there where none is asked for",
        ),
        ({"spec": {**SPEC, "title": "a\nb"}}, "spec.title is "),
        ({"spec": None}, "spec is {'optimizer': "),
    ],
)
def test_the_first_difference_from_what_is_asked_for_is_named(
    path: Path, expected: dict[str, Any], difference: str
) -> None:
    assert refusal(path, **expected).startswith(f"of something else: {difference}")


def test_all_that_is_expected_is_checked(path: Path) -> None:
    assert "history is [" in refusal(path, run=CONTENT["run"], done=True, history=[])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_json_cannot_say_is_not_written(path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        records.write(path, KIND, {"value": [number]})
    assert records.read(path, KIND, {})["run"] == CONTENT["run"]  # what was there stays
    assert [file.name for file in path.parent.iterdir()] == ["thing.json"]
