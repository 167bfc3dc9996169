from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmepkg.errors import UserError
from nmepkg.study.strict_yaml import read


def parse(folder: Path, text: str | bytes) -> Any:
    path = folder / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        ("-2.5e-4", -2.5e-4),
        (".5", 0.5),
        ("1.", 1.0),
        ("-7", -7),
        ("010", 10),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("e3", "e3"),
        ("β-GELU", "β-GELU"),
        ("'1e-3'", "1e-3"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = parse(tmp_path, f"key: {text}\n")["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_merged_mapping_may_be_overridden(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\n"
    assert parse(tmp_path, text)["other"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' appears twice"),
        ("a: {b: 1, b: 2}\n", "line 1: the key 'b' appears twice"),
        ("a:\n\tb: 1\n", "line 2: a tab where YAML wants spaces"),
        ("1: a\n", "line 1: the key 1 is not text"),
        ("a: [1, 2\n", "line 2: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c\n", "line 1: mapping values are not allowed here"),
        ("a: !!python/name:os.system\n", "line 1: could not determine a constructor for the tag"),
        ("a: *nowhere\n", "line 1: found undefined alias 'nowhere'"),
        ("", "this file is empty"),
        ("# nothing\n", "this file is empty"),
        ("- a\n", "this file is a list"),
        ("text\n", "this file is a str"),
        (b"a: \xff\n", "not UTF-8 text; save it as UTF-8"),
        ("a: \x00\n", "not YAML: "),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
        ("[" * 5000, "not YAML: "),
    ],
)
def test_refuses_in_one_line_with_file_and_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'file.yaml'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refuses_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read(tmp_path)
