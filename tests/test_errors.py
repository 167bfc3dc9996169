"""A user's error is one line, whatever it quotes."""

from __future__ import annotations

import pytest

from nmepkg.errors import LONGEST, UserError


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("study.yaml: name: 'é' is no name", "study.yaml: name: 'é' is no name"),
        ("a\nb\r\n\tc", r"a\nb\r\n\tc"),
        ("\x1b[31m \0 \u2028 \ud800", r"\x1b[31m \x00 \u2028 \ud800"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, line: str) -> None:
    assert str(UserError(text)) == line


def test_of_a_long_line_place_and_remedy_are_left() -> None:
    text = str(UserError(f"study.yaml: {'x' * 10**6}; shorten it"))
    assert text.startswith("study.yaml: xxx")
    assert text.endswith("xxx; shorten it")
    assert len(text) < LONGEST + 10


def test_several_lines_are_several() -> None:
    assert str(UserError("a\n", "b")) == "a\\n\nb"
