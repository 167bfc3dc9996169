"""What a call changes of a study reaches jobs as it was said."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

import pytest

from nmepkg.study import overrides


def read(words: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    overrides.add_options(parser)
    return overrides.chosen(parser.parse_args(words))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"smoke": True},
        {"smoke": False},
        {"select": ["a"]},
        {"select": ["a", "b-c"], "smoke": True},
        {"select": None},
        {"store": "~/a b/$X", "smoke": True},
    ],
)
def test_a_command_line_says_the_same(keys: dict[str, Any]) -> None:
    assert read(shlex.split(overrides.arguments(keys))) == keys


def test_snakemakes_words() -> None:
    config = {"smoke": "true", "select": ["a"], "other": 3}
    assert overrides.from_config(config) == {"smoke": True, "select": ["a"]}
    assert config == {"other": 3}
    assert overrides.from_config({"smoke": "False", "select": "null"}) == {"smoke": False, "select": None}
    assert overrides.from_config({"smoke": 3, "select": 4}) == {"smoke": 3, "select": 4}, "the study refuses them"
    assert overrides.from_config({"select": "a,b", "store": "x"}) == {"select": ["a", "b"], "store": "x"}
