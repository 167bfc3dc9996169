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
        ("0o10", 8),
        ("0x1F", 31),
        ("-0x10", "-0x10"),
        ("0o8", "0o8"),
        ("0b1", "0b1"),
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
        ("a: !!python/name:os.system\n", "line 1: the tag 'tag:yaml.org,2002:python/name:os.system', which"),
        ("a: !!bool maybe\n", "line 1: the tag 'tag:yaml.org,2002:bool', which a study does not need; remove it"),
        ("a: ! b\n", "line 1: the tag '!', which a study does not need; remove it"),
        ("a: *nowhere\n", "line 1: found undefined alias 'nowhere'"),
        ("", "this file is empty"),
        ("# nothing\n", "this file is empty"),
        ("- a\n", "this file is a list"),
        ("text\n", "this file is text"),
        (b"a: \xff\n", "not UTF-8 text; save it as UTF-8"),
        ("a: \x00\n", "not YAML: "),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
        ("[" * 100_000, "line 1: more than 50 levels deep; close brackets"),
        ("a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000)), "levels deep by its aliases"),
        ("a: &a [*a]\n", "line 1: the alias 'a' is part of what it stands for; write the value out"),
        ("a: &a {b: {<<: *a}}\n", "line 1: the alias 'a' is part of what it stands for"),
        (f"a: 1{'0' * 18}\n", "line 1: a whole number of 19 digits is too large to compute with; write a smaller one"),
        (f"a: 0x{'f' * 16}\n", "line 1: a whole number of 16 digits"),
        (f"a: 0o{'7' * 19}\n", "line 1: a whole number of 19 digits"),
        (f"a: -{'9' * 5000}\n", "line 1: a whole number of 5000 digits"),
        (f"a: {{? {list(range(100))} : b}}\n", "line 1: the key [0, 1, 2"),
        ("? [a]\n: b\n", "line 1: the key ['a'] is not text"),
        ("a: {<<: {b: 1, b: 2}}\n", "line 1: the key 'b' appears twice"),
        ("a: &a {b: 1}\nc: {<<: *a, <<: *a}\n", "line 2: the key '<<' appears twice"),
        ("a: {<<: b}\n", "line 1: expected a mapping or list of mappings for merging, but found scalar; merge what is"),
        ("a: <<\n", "line 1: could not determine a constructor for the tag"),
        ("a: b\n  c: 1 # \t\n", "line 2: a tab where YAML wants spaces"),
        ("a: 1 # \t\na: 2 # \t\n", "line 2: the key 'a' appears twice"),
        ("#" * 300_001, "larger than 300,000 bytes, which no study is; check the name of the file"),
        ("3\n", "this file is a single value"),
    ],
)
def test_refuses_in_one_line_with_file_and_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'file.yaml'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def laughs(value: str, levels: int) -> str:
    """Ten times ten times … a value."""
    first = f"a0: &a0 {value}\n"
    return first + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, levels + 1))


@pytest.mark.parametrize("text", [laughs("x", 20), laughs(f"[{'x' * 100_000}]", 2), laughs("{b: 1}", 8)])
def test_refuses_what_aliases_blow_up(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"line \d+: more than 50,000 values from here on, with what aliases stand for"):
        parse(tmp_path, text)


def test_aliases_are_free_up_to_there(tmp_path: Path) -> None:
    assert len(parse(tmp_path, laughs("x", 3))["a3"]) == 10


def test_what_is_merged_again_and_again_is_merged_once(tmp_path: Path) -> None:
    merges = "".join(f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}\n" for i in range(1, 11))
    assert parse(tmp_path, f"m0: &m0 {{a: 1, b: 2}}\n{merges}")["m10"] == {"a": 1, "b": 2}


def test_of_merged_mappings_the_first_wins(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\n"
    assert parse(tmp_path, text)["c"] == {"x": 1, "y": 1, "z": 3}


def test_refuses_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read(tmp_path)
    with pytest.raises(UserError, match="cannot be read: embedded null byte"):
        read(tmp_path / "a\0b")
